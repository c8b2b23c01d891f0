//! The elements and attributes of MJCF that are understood. Each is used, or known and without effect here for a stated
//! reason, or refused: what is in none of these tables is an error with file, line and name.

use super::document::{MAX_DEPTH, MjcfElement};
use super::notices::Notices;
use crate::error::TaskError;

/// Kind of a file, which decides what of it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    /// An object or fixture: robosuite takes `<asset>` and the body `object`.
    Object,
    /// A scene: robosuite takes `<asset>` and `<worldbody>`.
    Scene,
    /// A robot, of which only what is drawn is read.
    Robot,
}

/// Rules of one element.
struct ElementRule {
    tag: &'static str,
    /// Tags of the elements that it may hold.
    children: &'static [&'static str],
    /// Attributes that are read, besides those of the pose.
    used: &'static [&'static str],
    /// Has a pose: `pos` and one of [`ORIENTATIONS`] are read.
    has_pose: bool,
    /// Attributes without effect here, with the reason.
    without_effect: &'static [(&'static [&'static str], &'static str)],
    /// Attributes that are accepted with these values only, because they change nothing then.
    only: &'static [(&'static str, &'static [&'static str])],
}

impl ElementRule {
    /// Attributes that are read.
    fn attributes(&self) -> impl Iterator<Item = &'static str> {
        let pose = std::iter::once("pos").chain(ORIENTATIONS);
        (self.used.iter().copied()).chain(pose.filter(|_| self.has_pose))
    }

    fn reads(&self, name: &str) -> bool {
        self.attributes().any(|read| read == name)
    }
}

const ORIENTATIONS: [&str; 5] = ["quat", "axisangle", "euler", "xyaxes", "zaxis"];
const SOFTNESS: &str = "contacts and joint limits are as stiff as the engine's settings say (docs/reference/libero.md, section 13)";
const FRICTION_KINDS: &str =
    "sliding friction is simulated, torsional and rolling friction are not";
const NO_NAME: &str = "an identifier that nothing here refers to";

