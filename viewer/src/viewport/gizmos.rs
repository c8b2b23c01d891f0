//! Gizmo assets for lines over the scene: one per view, rebuilt only when its inputs change, and rendered only by the
//! camera of the view.

use super::gizmo_shapes;
use super::picking::{Pick, PointerState};
use super::spawned_scene::SpawnedScenes;
use super::transforms::{MAX_VIEWS, offset};
use crate::resources::VisibleLayers;
use crate::session::Session;
use bevy::camera::visibility::RenderLayers;
use bevy::gizmos::GizmoAsset;
use bevy::gizmos::config::{GizmoLineConfig, GizmoLineJoint};
use bevy::prelude::*;

/// Line width, pixels.
const LINE_WIDTH: f32 = 2.5;
/// Depth bias of lines: they are hidden only by surfaces that are much nearer to the camera.
const DEPTH_BIAS: f32 = -0.9;

/// Inputs that the lines of a view depend on.
#[derive(Debug, Clone, Copy, PartialEq)]
struct GizmoInputs {
    episode: u64,
    at: u64,
    steps: usize,
    queries: usize,
    layers: VisibleLayers,
    pick: Option<Pick>,
}

/// Lines of a view.
#[derive(Component)]
pub(super) struct GizmoSet {
    slot: usize,
    inputs: Option<GizmoInputs>,
}

/// Adds the gizmo sets.
pub(super) fn build(app: &mut App) {
    app.init_resource::<super::overlays::OverlayMaterials>();
    app.add_systems(Startup, spawn_gizmo_sets);
}

fn spawn_gizmo_sets(mut commands: Commands, mut assets: ResMut<Assets<GizmoAsset>>) {
    for slot in 0..MAX_VIEWS {
        commands.spawn((
            GizmoSet { slot, inputs: None },
            Gizmo {
                handle: assets.add(GizmoAsset::new()),
                line_config: GizmoLineConfig {
                    width: LINE_WIDTH,
                    joints: GizmoLineJoint::Bevel,
                    ..default()
                },
                depth_bias: DEPTH_BIAS,
            },
            RenderLayers::layer(slot + 1),
            Transform::from_translation(offset(slot)),
        ));
    }
}

/// Rebuilds the lines of the views whose inputs have changed.
pub(super) fn draw_gizmos(
    session: Res<Session>,
    layers: Res<VisibleLayers>,
    scenes: Res<SpawnedScenes>,
    pointer: Res<PointerState>,
    mut assets: ResMut<Assets<GizmoAsset>>,
    mut sets: Query<(&mut GizmoSet, &Gizmo)>,
) {
    for (mut sets, gizmo) in &mut sets {
        let on_show = scenes.of(&session, sets.slot);
        let inputs = on_show.map(|(_, episode)| GizmoInputs {
            episode: episode.id,
            at: session.playhead.to_bits(),
            steps: episode.trajectory.steps().len(),
            queries: episode.trajectory.queries().len(),
            layers: *layers,
            pick: pointer.pick.filter(|h| h.episode == episode.id),
        });
        if sets.inputs == inputs {
            continue;
        }
        sets.inputs = inputs;
        let Some(mut asset) = assets.get_mut(&gizmo.handle) else {
            continue;
        };
        asset.clear();
        let (Some((scene, episode)), Some(inputs)) = (on_show, inputs) else {
            continue;
        };
        gizmo_shapes::draw(
            &mut asset,
            scene,
            episode,
            session.playhead,
            &layers,
            inputs.pick,
        );
    }
}
