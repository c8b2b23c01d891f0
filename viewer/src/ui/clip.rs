//! Clips of the window: frames at 10 Hz, encoded as an animated GIF by a thread.

use super::output_file::{create_unused, path_or_remove};
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

/// Time between two frames.
const FRAME_INTERVAL: Duration = Duration::from_millis(100);
/// Maximum length of a clip.
const MAX_DURATION: Duration = Duration::from_secs(30);
/// Maximum width, pixels; larger frames are scaled down.
const MAX_WIDTH: u32 = 960;
/// Frames that may wait for the encoder; further ones are dropped.
const QUEUE_LENGTH: usize = 12;

/// A clip that is being recorded.
pub struct Clip {
    began: Instant,
    last: Option<Instant>,
    send: SyncSender<(Instant, Image)>,
    /// Set by the encoder thread when it has ended.
    failed: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// Sender of one frame to the encoder.
#[derive(Clone)]
pub struct FrameSink {
    send: Arc<Mutex<SyncSender<(Instant, Image)>>>,
    asked: Instant,
}

impl FrameSink {
    /// Sends a frame. When the queue is full the frame is dropped, and the one before it is shown longer.
    pub fn add(&self, image: &Image) {
        if let Ok(send) = self.send.lock() {
            let _ = send.try_send((self.asked, image.clone()));
        }
    }
}

impl Clip {
    /// Creates the file and starts the encoder thread.
    ///
    /// # Errors
    /// If the file or the thread cannot be created.
    pub fn begin(dir: &Path, stem: &str, toasts: Sender<Toast>) -> Result<Clip, String> {
        let (file, path) = create_unused(dir, stem, "gif")?;
        let (send, frames) = sync_channel(QUEUE_LENGTH);
        let failed = Arc::new(AtomicBool::new(false));
        let flag = failed.clone();
        let thread = std::thread::Builder::new()
            .name("clip".into())
            .spawn(move || {
                let toast = match encode(&frames, file, path) {
                    Ok(path) => Toast::Done(format!("saved {}", path.display())),
                    Err(reason) => Toast::Failed(reason),
                };
                flag.store(true, Ordering::Relaxed);
                // The receiver is gone only when the window is closing.
                let _ = toasts.send(toast);
            })
            .map_err(|e| format!("no clip: no thread: {e}"))?;
        Ok(Clip {
            began: Instant::now(),
            last: None,
            send,
            failed,
            thread,
        })
    }

    /// Time since the clip began.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Returns true at the maximum length, or when the encoder has ended.
    pub fn is_complete(&self) -> bool {
        self.elapsed() >= MAX_DURATION || self.failed.load(Ordering::Relaxed)
    }

    /// Returns true when the next frame is due, and starts the next interval.
    pub fn due(&mut self) -> bool {
        let due = self
            .last
            .is_none_or(|last| last.elapsed() >= FRAME_INTERVAL);
        if due {
            self.last = Some(Instant::now());
        }
        due
    }

    /// Sender for the next frame, stamped with the present time.
    pub fn frames(&self) -> FrameSink {
        FrameSink {
            send: Arc::new(Mutex::new(self.send.clone())),
            asked: Instant::now(),
        }
    }

    /// Ends recording; the returned thread finishes the file.
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
    path_or_remove(written, path)
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
            add(
                before,
                at.saturating_duration_since(since).max(FRAME_INTERVAL / 5),
            )?;
        }
    }
    match held {
        Some((_, last)) => add(last, Duration::from_secs(1)),
        None => Err("the clip has no frames".into()),
    }
}

fn shrink(image: Image) -> Result<RgbaImage, String> {
    let mut picture = image
        .try_into_dynamic()
        .map_err(|e| e.to_string())?
        .to_rgba8();
    // The alpha of a window's surface is undefined.
    picture.pixels_mut().for_each(|p| p.0[3] = 255);
    let (width, height) = picture.dimensions();
    if width <= MAX_WIDTH {
        return Ok(picture);
    }
    let tall = (u64::from(height) * u64::from(MAX_WIDTH) / u64::from(width)).max(1) as u32;
    Ok(imageops::resize(
        &picture,
        MAX_WIDTH,
        tall,
        imageops::FilterType::Triangle,
    ))
}
