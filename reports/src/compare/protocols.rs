//! Protocols of runs that are compared: what must agree, and what differs.

use super::ComparedPolicy;
use std::collections::BTreeSet;

/// Fields of a protocol whose difference makes the success rates of two runs incomparable; parts of a field count as well.
const MUST_AGREE: [&str; 12] = [
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
            let all = other.manifest.protocol.differences(&run.manifest.protocol);
            let is = |names: &[&str], sentence: &String| names.contains(&field_of(sentence));
            let forbidden: Vec<&String> = all.iter().filter(|d| is(&MUST_AGREE, d)).collect();
            if !forbidden.is_empty() {
                let fields: Vec<String> = forbidden.into_iter().cloned().collect();
                return Err(format!(
                    "suite {suite}: `{}` and `{}` cannot be compared: {}",
                    first.label,
                    policy.label,
                    fields.join("; ")
                ));
            }
            for difference in all.iter().filter(|d| !is(&OF_THE_POLICY, d)) {
                found.insert(format!(
                    "{} and {}: {difference}",
                    first.label, policy.label
                ));
            }
        }
    }
    Ok(found.into_iter().collect())
}

/// Name of the field that a sentence of [`EvalProtocol::differences`](crate::EvalProtocol::differences) is about, without its part.
fn field_of(sentence: &str) -> &str {
    let end = sentence.find(['.', ':']).unwrap_or(sentence.len());
    &sentence[..end]
}
