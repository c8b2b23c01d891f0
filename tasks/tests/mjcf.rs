//! Guarantee: MJCF files are read as MuJoCo 2.3.7 under robosuite 1.4.1 reads them (the numbers were measured there), and
//! what is neither used nor known to be without effect is refused with file, line and name.

use bitvla_sim::links::{Link, LinkTree};
use bitvla_sim::{JointKind, ModelDesc};
use bitvla_tasks::libero::from_memory;
use std::path::{Path, PathBuf};

/// Corners of a block of 60 x 40 x 20 mm beside the origin, m; its centre is at (5, 10, 2) mm.
const CENTRE: [f32; 3] = [0.005, 0.01, 0.002];
const FACES: [[usize; 3]; 12] = [
    [0, 2, 1],
    [1, 2, 3],
    [4, 5, 6],
    [5, 7, 6],
    [0, 1, 4],
    [1, 5, 4],
    [2, 6, 3],
    [3, 6, 7],
    [0, 4, 2],
    [2, 4, 6],
    [1, 3, 5],
    [3, 7, 5],
];

/// Says whether a face is wound the other way.
type IsFlipped = fn(usize) -> bool;

/// The block as binary STL; faces for which `flipped` holds are wound the other way.
fn block(flipped: impl Fn(usize) -> bool) -> Vec<u8> {
    let corner = |i: usize| -> [f32; 3] {
        let sign = |bit: usize| if i >> bit & 1 == 1 { 1.0f32 } else { -1.0 };
        let half = [0.03, 0.02, 0.01];
        std::array::from_fn(|k| CENTRE[k] + sign(k) * half[k])
    };
    let mut bytes = vec![0; 80];
    bytes.extend((FACES.len() as u32).to_le_bytes());
    for (i, mut face) in FACES.into_iter().enumerate() {
        if flipped(i) {
            face.swap(1, 2);
        }
        bytes.extend([0; 12]);
        for x in face.into_iter().flat_map(corner) {
            bytes.extend(x.to_le_bytes());
        }
        bytes.extend([0, 0]);
    }
    bytes
}

/// A folder of its own with the block in it.
fn folder(name: &str, flipped: impl Fn(usize) -> bool) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("mjcf-{name}"));
    std::fs::create_dir_all(&dir).expect("a folder");
    std::fs::write(dir.join("m.stl"), block(flipped)).expect("written");
    dir
}

/// An object with elements in its body `object`, and others before `<worldbody>`.
fn object(sections: &str, inside: &str) -> String {
    format!(
        "<mujoco>\n{sections}\n<worldbody><body><body name=\"object\">\n{inside}\n</body>\n\
         <site name=\"bottom_site\" pos=\"0 0 -0.1\"/><site name=\"top_site\" pos=\"0 0 0.1\"/>\n\
         <site name=\"horizontal_radius_site\" pos=\"0.1 0.1 0\"/></body></worldbody></mujoco>"
    )
}

fn read(dir: &Path, text: &str) -> Result<ModelDesc, String> {
    from_memory::model(&dir.join("thing.xml"), text, "thing", false).map_err(|e| e.to_string())
}

fn root(dir: &Path, text: &str) -> Link {
    let model = read(dir, text).unwrap_or_else(|e| panic!("{e}"));
    LinkTree::new(&model).expect("a tree").links.remove(0)
}

fn principal(link: &Link) -> [f64; 3] {
    let mut moments: Vec<f64> = link
        .inertia
        .symmetric_eigenvalues()
        .iter()
        .copied()
        .collect();
    moments.sort_by(f64::total_cmp);
    moments.try_into().expect("three")
}

#[track_caller]
fn near(found: impl IntoIterator<Item = f64>, expected: &[f64]) {
    let found: Vec<f64> = found.into_iter().collect();
    for (a, b) in found.iter().zip(expected) {
        assert!(
            (a - b).abs() <= 1e-4 * b.abs().max(1e-9),
            "{found:?} and not {expected:?}"
        );
    }
}

const MESH: &str = "<geom type=\"mesh\" mesh=\"m\" group=\"0\" density=\"100\"/>";

fn mesh_object(attributes: &str) -> String {
    object(
        &format!("<asset><mesh name=\"m\" file=\"m.stl\" {attributes}/></asset>"),
        MESH,
    )
}

