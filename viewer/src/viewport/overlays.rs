//! Translucent overlays, spawned once and toggled: collision shapes and goal regions.

use super::materials::MaterialHandle;
use super::simple_material::{OVERLAY_DEPTH_BIAS, SimpleMaterial};
use super::transforms::transform;
use crate::playback::GoalRegion;
use crate::resources::{ViewerSettings, VisibleLayers};
use crate::session::Session;
use bevy::light::NotShadowCaster;
use bevy::prelude::*;
use bitvla_sim::Owner;

/// A collision shape.
#[derive(Component)]
pub(super) struct CollisionShape;

/// Box of a goal region.
#[derive(Component)]
pub(super) struct GoalBox {
    slot: usize,
    predicate: usize,
    /// True while it has the material of a predicate that holds.
    satisfied: bool,
}

/// Goal region whose predicate does not hold.
pub(super) const AMBER: Srgba = Srgba::new(1.0, 0.69, 0.13, 1.0);
/// Goal region whose predicate holds.
pub(super) const GREEN: Srgba = Srgba::new(0.25, 0.85, 0.4, 1.0);

/// Materials and meshes of the overlays.
#[derive(Resource)]
pub(super) struct OverlayMaterials {
    robot: MaterialHandle,
    arena: MaterialHandle,
    object: MaterialHandle,
    /// Material of goal regions whose predicate does not hold.
    pub unsatisfied: MaterialHandle,
    satisfied: MaterialHandle,
    cube: Handle<Mesh>,
}

impl FromWorld for OverlayMaterials {
    fn from_world(world: &mut World) -> OverlayMaterials {
        let cube = world
            .resource_mut::<Assets<Mesh>>()
            .add(Cuboid::new(2.0, 2.0, 2.0));
        let fine = world
            .get_resource::<ViewerSettings>()
            .is_some_and(|s| s.fine);
        let mut material = |color: Srgba, alpha: f32, lit: bool| {
            let color = color.with_alpha(alpha);
            if !fine {
                let mut materials = world.resource_mut::<Assets<SimpleMaterial>>();
                return MaterialHandle::Simple(materials.add(SimpleMaterial::overlay(color, !lit)));
            }
            let mut materials = world.resource_mut::<Assets<StandardMaterial>>();
            MaterialHandle::Physical(materials.add(StandardMaterial {
                base_color: color.into(),
                alpha_mode: AlphaMode::Blend,
                unlit: !lit,
                perceptual_roughness: 1.0,
                reflectance: 0.0,
                depth_bias: OVERLAY_DEPTH_BIAS,
                ..default()
            }))
        };
        OverlayMaterials {
            robot: material(Srgba::new(1.0, 0.5, 0.2, 1.0), 0.4, true),
            arena: material(Srgba::new(0.6, 0.65, 0.75, 1.0), 0.2, true),
            object: material(Srgba::new(0.25, 0.65, 1.0, 1.0), 0.38, true),
            unsatisfied: material(AMBER, 0.3, false),
            satisfied: material(GREEN, 0.3, false),
            cube,
        }
    }
}

impl OverlayMaterials {
    /// Material of the collision shapes of an owner.
    pub(super) fn collision(&self, owner: Owner) -> &MaterialHandle {
        match owner {
            Owner::Arena => &self.arena,
            Owner::Robot => &self.robot,
            Owner::Instance(_) => &self.object,
        }
    }

    /// Components of a goal region, to be spawned as a child of its body.
    pub(super) fn goal(&self, slot: usize, region: &GoalRegion) -> impl Bundle {
        let half = region.half.map(|h| h as f32);
        (
            GoalBox {
                slot,
                predicate: region.predicate,
                satisfied: false,
            },
            Mesh3d(self.cube.clone()),
            NotShadowCaster,
            transform(&region.pose).with_scale(Vec3::from(half)),
            Visibility::Hidden,
        )
    }
}

/// Returns true if a predicate of the goal holds at the playhead.
fn holds(session: &Session, slot: usize, predicate: usize) -> bool {
    let step_state = session
        .episodes
        .get(slot)
        .and_then(|p| p.state_at(session.playhead));
    step_state.is_some_and(|m| m.predicates.get(predicate) == Some(&true))
}

/// Applies the visible layers, and colours goal regions by the truth of their predicate.
pub(super) fn update_overlays(
    session: Res<Session>,
    layers: Res<VisibleLayers>,
    materials: Res<OverlayMaterials>,
    mut shapes: Query<&mut Visibility, (With<CollisionShape>, Without<GoalBox>)>,
    mut goals: Query<(Entity, &mut GoalBox, &mut Visibility)>,
    mut commands: Commands,
) {
    let shown = |on: bool| {
        if on {
            Visibility::Inherited
        } else {
            Visibility::Hidden
        }
    };
    for mut visibility in &mut shapes {
        visibility.set_if_neq(shown(layers.collision));
    }
    for (entity, mut goal, mut visibility) in &mut goals {
        visibility.set_if_neq(shown(layers.regions));
        let satisfied = holds(&session, goal.slot, goal.predicate);
        if satisfied != goal.satisfied {
            goal.satisfied = satisfied;
            let material = if satisfied {
                &materials.satisfied
            } else {
                &materials.unsatisfied
            };
            material.apply_to(&mut commands.entity(entity));
        }
    }
}
