//! Resources and system sets that the user interface and the viewport share.

use crate::preflight::Adapter;
use bevy::prelude::*;
use std::path::PathBuf;

/// Settings that stay constant while the program runs.
#[derive(Resource, Debug, Clone)]
pub struct ViewerSettings {
    /// Physically based shading and large shadow maps.
    pub fine: bool,
    /// Four samples per pixel.
    pub smooth: bool,
    /// Graphics adapter.
    pub adapter: Adapter,
    /// Folder of screenshots and clips.
    pub captures: PathBuf,
}

/// Layers and panels that are visible besides the scene; each has a key.
#[derive(Resource, Debug, Clone, Copy, PartialEq, Eq)]
pub struct VisibleLayers {
    /// Collision shapes.
    pub collision: bool,
    /// Contacts and their forces.
    pub contacts: bool,
    /// Joint axes and the frame of the hand.
    pub frames: bool,
    /// Past path of the end effector.
    pub trail: bool,
    /// Predicted path of the action chunk.
    pub chunk: bool,
    /// Regions of the goal.
    pub regions: bool,
    /// Insets of the policy's camera images.
    pub insets: bool,
    /// Plots of joint torques and gripper width.
    pub plots: bool,
    /// Side panels.
    pub panels: bool,
    /// Help window.
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

/// Area of the window that no panel covers, logical pixels from the top left. The user interface writes it, the viewport
/// renders to it.
#[derive(Resource, Debug, Clone, Copy, PartialEq)]
pub struct ViewportArea {
    /// Left and top.
    pub min: Vec2,
    /// Right and bottom.
    pub max: Vec2,
    /// True if the pointer is over a panel or a text field has keyboard focus.
    pub input_captured: bool,
}

/// Order of systems within a frame.
#[derive(SystemSet, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UpdateSet {
    /// Takes in worker events and moves the playhead.
    Advance,
    /// Handles keys and mouse.
    Input,
    /// Updates entities and textures to the state at the playhead.
    Draw,
}

/// Parts of the displayed frame that are state of the viewport and the user interface alone.
#[derive(Resource, Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DisplayedParts {
    /// Control step that the viewport shows, rounded down.
    pub step: usize,
    /// True if the entities of every displayed episode's scene are spawned.
    pub scenes_spawned: bool,
    /// True while the orbit camera moves towards its target.
    pub camera_moving: bool,
    /// True if the camera insets are hidden or show the step at the playhead, for every displayed episode.
    pub insets_current: bool,
    /// True while a toast is displayed.
    pub toast_visible: bool,
    /// True while a clip is recorded or written.
    pub clip_open: bool,
    /// Number of screenshots and clips written completely.
    pub files_written: usize,
}
