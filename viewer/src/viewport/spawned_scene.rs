//! Entities of the displayed scenes: spawned when an episode brings a new scene, and moved to the state at the playhead.

use super::asset_cache::{AssetCache, AssetStores, CachedMesh};
use super::occluders::Occluder;
use super::overlays::{CollisionShape, OverlayMaterials};
use super::simple_material::SimpleMaterial;
use super::transforms::{MAX_VIEWS, interpolate_pose, offset, transform, workspace};
use crate::resources::ViewerSettings;
use crate::session::{EpisodePlayback, Session};
use crate::warnings::warn_once;
use bevy::light::NotShadowCaster;
use bevy::prelude::*;
use bitvla_sim::{BodyRef, Owner, SceneDesc, VisualDesc, isometry};
use std::sync::Arc;

/// Entities of one scene.
pub(super) struct SpawnedScene {
    /// Id of the displayed episode.
    pub episode: u64,
    /// Scene of the episode.
    pub scene: Arc<SceneDesc>,
    /// Body table of the scene.
    pub table: Vec<BodyRef>,
    /// Root entity of the scene.
    pub root: Entity,
    /// Entities by row of the body table.
    pub bodies: Vec<Entity>,
    /// Shapes with conditional visibility: entity, row of the joint that decides, least position (rad or m).
    conditional_shapes: Vec<(Entity, usize, f64)>,
    /// Boxes of the goal regions.
    goals: Vec<Entity>,
}

/// Scenes by view.
#[derive(Resource, Default)]
pub(super) struct SpawnedScenes(pub [Option<SpawnedScene>; MAX_VIEWS]);

impl SpawnedScenes {
    /// Scene and episode of a view; none while the scene belongs to an earlier episode.
    pub(super) fn of<'a>(
        &'a self,
        session: &'a Session,
        slot: usize,
    ) -> Option<(&'a SpawnedScene, &'a EpisodePlayback)> {
        let spawned = self.0.get(slot)?.as_ref()?;
        let episode = session.episodes.get(slot)?;
        (episode.id == spawned.episode).then_some((spawned, episode))
    }
}

/// Spawns the scenes of new episodes and despawns those that are no longer displayed.
#[allow(clippy::too_many_arguments)]
pub(super) fn spawn_scenes(
    mut commands: Commands,
    session: Res<Session>,
    settings: Res<ViewerSettings>,
    overlays: Res<OverlayMaterials>,
    mut scenes: ResMut<SpawnedScenes>,
    mut asset_cache: ResMut<AssetCache>,
    mut meshes: ResMut<Assets<Mesh>>,
    mut images: ResMut<Assets<Image>>,
    mut physical: ResMut<Assets<StandardMaterial>>,
    mut simple: ResMut<Assets<SimpleMaterial>>,
) {
    for slot in 0..MAX_VIEWS {
        let episode = session.episodes.get(slot);
        let Some(spawned) = scenes.bypass_change_detection().0.get_mut(slot) else {
            continue;
        };
        let Some(episode) = episode else {
            if let Some(old) = spawned.take() {
                commands.entity(old.root).despawn();
            }
            continue;
        };
        // The previous scene stays until the new one is available.
        let Some(scene) = episode.scene() else {
            continue;
        };
        if spawned.as_ref().is_some_and(|p| p.episode == episode.id) {
            continue;
        }
        if let Some(old) = spawned
            .as_mut()
            .filter(|old| same_shapes(&old.scene, scene))
        {
            old.episode = episode.id;
            old.scene = scene.clone();
        } else {
            if let Some(old) = spawned.take() {
                commands.entity(old.root).despawn();
            }
            asset_cache.next_scene();
            let mut spawner = SceneSpawner {
                commands: commands.reborrow(),
                asset_cache: &mut asset_cache,
                overlays: &overlays,
                stores: AssetStores {
                    meshes: &mut meshes,
                    images: &mut images,
                    physical: &mut physical,
                    simple: &mut simple,
                    fine: settings.fine,
                },
            };
            *spawned = Some(spawner.spawn_scene(slot, episode.id, scene));
        }
        if let Some(spawned) = spawned {
            for old in spawned.goals.drain(..) {
                commands.entity(old).despawn();
            }
            let regions = episode.info.as_ref().map(|o| o.regions.as_slice());
            for region in regions.unwrap_or_default() {
                if let Some(body) = spawned.bodies.get(region.row) {
                    let goal = commands.spawn(overlays.goal(slot, region)).id();
                    overlays.unsatisfied.apply_to(&mut commands.entity(goal));
                    commands.entity(*body).add_child(goal);
                    spawned.goals.push(goal);
                }
            }
        }
    }
}

/// Returns true if two scenes consist of the same models, in any poses.
fn same_shapes(a: &SceneDesc, b: &SceneDesc) -> bool {
    a.arena == b.arena
        && a.robot == b.robot
        && a.instances.len() == b.instances.len()
        && a.instances
            .iter()
            .zip(&b.instances)
            .all(|(a, b)| a.model == b.model)
}

struct SceneSpawner<'w, 's, 'a> {
    commands: Commands<'w, 's>,
    asset_cache: &'a mut AssetCache,
    overlays: &'a OverlayMaterials,
    stores: AssetStores<'a>,
}

