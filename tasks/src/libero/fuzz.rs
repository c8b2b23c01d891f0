//! Guarantee: whatever bytes stand in a model or mesh file, reading it neither panics nor reserves more
//! memory than the file justifies, and every rejection names the file and a line.

use super::mesh;
use super::mjcf::{self, Wanted};
use super::notice::Notices;
use crate::error::TaskError;
use proptest::prelude::*;
use std::path::Path;

const OBJECT: &str = r#"<mujoco model="thing">
  <compiler angle="degree" eulerseq="zyx" meshdir="."/>
  <default>
    <geom friction="0.9 0.1 0.1"/>
    <default class="part"><geom group="0" condim="4" type="box"/></default>
  </default>
  <asset>
    <texture name="wood" type="2d" file="wood.png"/>
    <material name="wood" texture="wood" specular="0.2" texrepeat="2 2" texuniform="true"/>
    <mesh name="vis" file="vis.msh" scale="0.5 0.5 0.5"/>
  </asset>
  <worldbody><body>
    <body name="object">
      <geom type="mesh" mesh="vis" contype="0" conaffinity="0" group="1" material="wood"/>
      <geom class="part" size="0.1 0.1 0.05" euler="0 0 90" mass="0.3"/>
      <site name="top" type="box" size="0.1 0.1 0.01" pos="0 0 0.05"/>
      <body name="door" pos="0.1 0 0" xyaxes="1 0 0 0 1 0">
        <inertial mass="0.2" pos="0 0 0" diaginertia="0.1 0.1 0.1"/>
        <joint name="hinge" axis="0 0 1" pos="0.05 0 0" range="-90 0" damping="0.5"/>
        <geom type="capsule" fromto="0 0 0 0 0 0.1" size="0.01"/>
        <geom type="cylinder" size="0.01 0.1" axisangle="1 0 0 90" group="1" contype="0" conaffinity="0"/>
      </body>
    </body>
    <site name="bottom_site" pos="0 0 -0.06"/>
    <site name="top_site" pos="0 0 0.04"/>
    <site name="horizontal_radius_site" pos="0.025 0.025 0"/>
  </body></worldbody>
</mujoco>
"#;

fn read(text: &[u8]) -> Result<bitvla_sim::ModelDesc, TaskError> {
    let text = String::from_utf8_lossy(text);
    let wanted = Wanted {
        name: "thing".into(),
        shown_sites: vec![("top", "hinge", 0.1)],
        ..Wanted::default()
    };
    mjcf::object_text(Path::new("thing.xml"), &text, &wanted, &Notices::default())
}

/// The message of a rejection begins with the file and a line.
fn placed<T>(result: Result<T, TaskError>) {
    if let Err(error) = result {
        let words = error.to_string();
        let line = words
            .strip_prefix("thing.")
            .and_then(|w| w.split(':').nth(1));
        assert!(line.is_some_and(|l| l.parse::<usize>().is_ok()), "{words}");
    }
}

fn stl() -> Vec<u8> {
    let mut bytes = vec![0; 80];
    bytes.extend(2u32.to_le_bytes());
    for t in 0..2u8 {
        for k in 0..12u8 {
            bytes.extend(f32::from(k * (t + 1) % 7).to_le_bytes());
        }
        bytes.extend([0, 0]);
    }
    bytes
}

