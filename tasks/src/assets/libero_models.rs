//! Objects and fixtures of LIBERO by category: their files, and what LIBERO's classes add to them in Python
//! (`docs/reference/libero.md`, sections 6 and 7; `docs/reference/libero-objects.md`): joint thresholds, the orientation
//! of a freshly placed object, and which of them are welded to the world.

use crate::error::TaskError;
use crate::mjcf::{self, ImportOptions, Notices, ShownSite};
use bitvla_sim::{ArticulationDesc, ModelDesc};
use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};
use std::path::{Path, PathBuf};

/// Folders of the asset folder; true if a model there has a folder of its own.
const FOLDERS: [(&str, bool); 5] = [
    ("articulated_objects", false),
    ("stable_hope_objects", true),
    ("stable_scanned_objects", true),
    ("turbosquid_objects", true),
    // LIBERO-PRO's.
    ("custom_objects", true),
];
/// Categories that are welded to the world although they have no joints.
const WELDED: [&str; 4] = [
    "desk_caddy",
    "wine_rack",
    "wooden_shelf",
    "wooden_two_layer_shelf",
];
/// Open end of a threshold interval, rad or m.
const FAR: f64 = 1000.0;

/// Rotations of a freshly placed object in order: axis (`x`, `y` or `z`) with lowest and highest angle, rad.
pub(super) type RotationRanges = Vec<(char, [f64; 2])>;

/// Finds the file of a category; true if it is a fixture.
pub(super) fn find_file(assets: &Path, category: &str) -> Option<(PathBuf, bool)> {
    if category.is_empty() || category.contains(['/', '\\', '.']) {
        return None;
    }
    let file = class_file(category);
    for (folder, nested) in FOLDERS {
        let mut path = assets.join(folder);
        if nested {
            path.push(file);
        }
        path.push(format!("{file}.xml"));
        if path.is_file() {
            let fixed = !nested || WELDED.contains(&file);
            return Some((path, fixed));
        }
    }
    None
}

fn class_file(category: &str) -> &str {
    match category {
        // The class name of this one has no underscore before the number.
        "chefmate8_frypan" => "chefmate_8_frypan",
        other => other,
    }
}

/// Candidate files of a category, in words.
pub(super) fn candidate_files(category: &str) -> String {
    let file = class_file(category);
    let candidate = |(folder, nested): (&str, bool)| match nested {
        false => format!("{folder}/{file}.xml"),
        true => format!("{folder}/{file}/{file}.xml"),
    };
    FOLDERS.map(candidate).join(" or ")
}