const ELEMENTS: [ElementRule; 11] = [
    ElementRule {
        tag: "asset",
        children: &["mesh", "texture", "material"],
        used: &[],
        has_pose: false,
        without_effect: &[],
        only: &[],
    },
    ElementRule {
        tag: "mesh",
        children: &[],
        used: &["name", "class", "file", "scale", "refpos", "refquat"],
        has_pose: false,
        without_effect: &[],
        only: &[("smoothnormal", &["false"])],
    },
    ElementRule {
        tag: "texture",
        children: &[],
        used: &["name", "class", "type", "file", "builtin", "rgb1", "rgb2"],
        has_pose: false,
        without_effect: &[
            (
                &["width", "height"],
                "the size of a generated picture, which has one colour or two here",
            ),
            (
                &["markrgb", "random"],
                "the colour and number of marks, and there are no marks",
            ),
            (
                &["gridlayout"],
                "the layout of a picture of several parts, and it has one part",
            ),
        ],
        only: &[
            ("mark", &["none"]),
            ("gridsize", &["1 1"]),
            ("hflip", &["false"]),
            ("vflip", &["false"]),
        ],
    },
    ElementRule {
        tag: "material",
        children: &[],
        used: &[
            "name",
            "class",
            "texture",
            "texrepeat",
            "texuniform",
            "emission",
            "specular",
            "shininess",
            "reflectance",
            "rgba",
        ],
        has_pose: false,
        without_effect: &[],
        only: &[],
    },
    ElementRule {
        tag: "worldbody",
        children: &["body", "geom", "site", "camera", "light"],
        used: &[],
        has_pose: false,
        without_effect: &[],
        only: &[],
    },
    ElementRule {
        tag: "body",
        children: &[
            "body", "geom", "site", "joint", "inertial", "camera", "region",
        ],
        used: &["name", "class"],
        has_pose: true,
        without_effect: &[(&["user"], NO_NAME)],
        only: &[("mocap", &["false"]), ("gravcomp", &["0"])],
    },
    ElementRule {
        tag: "joint",
        children: &[],
        used: &[
            "name",
            "class",
            "type",
            "pos",
            "axis",
            "limited",
            "range",
            "ref",
            "stiffness",
            "springref",
            "damping",
            "frictionloss",
            "armature",
        ],
        has_pose: false,
        without_effect: &[
            (
                &[
                    "solreflimit",
                    "solimplimit",
                    "solreffriction",
                    "solimpfriction",
                    "margin",
                ],
                SOFTNESS,
            ),
            (&["group", "user"], NO_NAME),
        ],
        only: &[("springdamper", &["0 0"])],
    },
    ElementRule {
        tag: "inertial",
        children: &[],
        used: &["class", "mass", "diaginertia", "fullinertia"],
        has_pose: true,
        without_effect: &[],
        only: &[],
    },
    ElementRule {
        tag: "geom",
        children: &[],
        used: &[
            "name",
            "class",
            "type",
            "size",
            "fromto",
            "contype",
            "conaffinity",
            "group",
            "friction",
            "mass",
            "density",
            "rgba",
            "material",
            "mesh",
        ],
        has_pose: true,
        without_effect: &[
            (&["solmix", "solref", "solimp", "margin", "gap"], SOFTNESS),
            (&["condim"], FRICTION_KINDS),
            (&["fluidcoef"], "belongs to `fluidshape`"),
            (&["user"], NO_NAME),
        ],
        only: &[
            ("priority", &["0"]),
            ("shellinertia", &["false"]),
            ("fluidshape", &["none"]),
        ],
    },
    ElementRule {
        tag: "site",
        children: &[],
        used: &["name", "class", "type", "size", "rgba"],
        has_pose: true,
        without_effect: &[
            (
                &["group", "material"],
                "sites are not drawn; the burner of LIBERO's stove has a colour",
            ),
            (
                &["mesh"],
                "LIBERO's desk_caddy_site.xml has one; a site is a box",
            ),
            (&["user"], NO_NAME),
        ],
        only: &[],
    },
    ElementRule {
        tag: "light",
        children: &[],
        used: &[
            "class",
            "pos",
            "dir",
            "directional",
            "cutoff",
            "ambient",
            "diffuse",
            "specular",
            "active",
        ],
        has_pose: false,
        without_effect: &[
            (&["name"], NO_NAME),
            (&["castshadow"], "robosuite draws without shadows"),
            (
                &["exponent"],
                "spots are drawn with MuJoCo's default exponent",
            ),
        ],
        only: &[("mode", &["fixed"]), ("attenuation", &["1 0 0"])],
    },
];

/// Elements without effect here, wherever they stand in a body or world, with the reason.
const ELEMENTS_WITHOUT_EFFECT: [(&str, &str); 2] = [
    (
        "camera",
        "LIBERO sets its cameras in Python, and policies see only those",
    ),
    (
        "region",
        "LIBERO's short_fridge.xml has one; MuJoCo does not know the element",
    ),
];

/// Sections of a file without effect here, with the reason.
const SECTIONS_WITHOUT_EFFECT: [(&str, &str); 8] = [
    (
        "compiler",
        "robosuite takes over only worldbody and assets; its own settings hold: radians, eulerseq xyz, files beside the model",
    ),
    ("default", "read by `document`"),
    ("option", "robosuite's settings hold"),
    ("size", "memory of MuJoCo"),
    ("visual", "robosuite's settings hold"),
    ("statistic", "the extent that MuJoCo's own viewer shows"),
    ("custom", "data that only a program reads"),
    ("sensor", "measures and moves nothing"),
];

/// Sections beside the bodies. Those of a robot are in `assets/robots/panda.toml`, robosuite drops those of an object
/// (`Task.merge_objects` takes its assets and body), and those of a scene, which it keeps, are refused.
const SECTIONS_BESIDE_BODIES: [&str; 4] = ["actuator", "tendon", "equality", "contact"];

