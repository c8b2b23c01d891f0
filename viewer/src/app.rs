//! Puts the rooms together: reads the command line, opens what it names, and runs the window.

use crate::args::{Args, Quality};
use crate::frame_rate::{FrameRateMeasurement, record_frame};
use crate::offscreen;
use crate::playback::Termination;
use crate::preflight::{self, Adapter};
use crate::session::{EpisodeSelection, LoadedRun, Session};
use crate::suite_cache::SuiteCache;
use crate::ui::UiPlugin;
use crate::viewport::ViewportPlugin;
use bevy::log::LogPlugin;
use bevy::prelude::*;
use bevy::render::RenderPlugin;
use bevy::render::settings::WgpuSettings;
use bevy::window::{PresentMode, WindowResolution};
use bevy::winit::{EventLoopProxyWrapper, UpdateMode, WinitPlugin, WinitSettings, WinitUserEvent};
use bevy_egui::EguiPlugin;
use bitvla_eval::{AssetResolver, EvalError, PolicyKind, RunFolder};
use clap::Parser;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Pixels up to which two cores without a GPU draw four samples of each fast enough.
const MEDIUM_QUALITY_MAX_PIXELS: u32 = 1280 * 720;

/// What the window was told once and for all.
#[derive(Resource, Debug, Clone)]
pub struct ViewerSettings {
    /// Physically based light and large shadows.
    pub fine: bool,
    /// Four samples per pixel.
    pub smooth: bool,
    /// What draws.
    pub adapter: Adapter,
    /// Where screenshots and clips go.
    pub captures: PathBuf,
}

/// What is drawn besides the scene; each has a key.
#[derive(Resource, Debug, Clone, Copy, PartialEq, Eq)]
pub struct VisibleLayers {
    /// Collision shapes.
    pub collision: bool,
    /// Contacts and their forces.
    pub contacts: bool,
    /// Joint axes and the frame of the hand.
    pub frames: bool,
    /// Where the end effector was.
    pub trail: bool,
    /// Where the action chunk leads.
    pub chunk: bool,
    /// Regions of the goal.
    pub regions: bool,
    /// The policy's cameras.
    pub insets: bool,
    /// Joint torques and gripper width over time.
    pub plots: bool,
    /// Panels at the sides.
    pub panels: bool,
    /// The list of keys.
    pub help: bool,
}

impl Default for VisibleLayers {
    fn default() -> VisibleLayers {
        VisibleLayers {
            collision: false,
            contacts: true,
            frames: false,
            trail: true,
            chunk: true,
            regions: true,
            insets: true,
            plots: true,
            panels: true,
            help: false,
        }
    }
}

/// The part of the window that no panel covers, logical pixels from the top left. The desk writes it, the
/// stage fills it.
#[derive(Resource, Debug, Clone, Copy, PartialEq)]
pub struct ViewportArea {
    /// Left and top.
    pub min: Vec2,
    /// Right and bottom.
    pub max: Vec2,
    /// Whether the mouse is over a panel, or typing goes to one.
    pub input_captured: bool,
}

/// Order within a frame.
#[derive(SystemSet, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UpdateSet {
    /// The clock moves and reports come in.
    Advance,
    /// Hands: keys and mouse.
    Input,
    /// Everything is put where it belongs.
    Draw,
}

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
    let said = |error: EvalError| error.to_string();
    let suite_cache = SuiteCache::new(AssetResolver::new(&args.sources).map_err(said)?);
    let runs = open_runs(args).map_err(said)?;
    let (selection, first) = select_first(args, &suite_cache, &runs).map_err(said)?;
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
        session.checkpoint = args.checkpoint.clone();
        session.threads = usize::from(args.threads);
        session.speed = args.speed;
        session.playing = !args.paused;
        match first {
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
            let text = text.lock().map(|w| w.clone()).unwrap_or_default();
            Err(preflight::in_one_line(&text))
        }
    }
}

/// Keeps the words of a panic of this thread for the one line that is printed; others print as usual.
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
            let said = info.payload_as_str().unwrap_or("panic without words");
            *text = said.to_owned();
        }
    }));
    before
}

fn open_runs(args: &Args) -> Result<Vec<LoadedRun>, EvalError> {
    let open = |dir: &PathBuf| {
        Ok(LoadedRun {
            folder: RunFolder::open(dir)?,
            dir: dir.clone(),
        })
    };
    let runs: Vec<LoadedRun> = args
        .runs
        .iter()
        .map(open)
        .collect::<Result<_, EvalError>>()?;
    if let [a, b] = runs.as_slice() {
        let (a, b) = (&a.folder.manifest.protocol, &b.folder.manifest.protocol);
        if a.suite != b.suite || a.settle_steps != b.settle_steps {
            return Err(EvalError::Input(format!(
                "these runs begin differently and cannot be compared: suite `{}`, {} settling steps; suite `{}`, {} \
                 settling steps",
                a.suite, a.settle_steps, b.suite, b.settle_steps
            )));
        }
    }
    Ok(runs)
}

