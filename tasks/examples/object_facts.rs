//! Mass, inertia and extent of MJCF objects as this program reads them, one line of JSON per file: input of
//! `tests/mujoco_objects.py`, which compares them with MuJoCo.
//!
//! ```sh
//! cargo run --release -p bitvla-tasks --example object_facts -- LIBERO/libero/libero/assets/stable_hope_objects/*/*.xml
//! ```

use bitvla_sim::ModelDesc;
use bitvla_sim::links::LinkTree;
use bitvla_tasks::extent::extent;
use bitvla_tasks::libero::from_memory;
use nalgebra::{Isometry3, Matrix3, Vector3};
use serde_json::{Value, json};
use std::path::Path;

fn main() {
    for path in std::env::args().skip(1) {
        let mut facts = match read(Path::new(&path)) {
            Ok(model) => facts(&model),
            Err(error) => json!({ "error": format!("{error}") }),
        };
        facts["path"] = path.into();
        println!("{facts}");
    }
}

fn read(path: &Path) -> Result<ModelDesc, Box<dyn std::error::Error>> {
    let text = std::fs::read_to_string(path)?;
    let category = path.file_stem().unwrap_or_default().to_string_lossy();
    Ok(from_memory::model(path, &text, &category, true)?)
}

/// Mass (kg), centre of mass (m), principal moments (kg m^2, ascending) and collision extent (m) of all bodies together,
/// joints at zero, in the frame of the root.
fn facts(model: &ModelDesc) -> Value {
    let tree = match LinkTree::new(model) {
        Ok(tree) => tree,
        Err(error) => return json!({ "error": error.to_string() }),
    };
    let mut poses: Vec<Isometry3<f64>> = Vec::new();
    for link in &tree.links {
        let parent = link.parent.map_or(Isometry3::identity(), |p| poses[p]);
        poses.push(parent * link.to_parent);
    }
    let parts = || {
        (tree.links.iter().zip(&poses)).map(|(link, pose)| {
            let turn = pose.rotation.to_rotation_matrix();
            let com = (pose * nalgebra::Point3::from(link.com)).coords;
            (link.mass, com, turn * link.inertia * turn.transpose())
        })
    };
    let mass: f64 = parts().map(|(mass, ..)| mass).sum();
    let first = parts().fold(Vector3::zeros(), |sum, (mass, com, _)| sum + com * mass);
    let com = if mass > 0.0 { first / mass } else { first };
    let inertia: Matrix3<f64> = parts().fold(Matrix3::zeros(), |sum, (mass, at, inertia)| {
        let d: Vector3<f64> = at - com;
        sum + inertia + (Matrix3::identity() * d.dot(&d) - d * d.transpose()) * mass
    });
    let mut principal: Vec<f64> = inertia.symmetric_eigenvalues().iter().copied().collect();
    principal.sort_by(f64::total_cmp);
    let (low, high) = extent(model, Isometry3::identity());
    json!({
        "mass": mass,
        "com": com.as_slice(),
        "principal_inertia": principal,
        "extent": [low, high],
    })
}
