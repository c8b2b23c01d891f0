//! Sanity checks of a policy: what it sees or is told is replaced, and a policy that looks and listens fails. A success rate
//! that hardly falls says that the policy repeats motions it has learned by heart.

use crate::EvalError;
use crate::agent::{AgentObservation, EpisodeStart, StepInput};
use crate::observation::CameraImages;
use bitvla_policies::PolicyProtocol;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Replacement of a part of every observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SanityCheck {
    /// Both camera images are black.
    Blackout,
    /// Both camera images stay those of the first query of the episode.
    Freeze,
    /// The instruction is that of the next task of the suite with other words.
    Instruction,
}

impl SanityCheck {
    /// All of them.
    pub const ALL: [SanityCheck; 3] = [
        SanityCheck::Blackout,
        SanityCheck::Freeze,
        SanityCheck::Instruction,
    ];

    /// Word of the command line, also in the name of the policy.
    pub fn name(self) -> &'static str {
        match self {
            SanityCheck::Blackout => "blackout",
            SanityCheck::Freeze => "freeze",
            SanityCheck::Instruction => "instruction",
        }
    }

    /// Description for the protocol of a run.
    pub fn description(self) -> &'static str {
        match self {
            SanityCheck::Blackout => "camera images black",
            SanityCheck::Freeze => "camera images of the first query",
            SanityCheck::Instruction => "instruction of the next task",
        }
    }

    /// Replaces the images; `first` keeps those of the first query.
    fn replace_images(self, images: &mut CameraImages, first: &mut Option<CameraImages>) {
        match self {
            SanityCheck::Blackout => {
                images.agentview.rgb.fill(0);
                images.wrist.rgb.fill(0);
            }
            SanityCheck::Freeze => match first {
                Some(first) => images.clone_from(first),
                None => *first = Some(images.clone()),
            },
            SanityCheck::Instruction => {}
        }
    }

    /// Returns the instruction that is given in place of that of a task; `instructions` are those of the suite in the order of
    /// its tasks.
    ///
    /// # Errors
    /// If every task of the suite has the same instruction.
    fn replace_instruction(
        self,
        instructions: &[String],
        task: usize,
        own: &str,
    ) -> Result<String, EvalError> {
        if self != SanityCheck::Instruction {
            return Ok(own.to_owned());
        }
        let later = instructions.iter().cycle().skip(task + 1);
        let other = later.take(instructions.len()).find(|other| *other != own);
        other.cloned().ok_or_else(|| {
            EvalError::Input(format!(
                "--sanity instruction: no task of the suite has other words than `{own}`"
            ))
        })
    }
}

/// A sanity check, or none, with the instructions of the suite in the order of its tasks.
#[derive(Clone)]
pub(super) struct ShownInputs {
    check: Option<SanityCheck>,
    instructions: Arc<[String]>,
}

/// What a policy that observes is told in an episode.
#[derive(Clone)]
pub(super) struct ShownEpisode {
    /// The instruction.
    pub(super) instruction: Arc<str>,
    /// Images of the first query, where the check asks for them.
    first: Option<CameraImages>,
}

impl ShownInputs {
    /// For the tasks with these instructions.
    pub(super) fn new(check: Option<SanityCheck>, instructions: &[String]) -> ShownInputs {
        ShownInputs {
            check,
            instructions: instructions.into(),
        }
    }

    /// Begins an episode.
    ///
    /// # Errors
    /// As [`SanityCheck::replace_instruction`].
    pub(super) fn begin(&self, start: &EpisodeStart<'_>) -> Result<ShownEpisode, EvalError> {
        let own = &*start.instruction;
        let instruction = match self.check {
            None => own.to_owned(),
            Some(check) => check.replace_instruction(&self.instructions, start.task.id, own)?,
        };
        Ok(ShownEpisode {
            instruction: instruction.into(),
            first: None,
        })
    }

    /// Observes what the policy is shown.
    ///
    /// # Errors
    /// As [`StepInput::observe`].
    pub(super) fn observe(
        &self,
        input: &mut StepInput<'_>,
        protocol: &PolicyProtocol,
        episode: &mut ShownEpisode,
    ) -> Result<AgentObservation, EvalError> {
        let mut observed = input.observe(protocol)?;
        if let Some(check) = self.check {
            check.replace_images(&mut observed.images, &mut episode.first);
        }
        Ok(observed)
    }
}

impl fmt::Display for SanityCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SanityCheck {
    type Err = String;

    fn from_str(text: &str) -> Result<SanityCheck, String> {
        let found = SanityCheck::ALL.into_iter().find(|c| c.name() == text);
        found.ok_or_else(|| {
            let names = SanityCheck::ALL.map(SanityCheck::name).join(", ");
            format!("there is no sanity check `{text}`, there are: {names}")
        })
    }
}

#[cfg(test)]
mod tests {
    //! Guarantees: images are replaced as named, and the words are those of the next task with other ones.
    use super::*;
    use bitvla_sim::render::CameraImage;

    fn images(value: u8) -> CameraImages {
        let image = || CameraImage {
            width: 2,
            height: 2,
            rgb: vec![value; 12],
        };
        CameraImages {
            agentview: image(),
            wrist: image(),
        }
    }

    #[test]
    fn images_are_replaced() {
        let seen = |check: SanityCheck| {
            let mut first = None;
            [5, 6, 7].map(|value| {
                let mut images = images(value);
                check.replace_images(&mut images, &mut first);
                assert_eq!(images.agentview.rgb, images.wrist.rgb);
                images.agentview.rgb[0]
            })
        };
        assert_eq!(seen(SanityCheck::Blackout), [0, 0, 0]);
        assert_eq!(seen(SanityCheck::Freeze), [5, 5, 5]);
        assert_eq!(seen(SanityCheck::Instruction), [5, 6, 7]);
    }

    #[test]
    fn the_instruction_is_that_of_another_task() {
        let words = ["a", "a", "b"].map(str::to_owned);
        let given =
            |task: usize, check: SanityCheck| check.replace_instruction(&words, task, &words[task]);
        let other = SanityCheck::Instruction;
        let found = [0, 1, 2].map(|task| given(task, other).expect("words"));
        assert_eq!(found, ["b", "b", "a"]);
        assert_eq!(given(0, SanityCheck::Freeze).expect("words"), "a");
        let alone = other.replace_instruction(&words[..2], 0, "a");
        assert!(alone.is_err());
    }
}