/// What to open first, and the recorded episode if it is one.
#[allow(clippy::type_complexity)]
fn select_first(
    args: &Args,
    suite_cache: &SuiteCache,
    runs: &[LoadedRun],
) -> Result<(EpisodeSelection, Option<(usize, usize)>), EvalError> {
    let recorded = runs.first().map(|run| &run.folder.manifest.protocol);
    if let Some(protocol) = recorded {
        let given = [
            ("suite", args.suite.is_some()),
            ("versus", args.versus.is_some()),
        ];
        if let Some((option, _)) = given.iter().find(|(_, given)| *given) {
            return Err(EvalError::Input(format!(
                "--{option} says something about a live episode; {} is a recorded one",
                args.runs[0].display()
            )));
        }
        let rows = runs[0].folder.actions.iter();
        let wanted = |key: &(usize, usize)| {
            args.task.is_none_or(|t| t == key.0) && args.init.is_none_or(|i| i == key.1)
        };
        let both = |key: &(usize, usize)| runs.iter().all(|r| r.folder.actions_of(*key).is_some());
        let first = rows
            .map(|a| (a.task, a.init))
            .find(|key| wanted(key) && both(key));
        let Some(first) = first else {
            return Err(EvalError::Input(format!(
                "{} holds no such finished episode",
                args.runs[0].display()
            )));
        };
        let selection = EpisodeSelection {
            suite: protocol.suite.clone(),
            task: first.0,
            init: first.1,
            policy: args.policy.unwrap_or(PolicyKind::Ternary),
            versus: None,
        };
        suite_cache.open(&selection.suite)?;
        return Ok((selection, Some(first)));
    }
    let selection = EpisodeSelection {
        suite: args.suite.clone().unwrap_or_else(|| "spatial".into()),
        task: args.task.unwrap_or(0),
        init: args.init.unwrap_or(0),
        policy: args.policy.unwrap_or(PolicyKind::Ternary),
        versus: args.versus,
    };
    let opened = suite_cache.open(&selection.suite)?;
    opened
        .context(0)
        .init_state(selection.task, selection.init)?;
    Ok((selection, None))
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
            app.add_systems(Last, frame_pacing);
        }
    }
    app.insert_resource(settings);
    app.init_resource::<VisibleLayers>();
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
    app
}

/// Other threads call this when there is news.
fn waker(app: &mut App) -> Arc<dyn Fn() + Send + Sync> {
    match app.world().get_resource::<EventLoopProxyWrapper>() {
        Some(proxy) => {
            let proxy = Mutex::new((**proxy).clone());
            Arc::new(move || {
                if let Ok(proxy) = proxy.lock() {
                    // A loop that ended needs no waking.
                    let _ = proxy.send_event(WinitUserEvent::WakeUp);
                }
            })
        }
        None => Arc::new(|| {}),
    }
}

fn advance(
    mut session: ResMut<Session>,
    time: Res<Time<Real>>,
    frame_pacing: Option<ResMut<FramePacing>>,
) {
    let secs = time.delta_secs_f64().min(0.25);
    let moved = session.advance(secs);
    if moved && let Some(mut frame_pacing) = frame_pacing {
        frame_pacing.note_change();
    }
}

/// Says on standard output how each episode ended, as a run of bitvla-eval keeps it.
fn print_outcomes(session: Res<Session>, mut printed: Local<Vec<u64>>) {
    for episode in &session.episodes {
        let (Some(info), Some(termination)) = (&episode.info, episode.trajectory.termination())
        else {
            // It goes on from a step before its end, and will end again.
            printed.retain(|id| *id != episode.id);
            continue;
        };
        let Some(last) = episode.trajectory.steps().last() else {
            continue;
        };
        if printed.contains(&episode.id) {
            continue;
        }
        printed.push(episode.id);
        let how = match termination {
            Termination::Success => format!("success at step {}", last.step),
            Termination::Horizon => format!("not reached at step {}", last.step),
            Termination::Error(why) => format!("error at step {}: {why}", last.step),
        };
        let intervention = if last.intervened { ", hands on" } else { "" };
        // Nobody may be reading.
        let _ = writeln!(
            std::io::stdout(),
            "{} task {} initial state {}, {}: {how}, state {:016x}{intervention}",
            info.suite,
            info.task,
            info.init,
            episode.name,
            last.hash
        );
    }
}

/// How often the window looks: as often as it may while something happens, seldom while nothing does.
#[derive(Resource, Debug)]
struct FramePacing {
    frame: Duration,
    last_change: Instant,
    active: Option<bool>,
}

/// So long after the last input or change the window still looks often: things glide to their places.
const ACTIVE_AFTER_CHANGE: Duration = Duration::from_millis(1500);
/// How often it looks otherwise. Input and news from other threads wake it at once.
const IDLE_INTERVAL: Duration = Duration::from_millis(500);

impl FramePacing {
    fn new(fps: u16) -> FramePacing {
        FramePacing {
            frame: Duration::from_secs_f64(1.0 / f64::from(fps)),
            last_change: Instant::now(),
            active: None,
        }
    }

    fn note_change(&mut self) {
        self.last_change = Instant::now();
    }
}

fn frame_pacing(
    mut frame_pacing: ResMut<FramePacing>,
    mut settings: ResMut<WinitSettings>,
    keys: Res<ButtonInput<KeyCode>>,
    buttons: Res<ButtonInput<MouseButton>>,
    mut moved: MessageReader<bevy::window::CursorMoved>,
    mut wheel: MessageReader<bevy::input::mouse::MouseWheel>,
) {
    let pressed = keys.get_pressed().next().is_some() || buttons.get_pressed().next().is_some();
    // Both are read to their ends.
    if moved.read().count() + wheel.read().count() > 0 || pressed {
        frame_pacing.note_change();
    }
    let active = frame_pacing.last_change.elapsed() < ACTIVE_AFTER_CHANGE;
    if frame_pacing.active == Some(active) {
        return;
    }
    frame_pacing.active = Some(active);
    let mode = UpdateMode::Reactive {
        wait: if active {
            frame_pacing.frame
        } else {
            IDLE_INTERVAL
        },
        react_to_device_events: false,
        // A running clock looks often enough; news would only make it look more often.
        react_to_user_events: !active,
        react_to_window_events: true,
    };
    settings.focused_mode = mode;
    settings.unfocused_mode = mode;
}
