//! Guarantee: every model under `assets/` loads, and the objects of the spatial suite have the mass
//! (within 2 %), the extent (within 3 mm), friction, joints, regions and placement offsets that the
//! fact sheet (OBJECTS.md) measured.

use bitvla_sim::{BodyDesc, ModelDesc, ShapeDesc, isometry};
use bitvla_tasks::{Assets, TaskError};
use nalgebra::{Isometry3, Point3};

fn assets() -> Assets {
    Assets::open(&Assets::default_dir()).expect("the assets of this repository")
}

fn volume(shape: &ShapeDesc) -> f64 {
    use core::f64::consts::PI;
    match shape {
        ShapeDesc::Box { half } => 8.0 * half[0] * half[1] * half[2],
        ShapeDesc::Sphere { radius } => 4.0 / 3.0 * PI * radius.powi(3),
        ShapeDesc::Cylinder {
            radius,
            half_height,
        } => 2.0 * PI * radius * radius * half_height,
        ShapeDesc::Capsule {
            radius,
            half_height,
        } => PI * radius * radius * (2.0 * half_height + 4.0 / 3.0 * radius),
        other => panic!("no volume of {other:?}"),
    }
}

fn mass(body: &BodyDesc) -> f64 {
    match &body.inertia {
        Some(inertia) => inertia.mass,
        None => (body.collision.iter())
            .map(|c| c.density * volume(&c.shape))
            .sum(),
    }
}

/// Bounding box of the collision boxes in the root frame, joints at zero.
fn extent(model: &ModelDesc) -> ([f64; 3], [f64; 3]) {
    let mut poses: Vec<Isometry3<f64>> = Vec::new();
    let (mut lo, mut hi) = ([f64::MAX; 3], [f64::MIN; 3]);
    for body in &model.bodies {
        let parent = body.parent.as_ref().map(|name| {
            let index = model.bodies.iter().position(|b| &b.name == name);
            poses[index.expect("parent")]
        });
        let pose = parent.unwrap_or_default() * isometry(body.pos, body.quat_wxyz);
        poses.push(pose);
        for shape in &body.collision {
            let ShapeDesc::Box { half } = &shape.shape else {
                panic!("these models are made of boxes");
            };
            let pose = pose * isometry(shape.pos, shape.quat_wxyz);
            for corner in 0..8 {
                let sign = |bit: usize| if corner >> bit & 1 == 1 { 1.0 } else { -1.0 };
                let p = Point3::new(sign(0) * half[0], sign(1) * half[1], sign(2) * half[2]);
                let p = pose * p;
                for k in 0..3 {
                    lo[k] = lo[k].min(p[k]);
                    hi[k] = hi[k].max(p[k]);
                }
            }
        }
    }
    (lo, hi)
}

struct Fact {
    category: &'static str,
    fixture: bool,
    mass: f64,
    lo: [f64; 3],
    hi: [f64; 3],
    bottom: f64,
    radius: f64,
}

const FACTS: [Fact; 6] = [
    Fact {
        category: "akita_black_bowl",
        fixture: false,
        mass: 0.0055913,
        lo: [-0.05378, -0.05389, 0.00159],
        hi: [0.05342, 0.05311, 0.05213],
        bottom: -0.06,
        radius: 0.025,
    },
    Fact {
        category: "plate",
        fixture: false,
        mass: 0.011522,
        lo: [-0.06799, -0.06839, -0.002513],
        hi: [0.06963, 0.06908, 0.01643],
        bottom: -0.06,
        radius: 0.025,
    },
    Fact {
        category: "cookies",
        fixture: false,
        mass: 0.0096426,
        lo: [-0.03104, -0.04131, -0.0094],
        hi: [0.03104, 0.04131, 0.0094],
        bottom: -0.06,
        radius: 0.025,
    },
    Fact {
        category: "glazed_rim_porcelain_ramekin",
        fixture: false,
        mass: 0.0096596,
        lo: [-0.04467, -0.04443, 0.0006551],
        hi: [0.04465, 0.04467, 0.04267],
        bottom: -0.06,
        radius: 0.025,
    },
    Fact {
        category: "wooden_cabinet",
        fixture: true,
        mass: 9.1762,
        lo: [-0.1234, -0.1093, 0.004587],
        hi: [0.1312, 0.1117, 0.223],
        bottom: -0.045,
        radius: 0.045,
    },
    Fact {
        category: "flat_stove",
        fixture: true,
        mass: 4.4801,
        lo: [-0.05202, -0.095, -0.02],
        hi: [0.245, 0.095, 0.05002],
        bottom: -0.045,
        radius: 0.045,
    },
];

