//! Messages of a query as bytes, without a connection: for recorded frames, other transports and tests.

use crate::openpi::{actions_of, observation_to_value, reply_from_value, reply_to_value};
use crate::value::{decode, describe, encode, field};
use crate::vla_eval::{self, Kind, Message};
use crate::{Observation, Protocol, RemoteError, openpi};

impl Protocol {
    /// The message of an observation; `seq` numbers it where the protocol has numbers.
    pub fn encode_observation(self, observation: &Observation, seq: u64) -> Vec<u8> {
        match self {
            Protocol::OpenPi => encode(&observation_to_value(observation)),
            Protocol::VlaEval => Message {
                kind: Kind::Observation,
                payload: vla_eval::observation_to_value(observation),
                seq,
            }
            .to_bytes(),
        }
    }

    /// Reads the message of an observation, as a server does.
    ///
    /// # Errors
    /// [`RemoteError::Message`] with the field.
    pub fn decode_observation(self, bytes: &[u8]) -> Result<Observation, RemoteError> {
        match self {
            Protocol::OpenPi => openpi::observation_from_value(&decode(bytes, "observation")?),
            Protocol::VlaEval => {
                let message = Message::from_bytes(bytes)?;
                expect(Kind::Observation, message.kind)?;
                vla_eval::observation_from_value(&message.payload)
            }
        }
    }

    /// The message of an answer: all actions for openpi, the first for vla-evaluation-harness.
    pub fn encode_answer(self, actions: &[[f64; 7]], seq: u64) -> Vec<u8> {
        match self {
            Protocol::OpenPi => encode(&reply_to_value(actions, 0.0, None)),
            Protocol::VlaEval => Message {
                kind: Kind::Action,
                payload: vla_eval::action(actions.first().unwrap_or(&[0.0; 7])),
                seq,
            }
            .to_bytes(),
        }
    }

    /// Reads the message of an answer, as a client does.
    ///
    /// # Errors
    /// [`RemoteError::Message`] with the field.
    pub fn decode_answer(self, bytes: &[u8]) -> Result<Vec<[f64; 7]>, RemoteError> {
        match self {
            Protocol::OpenPi => Ok(reply_from_value(&decode(bytes, "reply")?)?.0),
            Protocol::VlaEval => {
                let message = Message::from_bytes(bytes)?;
                expect(Kind::Action, message.kind)?;
                actions_of_message(&message)
            }
        }
    }
}

/// Actions of an `action` message, whose field is called `actions` or `action`.
pub(crate) fn actions_of_message(message: &Message) -> Result<Vec<[f64; 7]>, RemoteError> {
    let payload = &message.payload;
    let actions = field(payload, "actions").or_else(|| field(payload, "action"));
    let actions = actions.ok_or_else(|| {
        let what = format!("found {} without it", describe(payload));
        RemoteError::message("action, actions", what)
    })?;
    actions_of(actions, "action, actions")
}

fn expect(expected: Kind, found: Kind) -> Result<(), RemoteError> {
    match found == expected {
        true => Ok(()),
        false => {
            let what = format!("found `{}`, expected `{}`", found.name(), expected.name());
            Err(RemoteError::message("message, type", what))
        }
    }
}
