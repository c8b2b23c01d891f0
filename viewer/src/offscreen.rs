//! `--measure SECS --offscreen`: renders to an image instead of a window, for machines that have a graphics card and no
//! display. The last frame is written to a file.

use crate::resources::ViewerSettings;
use bevy::app::ScheduleRunnerPlugin;
use bevy::camera::RenderTarget;
use bevy::prelude::*;
use bevy::render::render_resource::TextureFormat;
use bevy::render::view::screenshot::{Screenshot, ScreenshotCaptured};
use bevy::window::PrimaryWindow;
use std::time::Duration;

/// Render target that replaces the window.
#[derive(Resource, Debug, Clone)]
struct RenderTargetImage(Handle<Image>);

/// Sets the application up to run without a display.
pub fn build(app: &mut App) {
    app.add_plugins(ScheduleRunnerPlugin::run_loop(Duration::ZERO));
    app.add_systems(PreStartup, create_target);
    app.add_systems(First, redirect_cameras);
}

fn create_target(
    mut commands: Commands,
    mut images: ResMut<Assets<Image>>,
    window: Query<&Window, With<PrimaryWindow>>,
) {
    let (width, height) = window
        .single()
        .map_or((1280, 720), |w| (w.physical_width(), w.physical_height()));
    let image = Image::new_target_texture(width, height, TextureFormat::Rgba8UnormSrgb, None);
    commands.insert_resource(RenderTargetImage(images.add(image)));
}

/// Redirects new cameras of the window to the render target.
fn redirect_cameras(
    target_image: Res<RenderTargetImage>,
    mut cameras: Query<&mut RenderTarget, Added<RenderTarget>>,
) {
    for mut target in &mut cameras {
        if matches!(*target, RenderTarget::Window(_)) {
            *target = RenderTarget::Image(target_image.0.clone().into());
        }
    }
}

/// Writes the render target, if there is one, to `offscreen.png` in the folder of captures, and ends the program.
pub fn save_and_exit(world: &mut World) {
    let Some(target_image) = world.get_resource::<RenderTargetImage>().cloned() else {
        world.write_message(AppExit::Success);
        return;
    };
    // The program ends only when the image has arrived, some frames later.
    world.spawn(Screenshot::image(target_image.0)).observe(
        |shot: On<ScreenshotCaptured>,
         settings: Res<ViewerSettings>,
         mut exit: MessageWriter<AppExit>| {
            let path = settings.captures.join("offscreen.png");
            let image = shot
                .image
                .clone()
                .try_into_dynamic()
                .map_err(|e| e.to_string());
            let saved = image.and_then(|i| i.to_rgb8().save(&path).map_err(|e| e.to_string()));
            exit.write(match saved {
                Ok(()) => AppExit::Success,
                Err(error) => {
                    eprintln!("error: {}: {error}", path.display());
                    AppExit::error()
                }
            });
        },
    );
}