#[test]
fn every_model_loads() {
    let assets = assets();
    let names = assets.categories();
    assert!(names.len() >= FACTS.len(), "{names:?}");
    for name in &names {
        let (model, _) = assets.model(name).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(&model.name, name);
    }
    assets.robot().unwrap_or_else(|e| panic!("{e}"));
    let table = assets.arena("table").unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(table.cameras[0].name, "agentview");
    assert_eq!(table.cameras[1].body.as_deref(), Some("right_hand"));
}

#[test]
fn masses_extents_and_offsets_are_those_of_the_fact_sheet() {
    let assets = assets();
    for fact in &FACTS {
        let (model, fixture) = assets
            .model(fact.category)
            .unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(fixture, fact.fixture, "{}", fact.category);
        let total: f64 = model.bodies.iter().map(mass).sum();
        assert!(
            (total / fact.mass - 1.0).abs() < 0.02,
            "{}: mass {total}, fact {}",
            fact.category,
            fact.mass
        );
        let (lo, hi) = extent(&model);
        for k in 0..3 {
            assert!(
                (lo[k] - fact.lo[k]).abs() < 0.003 && (hi[k] - fact.hi[k]).abs() < 0.003,
                "{}: extent {lo:?} {hi:?}, fact {:?} {:?}",
                fact.category,
                fact.lo,
                fact.hi
            );
        }
        assert_eq!(model.placement.bottom_offset, fact.bottom);
        assert_eq!(model.placement.horizontal_radius, fact.radius);
        for shape in model.bodies.iter().flat_map(|body| &body.collision) {
            assert!((0.95..=1.0).contains(&shape.friction), "{}", fact.category);
        }
    }
}

#[test]
fn joints_and_regions_of_the_fixtures() {
    let assets = assets();
    let (cabinet, _) = assets
        .model("wooden_cabinet")
        .unwrap_or_else(|e| panic!("{e}"));
    let joints: Vec<_> = (cabinet.bodies.iter())
        .filter_map(|body| body.joint.as_ref())
        .map(|joint| (joint.name.as_str(), joint.range, joint.damping))
        .collect();
    assert_eq!(
        joints,
        ["top_level", "middle_level", "bottom_level"].map(|name| (name, [-0.16, 0.01], 50.0))
    );
    let sites: Vec<_> = (cabinet.bodies.iter())
        .flat_map(|body| &body.site)
        .map(|site| (site.name.as_str(), site.pos[2]))
        .collect();
    assert_eq!(
        sites,
        [
            ("top_side", 0.22152),
            ("top_region", 0.18563),
            ("middle_region", 0.1169),
            ("bottom_region", 0.04701)
        ]
    );
    let (stove, _) = assets.model("flat_stove").unwrap_or_else(|e| panic!("{e}"));
    let knob = (stove.bodies.iter()).find_map(|body| body.joint.as_ref());
    assert_eq!(knob.map(|j| j.range), Some([-0.005, 2.1]));
}

#[test]
fn an_unknown_category_lists_the_known_ones() {
    let error = assets().model("teapot").expect_err("there is no teapot");
    assert!(matches!(error, TaskError::Unknown { .. }));
    let words = error.to_string();
    assert!(
        words.contains("`teapot`") && words.contains("plate, "),
        "{words}"
    );
}
