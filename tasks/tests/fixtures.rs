//! Guarantee: the fixtures of Goal and Long have the joints, regions, thresholds, masses and solid
//! space, and the arenas the offsets, supports, cameras and robot bases, that were measured in LIBERO
//! (`docs/reference/libero.md`, sections 2 and 6). The comparison with the recorded tables `objects.json` and
//! `arenas.json` is ignored without them.

#[path = "common/shared.rs"]
mod shared;

use bitvla_sim::{ModelDesc, ShapeDesc, isometry};
use bitvla_tasks::extent::{lowest_point, support_top};
use bitvla_tasks::{Assets, TaskError};
use nalgebra::{Isometry3, Point3};
use serde_json::Value;
use shared::recorded as recording;

const FIXTURES: [&str; 6] = [
    "white_cabinet",
    "microwave",
    "wine_rack",
    "desk_caddy",
    "wooden_cabinet",
    "flat_stove",
];

fn assets() -> Assets {
    Assets::open(&Assets::default_dir()).unwrap()
}

fn numbers<const N: usize>(v: &Value) -> [f64; N] {
    std::array::from_fn(|i| v[i].as_f64().unwrap())
}

fn close(a: &[f64], b: &[f64], tolerance: f64) -> bool {
    a.iter().zip(b).all(|(a, b)| (a - b).abs() < tolerance)
}

/// A collision shape of our model or of the recorded one, in the root frame with joints at zero.
struct Solid {
    to_local: Isometry3<f64>,
    shape: ShapeDesc,
}

impl Solid {
    fn holds(&self, p: &Point3<f64>) -> bool {
        let p = self.to_local * p;
        match &self.shape {
            ShapeDesc::Box { half } => (0..3).all(|i| p[i].abs() <= half[i]),
            ShapeDesc::Capsule {
                radius,
                half_height,
            } => {
                let z = p.z - p.z.clamp(-half_height, *half_height);
                p.x * p.x + p.y * p.y + z * z <= radius * radius
            }
            other => panic!("no such shape here: {other:?}"),
        }
    }
}

fn ours(model: &ModelDesc) -> Vec<Solid> {
    let mut poses: Vec<Isometry3<f64>> = Vec::new();
    let mut out = Vec::new();
    for body in &model.bodies {
        let parent = (body.parent.as_ref())
            .map(|name| poses[model.bodies.iter().position(|b| &b.name == name).unwrap()]);
        let pose = parent.map_or(Isometry3::identity(), |p| {
            p * isometry(body.pos, body.quat_wxyz)
        });
        poses.push(pose);
        out.extend(body.collision.iter().map(|c| Solid {
            to_local: (pose * isometry(c.pos, c.quat_wxyz)).inverse(),
            shape: c.shape.clone(),
        }));
    }
    out
}

fn recorded(object: &Value) -> Vec<Solid> {
    let bodies = object["bodies"].as_array().unwrap();
    let root = object["root_body"].as_str().unwrap();
    let pose_of = |name: &str| {
        let mut pose = Isometry3::identity();
        let mut at = name.to_owned();
        while at != root {
            let body = bodies.iter().find(|b| b["name"] == at.as_str()).unwrap();
            pose = isometry(numbers(&body["pos"]), numbers(&body["quat_wxyz"])) * pose;
            at = body["parent"].as_str().unwrap().to_owned();
        }
        pose
    };
    (object["collision_geoms"].as_array().unwrap().iter())
        .map(|geom| {
            let size: [f64; 3] = numbers(&geom["size"]);
            let pose = pose_of(geom["body"].as_str().unwrap())
                * isometry(numbers(&geom["pos"]), numbers(&geom["quat_wxyz"]));
            Solid {
                to_local: pose.inverse(),
                shape: match geom["type"].as_str().unwrap() {
                    "box" => ShapeDesc::Box { half: size },
                    "capsule" => ShapeDesc::Capsule {
                        radius: size[0],
                        half_height: size[1],
                    },
                    other => panic!("no such shape here: {other}"),
                },
            }
        })
        .collect()
}

