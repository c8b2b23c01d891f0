//! Guarantee: a broken model file is an error that names the line and the mistake there, and a truncated or
//! overwritten one never makes the loader panic.

use super::validate_model;
use crate::assets::toml_file::parse_toml;
use crate::error::TaskError;
use bitvla_sim::ModelDesc;
use proptest::prelude::*;
use std::path::Path;

const GOOD: &str = r#"name = "thing"
[materials.red]
rgb = [1.0, 0.0, 0.0]
[[bodies]]
name = "main"
[[bodies.collision]]
shape = { box = { half = [0.1, 0.1, 0.1] } }
friction = 0.95
density = 100.0
[[bodies]]
name = "drawer"
parent = "main"
joint = { name = "level", kind = "slide", axis = [0.0, 1.0, 0.0], range = [-0.16, 0.01] }
[[bodies.visual]]
shape = { sphere = { radius = 0.1 } }
quat_wxyz = [1.0, 0.0, 0.0, 0.0]
material = "red"
"#;

fn read(text: &str) -> Result<ModelDesc, TaskError> {
    let path = Path::new("thing.toml");
    let model: ModelDesc = parse_toml(path, text)?;
    validate_model(path, text, &model)?;
    Ok(model)
}

#[test]
fn the_good_text_is_good() {
    read(GOOD).expect("no mistake in it");
}

#[test]
fn mistakes_are_named_with_their_line() {
    let cases = [
        (
            "parent = \"main\"",
            "parent = \"trunk\"",
            10,
            "parent `trunk`",
        ),
        ("parent = \"main\"", "", 10, "no parent"),
        ("name = \"drawer\"", "name = \"main\"", 10, "second `main`"),
        (
            "[1.0, 0.0, 0.0, 0.0]",
            "[1.0, 1.0, 0.0, 0.0]",
            14,
            "quaternion",
        ),
        (
            "[-0.16, 0.01]",
            "[0.16, 0.01]",
            10,
            "joint range [0.16, 0.01]",
        ),
        ("[-0.16, 0.01]", "[-inf, 0.01]", 10, "range -inf"),
        (
            "material = \"red\"",
            "material = \"blue\"",
            14,
            "material `blue`",
        ),
        (
            "half = [0.1, 0.1, 0.1]",
            "half = [0.1, nan, 0.1]",
            6,
            "half NaN",
        ),
        (
            "half = [0.1, 0.1, 0.1]",
            "half = [0.1, -0.1, 0.1]",
            6,
            "half -0.1",
        ),
        (
            "box = { half = [0.1, 0.1, 0.1] }",
            "lathe = { segments = 8, profile = [[0.0, 0.0], [1.0, 0.0]] }",
            6,
            "only drawn",
        ),
        (
            "name = \"thing\"",
            "name = \"thing\"\narticulation = { open = [0.1, -0.1] }",
            1,
            "articulation.open [0.1, -0.1]",
        ),
        (
            "name = \"thing\"",
            "name = \"thing\"\narticulation = { sample_close = [nan, 0.0] }",
            1,
            "articulation.sample_close NaN",
        ),
        ("radius = 0.1", "radius = 1e9", 14, "radius 1000000000"),
        (
            "half = [0.1, 0.1, 0.1]",
            "half = [0.1, 2e3, 0.1]",
            6,
            "half 2000",
        ),
        ("friction = 0.95", "frction = 0.95", 8, "frction"),
        ("friction = 0.95", "friction = ", 8, "friction ="),
    ];
    for (good, bad, line, words) in cases {
        let error = read(&GOOD.replacen(good, bad, 1)).expect_err(bad);
        let message = error.to_string();
        assert!(
            message.starts_with(&format!("thing.toml:{line}: ")) && message.contains(words),
            "{bad}: {message}"
        );
    }
}

#[test]
fn a_lathe_has_a_bounded_profile() {
    let profile = "[0.1, 0.0], ".repeat(20_000);
    let lathe = format!("shape = {{ lathe = {{ segments = 8, profile = [{profile}] }} }}");
    let text = GOOD.replacen("shape = { sphere = { radius = 0.1 } }", &lathe, 1);
    let message = read(&text).expect_err("too long").to_string();
    assert!(message.contains("a profile of 20000 points"), "{message}");
}

proptest! {
    #[test]
    fn truncated_files_never_panic(end in 0..GOOD.len()) {
        let _ = read(&GOOD[..end]);
    }

    #[test]
    fn overwritten_files_never_panic(at in 0..GOOD.len(), patch in "[ -~\n]{0,12}") {
        let end = (at + patch.len()).min(GOOD.len());
        let _ = read(&format!("{}{patch}{}", &GOOD[..at], &GOOD[end..]));
    }
}