/// Names of all categories that have a file, sorted. Partial copies of LIBERO lack some folders.
pub(super) fn categories(assets: &Path) -> Vec<String> {
    let mut names: Vec<String> = FOLDERS
        .iter()
        .filter_map(|(folder, _)| std::fs::read_dir(assets.join(folder)).ok())
        .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
        .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
        .filter(|name| find_file(assets, name).is_some())
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Reads a category.
pub(super) fn read(
    path: &Path,
    category: &str,
    fixed: bool,
    notices: &Notices,
) -> Result<ModelDesc, TaskError> {
    parse(path, &mjcf::read_text(path)?, category, fixed, notices)
}

/// [`read`] of a text that was read.
pub(crate) fn parse(
    path: &Path,
    text: &str,
    category: &str,
    fixed: bool,
    notices: &Notices,
) -> Result<ModelDesc, TaskError> {
    let shown_sites = match category {
        // LIBERO shows the burner while the knob is turned to on.
        "flat_stove" => vec![ShownSite {
            site: "burner",
            joint: "button",
            at_least: 0.5,
        }],
        _ => Vec::new(),
    };
    let options = ImportOptions {
        name: category.to_owned(),
        shown_sites,
        is_free: !fixed,
        ..ImportOptions::default()
    };
    let mut model = mjcf::parse_object(path, text, &options, notices)?;
    model.articulation = articulation(category);
    if !fixed {
        let rotations: Vec<(char, f64)> = (rotation_ranges(category, path).into_iter())
            .map(|(axis, [low, high])| (axis, 0.5 * (low + high)))
            .collect();
        model.placement.quat_wxyz = placed_orientation(&rotations);
    }
    Ok(model)
}

/// Joint thresholds and the ranges sampled at reset.
fn articulation(category: &str) -> Option<ArticulationDesc> {
    match category {
        "wooden_cabinet" | "white_cabinet" => Some(ArticulationDesc {
            open: Some([-FAR, -0.14]),
            close: Some([0.0, FAR]),
            sample_open: Some([-0.16, -0.14]),
            sample_close: Some([0.0, 0.005]),
            ..ArticulationDesc::default()
        }),
        "microwave" => Some(ArticulationDesc {
            open: Some([-FAR, -1.3]),
            close: Some([-0.005, FAR]),
            sample_open: Some([-2.094, -1.3]),
            sample_close: Some([-0.005, 0.0]),
            ..ArticulationDesc::default()
        }),
        "short_cabinet" => Some(ArticulationDesc {
            open: Some([0.10, FAR]),
            close: Some([-FAR, 0.0]),
            sample_open: Some([0.10, 0.16]),
            sample_close: Some([-0.005, 0.0]),
            ..ArticulationDesc::default()
        }),
        "short_fridge" => Some(ArticulationDesc {
            open: Some([2.0, FAR]),
            close: Some([-FAR, 0.0]),
            sample_open: Some([2.0, 2.7]),
            sample_close: Some([-0.005, 0.0]),
            ..ArticulationDesc::default()
        }),
        "flat_stove" => Some(ArticulationDesc {
            turn_on: Some([0.5, FAR]),
            turn_off: Some([-FAR, 0.0]),
            sample_on: Some([0.5, 2.1]),
            sample_off: Some([-0.005, 0.0]),
            ..ArticulationDesc::default()
        }),
        _ => None,
    }
}

/// Rotations of a freshly placed object of a category (`docs/reference/libero-objects.md`, last column).
fn rotation_ranges(category: &str, path: &Path) -> RotationRanges {
    let right = [FRAC_PI_2; 2];
    let one = |axis: char, range: [f64; 2]| vec![(axis, range)];
    match category {
        "alphabet_soup" | "tomato_sauce" => one('z', right),
        "butter" | "chocolate_pudding" | "cream_cheese" | "popcorn" | "simple_rack" => {
            one('x', [0.0; 2])
        }
        "ketchup"
        | "macaroni_and_cheese"
        | "milk"
        | "orange_juice"
        | "salad_dressing"
        | "new_salad_dressing" => vec![('x', right), ('z', right)],
        "porcelain_mug" | "red_coffee_mug" | "white_yellow_mug" => one('x', [-FRAC_PI_2; 2]),
        "black_book" | "yellow_book" => one('x', [-FRAC_PI_2, -FRAC_PI_4]),
        "libero_mug_yellow" | "libero_mug_green" | "red_box" => {
            vec![('x', [-FRAC_PI_2; 2]), ('y', [-PI; 2]), ('z', [PI; 2])]
        }
        "red_sticker" | "blue_red_sticker" => ['x', 'y', 'z'].map(|axis| (axis, [0.0; 2])).into(),
        _ => {
            let scanned = ["stable_hope_objects", "stable_scanned_objects"];
            let folder = path
                .components()
                .any(|c| scanned.contains(&c.as_os_str().to_string_lossy().as_ref()));
            one('x', if folder { right } else { [0.0; 2] })
        }
    }
}

/// Orientation `[w, x, y, z]` after rotations by given angles (rad). LIBERO multiplies quaternions written x, y, z, w
/// and then reads the numbers as w, x, y, z (`docs/reference/libero.md`, section 7).
fn placed_orientation(rotations: &[(char, f64)]) -> [f64; 4] {
    // x, y, z, w
    let mut q = [0.0, 0.0, 0.0, 1.0];
    for (axis, angle) in rotations {
        let (s, c) = (libm::sin(0.5 * angle), libm::cos(0.5 * angle));
        let mut p = [0.0, 0.0, 0.0, c];
        p[match axis {
            'x' => 0,
            'y' => 1,
            _ => 2,
        }] = s;
        q = [
            p[3] * q[0] + p[0] * q[3] + p[1] * q[2] - p[2] * q[1],
            p[3] * q[1] - p[0] * q[2] + p[1] * q[3] + p[2] * q[0],
            p[3] * q[2] + p[0] * q[1] - p[1] * q[0] + p[2] * q[3],
            p[3] * q[3] - p[0] * q[0] - p[1] * q[1] - p[2] * q[2],
        ];
    }
    q
}
