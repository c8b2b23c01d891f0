//! LIBERO's arenas: a scene file and what LIBERO sets in Python (`docs/reference/libero.md`, section 2): size and
//! friction of the table, styles of floor and walls, cameras, robot base, origin of regions.

use crate::error::TaskError;
use crate::mjcf::{self, ImportOptions, Notices, TextureOverrides};
use bitvla_sim::{ArenaDesc, CameraDesc, ModelDesc, ShapeDesc, VisualDesc};
use std::path::Path;

/// Properties of an arena that LIBERO sets outside its scene file.
struct ArenaSpec {
    name: &'static str,
    /// Scene file.
    scene: &'static str,
    /// Texture files.
    floor: &'static str,
    wall: &'static str,
    /// Origin of the ranges of regions, world frame, m.
    workspace: [f64; 3],
    /// Height of fixtures above it, m.
    fixture_z: f64,
    /// World z of the sites of regions, m.
    region_z: f64,
    /// Ranges of movable objects shrink by their radius.
    shrink: bool,
    /// Robot base, world frame, m.
    base: [f64; 3],
    /// Camera `agentview`: position (m) and quaternion w, x, y, z, world frame.
    view_pos: [f64; 3],
    view_quat: [f64; 4],
    /// Friction of the table that is sized in Python; none where the scene file has the furniture.
    table_friction: Option<f64>,
}

/// Orientations of the camera over a table and over a low support, quaternion w, x, y, z.
const HIGH: [f64; 4] = [
    0.6380177736282349,
    0.3048497438430786,
    0.30484986305236816,
    0.6380177736282349,
];
const LOW: [f64; 4] = [
    0.6182166934013367,
    0.3432307541370392,
    0.3432314395904541,
    0.6182177066802979,
];
const PLASTER: &str = "light-gray-plaster.png";
const TILES: &str = "light-gray-floor-tile.png";

const ARENAS: [ArenaSpec; 6] = [
    ArenaSpec {
        name: "coffee_table",
        scene: "libero_coffee_table_base_style.xml",
        floor: "seamless_wood_planks_floor.png",
        wall: PLASTER,
        workspace: [0.0, 0.0, 0.41],
        fixture_z: -0.014,
        region_z: 0.02,
        shrink: false,
        base: [-0.51, 0.0, 0.41],
        view_pos: [1.5, 0.0, 0.9],
        view_quat: [0.56, 0.43, 0.43, 0.56],
        table_friction: None,
    },
    ArenaSpec {
        name: "floor",
        scene: "libero_floor_base_style.xml",
        floor: TILES,
        wall: PLASTER,
        workspace: [0.0, 0.0, -0.035],
        fixture_z: -0.025,
        region_z: 0.02,
        shrink: true,
        base: [-0.6, 0.0, 0.0],
        view_pos: [0.8965773716836134, 5.216182733499864e-07, 0.65],
        view_quat: LOW,
        table_friction: None,
    },
    ArenaSpec {
        name: "kitchen",
        scene: "libero_kitchen_tabletop_base_style.xml",
        floor: "gray_ceramic_tile.png",
        wall: "yellow_linen_wall_texture.png",
        workspace: [0.0, 0.0, 0.90],
        fixture_z: -0.04,
        region_z: 0.875,
        shrink: false,
        base: [-0.66, 0.0, 0.912],
        view_pos: [0.6586131746834771, 0.0, 1.6103500240372423],
        view_quat: HIGH,
        table_friction: Some(1.0),
    },
    ArenaSpec {
        name: "living_room",
        scene: "libero_living_room_tabletop_base_style.xml",
        floor: "seamless_wood_planks_floor.png",
        wall: PLASTER,
        workspace: [0.0, 0.0, 0.41],
        fixture_z: -0.014,
        region_z: 0.41,
        shrink: false,
        base: [-0.51, 0.0, 0.42],
        view_pos: [0.6065773716836134, 0.0, 0.96],
        view_quat: LOW,
        table_friction: None,
    },
    ArenaSpec {
        name: "study",
        scene: "libero_study_base_style.xml",
        floor: TILES,
        wall: PLASTER,
        workspace: [-0.2, 0.0, 0.867],
        fixture_z: -0.04,
        region_z: 0.867,
        shrink: false,
        base: [-0.75, 0.0, 0.912],
        view_pos: [0.4586131746834771, 0.0, 1.6103500240372423],
        view_quat: HIGH,
        table_friction: None,
    },
    ArenaSpec {
        name: "table",
        scene: "libero_tabletop_base_style.xml",
        floor: TILES,
        wall: PLASTER,
        workspace: [0.0, 0.0, 0.90],
        fixture_z: -0.04,
        region_z: 0.895,
        shrink: true,
        base: [-0.66, 0.0, 0.912],
        view_pos: [0.6586131746834771, 0.0, 1.6103500240372423],
        view_quat: HIGH,
        table_friction: Some(0.6),
    },
];

/// Half sizes of the table that LIBERO sets in Python, m.
const TABLE_HALF: [f64; 3] = [0.5, 0.6, 0.025];
/// Distance of the legs from the edges, and their radius, m.
const LEG_INSET: f64 = 0.1;
const LEG_RADIUS: f64 = 0.025;

