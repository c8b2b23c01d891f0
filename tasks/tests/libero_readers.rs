//! Guarantee: the readers of model and mesh files read good files by the rules of MuJoCo, and report a mistake with its
//! file, its line and what was expected. Arbitrary bytes are tested in `fuzz.rs`.

#[path = "common/mjcf_samples.rs"]
mod mjcf_samples;

use bitvla_sim::{ModelDesc, ShapeDesc};
use bitvla_tasks::TaskError;
use bitvla_tasks::libero::from_memory;
use std::path::{Path, PathBuf};

/// A folder of one test, with the mesh that the model names.
fn folder(test: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    std::fs::create_dir_all(&dir).expect("a folder");
    std::fs::write(dir.join("hull.stl"), mjcf_samples::stl()).expect("written");
    dir
}

fn read(dir: &Path, text: &str) -> Result<ModelDesc, TaskError> {
    from_memory::model(&dir.join("thing.xml"), text, mjcf_samples::CATEGORY, true)
}

#[test]
fn good_files_are_read_as_they_are_meant() {
    let dir = folder("good_files");
    let model = read(&dir, mjcf_samples::MODEL).unwrap_or_else(|e| panic!("{e}"));
    let names: Vec<&str> = model.bodies.iter().map(|b| b.name.as_str()).collect();
    // The mass of the mesh has a body of its own; the origin of the door is its hinge.
    assert_eq!(names, ["main", "main_weight", "door"]);
    let weight = model.bodies[1].inertia.as_ref().map_or(0.0, |i| i.mass);
    // MuJoCo 2.3.7 gives a mesh the volume of its block of inertia.
    assert!((weight - 0.023_237_9).abs() < 1e-7, "{weight}");
    assert_eq!(model.bodies[2].pos, [0.15000000000000002, 0.0, 0.0]);
    let inertia = model.bodies[2].inertia.as_ref();
    assert_eq!(inertia.map(|i| i.com), Some([-0.05, 0.0, 0.0]));
    // Radians, whatever the file says.
    let range = model.bodies[2].joint.as_ref().map(|j| j.range);
    assert_eq!(range, Some([-90.0, 0.0]));
    let arena = from_memory::arena(&dir.join("scene.xml"), mjcf_samples::SCENE, "table");
    let arena = arena.unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(arena.model.bodies.len(), 2);
    let meshes = [
        ("thing.stl", mjcf_samples::stl(), 4),
        ("thing.msh", mjcf_samples::msh(), 1),
        ("thing.obj", mjcf_samples::OBJ.as_bytes().to_vec(), 2),
    ];
    for (name, bytes, count) in meshes {
        match from_memory::mesh(Path::new(name), &bytes) {
            Ok(ShapeDesc::Mesh {
                vertices,
                triangles,
                normals,
                ..
            }) => {
                assert_eq!(triangles.len(), count, "{name}");
                assert_eq!(normals.len(), vertices.len(), "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn mistakes_name_line_and_expectation() {
    let dir = folder("mistakes");
    let collides = "contype=\"0\" conaffinity=\"0\" group=\"1\" material";
    let cases = [
        ("0.1 0.1 0.05", "0.1 -0.1 0.05", "sizes above 0"),
        (
            "class=\"part\" size",
            "class=\"prat\" size",
            "the file: part",
        ),
        ("mesh=\"vis\"", "mesh=\"viz\"", "a mesh of <asset>"),
        (
            "material=\"wood\"/>",
            "material=\"wool\"/>",
            "a material of <asset>",
        ),
        (collides, "material", "vis.msh"),
        ("mass=\"0.3\"", "mass=\"heavy\"", "finite numbers"),
        ("mass=\"0.3\"", "mass=\"1e10\"", "up to 1e9"),
        ("range=\"-90 0\"", "range=\"0 -90\"", "low and high"),
        (
            "fromto=\"0 0 0 0 0 0.1\"",
            "fromto=\"0 0 0 0 0 0\"",
            "two points",
        ),
        ("type=\"capsule\"", "type=\"hfield\"", "capsule"),
        (
            "name=\"object\"",
            "name=\"objekt\"",
            "a body of that name inside",
        ),
    ];
    for (good, bad, words) in cases {
        let at = mjcf_samples::MODEL
            .find(good)
            .unwrap_or_else(|| panic!("{good}"));
        // The absence of the body is reported at the one around it, on the line above.
        let up = usize::from(bad.contains("objekt"));
        let line = mjcf_samples::MODEL[..at].lines().count() - up;
        let message = read(&dir, &mjcf_samples::MODEL.replacen(good, bad, 1))
            .expect_err(bad)
            .to_string();
        let place = format!("thing.xml:{line}: ");
        assert!(
            message.contains(&place) && message.contains(words),
            "{bad}: {message}"
        );
    }
    // A broken document is reported at its end.
    let message = read(
        &dir,
        &mjcf_samples::MODEL.replacen("</asset>", "<asset>", 1),
    )
    .expect_err("broken");
    assert!(message.to_string().contains("well-formed XML"), "{message}");
}

#[test]
fn counts_that_a_file_cannot_hold_are_refused() {
    for (at, count) in [(0, i32::MAX), (12, i32::MAX), (4, -1), (0, i32::MIN)] {
        let mut bad = mjcf_samples::msh();
        bad[at..at + 4].copy_from_slice(&count.to_le_bytes());
        let error = from_memory::mesh(Path::new("thing.msh"), &bad).expect_err("refused");
        assert!(
            error.to_string().starts_with("thing.msh:1: found counts"),
            "{error}"
        );
    }
    let mut bad = mjcf_samples::stl();
    bad[80..84].copy_from_slice(&u32::MAX.to_le_bytes());
    let error = from_memory::mesh(Path::new("thing.stl"), &bad).expect_err("refused");
    assert!(
        error
            .to_string()
            .contains("a count of 4294967295 triangles"),
        "{error}"
    );
}

/// A short file could need memory for the product of the numbers of its parts.
#[test]
fn short_files_that_ask_for_much_are_refused() {
    let dir = folder("short_files");
    let refused = |text: &str, words: &str| {
        let message = read(&dir, text).expect_err(words).to_string();
        assert!(
            message.contains("thing.xml:") && message.contains(words),
            "{message}"
        );
    };
    let classes: String = (0..300)
        .map(|i| format!("<default class=\"c{i}\"/>"))
        .collect();
    refused(
        &mjcf_samples::MODEL.replacen(
            "</default>\n  </default>",
            &format!("</default>{classes}</default>"),
            1,
        ),
        "at most 256 default classes",
    );
    let balls = "<geom type=\"ellipsoid\" size=\"1 1 1\" group=\"1\"/>".repeat(20_000);
    refused(
        &mjcf_samples::MODEL.replacen(
            "<site name=\"burner\"",
            &format!("{balls}<site name=\"burner\""),
            1,
        ),
        "at most 1000 geoms in a file",
    );
    // Found by fuzzing: forty finely divided planes took 831 MB.
    let plane = "<geom type=\"plane\" size=\"9 9 .01\" group=\"1\"/>".repeat(40);
    let planes = mjcf_samples::SCENE.replacen("<body", &format!("{plane}<body"), 1);
    let error = from_memory::arena(&dir.join("thing.xml"), &planes, "table").expect_err("too much");
    let message = error.to_string();
    assert!(
        message.contains("at most 1000000 drawn vertices"),
        "{message}"
    );
    // Missing meshes are drawn by the collision shapes of the body, but once.
    let missing =
        "<geom type=\"mesh\" mesh=\"vis\" group=\"1\" contype=\"0\" conaffinity=\"0\"/>".repeat(50);
    let many = mjcf_samples::MODEL.replacen(
        "<site name=\"burner\"",
        &format!("{missing}<site name=\"burner\""),
        1,
    );
    let pictures = |text: &str| {
        let model = read(&dir, text).unwrap_or_else(|e| panic!("{e}"));
        model.bodies[0].visual.len()
    };
    assert_eq!(pictures(&many), pictures(mjcf_samples::MODEL));
    let huge = mjcf_samples::MODEL.replacen("scale=\"0.1 0.1 0.1\"", "scale=\"1e9 1e9 1e9\"", 1);
    let _ = read(&dir, &huge);
    let dir_of_huge = folder("huge_mesh");
    let mut bytes = mjcf_samples::stl();
    for at in (96..84 + 50 * 4).step_by(50) {
        bytes[at..at + 4].copy_from_slice(&1e30f32.to_le_bytes());
    }
    std::fs::write(dir_of_huge.join("hull.stl"), bytes).expect("written");
    let message = read(&dir_of_huge, &huge)
        .expect_err("too large")
        .to_string();
    assert!(message.contains("hull.stl:1: found scaled by"), "{message}");
}