#[test]
fn a_mesh_counts_its_absolute_pyramids_whichever_way_its_faces_look() {
    let windings: [(&str, IsFlipped); 3] = [
        ("right", |_| false),
        ("inside-out", |_| true),
        ("mixed", |i| i % 3 == 0),
    ];
    for (name, flipped) in windings {
        let link = root(&folder(name, flipped), &mesh_object(""));
        near([link.mass], &[0.0048]);
        near(link.com.iter().copied(), &[0.005, 0.01, 0.002]);
        near(principal(&link), &[0.8e-6, 1.6e-6, 2.08e-6]);
    }
}

#[test]
fn a_mesh_that_is_no_block_weighs_what_its_block_of_inertia_does() {
    let dir = folder("octahedron", |_| false);
    let corners = "v 0.03 0 0\nv -0.03 0 0\nv 0 0.02 0\nv 0 -0.02 0\nv 0 0 0.01\nv 0 0 -0.01\n";
    let faces = "f 1 3 5\nf 3 2 5\nf 2 4 5\nf 4 1 5\nf 3 1 6\nf 2 3 6\nf 4 2 6\nf 1 4 6\n";
    std::fs::write(dir.join("m.obj"), [corners, faces].concat()).expect("written");
    let link = root(&dir, &mesh_object("").replace("m.stl", "m.obj"));
    // Its volume would make 0.8 g of it.
    near([link.mass], &[0.788_720_5e-3]);
    near(principal(&link), &[3.943_60e-8, 7.887_20e-8, 1.025_337e-7]);
}

#[test]
fn a_mesh_is_moved_turned_back_and_scaled_in_this_order() {
    let dir = folder("frame", |_| false);
    let com = |attributes: &str| {
        root(&dir, &mesh_object(attributes))
            .com
            .iter()
            .copied()
            .collect::<Vec<_>>()
    };
    near(com("refquat=\"1 0 0 0\""), &[0.005, 0.01, 0.002]);
    near(
        com("refquat=\"0.70710678 0 0 0.70710678\""),
        &[0.01, -0.005, 0.002],
    );
    let all = "scale=\"2 1 1\" refquat=\"0.70710678 0 0 0.70710678\" refpos=\"0.01 0 0\"";
    near(com(all), &[0.02, 0.005, 0.002]);
    let zero = read(&dir, &mesh_object("refquat=\"0 0 0 0\"")).expect_err("no rotation");
    assert!(
        zero.contains("thing.xml:2:") && zero.contains("refquat of length 0"),
        "{zero}"
    );
}

#[test]
fn an_ellipsoid_and_a_mass_that_does_not_collide_count() {
    let dir = folder("ellipsoid", |_| false);
    let link = root(
        &dir,
        &object(
            "",
            "<geom type=\"ellipsoid\" size=\"0.03 0.01 0.005\" group=\"0\" density=\"100\"/>",
        ),
    );
    near([link.mass], &[0.000_628_32]);
    near(principal(&link), &[1.5708e-8, 1.1624e-7, 1.2566e-7]);
    let ghost = "<geom type=\"box\" size=\"0.03 0.02 0.01\" pos=\"0 0 0.1\" group=\"0\" density=\"100\" contype=\"0\" conaffinity=\"0\"/>";
    let model = read(&dir, &object("", ghost)).unwrap_or_else(|e| panic!("{e}"));
    assert!(model.bodies.iter().all(|body| body.collision.is_empty()));
    let link = LinkTree::new(&model).expect("a tree").links.remove(0);
    near([link.mass, link.com.z], &[0.0048, 0.1]);
}

#[test]
fn robosuite_drops_groups_unnamed_defaults_and_compiler_settings() {
    let dir = folder("robosuite", |_| false);
    let block = "<geom type=\"box\" size=\"0.03 0.01 0.01\" group=\"0\" density=\"100\"/>";
    let groups =
        format!("{block}<geom type=\"box\" size=\"0.06 0.06 0.01\" group=\"3\" density=\"100\"/>");
    near([root(&dir, &object("", &groups)).mass], &[0.0024]);
    near(
        [root(
            &dir,
            &object("<default><geom mass=\"1.5\"/></default>", block),
        )
        .mass],
        &[0.0024],
    );
    let named = "<default><default class=\"heavy\"><geom mass=\"1.5\"/></default></default>";
    let classy = block.replace("<geom", "<geom class=\"heavy\"");
    near([root(&dir, &object(named, &classy)).mass], &[1.5]);
    near([root(&dir, &object(named, block)).mass], &[0.0024]);
    // A turn of 1.2 rad in spite of `angle` and `eulerseq`, and a mesh beside the model in spite of `meshdir`.
    let settings = "<compiler angle=\"degree\" eulerseq=\"zyx\" meshdir=\"meshes\"/><asset><mesh name=\"m\" file=\"m.stl\"/></asset>";
    let turned = block.replace("group", "euler=\"0 0 1.2\" group") + MESH;
    let model = read(&dir, &object(settings, &turned)).unwrap_or_else(|e| panic!("{e}"));
    near(
        model.bodies[0].collision[0].quat_wxyz,
        &[0.6_f64.cos(), 0.0, 0.0, 0.6_f64.sin()],
    );
    // Beside the body `object` nothing counts.
    let beside = object("", block).replacen(
        "<body><body",
        "<geom size=\"1\"/><body><geom size=\"1\"/><body",
        1,
    );
    near([root(&dir, &beside).mass], &[0.0024]);
}

