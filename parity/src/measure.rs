//! Measurements: one module per quantity; rows hold errors, not targets.

pub(crate) mod contact_cases;
pub(crate) mod contacts;
mod context;
pub(crate) mod images;
pub(crate) mod inertia;
pub(crate) mod osc;
pub(crate) mod predicates;
pub(crate) mod replay;
mod replay_phase;
pub(crate) mod settle;
mod ssim;
pub(crate) mod torques;

pub(crate) use context::MeasureContext;
pub(crate) use replay_phase::ReplayPhase;

/// Rows of a quantity.
pub(crate) struct Measured<T> {
    /// One per recorded item, in a fixed order.
    pub rows: Vec<T>,
    /// Items that were left out, and conditions.
    pub notes: Vec<String>,
}