/// Settings of `<compiler>` that robosuite drops, with the value that says the same as its own.
const DROPPED_SETTINGS: [(&str, &[&str]); 5] = [
    ("angle", &["radian"]),
    ("eulerseq", &["xyz"]),
    ("meshdir", &["", ".", "./"]),
    ("texturedir", &["", ".", "./"]),
    ("assetdir", &["", ".", "./"]),
];

/// Checks the sections of a file, its assets and, of a scene or robot, its world.
pub(super) fn check_file(
    root: &MjcfElement,
    kind: FileKind,
    notices: &Notices,
) -> Result<(), TaskError> {
    for section in root.children() {
        let tag = section.tag();
        match tag {
            "asset" => check_element(&section, 0)?,
            "worldbody" if kind == FileKind::Object => {}
            "worldbody" => check_element(&section, 0)?,
            "compiler" => report_settings(&section, notices),
            // The bodies of a scene are fixed and never touch each other.
            "contact"
                if kind == FileKind::Scene
                    && section.children().all(|el| el.tag() == "exclude") => {}
            _ if SECTIONS_WITHOUT_EFFECT
                .iter()
                .any(|(known, _)| *known == tag) => {}
            _ if SECTIONS_BESIDE_BODIES.contains(&tag) => match kind {
                FileKind::Robot => {}
                // An empty section says nothing.
                _ if section.children().next().is_none() => {}
                FileKind::Object => notices.say(
                    &section.place(),
                    &format!(
                        "<{tag}> has no effect, as in LIBERO: robosuite takes over only the assets and the body `object` of \
                         an object"
                    ),
                ),
                FileKind::Scene => return Err(section.refused()),
            },
            _ => return Err(section.refused()),
        }
    }
    Ok(())
}

/// Says which settings of the file do not hold.
fn report_settings(compiler: &MjcfElement, notices: &Notices) {
    for (name, same) in DROPPED_SETTINGS {
        if let Some(value) = compiler.own(name).filter(|value| !same.contains(value)) {
            notices.say(&compiler.place(), &format!(
                "`{name}=\"{value}\"` of <compiler> has no effect, as in LIBERO: robosuite drops it \
                 (radians, eulerseq xyz and files beside the model hold)"
            ));
        }
    }
}

/// Checks an element and everything in it.
pub(super) fn check_element(el: &MjcfElement, depth: usize) -> Result<(), TaskError> {
    // A world is around the bodies, and elements are in the innermost one.
    if depth > MAX_DEPTH + 2 {
        return Err(el.fail("bodies in bodies", "fewer levels"));
    }
    let Some(rule) = ELEMENTS.iter().find(|rule| rule.tag == el.tag()) else {
        return Err(el.refused());
    };
    let attributes = el.attributes()?;
    for (name, value) in &attributes {
        let known =
            rule.reads(name) || (rule.without_effect.iter()).any(|(names, _)| names.contains(name));
        let allowed = rule.only.iter().find(|(only, _)| only == name);
        match allowed {
            _ if known => {}
            Some((_, values)) if values.contains(&value.trim()) => {}
            Some((_, values)) => {
                let found = format!("{name}=\"{value}\"");
                return Err(el.fail(
                    found,
                    &format!("{name} {}: nothing else is simulated", values.join(" or ")),
                ));
            }
            None => {
                let read: Vec<&str> = rule.attributes().collect();
                let expected = format!("attributes that are read: {}", read.join(", "));
                return Err(el.fail(format!("attribute `{name}`"), &expected));
            }
        }
    }
    let orientations = (attributes.iter())
        .filter(|(name, _)| ORIENTATIONS.contains(name))
        .count();
    if orientations > 1 {
        return Err(el.fail(
            "two orientations",
            "one of quat, axisangle, euler, xyaxes, zaxis",
        ));
    }
    for child in el.children() {
        let tag = child.tag();
        if !rule.children.contains(&tag) {
            return Err(child.refused());
        }
        if !ELEMENTS_WITHOUT_EFFECT
            .iter()
            .any(|(known, _)| *known == tag)
        {
            check_element(&child, depth + 1)?;
        }
    }
    Ok(())
}
