//! A clip: pictures of the window about ten times a second, made into an animated GIF by a thread.

use super::capture::{create, finish};
use super::toast::Toast;
use bevy::prelude::Image;
use image::codecs::gif::{GifEncoder, Repeat};
use image::{Delay, RgbaImage, imageops};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Time between pictures.
const EVERY: Duration = Duration::from_millis(100);
/// The longest clip.
const LONGEST: Duration = Duration::from_secs(30);
/// The widest clip, pixels.
const WIDEST: u32 = 960;
/// Pictures that may wait for the thread; more are left out.
const WAITING: usize = 12;

/// A clip that is being made.
pub struct Clip {
    began: Instant,
    last: Option<Instant>,
    send: SyncSender<(Instant, Image)>,
    /// Set by the thread when it gave up.
    gave_up: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// Where pictures of a clip go.
#[derive(Clone)]
pub struct Frames {
    send: Arc<Mutex<SyncSender<(Instant, Image)>>>,
    asked: Instant,
}

impl Frames {
    /// Adds a picture; one that finds the thread too far behind is left out, and the one before it stays
    /// longer.
    pub fn add(&self, image: &Image) {
        if let Ok(send) = self.send.lock() {
            let _ = send.try_send((self.asked, image.clone()));
        }
    }
}

impl Clip {
    /// Creates the file and starts the thread.
    pub fn begin(dir: &Path, stem: &str, tell: Sender<Toast>) -> Result<Clip, String> {
        let (file, path) = create(dir, stem, "gif")?;
        let (send, frames) = sync_channel(WAITING);
        let gave_up = Arc::new(AtomicBool::new(false));
        let flag = gave_up.clone();
        let thread = std::thread::Builder::new()
            .name("clip".into())
            .spawn(move || {
                let toast = match encode(&frames, file, path) {
                    Ok(path) => Toast::Done(format!("saved {}", path.display())),
                    Err(why) => Toast::Failed(why),
                };
                flag.store(true, Ordering::Relaxed);
                // A window that closed no longer listens.
                let _ = tell.send(toast);
            })
            .map_err(|e| format!("no clip: no thread: {e}"))?;
        Ok(Clip {
            began: Instant::now(),
            last: None,
            send,
            gave_up,
            thread,
        })
    }

    /// How long it has been going on.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Whether it is as long as it may be, or its thread gave up.
    pub fn over(&self) -> bool {
        self.elapsed() >= LONGEST || self.gave_up.load(Ordering::Relaxed)
    }

    /// Whether it is time for another picture.
    pub fn due(&mut self) -> bool {
        let due = self.last.is_none_or(|last| last.elapsed() >= EVERY);
        if due {
            self.last = Some(Instant::now());
        }
        due
    }

    /// Where the next picture goes.
    pub fn frames(&self) -> Frames {
        Frames {
            send: Arc::new(Mutex::new(self.send.clone())),
            asked: Instant::now(),
        }
    }

    /// No more pictures; the thread finishes what it has.
    pub fn end(self) -> JoinHandle<()> {
        self.thread
    }
}

fn encode(
    frames: &Receiver<(Instant, Image)>,
    file: File,
    path: PathBuf,
) -> Result<PathBuf, String> {
    let mut file = BufWriter::new(file);
    let written =
        encode_into(frames, &mut file).and_then(|()| file.flush().map_err(|e| e.to_string()));
    finish(written, path)
}

fn encode_into(
    frames: &Receiver<(Instant, Image)>,
    file: &mut BufWriter<File>,
) -> Result<(), String> {
    let mut gif = GifEncoder::new_with_speed(file, 10);
    gif.set_repeat(Repeat::Infinite)
        .map_err(|e| e.to_string())?;
    let mut held: Option<(Instant, RgbaImage)> = None;
    let mut add = |picture: RgbaImage, stays: Duration| {
        let delay = Delay::from_saturating_duration(stays);
        gif.encode_frame(image::Frame::from_parts(picture, 0, 0, delay))
            .map_err(|e| e.to_string())
    };
    while let Ok((at, image)) = frames.recv() {
        let picture = shrink(image)?;
        if let Some((since, before)) = held.replace((at, picture)) {
            add(before, at.saturating_duration_since(since).max(EVERY / 5))?;
        }
    }
    match held {
        Some((_, last)) => add(last, Duration::from_secs(1)),
        None => Err("the clip has no pictures".into()),
    }
}

fn shrink(image: Image) -> Result<RgbaImage, String> {
    let mut picture = image
        .try_into_dynamic()
        .map_err(|e| e.to_string())?
        .to_rgba8();
    // What the window's alpha holds is no business of a film.
    picture.pixels_mut().for_each(|p| p.0[3] = 255);
    let (width, height) = picture.dimensions();
    if width <= WIDEST {
        return Ok(picture);
    }
    let tall = (u64::from(height) * u64::from(WIDEST) / u64::from(width)).max(1) as u32;
    Ok(imageops::resize(
        &picture,
        WIDEST,
        tall,
        imageops::FilterType::Triangle,
    ))
}
