//! Guarantee: the predicates agree with LIBERO's on every recorded sample of
//! `shared/reference/libero/data/predicates.json` (skipped with a loud line when that is absent), and
//! on the boundary cases written here.

use bitvla_sim::{ArticulationDesc, isometry};
use bitvla_tasks::bddl::Predicate;
use bitvla_tasks::predicates::{above_site, in_site, joint_state, joints_state, on_object};
use nalgebra::{Isometry3, Matrix3, Point3, Rotation3, UnitQuaternion, Vector3};
use serde_json::Value;
use std::path::Path;

fn numbers<const N: usize>(v: &Value) -> [f64; N] {
    let list: Vec<f64> = v
        .as_array()
        .unwrap()
        .iter()
        .map(|x| x.as_f64().unwrap())
        .collect();
    list.try_into().unwrap()
}

/// Thresholds of the fact sheet, section 6.
fn thresholds(joint: &str) -> ArticulationDesc {
    let far = 1e9;
    let mut a = ArticulationDesc::default();
    if joint.contains("cabinet") {
        a.open = Some([-far, -0.14]);
        a.close = Some([0.0, far]);
    } else if joint.contains("microwave") {
        a.open = Some([-far, -1.3]);
        a.close = Some([-0.005, far]);
    } else {
        a.turn_on = Some([0.5, far]);
        a.turn_off = Some([-far, 0.0]);
    }
    a
}

#[test]
fn recorded_samples_agree() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/reference/libero/data/predicates.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!(
            "SKIPPED recorded_samples_agree: {} is absent",
            path.display()
        );
        return;
    };
    let data: Value = serde_json::from_str(&text).unwrap();
    let mut checked = 0;
    for record in data["records"].as_array().unwrap() {
        let name = record["predicate"][0].as_str().unwrap();
        let predicate = Predicate::from_name(name).unwrap();
        for sample in record["samples"].as_array().unwrap() {
            let wanted = sample["goal"].as_bool().unwrap();
            let found = if let Some(joints) = record["joints"].as_array() {
                let q = sample["q"].as_f64().unwrap();
                let one = |j: &Value| {
                    joint_state(predicate, &thresholds(j.as_str().unwrap()), q).unwrap()
                };
                joints_state(predicate, &joints.iter().map(one).collect::<Vec<_>>())
            } else {
                let a = Point3::from(numbers::<3>(&sample["obj_pos"]));
                if let Some(target) = sample.get("target_pos") {
                    let contact = sample["contact"].as_bool().unwrap();
                    on_object(a, Point3::from(numbers::<3>(target)), contact)
                } else {
                    let m: [f64; 9] = numbers(&sample["site_mat"]);
                    let rotation = UnitQuaternion::from_rotation_matrix(
                        &Rotation3::from_matrix_unchecked(Matrix3::from_row_slice(&m)),
                    );
                    let at = Vector3::from(numbers::<3>(&sample["site_pos"]));
                    let site = Isometry3::from_parts(at.into(), rotation);
                    let half = numbers(&record["site_size"]);
                    match predicate {
                        Predicate::In => in_site(a, &site, half),
                        _ => {
                            let touch = sample.get("contact_with_parent").is_none_or(|c| c == true);
                            above_site(a, &site, half) && touch
                        }
                    }
                }
            };
            assert_eq!(found, wanted, "{} {sample}", record["predicate"]);
            checked += 1;
        }
    }
    assert!(checked > 2000, "only {checked} samples");
}

#[test]
fn on_an_object_needs_height_contact_and_alignment() {
    let plate = Point3::new(0.0, 0.0, 0.9);
    assert!(on_object(Point3::new(0.0, 0.029, 0.9), plate, true));
    assert!(!on_object(Point3::new(0.0, 0.029, 0.9), plate, false));
    assert!(!on_object(Point3::new(0.0, 0.030, 0.9), plate, true));
    assert!(!on_object(Point3::new(0.0, 0.0, 0.8999), plate, true));
}

#[test]
fn a_site_reaches_ten_centimetres_up_and_a_box_one_down() {
    let site = isometry([0.0, 0.0, 1.0], [1.0, 0.0, 0.0, 0.0]);
    let half = [0.1, 0.05, 0.01];
    assert!(above_site(Point3::new(0.09, 0.04, 1.0051), &site, half));
    assert!(!above_site(Point3::new(0.09, 0.04, 1.0049), &site, half));
    assert!(!above_site(Point3::new(0.09, 0.04, 1.1101), &site, half));
    assert!(!above_site(Point3::new(0.09, 0.051, 1.05), &site, half));
    assert!(in_site(Point3::new(0.0, 0.0, 0.981), &site, half));
    assert!(!in_site(Point3::new(0.0, 0.0, 0.979), &site, half));
    assert!(!in_site(Point3::new(0.0, 0.0, 1.01), &site, half));
}
