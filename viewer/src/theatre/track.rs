//! What has happened so far, step by step, and the marks on its timeline.

use super::{Asked, Ending, Moment};
use bitvla_sim::Owner;
use std::sync::Arc;

/// Something worth a mark on the timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Control step.
    pub step: usize,
    /// What.
    pub kind: MarkKind,
}

/// Kinds of marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MarkKind {
    /// The policy was asked.
    Query,
    /// The robot began to touch an object or fixture (its instance index).
    Touch(usize),
    /// The robot let go of it.
    Release(usize),
    /// The gripper was told to close (true) or open.
    Gripper(bool),
    /// A predicate (its index) became true or false.
    Fact(usize, bool),
    /// All predicates hold.
    Success,
}

/// A growing record of one episode.
#[derive(Debug, Default, Clone)]
pub struct Track {
    moments: Vec<Arc<Moment>>,
    queries: Vec<Arc<Asked>>,
    marks: Vec<Mark>,
    ending: Option<Ending>,
}

impl Track {
    /// Adds the next moment. Steps come in order without gaps.
    pub fn push(&mut self, moment: Arc<Moment>) {
        if let Some(before) = self.moments.last().cloned() {
            self.mark_changes(&before, &moment);
        }
        self.moments.push(moment);
    }

    /// Adds a query.
    pub fn ask(&mut self, asked: Arc<Asked>) {
        self.mark(asked.step, MarkKind::Query);
        self.queries.push(asked);
    }

    /// Notes how it ended.
    pub fn end(&mut self, ending: Ending) {
        if ending == Ending::Success {
            self.mark(self.last(), MarkKind::Success);
        }
        self.ending = Some(ending);
    }

    /// Forgets everything after a step.
    pub fn cut_after(&mut self, step: usize) {
        self.moments.truncate(step + 1);
        self.queries.retain(|q| q.step < step);
        self.marks.retain(|m| {
            m.step < step
                || (m.step == step && !matches!(m.kind, MarkKind::Query | MarkKind::Success))
        });
        self.ending = None;
    }

    /// The moment after a control step.
    pub fn at(&self, step: usize) -> Option<&Arc<Moment>> {
        self.moments.get(step)
    }

    /// All moments, in order.
    pub fn moments(&self) -> &[Arc<Moment>] {
        &self.moments
    }

    /// The last step there is; 0 while there is none.
    pub fn last(&self) -> usize {
        self.moments.len().saturating_sub(1)
    }

    /// Whether nothing has been reported yet.
    pub fn is_empty(&self) -> bool {
        self.moments.is_empty()
    }

    /// The query whose chunk is being executed at a step: the last one at or before it.
    pub fn query_at(&self, step: usize) -> Option<&Arc<Asked>> {
        let after = self.queries.partition_point(|q| q.step <= step);
        self.queries.get(after.checked_sub(1)?)
    }

    /// All queries, in order.
    pub fn queries(&self) -> &[Arc<Asked>] {
        &self.queries
    }

    /// All marks, by step.
    pub fn marks(&self) -> &[Mark] {
        &self.marks
    }

    /// How it ended, if it has.
    pub fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    fn mark(&mut self, step: usize, kind: MarkKind) {
        let at = self.marks.partition_point(|m| m.step <= step);
        self.marks.insert(at, Mark { step, kind });
    }

    fn mark_changes(&mut self, before: &Moment, now: &Moment) {
        let step = now.step;
        let (had, has) = (touched(before), touched(now));
        for instance in has.iter().filter(|i| !had.contains(i)) {
            self.mark(step, MarkKind::Touch(*instance));
        }
        for instance in had.iter().filter(|i| !has.contains(i)) {
            self.mark(step, MarkKind::Release(*instance));
        }
        let closing = |m: &Moment| m.action.map(|a| a[6] > 0.0);
        if let Some(close) = closing(now)
            && closing(before).unwrap_or(false) != close
        {
            self.mark(step, MarkKind::Gripper(close));
        }
        for (fact, (was, is)) in before.facts.iter().zip(&now.facts).enumerate() {
            if was != is {
                self.mark(step, MarkKind::Fact(fact, *is));
            }
        }
    }
}

/// Instances that the robot touches.
fn touched(moment: &Moment) -> Vec<usize> {
    let mut instances: Vec<usize> = moment
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
