//! Guarantees: `export` writes a checkpoint as ONNX, in float and in int8, says what the file holds, and `--policy onnx:FILE` runs it like
//! any other policy; what is no such file, has other inputs, or lacks the library of ONNX Runtime is refused with what to do. The runs need
//! the library (`ORT_DYLIB_PATH`).

#[path = "common/program.rs"]
mod support;

use std::path::Path;
use support::{card, program, refused};

fn export(words: &[&str], out: &Path) -> String {
    let mut export = program();
    export.args(["export", "--suite", "spatial"]).args(words);
    let done = export.arg("--out").arg(out).assert().success();
    String::from_utf8(done.get_output().stdout.clone()).expect("text")
}

#[test]
fn a_model_says_what_it_holds() {
    let dir = tempfile::tempdir().expect("a folder");
    let printed = export(&["--policy", "full"], dir.path());
    for words in [
        "float32",
        "images float32 [2, 3, 112, 112]",
        "actions float32 [8, 7]",
    ] {
        assert!(printed.contains(words), "{printed}");
    }
    for name in [
        "model.onnx",
        "config.json",
        "tokenizer.json",
        "dataset_statistics.json",
    ] {
        assert!(dir.path().join(name).is_file(), "{name}");
    }
}

#[test]
fn what_cannot_be_run_or_written_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    export(&["--policy", "full"], dir.path());
    let policy = format!("onnx:{}", dir.path().join("model.onnx").display());
    let mut missing = program();
    missing
        .args(["--policy", &policy])
        .env("ORT_DYLIB_PATH", "/nowhere/lib.so");
    refused(missing, &["/nowhere/lib.so", "--ort-lib", "onnxruntime=="]);
    let mut readme = program();
    readme.args(["--policy", "onnx:README.md"]);
    refused(readme, &["README.md", "no ONNX model"]);
    let mut int4 = program();
    int4.args(["export", "--policy", "int4", "--out", "x"]);
    refused(int4, &["int4", "expected full or ternary"]);
    let mut both = program();
    both.args(["export", "--policy", "ternary", "--int8", "--out", "x"]);
    refused(both, &["--int8", "ternary"]);
}

#[test]
#[ignore = "needs ONNX Runtime: ORT_DYLIB_PATH, see docs/onnx.md"]
fn exported_models_are_evaluated() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name);
    let printed = export(&["--int8", "--observations", "20"], &path("int8"));
    assert!(printed.contains("int8 1."), "{printed}");
    export(&["--policy", "full"], &path("full"));
    for (name, arithmetic) in [("full", "dense"), ("int8", "quantised")] {
        let policy = format!("onnx:{}", path(name).join("model.onnx").display());
        let out = path(&format!("run {name}"));
        let mut run = program();
        run.args(["--suite", "spatial", "--policy", &policy, "--tasks", "0,1"]);
        run.args(["--episodes", "1", "--out"])
            .arg(&out)
            .assert()
            .success();
        let protocol = &card(&out)["protocol"];
        assert_eq!(
            (&protocol["policy"], &protocol["arithmetic"]),
            (&"onnx".into(), &arithmetic.into())
        );
        let engine = protocol["engine"].as_str().unwrap_or_default();
        assert!(
            engine.starts_with("ONNX Runtime, libonnxruntime.so.1."),
            "{engine}"
        );
        let rows = bitvla_reports::read_episodes(&out.join("episodes.csv")).expect("rows");
        assert!(
            rows.iter()
                .all(|row| row.error.is_empty() && row.queries > 3),
            "{rows:?}"
        );
    }
    // A graph of another network beside the config of this one.
    let config = path("full").join("config.json");
    let text = support::read(&config);
    let other = text.replacen("\"action_chunk\": 8", "\"action_chunk\": 4", 1);
    assert_ne!(text, other, "{text}");
    std::fs::write(&config, other).expect("written");
    let mut odd = program();
    odd.args([
        "--policy",
        &format!("onnx:{}", path("full").join("model.onnx").display()),
    ]);
    refused(
        odd,
        &[
            "outputs: found actions float32 [8, 7]",
            "expected actions float32 [4, 7]",
        ],
    );
}
