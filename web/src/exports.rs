//! The functions that a page calls. State is that of the thread: a page has one worker.
//!
//! `unsafe` stands here only in `#[unsafe(no_mangle)]`: the names of the functions are unique in the module.

use crate::free_camera::Orbit;
use crate::{Episode, EpisodeSpec};
use bitvla_tasks::{Assets, WORLD_VERSION};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Default)]
struct Module {
    buffer: Vec<u8>,
    output: Vec<u8>,
    files: BTreeMap<PathBuf, String>,
    /// The files as assets, once an episode was opened.
    assets: Option<Assets>,
    episode: Option<Episode>,
    /// Hash of the last images of a policy.
    frames_hash: u32,
}

thread_local! {
    static MODULE: RefCell<Module> = RefCell::default();
}

impl Module {
    fn text(&self, range: std::ops::Range<usize>) -> Result<String, String> {
        let bytes = self
            .buffer
            .get(range)
            .ok_or("found a length beyond the buffer")?;
        String::from_utf8(bytes.to_vec()).map_err(|error| error.to_string())
    }

    fn episode(&mut self) -> Result<&mut Episode, String> {
        self.episode.as_mut().ok_or("no episode is open".to_owned())
    }

    /// Puts bytes to where the page reads them; their number.
    fn answer(&mut self, bytes: Vec<u8>) -> i32 {
        self.output = bytes;
        i32::try_from(self.output.len()).unwrap_or(i32::MAX)
    }
}

/// Does `work`; an error becomes -1, with its text in the output.
fn call(work: impl FnOnce(&mut Module) -> Result<i32, String>) -> i32 {
    MODULE.with_borrow_mut(|module| {
        work(module).unwrap_or_else(|error| {
            module.answer(error.into_bytes());
            -1
        })
    })
}

/// RGBA bytes of images, one after the other.
fn rgba<'a>(images: impl IntoIterator<Item = &'a bitvla_sim::render::CameraImage>) -> Vec<u8> {
    let pixels = images
        .into_iter()
        .flat_map(|image| image.rgb.as_chunks::<3>().0);
    pixels.flat_map(|&[r, g, b]| [r, g, b, 255]).collect()
}

/// Version of the simulated world.
#[unsafe(no_mangle)]
pub extern "C" fn world_version() -> i32 {
    WORLD_VERSION as i32
}

/// Address of `length` bytes that the page may write.
#[unsafe(no_mangle)]
pub extern "C" fn buffer(length: usize) -> *mut u8 {
    MODULE.with_borrow_mut(|module| {
        module.buffer.clear();
        module.buffer.resize(length, 0);
        module.buffer.as_mut_ptr()
    })
}

/// Address of the bytes of the last answer or error.
#[unsafe(no_mangle)]
pub extern "C" fn output() -> *const u8 {
    MODULE.with_borrow(|module| module.output.as_ptr())
}

/// Number of the bytes of the last answer or error.
#[unsafe(no_mangle)]
pub extern "C" fn output_length() -> usize {
    MODULE.with_borrow(|module| module.output.len())
}

/// Adds a file of the assets: its path is the first `name` bytes of the buffer, its text ends at `end`. An open episode goes on with
/// those it has.
#[unsafe(no_mangle)]
pub extern "C" fn add_file(name: usize, end: usize) -> i32 {
    call(|module| {
        let path = PathBuf::from(module.text(0..name)?);
        let text = module.text(name..end)?;
        module.files.insert(path, text);
        module.assets = None;
        Ok(0)
    })
}

/// Opens the episode of an [`EpisodeSpec`], JSON of `length` bytes in the buffer; gives the length of its description, JSON.
#[unsafe(no_mangle)]
pub extern "C" fn open(length: usize) -> i32 {
    call(|module| {
        module.episode = None;
        let text = module.text(0..length)?;
        let spec: EpisodeSpec = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let files = &module.files;
        let assets = module
            .assets
            .get_or_insert_with(|| Assets::in_memory(files.clone()));
        let episode = Episode::open(assets, &spec)?;
        let description = episode.description()?;
        module.episode = Some(episode);
        Ok(module.answer(description.into_bytes()))
    })
}

/// Steps the world by an action; 1 if the goal holds now.
#[unsafe(no_mangle)]
pub extern "C" fn step(x: f64, y: f64, z: f64, rx: f64, ry: f64, rz: f64, gripper: f64) -> i32 {
    call(|module| {
        let success = module.episode()?.step(&[x, y, z, rx, ry, rz, gripper])?;
        Ok(i32::from(success))
    })
}

/// Hash of the state; 0 without an episode.
#[unsafe(no_mangle)]
pub extern "C" fn state_hash() -> u64 {
    MODULE.with_borrow(|module| module.episode.as_ref().map_or(0, Episode::state_hash))
}

/// Length of the description of this instant, JSON, for an image of the free camera with this ratio of width to height.
#[unsafe(no_mangle)]
pub extern "C" fn moment(aspect: f64) -> i32 {
    call(|module| {
        let moment = module.episode()?.moment(aspect)?;
        Ok(module.answer(moment.into_bytes()))
    })
}

/// Puts the free camera to an [`Orbit`]: radians and m.
#[unsafe(no_mangle)]
pub extern "C" fn look_from(yaw: f64, pitch: f64, distance: f64, x: f64, y: f64, z: f64) -> i32 {
    call(|module| {
        let orbit = Orbit {
            yaw,
            pitch,
            distance,
            target: [x, y, z],
        };
        module.episode()?.look_from(orbit)?;
        Ok(0)
    })
}

/// Draws the image of the free camera; the number of its RGBA bytes.
#[unsafe(no_mangle)]
pub extern "C" fn free_image(width: usize, height: usize) -> i32 {
    call(|module| {
        let image = module.episode()?.free_image(width, height)?;
        Ok(module.answer(rgba([&image])))
    })
}

/// Draws the two images of a policy's query at a control step, mirrored if `mirrored` is not 0; the number of their RGBA bytes, table then hand.
#[unsafe(no_mangle)]
pub extern "C" fn policy_images(step: usize, side: usize, mirrored: i32) -> i32 {
    call(|module| {
        let images = (module.episode()?).policy_images((step, side, mirrored != 0))?;
        let mut hash = crc32fast::Hasher::new();
        images.iter().for_each(|image| hash.update(&image.rgb));
        module.frames_hash = hash.finalize();
        Ok(module.answer(rgba(&images)))
    })
}

/// CRC-32 of the bytes of the last images of a policy, RGB, table then hand, as `hashes.bin` has it.
#[unsafe(no_mangle)]
pub extern "C" fn frames_hash() -> u32 {
    MODULE.with_borrow(|module| module.frames_hash)
}

/// Keeps this instant; its number.
#[unsafe(no_mangle)]
pub extern "C" fn keep() -> i32 {
    call(|module| Ok(i32::try_from(module.episode()?.keep()).unwrap_or(i32::MAX)))
}

/// Returns to an instant that was kept.
#[unsafe(no_mangle)]
pub extern "C" fn return_to(number: usize) -> i32 {
    call(|module| module.episode()?.return_to(number).map(|()| 0))
}
