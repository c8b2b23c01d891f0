//! Protocols of runs that are compared: what must agree, and what differs.

use super::ComparedPolicy;
use crate::EvalProtocol;
use std::collections::BTreeSet;

/// Fields of a protocol whose difference makes the success rates of two runs incomparable; parts of a field count as well.
const MUST_AGREE: [&str; 14] = [
    "perturbation",
    "world",
    "world_version",
    "horizon",
    "settle_steps",
    "settle_action",
    "control_hz",
    "robot_model",
    "simulation",
    "success_rule",
    "assets_sha256",
    "libero_sha256",
    "instruction_source",
    "suite",
];

/// Fields that differ between any two policies and are part of what is compared.
const OF_THE_POLICY: [&str; 6] = [
    "policy",
    "weights_sha256",
    "precision",
    "above_2_bits",
    "arithmetic",
    "engine",
];

/// Returns the differences between the runs of a suite that do not forbid a comparison, each once, as `LABEL: field: this against
/// that`.
///
/// # Errors
/// A sentence with all fields that do forbid it.
pub(super) fn differences(policies: &[ComparedPolicy]) -> Result<Vec<String>, String> {
    let mut found = BTreeSet::new();
    for (i, policy) in policies.iter().enumerate() {
        for (suite, run) in &policy.runs {
            let earlier = policies[..i]
                .iter()
                .find_map(|p| Some((p, p.runs.get(suite)?)));
            let Some((first, other)) = earlier else {
                continue;
            };
            let names = (
                &*format!("`{}`", first.label),
                &*format!("`{}`", policy.label),
            );
            let (theirs, ours) = (&other.manifest.protocol, &run.manifest.protocol);
            let differences = check_comparable(names, theirs, ours)
                .map_err(|what| format!("suite {suite}: {what}"))?;
            for difference in differences.iter().filter(|d| !field_of_the_policy(d)) {
                found.insert(format!(
                    "{} and {}: {difference}",
                    first.label, policy.label
                ));
            }
        }
    }
    Ok(found.into_iter().collect())
}

/// Returns the fields in which two protocols differ, as [`EvalProtocol::differences`].
///
/// # Errors
/// A sentence with all fields that forbid a comparison; `names` are those of the two runs.
pub(crate) fn check_comparable(
    names: (&str, &str),
    first: &EvalProtocol,
    second: &EvalProtocol,
) -> Result<Vec<String>, String> {
    let all = first.differences(second);
    let forbidden: Vec<&str> = (all.iter().map(String::as_str))
        .filter(|d| MUST_AGREE.contains(&field_of(d)))
        .collect();
    if forbidden.is_empty() {
        return Ok(all);
    }
    Err(format!(
        "{} and {} cannot be compared: {}",
        names.0,
        names.1,
        forbidden.join("; ")
    ))
}

/// True if a difference of protocols is one between policies, which is part of what is compared.
pub(crate) fn field_of_the_policy(difference: &str) -> bool {
    OF_THE_POLICY.contains(&field_of(difference))
}

/// Name of the field that a sentence of [`EvalProtocol::differences`] is about, without its part.
fn field_of(sentence: &str) -> &str {
    let end = sentence.find(['.', ':']).unwrap_or(sentence.len());
    &sentence[..end]
}
