//! The policy's two cameras, drawn by the CPU renderer from a kept moment: the very bytes that a policy
//! gets in that step.

use super::Moment;
use bitvla_eval::{EvalError, Eyes, View};
use bitvla_sim::SceneDesc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Both images of a step.
#[derive(Debug, Clone)]
pub struct Picture {
    /// The step they show.
    pub step: usize,
    /// Which scene, as counted by whoever asked.
    pub scene: u64,
    /// As the policy gets them.
    pub view: View,
}

/// A thread that draws the newest of what it was asked for.
pub struct InsetPainter {
    ask: Sender<(u64, Arc<SceneDesc>, Arc<Moment>)>,
    done: Receiver<Result<Picture, EvalError>>,
}

impl InsetPainter {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start() -> std::io::Result<InsetPainter> {
        let (ask, asked) = channel();
        let (tell, done) = channel();
        std::thread::Builder::new()
            .name("insets".into())
            .spawn(move || paint(&asked, &tell))?;
        Ok(InsetPainter { ask, done })
    }

    /// Asks for the images of a moment; what was asked before and not begun is forgotten.
    pub fn ask(&self, scene: u64, desc: &Arc<SceneDesc>, moment: &Arc<Moment>) {
        // A thread that ended has said why.
        let _ = self.ask.send((scene, desc.clone(), moment.clone()));
    }

    /// The newest finished picture, if there is one since the last call.
    pub fn take(&self) -> Option<Result<Picture, EvalError>> {
        self.done.try_iter().last()
    }
}

fn paint(
    asked: &Receiver<(u64, Arc<SceneDesc>, Arc<Moment>)>,
    tell: &Sender<Result<Picture, EvalError>>,
) {
    let mut eyes: Option<(u64, Eyes)> = None;
    while let Ok(first) = asked.recv() {
        let (scene, desc, moment) = asked.try_iter().last().unwrap_or(first);
        let mut draw = || {
            if eyes.as_ref().is_none_or(|(of, _)| *of != scene) {
                eyes = Some((scene, Eyes::new(&desc)?));
            }
            let Some((_, eyes)) = &mut eyes else {
                return Err(EvalError::Input("no eyes".into()));
            };
            Ok(Picture {
                step: moment.step,
                scene,
                view: eyes.look_at(&moment.state)?.for_policy(),
            })
        };
        if tell.send(draw()).is_err() {
            return;
        }
    }
}
