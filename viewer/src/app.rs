//! The program: evaluates the command line, builds the Bevy application and runs it.

use crate::args::{Args, Quality};
use crate::frame_pacing::{FramePacing, pace_frames};
use crate::frame_rate::{FrameRateMeasurement, record_frame};
use crate::offscreen;
use crate::outcomes::print_outcomes;
use crate::preflight;
use crate::resources::{DisplayedParts, UpdateSet, ViewerSettings, ViewportArea, VisibleLayers};
use crate::session::{DEFAULT_SEED, Session};
use crate::startup::{FirstEpisode, first_episode, open_runs};
use crate::status;
use crate::suite_cache::SuiteCache;
use crate::ui::UiPlugin;
use crate::viewport::ViewportPlugin;
use bevy::log::LogPlugin;
use bevy::prelude::*;
use bevy::render::RenderPlugin;
use bevy::render::settings::WgpuSettings;
use bevy::window::{PresentMode, WindowResolution};
use bevy::winit::{EventLoopProxyWrapper, WinitPlugin, WinitSettings, WinitUserEvent};
use bevy_egui::EguiPlugin;
use bitvla_eval::{AssetResolver, EvalError};
use clap::Parser;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

/// Window size up to which two cores without a GPU render four samples per pixel fast enough, pixels.
const MEDIUM_QUALITY_MAX_PIXELS: u32 = 1280 * 720;

/// Runs the program on its command line.
pub fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            eprintln!("error: {}", what.replace('\n', "; "));
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args) -> Result<(), String> {
    let message = |error: EvalError| error.to_string();
    let suite_cache = SuiteCache::new(AssetResolver::new(&args.sources).map_err(message)?);
    let runs = open_runs(args).map_err(message)?;
    let FirstEpisode {
        selection,
        recorded,
    } = first_episode(args, &suite_cache, &runs).map_err(message)?;
    if !args.offscreen {
        preflight::display()?;
    }
    let adapter = preflight::adapter()?;
    let quality = match args.quality {
        Quality::Auto
            if adapter.software && args.size.0 * args.size.1 > MEDIUM_QUALITY_MAX_PIXELS =>
        {
            Quality::Low
        }
        Quality::Auto if adapter.software => Quality::Medium,
        Quality::Auto => Quality::High,
        chosen => chosen,
    };
    let fps = args.fps.unwrap_or(if adapter.software { 20 } else { 60 });
    let settings = ViewerSettings {
        fine: quality == Quality::High,
        smooth: quality != Quality::Low,
        adapter,
        captures: args.captures.clone(),
    };
    let text = Arc::new(Mutex::new(String::new()));
    let before = quiet_panics(&text);
    let attempt = catch_unwind(AssertUnwindSafe(|| {
        let mut app = app(args, settings, fps);
        let wake = waker(&mut app);
        let mut session = Session::new(suite_cache, selection, runs, wake);
        session.policy_options = args.options.clone();
        session.seed = args.seed.unwrap_or(DEFAULT_SEED);
        session.speed = args.speed;
        session.playing = !args.paused;
        match recorded {
            Some(key) => session.open_recorded(key),
            None => session.open(),
        }
        app.insert_resource(session);
        app.run()
    }));
    std::panic::set_hook(before);
    match attempt {
        Ok(exit) if exit.is_success() => Ok(()),
        Ok(_) => Err("the window ended with an error, which is above".into()),
        Err(_) => {
            let text = text.lock().unwrap_or_else(PoisonError::into_inner);
            Err(preflight::in_one_line(&text))
        }
    }
}

/// Collects the message of a panic of this thread for the one line that is printed; other threads print as usual.
fn quiet_panics(
    text: &Arc<Mutex<String>>,
) -> Box<dyn Fn(&std::panic::PanicHookInfo<'_>) + Sync + Send> {
    let before = std::panic::take_hook();
    let (main, text) = (std::thread::current().id(), text.clone());
    std::panic::set_hook(Box::new(move |info| {
        if std::thread::current().id() != main {
            eprintln!("{info}");
        }
        if let Ok(mut text) = text.lock() {
            let said = info.payload_as_str().unwrap_or("panic without a message");
            *text = said.to_owned();
        }
    }));
    before
}

fn app(args: &Args, settings: ViewerSettings, fps: u16) -> App {
    let (width, height) = args.size;
    let window = Window {
        title: "bitvla-view".into(),
        name: Some("bitvla-view".into()),
        resolution: WindowResolution::new(width, height),
        present_mode: match args.measure {
            Some(_) => PresentMode::AutoNoVsync,
            None => PresentMode::AutoVsync,
        },
        ..default()
    };
    let mut app = App::new();
    let plugins = DefaultPlugins
        .set(WindowPlugin {
            primary_window: Some(window),
            ..default()
        })
        .set(RenderPlugin {
            render_creation: WgpuSettings {
                backends: Some(settings.adapter.backends),
                ..default()
            }
            .into(),
            ..default()
        })
        .set(LogPlugin {
            level: bevy::log::Level::ERROR,
            filter: "error,wgpu_hal=off,naga=off".into(),
            ..default()
        });
    if args.offscreen {
        app.add_plugins(plugins.disable::<WinitPlugin>());
        offscreen::build(&mut app);
    } else {
        app.add_plugins(plugins);
    }
    app.add_plugins(EguiPlugin::default());
    match args.measure {
        Some(secs) => {
            app.insert_resource(WinitSettings::continuous());
            app.insert_resource(FrameRateMeasurement::new(secs));
            app.add_systems(Last, record_frame);
        }
        None => {
            app.insert_resource(FramePacing::new(fps));
            app.add_systems(Last, pace_frames);
        }
    }
    app.insert_resource(settings);
    app.init_resource::<VisibleLayers>();
    app.init_resource::<DisplayedParts>();
    app.insert_resource(ViewportArea {
        min: Vec2::ZERO,
        max: Vec2::new(width as f32, height as f32),
        input_captured: false,
    });
    app.configure_sets(
        Update,
        (UpdateSet::Advance, UpdateSet::Input, UpdateSet::Draw).chain(),
    );
    app.add_systems(
        Update,
        (advance, print_outcomes).chain().in_set(UpdateSet::Advance),
    );
    app.add_plugins((ViewportPlugin, UiPlugin));
    if args.status_on_stdin {
        status::build(&mut app);
    }
    app
}

/// Returns a function that triggers a frame from any thread.
fn waker(app: &mut App) -> Arc<dyn Fn() + Send + Sync> {
    match app.world().get_resource::<EventLoopProxyWrapper>() {
        Some(proxy) => {
            let proxy = Mutex::new((**proxy).clone());
            Arc::new(move || {
                if let Ok(proxy) = proxy.lock() {
                    // Fails only when the event loop has ended.
                    let _ = proxy.send_event(WinitUserEvent::WakeUp);
                }
            })
        }
        None => Arc::new(|| {}),
    }
}

/// Advances the session by the time since the last frame.
fn advance(
    mut session: ResMut<Session>,
    time: Res<Time<Real>>,
    pacing: Option<ResMut<FramePacing>>,
) {
    let secs = time.delta_secs_f64().min(0.25);
    let moved = session.advance(secs);
    if moved && let Some(mut pacing) = pacing {
        pacing.note_change();
    }
}
