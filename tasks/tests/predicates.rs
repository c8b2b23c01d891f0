//! Guarantee: the predicates agree with LIBERO's on the boundary cases written here, and on every sample recorded in
//! LIBERO (ignored without the recordings).

#[path = "common/shared.rs"]
mod shared;

use bitvla_sim::{ArticulationDesc, isometry};
use bitvla_tasks::bddl::{Predicate, Problem};
use bitvla_tasks::predicates::{above_site, in_site, joint_state, joints_state, on_object};
use bitvla_tasks::{Assets, InitState, TaskError, scene};
use nalgebra::{Isometry3, Matrix3, Point3, Rotation3, UnitQuaternion, Vector3};
use serde_json::Value;
use shared::recorded;

fn numbers<const N: usize>(v: &Value) -> [f64; N] {
    let list: Vec<f64> = v
        .as_array()
        .unwrap()
        .iter()
        .map(|x| x.as_f64().unwrap())
        .collect();
    list.try_into().unwrap()
}

/// Thresholds of `docs/reference/libero.md`, section 6.
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
#[ignore = "needs ../shared: recordings of LIBERO"]
fn recorded_samples_agree() {
    let data = recorded("predicates.json");
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

/// A bowl and a plate on the table with a given goal.
fn compile(goal: &str) -> Result<bool, TaskError> {
    let text = format!(
        "(define (problem libero_tabletop_manipulation)
        (:fixtures main_table - table)
        (:objects bowl - akita_black_bowl plate - plate)
        (:goal {goal}))"
    );
    let problem = Problem::parse("goal.bddl", &text)?;
    let assets = Assets::open(&Assets::default_dir())?;
    let pose = |x: f64| [x, 0.0, 0.97, 1.0, 0.0, 0.0, 0.0];
    let mut init = InitState::default();
    init.objects.insert("bowl".into(), pose(0.0));
    init.objects.insert("plate".into(), pose(0.2));
    let world = scene::build_world(&assets, &problem, &init)?;
    Ok(problem.compile_goal(&world)?.holds(&world))
}

#[test]
fn a_goal_that_the_scene_cannot_decide_is_refused_with_its_location() {
    assert!(!compile("(On bowl plate)").unwrap());
    for (goal, message) in [
        (
            "(And (On bowl plate) (In bowl plate))",
            "goal.bddl:4:37: In: needs a region as its second argument",
        ),
        (
            "(Open plate)",
            "goal.bddl:4:16: Open: the model states no joint thresholds",
        ),
        (
            "(On bowl main_table)",
            "goal.bddl:4:16: On: `main_table` is not in the scene",
        ),
    ] {
        let error = compile(goal).expect_err("refused").to_string();
        assert_eq!(error, message);
    }
}
