//! The two places: builds the entities of a scene when a pane has a new one, and moves them to the moment
//! on show.

use super::layers::{Collision, Paints};
use super::plain::Plain;
use super::scenery::Scenery;
use super::space::{PLACES, between, offset, transform, vec3};
use super::wardrobe::{Cut, Racks, Wardrobe};
use crate::app::Settings;
use crate::pane::{Pane, Show};
use bevy::light::NotShadowCaster;
use bevy::prelude::*;
use bitvla_sim::{BodyRef, Owner, SceneDesc, VisualDesc, isometry};
use std::sync::Arc;

/// What stands in one place.
pub(super) struct Place {
    /// The pane on show.
    pub pane: u64,
    /// Its scene.
    pub scene: Arc<SceneDesc>,
    /// Rows of the body table.
    pub table: Vec<BodyRef>,
    /// Everything hangs on this.
    pub root: Entity,
    /// One per row of the body table.
    pub bodies: Vec<Entity>,
    /// Shapes that are only sometimes there: the row whose joint decides, and the least position.
    switches: Vec<(Entity, usize, f64)>,
    /// Boxes of the goal.
    goals: Vec<Entity>,
}

/// What stands in the places.
#[derive(Resource, Default)]
pub(super) struct Places(pub [Option<Place>; PLACES]);

impl Places {
    /// Place and pane, where the pane's own scene stands.
    pub(super) fn of<'a>(&'a self, show: &'a Show, slot: usize) -> Option<(&'a Place, &'a Pane)> {
        let place = self.0.get(slot)?.as_ref()?;
        let pane = show.panes.get(slot)?;
        (pane.id == place.pane).then_some((place, pane))
    }
}

/// The middle of what happens, in the frame of the simulation.
pub(super) fn workspace(scene: &SceneDesc) -> Vec3 {
    vec3(scene.arena.workspace_offset)
}

/// Builds what is new and removes what is over.
#[allow(clippy::too_many_arguments)]
pub(super) fn build_places(
    mut commands: Commands,
    show: Res<Show>,
    settings: Res<Settings>,
    paints: Res<Paints>,
    mut places: ResMut<Places>,
    mut wardrobe: ResMut<Wardrobe>,
    mut meshes: ResMut<Assets<Mesh>>,
    mut images: ResMut<Assets<Image>>,
    mut physical: ResMut<Assets<StandardMaterial>>,
    mut plain: ResMut<Assets<Plain>>,
) {
    for slot in 0..PLACES {
        let pane = show.panes.get(slot);
        let Some(place) = places.bypass_change_detection().0.get_mut(slot) else {
            continue;
        };
        let Some(pane) = pane else {
            if let Some(old) = place.take() {
                commands.entity(old.root).despawn();
            }
            continue;
        };
        // Until a new scene is there the old one stays.
        let Some(scene) = pane.scene() else {
            continue;
        };
        if place.as_ref().is_some_and(|p| p.pane == pane.id) {
            continue;
        }
        if let Some(old) = place.as_mut().filter(|old| same_shapes(&old.scene, scene)) {
            old.pane = pane.id;
            old.scene = scene.clone();
        } else {
            if let Some(old) = place.take() {
                commands.entity(old.root).despawn();
            }
            wardrobe.next_scene();
            let mut builder = Builder {
                commands: commands.reborrow(),
                wardrobe: &mut wardrobe,
                paints: &paints,
                racks: Racks {
                    meshes: &mut meshes,
                    images: &mut images,
                    physical: &mut physical,
                    plain: &mut plain,
                    fine: settings.fine,
                },
            };
            *place = Some(builder.build(slot, pane.id, scene));
        }
        if let Some(place) = place {
            for old in place.goals.drain(..) {
                commands.entity(old).despawn();
            }
            let regions = pane.opening.as_ref().map(|o| o.regions.as_slice());
            for region in regions.unwrap_or_default() {
                if let Some(body) = place.bodies.get(region.row) {
                    let goal = commands.spawn(paints.goal(slot, region)).id();
                    paints.missed.put_on(&mut commands.entity(goal));
                    commands.entity(*body).add_child(goal);
                    place.goals.push(goal);
                }
            }
        }
    }
}

/// Whether two scenes consist of the same shapes, wherever these stand.
fn same_shapes(a: &SceneDesc, b: &SceneDesc) -> bool {
    a.arena == b.arena
        && a.robot == b.robot
        && a.instances.len() == b.instances.len()
        && a.instances
            .iter()
            .zip(&b.instances)
            .all(|(a, b)| a.model == b.model)
}

struct Builder<'w, 's, 'a> {
    commands: Commands<'w, 's>,
    wardrobe: &'a mut Wardrobe,
    paints: &'a Paints,
    racks: Racks<'a>,
}

