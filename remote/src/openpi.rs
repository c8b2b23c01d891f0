//! Messages of openpi's protocol, with the keys of its LIBERO clients: `observation/image`, `observation/wrist_image`,
//! `observation/state`, `prompt`; the reply has `actions` `[chunk, 7]` and `server_timing`.

use crate::array::Array;
use crate::value::{describe, field, map, text};
use crate::{Interface, Observation, Protocol, RemoteError};
use rmpv::Value;

const IMAGE: &str = "observation/image";
const WRIST: &str = "observation/wrist_image";
const STATE: &str = "observation/state";
const PROMPT: &str = "prompt";

pub(crate) fn observation_to_value(observation: &Observation) -> Value {
    let array = |array: Array| array.to_value(Protocol::OpenPi);
    let mut entries = vec![(IMAGE, array(Array::of_image(&observation.agentview)))];
    if let Some(wrist) = &observation.wrist {
        entries.push((WRIST, array(Array::of_image(wrist))));
    }
    if let Some(state) = &observation.state {
        entries.push((STATE, array(Array::of_f64(&[8], state))));
    }
    entries.push((PROMPT, observation.instruction.as_str().into()));
    map(entries)
}

pub(crate) fn observation_from_value(value: &Value) -> Result<Observation, RemoteError> {
    let fail = |key: &str, what: String| RemoteError::message(format!("observation, {key}"), what);
    if value.as_map().is_none() {
        return Err(RemoteError::message(
            "observation",
            format!("found {}, expected a map", describe(value)),
        ));
    }
    let image = |key: &str| match field(value, key) {
        None => Ok(None),
        Some(found) => {
            let array = Array::from_value(found, &format!("observation, {key}"))?;
            array.image().map(Some).map_err(|what| fail(key, what))
        }
    };
    let prompt = field(value, PROMPT).and_then(text);
    Ok(Observation {
        agentview: image(IMAGE)?.ok_or_else(|| fail(IMAGE, "missing".into()))?,
        wrist: image(WRIST)?,
        state: match field(value, STATE) {
            None => None,
            Some(found) => Some(state(found, &format!("observation, {STATE}"))?),
        },
        instruction: prompt
            .ok_or_else(|| fail(PROMPT, "missing, or no text".into()))?
            .to_owned(),
    })
}

/// Eight finite numbers.
pub(crate) fn state(value: &Value, place: &str) -> Result<[f64; 8], RemoteError> {
    let array = Array::from_value(value, place)?;
    let numbers = array.numbers();
    let found: Option<[f64; 8]> = numbers.try_into().ok();
    found
        .filter(|state| state.iter().all(|x| x.is_finite()))
        .ok_or_else(|| {
            let what = format!("found {:?}, expected eight finite numbers", array.shape());
            RemoteError::message(place, what)
        })
}

/// A reply of a server.
pub(crate) fn reply_to_value(
    actions: &[[f64; 7]],
    infer_ms: f64,
    prev_total_ms: Option<f64>,
) -> Value {
    let numbers: Vec<f64> = actions.iter().flatten().copied().collect();
    let array = Array::of_f64(&[actions.len(), 7], &numbers);
    let mut timing = vec![("infer_ms", Value::from(infer_ms))];
    timing.extend(prev_total_ms.map(|ms| ("prev_total_ms", ms.into())));
    map([
        ("actions", array.to_value(Protocol::OpenPi)),
        ("server_timing", map(timing)),
    ])
}

/// Actions of a reply, and the time that the server took, ms.
pub(crate) fn reply_from_value(value: &Value) -> Result<(Vec<[f64; 7]>, Option<f64>), RemoteError> {
    let actions = field(value, "actions").ok_or_else(|| {
        let what = format!("found {} without it", describe(value));
        RemoteError::message("reply, actions", what)
    })?;
    let timing = field(value, "server_timing");
    let ms = timing.and_then(|timing| field(timing, "infer_ms"));
    let ms = ms
        .and_then(Value::as_f64)
        .filter(|ms| ms.is_finite() && *ms >= 0.0);
    Ok((actions_of(actions, "reply, actions")?, ms))
}

/// Most actions of a reply.
const MAX_ACTIONS: usize = 1000;

/// Rows of seven finite numbers; a single action is a row.
pub(crate) fn actions_of(value: &Value, place: &str) -> Result<Vec<[f64; 7]>, RemoteError> {
    let array = Array::from_value(value, place)?;
    let fail = |what: String| RemoteError::message(place, what);
    let rows = match array.shape() {
        [7] => 1,
        [rows @ 1..=MAX_ACTIONS, 7] => *rows,
        other => {
            return Err(fail(format!(
                "found the shape {other:?}, expected [7] or [n, 7] with n from 1 to {MAX_ACTIONS}"
            )));
        }
    };
    let numbers = array.numbers();
    if let Some(at) = numbers.iter().position(|x| !x.is_finite()) {
        return Err(fail(format!(
            "found {} in row {}, column {}, expected finite numbers",
            numbers[at],
            at / 7,
            at % 7
        )));
    }
    let (found, _) = numbers.as_chunks::<7>();
    debug_assert_eq!(found.len(), rows);
    Ok(found.to_vec())
}

/// Metadata that the server sends first.
pub(crate) fn metadata(interface: &Interface) -> Value {
    map(interface.entries())
}
