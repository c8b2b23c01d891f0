//! A checkpoint as the policy of a server: one worker per connection, weights shared.

use crate::action_noise::ActionNoise;
use crate::policy_interface::server_interface;
use bitvla_policies::{CAMERAS, Observation, Policy, PolicyProtocol, Threads, VlaPolicy};
use bitvla_remote::{self as remote, Interface, PolicySession, RgbImage, ServerPolicy};
use image::imageops::{FilterType, resize};
use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

/// A loaded checkpoint that makes a worker per connection.
pub(crate) struct CheckpointServer {
    policy: Mutex<VlaPolicy>,
    protocol: PolicyProtocol,
    /// What clients are told.
    interface: Interface,
    /// Threads of a query.
    threads: usize,
    noise: Option<ActionNoise>,
}

impl CheckpointServer {
    pub(crate) fn new(
        policy: VlaPolicy,
        name: &str,
        checkpoint_sha256: &str,
        threads: usize,
        noise: Option<ActionNoise>,
    ) -> CheckpointServer {
        let protocol = policy.protocol();
        CheckpointServer {
            interface: server_interface(&protocol, name, checkpoint_sha256),
            protocol,
            policy: Mutex::new(policy),
            threads,
            noise,
        }
    }
}

impl ServerPolicy for CheckpointServer {
    fn interface(&self) -> Interface {
        self.interface.clone()
    }

    fn session(&self) -> Result<Box<dyn PolicySession>, String> {
        let threads = Threads::new(self.threads).map_err(|error| error.to_string())?;
        // Making a worker changes nothing in the policy, so that no panic leaves it half done.
        let policy = self.policy.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Box::new(Session {
            policy: policy.for_worker(threads),
            noise: self.noise,
            camera_size: self.protocol.camera_size,
            executed_steps: self.protocol.executed_steps,
        }))
    }
}

/// Worker of one connection. The network keeps nothing of an episode.
struct Session {
    policy: VlaPolicy,
    noise: Option<ActionNoise>,
    camera_size: usize,
    executed_steps: usize,
}

impl Session {
    /// Bytes of a square image in the size that the policy takes; one of another size is resized (triangle filter).
    fn frame<'a>(&self, camera: &str, image: &'a RgbImage) -> Result<Cow<'a, [u8]>, String> {
        let (width, height) = (image.width(), image.height());
        if width != height {
            return Err(format!(
                "{camera}: found {width} x {height} pixels, expected a square image"
            ));
        }
        if width == self.camera_size {
            return Ok(Cow::Borrowed(image.rgb()));
        }
        // Sides are at most RgbImage::MAX_SIDE, and the bytes are as many as the sides say.
        let buffer = image::RgbImage::from_raw(width as u32, height as u32, image.rgb().to_vec());
        let buffer = buffer.ok_or_else(|| format!("{camera}: too few bytes"))?;
        let side = self.camera_size as u32;
        let resized = resize(&buffer, side, side, FilterType::Triangle);
        Ok(Cow::Owned(resized.into_raw()))
    }
}

impl PolicySession for Session {
    fn begin_episode(&mut self) {}

    fn query(
        &mut self,
        observation: &remote::Observation,
    ) -> Result<(Vec<[f64; 7]>, usize), String> {
        let [agentview, eye_in_hand] = CAMERAS;
        let wrist = observation.wrist.as_ref();
        let wrist = wrist.ok_or("the image of the camera on the hand is missing")?;
        let agentview = self.frame(agentview, &observation.agentview)?;
        let wrist = self.frame(eye_in_hand, wrist)?;
        let proprio = observation.state.ok_or("the state is missing")?;
        let instruction = &observation.instruction;
        let answer = self.policy.query(&Observation {
            agentview: &agentview,
            wrist: &wrist,
            proprio,
            instruction,
        });
        let mut answer = answer.map_err(|error| error.to_string())?;
        if let Some(noise) = self.noise {
            noise.add(&mut answer.actions, &proprio, instruction);
        }
        Ok((answer.actions, self.executed_steps))
    }
}
