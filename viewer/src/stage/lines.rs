//! Lines over the scene: one set per place, drawn anew only when what they show has changed, and seen only
//! by the camera of the place.

use super::hands::{Hand, Hold};
use super::marks;
use super::place::Places;
use super::space::{PLACES, offset};
use crate::app::Layers;
use crate::pane::Show;
use bevy::camera::visibility::RenderLayers;
use bevy::gizmos::GizmoAsset;
use bevy::gizmos::config::{GizmoLineConfig, GizmoLineJoint};
use bevy::prelude::*;

/// Width of lines, pixels.
const WIDTH: f32 = 2.5;
/// Lines lie before everything that is not far nearer than they are.
const BEFORE: f32 = -0.9;

/// What a set of lines shows.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Seen {
    pane: u64,
    at: u64,
    steps: usize,
    queries: usize,
    layers: Layers,
    hold: Option<Hold>,
}

/// The lines of a place.
#[derive(Component)]
pub(super) struct Lines {
    slot: usize,
    seen: Option<Seen>,
}

/// Adds the sets of lines.
pub(super) fn build(app: &mut App) {
    app.init_resource::<super::layers::Paints>();
    app.add_systems(Startup, lay_out);
}

fn lay_out(mut commands: Commands, mut assets: ResMut<Assets<GizmoAsset>>) {
    for slot in 0..PLACES {
        commands.spawn((
            Lines { slot, seen: None },
            Gizmo {
                handle: assets.add(GizmoAsset::new()),
                line_config: GizmoLineConfig {
                    width: WIDTH,
                    joints: GizmoLineJoint::Bevel,
                    ..default()
                },
                depth_bias: BEFORE,
            },
            RenderLayers::layer(slot + 1),
            Transform::from_translation(offset(slot)),
        ));
    }
}

/// Draws the lines of both places.
pub(super) fn draw(
    show: Res<Show>,
    layers: Res<Layers>,
    places: Res<Places>,
    hand: Res<Hand>,
    mut assets: ResMut<Assets<GizmoAsset>>,
    mut lines: Query<(&mut Lines, &Gizmo)>,
) {
    for (mut lines, gizmo) in &mut lines {
        let on_show = places.of(&show, lines.slot);
        let seen = on_show.map(|(_, pane)| Seen {
            pane: pane.id,
            at: show.at.to_bits(),
            steps: pane.track.moments().len(),
            queries: pane.track.queries().len(),
            layers: *layers,
            hold: hand.hold.filter(|h| h.pane == pane.id),
        });
        if lines.seen == seen {
            continue;
        }
        lines.seen = seen;
        let Some(mut asset) = assets.get_mut(&gizmo.handle) else {
            continue;
        };
        asset.clear();
        let (Some((place, pane)), Some(seen)) = (on_show, seen) else {
            continue;
        };
        marks::draw(&mut asset, place, pane, show.at, &layers, seen.hold);
    }
}
