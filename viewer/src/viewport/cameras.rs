//! Cameras: one per displayed episode, each rendering to its part of the viewport area, and a 2D camera above them
//! that renders the panels and writes the shared render target to the window.

use super::orbit_camera::{FIELD_OF_VIEW, OrbitCamera};
use super::spawned_scene::SpawnedScenes;
use super::transforms::{MAX_VIEWS, offset};
use super::view_camera::ViewCamera;
use crate::resources::{DisplayedParts, ViewerSettings, ViewportArea};
use crate::session::{Session, SessionMode};
use bevy::camera::visibility::RenderLayers;
use bevy::camera::{CameraOutputMode, MsaaWriteback, Viewport};
use bevy::core_pipeline::tonemapping::{DebandDither, Tonemapping};
use bevy::light::cluster::ClusterConfig;
use bevy::prelude::*;
use bevy::window::PrimaryWindow;
use bevy_egui::{EguiGlobalSettings, EguiPrimaryContextPass, PrimaryEguiContext};

/// Background.
const CLEAR_COLOUR: Color = Color::srgb(0.16, 0.17, 0.185);
/// Gap between two views, logical pixels.
const GAP: f32 = 3.0;

/// 2D camera of the panels.
#[derive(Component)]
pub(super) struct UiCamera;

/// Adds the cameras.
pub(super) fn build(app: &mut App) {
    app.insert_resource(ClearColor(CLEAR_COLOUR));
    // The primary egui context needs this schedule even when no system is in it.
    app.init_schedule(EguiPrimaryContextPass);
    app.add_systems(Startup, spawn_cameras);
    if let Some(mut egui) = app.world_mut().get_resource_mut::<EguiGlobalSettings>() {
        egui.auto_create_primary_context = false;
    }
}

fn spawn_cameras(mut commands: Commands, settings: Res<ViewerSettings>) {
    // All cameras share one render target: the same sample count, and only the last one writes to the window.
    let msaa = if settings.smooth {
        Msaa::Sample4
    } else {
        Msaa::Off
    };
    for slot in 0..MAX_VIEWS {
        let mut camera = commands.spawn((
            ViewCamera {
                slot,
                at: Vec3::new(1.5, 0.0, 1.5),
                rotation: Quat::IDENTITY,
                viewport_rect: None,
            },
            Camera3d::default(),
            Camera {
                order: slot as isize,
                is_active: false,
                output_mode: CameraOutputMode::Skip,
                clear_color: if slot == 0 {
                    ClearColorConfig::Default
                } else {
                    ClearColorConfig::None
                },
                ..default()
            },
            Projection::Perspective(PerspectiveProjection {
                fov: FIELD_OF_VIEW,
                near: 0.02,
                far: 25.0,
                ..default()
            }),
            msaa,
            Tonemapping::None,
            RenderLayers::from_layers(&[0, slot + 1]),
            ClusterConfig::Single,
        ));
        if !settings.fine {
            camera.insert(DebandDither::Disabled);
        }
    }
    commands.spawn((
        UiCamera,
        PrimaryEguiContext,
        Camera2d,
        Camera {
            order: 10,
            clear_color: ClearColorConfig::None,
            msaa_writeback: MsaaWriteback::Off,
            ..default()
        },
        msaa,
        RenderLayers::none(),
    ));
}

/// Part of the viewport area that a view owns, logical pixels.
fn viewport_rect(area: Rect, slot: usize, split: bool) -> Option<Rect> {
    let Rect { min, max } = area;
    let middle = 0.5 * (min.x + max.x);
    match (slot, split) {
        (0, false) => Some(area),
        (0, true) => Some(Rect {
            min,
            max: Vec2::new(middle - 0.5 * GAP, max.y),
        }),
        (1, true) => Some(Rect {
            min: Vec2::new(middle + 0.5 * GAP, min.y),
            max,
        }),
        _ => None,
    }
}