impl SceneSpawner<'_, '_, '_> {
    fn spawn_scene(&mut self, slot: usize, episode: u64, scene: &Arc<SceneDesc>) -> SpawnedScene {
        let table = scene.body_table();
        let at = Transform::from_translation(offset(slot));
        let root = self.commands.spawn((at, Visibility::default())).id();
        let mut spawned = SpawnedScene {
            episode,
            scene: scene.clone(),
            table: table.clone(),
            root,
            bodies: Vec::with_capacity(table.len()),
            conditional_shapes: Vec::new(),
            goals: Vec::new(),
        };
        for (row, of) in table.iter().enumerate() {
            let model = scene.model(of.owner);
            let body = self
                .commands
                .spawn((Transform::default(), Visibility::default()))
                .id();
            self.commands.entity(root).add_child(body);
            spawned.bodies.push(body);
            let Some(desc) = model.bodies.get(of.body) else {
                continue;
            };
            for visual in &desc.visual {
                let Some(shape) = self.spawn_visual(slot, scene, *of, visual) else {
                    continue;
                };
                self.commands.entity(body).add_child(shape);
                if let Some(when) = &visual.visible_when {
                    let carrier = model
                        .bodies
                        .iter()
                        .position(|b| b.joint.as_ref().is_some_and(|j| j.name == when.joint));
                    match carrier {
                        Some(carrier) => {
                            let row = row - of.body + carrier;
                            spawned.conditional_shapes.push((shape, row, when.at_least));
                        }
                        None => {
                            warn_once(&format!(
                                "a shape of `{}` is always visible: there is no joint `{}`",
                                model.name, when.joint
                            ));
                        }
                    }
                }
            }
            let material = self.overlays.collision(of.owner);
            for collision in &desc.collision {
                let Some(cached) = self
                    .asset_cache
                    .mesh(&mut self.stores, &collision.shape, false)
                else {
                    continue;
                };
                let at = transform(&isometry(collision.pos, collision.quat_wxyz));
                let mut shape = self.commands.spawn((
                    CollisionShape,
                    Mesh3d(cached.mesh),
                    NotShadowCaster,
                    at,
                    Visibility::Hidden,
                ));
                material.apply_to(&mut shape);
                let shape = shape.id();
                self.commands.entity(body).add_child(shape);
            }
        }
        spawned
    }

    fn spawn_visual(
        &mut self,
        slot: usize,
        scene: &SceneDesc,
        of: BodyRef,
        visual: &VisualDesc,
    ) -> Option<Entity> {
        let model = scene.model(of.owner);
        let Some(desc) = model.materials.get(&visual.material) else {
            warn_once(&format!(
                "a shape of `{}` is missing in the 3D view: there is no material `{}`",
                model.name, visual.material
            ));
            return None;
        };
        let metric = desc.texture.as_ref().is_some_and(|t| t.repeat.is_some());
        let cached = self
            .asset_cache
            .mesh(&mut self.stores, &visual.shape, metric)?;
        let material = self.asset_cache.material(&mut self.stores, desc);
        let at = transform(&isometry(visual.pos, visual.quat_wxyz));
        let occluder = (of.owner == Owner::Arena)
            .then(|| occluder(slot, scene, of.body, &cached, &at))
            .flatten();
        let large = (cached.high - cached.low).length() > 4.0;
        let mut shape = self
            .commands
            .spawn((Mesh3d(cached.mesh), at, Visibility::default()));
        material.apply_to(&mut shape);
        if occluder.is_some() || large {
            shape.insert(NotShadowCaster);
        }
        if let Some(occluder) = occluder {
            shape.insert(occluder);
        }
        Some(shape.id())
    }
}

/// Classifies a shape of the arena as an occluder. Bodies of the arena are static.
fn occluder(
    slot: usize,
    scene: &SceneDesc,
    body: usize,
    cached: &CachedMesh,
    at: &Transform,
) -> Option<Occluder> {
    let bodies = &scene.arena.model.bodies;
    let mut frame = *at;
    let mut next = bodies.get(body);
    // A longer chain of parents than there are bodies would be a cycle.
    for _ in 0..bodies.len() {
        let Some(desc) = next else { break };
        frame = transform(&isometry(desc.pos, desc.quat_wxyz)).mul_transform(frame);
        let parent = desc.parent.as_ref();
        next = parent.and_then(|p| bodies.iter().find(|b| b.name == *p));
    }
    Occluder::new(slot, workspace(scene), &frame, cached.low, cached.high)
}

/// Moves bodies to the state at the playhead, interpolated between two control steps.
pub(super) fn move_bodies(
    session: Res<Session>,
    scenes: Res<SpawnedScenes>,
    mut transforms: Query<&mut Transform>,
    mut visibilities: Query<&mut Visibility>,
) {
    for slot in 0..MAX_VIEWS {
        let Some((spawned, episode)) = scenes.of(&session, slot) else {
            continue;
        };
        let Some((before, after, fraction)) = episode.around(session.playhead) else {
            continue;
        };
        let poses = before.visual.poses.iter().zip(&after.visual.poses);
        for (body, (a, b)) in spawned.bodies.iter().zip(poses) {
            if let Ok(mut transform) = transforms.get_mut(*body) {
                transform.set_if_neq(interpolate_pose(a, b, fraction));
            }
        }
        for (shape, row, least) in &spawned.conditional_shapes {
            let position = before.visual.joint_positions.get(*row).copied();
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
