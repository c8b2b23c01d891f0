//! `--measure SECS`: renders at the maximum frame rate for a time, prints the frame rate, and ends the program.

use crate::resources::ViewerSettings;
use bevy::prelude::*;
use bevy::window::PrimaryWindow;
use std::io::Write;
use std::time::{Duration, Instant};

/// Time for loading the scene and compiling shaders before frames are counted.
const WARM_UP: Duration = Duration::from_secs(4);

/// State of the measurement.
#[derive(Resource, Debug)]
pub struct FrameRateMeasurement {
    length: Duration,
    started: Option<Instant>,
    last: Option<Instant>,
    frames: Vec<Duration>,
    /// Time at which the result was printed.
    reported_at: Option<Instant>,
}

/// Maximum time for writing the last frame to its file.
const SAVE_TIMEOUT: Duration = Duration::from_secs(10);

impl FrameRateMeasurement {
    /// Creates a measurement of `secs` seconds.
    pub fn new(secs: f64) -> FrameRateMeasurement {
        FrameRateMeasurement {
            length: Duration::from_secs_f64(secs),
            started: None,
            last: None,
            frames: Vec::new(),
            reported_at: None,
        }
    }
}

/// Counts a frame; at the end prints the result in one line and ends the program.
pub fn record_frame(
    mut measure: ResMut<FrameRateMeasurement>,
    settings: Res<ViewerSettings>,
    window: Query<&Window, With<PrimaryWindow>>,
    mut commands: Commands,
    mut exit: MessageWriter<AppExit>,
) {
    if let Some(reported_at) = measure.reported_at {
        if reported_at.elapsed() > SAVE_TIMEOUT {
            exit.write(AppExit::error());
        }
        return;
    }
    let now = Instant::now();
    let started = *measure.started.get_or_insert(now);
    let last = measure.last.replace(now);
    let Some(last) = last.filter(|_| now >= started + WARM_UP) else {
        return;
    };
    measure.frames.push(now - last);
    if now < started + WARM_UP + measure.length {
        return;
    }
    measure.frames.sort_unstable();
    let total: Duration = measure.frames.iter().sum();
    let at = |share: f64| {
        let index = (measure.frames.len() as f64 * share) as usize;
        let frame = measure
            .frames
            .get(index.min(measure.frames.len().saturating_sub(1)));
        frame.map_or(0.0, |f| f.as_secs_f64() * 1e3)
    };
    let size = window
        .single()
        .map_or((0, 0), |w| (w.physical_width(), w.physical_height()));
    // A closed standard output is no error of the measurement.
    let _ = writeln!(
        std::io::stdout(),
        "{:.1} frames per second at {}x{}, {} quality, {}: median frame {:.1} ms, 95 % within {:.1} ms",
        measure.frames.len() as f64 / total.as_secs_f64(),
        size.0,
        size.1,
        match (settings.fine, settings.smooth) {
            (true, _) => "high",
            (false, true) => "medium",
            (false, false) => "low",
        },
        settings.adapter.name,
        at(0.5),
        at(0.95)
    );
    measure.reported_at = Some(now);
    commands.queue(crate::offscreen::save_and_exit);
}
