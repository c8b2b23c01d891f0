//! The policy's two cameras, drawn by the CPU renderer from a kept moment: the very bytes that a policy
//! gets in that step.

use super::StepState;
use bitvla_eval::{CameraImages, CameraRig, EvalError};
use bitvla_sim::SceneDesc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Both images of a step.
#[derive(Debug, Clone)]
pub struct RenderedImages {
    /// The step they show.
    pub step: usize,
    /// Which scene, as counted by whoever asked.
    pub scene: u64,
    /// As the policy gets them.
    pub images: CameraImages,
}

/// A thread that draws the newest of what it was asked for.
pub struct CameraImageRenderer {
    request: Sender<(u64, Arc<SceneDesc>, Arc<StepState>)>,
    finished: Receiver<Result<RenderedImages, EvalError>>,
}

impl CameraImageRenderer {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start() -> std::io::Result<CameraImageRenderer> {
        let (request, requests) = channel();
        let (results, finished) = channel();
        std::thread::Builder::new()
            .name("insets".into())
            .spawn(move || render_requests(&requests, &results))?;
        Ok(CameraImageRenderer { request, finished })
    }

    /// Asks for the images of a moment; what was asked before and not begun is forgotten.
    pub fn request(&self, scene: u64, desc: &Arc<SceneDesc>, step_state: &Arc<StepState>) {
        // A thread that ended has said why.
        let _ = self.request.send((scene, desc.clone(), step_state.clone()));
    }

    /// The newest finished picture, if there is one since the last call.
    pub fn take(&self) -> Option<Result<RenderedImages, EvalError>> {
        self.finished.try_iter().last()
    }
}

fn render_requests(
    requests: &Receiver<(u64, Arc<SceneDesc>, Arc<StepState>)>,
    results: &Sender<Result<RenderedImages, EvalError>>,
) {
    let mut rig: Option<(u64, CameraRig)> = None;
    while let Ok(first) = requests.recv() {
        let (scene, desc, step_state) = requests.try_iter().last().unwrap_or(first);
        let mut draw = || {
            if rig.as_ref().is_none_or(|(of, _)| *of != scene) {
                rig = Some((scene, CameraRig::new(&desc)?));
            }
            let Some((_, rig)) = &mut rig else {
                return Err(EvalError::Input("no eyes".into()));
            };
            Ok(RenderedImages {
                step: step_state.step,
                scene,
                images: rig.render_state(&step_state.visual)?.for_policy(),
            })
        };
        if results.send(draw()).is_err() {
            return;
        }
    }
}