#[test]
#[ignore = "needs ../shared: recordings of LIBERO"]
fn joints_regions_and_masses_are_the_measured_ones() -> Result<(), TaskError> {
    let data = recording("objects.json");
    let assets = assets();
    for category in FIXTURES {
        let object = &data["objects"][category];
        let (model, fixed) = assets.model(category)?;
        assert!(fixed, "{category}");
        let joints: Vec<_> = model
            .bodies
            .iter()
            .filter_map(|b| b.joint.as_ref())
            .collect();
        let theirs = object["joints"].as_array().unwrap();
        assert_eq!(joints.len(), theirs.len(), "{category}");
        for (joint, recorded) in joints.iter().zip(theirs) {
            assert_eq!(format!("@{}", joint.name), recorded["name"], "{category}");
            assert_eq!(
                joint.range,
                numbers::<2>(&recorded["range"]),
                "{}",
                joint.name
            );
            assert_eq!(
                joint.axis,
                numbers::<3>(&recorded["axis"]),
                "{}",
                joint.name
            );
            assert_eq!(joint.damping, recorded["damping"].as_f64().unwrap());
        }
        let mut sites = 0;
        for recorded in object["sites"].as_array().unwrap() {
            let name = recorded["name"].as_str().unwrap().trim_start_matches('@');
            if name == "default_site" || name == "burner" {
                continue;
            }
            sites += 1;
            let site = (model.bodies.iter())
                .flat_map(|b| &b.site)
                .find(|s| s.name == name)
                .unwrap_or_else(|| panic!("{category} has no site {name}"));
            assert!(
                close(&site.pos, &numbers::<3>(&recorded["pos"]), 1e-4),
                "{name}"
            );
            assert!(
                close(&site.half, &numbers::<3>(&recorded["size"]), 1e-4),
                "{name}"
            );
            let turn = |q: [f64; 4]| isometry([0.0; 3], q).rotation.coords;
            let cosine = turn(site.quat_wxyz).dot(&turn(numbers(&recorded["quat_wxyz"])));
            assert!(cosine.abs() > 1.0 - 1e-6, "{name}: {cosine}");
        }
        assert!(sites > 0, "{category}");
        let mass: f64 = (model.bodies.iter())
            .filter_map(|b| b.inertia.as_ref())
            .map(|i| i.mass)
            .sum();
        let recorded = object["total_mass"].as_f64().unwrap();
        assert!(
            (mass / recorded - 1.0).abs() < 0.02,
            "{category}: {mass} {recorded}"
        );
        let offsets = [model.placement.bottom_offset, model.placement.top_offset];
        for (offset, key) in offsets.iter().zip(["bottom_offset", "top_offset"]) {
            assert_eq!(*offset, object[key][2].as_f64().unwrap(), "{category}");
        }
        assert_eq!(
            model.placement.horizontal_radius,
            object["horizontal_radius"].as_f64().unwrap()
        );
    }
    Ok(())
}

/// Compares our model with the recorded one: of the space that one fills and the other does not, only points within
/// 1.5 mm of its shapes are tolerated.
#[test]
#[ignore = "needs ../shared: recordings of LIBERO"]
fn fixtures_fill_the_measured_space() -> Result<(), TaskError> {
    let data = recording("objects.json");
    let assets = assets();
    for category in &FIXTURES[..4] {
        let (model, _) = assets.model(category)?;
        let (a, b) = (ours(&model), recorded(&data["objects"][*category]));
        let near = |solids: &[Solid], p: &Point3<f64>| {
            let d = 0.0015;
            [
                [0.0, 0.0, 0.0],
                [d, 0.0, 0.0],
                [-d, 0.0, 0.0],
                [0.0, d, 0.0],
                [0.0, -d, 0.0],
                [0.0, 0.0, d],
                [0.0, 0.0, -d],
            ]
            .iter()
            .any(|o| {
                let q = p + nalgebra::Vector3::from(*o);
                solids.iter().any(|s| s.holds(&q))
            })
        };
        let (mut filled, mut apart) = (0, Vec::new());
        // A grid whose steps share no factor with the lengths of the parts.
        for i in -90..=90 {
            for j in -120..=120 {
                for k in -5..=125 {
                    let p = Point3::new(
                        f64::from(i) * 0.00287,
                        f64::from(j) * 0.00283,
                        f64::from(k) * 0.00291,
                    );
                    let inside = (a.iter().any(|s| s.holds(&p)), b.iter().any(|s| s.holds(&p)));
                    filled += usize::from(inside.1);
                    if (inside.0 && !near(&b, &p)) || (inside.1 && !near(&a, &p)) {
                        apart.push(p);
                    }
                }
            }
        }
        println!("{category}: {filled} points filled, {} apart", apart.len());
        assert!(filled > 3000, "{category}: {filled}");
        assert!(
            apart.len() * 1500 < filled,
            "{category}: {} of {filled}, the first at {}",
            apart.len(),
            apart[0]
        );
    }
    Ok(())
}

