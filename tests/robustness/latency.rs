//! Times that were measured with another instruction set or another number of threads are told apart and never pooled.

use super::support::{card, checkpoint, read, run};
use bitvla_reports::read_latency;
use std::collections::BTreeSet;

#[test]
fn latencies_of_two_setups_are_not_pooled() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (checkpoint, out) = (checkpoint(dir.path()), dir.path().join("run"));
    let call = |episodes: usize, isa: Option<&str>, more: &[&str]| {
        let mut run = run("ternary", episodes, &out);
        run.args(["--jobs", "1", "--checkpoint"])
            .arg(&checkpoint)
            .args(more);
        if let Some(isa) = isa {
            run.env("BITVLA_ISA", isa);
        }
        run.assert().success();
    };
    call(1, Some("scalar"), &[]);
    let setups = card(&out)["setups"].clone();
    assert_eq!(setups.as_array().map(Vec::len), Some(1), "{setups}");
    assert_eq!(setups[0]["instruction_set"], "scalar");
    let one = read(&out.join("summary.txt"));
    assert_eq!(one.matches("whole query").count(), 1, "{one}");

    call(2, None, &["--threads", "2"]);
    let setups = card(&out)["setups"].clone();
    assert_eq!(setups.as_array().map(Vec::len), Some(2), "{setups}");
    assert_eq!(setups[1]["threads"], 2);
    let rows = read_latency(&out.join("latency.csv")).expect("rows");
    let by_episode: BTreeSet<_> = rows.iter().map(|row| (row.init, row.setup)).collect();
    assert_eq!(Vec::from_iter(by_episode), [(0, 0), (1, 1)]);
    let table = read(&out.join("summary.txt"));
    assert_eq!(table.matches("whole query").count(), 2, "{table}");
    for words in [
        "different setups, which are not pooled",
        "scalar, 1 thread,",
        ", 2 threads,",
    ] {
        assert!(table.contains(words), "`{words}` is not in: {table}");
    }
}
