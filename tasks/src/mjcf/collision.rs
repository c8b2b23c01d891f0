//! Contact shapes and masses of geoms, as MuJoCo 2.3.7 has them under robosuite: mass comes from the geoms of group 0.

use super::document::MjcfElement;
use super::geom::{Geom, GeomKind, primitive_volume};
use super::model::{ModelBuilder, unused_name};
use super::pose::{inertia_desc, pose_to_desc};
use crate::error::TaskError;
use bitvla_sim::links::LinkTree;
use bitvla_sim::{BodyDesc, CollisionDesc, InertiaDesc, ModelDesc};
use nalgebra::{Matrix3, Vector3};
use std::f64::consts::PI;

/// Group of the geoms that have mass.
pub(super) const MASS_GROUP: i64 = 0;
/// Least mass (kg) and moment of inertia (kg m^2) of a moving body: MuJoCo's `mjMINVAL`.
const MIN_MASS: f64 = 1e-15;

impl ModelBuilder<'_> {
    /// Adds the contact shape and the mass of a geom.
    pub(super) fn add_collision(
        &mut self,
        index: usize,
        geom: &Geom,
        el: &MjcfElement,
    ) -> Result<(), TaskError> {
        let has_mass = geom.group == MASS_GROUP && geom.kind != GeomKind::Plane;
        if !geom.collides() && !has_mass {
            return Ok(());
        }
        let Some((shape, offset)) = geom.shape() else {
            // Only the shape of a mesh can be missing.
            let path = geom.mesh.as_ref().map(|m| m.path.display().to_string());
            let found = format!("`{}`, which is not there,", path.unwrap_or_default());
            return Err(el.fail(found, "the mesh file of a collision shape"));
        };
        let (pos, quat_wxyz) = pose_to_desc(&(geom.pose * offset));
        let mut collision = CollisionDesc {
            name: geom.name.clone(),
            shape,
            pos,
            quat_wxyz,
            friction: geom.friction,
            density: 0.0,
            contype: geom.bits[0],
            conaffinity: geom.bits[1],
        };
        if has_mass {
            match primitive_volume(&collision.shape) {
                Some(volume) => {
                    collision.density = geom.mass.map_or(geom.density, |mass| mass / volume);
                }
                // The simulation does not compute the mass of a hull, so its inertia is stated.
                None => self.add_weight(index, |body| solid_inertia(geom, el, body))?,
            }
            if !geom.collides() && collision.density > 0.0 {
                self.add_weight(index, |_| primitive_inertia(&collision, el))?;
            }
        }
        if geom.collides() {
            self.model.bodies[index].collision.push(collision);
        }
        Ok(())
    }

    /// Adds a mass without a contact shape, as a body welded to that of the geom; none if the file states the inertia of
    /// the body.
    fn add_weight(
        &mut self,
        index: usize,
        inertia: impl FnOnce(&mut ModelBuilder) -> Result<Weight, TaskError>,
    ) -> Result<(), TaskError> {
        if self.model.bodies[index].inertia.is_some() {
            return Ok(());
        }
        let weight = inertia(self)?;
        let parent = self.model.bodies[index].name.clone();
        let name = unused_name(&mut self.body_names, format!("{parent}_weight"));
        let mut body = BodyDesc::new(name, Some(parent));
        (body.pos, body.quat_wxyz) = (weight.pos, weight.quat_wxyz);
        body.inertia = Some(weight.inertia);
        self.model.bodies.push(body);
        Ok(())
    }
}

/// An inertia and the pose of its frame in that of a body.
struct Weight {
    pos: [f64; 3],
    quat_wxyz: [f64; 4],
    inertia: InertiaDesc,
}

/// Inertia of a mesh or ellipsoid.
fn solid_inertia(
    geom: &Geom,
    el: &MjcfElement,
    builder: &ModelBuilder,
) -> Result<Weight, TaskError> {
    let (volume, com, inertia) = if geom.kind == GeomKind::Ellipsoid {
        let [a, b, c] = geom.size.map(|r| r * r);
        let volume = 4.0 / 3.0 * PI * geom.size.iter().product::<f64>();
        let diagonal = Vector3::new(b + c, a + c, a + b) * (volume / 5.0);
        (volume, Vector3::zeros(), Matrix3::from_diagonal(&diagonal))
    } else {
        let mesh = (geom.mesh.as_ref())
            .and_then(|m| Some((m, m.mesh.as_ref()?)))
            .ok_or_else(|| el.fail("no mesh", "a mesh"))?;
        let solid = (mesh.1.volume_properties())
            .ok_or_else(|| el.fail("a mesh without volume", "a closed mesh"))?;
        if let Some(defect) = mesh.1.surface_defect() {
            builder.notices.say(
                &mesh.0.path.display().to_string(),
                &format!(
                    "its surface is {defect}; its mass comes from the absolute pyramids over its faces, as in LIBERO's \
                     MuJoCo"
                ),
            );
        }
        (solid.volume, solid.com, solid.inertia)
    };
    let density = geom.mass.map_or(geom.density, |mass| mass / volume);
    let (pos, quat_wxyz) = pose_to_desc(&geom.pose);
    Ok(Weight {
        pos,
        quat_wxyz,
        inertia: inertia_desc(density * volume, com, inertia * density),
    })
}

/// Inertia of a primitive that does not collide.
fn primitive_inertia(collision: &CollisionDesc, el: &MjcfElement) -> Result<Weight, TaskError> {
    let mut body = BodyDesc::new("main".into(), None);
    body.collision.push(CollisionDesc {
        pos: [0.0; 3],
        quat_wxyz: [1.0, 0.0, 0.0, 0.0],
        ..collision.clone()
    });
    let tree = LinkTree::new(&ModelDesc {
        bodies: vec![body],
        ..ModelDesc::empty("primitive")
    });
    let tree = tree.map_err(|e| el.fail(e.to_string(), "a shape with volume"))?;
    let link = &tree.links[0];
    Ok(Weight {
        pos: collision.pos,
        quat_wxyz: collision.quat_wxyz,
        inertia: inertia_desc(link.mass, link.com, link.inertia),
    })
}

/// Name of the first link that moves and has no mass or inertia (MuJoCo: "mass and inertia of moving bodies must be larger
/// than mjMINVAL"); the root moves if `is_free`.
pub(super) fn first_weightless(model: &ModelDesc, is_free: bool) -> Option<&str> {
    let tree = LinkTree::new(model).ok()?;
    let weightless = (tree.links.iter()).find(|link| {
        link.moves(!is_free) && !(link.mass >= MIN_MASS && link.inertia.trace() >= MIN_MASS)
    })?;
    Some(&model.bodies[weightless.body].name)
}
