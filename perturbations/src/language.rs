//! The words of a task, said otherwise.

use crate::{Draws, EpisodeKey};
use serde::{Deserialize, Serialize};

/// Other words for the same task, or words of another one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InstructionChange {
    /// Strength 1 to 5, each with what the ones before it do: a polite beginning; other verbs; other words for places; other words for objects;
    /// the two halves of the sentence exchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<u8>,
    /// The words themselves; may be empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Index of the task of the suite whose words are given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<usize>,
}

/// Beginnings of a request.
const POLITE: [&str; 5] = ["please", "could you", "i need you to", "robot,", "now"];
/// Words with others in their place, from the strength on at which they are replaced. Longer ones first.
const SYNONYMS: [(u8, &str, &[&str]); 27] = [
    (2, "pick up", &["grab", "take", "lift", "get"]),
    (2, "put both", &["set both", "lay both"]),
    (2, "put", &["set", "move", "bring"]),
    (2, "place", &["set down", "drop", "leave"]),
    (2, "turn on", &["switch on", "start", "light"]),
    (2, "turn off", &["switch off", "shut off"]),
    (2, "open", &["pull out", "slide open"]),
    (2, "close", &["shut", "push in"]),
    (2, "push", &["shove", "slide"]),
    (3, "next to", &["beside", "by"]),
    (3, "between", &["in the middle of", "halfway from"]),
    (3, "on top of", &["above", "over"]),
    (3, "in front of", &["before", "ahead of"]),
    (
        3,
        "from table center",
        &["from the middle of the table", "at the centre of the table"],
    ),
    (3, "to the right of", &["on the right side of", "right of"]),
    (3, "to the left of", &["on the left side of", "left of"]),
    (3, "inside", &["in"]),
    (
        4,
        "black bowl",
        &["dark bowl", "black dish", "dark round dish"],
    ),
    (4, "cookie box", &["box of cookies", "biscuit box"]),
    (4, "plate", &["flat dish", "saucer"]),
    (4, "ramekin", &["small white cup", "little pot"]),
    (4, "stove", &["cooker", "hot plate"]),
    (4, "cabinet", &["cupboard", "chest of drawers"]),
    (4, "basket", &["hamper", "container"]),
    (4, "wine bottle", &["bottle of wine", "bottle"]),
    (4, "mug", &["cup"]),
    (4, "book", &["volume"]),
];
/// Words between the two halves of a sentence.
const AND: &str = " and ";

impl InstructionChange {
    pub(crate) fn check(&self) -> Result<(), String> {
        let given = [
            self.level.is_some(),
            self.text.is_some(),
            self.task.is_some(),
        ];
        match given.iter().filter(|given| **given).count() {
            1 => Ok(()),
            count => Err(format!(
                "found {count} of level, text and task, expected one"
            )),
        }
    }

    /// The words of an episode; `instructions` are those of the suite in the order of its tasks.
    ///
    /// # Errors
    /// If the suite has no such task.
    pub(crate) fn apply(&self, instructions: &[&str], key: EpisodeKey) -> Result<String, String> {
        if let Some(text) = &self.text {
            return Ok(text.clone());
        }
        let task = self.task.unwrap_or(key.task);
        let own = instructions.get(task).copied().ok_or_else(|| {
            format!(
                "language: task: found {task}, expected less than {}",
                instructions.len()
            )
        })?;
        Ok(match self.level {
            Some(level) => rephrased(own, level, &mut Draws::new(key, "language")),
            None => own.to_owned(),
        })
    }
}

/// Says a sentence otherwise, by the rules up to a strength.
fn rephrased(sentence: &str, level: u8, draws: &mut Draws) -> String {
    let mut words = sentence.to_owned();
    for (from, word, others) in SYNONYMS {
        // Drawn for every rule, so that a strength keeps the words of the one below it.
        let other = others[draws.below(others.len())];
        if from <= level {
            words = replace_word(&words, word, other);
        }
    }
    let beginning = POLITE[draws.below(POLITE.len())];
    if level >= 5
        && let Some((first, second)) = words.split_once(AND)
    {
        words = format!("{second}, after you {first}");
    }
    format!("{beginning} {words}")
}

/// Replaces whole words.
fn replace_word(text: &str, word: &str, other: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(word) {
        let (before, after) = (&rest[..at], &rest[at + word.len()..]);
        let letter = |c: char| c.is_ascii_alphanumeric();
        let inside = before.chars().next_back().is_some_and(letter)
            || after.chars().next().is_some_and(letter);
        out.push_str(before);
        out.push_str(if inside { word } else { other });
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    //! Guarantees: a strength changes more words than the one below it and keeps its words; whole words are replaced.
    use super::*;

    const SENTENCE: &str =
        "pick up the black bowl next to the cookie box and place it on the plate";

    #[test]
    fn a_strength_adds_to_the_one_below() {
        for init in 0..20 {
            let key = EpisodeKey {
                seed: 7,
                task: 0,
                init,
            };
            let said: Vec<String> = (1..=5)
                .map(|level| {
                    let change = InstructionChange {
                        level: Some(level),
                        ..InstructionChange::default()
                    };
                    change.apply(&[SENTENCE], key).expect("words")
                })
                .collect();
            assert!(said[0].ends_with(SENTENCE) && said[0] != SENTENCE);
            let kept = |words: &str| {
                let own: Vec<&str> = SENTENCE.split(' ').collect();
                words.split(' ').filter(|word| own.contains(word)).count()
            };
            for pair in said[..4].windows(2) {
                assert!(kept(&pair[1]) < kept(&pair[0]), "{said:?}");
            }
            assert!(said[4].contains(", after you "), "{said:?}");
            assert_ne!(said[3], said[4]);
        }
    }

    #[test]
    fn whole_words_are_replaced() {
        assert_eq!(
            replace_word("the plate and a template", "plate", "dish"),
            "the dish and a template"
        );
    }

    #[test]
    fn words_can_be_those_of_another_task_or_none() {
        let key = EpisodeKey {
            seed: 7,
            task: 0,
            init: 0,
        };
        let of = |change: InstructionChange| change.apply(&["a", "b"], key);
        let task = |task| InstructionChange {
            task: Some(task),
            ..InstructionChange::default()
        };
        assert_eq!(of(task(1)).expect("words"), "b");
        assert!(
            of(task(2))
                .expect_err("none")
                .contains("found 2, expected less than 2")
        );
        let empty = InstructionChange {
            text: Some(String::new()),
            ..InstructionChange::default()
        };
        assert_eq!(of(empty).expect("words"), "");
    }
}