impl Builder<'_, '_, '_> {
    fn build(&mut self, slot: usize, pane: u64, scene: &Arc<SceneDesc>) -> Place {
        let table = scene.body_table();
        let at = Transform::from_translation(offset(slot));
        let root = self.commands.spawn((at, Visibility::default())).id();
        let mut place = Place {
            pane,
            scene: scene.clone(),
            table: table.clone(),
            root,
            bodies: Vec::with_capacity(table.len()),
            switches: Vec::new(),
            goals: Vec::new(),
        };
        for (row, of) in table.iter().enumerate() {
            let model = scene.model(of.owner);
            let body = self
                .commands
                .spawn((Transform::default(), Visibility::default()))
                .id();
            self.commands.entity(root).add_child(body);
            place.bodies.push(body);
            let Some(desc) = model.bodies.get(of.body) else {
                continue;
            };
            for visual in &desc.visual {
                let Some(shape) = self.visual(slot, scene, *of, visual) else {
                    continue;
                };
                self.commands.entity(body).add_child(shape);
                if let Some(when) = &visual.visible_when {
                    let carrier = model
                        .bodies
                        .iter()
                        .position(|b| b.joint.as_ref().is_some_and(|j| j.name == when.joint));
                    if let Some(carrier) = carrier {
                        let row = row - of.body + carrier;
                        place.switches.push((shape, row, when.at_least));
                    }
                }
            }
            let paint = self.paints.collision(of.owner);
            for collision in &desc.collision {
                let Some(cut) = self.wardrobe.mesh(&mut self.racks, &collision.shape, false) else {
                    continue;
                };
                let at = transform(&isometry(collision.pos, collision.quat_wxyz));
                let mut shape = self.commands.spawn((
                    Collision,
                    Mesh3d(cut.mesh),
                    NotShadowCaster,
                    at,
                    Visibility::Hidden,
                ));
                paint.put_on(&mut shape);
                let shape = shape.id();
                self.commands.entity(body).add_child(shape);
            }
        }
        place
    }

    fn visual(
        &mut self,
        slot: usize,
        scene: &SceneDesc,
        of: BodyRef,
        visual: &VisualDesc,
    ) -> Option<Entity> {
        let desc = scene.model(of.owner).materials.get(&visual.material)?;
        let metric = desc.texture.as_ref().is_some_and(|t| t.repeat.is_some());
        let cut = self.wardrobe.mesh(&mut self.racks, &visual.shape, metric)?;
        let material = self.wardrobe.material(&mut self.racks, desc);
        let at = transform(&isometry(visual.pos, visual.quat_wxyz));
        let scenery = (of.owner == Owner::Arena)
            .then(|| scenery(slot, scene, of.body, &cut, &at))
            .flatten();
        let large = (cut.high - cut.low).length() > 4.0;
        let mut shape = self
            .commands
            .spawn((Mesh3d(cut.mesh), at, Visibility::default()));
        material.put_on(&mut shape);
        if scenery.is_some() || large {
            shape.insert(NotShadowCaster);
        }
        if let Some(scenery) = scenery {
            shape.insert(scenery);
        }
        Some(shape.id())
    }
}

/// What a shape of the arena does when the camera is behind it. Bodies of the arena do not move.
fn scenery(
    slot: usize,
    scene: &SceneDesc,
    body: usize,
    cut: &Cut,
    at: &Transform,
) -> Option<Scenery> {
    let bodies = &scene.arena.model.bodies;
    let mut frame = *at;
    let mut next = bodies.get(body);
    // A chain longer than the table has a ring in it.
    for _ in 0..bodies.len() {
        let Some(desc) = next else { break };
        frame = transform(&isometry(desc.pos, desc.quat_wxyz)).mul_transform(frame);
        let parent = desc.parent.as_ref();
        next = parent.and_then(|p| bodies.iter().find(|b| b.name == *p));
    }
    Scenery::new(slot, workspace(scene), &frame, cut.low, cut.high)
}

/// Puts bodies where they are at the moment on show.
pub(super) fn move_bodies(
    show: Res<Show>,
    places: Res<Places>,
    mut transforms: Query<&mut Transform>,
    mut visibilities: Query<&mut Visibility>,
) {
    for slot in 0..PLACES {
        let Some((place, pane)) = places.of(&show, slot) else {
            continue;
        };
        let Some((before, after, share)) = pane.around(show.at) else {
            continue;
        };
        let poses = before.state.poses.iter().zip(&after.state.poses);
        for (body, (a, b)) in place.bodies.iter().zip(poses) {
            if let Ok(mut transform) = transforms.get_mut(*body) {
                transform.set_if_neq(between(a, b, share));
            }
        }
        for (shape, row, least) in &place.switches {
            let position = before.state.joint_positions.get(*row).copied();
            let shown = if position.is_some_and(|q| q >= *least) {
                Visibility::Inherited
            } else {
                Visibility::Hidden
            };
            if let Ok(mut visibility) = visibilities.get_mut(*shape) {
                visibility.set_if_neq(shown);
            }
        }
    }
}
