//! 3D viewport: bodies, lighting, orbit camera, picking, and overlays.
//!
//! Bevy's world uses the simulation's frame: z up, metres. The scenes of compared episodes are spawned far apart, each
//! with its own camera, so that neither is visible in the other's view or casts shadows into it.

mod asset_cache;
mod cameras;
mod gizmo_shapes;
mod gizmos;
mod lighting;
mod materials;
mod occluders;
mod orbit_camera;
mod overlays;
mod pick_anchor;
mod picking;
mod simple_material;
mod spawned_scene;
mod transforms;
mod view_camera;

use crate::resources::{UpdateSet, ViewerSettings};
use bevy::prelude::*;

/// Bevy plugin of the viewport.
pub struct ViewportPlugin;

impl Plugin for ViewportPlugin {
    fn build(&self, app: &mut App) {
        let fine = app
            .world()
            .get_resource::<ViewerSettings>()
            .is_some_and(|s| s.fine);
        app.init_resource::<spawned_scene::SpawnedScenes>()
            .init_resource::<asset_cache::AssetCache>()
            .init_resource::<orbit_camera::OrbitCamera>()
            .init_resource::<picking::PointerState>();
        simple_material::build(app);
        cameras::build(app);
        lighting::build(app, fine);
        gizmos::build(app);
        app.add_systems(Update, picking::handle_pointer.in_set(UpdateSet::Input));
        app.add_systems(
            Update,
            (
                spawned_scene::spawn_scenes,
                spawned_scene::move_bodies,
                cameras::update_cameras,
                occluders::hide_occluders,
                overlays::update_overlays,
                gizmos::draw_gizmos,
            )
                .chain()
                .in_set(UpdateSet::Draw),
        );
    }
}
