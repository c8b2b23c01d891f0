//! Guarantee: a run that is killed at any moment and called again ends with the bytes of a run that nobody disturbed. 100 runs are
//! killed at random moments from their start to their end.
#![cfg(unix)]

#[path = "common/program.rs"]
mod support;

use bitvla_policies::testing::SplitMix64;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use support::{process, run};

/// Runs that are killed.
const KILLS: u64 = 100;
/// Episodes of a run.
const EPISODES: usize = 3;
const FILES: [&str; 3] = ["episodes.csv", "actions.bin", "hashes.bin"];

fn files(out: &Path) -> [Vec<u8>; 3] {
    FILES.map(|name| fs::read(out.join(name)).unwrap_or_else(|e| panic!("{name}: {e}")))
}

/// Rows in the journal.
fn finished(out: &Path) -> usize {
    let journal = fs::read(out.join("journal.jsonl")).unwrap_or_default();
    journal
        .iter()
        .filter(|b| **b == b'\n')
        .count()
        .saturating_sub(1)
}

#[test]
fn a_killed_run_loses_nothing_that_was_finished() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let undisturbed = dir.path().join("undisturbed");
    let start = Instant::now();
    run("expert", EPISODES, &undisturbed).assert().success();
    let whole = start.elapsed();
    let expected = files(&undisturbed);
    let mut random = SplitMix64::new(100);
    let mut moments = [0; 3];
    for kill in 0..KILLS {
        let out = dir.path().join(format!("run{kill}"));
        let mut command = process("expert", EPISODES, &out);
        let mut running = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("runs");
        let part = (random.next_u64() % 1000) as u32;
        std::thread::sleep(whole * part / 1000);
        // It may have ended already.
        running.kill().expect("killed");
        running.wait().expect("ended");
        let kept = finished(&out);
        moments[if kept == 0 {
            0
        } else {
            usize::from(kept == EPISODES) + 1
        }] += 1;
        let again = run("expert", EPISODES, &out)
            .timeout(Duration::from_secs(300))
            .output();
        let again = again.expect("runs");
        let text = String::from_utf8_lossy(&again.stderr).into_owned();
        assert!(again.status.success(), "kill {kill}: {text}");
        assert!(
            files(&out) == expected,
            "kill {kill} after {part} thousandths"
        );
        // What was on the disk was not run again.
        assert!(kept <= finished(&out), "kill {kill}");
    }
    println!("killed before the first episode, between, after the last: {moments:?}");
}
