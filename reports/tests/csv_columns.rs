//! Guarantee: docs/evaluation.md lists the columns of every CSV file, in the order in which they are written, and the schema version
//! that they belong to.

#[path = "common/card.rs"]
mod common;
#[path = "common/synthetic.rs"]
mod synthetic;

use bitvla_reports::{Comparison, SCHEMA_VERSION, write_episodes, write_latency};
use std::path::Path;
use synthetic::policy;

fn documentation() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/evaluation.md");
    std::fs::read_to_string(path).expect("the documentation")
}

/// First column of the table whose header names the file.
fn documented(file: &str) -> Vec<String> {
    let text = documentation();
    let header = format!("| `{file}` | type |");
    let lines = text.lines().skip_while(|line| !line.starts_with(&header));
    let rows = lines.skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.split('`').nth(1).unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn the_documented_columns_are_those_that_are_written() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let policies = vec![policy("full", 1, 2), policy("ternary", 1, 3)];
    let run = &policies[0].runs["spatial"];
    write_episodes(&dir.path().join("episodes.csv"), &run.episodes).expect("written");
    write_latency(&dir.path().join("latency.csv"), &run.queries).expect("written");
    let comparison = Comparison::new(policies).expect("a comparison");
    comparison.write_csv(dir.path()).expect("written");
    for file in [
        "episodes.csv",
        "latency.csv",
        "comparison.csv",
        "discordant.csv",
    ] {
        let text = std::fs::read_to_string(dir.path().join(file)).expect("a file");
        let written: Vec<&str> = text.lines().next().unwrap_or_default().split(',').collect();
        assert_eq!(documented(file), written, "{file}");
    }
    let version = format!("those of `schema_version` {SCHEMA_VERSION} ");
    assert!(documentation().contains(&version), "{version}");
}
