//! What becomes of the commands of an episode: gain, delay and noise.

use crate::{Draws, EpisodeKey, PhysicsChange};
use std::collections::VecDeque;

/// Changes the actions of an episode, one per control step; a copy continues as the original would.
#[derive(Debug, Clone)]
pub struct ActionFilter {
    key: EpisodeKey,
    gain: f64,
    noise: f64,
    /// Actions that have not arrived yet.
    pending: VecDeque<[f64; 7]>,
    step: usize,
}

impl ActionFilter {
    /// The filter of an episode; `None` if the commands stay as they are. `idle` is the action before the first arrives.
    pub(crate) fn new(
        change: &PhysicsChange,
        key: EpisodeKey,
        idle: [f64; 7],
    ) -> Option<ActionFilter> {
        if change.gain.is_none() && change.delay.is_none() && change.noise.is_none() {
            return None;
        }
        let delay = change.delay.map_or(0.0, |v| v.of(key, "delay"));
        Some(ActionFilter {
            key,
            gain: change.gain.map_or(1.0, |v| v.of(key, "gain")),
            noise: change.noise.map_or(0.0, |v| v.of(key, "noise")),
            pending: std::iter::repeat_n(idle, libm::round(delay) as usize).collect(),
            step: 0,
        })
    }

    /// The action that arrives in the next control step, in which `action` is commanded.
    pub fn apply(&mut self, action: &[f64; 7]) -> [f64; 7] {
        self.pending.push_back(*action);
        let mut arrives = self.pending.pop_front().unwrap_or(*action);
        let mut draws = Draws::at_step(self.key, "action-noise", self.step);
        self.step += 1;
        for motion in &mut arrives[..6] {
            *motion *= self.gain;
            if self.noise > 0.0 {
                *motion += self.noise * draws.normal();
            }
            *motion = motion.clamp(-1.0, 1.0);
        }
        arrives
    }
}

#[cfg(test)]
mod tests {
    //! Guarantee: commands arrive as late, as strong and as noisy as was asked for, and the gripper's is untouched.
    use super::*;
    use crate::ValueOrRange;

    const KEY: EpisodeKey = EpisodeKey {
        seed: 7,
        task: 0,
        init: 0,
    };
    const IDLE: [f64; 7] = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0];

    #[test]
    fn commands_arrive_late_and_weak() {
        let change = PhysicsChange {
            delay: Some(ValueOrRange::Value(2.0)),
            gain: Some(ValueOrRange::Value(0.5)),
            ..PhysicsChange::default()
        };
        let mut filter = ActionFilter::new(&change, KEY, IDLE).expect("a filter");
        let action = [0.4, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0];
        assert_eq!(filter.apply(&action), IDLE);
        assert_eq!(filter.apply(&IDLE), IDLE);
        assert_eq!(filter.apply(&IDLE), [0.2, -0.5, 0.0, 0.0, 0.0, 0.0, 1.0]);
        let mass = PhysicsChange {
            mass: Some(ValueOrRange::Value(2.0)),
            ..PhysicsChange::default()
        };
        assert!(ActionFilter::new(&mass, KEY, IDLE).is_none());
    }

    #[test]
    fn noise_is_drawn_for_every_step() {
        let change = PhysicsChange {
            noise: Some(ValueOrRange::Range([0.1, 0.2])),
            ..PhysicsChange::default()
        };
        let run = || {
            let mut filter = ActionFilter::new(&change, KEY, IDLE).expect("a filter");
            [filter.apply(&IDLE), filter.apply(&IDLE)]
        };
        let [first, second] = run();
        assert_eq!([first, second], run());
        assert_ne!(first, second);
        assert_eq!((first[6], second[6]), (-1.0, -1.0));
    }
}
