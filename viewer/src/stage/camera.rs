//! The cameras: one per place, each drawing to the part of the canvas it owns, and one above them that draws
//! the panels and hands the whole picture to the window.

use super::orbit::{FIELD, Orbit};
use super::place::Places;
use super::space::{PLACES, offset};
use crate::app::{Canvas, Settings};
use crate::pane::{Mode, Show};
use bevy::camera::visibility::RenderLayers;
use bevy::camera::{CameraOutputMode, MsaaWriteback, Viewport};
use bevy::core_pipeline::tonemapping::{DebandDither, Tonemapping};
use bevy::light::cluster::ClusterConfig;
use bevy::prelude::*;
use bevy::window::PrimaryWindow;
use bevy_egui::{EguiGlobalSettings, EguiPrimaryContextPass, PrimaryEguiContext};

/// What is where nothing is.
const BACKDROP: Color = Color::srgb(0.16, 0.17, 0.185);
/// Between two pictures, logical pixels.
const GAP: f32 = 3.0;

/// A camera of a place, and from where it looks at present.
#[derive(Component, Debug, Clone)]
pub(super) struct Eye {
    /// Which place.
    pub slot: usize,
    /// Where it is, in the frame of the simulation.
    pub at: Vec3,
    /// How it is turned: it looks along -z, up is y.
    pub rotation: Quat,
    /// Its part of the window, logical pixels; none while it draws nothing.
    pub part: Option<Rect>,
}

impl Eye {
    /// Direction of the ray through a point of the window, of length one along the line of sight.
    pub(super) fn ray(&self, cursor: Vec2) -> Option<Vec3> {
        let part = self.part?;
        let half = 0.5 * part.size();
        let tan = (0.5 * FIELD).tan() / half.y;
        let off = (cursor - part.center()) * tan;
        Some(self.rotation * Vec3::new(off.x, -off.y, -1.0))
    }
}

/// The camera of the panels.
#[derive(Component)]
pub(super) struct Front;

/// Adds cameras.
pub(super) fn build(app: &mut App) {
    app.insert_resource(ClearColor(BACKDROP));
    // A camera of panels wants their schedule, even while nobody draws any.
    app.init_schedule(EguiPrimaryContextPass);
    app.add_systems(Startup, open_eyes);
    if let Some(mut egui) = app.world_mut().get_resource_mut::<EguiGlobalSettings>() {
        egui.auto_create_primary_context = false;
    }
}

fn open_eyes(mut commands: Commands, settings: Res<Settings>) {
    // All cameras share one picture: the same samples, and only the last one hands it to the window.
    let msaa = if settings.smooth {
        Msaa::Sample4
    } else {
        Msaa::Off
    };
    for slot in 0..PLACES {
        let mut camera = commands.spawn((
            Eye {
                slot,
                at: Vec3::new(1.5, 0.0, 1.5),
                rotation: Quat::IDENTITY,
                part: None,
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
                fov: FIELD,
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
        Front,
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

/// The part of a canvas that a place owns, logical pixels.
fn part(canvas: Rect, slot: usize, split: bool) -> Option<Rect> {
    let Rect { min, max } = canvas;
    let middle = 0.5 * (min.x + max.x);
    match (slot, split) {
        (0, false) => Some(canvas),
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

/// The pixels of a part of a window; none if there are too few to draw to.
fn pixels(part: Rect, scale: f32, window: UVec2) -> Option<(UVec2, UVec2)> {
    let whole = window.as_vec2();
    let min = (part.min * scale)
        .round()
        .clamp(Vec2::ZERO, whole)
        .as_uvec2();
    let max = (part.max * scale)
        .round()
        .clamp(Vec2::ZERO, whole)
        .as_uvec2();
    let size = max.saturating_sub(min);
    (size.x >= 8 && size.y >= 8).then_some((min, size))
}

/// Turns the cameras to where one looks from, and gives each its part of the canvas.
#[allow(clippy::too_many_arguments)]
pub(super) fn look(
    show: Res<Show>,
    canvas: Res<Canvas>,
    places: Res<Places>,
    time: Res<Time<Real>>,
    mut orbit: ResMut<Orbit>,
    window: Query<&Window, With<PrimaryWindow>>,
    mut eyes: Query<(&mut Eye, &mut Camera, &mut Transform), Without<Front>>,
    mut front: Query<&mut Camera, With<Front>>,
) {
    if let Some(place) = places.0.iter().flatten().next() {
        orbit.meet(&place.scene);
    }
    let view = orbit.ease(time.delta_secs());
    let Ok(window) = window.single() else {
        return;
    };
    let finite = canvas.min.is_finite() && canvas.max.is_finite();
    let rect = Rect {
        min: canvas.min,
        max: canvas.max.max(canvas.min),
    };
    let split = show.mode == Mode::Compare && show.panes.len() > 1;
    let mut any = false;
    for (mut eye, mut camera, mut transform) in &mut eyes {
        let part = part(rect, eye.slot, split).filter(|_| finite);
        let scale = window.scale_factor();
        let pixels = part.and_then(|part| pixels(part, scale, window.physical_size()));
        let Some((position, size)) = pixels else {
            eye.part = None;
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
        let pose = view.eye(size.x as f32 / size.y as f32);
        eye.at = pose.translation;
        eye.rotation = pose.rotation;
        // What is drawn to, which is less than the canvas where that reaches out of the window.
        eye.part = Some(Rect {
            min: position.as_vec2() / scale,
            max: (position + size).as_vec2() / scale,
        });
        transform.set_if_neq(Transform {
            translation: pose.translation + offset(eye.slot),
            ..pose
        });
    }
    // Where no picture is drawn below the panels, what was there before has to go.
    for mut camera in &mut front {
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
        let canvas = Rect::new(-50.0, 10.0, 500.0, 90.0);
        let (position, size) = pixels(canvas, 1.0, window).expect("large enough");
        assert_eq!((position, size), (UVec2::new(0, 10), UVec2::new(200, 80)));
        assert_eq!(pixels(canvas, 1.0, UVec2::ZERO), None);
        assert_eq!(pixels(Rect::new(5.0, 5.0, 5.0, 80.0), 2.0, window), None);
        let right = part(Rect::new(0.0, 0.0, 100.0, 50.0), 1, true);
        assert_eq!(right, Some(Rect::new(51.5, 0.0, 100.0, 50.0)));
        assert_eq!(part(canvas, 1, false), None);
    }

    #[test]
    fn the_middle_of_the_picture_is_straight_ahead() {
        let eye = Eye {
            slot: 0,
            at: Vec3::ZERO,
            rotation: Quat::IDENTITY,
            part: Some(Rect::new(100.0, 0.0, 300.0, 100.0)),
        };
        assert_eq!(eye.ray(Vec2::new(200.0, 50.0)), Some(Vec3::NEG_Z));
        let top = eye.ray(Vec2::new(200.0, 0.0)).expect("it draws");
        assert!((top.y - (0.5 * FIELD).tan()).abs() < 1e-5);
    }
}
