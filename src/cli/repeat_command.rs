//! The command line that repeats a run, from its manifest.

use crate::SuitePerturbation;
use crate::agent::registry;
use bitvla_reports::RunManifest;
use bitvla_tasks::suite::BUILTIN_SUITES;
use std::path::Path;

/// Tasks of every suite that ships; a run of all of them names none.
const SHIPPED_TASKS: usize = 10;

/// Returns the command that runs the episodes of a manifest again. What the manifest does not name (folders of files, a
/// checkpoint of one's own) stands in capitals or in a remark behind it.
pub(super) fn evaluate_command(manifest: &RunManifest) -> String {
    let protocol = &manifest.protocol;
    // The name of a run is that of its policy, followed by what was replaced or delayed.
    let known = registry::entries();
    let entry = known
        .iter()
        .filter(|entry| {
            let rest = protocol.policy.strip_prefix(entry.name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        })
        .max_by_key(|entry| entry.name.len());
    let mut words = vec!["bitvla-eval".to_owned()];
    let mut add = |option: &str, value: String| {
        words.push(format!("--{option}"));
        words.push(quoted(&value));
    };
    add("suite", protocol.suite.clone());
    let policy = match entry {
        Some(entry) => match entry.argument {
            Some(argument) => format!("{}:{argument}", entry.name),
            None => entry.name.to_owned(),
        },
        None => protocol.policy.clone(),
    };
    add("policy", policy);
    let shipped = BUILTIN_SUITES.contains(&protocol.suite.as_str());
    if !(shipped && manifest.tasks.iter().copied().eq(0..SHIPPED_TASKS)) {
        let tasks: Vec<String> = manifest.tasks.iter().map(usize::to_string).collect();
        add("tasks", tasks.join(","));
    }
    add("episodes", manifest.episodes.to_string());
    if entry.is_some_and(|entry| entry.seeded) {
        add("seed", protocol.seed.to_string());
    }
    if protocol.engine == "candle" {
        add("engine", protocol.engine.clone());
    }
    if let Some((_, provider)) = protocol.engine.split_once(", provider ") {
        add("ort-provider", provider.to_owned());
    }
    let has_weights = entry.is_some_and(|entry| entry.weights.is_some());
    if has_weights && protocol.normaliser_key != protocol.suite && shipped {
        add("normaliser-key", protocol.normaliser_key.clone());
    }
    if protocol.sanity != "none" {
        add("sanity", protocol.sanity.clone());
    }
    // A suite with a perturbation per task says them by its name.
    let is_hash = |line: &&String| SuitePerturbation::is_hash(line);
    for words in protocol.perturbation.iter().filter(|line| !is_hash(line)) {
        add("perturb", words.clone());
    }
    if protocol.action_noise > 0.0 {
        add("action-noise", protocol.action_noise.to_string());
    }
    match protocol.latency_ms.as_slice() {
        [] => {}
        [ms] => add("latency", ms.to_string()),
        _ => add("latency", "FILE".to_owned()),
    }
    for (kind, option) in [
        ("bddl", "libero"),
        ("robosuite", "robosuite"),
        ("fixtures", "fixtures"),
    ] {
        if protocol.libero_sha256.contains_key(kind) {
            add(option, "DIR".to_owned());
        }
    }
    let mut command = words.join(" ");
    if entry.is_none() {
        command.push_str("   # the policy is not one of this program");
    }
    command
}

/// Returns the command that repeats the recorded actions of a run folder.
pub(super) fn replay_command(folder: &Path) -> String {
    format!(
        "bitvla-eval replay {}",
        quoted(&folder.display().to_string())
    )
}

/// A word as a POSIX shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=+%@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    //! Guarantee: a word that a shell would interpret is quoted.
    use super::quoted;

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(quoted("runs/a-b"), "runs/a-b");
        assert_eq!(quoted("a b; rm *"), "'a b; rm *'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
        assert_eq!(quoted(""), "''");
    }
}
