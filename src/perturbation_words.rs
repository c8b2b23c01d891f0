//! Perturbations as the command line names them.

use crate::EvalError;
use bitvla_perturbations::{Perturbation, PlusName};
use std::path::Path;

/// The perturbation that the words of `--perturb` ask for: axes in words (`camera:yaw=30`), endings of names of LIBERO-plus, and at most one TOML
/// file; `None` without words.
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
        if text.contains(':') {
            axes.push(text.clone());
            continue;
        }
        let name = PlusName::parse(text).map_err(|what| {
            let others = "or AXIS:KEY=VALUE, or a file that ends in .toml";
            EvalError::Input(format!("--perturb: {what}; {others}"))
        })?;
        axes.extend(name.perturbation.words());
    }
    Ok(Some(Perturbation::parse(&axes)?).filter(|p| !p.is_none()))
}
