//! Guarantee: every kind of bad input ends with code 2 and one message that names what was found and what was expected; nothing is
//! written then. Each case is a command line and the words of its message; `{}` is a folder with runs, broken files and empty folders.

#[path = "common/program.rs"]
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use support::{program, run};

/// Command line, and words of the first line on standard error.
type Case = (&'static str, &'static [&'static str]);

/// Options of a run.
const RUNS: [Case; 56] = [
    (
        "--policy nonsense",
        &[
            "there is no policy `nonsense`",
            "ternary, full",
            "replay:RUN_DIR",
        ],
    ),
    ("--policy ternary,,full", &["there is no policy ``"]),
    ("--policy full,full", &["`full` is named twice"]),
    ("--policy replay", &["`replay` needs RUN_DIR"]),
    (
        "--policy replay:{}/nowhere",
        &["nowhere/run.json is missing", "finished run"],
    ),
    ("--policy replay:{}/empty", &["empty/run.json is missing"]),
    ("--policy expert:argument", &["`expert` takes no argument"]),
    (
        "--suite nowhere --policy zero",
        &["there is no suite `nowhere`", "spatial, object, goal, long"],
    ),
    (
        "--suite {}/empty --policy zero",
        &["empty: found no *.bddl", "expected BDDL files"],
    ),
    ("--suite {}/file --policy zero", &["file", "suite"]),
    ("--tasks x", &["--tasks", "'x'", "whole number"]),
    ("--tasks -1", &["--tasks", "'-1'", "whole number"]),
    ("--policy zero --tasks 99", &["tasks 0 to 9, not 99"]),
    (
        "--policy zero --tasks 0 --episodes 51",
        &["50 stored initial states", "51"],
    ),
    (
        "--episodes 0",
        &["--episodes", "whole number of at least 1"],
    ),
    (
        "--episodes -3",
        &["--episodes", "whole number of at least 1"],
    ),
    (
        "--episodes many",
        &["--episodes", "'many'", "whole number of at least 1"],
    ),
    ("--jobs 0", &["--jobs", "whole number of at least 1"]),
    (
        "--policy ternary --seed 3",
        &["--seed", "nothing is random"],
    ),
    (
        "--policy random --seed -1",
        &["--seed", "'-1'", "whole number of at least 0"],
    ),
    ("--shard 3/3", &["--shard", "I from 0 to N - 1"]),
    ("--shard 1", &["--shard", "I/N"]),
    ("--shard 0/0", &["--shard", "I/N"]),
    (
        "--policy zero --tasks 0 --episodes 1 --shard 1/2 --out {}/new",
        &["shard 1/2 of 1 episodes has none"],
    ),
    (
        "--policy zero,expert --shard 0/2",
        &["--shard", "several policies"],
    ),
    ("--policy ternary --latency -1", &["--latency", "'-1'"]),
    ("--policy ternary --latency nan", &["--latency", "'nan'"]),
    (
        "--policy ternary --latency {}/numbers",
        &["numbers: line 2: found `x`", "milliseconds"],
    ),
    (
        "--policy ternary --latency {}/nowhere",
        &["nowhere", "`measured`, or a file"],
    ),
    (
        "--policy expert --latency measured",
        &["--latency measured", "no network"],
    ),
    (
        "--policy expert --latency 50",
        &["--latency 50", "no network"],
    ),
    (
        "--policy ternary --sanity sideways",
        &[
            "no sanity check `sideways`",
            "blackout, freeze, instruction",
        ],
    ),
    (
        "--policy expert --sanity blackout",
        &["--sanity blackout", "no network"],
    ),
    (
        "--policy full --engine tensorflow",
        &["'tensorflow'", "native, candle"],
    ),
    (
        "--policy ternary --engine candle",
        &["`candle`", "policy `full`, not `ternary`"],
    ),
    (
        "--policy ternary --threads 0",
        &["--threads", "whole number of at least 1"],
    ),
    (
        "--policy ternary --checkpoint {}/nowhere",
        &["nowhere/config.json is missing", "--checkpoint DIR"],
    ),
    (
        "--policy ternary --checkpoint {}/empty",
        &["empty/config.json is missing"],
    ),
    (
        "--policy ternary --checkpoint {}/file",
        &["file: is not a packed policy"],
    ),
    (
        "--policy zero --checkpoint {}/empty",
        &["--checkpoint: `zero` has no checkpoint"],
    ),
    (
        "--policy ternary --normaliser-key unknown",
        &["no statistics for `unknown`", "there are: spatial"],
    ),
    (
        "--policy zero --normaliser-key spatial",
        &["--normaliser-key: `zero` has no checkpoint"],
    ),
    ("--query-limit 0", &["--query-limit", "above 0"]),
    (
        "--query-limit forever",
        &["--query-limit", "'forever'", "seconds"],
    ),
    (
        "--policy zero --tasks 0 --episodes 1 --out {}/file",
        &["file: found a file, expected a run folder"],
    ),
    (
        "--policy zero --tasks 0 --episodes 1 --out {}/foreign",
        &["foreign holds episodes.csv, but no journal"],
    ),
    (
        "--policy zero --tasks 0 --episodes 1 --out {}/expert",
        &["another protocol", "\"expert\" against \"zero\""],
    ),
    ("--video x", &["--video", "'x'", "whole number"]),
    (
        "--policy zero --bddl {}/words.bddl",
        &["--bddl", "--libero DIR"],
    ),
    ("--init {}/file", &["required arguments were not provided"]),
    (
        "--policy zero --suite libero:spatial",
        &["libero:spatial", "--libero DIR"],
    ),
    (
        "--policy zero --libero {}/nowhere --suite libero:spatial",
        &["nowhere: found no such folder", "LIBERO checkout"],
    ),
    (
        "--policy zero --assets {}/nowhere",
        &["nowhere/suites is missing", "--assets DIR"],
    ),
    (
        "--policy zero --assets {}/empty",
        &["empty/suites is missing"],
    ),
    ("--polcy zero", &["'--polcy'"]),
    (
        "--policy zero list",
        &["`--policy` before `list`", "behind it"],
    ),
];

/// Other commands.
const COMMANDS: [Case; 52] = [
    (
        "report {}/expert --replay 0",
        &["'0' for '--replay", "at least 1"],
    ),
    (
        "report {}/expert --replay 0:1,2",
        &["found `2`", "expected a task and an initial state"],
    ),
    ("nonsense", &["unrecognized subcommand 'nonsense'"]),
    ("replay", &["required arguments were not provided"]),
    (
        "replay {}/nowhere",
        &["nowhere/run.json is missing", "finished run"],
    ),
    ("replay {}/empty", &["empty/run.json is missing"]),
    (
        "replay {}/expert --jobs 0",
        &["--jobs", "whole number of at least 1"],
    ),
    ("compare {}/expert", &["2 values required"]),
    (
        "compare {}/expert {}/nowhere",
        &["nowhere/run.json is missing"],
    ),
    (
        "compare {}/expert {}/expert",
        &["both runs of policy `expert`", "LABEL=DIR"],
    ),
    ("compare {}/expert {}/object", &["no suite in common"]),
    ("diff {}/expert", &["required arguments were not provided"]),
    (
        "diff {}/expert {}/nowhere",
        &["nowhere/run.json is missing"],
    ),
    (
        "diff {}/expert {}/object",
        &["suite spatial", "one of object"],
    ),
    ("merge {}/expert", &["required arguments were not provided"]),
    (
        "merge {}/nowhere --out {}/new",
        &["nowhere/journal.jsonl is missing"],
    ),
    (
        "merge {}/expert {}/zero --out {}/new",
        &[
            "zero: protocol differs",
            "policy: \"expert\" against \"zero\"",
        ],
    ),
    ("check {}/expert", &["required arguments were not provided"]),
    (
        "check {}/expert --baseline {}/nowhere",
        &["nowhere is missing", "--rebaseline --reason"],
    ),
    (
        "check {}/expert --baseline {}/broken",
        &["broken", "line 1 column"],
    ),
    (
        "check {}/expert --baseline {}/file",
        &["file", "line 1 column"],
    ),
    (
        "check {}/nowhere --baseline {}/broken",
        &["nowhere/run.json is missing"],
    ),
    (
        "check {}/expert {}/zero --baseline {}/broken",
        &["policy is zero, expected expert"],
    ),
    (
        "check {}/expert {}/expert --baseline {}/broken",
        &["a second run of suite spatial"],
    ),
    (
        "check {}/expert --baseline {}/new --rebaseline",
        &["required arguments were not provided"],
    ),
    (
        "check --plan --margin 0",
        &["--margin", "above 0 and below 100"],
    ),
    (
        "check --plan --margin -3",
        &["--margin", "above 0 and below 100"],
    ),
    (
        "check --plan --level 100",
        &["--level", "above 0 and below 100"],
    ),
    (
        "check --plan --success 101",
        &["--success", "above 0 and below 100"],
    ),
    ("check --plan --sequential", &["cannot be used with"]),
    (
        "check {}/expert --baseline b --latency-margin -1",
        &["--latency-margin", "'-1'", "0 to 1000"],
    ),
    (
        "check {}/expert --baseline b --weights-margin nan",
        &["--weights-margin", "'nan'", "0 to 1000"],
    ),
    ("failures {}/nowhere", &["nowhere/run.json is missing"]),
    ("failures {}/empty", &["empty/run.json is missing"]),
    ("pack {}/nowhere {}/new", &["nowhere/config.json"]),
    ("pack {}/empty", &["required arguments were not provided"]),
    ("pack --check {}/file", &["file: is not a packed policy"]),
    (
        "pack {}/empty {}/new --policy int3",
        &["`int3` is not known", "ternary, full"],
    ),
    ("bench --model enormous", &["'enormous'"]),
    (
        "bench --queries 0",
        &["--queries", "whole number of at least 1"],
    ),
    ("bench --dtype f8", &["'f8'"]),
    ("bench --seed x", &["--seed", "'x'", "whole number"]),
    ("bench --policy expert", &["`expert` has no weights"]),
    (
        "parity --libero {}/nowhere --reference {}/empty",
        &["nowhere: found no such folder"],
    ),
    (
        "parity --reference {}/empty",
        &["required arguments were not provided"],
    ),
    (
        "parity --libero {} --reference {} --only nonsense",
        &["'nonsense'"],
    ),
    ("render --task 99 --out {}/new", &["tasks 0 to 9, not 99"]),
    (
        "render --init 99 --out {}/new",
        &["50 stored initial states", "99"],
    ),
    (
        "render --suite nowhere --out {}/new",
        &["there is no suite `nowhere`"],
    ),
    ("sweep", &["required arguments were not provided"]),
    ("sweep --latency 0 --mark nonsense", &["--mark", "NAME=MS"]),
    (
        "sweep --latency 0 --policy expert",
        &["`expert` has no network"],
    ),
];

/// Makes what the cases name.
fn prepare(dir: &Path) {
    for policy in ["expert", "zero"] {
        run(policy, 1, &dir.join(policy)).assert().success();
    }
    let mut object = run("zero", 1, &dir.join("object"));
    object.args(["--suite", "object"]).assert().success();
    for folder in ["empty", "foreign"] {
        fs::create_dir(dir.join(folder)).expect("a folder");
    }
    for (file, text) in [
        ("file", "text\n"),
        ("foreign/episodes.csv", "somebody's\n"),
        ("broken", "{\"baseline_version\": 1"),
        ("numbers", "1\nx\n"),
        ("words.bddl", "(define (problem"),
    ] {
        fs::write(dir.join(file), text).expect("written");
    }
}

/// Relative names and sizes of all files in a folder.
fn files(dir: &Path) -> BTreeSet<(String, u64)> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        }
        let size = path.metadata().expect("metadata").len();
        found.insert((path.display().to_string(), size));
    }
    found
}

