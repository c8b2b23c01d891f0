//! Declared interfaces: what one side sends and the other takes. vla-evaluation-harness names components (position, rotation,
//! gripper, images, state) with their number of dimensions and their convention; beside them this crate sends facts in words (frame,
//! units, order of quaternions, polarity of the gripper, orientation of images, crop, statistics). They are compared before the
//! first episode.

use crate::value::{describe, field, map, text};
use rmpv::Value;
use std::collections::{BTreeMap, BTreeSet};

/// One component of an action or an observation.
#[derive(Debug, Clone, PartialEq)]
pub struct Component {
    /// Number of dimensions; 0 for images and words.
    pub dims: u64,
    /// Convention, for example `delta_xyz`, `axis_angle` or `binary_close_positive`.
    pub format: String,
    /// Least and largest value; `None` for no bounds.
    pub range: Option<[f64; 2]>,
    /// Conventions that the receiving side takes; empty for its own only.
    pub accepts: BTreeSet<String>,
}

impl Component {
    /// A component without bounds that accepts its own convention.
    pub fn new(dims: u64, format: &str) -> Component {
        Component {
            dims,
            format: format.to_owned(),
            range: None,
            accepts: BTreeSet::new(),
        }
    }

    /// The same with bounds.
    #[must_use]
    pub fn within(mut self, low: f64, high: f64) -> Component {
        self.range = Some([low, high]);
        self
    }

    /// Difference between what is sent (`self`) and what is taken, in words.
    fn differs(&self, taken: &Component) -> Option<String> {
        let known = taken.format == self.format || taken.accepts.contains(&self.format);
        // `raw` is declared by those who do not say.
        if !known && self.format != "raw" && taken.format != "raw" {
            return Some(format!(
                "convention {} against {}",
                self.format, taken.format
            ));
        }
        if self.dims != taken.dims && self.dims > 0 && taken.dims > 0 {
            return Some(format!("{} dimensions against {}", self.dims, taken.dims));
        }
        None
    }

    fn to_value(&self, name: &str) -> Value {
        let mut entries = vec![
            ("name", name.into()),
            ("dims", self.dims.into()),
            ("format", self.format.as_str().into()),
        ];
        if let Some([low, high]) = self.range {
            entries.push(("range", Value::Array(vec![low.into(), high.into()])));
        }
        if !self.accepts.is_empty() {
            let accepts = self.accepts.iter().map(|a| a.as_str().into());
            entries.push(("accepts", Value::Array(accepts.collect())));
        }
        map(entries)
    }

    fn from_value(value: &Value) -> Result<Component, String> {
        let format = field(value, "format").and_then(text);
        let range = field(value, "range").and_then(Value::as_array);
        let range = range.and_then(|r| Some([r.first()?.as_f64()?, r.get(1)?.as_f64()?]));
        let accepts = field(value, "accepts").and_then(Value::as_array);
        let accepts = accepts.map_or(&[][..], Vec::as_slice);
        Ok(Component {
            dims: field(value, "dims").and_then(Value::as_u64).unwrap_or(0),
            format: format
                .ok_or_else(|| format!("found {}, expected a map with `format`", describe(value)))?
                .to_owned(),
            range,
            accepts: accepts.iter().filter_map(text).map(str::to_owned).collect(),
        })
    }
}

/// What one side declares.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Interface {
    /// Components of an action.
    pub action: BTreeMap<String, Component>,
    /// Components of an observation.
    pub observation: BTreeMap<String, Component>,
    /// Facts in words by name.
    pub facts: BTreeMap<String, String>,
}

impl Interface {
    /// Differences between a server (`self`) and a client, in words: components of which both sides declare another convention, components
    /// of an observation that the server takes and the client does not send, and facts of which both sides declare another.
    pub fn differences(&self, client: &Interface) -> Vec<String> {
        let mut found = Vec::new();
        for (name, sent) in &self.action {
            let taken = client.action.get(name);
            let differs = taken.and_then(|taken| sent.differs(taken));
            found.extend(differs.map(|what| format!("action {name}: {what}")));
        }
        if !client.observation.is_empty() {
            for (name, taken) in &self.observation {
                let differs = match client.observation.get(name) {
                    None => Some("the server takes it, the client does not send it".to_owned()),
                    Some(sent) => sent.differs(taken),
                };
                found.extend(differs.map(|what| format!("observation {name}: {what}")));
            }
        }
        for (name, ours) in &self.facts {
            if let Some(theirs) = client.facts.get(name).filter(|theirs| *theirs != ours) {
                found.push(format!("{name}: {ours} against {theirs}"));
            }
        }
        found
    }

