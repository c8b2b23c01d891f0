//! The goal: predicates, and the condition over them that ends an episode with success.

use super::problem::PredicateInstance;

/// Condition that ends an episode with success.
#[derive(Debug, Clone, PartialEq)]
pub struct Goal {
    /// The predicates in file order, wherever they stand in the condition.
    pub predicates: Vec<PredicateInstance>,
    /// What has to hold of them at one instant.
    pub condition: Condition,
}

/// A condition over predicates, by their indices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// The predicate holds.
    Holds(usize),
    /// `And`: all hold.
    All(Vec<Condition>),
    /// `Or`: at least one holds.
    Any(Vec<Condition>),
    /// `Not`: it does not hold.
    Not(Box<Condition>),
}

impl Condition {
    /// Evaluates the condition with the truth of each predicate, which is asked for only where it decides.
    pub fn holds(&self, truth: &dyn Fn(usize) -> bool) -> bool {
        match self {
            Condition::Holds(index) => truth(*index),
            Condition::All(parts) => parts.iter().all(|part| part.holds(truth)),
            Condition::Any(parts) => parts.iter().any(|part| part.holds(truth)),
            Condition::Not(part) => !part.holds(truth),
        }
    }

    /// Returns true if it says that all predicates hold, however it is nested.
    pub fn is_conjunction(&self) -> bool {
        match self {
            Condition::Holds(_) => true,
            Condition::All(parts) => parts.iter().all(Condition::is_conjunction),
            Condition::Any(_) | Condition::Not(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Condition::{All, Any, Holds, Not};

    #[test]
    fn nested_conditions_hold_as_their_words_say() {
        let condition = All(vec![Holds(0), Any(vec![Holds(1), Not(Box::new(Holds(2)))])]);
        for (truth, expected) in [
            ([true, true, true], true),
            ([true, false, true], false),
            ([true, false, false], true),
            ([false, true, false], false),
        ] {
            assert_eq!(condition.holds(&|i| truth[i]), expected, "{truth:?}");
        }
        assert!(!condition.is_conjunction());
        assert!(All(vec![Holds(0), All(vec![Holds(1)])]).is_conjunction());
    }
}
