//! Metrics of a comparison with a reference: the measured value, its target and whether it is met, as a table. The module
//! does not depend on the quantity that is compared.

use crate::{TERMINAL_COLUMNS, TextTable, format_number, format_value, wrap};
use serde::{Deserialize, Serialize};

/// Bound that a metric is to keep.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Upper bound, inclusive.
    AtMost(f64),
    /// Lower bound, inclusive.
    AtLeast(f64),
}

impl Target {
    /// Returns true if a value keeps the bound; NaN never does.
    pub fn is_met(self, value: f64) -> bool {
        match self {
            Target::AtMost(most) => value <= most,
            Target::AtLeast(least) => value >= least,
        }
    }
}

/// One measured metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Part of the comparison that it belongs to.
    pub section: String,
    /// Name within the section.
    pub name: String,
    /// Value in `unit`; `None` where there was nothing to measure, NaN (`null` in JSON) where a measured value is NaN.
    pub value: Option<f64>,
    /// Unit of value and target, for example `mm` or `%`.
    pub unit: String,
    /// Bound to keep; `None` for a metric that is only reported.
    pub target: Option<Target>,
    /// Data that it was measured over.
    pub over: String,
}

/// Outcome of a metric with a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetOutcome {
    /// The value keeps the bound.
    Met,
    /// The value is outside the bound, or NaN.
    Missed,
    /// There is no value.
    NotMeasured,
}

impl Metric {
    /// Returns the outcome; `None` for a metric without a target.
    pub fn outcome(&self) -> Option<TargetOutcome> {
        let target = self.target?;
        Some(match self.value {
            None => TargetOutcome::NotMeasured,
            Some(value) if target.is_met(value) => TargetOutcome::Met,
            Some(_) => TargetOutcome::Missed,
        })
    }

    /// Returns a sentence about a target that is missed or was not measured; `None` where it is met or there is none.
    pub fn failure(&self) -> Option<String> {
        let verdict = match self.outcome()? {
            TargetOutcome::Met => return None,
            TargetOutcome::Missed => "missed",
            TargetOutcome::NotMeasured => "not measured",
        };
        let (value, unit) = (format_value(self.value, &self.unit), &self.unit);
        Some(format!(
            "{verdict}: {}: {}: {value} {unit}, target {}",
            self.section,
            self.name,
            self.target_text()
        ))
    }

    fn target_text(&self) -> String {
        match self.target {
            Some(Target::AtMost(t)) => format!("at most {}", format_number(t)),
            Some(Target::AtLeast(t)) => format!("at least {}", format_number(t)),
            None => "-".to_owned(),
        }
    }
}

/// Columns by which the metrics of a section are indented.
const INDENT: usize = 2;

/// Returns tables of metrics with their targets and outcomes, one per section and [`TERMINAL_COLUMNS`] wide at most. Below
/// the metrics that share it stands the data that they were measured over.
pub fn metrics_table(metrics: &[Metric]) -> String {
    let mut out = String::new();
    for section in metrics.chunk_by(|a, b| a.section == b.section) {
        out.push_str(&section[0].section);
        out.push('\n');
        let mut table = TextTable::new(&["figure", "value", "target", ""]);
        for m in section {
            let outcome = match m.outcome() {
                Some(TargetOutcome::Met) => "met",
                Some(TargetOutcome::Missed) => "MISSED",
                Some(TargetOutcome::NotMeasured) => "NOT MEASURED",
                None => "",
            };
            let value = format!("{} {}", format_value(m.value, &m.unit), m.unit);
            let value = value.trim_end().to_owned();
            table.push([m.name.clone(), value, m.target_text(), outcome.to_owned()]);
        }
        let text = table.text_within(TERMINAL_COLUMNS - INDENT);
        for line in text.lines() {
            out.push_str(format!("{:INDENT$}{line}", "").trim_end());
            out.push('\n');
        }
        for same in section.chunk_by(|a, b| a.over == b.over) {
            let last = same.last().map_or("", |m| m.name.as_str());
            let whole = same.len() == section.len();
            let over = match whole {
                true => format!("over {}", same[0].over),
                false => format!("up to `{last}` over {}", same[0].over),
            };
            for line in wrap(&over, TERMINAL_COLUMNS - 2 * INDENT) {
                out.push_str(&format!("{:1$}{line}\n", "", 2 * INDENT));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    //! Guarantee: a bound is kept at its end, a metric without a value is not measured, and NaN misses its target.
    use super::*;

    #[test]
    fn a_target_is_met_at_its_bound_and_never_by_nan() {
        assert!(Target::AtMost(1.0).is_met(1.0) && !Target::AtMost(1.0).is_met(1.1));
        assert!(Target::AtLeast(80.0).is_met(80.0) && !Target::AtLeast(80.0).is_met(79.9));
        assert!(!Target::AtLeast(0.0).is_met(f64::NAN) && !Target::AtMost(0.0).is_met(f64::NAN));
    }

    #[test]
    fn what_was_not_measured_is_not_met() {
        let metric = |value, target| Metric {
            section: "a".to_owned(),
            name: "b".to_owned(),
            value,
            unit: "%".to_owned(),
            target,
            over: "c".to_owned(),
        };
        let bound = Some(Target::AtMost(1.0));
        for (value, outcome, words) in [
            (
                None,
                TargetOutcome::NotMeasured,
                ["not measured", "NOT MEASURED"],
            ),
            (Some(f64::NAN), TargetOutcome::Missed, ["missed", "MISSED"]),
        ] {
            let bad = metric(value, bound);
            assert_eq!(bad.outcome(), Some(outcome));
            let failure = bad.failure().unwrap_or_default();
            assert!(
                failure.starts_with(&format!("{}: a: b", words[0])),
                "{failure}"
            );
            assert!(metrics_table(&[bad]).contains(words[1]));
        }
        assert_eq!(metric(Some(0.5), bound).failure(), None);
        assert_eq!(metric(None, None).outcome(), None);
    }

    #[test]
    fn a_rate_below_one_is_not_100_percent_in_the_table() {
        let metric = Metric {
            section: "predicates".to_owned(),
            name: "agreement".to_owned(),
            value: Some(100.0 * 20_406.0 / 20_407.0),
            unit: "%".to_owned(),
            target: Some(Target::AtLeast(100.0)),
            over: "20407 truth values".to_owned(),
        };
        let table = metrics_table(&[metric]);
        assert!(
            table.contains("99.995") && table.contains("MISSED"),
            "{table}"
        );
    }
}
