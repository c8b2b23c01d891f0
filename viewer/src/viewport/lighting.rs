//! Lighting: a key light with soft shadows, a fill light, and ambient light.
//!
//! Bevy fits shadow cascades to the view frustum. Here one shadow map is fitted to the workspace instead: it is sharper
//! than cascades over the whole view, and shadows do not flicker while the camera moves.

use super::spawned_scene::SpawnedScenes;
use super::transforms::{offset, workspace};
use super::view_camera::ViewCamera;
use crate::resources::ViewerSettings;
use bevy::light::cascade::Cascade;
use bevy::light::{
    CascadeShadowConfig, Cascades, DirectionalLightShadowMap, GlobalAmbientLight,
    SimulationLightSystems,
};
use bevy::prelude::*;

/// Width of the square that the shadow map covers, m.
const SHADOW_WIDTH: f32 = 3.2;
/// Depth of the shadow map in front of and behind the workspace, m.
const SHADOW_HALF_DEPTH: f32 = 2.2;

/// The light with shadows.
#[derive(Component)]
struct KeyLight;

/// Adds lights and their systems.
pub(super) fn build(app: &mut App, fine: bool) {
    app.insert_resource(DirectionalLightShadowMap {
        size: if fine { 4096 } else { 1024 },
    });
    app.insert_resource(GlobalAmbientLight {
        color: Color::srgb(0.97, 0.985, 1.0),
        brightness: 330.0,
        ..default()
    });
    app.add_systems(Startup, spawn_lights);
    app.add_systems(
        PostUpdate,
        fit_shadow_maps
            .after(SimulationLightSystems::UpdateDirectionalLightCascades)
            .before(SimulationLightSystems::UpdateLightFrusta),
    );
}

fn light_pose(from: Vec3) -> Transform {
    Transform::from_translation(from).looking_at(Vec3::ZERO, Vec3::Z)
}

fn spawn_lights(mut commands: Commands, settings: Res<ViewerSettings>) {
    commands.spawn((
        KeyLight,
        DirectionalLight {
            color: Color::srgb(1.0, 0.97, 0.93),
            illuminance: 2700.0,
            shadow_maps_enabled: true,
            shadow_depth_bias: 0.004,
            shadow_normal_bias: 1.2,
            ..default()
        },
        // One cascade at every distance.
        CascadeShadowConfig {
            bounds: vec![100.0],
            overlap_proportion: 0.0,
            minimum_distance: 0.01,
        },
        light_pose(Vec3::new(0.75, 0.55, 1.5)),
    ));
    // The simple material computes the fill light in its shader.
    if !settings.fine {
        return;
    }
    commands.spawn((
        DirectionalLight {
            color: Color::srgb(0.96, 0.98, 1.0),
            illuminance: 750.0,
            ..default()
        },
        light_pose(Vec3::new(0.5, -1.2, 0.7)),
    ));
}

/// Fits the shadow map of each camera to its workspace.
fn fit_shadow_maps(
    scenes: Res<SpawnedScenes>,
    cameras: Query<(Entity, &ViewCamera)>,
    shadow_map: Res<DirectionalLightShadowMap>,
    mut lights: Query<(&GlobalTransform, &mut Cascades), With<KeyLight>>,
) {
    for (transform, mut cascades) in &mut lights {
        for (camera, view_camera) in &cameras {
            let scene = scenes.0.get(view_camera.slot).and_then(Option::as_ref);
            let centre = scene.map_or(Vec3::Z, |p| workspace(&p.scene)) + offset(view_camera.slot);
            if let Some(cascades) = cascades.cascades.get_mut(&camera)
                && !cascades.is_empty()
            {
                *cascades = vec![shadow_cascade(
                    centre,
                    transform.rotation(),
                    shadow_map.size,
                )];
            }
        }
    }
}

/// Orthographic projection along the light onto a square around `centre` (Bevy's world frame, m).
fn shadow_cascade(centre: Vec3, rotation: Quat, texels: usize) -> Cascade {
    let world_from_light = Mat4::from_quat(rotation);
    let light_from_world = world_from_light.transpose();
    let middle = light_from_world.transform_point3(centre);
    let near = middle + Vec3::new(0.0, 0.0, SHADOW_HALF_DEPTH);
    let cascade_from_world = Mat4::from_cols(
        light_from_world.x_axis,
        light_from_world.y_axis,
        light_from_world.z_axis,
        (-near).extend(1.0),
    );
    let world_from_cascade = Mat4::from_cols(
        world_from_light.x_axis,
        world_from_light.y_axis,
        world_from_light.z_axis,
        world_from_light * near.extend(1.0),
    );
    let clip_from_cascade = Mat4::from_cols(
        Vec4::new(2.0 / SHADOW_WIDTH, 0.0, 0.0, 0.0),
        Vec4::new(0.0, 2.0 / SHADOW_WIDTH, 0.0, 0.0),
        Vec4::new(0.0, 0.0, 0.5 / SHADOW_HALF_DEPTH, 0.0),
        Vec4::new(0.0, 0.0, 1.0, 1.0),
    );
    Cascade {
        world_from_cascade,
        clip_from_cascade,
        clip_from_world: clip_from_cascade * cascade_from_world,
        texel_size: SHADOW_WIDTH / texels.max(1) as f32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_is_in_the_middle_of_the_map() {
        let centre = Vec3::new(0.1, 60.0, 0.9);
        let cascade = shadow_cascade(centre, light_pose(Vec3::new(0.7, 0.5, 1.5)).rotation, 1024);
        let at = |p: Vec3| cascade.clip_from_world.project_point3(p);
        assert!((at(centre) - Vec3::new(0.0, 0.0, 0.5)).length() < 1e-4);
        // Reversed depth: nearer to the light is larger.
        assert!(at(centre + Vec3::Z).z > 0.5);
    }
}
