//! Guarantees: a frame has the same bytes on every machine, at every optimisation level and for any
//! number of threads (pinned hash); textures are perspective-correct; every closed shape is
//! watertight with outward normals.

use bitvla_sim::render::{Mesh, Renderer};
use bitvla_sim::{SceneDesc, ShapeDesc, VisualState};
use nalgebra::Isometry3;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

fn scene(text: &str) -> SceneDesc {
    toml::from_str(text).unwrap_or_else(|e| panic!("scene: {e}"))
}

fn at_rest(scene: &SceneDesc) -> VisualState {
    let n = scene.body_table().len();
    VisualState {
        poses: vec![Isometry3::identity(); n],
        joint_positions: vec![0.0; n],
    }
}

fn shapes_scene() -> SceneDesc {
    scene(include_str!("shapes.toml"))
}

fn digest(scene: &SceneDesc) -> String {
    let mut r = Renderer::new(scene).expect("renderer");
    let mut hash = Sha256::new();
    for camera in ["front", "close"] {
        let f = r.render(&at_rest(scene), camera, 96, 72).expect("frame");
        if let Ok(dir) = std::env::var("BITVLA_TEST_IMAGES") {
            f.write_png(&std::path::Path::new(&dir).join(format!("{camera}.png")))
                .expect("png");
        }
        hash.update(&f.rgb);
    }
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn frame_bytes_are_pinned() {
    assert_eq!(
        digest(&shapes_scene()),
        "0ca8f02378a81083ada1fc42a6f7fe9c943608ee24cdd01521ac5ffbcdfa7733"
    );
}

#[test]
fn threads_do_not_change_a_frame() {
    let scene = shapes_scene();
    let alone = digest(&scene);
    let together: Vec<String> = std::thread::scope(|s| {
        let jobs: Vec<_> = (0..4).map(|_| s.spawn(|| digest(&scene))).collect();
        jobs.into_iter()
            .map(|j| j.join().expect("thread"))
            .collect()
    });
    assert!(together.iter().all(|d| *d == alone));
}

/// A checkered floor seen at a slant: the colour of each pixel is that of the floor point which its
/// ray hits, computed here on its own.
#[test]
fn texture_is_perspective_correct() {
    let scene = scene(include_str!("checkered_floor.toml"));
    let mut r = Renderer::new(&scene).expect("renderer");
    let n = 200;
    let f = r.render(&at_rest(&scene), "slant", n, n).expect("frame");
    let (mut correct, mut compared) = (0, 0);
    for y in 0..n {
        for x in 0..n {
            // Camera at (0, 0, 1), pitched 60 degrees up from looking straight down, fovy 60.
            let t = 30f64.to_radians().tan();
            let (cx, cy) = (
                ((x as f64 + 0.5) / n as f64 * 2.0 - 1.0) * t,
                (1.0 - (y as f64 + 0.5) / n as f64 * 2.0) * t,
            );
            let (s, c) = 60f64.to_radians().sin_cos();
            let dir = [cx, cy * c + s, cy * s - c];
            if dir[2] > -0.15 {
                continue;
            }
            let (px, py) = (dir[0] / -dir[2], dir[1] / -dir[2]);
            // Two squares per repeat and one repeat per metre; image rows run against +y.
            let (a, b) = (px * 2.0, -py * 2.0);
            let edge = |v: f64| (v - v.round()).abs() < 0.12;
            if edge(a) || edge(b) || px.abs() > 4.5 || py.abs() > 4.5 {
                continue;
            }
            let light = (a.floor() as i64 + b.floor() as i64).rem_euclid(2) == 0;
            compared += 1;
            correct += usize::from((f.rgb[(y * n + x) * 3] > 128) == light);
        }
    }
    assert!(compared > 10_000, "only {compared} pixels compared");
    assert!(correct * 1000 >= compared * 999, "{correct} of {compared}");
}

#[test]
fn closed_shapes_are_watertight_and_face_outwards() {
    let cube: Vec<[f64; 3]> = (0..8)
        .map(|i| [0, 1, 2].map(|k| if i >> k & 1 == 1 { 0.03 } else { -0.02 }))
        .chain([[0.0, 0.0, 0.05], [0.0; 3]])
        .collect();
    let bowl = vec![
        [0.0, 0.01],
        [0.04, 0.05],
        [0.05, 0.05],
        [0.03, 0.0],
        [0.0, 0.0],
    ];
    let ring = vec![
        [0.05, 0.01],
        [0.06, 0.0],
        [0.05, -0.01],
        [0.04, 0.0],
        [0.05, 0.01],
    ];
    let lathe = |profile| ShapeDesc::Lathe {
        profile,
        segments: 24,
        flatten: 1.0,
    };
    let volumes = [
        (
            ShapeDesc::Box {
                half: [0.01, 0.02, 0.03],
            },
            4.8e-5,
        ),
        (ShapeDesc::Sphere { radius: 0.1 }, 4.1e-3),
        (
            ShapeDesc::Cylinder {
                radius: 0.1,
                half_height: 0.05,
            },
            3.1e-3,
        ),
        (
            ShapeDesc::Capsule {
                radius: 0.1,
                half_height: 0.05,
            },
            7.2e-3,
        ),
        (ShapeDesc::Hull { points: cube }, 1.5e-4),
        (lathe(bowl.clone()), 1.87e-4),
        (lathe(bowl.into_iter().rev().collect()), 1.87e-4),
        (lathe(ring), 6.2e-5),
    ];
    for (shape, volume) in volumes {
        let m = Mesh::of_shape(&shape, false).expect("mesh");
        let mut edges: BTreeMap<([u32; 3], [u32; 3]), i32> = BTreeMap::new();
        let mut six_volumes = 0.0f64;
        for t in &m.triangles {
            let p = t.map(|i| m.positions[i as usize]);
            for k in 0..3 {
                let bits = |v: [f32; 3]| v.map(|c| (c + 0.0).to_bits());
                let (a, b) = (bits(p[k]), bits(p[(k + 1) % 3]));
                *edges.entry((a.min(b), a.max(b))).or_default() += if a < b { 1 } else { -1 };
            }
            let q = p.map(|v| nalgebra::Vector3::from(v.map(f64::from)));
            six_volumes += q[0].dot(&q[1].cross(&q[2]));
            let flat = (q[1] - q[0]).cross(&(q[2] - q[0]));
            for i in t {
                let n = nalgebra::Vector3::from(m.normals[*i as usize].map(f64::from));
                assert!(n.dot(&flat) > 0.0, "{shape:?}: normal against its triangle");
                assert!((n.norm() - 1.0).abs() < 1e-5);
            }
        }
        assert!(edges.values().all(|n| *n == 0), "{shape:?}: open edges");
        let v = six_volumes / 6.0;
        assert!((v / volume - 1.0).abs() < 0.08, "{shape:?}: volume {v}");
    }
}