#[test]
fn what_is_not_understood_is_refused_by_name() {
    let dir = folder("refused", |_| false);
    let ball = "<geom type=\"sphere\" size=\"0.1\" group=\"0\"/>";
    let child = |joint: &str| format!("{ball}\n<body>{joint}{ball}</body>");
    let inside = [
        (
            format!("{ball}\n<frame pos=\"1 0 0\">{ball}</frame>"),
            "<frame> in <body>",
        ),
        (
            format!("{ball}\n<replicate count=\"3\">{ball}</replicate>"),
            "<replicate> in <body>",
        ),
        (format!("{ball}\n<freejoint/>"), "<freejoint> in <body>"),
        (format!("{ball}\n<composite/>"), "<composite> in <body>"),
        (
            format!("{ball}\n<geom size=\"0.1\" shellinertia=\"true\"/>"),
            "shellinertia=\"true\"",
        ),
        (
            format!("{ball}\n<geom size=\"0.1\" priority=\"1\"/>"),
            "priority=\"1\"",
        ),
        (
            format!("{ball}\n<geom size=\"0.1\" desnity=\"1\"/>"),
            "attribute `desnity`",
        ),
        (
            format!("{ball}\n<geom size=\"0.1\" quat=\"1 0 0 0\" euler=\"0 0 1\"/>"),
            "two orientations",
        ),
        (format!("{ball}\n<geom size=\"1e9\"/>"), "1000 m"),
        (
            format!("{ball}\n<geom type=\"box\" mesh=\"m\" size=\"1 1 1\"/>"),
            "fitting a primitive",
        ),
        (child("<joint type=\"ball\" name=\"b\"/>"), "type `ball`"),
        (
            child("<joint name=\"b\" springdamper=\"0.1 1\"/>"),
            "springdamper",
        ),
        (
            child("<joint name=\"b\" stiffness=\"-1\"/>"),
            "stiffness -1",
        ),
        (
            child("<inertial pos=\"0 0 0\" mass=\"1\"/><inertial pos=\"0 0 0\" mass=\"1\"/>"),
            "a second <inertial>",
        ),
    ];
    for (elements, words) in inside {
        let message = read(&dir, &object("", &elements)).expect_err(&elements);
        assert!(
            message.contains("thing.xml:5:") && message.contains(words),
            "{elements}: {message}"
        );
    }
    let sections = [
        ("<deformable/>", "<deformable>"),
        ("<asset><hfield name=\"h\"/></asset>", "<hfield>"),
        (
            "<asset><texture name=\"t\" builtin=\"gradient\"/></asset>",
            "builtin `gradient`",
        ),
        (
            "<asset><texture name=\"t\" fileright=\"a.png\"/></asset>",
            "attribute `fileright`",
        ),
        (
            "<asset><mesh name=\"m\" vertex=\"0 0 0\"/></asset>",
            "attribute `vertex`",
        ),
        (
            "<default><default class=\"a\"><default class=\"b\"/></default></default>",
            "a class in a class",
        ),
    ];
    for (section, words) in sections {
        let message = read(&dir, &object(section, ball)).expect_err(section);
        assert!(
            message.contains("thing.xml:2:") && message.contains(words),
            "{section}: {message}"
        );
    }
    // Without effect: robosuite takes the assets and the body of an object.
    for section in [
        "<sensor/>",
        "<custom/>",
        "<contact><exclude body1=\"a\" body2=\"b\"/></contact>",
        "<actuator/>",
        "<equality><joint joint1=\"a\" joint2=\"b\"/></equality>",
        "<tendon><spatial/></tendon>",
    ] {
        read(&dir, &object(section, ball)).unwrap_or_else(|e| panic!("{section}: {e}"));
    }
}

