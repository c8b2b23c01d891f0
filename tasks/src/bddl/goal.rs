//! The condition of `:goal`: predicates under `And`, `Or` and `Not`, nested as far as parentheses may be.

use super::condition::{Condition, Goal};
use super::error::BddlError;
use super::parse::predicate_instance;
use super::problem::{PredicateInstance, Problem};
use super::reader::SexprReader;
use super::sexpr::Sexpr;

/// Collects the predicates of a goal while its condition is read.
pub(super) struct GoalParser<'a> {
    reader: &'a SexprReader<'a>,
    problem: &'a Problem,
    predicates: Vec<PredicateInstance>,
}

impl<'a> GoalParser<'a> {
    /// Reads the condition of a goal.
    pub fn parse(
        reader: &'a SexprReader<'a>,
        item: &Sexpr,
        problem: &'a Problem,
    ) -> Result<Goal, BddlError> {
        let mut parser = GoalParser {
            reader,
            problem,
            predicates: Vec::new(),
        };
        let condition = parser.condition(item)?;
        Ok(Goal {
            predicates: parser.predicates,
            condition,
        })
    }

    fn condition(&mut self, item: &Sexpr) -> Result<Condition, BddlError> {
        let (items, location) = self.reader.list(item, "(And ...) or a predicate")?;
        let word = match items.first() {
            Some(Sexpr::Atom(word, _)) => word.to_ascii_lowercase(),
            _ => String::new(),
        };
        let rest = items.get(1..).unwrap_or_default();
        match word.as_str() {
            "and" | "or" => {
                if rest.is_empty() {
                    return Err(self
                        .reader
                        .fail(location, format!("the goal is empty: `({word})`")));
                }
                let parts = (rest.iter()).map(|part| self.condition(part));
                let parts = parts.collect::<Result<Vec<_>, _>>()?;
                Ok(match word.as_str() {
                    "and" => Condition::All(parts),
                    _ => Condition::Any(parts),
                })
            }
            "not" => match rest {
                [part] => Ok(Condition::Not(Box::new(self.condition(part)?))),
                _ => {
                    let message = format!("`not` takes 1 condition, found {}", rest.len());
                    Err(self.reader.fail(location, message))
                }
            },
            _ => {
                let instance = predicate_instance(self.reader, item, self.problem)?;
                self.predicates.push(instance);
                Ok(Condition::Holds(self.predicates.len() - 1))
            }
        }
    }
}
