//! The words that a policy is given, and where they come from.
//!
//! A task of LIBERO's form has two texts: the name of its file in words, and its `:language` section. LIBERO and
//! LIBERO-PRO give the policy the first; LIBERO-PRO's `_lan` and `_task` suites and LIBERO-plus's `_language_N` files
//! change only the second. The rule of [`InstructionRule::Default`] follows that:
//!
//! 1. `:language`, in the words of LIBERO's reader (lower case), where the folder of the suite ends in `_lan` or `_task`
//!    or the name of the file in `_language_N`;
//! 2. else the name of the file, without its scene (`KITCHEN_SCENE3_`) and without what LIBERO-plus appends to it
//!    (`_light_N`, `_table_N`, `_tb_N`, `_add_N`, `_moved`, `_levelN_sampleM`, which its own evaluation leaves in).

use crate::bddl::Problem;

/// Which text a policy is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum InstructionRule {
    /// As the suites are evaluated (see the module).
    #[default]
    Default,
    /// The name of the file.
    FileName,
    /// The `:language` section.
    Language,
    /// A text for every task.
    Text(String),
}

impl std::str::FromStr for InstructionRule {
    type Err = String;

    /// `name`, `file`, or a text of other words.
    fn from_str(text: &str) -> Result<InstructionRule, String> {
        match text.trim() {
            "" => Err("expected `name`, `file` or a text".to_owned()),
            "name" => Ok(InstructionRule::FileName),
            "file" => Ok(InstructionRule::Language),
            text => Ok(InstructionRule::Text(text.to_owned())),
        }
    }
}

impl std::fmt::Display for InstructionRule {
    /// As it is parsed; empty for the default.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            InstructionRule::Default => "",
            InstructionRule::FileName => "name",
            InstructionRule::Language => "file",
            InstructionRule::Text(text) => text,
        })
    }
}

/// Origin of an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum InstructionSource {
    /// `instruction` in `suite.toml`.
    SuiteFile,
    /// The name of the BDDL file.
    FileName,
    /// The `:language` section of the BDDL file.
    Language,
    /// A text that was given.
    Given,
}

impl InstructionSource {
    /// The source in words, for the protocol.
    pub fn describe(self) -> &'static str {
        match self {
            InstructionSource::SuiteFile => "suite.toml",
            InstructionSource::FileName => "name of the BDDL file",
            InstructionSource::Language => ":language of the BDDL file",
            InstructionSource::Given => "--instruction",
        }
    }
}

/// Instruction of a task by a rule: words and where they are from. `folder` is the name of the folder of its suite, `stem`
/// the name of its file without extension.
///
/// # Errors
/// Says so if `:language` is asked for and empty.
pub(crate) fn choose(
    rule: &InstructionRule,
    folder: &str,
    stem: &str,
    problem: &Problem,
) -> Result<(String, InstructionSource), String> {
    let from_language = match rule {
        InstructionRule::Text(text) => return Ok((text.clone(), InstructionSource::Given)),
        InstructionRule::FileName => false,
        InstructionRule::Language => true,
        InstructionRule::Default => {
            folder.ends_with("_lan")
                || folder.ends_with("_task")
                || strip_numbered(stem, "_language_").is_some()
        }
    };
    if !from_language {
        return Ok((of_file_name(stem), InstructionSource::FileName));
    }
    match problem.language.to_lowercase() {
        words if words.is_empty() => Err("there is no (:language ...)".to_owned()),
        words => Ok((words, InstructionSource::Language)),
    }
}

/// The name of a file without scene and endings of LIBERO-plus, in words.
pub fn of_file_name(stem: &str) -> String {
    without_scene(base_of(stem)).replace('_', " ")
}

fn without_scene(stem: &str) -> &str {
    let scene_end = stem.find("SCENE").and_then(|at| {
        let rest = &stem[at + 5..];
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let scene = &stem[..at];
        let is_scene = digits > 0
            && rest[digits..].starts_with('_')
            && scene.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
        is_scene.then_some(at + 5 + digits + 1)
    });
    // A name without a scene is an instruction from its start.
    &stem[scene_end.unwrap_or(0)..]
}