#[test]
fn an_included_file_takes_the_place_of_the_element() {
    let dir = folder("include", |_| false);
    let ball = "<geom type=\"sphere\" size=\"0.1\" group=\"0\" mass=\"0.5\"/>";
    std::fs::write(
        dir.join("shape.xml"),
        format!("<mujocoinclude>{ball}</mujocoinclude>"),
    )
    .expect("written");
    near(
        [root(&dir, &object("", "<include file=\"shape.xml\"/>")).mass],
        &[0.5],
    );
    std::fs::write(dir.join("bad.xml"), "<mujoco>\n<frame/></mujoco>").expect("written");
    let cases = [
        ("<include file=\"none.xml\"/>", "thing.xml:4:"),
        ("<include file=\"/etc/hostname\"/>", "thing.xml:4:"),
        ("<include file=\"../shape.xml\"/>", "thing.xml:4:"),
        ("<include/>", "thing.xml:4:"),
        (
            "<include file=\"shape.xml\"/><include file=\"shape.xml\"/>",
            "thing.xml:4:",
        ),
        ("<include file=\"bad.xml\"/>", "bad.xml:2:"),
    ];
    for (include, place) in cases {
        let message = read(&dir, &object("", include)).expect_err(include);
        assert!(message.contains(place), "{include}: {message}");
    }
}

#[test]
fn a_joint_keeps_its_spring_its_reference_and_the_sites_of_its_body() {
    let dir = folder("joint", |_| false);
    let ball = "<geom type=\"sphere\" size=\"0.1\" group=\"0\"/>";
    let door = format!(
        "{ball}<body name=\"door\" pos=\"1 0 0\">\
         <joint name=\"swing\" pos=\"0.02 0 0\" stiffness=\"20\" springref=\"0.1\" ref=\"0.5\"/>\
         <geom type=\"box\" size=\"0.1 0.01 0.1\" pos=\"0.1 0 0\" group=\"0\"/>\
         <site name=\"front\" pos=\"0.1 0 0\"/><body name=\"knob\" pos=\"0.2 0 0\">{ball}</body></body>"
    );
    let model = read(&dir, &object("", &door)).unwrap_or_else(|e| panic!("{e}"));
    let body = model
        .bodies
        .iter()
        .find(|b| b.name == "door")
        .expect("the door");
    let joint = body.joint.as_ref().expect("its joint is its own");
    assert_eq!(
        (joint.kind, joint.stiffness, joint.spring_reference),
        (JointKind::Hinge, 20.0, 0.1)
    );
    near(body.pos, &[1.02, 0.0, 0.0]);
    // MuJoCo 2.3.7: at joint position 0 the body is turned by -0.5 rad.
    near(
        body.quat_wxyz,
        &[0.25_f64.cos(), 0.0, 0.0, -(0.25_f64.sin())],
    );
    near(body.site[0].pos, &[0.08, 0.0, 0.0]);
    near(body.collision[0].pos, &[0.08, 0.0, 0.0]);
    let knob = model
        .bodies
        .iter()
        .find(|b| b.name == "knob")
        .expect("the knob");
    near(knob.pos, &[0.18, 0.0, 0.0]);
}

#[test]
fn what_moves_has_a_mass_and_a_file_is_bounded() {
    let dir = folder("bounds", |_| false);
    let drawn = "<geom type=\"sphere\" size=\"0.1\" group=\"1\" contype=\"0\" conaffinity=\"0\"/>";
    let message = read(&dir, &object("", drawn)).expect_err("no mass");
    assert!(
        message.contains("thing.xml:3:") && message.contains("no mass"),
        "{message}"
    );
    let part = format!(
        "<geom size=\"0.1\" group=\"0\"/><body name=\"part\"><joint name=\"j\"/>{drawn}</body>"
    );
    let message = read(&dir, &object("", &part)).expect_err("no mass");
    assert!(message.contains("`part`"), "{message}");
    let many = "<geom size=\"0.1\" group=\"0\"/>\n".repeat(4000);
    let message = read(&dir, &object("", &many)).expect_err("too many");
    assert!(message.contains("at most 1000 geoms"), "{message}");
    let face = format!("v 0 0 0\nv 1 0 0\nv 0 1 0\nf{}\n", " 1 2 3".repeat(50_000));
    let obj = |text: &str| from_memory::mesh(Path::new("thing.obj"), text.as_bytes());
    let message = obj(&face).expect_err("too many corners").to_string();
    assert!(
        message.contains("thing.obj:4:") && message.contains("150000 corners"),
        "{message}"
    );
    let message = obj("v 0 0 0\nsurf 1\n").expect_err("a curve").to_string();
    assert!(
        message.contains("thing.obj:2:") && message.contains("`surf 1`"),
        "{message}"
    );
}