#[test]
fn thresholds_are_the_measured_ones() -> Result<(), TaskError> {
    let assets = assets();
    let limits = |name: &str| -> Result<_, TaskError> {
        let (model, _) = assets.model(name)?;
        Ok(model.articulation.clone().unwrap())
    };
    let cabinet = limits("white_cabinet")?;
    assert_eq!(cabinet.open.map(|b| b[1]), Some(-0.14));
    assert_eq!(cabinet.close.map(|b| b[0]), Some(0.0));
    assert_eq!(cabinet.sample_open, Some([-0.16, -0.14]));
    let oven = limits("microwave")?;
    assert_eq!(oven.open.map(|b| b[1]), Some(-1.3));
    assert_eq!(oven.close.map(|b| b[0]), Some(-0.005));
    assert_eq!(oven.sample_open, Some([-2.094, -1.3]));
    Ok(())
}

#[test]
fn arenas_have_the_stated_supports_and_pedestals() -> Result<(), TaskError> {
    // Name, on a pedestal, shrinking regions, top of the support and the point where it is measured.
    let stated = [
        ("table", true, true, 0.90, [0.0, 0.0]),
        ("kitchen", true, false, 0.90, [0.3, -0.5]),
        ("living_room", false, false, 0.43676, [0.0, 0.3]),
        ("study", true, false, 0.88513, [-0.2, 0.2]),
        ("floor", false, true, 0.0, [0.1, 0.1]),
    ];
    let assets = assets();
    for (name, mount, shrink, top, [x, y]) in stated {
        let arena = assets.arena(name)?;
        assert_eq!(arena.model.name, name);
        assert_eq!((arena.robot_mount, arena.shrink_regions), (mount, shrink));
        let here = support_top(&arena, x, y).unwrap();
        assert!((here - top).abs() < 2e-4, "{name}: {here}");
        let robot = assets.robot_in(name)?;
        let foot = lowest_point(&robot, [1.0, 0.0, 0.0, 0.0]) + arena.robot_base_pos[2];
        if mount {
            assert!(foot.abs() < 0.02, "{name}: the pedestal ends at {foot}");
        } else {
            assert!(foot > arena.robot_base_pos[2] - 0.02, "{name}: {foot}");
        }
    }
    Ok(())
}

#[test]
#[ignore = "needs ../shared: recordings of LIBERO"]
fn arenas_have_the_recorded_offsets_and_cameras() -> Result<(), TaskError> {
    let assets = assets();
    let data = recording("arenas.json");
    for name in ["table", "kitchen", "living_room", "study", "floor"] {
        let arena = assets.arena(name)?;
        let recorded = &data["arenas"][name];
        assert_eq!(
            arena.robot_base_pos,
            numbers::<3>(&recorded["robot_base_pos"])
        );
        assert_eq!(
            arena.workspace_offset,
            numbers::<3>(&recorded["workspace_offset"])
        );
        assert_eq!(arena.fixture_z_offset, recorded["fixture_z_offset"]);
        let site = &recorded["region_sites_example"][1]["xpos"][2];
        assert!((arena.region_site_z - site.as_f64().unwrap()).abs() < 1e-9);
        let mut compared = 0;
        for camera in recorded["cameras"].as_array().unwrap() {
            let ours = match camera["name"].as_str().unwrap() {
                "agentview" => &arena.cameras[0],
                "robot0_eye_in_hand" => &arena.cameras[1],
                _ => continue,
            };
            assert!(close(&ours.pos, &numbers::<3>(&camera["pos"]), 1e-6));
            let quat: [f64; 4] = numbers(&camera["quat_wxyz"]);
            assert!(close(&ours.quat_wxyz, &quat, 1e-6), "{name}");
            assert_eq!(ours.fovy_deg, camera["fovy_deg"]);
            compared += 1;
        }
        assert_eq!(compared, 2, "{name}");
    }
    Ok(())
}