#[test]
fn bad_input_ends_with_code_2_and_one_message() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    prepare(dir.path());
    let before = files(dir.path());
    let mut wrong = Vec::new();
    for (line, words) in RUNS.iter().chain(&COMMANDS) {
        let mut command = program();
        let folder = dir.path().display().to_string();
        command.args(line.split(' ').map(|word| word.replace("{}", &folder)));
        let output = command.output().expect("runs");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let first = text.lines().next().unwrap_or_default();
        let missing = words.iter().find(|word| !first.contains(**word));
        // Our own messages are one line; the parser of the command line adds its usage.
        let own = text.lines().count() == 1 || text.contains("--help");
        if output.status.code() != Some(2)
            || !first.starts_with("error: ")
            || missing.is_some()
            || !own
            || text.contains("panicked")
        {
            wrong.push(format!(
                "{line}\n  code {:?}, missing {missing:?}: {text}",
                output.status.code()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(files(dir.path()), before, "something was written");
}

#[test]
fn an_unknown_instruction_set_is_refused() {
    let mut list = program();
    let output = list
        .arg("list")
        .env("BITVLA_ISA", "sse9")
        .output()
        .expect("runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(
        text.contains("BITVLA_ISA=sse9: expected one of scalar, avx2"),
        "{text}"
    );
}
