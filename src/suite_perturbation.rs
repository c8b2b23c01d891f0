//! Perturbations of the episodes of a suite, and their form on the protocol card and the command line.

use crate::EvalError;
use bitvla_perturbations::{Perturbation, PlusName, pro_case};
use bitvla_reports::to_hex;
use sha2::{Digest, Sha256};
use std::path::Path;

/// Beginning of the one line of a card that stands for a perturbation per task.
const PER_TASK: &str = "per task, sha256 ";
/// Beginning of the words for a case of LIBERO-PRO.
const PRO: &str = "pro:";

/// Change of the episodes of a suite.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum SuitePerturbation {
    /// None.
    #[default]
    None,
    /// The same for all tasks.
    Uniform(Box<Perturbation>),
    /// One per task, in their order.
    PerTask(Vec<Perturbation>),
}

impl SuitePerturbation {
    /// The perturbation of a task; `None` for a task as it is.
    pub fn of(&self, task: usize) -> Option<&Perturbation> {
        let found = match self {
            SuitePerturbation::None => None,
            SuitePerturbation::Uniform(all) => Some(&**all),
            SuitePerturbation::PerTask(tasks) => tasks.get(task),
        };
        found.filter(|perturbation| !perturbation.is_none())
    }

    /// Lines of the protocol card: the words of a uniform perturbation, or one line with the hash of the words of all tasks.
    pub fn card(&self) -> Vec<String> {
        match self {
            SuitePerturbation::None => Vec::new(),
            SuitePerturbation::Uniform(all) => all.words(),
            SuitePerturbation::PerTask(tasks) => {
                let mut hash = Sha256::new();
                for perturbation in tasks {
                    hash.update(perturbation.to_string());
                    hash.update("\n");
                }
                vec![format!("{PER_TASK}{}", to_hex(&hash.finalize()))]
            }
        }
    }

    /// Reads the lines of a card; `own` is that of the suite as it was opened, which knows the perturbations of its tasks.
    ///
    /// # Errors
    /// [`EvalError::Input`] if this program does not know them, or those of the tasks are others.
    pub fn of_card(
        card: &[String],
        own: &SuitePerturbation,
    ) -> Result<SuitePerturbation, EvalError> {
        let is_per_task = |lines: &[String]| lines.iter().any(|line| Self::is_hash(line));
        let expected = own.card();
        if is_per_task(card) || is_per_task(&expected) {
            return match *card == expected {
                true => Ok(own.clone()),
                false => Err(EvalError::Input(format!(
                    "perturbation: found {card:?}, expected {expected:?}"
                ))),
            };
        }
        let perturbation = Perturbation::parse(card)?;
        Ok(match perturbation.is_none() {
            true => SuitePerturbation::None,
            false => SuitePerturbation::Uniform(Box::new(perturbation)),
        })
    }

    /// True for a line of a card that no words of the command line give.
    pub fn is_hash(line: &str) -> bool {
        line.starts_with(PER_TASK)
    }
}

/// The perturbation that the words of `--perturb` ask for: axes in words (`camera:yaw=30`), cases of LIBERO-PRO (`pro:swap`), endings of
/// names of LIBERO-plus, and at most one TOML file; `None` without words.
///
/// # Errors
/// [`EvalError::Input`] or [`EvalError::Perturbation`] with what was found and what was expected.
pub fn parse_perturbation(words: &[String]) -> Result<Option<Perturbation>, EvalError> {
    let (files, words): (Vec<_>, Vec<_>) = words.iter().partition(|text| text.ends_with(".toml"));
    let mut axes = match files.as_slice() {
        [] => Vec::new(),
        [file] => Perturbation::read(Path::new(file))?.words(),
        several => {
            return Err(EvalError::Input(format!(
                "--perturb: found {} files, expected one at most",
                several.len()
            )));
        }
    };
    for text in words {
        if let Some(name) = text.strip_prefix(PRO) {
            let case =
                pro_case(name).map_err(|what| EvalError::Input(format!("--perturb: {what}")))?;
            axes.extend(case.words.iter().map(|words| (*words).to_owned()));
        } else if text.contains(':') {
            axes.push(text.clone());
        } else {
            let name = PlusName::parse(text).map_err(|what| {
                let others = "or AXIS:KEY=VALUE, or pro:CASE, or a file that ends in .toml";
                EvalError::Input(format!("--perturb: {what}; {others}"))
            })?;
            axes.extend(name.perturbation.words());
        }
    }
    Ok(Some(Perturbation::parse(&axes)?).filter(|p| !p.is_none()))
}
