//! Reports: one module per quantity turns its rows into metrics with targets, tables and charts.

mod section;

pub(crate) mod contacts;
pub(crate) mod images;
pub(crate) mod inertia;
pub(crate) mod osc;
pub(crate) mod predicates;
pub(crate) mod replay;
pub(crate) mod settle;
pub(crate) mod torques;

pub(crate) use section::{MetricList, NamedChart, Section};
