//! Translucent shapes over the scene, built once and switched on and off: collision shapes, and the regions
//! of the goal.

use super::material::Finish;
use super::plain::{BEFORE, Plain};
use super::space::transform;
use crate::app::{Layers, Settings};
use crate::pane::Show;
use crate::theatre::Region;
use bevy::light::NotShadowCaster;
use bevy::prelude::*;
use bitvla_sim::Owner;

/// A collision shape.
#[derive(Component)]
pub(super) struct Collision;

/// A region of the goal: of which place, and which fact of the goal.
#[derive(Component)]
pub(super) struct Goal {
    slot: usize,
    fact: usize,
    /// Whether it is painted as one that holds.
    met: bool,
}

/// A region where the fact does not hold yet.
pub(super) const AMBER: Srgba = Srgba::new(1.0, 0.69, 0.13, 1.0);
/// A region where it does.
pub(super) const GREEN: Srgba = Srgba::new(0.25, 0.85, 0.4, 1.0);

/// Materials and meshes of the layers.
#[derive(Resource)]
pub(super) struct Paints {
    robot: Finish,
    arena: Finish,
    object: Finish,
    /// Of regions where the fact does not hold.
    pub missed: Finish,
    met: Finish,
    cube: Handle<Mesh>,
}

impl FromWorld for Paints {
    fn from_world(world: &mut World) -> Paints {
        let cube = world
            .resource_mut::<Assets<Mesh>>()
            .add(Cuboid::new(2.0, 2.0, 2.0));
        let fine = world.get_resource::<Settings>().is_some_and(|s| s.fine);
        let mut paint = |color: Srgba, alpha: f32, lit: bool| {
            let color = color.with_alpha(alpha);
            if !fine {
                let mut materials = world.resource_mut::<Assets<Plain>>();
                return Finish::Plain(materials.add(Plain::film(color, !lit)));
            }
            let mut materials = world.resource_mut::<Assets<StandardMaterial>>();
            Finish::Physical(materials.add(StandardMaterial {
                base_color: color.into(),
                alpha_mode: AlphaMode::Blend,
                unlit: !lit,
                perceptual_roughness: 1.0,
                reflectance: 0.0,
                depth_bias: BEFORE,
                ..default()
            }))
        };
        Paints {
            robot: paint(Srgba::new(1.0, 0.5, 0.2, 1.0), 0.4, true),
            arena: paint(Srgba::new(0.6, 0.65, 0.75, 1.0), 0.2, true),
            object: paint(Srgba::new(0.25, 0.65, 1.0, 1.0), 0.38, true),
            missed: paint(AMBER, 0.3, false),
            met: paint(GREEN, 0.3, false),
            cube,
        }
    }
}

impl Paints {
    /// The material of the collision shapes of an owner.
    pub(super) fn collision(&self, owner: Owner) -> &Finish {
        match owner {
            Owner::Arena => &self.arena,
            Owner::Robot => &self.robot,
            Owner::Instance(_) => &self.object,
        }
    }

    /// A region, to hang on its body.
    pub(super) fn goal(&self, slot: usize, region: &Region) -> impl Bundle {
        let half = region.half.map(|h| h as f32);
        (
            Goal {
                slot,
                fact: region.fact,
                met: false,
            },
            Mesh3d(self.cube.clone()),
            NotShadowCaster,
            transform(&region.pose).with_scale(Vec3::from(half)),
            Visibility::Hidden,
        )
    }
}

/// Whether a fact of a goal holds at the step on show.
fn holds(show: &Show, slot: usize, fact: usize) -> bool {
    let moment = show.panes.get(slot).and_then(|p| p.now(show.at));
    moment.is_some_and(|m| m.facts.get(fact) == Some(&true))
}

/// Switches shapes on and off and colours regions.
pub(super) fn show_layers(
    show: Res<Show>,
    layers: Res<Layers>,
    paints: Res<Paints>,
    mut shapes: Query<&mut Visibility, (With<Collision>, Without<Goal>)>,
    mut goals: Query<(Entity, &mut Goal, &mut Visibility)>,
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
        let met = holds(&show, goal.slot, goal.fact);
        if met != goal.met {
            goal.met = met;
            let paint = if met { &paints.met } else { &paints.missed };
            paint.put_on(&mut commands.entity(entity));
        }
    }
}