fn msh() -> Vec<u8> {
    let mut bytes = Vec::new();
    for count in [3i32, 3, 3, 1] {
        bytes.extend(count.to_le_bytes());
    }
    for k in 0..24u8 {
        bytes.extend(f32::from(k).to_le_bytes());
    }
    for id in 0..3u32 {
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

const OBJ: &str = "# comment\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\nvn 0 0 1\n\
                   f 1/1/1 2/2/1 3/3/1\nf -3//1 -2//1 -1//1\n";

/// All formats: file name and good bytes.
fn meshes() -> [(&'static str, Vec<u8>); 3] {
    [
        ("thing.stl", stl()),
        ("thing.msh", msh()),
        ("thing.obj", OBJ.as_bytes().to_vec()),
    ]
}

#[test]
fn the_good_files_are_good() {
    let model = read(OBJECT.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
    let names: Vec<&str> = model.bodies.iter().map(|b| b.name.as_str()).collect();
    // The hinge lies beside the origin of the door and has a body of its own.
    assert_eq!(names, ["main", "door_hinge", "door"]);
    assert_eq!(model.bodies[1].pos, [0.15000000000000002, 0.0, 0.0]);
    assert_eq!(model.bodies[2].pos, [-0.05, 0.0, 0.0]);
    let range = model.bodies[1].joint.as_ref().map(|j| j.range);
    assert_eq!(range, Some([-std::f64::consts::FRAC_PI_2, 0.0]));
    for (name, bytes) in meshes() {
        let mesh = mesh::parse(Path::new(name), &bytes).unwrap_or_else(|e| panic!("{e}"));
        assert!(!mesh.triangles.is_empty(), "{name}");
    }
}

#[test]
fn mistakes_name_line_and_expectation() {
    let cases = [
        (
            "size=\"0.1 0.1 0.05\"",
            "size=\"0.1 -0.1 0.05\"",
            15,
            "sizes above 0",
        ),
        (
            "class=\"part\" size",
            "class=\"prat\" size",
            15,
            "main, part",
        ),
        ("mesh=\"vis\"", "mesh=\"viz\"", 14, "a mesh of <asset>"),
        (
            "material=\"wood\"/>",
            "material=\"wool\"/>",
            14,
            "a material of <asset>",
        ),
        (
            "contype=\"0\" conaffinity=\"0\" group=\"1\" material",
            "material",
            14,
            "vis.msh",
        ),
        ("mass=\"0.3\"", "mass=\"heavy\"", 15, "finite numbers"),
        ("range=\"-90 0\"", "range=\"0 -90\"", 19, "low and high"),
        (
            "fromto=\"0 0 0 0 0 0.1\"",
            "fromto=\"0 0 0 0 0 0\"",
            20,
            "two points",
        ),
        (
            "name=\"bottom_site\"",
            "name=\"botom_site\"",
            12,
            "bottom_site",
        ),
        ("type=\"capsule\"", "type=\"hfield\"", 20, "capsule"),
        ("</asset>", "<asset>", 11, "well-formed XML"),
        ("eulerseq=\"zyx\"", "eulerseq=\"zy\"", 2, "three of"),
    ];
    for (good, bad, line, words) in cases {
        let error = read(OBJECT.replacen(good, bad, 1).as_bytes()).expect_err(bad);
        let message = error.to_string();
        // The end of a broken document is where its parser notices.
        let at = message.starts_with(&format!("thing.xml:{line}: ")) || bad == "<asset>";
        assert!(at && message.contains(words), "{bad}: {message}");
    }
}

#[test]
fn counts_that_a_file_cannot_hold_are_refused_before_memory_is_asked_for() {
    let mut bytes = msh();
    for (at, count) in [(0, i32::MAX), (12, i32::MAX), (4, -1), (0, i32::MIN)] {
        let mut bad = bytes.clone();
        bad[at..at + 4].copy_from_slice(&count.to_le_bytes());
        placed(mesh::parse(Path::new("thing.msh"), &bad));
        assert!(mesh::parse(Path::new("thing.msh"), &bad).is_err());
    }
    bytes = stl();
    bytes[80..84].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(mesh::parse(Path::new("thing.stl"), &bytes).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn truncated_models_are_errors_with_a_place(end in 0..OBJECT.len()) {
        placed(read(&OBJECT.as_bytes()[..end]));
    }

    #[test]
    fn overwritten_models_never_panic(at in 0..OBJECT.len(), patch in "[ -~\n]{0,12}") {
        let mut bytes = OBJECT.as_bytes().to_vec();
        let end = (at + patch.len()).min(bytes.len());
        bytes.splice(at..end, patch.bytes());
        placed(read(&bytes));
    }

    #[test]
    fn changed_numbers_never_panic(which in 0..60usize, number in "[-+]?[0-9]{0,3}(\\.[0-9]{0,3})?(e[-+]?[0-9]{1,3})?") {
        // The n-th number between quotes or blanks.
        let spots: Vec<usize> = OBJECT.char_indices()
            .filter(|(i, c)| c.is_ascii_digit() && OBJECT[..*i].ends_with(['"', ' ']))
            .map(|(i, _)| i)
            .collect();
        let at = spots[which % spots.len()];
        let text = format!("{}{number}{}", &OBJECT[..at], &OBJECT[at + 1..]);
        placed(read(text.as_bytes()));
    }

    #[test]
    fn broken_meshes_never_panic(
        which in 0..3usize,
        cut in 0..500usize,
        changes in prop::collection::vec((0..500usize, any::<u8>()), 0..6),
    ) {
        let (name, mut bytes) = meshes()[which].clone();
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        bytes.truncate(bytes.len().max(cut) - cut.min(bytes.len()) / 7);
        let result = mesh::parse(Path::new(name), &bytes);
        if let Ok(mesh) = &result {
            let shaded = mesh.shaded();
            assert_eq!(shaded.normals.len(), shaded.vertices.len());
            let _ = mesh.solid();
        }
        placed(result);
    }
}
