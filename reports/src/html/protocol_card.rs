//! The protocol card: every field of the protocols, those that differ between policies first.

use crate::{Report, printable};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Fields under one title.
#[derive(Serialize)]
pub(super) struct FieldGroup {
    title: &'static str,
    /// True if the group is shown without a click.
    open: bool,
    fields: Vec<FieldView>,
}

/// A field with its values.
#[derive(Serialize)]
struct FieldView {
    name: String,
    /// Distinct values, each with the runs that have it; no runs where all agree.
    values: Vec<ValueView>,
}

#[derive(Serialize)]
struct ValueView {
    value: String,
    of: String,
}

/// Protocol of a run: policy, suite, fields with dots between the names of groups and parts.
struct Card {
    label: String,
    suite: String,
    fields: BTreeMap<String, String>,
}

/// Titles of the groups, in their order.
const GROUPS: [(&str, bool); 4] = [
    ("Differs between policies", true),
    ("Differs between suites", true),
    ("The same in every run", true),
    ("Simulated world", false),
];

/// Returns the groups that have fields.
pub(super) fn protocol_card(report: &Report) -> Vec<FieldGroup> {
    let mut cards = Vec::new();
    for policy in report.comparison.policies() {
        for (suite, run) in &policy.runs {
            let protocol = serde_json::to_value(&run.manifest.protocol).unwrap_or_default();
            let mut fields = BTreeMap::new();
            flatten(&mut fields, "", &protocol);
            let machine = &run.manifest.machine;
            let machine = [
                machine.processor.clone(),
                format!("{} logical cores", machine.cores),
                machine.features.join(", "),
                machine.system.clone(),
            ];
            fields.insert("machine".to_owned(), machine.join("; "));
            let program = run.manifest.machine.binary_sha256.clone();
            fields.insert("program".to_owned(), program);
            cards.push(Card {
                label: policy.label.clone(),
                suite: suite.clone(),
                fields,
            });
        }
    }
    let names: BTreeSet<&String> = cards.iter().flat_map(|card| card.fields.keys()).collect();
    let mut groups = GROUPS.map(|(title, open)| FieldGroup {
        title,
        open,
        fields: Vec::new(),
    });
    for name in names {
        let (group, field) = field_view(&cards, name);
        groups[group].fields.push(field);
    }
    groups
        .into_iter()
        .filter(|group| !group.fields.is_empty())
        .collect()
}

/// A field and the index of its group.
fn field_view(cards: &[Card], name: &str) -> (usize, FieldView) {
    let value = |card: &Card| {
        let found = card.fields.get(name);
        found.map_or("none", String::as_str).to_owned()
    };
    let mut distinct: Vec<(String, Vec<&Card>)> = Vec::new();
    for card in cards {
        let value = value(card);
        match distinct.iter_mut().find(|(known, _)| *known == value) {
            Some((_, of)) => of.push(card),
            None => distinct.push((value, vec![card])),
        }
    }
    // A part of one kind names all runs of a value.
    let whole = |part: fn(&Card) -> &String| {
        let values = |of: &String| {
            let cards = cards.iter().filter(|card| part(card) == of);
            cards.map(value).collect::<BTreeSet<String>>().len()
        };
        cards.iter().all(|card| values(part(card)) == 1)
    };
    let (by_policy, by_suite) = (whole(|card| &card.label), whole(|card| &card.suite));
    let of = |cards: &[&Card]| match () {
        () if distinct.len() == 1 => String::new(),
        () if by_policy => unique(cards.iter().map(|card| card.label.clone())),
        () if by_suite => unique(cards.iter().map(|card| card.suite.clone())),
        () => unique(cards.iter().map(|c| format!("{} in {}", c.label, c.suite))),
    };
    let values = distinct.iter().map(|(value, cards)| ValueView {
        value: printable(value).into_owned(),
        of: printable(&of(cards)).into_owned(),
    });
    let group = match () {
        () if distinct.len() > 1 && !by_suite => 0,
        () if distinct.len() > 1 => 1,
        () if name.starts_with("simulation.") => 3,
        () => 2,
    };
    let field = FieldView {
        name: printable(name).into_owned(),
        values: values.collect(),
    };
    (group, field)
}

fn unique(names: impl Iterator<Item = String>) -> String {
    let mut found: Vec<String> = Vec::new();
    for name in names {
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found.join(", ")
}

/// Adds a value under its name, parts of an object one by one.
fn flatten(fields: &mut BTreeMap<String, String>, name: &str, value: &Value) {
    match value {
        Value::Object(parts) if !parts.is_empty() => {
            for (part, value) in parts {
                let name = match name {
                    "" => part.clone(),
                    name => format!("{name}.{part}"),
                };
                flatten(fields, &name, value);
            }
        }
        other => {
            fields.insert(name.to_owned(), text(other));
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Null => "none".to_owned(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Object(_) => "none".to_owned(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(text).collect();
            items.join(", ")
        }
        number => number.to_string(),
    }
}
