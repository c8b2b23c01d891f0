//! Objects and fixtures of LIBERO by category: where their files lie, and what LIBERO's classes add to
//! them in Python (fact sheet sections 6 and 7, OBJECTS.md): joint thresholds, the orientation of a
//! freshly placed object, and which of them are welded to the world.

use super::mjcf::{self, Wanted};
use super::notice::Notices;
use crate::error::TaskError;
use bitvla_sim::{ArticulationDesc, ModelDesc};
use std::f64::consts::{FRAC_PI_2, FRAC_PI_4};
use std::path::{Path, PathBuf};

/// Folders of the asset folder, and whether a model there has a folder of its own.
const FOLDERS: [(&str, bool); 4] = [
    ("articulated_objects", false),
    ("stable_hope_objects", true),
    ("stable_scanned_objects", true),
    ("turbosquid_objects", true),
];
/// Categories that stand for furniture although they have no joints.
const WELDED: [&str; 4] = [
    "desk_caddy",
    "wine_rack",
    "wooden_shelf",
    "wooden_two_layer_shelf",
];
/// Open ends of threshold intervals.
const FAR: f64 = 1000.0;

/// Turns of a freshly placed object: lowest and highest angle about each axis in turn, rad.
pub type Turns = Vec<(char, [f64; 2])>;

/// File of a category and whether it is a fixture.
pub(crate) fn find(assets: &Path, category: &str) -> Option<(PathBuf, bool)> {
    if category.is_empty() || category.contains(['/', '\\', '.']) {
        return None;
    }
    let file = file_of(category);
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

fn file_of(category: &str) -> &str {
    match category {
        // The class name of this one has no underscore before the number.
        "chefmate8_frypan" => "chefmate_8_frypan",
        other => other,
    }
}

/// Where the file of a category may lie, in words.
pub(crate) fn places(category: &str) -> String {
    let file = file_of(category);
    let place = |(folder, nested): (&str, bool)| match nested {
        false => format!("{folder}/{file}.xml"),
        true => format!("{folder}/{file}/{file}.xml"),
    };
    FOLDERS.map(place).join(" or ")
}

/// Names of all categories that have a file, sorted.
pub(crate) fn categories(assets: &Path) -> Vec<String> {
    let mut names: Vec<String> = FOLDERS
        .iter()
        .filter_map(|(folder, _)| std::fs::read_dir(assets.join(folder)).ok())
        .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
        .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
        .filter(|name| find(assets, name).is_some())
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Reads a category.
pub(crate) fn read(
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
        "flat_stove" => vec![("burner", "button", 0.5)],
        _ => Vec::new(),
    };
    let wanted = Wanted {
        name: category.to_owned(),
        shown_sites,
        ..Wanted::default()
    };
    let mut model = mjcf::object(path, text, &wanted, notices)?;
    model.articulation = articulation(category);
    if !fixed {
        let turns: Vec<(char, f64)> = (turns(category, path).into_iter())
            .map(|(axis, [low, high])| (axis, 0.5 * (low + high)))
            .collect();
        model.placement.quat_wxyz = placed(&turns);
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

/// Turns of a freshly placed object of a category (OBJECTS.md, last column).
pub(crate) fn turns(category: &str, path: &Path) -> Turns {
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
        _ => {
            let scanned = ["stable_hope_objects", "stable_scanned_objects"];
            let folder = path
                .components()
                .any(|c| scanned.contains(&c.as_os_str().to_string_lossy().as_ref()));
            one('x', if folder { right } else { [0.0; 2] })
        }
    }
}

/// Orientation `[w, x, y, z]` that comes of turns. LIBERO multiplies quaternions written x, y, z, w and
/// then reads the numbers as w, x, y, z (fact sheet section 7).
pub(crate) fn placed(turns: &[(char, f64)]) -> [f64; 4] {
    // x, y, z, w
    let mut q = [0.0, 0.0, 0.0, 1.0];
    for (axis, angle) in turns {
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
