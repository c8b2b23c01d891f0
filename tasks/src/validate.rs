//! Checks of models and arenas beyond what their types say: names, parents, quaternions, ranges,
//! sizes, finite numbers. A broken file is refused here with its line, not later by a solver.

use crate::error::TaskError;
use bitvla_sim::{ArenaDesc, BodyDesc, ModelDesc, ShapeDesc};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Where a description came from.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// The file.
    pub path: PathBuf,
}

/// Quaternions may be off unit length by this much (files carry 7 digits).
const QUAT_TOLERANCE: f64 = 1e-4;

/// Checks a model.
pub(crate) fn model(source: &Source, text: &str, model: &ModelDesc) -> Result<(), TaskError> {
    Checker {
        source,
        text,
        table: "bodies",
    }
    .model(model)
}

/// Checks an arena: its model, cameras, lights and numbers.
pub(crate) fn arena(source: &Source, text: &str, arena: &ArenaDesc) -> Result<(), TaskError> {
    let check = Checker {
        source,
        text,
        table: "model.bodies",
    };
    check.model(&arena.model)?;
    let mut names = BTreeSet::new();
    for (i, camera) in arena.cameras.iter().enumerate() {
        let place = Place::new(
            format!("camera `{}`", camera.name),
            check.line("cameras", i),
        );
        check.unique(&place, &mut names, &camera.name)?;
        check.finite(&place, "pos", &camera.pos)?;
        check.quat(&place, camera.quat_wxyz)?;
        if !(camera.fovy_deg > 0.0 && camera.fovy_deg < 180.0) {
            let found = format!("field of view {}", camera.fovy_deg);
            return check.fail(&place, found, "degrees between 0 and 180");
        }
    }
    for (i, light) in arena.lights.iter().enumerate() {
        let place = Place::new(format!("light {i}"), check.line("lights", i));
        check.finite(&place, "pos", &light.pos)?;
        check.finite(&place, "dir", &light.dir)?;
        let strengths = [
            light.ambient,
            light.diffuse,
            light.specular,
            light.cutoff_deg,
        ];
        check.finite(&place, "strength", &strengths)?;
        if light.dir.iter().all(|x| *x == 0.0) {
            return check.fail(&place, "direction zero".into(), "a direction");
        }
    }
    let place = Place::new("arena".into(), 1);
    check.finite(&place, "workspace_offset", &arena.workspace_offset)?;
    check.finite(&place, "robot_base_pos", &arena.robot_base_pos)?;
    check.finite(&place, "headlight", &arena.headlight)?;
    let offsets = [arena.fixture_z_offset, arena.region_site_z];
    check.finite(&place, "z offsets", &offsets)
}

/// A place inside a file: words and the line.
struct Place {
    words: String,
    line: usize,
}

impl Place {
    fn new(words: String, line: usize) -> Place {
        Place { words, line }
    }
}

struct Checker<'a> {
    source: &'a Source,
    text: &'a str,
    /// Header of the body tables.
    table: &'static str,
}

