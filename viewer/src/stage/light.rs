//! Light: one lamp with a soft shadow, one that brightens what it leaves dark, and light from everywhere.
//!
//! Shadow maps of Bevy follow the view. Here they are laid over the workspace instead: what happens is always
//! there, so one map is sharper than several that cover the view, and shadows do not swim when one turns.

use super::camera::Eye;
use super::place::{Places, workspace};
use super::space::offset;
use crate::app::Settings;
use bevy::light::cascade::Cascade;
use bevy::light::{
    CascadeShadowConfig, Cascades, DirectionalLightShadowMap, GlobalAmbientLight,
    SimulationLightSystems,
};
use bevy::prelude::*;

/// Width of what gets shadows, m.
const WIDE: f32 = 3.2;
/// How far above and below the workspace things throw and catch shadows, m.
const DEEP: f32 = 2.2;

/// The lamp with shadows.
#[derive(Component)]
struct Key;

/// Adds lamps and their systems.
pub(super) fn build(app: &mut App, fine: bool) {
    app.insert_resource(DirectionalLightShadowMap {
        size: if fine { 4096 } else { 1024 },
    });
    app.insert_resource(GlobalAmbientLight {
        color: Color::srgb(0.97, 0.985, 1.0),
        brightness: 330.0,
        ..default()
    });
    app.add_systems(Startup, lamps);
    app.add_systems(
        PostUpdate,
        lay_shadows
            .after(SimulationLightSystems::UpdateDirectionalLightCascades)
            .before(SimulationLightSystems::UpdateLightFrusta),
    );
}

fn lamp(from: Vec3) -> Transform {
    Transform::from_translation(from).looking_at(Vec3::ZERO, Vec3::Z)
}

fn lamps(mut commands: Commands, settings: Res<Settings>) {
    commands.spawn((
        Key,
        DirectionalLight {
            color: Color::srgb(1.0, 0.97, 0.93),
            illuminance: 2700.0,
            shadow_maps_enabled: true,
            shadow_depth_bias: 0.004,
            shadow_normal_bias: 1.2,
            ..default()
        },
        // One map, however far one is away.
        CascadeShadowConfig {
            bounds: vec![100.0],
            overlap_proportion: 0.0,
            minimum_distance: 0.01,
        },
        lamp(Vec3::new(0.75, 0.55, 1.5)),
    ));
    // Plain surfaces have it in their shader.
    if !settings.fine {
        return;
    }
    commands.spawn((
        DirectionalLight {
            color: Color::srgb(0.96, 0.98, 1.0),
            illuminance: 750.0,
            ..default()
        },
        lamp(Vec3::new(0.5, -1.2, 0.7)),
    ));
}

/// Lays the shadow map of each camera over its workspace.
fn lay_shadows(
    places: Res<Places>,
    eyes: Query<(Entity, &Eye)>,
    shadow_map: Res<DirectionalLightShadowMap>,
    mut lamps: Query<(&GlobalTransform, &mut Cascades), With<Key>>,
) {
    for (transform, mut cascades) in &mut lamps {
        for (camera, eye) in &eyes {
            let place = places.0.get(eye.slot).and_then(Option::as_ref);
            let centre = place.map_or(Vec3::Z, |p| workspace(&p.scene)) + offset(eye.slot);
            if let Some(cascades) = cascades.cascades.get_mut(&camera)
                && !cascades.is_empty()
            {
                *cascades = vec![over(centre, transform.rotation(), shadow_map.size)];
            }
        }
    }
}

/// A parallel projection along the light onto a square around a point.
fn over(centre: Vec3, rotation: Quat, texels: usize) -> Cascade {
    let world_from_light = Mat4::from_quat(rotation);
    let light_from_world = world_from_light.transpose();
    let middle = light_from_world.transform_point3(centre);
    let near = middle + Vec3::new(0.0, 0.0, DEEP);
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
        Vec4::new(2.0 / WIDE, 0.0, 0.0, 0.0),
        Vec4::new(0.0, 2.0 / WIDE, 0.0, 0.0),
        Vec4::new(0.0, 0.0, 0.5 / DEEP, 0.0),
        Vec4::new(0.0, 0.0, 1.0, 1.0),
    );
    Cascade {
        world_from_cascade,
        clip_from_cascade,
        clip_from_world: clip_from_cascade * cascade_from_world,
        texel_size: WIDE / texels.max(1) as f32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_is_in_the_middle_of_the_map() {
        let centre = Vec3::new(0.1, 60.0, 0.9);
        let cascade = over(centre, lamp(Vec3::new(0.7, 0.5, 1.5)).rotation, 1024);
        let at = |p: Vec3| cascade.clip_from_world.project_point3(p);
        assert!((at(centre) - Vec3::new(0.0, 0.0, 0.5)).length() < 1e-4);
        // What is higher is nearer to the lamp, and nearer is more.
        assert!(at(centre + Vec3::Z).z > 0.5);
    }
}