/// Returns true if the robot stands on the ground or a low table instead of its pedestal.
pub(crate) fn without_pedestal(name: &str) -> bool {
    let (base, _) = split_variant(name);
    matches!(base, "coffee_table" | "floor" | "living_room")
}

/// The arena and the scene file (relative to `scenes`) of a name such as `table/lights/dim.xml`.
fn split_variant(name: &str) -> (&str, Option<&str>) {
    (name.split_once('/')).map_or((name, None), |(base, scene)| (base, Some(scene)))
}

/// Reads an arena from the asset folder of a checkout.
pub(crate) fn read(assets: &Path, name: &str, notices: &Notices) -> Result<ArenaDesc, TaskError> {
    let (base, variant) = split_variant(name);
    let arena = spec(base)?;
    let path = assets.join("scenes").join(variant.unwrap_or(arena.scene));
    let text = mjcf::read_text(&path)?;
    parse_with(&path, &text, &assets.join("textures"), arena, notices)
}

/// [`read`] of the text of a scene file; textures lie beside it.
pub(crate) fn parse(
    path: &Path,
    text: &str,
    name: &str,
    notices: &Notices,
) -> Result<ArenaDesc, TaskError> {
    // Only a root folder has no parent, and it is no file with a text.
    let textures = path.parent().unwrap_or(Path::new("."));
    parse_with(path, text, textures, spec(name)?, notices)
}

fn spec(name: &str) -> Result<&'static ArenaSpec, TaskError> {
    (ARENAS.iter().find(|arena| arena.name == name)).ok_or_else(|| TaskError::Unknown {
        kind: "arena",
        name: name.to_owned(),
        known: ARENAS.iter().map(|arena| arena.name.to_owned()).collect(),
    })
}

fn parse_with(
    path: &Path,
    text: &str,
    textures: &Path,
    arena: &ArenaSpec,
    notices: &Notices,
) -> Result<ArenaDesc, TaskError> {
    let options = ImportOptions {
        name: arena.name.to_owned(),
        texture_overrides: TextureOverrides::from([
            ("texplane".to_owned(), textures.join(arena.floor)),
            ("tex-wall".to_owned(), textures.join(arena.wall)),
        ]),
        ..ImportOptions::default()
    };
    let (model, lights) = mjcf::parse_scene(path, text, &options, notices, |model| {
        match arena.table_friction {
            Some(friction) => size_table(model, arena.workspace, friction),
            None => Ok(()),
        }
    })?;
    Ok(ArenaDesc {
        model,
        workspace_offset: arena.workspace,
        fixture_z_offset: arena.fixture_z,
        region_site_z: arena.region_z,
        shrink_regions: arena.shrink,
        robot_base_pos: arena.base,
        robot_mount: !without_pedestal(arena.name),
        cameras: vec![
            CameraDesc {
                name: "agentview".into(),
                body: None,
                pos: arena.view_pos,
                quat_wxyz: unit(arena.view_quat),
                fovy_deg: 45.0,
            },
            CameraDesc {
                name: "eye_in_hand".into(),
                body: Some("right_hand".into()),
                pos: [0.05, 0.0, 0.0],
                quat_wxyz: unit([0.0, 0.707108, 0.707108, 0.0]),
                fovy_deg: 75.0,
            },
        ],
        lights,
        headlight: [0.1, 0.4, 0.5],
        fixed_function: true,
    })
}

fn unit(q: [f64; 4]) -> [f64; 4] {
    let length = q.iter().map(|x| x * x).sum::<f64>().sqrt();
    q.map(|x| x / length)
}

/// Sets the size of the table and the places of its legs, as LIBERO's arena class does. `top` is the middle of its upper
/// side, world frame, m.
fn size_table(model: &mut ModelDesc, top: [f64; 3], friction: f64) -> Result<(), String> {
    let table = (model.bodies.iter_mut().find(|b| b.name == "table")).ok_or("no body `table`")?;
    let [hx, hy, hz] = TABLE_HALF;
    table.pos = [top[0], top[1], top[2] - hz];
    let collision = (table.collision.first_mut()).ok_or("no collision shape in body `table`")?;
    collision.shape = ShapeDesc::Box { half: TABLE_HALF };
    collision.friction = friction;
    let visuals = &mut table.visual;
    let slab = visuals
        .first_mut()
        .ok_or("no drawn shape in body `table`")?;
    resize(slab, TABLE_HALF);
    let half_leg = 0.5 * (top[2] - hz);
    let corners = [(1.0, 1.0), (-1.0, 1.0), (-1.0, -1.0), (1.0, -1.0)];
    for (leg, (x, y)) in visuals.iter_mut().skip(1).zip(corners) {
        resize(leg, [LEG_RADIUS, LEG_RADIUS, half_leg]);
        leg.pos = [x * (hx - LEG_INSET), y * (hy - LEG_INSET), -half_leg];
    }
    Ok(())
}

/// Scales a drawn shape to half sizes; its texture coordinates belong to the unit object and stay.
fn resize(visual: &mut VisualDesc, half: [f64; 3]) {
    if let ShapeDesc::Mesh { vertices, .. } = &mut visual.shape {
        let reach = vertices
            .iter()
            .fold([0.0f32; 3], |r, p| [0, 1, 2].map(|k| r[k].max(p[k].abs())));
        for p in vertices {
            *p = [0, 1, 2].map(|k| (f64::from(p[k] / reach[k]) * half[k]) as f32);
        }
    }
}
