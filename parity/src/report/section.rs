//! Section of the report: the metrics, tables and charts of one quantity.

use crate::Quantity;
use bitvla_reports::{Chart, Metric, Target, TextTable};

/// Section of the report about one quantity.
pub(crate) struct Section {
    pub metrics: Vec<Metric>,
    /// Name of the CSV file, table.
    pub tables: Vec<(&'static str, TextTable)>,
    pub charts: Vec<NamedChart>,
    pub notes: Vec<String>,
}

/// Chart with its file name and heading.
pub(crate) struct NamedChart {
    pub name: &'static str,
    pub title: &'static str,
    pub subtitle: &'static str,
    pub chart: Chart,
}

/// Metrics of one quantity, in order. A value is `None` where nothing was measured, and NaN where a measured value is.
pub(crate) struct MetricList {
    quantity: Quantity,
    metrics: Vec<Metric>,
}

impl MetricList {
    /// Starts an empty list.
    pub fn new(quantity: Quantity) -> MetricList {
        MetricList {
            quantity,
            metrics: Vec::new(),
        }
    }

    fn push(
        &mut self,
        name: &str,
        (value, unit): (Option<f64>, &str),
        target: Option<Target>,
        over: &str,
    ) {
        self.metrics.push(Metric {
            section: self.quantity.name().to_owned(),
            name: name.to_owned(),
            value,
            unit: unit.to_owned(),
            target,
            over: over.to_owned(),
        });
    }

    /// Adds a metric without a target.
    pub fn report(&mut self, name: &str, value: (Option<f64>, &str), over: &str) {
        self.push(name, value, None, over);
    }

    /// Adds a metric that is to be at most `bound`.
    pub fn at_most(&mut self, name: &str, value: (Option<f64>, &str), bound: f64, over: &str) {
        self.push(name, value, Some(Target::AtMost(bound)), over);
    }

    /// Adds a metric that is to be at least `bound`.
    pub fn at_least(&mut self, name: &str, value: (Option<f64>, &str), bound: f64, over: &str) {
        self.push(name, value, Some(Target::AtLeast(bound)), over);
    }

    /// Returns the metrics.
    pub fn finish(self) -> Vec<Metric> {
        self.metrics
    }
}