    /// Entries of a hello or of metadata.
    pub(crate) fn entries(&self) -> Vec<(&'static str, Value)> {
        let components = |of: &BTreeMap<String, Component>| {
            map(of
                .iter()
                .map(|(name, part)| (name.as_str(), part.to_value(name))))
        };
        let facts = self.facts.iter();
        let facts = map(facts.map(|(name, words)| (name.as_str(), words.as_str().into())));
        vec![
            ("action_spec", components(&self.action)),
            ("observation_spec", components(&self.observation)),
            ("interface", facts),
        ]
    }

    /// Reads what a hello or metadata declare; nothing of it has to be there.
    ///
    /// # Errors
    /// In words, with the place, if something is there and malformed.
    pub(crate) fn from_entries(value: &Value) -> Result<Interface, String> {
        let components = |name: &str| {
            let mut found = BTreeMap::new();
            let declared = field(value, name).and_then(Value::as_map);
            for (key, part) in declared.map_or(&[][..], Vec::as_slice) {
                let key = text(key).unwrap_or_default();
                let component = Component::from_value(part);
                let component = component.map_err(|what| format!("{name}.{key}: {what}"))?;
                found.insert(key.to_owned(), component);
            }
            Ok::<_, String>(found)
        };
        let facts = field(value, "interface").and_then(Value::as_map);
        let facts = facts.map_or(&[][..], Vec::as_slice).iter();
        let facts = facts
            .filter_map(|(name, words)| Some((text(name)?.to_owned(), text(words)?.to_owned())));
        Ok(Interface {
            action: components("action_spec")?,
            observation: components("observation_spec")?,
            facts: facts.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    //! Guarantee: declared interfaces survive the wire, and a field that differs is named.
    use super::*;

    fn interface() -> Interface {
        Interface {
            action: BTreeMap::from([
                (
                    "position".to_owned(),
                    Component::new(3, "delta_xyz").within(-1.0, 1.0),
                ),
                (
                    "gripper".to_owned(),
                    Component::new(1, "binary_close_positive"),
                ),
            ]),
            observation: BTreeMap::from([
                (
                    "state".to_owned(),
                    Component::new(8, "eef_pos3_axisangle3_gripper2"),
                ),
                ("agentview".to_owned(), Component::new(0, "rgb_hwc_uint8")),
            ]),
            facts: BTreeMap::from([("quaternion".to_owned(), "xyzw".to_owned())]),
        }
    }

    #[test]
    fn interfaces_survive_the_wire() {
        let value = map(interface().entries());
        assert_eq!(Interface::from_entries(&value).unwrap(), interface());
        assert_eq!(
            Interface::from_entries(&Value::Nil).unwrap(),
            Interface::default()
        );
        let odd = map([("action_spec", map([("position", Value::from(1))]))]);
        let error = Interface::from_entries(&odd).unwrap_err();
        assert!(error.contains("action_spec.position: found 1"), "{error}");
    }

    #[test]
    fn differences_are_named() {
        assert!(interface().differences(&interface()).is_empty());
        let mut client = interface();
        client
            .action
            .insert("gripper".into(), Component::new(1, "binary_close_negative"));
        client.observation.remove("state");
        client.facts.insert("quaternion".into(), "wxyz".into());
        let found = interface().differences(&client);
        assert_eq!(
            found,
            [
                "action gripper: convention binary_close_positive against binary_close_negative",
                "observation state: the server takes it, the client does not send it",
                "quaternion: xyzw against wxyz",
            ]
        );
        // A client that takes several conventions, and one that says nothing.
        let mut taken = Component::new(1, "binary_close_negative");
        taken.accepts.insert("binary_close_positive".into());
        client.action.insert("gripper".into(), taken);
        assert_eq!(interface().differences(&client).len(), 2);
        assert!(interface().differences(&Interface::default()).is_empty());
    }
}
