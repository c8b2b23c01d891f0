//! Guarantee: a world declares the settings that it runs with. For every setting, changing it changes its field
//! of the protocol and no other, and (but for a few that a short motion does not reach) a world with it moves or touches
//! otherwise than a default one.

mod common;

use bitvla_sim::{SimulationSettings, World};
use common::{model_file, table_scene};
use serde_json::Value;

/// Paths of all numbers, flags and names of a JSON value.
fn leaves(value: &Value, path: &str, out: &mut Vec<String>) {
    match value {
        Value::Object(map) => map
            .iter()
            .for_each(|(key, v)| leaves(v, &format!("{path}/{key}"), out)),
        Value::Array(list) => {
            (list.iter().enumerate()).for_each(|(i, v)| leaves(v, &format!("{path}/{i}"), out))
        }
        _ => out.push(path.to_string()),
    }
}

/// Another valid value of the same kind.
fn changed(value: &Value) -> Value {
    match value {
        Value::Bool(b) => Value::Bool(!b),
        Value::Number(n) if n.is_u64() => Value::from(n.as_u64().unwrap() + 1),
        Value::Number(n) => {
            // A value of single precision, which both kinds of settings hold exactly.
            let value = n.as_f64().unwrap() as f32;
            // Impedances lie between 0 and 1.
            let share = 0.5 < value && value < 1.0;
            Value::from(f64::from(if share {
                value * 0.97
            } else {
                value * 1.25 + 0.015625
            }))
        }
        Value::String(s) if s == "coulomb" => Value::from("simplified"),
        other => panic!("no other value for {other}"),
    }
}

/// A much smaller value of a number of its kind, for limits that a larger value leaves out of reach.
fn reduced(value: &Value) -> Option<Value> {
    let value = value.as_f64().filter(|_| value.is_f64())? as f32;
    Some(Value::from(f64::from(value * 0.015625)))
}

/// Settings that the short motion of this scene may not reach.
const NOT_REACHED: [&str; 8] = [
    "/bodies/sleep_angular_speed",
    "/joint_constraints/impedance_width",
    "/solver/allowed_linear_error",
    "/solver/contact_clustering",
    "/solver/contact_distance",
    "/solver/initial_overlap_depth",
    "/solver/max_corrective_velocity",
    "/solver/prediction_distance",
];

fn world_with(settings: &SimulationSettings) -> World {
    let bowl = model_file("objects/akita_black_bowl.toml");
    let cookies = model_file("objects/cookies.toml");
    let scene = table_scene(vec![
        (bowl, [-0.1, 0.0, 0.93]),
        (cookies, [-0.1, 0.25, 0.92]),
    ]);
    World::with_settings(&scene, settings).unwrap()
}

/// State, observation and contacts after the arm has moved down and closed its gripper.
fn motion(settings: &SimulationSettings) -> (u64, String, usize) {
    let mut world = world_with(settings);
    for step in 0..12 {
        let x = if step < 6 { 0.4 } else { -0.2 };
        (world.step(&[x, 0.1, -1.0, 0.2, 0.0, 0.1, 1.0])).unwrap();
    }
    let observation = format!("{:?}", world.observation());
    (world.state_hash(), observation, world.contacts().len())
}

#[test]
fn every_setting_is_declared_and_has_an_effect() {
    let default = serde_json::to_value(SimulationSettings::default()).unwrap();
    let mut paths = Vec::new();
    leaves(&default, "", &mut paths);
    assert!(paths.len() > 40, "{} settings", paths.len());
    let usual = serde_json::to_value(world_with(&Default::default()).protocol()).unwrap();
    assert_eq!(usual["control_rate_hz"], 20.0);
    assert_eq!(usual["robot_model"], "panda");
    let usual_motion = motion(&Default::default());
    let mut without_effect = Vec::new();
    let with = |path: &str, value: &Value| -> SimulationSettings {
        let mut settings = default.clone();
        *settings.pointer_mut(path).unwrap() = value.clone();
        serde_json::from_value(settings).unwrap()
    };
    for path in &paths {
        let value = default.pointer(path).unwrap();
        // The other lengths are divided by this one, so that only powers of two leave them what they are.
        let leaf = match path.as_str() {
            "/solver/length_unit" => Value::from(0.125),
            _ => changed(value),
        };
        let settings = with(path, &leaf);
        let declared = serde_json::to_value(world_with(&settings).protocol()).unwrap();
        let (mut all, mut differing) = (Vec::new(), Vec::new());
        leaves(&declared, "", &mut all);
        for p in all {
            if declared.pointer(&p) != usual.pointer(&p) {
                differing.push(p);
            }
        }
        let timing = [
            "/timing/physics_step_secs",
            "/timing/substeps_per_control_step",
        ];
        if timing.contains(&path.as_str()) {
            assert!(differing.contains(&"/control_rate_hz".to_string()));
            differing.retain(|p| p != "/control_rate_hz");
        }
        assert_eq!(differing, std::slice::from_ref(path), "fields that changed");
        assert_eq!(declared.pointer(path), Some(&leaf), "{path}");
        let has_effect = |settings: &SimulationSettings| motion(settings) != usual_motion;
        if !has_effect(&settings) && !reduced(value).is_some_and(|v| has_effect(&with(path, &v))) {
            without_effect.push(path.as_str());
        }
    }
    println!("without effect: {without_effect:?}");
    without_effect.retain(|path| !NOT_REACHED.contains(path));
    assert!(without_effect.is_empty(), "{without_effect:?}");
}

#[test]
fn settings_that_cannot_be_used_are_refused_by_name() {
    let scene = table_scene(Vec::new());
    let refused = |change: &dyn Fn(&mut SimulationSettings)| {
        let mut settings = SimulationSettings::default();
        change(&mut settings);
        match World::with_settings(&scene, &settings) {
            Ok(_) => panic!("accepted"),
            Err(error) => error.to_string(),
        }
    };
    assert!(refused(&|s| s.timing.physics_step_secs = 0.0).contains("physics_step_secs"));
    assert!(refused(&|s| s.timing.substeps_per_control_step = 0).contains("substeps"));
    assert!(refused(&|s| s.timing.camera_lead_substeps = 26).contains("camera_lead_substeps"));
    assert!(refused(&|s| s.timing.joint_sensor_lead_substeps = 0).contains("joint_sensor"));
    assert!(refused(&|s| s.joint_constraints.impedance_max = 1.0).contains("impedance_max"));
    assert!(refused(&|s| s.joint_constraints.impedance_width = 0.0).contains("impedance_width"));
}