/// Physical position and size of a rectangle clipped to the window; none if it is smaller than 8x8 pixels.
fn pixels(viewport_rect: Rect, scale: f32, window: UVec2) -> Option<(UVec2, UVec2)> {
    let whole = window.as_vec2();
    let min = (viewport_rect.min * scale)
        .round()
        .clamp(Vec2::ZERO, whole)
        .as_uvec2();
    let max = (viewport_rect.max * scale)
        .round()
        .clamp(Vec2::ZERO, whole)
        .as_uvec2();
    let size = max.saturating_sub(min);
    (size.x >= 8 && size.y >= 8).then_some((min, size))
}

/// Applies the orbit pose to all cameras and gives each its part of the viewport area.
#[allow(clippy::too_many_arguments)]
pub(super) fn update_cameras(
    session: Res<Session>,
    area: Res<ViewportArea>,
    scenes: Res<SpawnedScenes>,
    time: Res<Time<Real>>,
    mut orbit: ResMut<OrbitCamera>,
    window: Query<&Window, With<PrimaryWindow>>,
    mut cameras: Query<(&mut ViewCamera, &mut Camera, &mut Transform), Without<UiCamera>>,
    mut ui_camera: Query<&mut Camera, With<UiCamera>>,
    mut parts: ResMut<DisplayedParts>,
) {
    if let Some(scene) = scenes.0.iter().flatten().next() {
        orbit.set_scene(&scene.scene);
    }
    let pose = orbit.ease(time.delta_secs());
    parts.camera_moving = orbit.is_moving();
    parts.step = session.playhead as usize;
    parts.scenes_spawned =
        (0..session.episodes.len()).all(|slot| scenes.of(&session, slot).is_some());
    let Ok(window) = window.single() else {
        return;
    };
    let finite = area.min.is_finite() && area.max.is_finite();
    let rect = Rect {
        min: area.min,
        max: area.max.max(area.min),
    };
    let split = session.mode == SessionMode::Compare && session.episodes.len() > 1;
    let mut any = false;
    for (mut view_camera, mut camera, mut transform) in &mut cameras {
        let visible_rect = viewport_rect(rect, view_camera.slot, split).filter(|_| finite);
        let scale = window.scale_factor();
        let pixels = visible_rect.and_then(|rect| pixels(rect, scale, window.physical_size()));
        let Some((position, size)) = pixels else {
            view_camera.viewport_rect = None;
            if camera.is_active {
                camera.is_active = false;
            }
            continue;
        };
        any = true;
        let placed = camera
            .viewport
            .as_ref()
            .is_some_and(|v| v.physical_position == position && v.physical_size == size);
        if !placed {
            camera.viewport = Some(Viewport {
                physical_position: position,
                physical_size: size,
                ..default()
            });
        }
        if !camera.is_active {
            camera.is_active = true;
        }
        let camera_pose = pose.camera_transform(size.x as f32 / size.y as f32);
        view_camera.at = camera_pose.translation;
        view_camera.rotation = camera_pose.rotation;
        // The rectangle that is rendered, smaller than the area where that exceeds the window.
        view_camera.viewport_rect = Some(Rect {
            min: position.as_vec2() / scale,
            max: (position + size).as_vec2() / scale,
        });
        transform.set_if_neq(Transform {
            translation: camera_pose.translation + offset(view_camera.slot),
            ..camera_pose
        });
    }
    // Without a 3D view below the panels the 2D camera has to clear the target.
    for mut camera in &mut ui_camera {
        let clears = matches!(camera.clear_color, ClearColorConfig::Default);
        if clears == any {
            camera.clear_color = if any {
                ClearColorConfig::None
            } else {
                ClearColorConfig::Default
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stay_in_the_window() {
        let window = UVec2::new(200, 100);
        let area = Rect::new(-50.0, 10.0, 500.0, 90.0);
        let (position, size) = pixels(area, 1.0, window).expect("large enough");
        assert_eq!((position, size), (UVec2::new(0, 10), UVec2::new(200, 80)));
        assert_eq!(pixels(area, 1.0, UVec2::ZERO), None);
        assert_eq!(pixels(Rect::new(5.0, 5.0, 5.0, 80.0), 2.0, window), None);
        let right = viewport_rect(Rect::new(0.0, 0.0, 100.0, 50.0), 1, true);
        assert_eq!(right, Some(Rect::new(51.5, 0.0, 100.0, 50.0)));
        assert_eq!(viewport_rect(area, 1, false), None);
    }
}
