//! Messages of vla-evaluation-harness: maps with `type`, `payload`, `seq` and `timestamp`. An observation has `images.agentview`,
//! `images.wrist`, `states` and `task_description`; an action has `actions`, one row of seven.

use crate::array::Array;
use crate::openpi::state;
use crate::value::{decode, describe, encode, field, map, text};
use crate::{Interface, Observation, Protocol, RemoteError};
use rmpv::Value;
use std::time::{SystemTime, UNIX_EPOCH};

/// Version of the protocol.
const PROTOCOL_VERSION: u64 = 1;

/// Kind of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Hello,
    Observation,
    Action,
    EpisodeStart,
    EpisodeEnd,
    Error,
}

impl Kind {
    const ALL: [Kind; 6] = [
        Kind::Hello,
        Kind::Observation,
        Kind::Action,
        Kind::EpisodeStart,
        Kind::EpisodeEnd,
        Kind::Error,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Hello => "hello",
            Kind::Observation => "observation",
            Kind::Action => "action",
            Kind::EpisodeStart => "episode_start",
            Kind::EpisodeEnd => "episode_end",
            Kind::Error => "error",
        }
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Message {
    pub(crate) kind: Kind,
    pub(crate) payload: Value,
    pub(crate) seq: u64,
}

impl Message {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        encode(&map([
            ("type", self.kind.name().into()),
            ("payload", self.payload.clone()),
            ("seq", self.seq.into()),
            // A clock before 1970 has nothing to say.
            ("timestamp", now.map_or(0.0, |now| now.as_secs_f64()).into()),
        ]))
    }

    /// Reads a message; all four fields have to be there.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Message, RemoteError> {
        let mut value = decode(bytes, "message")?;
        let fail = |what: String| RemoteError::message("message", what);
        let part = |name: &str| {
            let found = field(&value, name);
            found.ok_or_else(|| fail(format!("found {} without `{name}`", describe(&value))))
        };
        let name = text(part("type")?).unwrap_or_default();
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
        let kind = kind.ok_or_else(|| {
            let known = Kind::ALL.map(Kind::name).join(", ");
            fail(format!("found the type `{name}`, expected one of {known}"))
        })?;
        let seq = part("seq")?;
        let seq = seq
            .as_u64()
            .ok_or_else(|| fail(format!("seq: found {}", describe(seq))))?;
        part("timestamp")?;
        part("payload")?;
        let Value::Map(entries) = &mut value else {
            return Err(fail("no map".into()));
        };
        let payload = entries
            .iter_mut()
            .find(|(key, _)| text(key) == Some("payload"));
        let payload = payload.map_or(Value::Nil, |(_, value)| {
            std::mem::replace(value, Value::Nil)
        });
        Ok(Message { kind, payload, seq })
    }
}

/// Payload of a hello of either side.
pub(crate) fn hello(interface: &Interface, who: &'static str) -> Value {
    let mut entries = vec![
        (
            "harness_version",
            concat!("bitvla-eval ", env!("CARGO_PKG_VERSION")).into(),
        ),
        ("protocol_version", PROTOCOL_VERSION.into()),
        ("model_server", who.into()),
        ("capabilities", map([])),
    ];
    entries.extend(interface.entries());
    map(entries)
}

/// Refuses a hello of another version of the protocol.
pub(crate) fn check_hello(payload: &Value) -> Result<(), String> {
    match field(payload, "protocol_version").map(|version| (version, version.as_u64())) {
        None => Ok(()),
        Some((_, Some(PROTOCOL_VERSION))) => Ok(()),
        Some((found, _)) => Err(format!(
            "protocol version {}, this program speaks {PROTOCOL_VERSION}",
            describe(found)
        )),
    }
}

pub(crate) fn observation_to_value(observation: &Observation) -> Value {
    let array = |array: Array| array.to_value(Protocol::VlaEval);
    let mut images = vec![("agentview", array(Array::of_image(&observation.agentview)))];
    if let Some(wrist) = &observation.wrist {
        images.push(("wrist", array(Array::of_image(wrist))));
    }
    let mut entries = vec![
        ("images", map(images)),
        ("task_description", observation.instruction.as_str().into()),
    ];
    if let Some(state) = &observation.state {
        entries.push(("states", array(Array::of_f64(&[8], state))));
    }
    map(entries)
}

pub(crate) fn observation_from_value(value: &Value) -> Result<Observation, RemoteError> {
    let fail = |key: &str, what: &str| RemoteError::message(format!("observation, {key}"), what);
    let images = field(value, "images").ok_or_else(|| fail("images", "missing"))?;
    let image = |key: &str| match field(images, key) {
        None => Ok(None),
        Some(found) => {
            let place = format!("observation, images.{key}");
            let array = Array::from_value(found, &place)?;
            let image = array.image().map(Some);
            image.map_err(|what| RemoteError::message(place, what))
        }
    };
    let words = field(value, "task_description").and_then(text);
    Ok(Observation {
        agentview: image("agentview")?.ok_or_else(|| fail("images.agentview", "missing"))?,
        wrist: image("wrist")?,
        state: match field(value, "states") {
            None => None,
            Some(found) => Some(state(found, "observation, states")?),
        },
        instruction: words
            .ok_or_else(|| fail("task_description", "missing, or no text"))?
            .to_owned(),
    })
}

pub(crate) fn action(row: &[f64; 7]) -> Value {
    map([(
        "actions",
        Array::of_f64(&[7], row).to_value(Protocol::VlaEval),
    )])
}
