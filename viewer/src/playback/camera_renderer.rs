//! Rendering of the policy's two camera images of a recorded step on a thread of its own, pixel-identical to what the
//! policy receives in that step.

use super::step_state::StepState;
use bitvla_eval::{CameraImages, CameraRig, EvalError};
use bitvla_policies::Flip;
use bitvla_sim::SceneDesc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Both camera images of a step.
#[derive(Debug, Clone)]
pub struct RenderedImages {
    /// Rendered state.
    pub step_state: Arc<StepState>,
    /// Identifier of the scene, chosen by the caller.
    pub scene: u64,
    /// Images as the policy receives them.
    pub images: CameraImages,
}

/// Scene identifier, scene, and state to render.
type Request = (u64, Arc<SceneDesc>, Arc<StepState>);

/// A thread that renders the newest request.
pub struct CameraImageRenderer {
    requests: Sender<Request>,
    results: Receiver<Result<RenderedImages, EvalError>>,
}

impl CameraImageRenderer {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system cannot create a thread.
    pub fn start() -> std::io::Result<CameraImageRenderer> {
        let (requests, request_rx) = channel();
        let (result_tx, results) = channel();
        std::thread::Builder::new()
            .name("insets".into())
            .spawn(move || render_requests(&request_rx, &result_tx))?;
        Ok(CameraImageRenderer { requests, results })
    }

    /// Requests the images of a step; replaces earlier requests that were not started.
    pub fn request(&self, scene: u64, desc: &Arc<SceneDesc>, step_state: &Arc<StepState>) {
        // The thread ends only by a panic, whose message is on standard error.
        let _ = self
            .requests
            .send((scene, desc.clone(), step_state.clone()));
    }

    /// Newest result since the last call.
    pub fn take(&self) -> Option<Result<RenderedImages, EvalError>> {
        self.results.try_iter().last()
    }
}

fn render_requests(
    requests: &Receiver<Request>,
    results: &Sender<Result<RenderedImages, EvalError>>,
) {
    let mut cached: Option<(u64, CameraRig)> = None;
    while let Ok(first) = requests.recv() {
        let (scene, desc, step_state) = requests.try_iter().last().unwrap_or(first);
        let rendered = rig_of(&mut cached, scene, &desc).and_then(|rig| {
            let images = rig
                .render_state(&step_state.visual)?
                .for_policy(Flip::default());
            Ok(RenderedImages {
                step_state,
                scene,
                images,
            })
        });
        if results.send(rendered).is_err() {
            return;
        }
    }
}

/// Camera rig of a scene; a new one is built when the scene has changed.
fn rig_of<'a>(
    cached: &'a mut Option<(u64, CameraRig)>,
    scene: u64,
    desc: &SceneDesc,
) -> Result<&'a mut CameraRig, EvalError> {
    let current = cached.take().filter(|(of, _)| *of == scene);
    let current = match current {
        Some(current) => current,
        None => (scene, CameraRig::new(desc)?),
    };
    Ok(&mut cached.insert(current).1)
}
