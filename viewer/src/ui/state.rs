//! State of the user interface that persists between frames.

use super::camera_insets::CameraInsets;
use super::clip::Clip;
use super::episode_list::EpisodeList;
use super::plots::Plots;
use super::selection_panel::SelectionPanel;
use super::teleoperation::KeyboardTeleop;
use super::toast::Toasts;
use bevy::prelude::Resource;
use std::thread::JoinHandle;

/// Tab of the left panel, shown when runs are loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Tab {
    #[default]
    Episodes,
    Live,
}

/// State of the user interface that persists between frames.
#[derive(Resource, Default)]
pub(super) struct UiState {
    pub(super) theme_applied: bool,
    /// True while a text field has keyboard focus.
    pub(super) typing: bool,
    pub(super) tab: Tab,
    pub(super) selection_panel: SelectionPanel,
    pub(super) episode_list: EpisodeList,
    pub(super) camera_insets: CameraInsets,
    pub(super) plots: Plots,
    pub(super) teleoperation: KeyboardTeleop,
    pub(super) toasts: Toasts,
    pub(super) screenshot_requested: bool,
    pub(super) clip_toggle_requested: bool,
    /// Clip that is being recorded.
    pub(super) clip: Option<Clip>,
    /// Encoder threads that are still writing a clip.
    pub(super) clip_writers: Vec<JoinHandle<()>>,
}

impl UiState {
    /// Ends a clip; its thread finishes the file.
    pub(super) fn finish_clip(&mut self, clip: Clip) {
        self.clip_writers.retain(|thread| !thread.is_finished());
        self.clip_writers.push(clip.end());
    }

    /// Returns true while a clip is recorded or written.
    pub(super) fn clip_open(&self) -> bool {
        self.clip.is_some() || self.clip_writers.iter().any(|t| !t.is_finished())
    }
}

impl Drop for UiState {
    /// Waits for clips that are still being written.
    fn drop(&mut self) {
        if let Some(clip) = self.clip.take() {
            self.finish_clip(clip);
        }
        for thread in self.clip_writers.drain(..) {
            // The message of a panic is on standard error.
            let _ = thread.join();
        }
    }
}