/// What a file name is without an ending of a word and a number, if it has that ending.
fn strip_numbered<'a>(stem: &'a str, word: &str) -> Option<&'a str> {
    let (base, number) = stem.rsplit_once(word)?;
    let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    (is_number && !base.is_empty()).then_some(base)
}

/// The task of LIBERO that a file of LIBERO-plus varies: its name without the endings that LIBERO-plus appends.
pub(crate) fn base_of(stem: &str) -> &str {
    let numbered = ["_language_", "_light_", "_table_", "_tb_", "_add_"];
    if let Some(base) = numbered.iter().find_map(|word| strip_numbered(stem, word)) {
        return base;
    }
    let level = strip_numbered(stem, "_sample").and_then(|rest| strip_numbered(rest, "_level"));
    level.map_or(stem, |base| base.strip_suffix("_moved").unwrap_or(base))
}

/// Returns true if two instructions differ in more than case, articles and punctuation.
pub fn differ(a: &str, b: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        let lower = text.to_lowercase();
        let words = lower.split(|c: char| !c.is_alphanumeric());
        let kept = words.filter(|word| !matches!(*word, "" | "the" | "a" | "an"));
        kept.map(str::to_owned).collect()
    };
    words(a) != words(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "(define (problem LIBERO_Tabletop_Manipulation) (:domain robosuite)
        (:language Put the bowl Here) (:objects a - bowl) (:goal (And (Up a))))";

    fn chosen(rule: &InstructionRule, folder: &str, stem: &str) -> (String, InstructionSource) {
        let problem = Problem::parse("t.bddl", TEXT).unwrap();
        choose(rule, folder, stem, &problem).unwrap()
    }

    #[test]
    fn the_default_follows_the_suites() {
        let default = InstructionRule::Default;
        let name = |words: &str| (words.to_owned(), InstructionSource::FileName);
        let language = ("put the bowl here".to_owned(), InstructionSource::Language);
        assert_eq!(chosen(&default, "libero_goal", "open_it"), name("open it"));
        assert_eq!(
            chosen(&default, "libero_goal_swap", "open_it"),
            name("open it")
        );
        assert_eq!(chosen(&default, "libero_goal_lan", "open_it"), language);
        assert_eq!(chosen(&default, "libero_goal_task", "open_it"), language);
        assert_eq!(
            chosen(&default, "libero_goal", "open_it_language_12"),
            language
        );
        for stem in ["open_it_light_3", "open_it_tb_4", "open_it_level2_sample1"] {
            assert_eq!(
                chosen(&default, "libero_goal", stem),
                name("open it"),
                "{stem}"
            );
        }
        let stem = "KITCHEN_SCENE3_open_it_moved_level1_sample4";
        assert_eq!(chosen(&default, "libero_10", stem), name("open it"));
    }

    #[test]
    fn a_choice_overrides_the_default() {
        let rule = |text: &str| text.parse::<InstructionRule>().unwrap();
        let lan = "libero_goal_lan";
        assert_eq!(chosen(&rule("name"), lan, "open_it").0, "open it");
        assert_eq!(
            chosen(&rule("file"), "libero_goal", "open_it").0,
            "put the bowl here"
        );
        let given = ("Close it".to_owned(), InstructionSource::Given);
        assert_eq!(chosen(&rule("Close it"), lan, "open_it"), given);
        assert!("  ".parse::<InstructionRule>().is_err());
    }

    #[test]
    fn names_that_only_look_like_endings_stay() {
        assert_eq!(base_of("put_it_on_the_table_"), "put_it_on_the_table_");
        assert_eq!(base_of("put_it_on_the_table_x"), "put_it_on_the_table_x");
        assert_eq!(base_of("turn_on_the_light_7"), "turn_on_the");
        assert_eq!(base_of("_light_7"), "_light_7");
        assert!(!differ("Put the bowl on a plate.", "put bowl on the plate"));
        assert!(differ(
            "put the bowl on the plate",
            "put the bowl on the stove"
        ));
    }
}
