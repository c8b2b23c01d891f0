//! Trajectory of an episode: states, queries and timeline markers by control step.

use super::step_state::{StepState, Termination, TracedQuery};
use bitvla_sim::Owner;
use std::sync::Arc;

/// Marker on the timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// Control step.
    pub step: usize,
    /// Kind.
    pub kind: MarkerKind,
}

/// Kinds of markers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MarkerKind {
    /// The policy was queried.
    Query,
    /// The robot came into contact with an object or fixture (its instance index).
    ContactBegin(usize),
    /// The robot lost contact with it.
    ContactEnd(usize),
    /// The gripper command changed to close (true) or open.
    Gripper(bool),
    /// A predicate (its index) became true or false.
    Predicate(usize, bool),
    /// All predicates hold.
    Success,
}

/// States, queries and markers of one episode, in order.
#[derive(Debug, Default, Clone)]
pub struct Trajectory {
    steps: Vec<Arc<StepState>>,
    queries: Vec<Arc<TracedQuery>>,
    markers: Vec<Marker>,
    termination: Option<Termination>,
}

impl Trajectory {
    /// Appends the state of the next control step, with the markers of what has changed.
    pub fn push(&mut self, step_state: Arc<StepState>) {
        if let Some(before) = self.steps.last().cloned() {
            self.add_change_markers(&before, &step_state);
        }
        self.steps.push(step_state);
    }

    /// Appends a query.
    pub fn push_query(&mut self, query: Arc<TracedQuery>) {
        self.add_marker(query.step, MarkerKind::Query);
        self.queries.push(query);
    }

    /// Sets the end of the episode.
    pub fn set_termination(&mut self, termination: Termination) {
        if termination == Termination::Success {
            self.add_marker(self.last(), MarkerKind::Success);
        }
        self.termination = Some(termination);
    }

    /// Discards everything after a step.
    pub fn truncate_after(&mut self, step: usize) {
        self.steps.truncate(step + 1);
        self.queries.retain(|q| q.step < step);
        self.markers.retain(|m| {
            m.step < step
                || (m.step == step && !matches!(m.kind, MarkerKind::Query | MarkerKind::Success))
        });
        self.termination = None;
    }

    /// State after a control step.
    pub fn get(&self, step: usize) -> Option<&Arc<StepState>> {
        self.steps.get(step)
    }

    /// All states, in order.
    pub fn steps(&self) -> &[Arc<StepState>] {
        &self.steps
    }

    /// Number of the last control step; 0 while there is none.
    pub fn last(&self) -> usize {
        self.steps.len().saturating_sub(1)
    }

    /// Returns true while there is no state.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Query whose chunk is executed at a step: the last one at or before it.
    pub fn query_at(&self, step: usize) -> Option<&Arc<TracedQuery>> {
        let after = self.queries.partition_point(|q| q.step <= step);
        self.queries.get(after.checked_sub(1)?)
    }

    /// All queries, in order.
    pub fn queries(&self) -> &[Arc<TracedQuery>] {
        &self.queries
    }

    /// All markers, ordered by step.
    pub fn markers(&self) -> &[Marker] {
        &self.markers
    }

    /// End of the episode; none while it runs.
    pub fn termination(&self) -> Option<&Termination> {
        self.termination.as_ref()
    }

    fn add_marker(&mut self, step: usize, kind: MarkerKind) {
        let at = self.markers.partition_point(|m| m.step <= step);
        self.markers.insert(at, Marker { step, kind });
    }

    fn add_change_markers(&mut self, before: &StepState, now: &StepState) {
        let step = now.step;
        let (contacts_before, contacts_now) =
            (contacted_instances(before), contacted_instances(now));
        for instance in contacts_now.iter().filter(|i| !contacts_before.contains(i)) {
            self.add_marker(step, MarkerKind::ContactBegin(*instance));
        }
        for instance in contacts_before.iter().filter(|i| !contacts_now.contains(i)) {
            self.add_marker(step, MarkerKind::ContactEnd(*instance));
        }
        // Step 0 has no action; the gripper counts as open there.
        let closing = |m: &StepState| m.action.map(|a| a[6] > 0.0);
        if let Some(close) = closing(now)
            && closing(before).unwrap_or(false) != close
        {
            self.add_marker(step, MarkerKind::Gripper(close));
        }
        for (predicate, (was, is)) in before.predicates.iter().zip(&now.predicates).enumerate() {
            if was != is {
                self.add_marker(step, MarkerKind::Predicate(predicate, *is));
            }
        }
    }
}

/// Instances in contact with the robot, in ascending order.
fn contacted_instances(step_state: &StepState) -> Vec<usize> {
    let mut instances: Vec<usize> = step_state
        .contacts
        .iter()
        .filter_map(|c| match c.owners {
            [Owner::Robot, Owner::Instance(i)] | [Owner::Instance(i), Owner::Robot] => Some(i),
            _ => None,
        })
        .collect();
    instances.sort_unstable();
    instances.dedup();
    instances
}