impl Checker<'_> {
    fn fail<T>(&self, place: &Place, found: String, expected: &str) -> Result<T, TaskError> {
        Err(TaskError::Malformed {
            path: self.source.path.clone(),
            line: place.line,
            found: format!("{found} in {}", place.words),
            expected: expected.to_string(),
        })
    }

    /// Line of the `index`-th `[[table]]` header; 1 when the table is written another way.
    fn line(&self, table: &str, index: usize) -> usize {
        let header = format!("[[{table}]]");
        self.text
            .lines()
            .enumerate()
            .filter(|(_, line)| line.trim_start().starts_with(&header))
            .nth(index)
            .map_or(1, |(i, _)| i + 1)
    }

    /// Line of the `index`-th `[[bodies.LIST]]` of a body; the line of the body when the list is
    /// written inline.
    fn line_in_body(&self, body: usize, list: &str, index: usize) -> usize {
        let start = self.line(self.table, body);
        let next = format!("[[{}]]", self.table);
        let header = format!("[[{}.{list}]]", self.table);
        self.text
            .lines()
            .enumerate()
            .skip(start)
            .take_while(|(_, line)| !line.trim_start().starts_with(&next))
            .filter(|(_, line)| line.trim_start().starts_with(&header))
            .nth(index)
            .map_or(start, |(i, _)| i + 1)
    }

    fn model(&self, model: &ModelDesc) -> Result<(), TaskError> {
        let top = Place::new(format!("model `{}`", model.name), 1);
        if model.bodies.is_empty() {
            return self.fail(&top, "no bodies".into(), "at least one body");
        }
        let p = &model.placement;
        let offsets = [p.bottom_offset, p.top_offset, p.horizontal_radius];
        self.finite(&top, "placement", &offsets)?;
        self.quat(&top, p.quat_wxyz)?;
        for (name, material) in &model.materials {
            let place = Place::new(format!("material `{name}`"), 1);
            self.finite(&place, "rgb", &material.rgb)?;
            let looks = [
                material.specular,
                material.shininess,
                material.emission,
                material.alpha,
                material.reflectance,
            ];
            self.finite(&place, "strength", &looks)?;
            if let Some(texture) = &material.texture {
                self.finite(&place, "colors", texture.colors.as_flattened())?;
                self.finite(&place, "repeat", &texture.repeat.unwrap_or_default())?;
            }
        }
        let joints: BTreeSet<&str> = (model.bodies.iter())
            .filter_map(|body| Some(body.joint.as_ref()?.name.as_str()))
            .collect();
        let (mut bodies, mut joint_names, mut sites) =
            (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for (i, body) in model.bodies.iter().enumerate() {
            let place = Place::new(format!("body `{}`", body.name), self.line(self.table, i));
            match &body.parent {
                None if i > 0 => {
                    let expected = "the name of an earlier body (only the first body is a root)";
                    return self.fail(&place, "no parent".into(), expected);
                }
                Some(parent) if i == 0 => {
                    let found = format!("parent `{parent}`");
                    return self.fail(&place, found, "a first body without a parent");
                }
                Some(parent) if !bodies.contains(parent.as_str()) => {
                    let found = format!("parent `{parent}`");
                    return self.fail(&place, found, "the name of an earlier body");
                }
                _ => {}
            }
            self.unique(&place, &mut bodies, &body.name)?;
            if let Some(joint) = &body.joint {
                self.unique(&place, &mut joint_names, &joint.name)?;
            }
            self.body(model, i, body, &place, &joints)?;
            for (k, site) in body.site.iter().enumerate() {
                let line = self.line_in_body(i, "site", k);
                let place = Place::new(format!("site `{}` of {}", site.name, place.words), line);
                self.unique(&place, &mut sites, &site.name)?;
                self.finite(&place, "pos", &site.pos)?;
                self.quat(&place, site.quat_wxyz)?;
                self.not_negative(&place, "half", &site.half)?;
            }
        }
        Ok(())
    }

    fn body(
        &self,
        model: &ModelDesc,
        index: usize,
        body: &BodyDesc,
        place: &Place,
        joints: &BTreeSet<&str>,
    ) -> Result<(), TaskError> {
        self.finite(place, "pos", &body.pos)?;
        self.quat(place, body.quat_wxyz)?;
        if let Some(joint) = &body.joint {
            self.finite(place, "axis", &joint.axis)?;
            self.finite(place, "range", &joint.range)?;
            let losses = [joint.damping, joint.friction_loss, joint.armature];
            self.not_negative(place, "damping, friction loss, armature", &losses)?;
            let length = joint.axis.iter().map(|x| x * x).sum::<f64>().sqrt();
            if (length - 1.0).abs() > QUAT_TOLERANCE {
                return self.fail(place, format!("axis of length {length}"), "a unit axis");
            }
            if joint.range[0] > joint.range[1] {
                let found = format!("joint range {:?}", joint.range);
                return self.fail(place, found, "[low, high] with low <= high");
            }
        }
        if let Some(inertia) = &body.inertia {
            self.not_negative(place, "mass", &[inertia.mass])?;
            self.finite(place, "com", &inertia.com)?;
            self.not_negative(place, "diagonal", &inertia.diagonal)?;
            self.quat(place, inertia.quat_wxyz)?;
        }
        for (k, shape) in body.collision.iter().enumerate() {
            let line = self.line_in_body(index, "collision", k);
            let place = Place::new(format!("collision shape {k} of {}", place.words), line);
            self.finite(&place, "pos", &shape.pos)?;
            self.quat(&place, shape.quat_wxyz)?;
            self.not_negative(
                &place,
                "friction, density",
                &[shape.friction, shape.density],
            )?;
            if matches!(
                shape.shape,
                ShapeDesc::Lathe { .. } | ShapeDesc::Mesh { .. }
            ) {
                let found = "a lathe or mesh, which are only drawn,".to_string();
                return self.fail(&place, found, "box, sphere, cylinder, capsule or hull");
            }
            self.shape(&place, &shape.shape)?;
        }
        for (k, shape) in body.visual.iter().enumerate() {
            let line = self.line_in_body(index, "visual", k);
            let place = Place::new(format!("visual shape {k} of {}", place.words), line);
            self.finite(&place, "pos", &shape.pos)?;
            self.quat(&place, shape.quat_wxyz)?;
            self.shape(&place, &shape.shape)?;
            if !model.materials.contains_key(&shape.material) {
                let found = format!("material `{}`", shape.material);
                return self.fail(&place, found, "a name of `materials`");
            }
            if let Some(when) = &shape.visible_when {
                self.finite(&place, "visible_when", &[when.at_least])?;
                if !joints.contains(when.joint.as_str()) {
                    let found = format!("joint `{}`", when.joint);
                    return self.fail(&place, found, "the name of a joint of this model");
                }
            }
        }
        Ok(())
    }

    fn shape(&self, place: &Place, shape: &ShapeDesc) -> Result<(), TaskError> {
        match shape {
            ShapeDesc::Box { half } => self.positive(place, "half", half),
            ShapeDesc::Sphere { radius } => self.positive(place, "radius", &[*radius]),
            ShapeDesc::Cylinder {
                radius,
                half_height,
            }
            | ShapeDesc::Capsule {
                radius,
                half_height,
            } => self.positive(place, "radius, half_height", &[*radius, *half_height]),
            ShapeDesc::Hull { points } => {
                self.finite(place, "points", points.as_flattened())?;
                if points.len() < 4 {
                    let found = format!("{} points", points.len());
                    return self.fail(place, found, "at least 4 points of a hull");
                }
                Ok(())
            }
            ShapeDesc::Lathe { profile, segments } => {
                self.finite(place, "profile", profile.as_flattened())?;
                if profile.len() < 2 || profile.iter().any(|p| p[0] < 0.0) {
                    let found = format!("profile {profile:?}");
                    return self.fail(place, found, "two or more [radius >= 0, z]");
                }
                if !(3..=1024).contains(segments) {
                    let found = format!("{segments} segments");
                    return self.fail(place, found, "3 to 1024 segments");
                }
                Ok(())
            }
            ShapeDesc::Mesh {
                vertices,
                triangles,
                uv,
                normals,
            } => {
                let finite = (vertices.as_flattened().iter())
                    .chain(uv.as_flattened())
                    .chain(normals.as_flattened())
                    .all(|x| x.is_finite());
                if !finite {
                    let found = "a vertex that is not finite".to_string();
                    return self.fail(place, found, "finite numbers");
                }
                if !uv.is_empty() && uv.len() != vertices.len() {
                    let found = format!("{} texture coordinates", uv.len());
                    let expected = format!("none or {}", vertices.len());
                    return self.fail(place, found, &expected);
                }
                if !normals.is_empty() && normals.len() != vertices.len() {
                    let found = format!("{} normals", normals.len());
                    let expected = format!("none or {}", vertices.len());
                    return self.fail(place, found, &expected);
                }
                match (triangles.as_flattened().iter()).find(|i| **i as usize >= vertices.len()) {
                    Some(i) => {
                        let expected = format!("an index below {}", vertices.len());
                        self.fail(place, format!("vertex index {i}"), &expected)
                    }
                    None => Ok(()),
                }
            }
        }
    }

    fn unique(
        &self,
        place: &Place,
        names: &mut BTreeSet<String>,
        name: &str,
    ) -> Result<(), TaskError> {
        if name.is_empty() {
            return self.fail(place, "an empty name".into(), "a name");
        }
        if !names.insert(name.to_string()) {
            return self.fail(place, format!("second `{name}`"), "unique names");
        }
        Ok(())
    }

    fn quat(&self, place: &Place, q: [f64; 4]) -> Result<(), TaskError> {
        let norm = q.iter().map(|x| x * x).sum::<f64>().sqrt();
        // Written so that NaN fails as well.
        if (norm - 1.0).abs() <= QUAT_TOLERANCE {
            return Ok(());
        }
        let found = format!("quaternion {q:?} of norm {norm}");
        self.fail(place, found, "a unit quaternion [w, x, y, z]")
    }

    fn finite(&self, place: &Place, what: &str, values: &[f64]) -> Result<(), TaskError> {
        match values.iter().find(|x| !x.is_finite()) {
            Some(x) => self.fail(place, format!("{what} {x}"), "finite numbers"),
            None => Ok(()),
        }
    }

    fn positive(&self, place: &Place, what: &str, values: &[f64]) -> Result<(), TaskError> {
        match values.iter().find(|x| !(x.is_finite() && **x > 0.0)) {
            Some(x) => self.fail(place, format!("{what} {x}"), "numbers above 0"),
            None => Ok(()),
        }
    }

    fn not_negative(&self, place: &Place, what: &str, values: &[f64]) -> Result<(), TaskError> {
        match values.iter().find(|x| !(x.is_finite() && **x >= 0.0)) {
            Some(x) => self.fail(place, format!("{what} {x}"), "numbers of 0 or more"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    //! Guarantee: a broken model file is an error that names the line and what is wrong there, and
    //! no text whatever makes the loader panic.

    use super::*;
    use crate::assets::parse;
    use proptest::prelude::*;

    const GOOD: &str = r#"name = "thing"
[materials.red]
rgb = [1.0, 0.0, 0.0]
[[bodies]]
name = "main"
[[bodies.collision]]
shape = { box = { half = [0.1, 0.1, 0.1] } }
friction = 0.95
density = 100.0
[[bodies]]
name = "drawer"
parent = "main"
joint = { name = "level", kind = "slide", axis = [0.0, 1.0, 0.0], range = [-0.16, 0.01] }
[[bodies.visual]]
shape = { sphere = { radius = 0.1 } }
quat_wxyz = [1.0, 0.0, 0.0, 0.0]
material = "red"
"#;

    fn read(text: &str) -> Result<ModelDesc, TaskError> {
        let source = Source {
            path: PathBuf::from("thing.toml"),
        };
        let desc: ModelDesc = parse(&source, text)?;
        model(&source, text, &desc)?;
        Ok(desc)
    }

    #[test]
    fn the_good_text_is_good() {
        read(GOOD).expect("no mistake in it");
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        let cases = [
            (
                "parent = \"main\"",
                "parent = \"trunk\"",
                10,
                "parent `trunk`",
            ),
            ("parent = \"main\"", "", 10, "no parent"),
            ("name = \"drawer\"", "name = \"main\"", 10, "second `main`"),
            (
                "[1.0, 0.0, 0.0, 0.0]",
                "[1.0, 1.0, 0.0, 0.0]",
                14,
                "quaternion",
            ),
            (
                "[-0.16, 0.01]",
                "[0.16, 0.01]",
                10,
                "joint range [0.16, 0.01]",
            ),
            ("[-0.16, 0.01]", "[-inf, 0.01]", 10, "range -inf"),
            (
                "material = \"red\"",
                "material = \"blue\"",
                14,
                "material `blue`",
            ),
            (
                "half = [0.1, 0.1, 0.1]",
                "half = [0.1, nan, 0.1]",
                6,
                "half NaN",
            ),
            (
                "half = [0.1, 0.1, 0.1]",
                "half = [0.1, -0.1, 0.1]",
                6,
                "half -0.1",
            ),
            (
                "box = { half = [0.1, 0.1, 0.1] }",
                "lathe = { segments = 8, profile = [[0.0, 0.0], [1.0, 0.0]] }",
                6,
                "only drawn",
            ),
            ("friction = 0.95", "frction = 0.95", 8, "frction"),
            ("friction = 0.95", "friction = ", 8, "friction ="),
        ];
        for (good, bad, line, words) in cases {
            let error = read(&GOOD.replacen(good, bad, 1)).expect_err(bad);
            let message = error.to_string();
            assert!(
                message.starts_with(&format!("thing.toml:{line}: ")) && message.contains(words),
                "{bad}: {message}"
            );
        }
    }

    proptest! {
        #[test]
        fn truncated_files_never_panic(end in 0..GOOD.len()) {
            let _ = read(&GOOD[..end]);
        }

        #[test]
        fn overwritten_files_never_panic(at in 0..GOOD.len(), patch in "[ -~\n]{0,12}") {
            let end = (at + patch.len()).min(GOOD.len());
            let _ = read(&format!("{}{patch}{}", &GOOD[..at], &GOOD[end..]));
        }
    }
}
