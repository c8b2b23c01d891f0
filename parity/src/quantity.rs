//! Quantities that are compared.

use std::fmt;
use std::str::FromStr;

/// A quantity that is compared, with its own measurement and section of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quantity {
    /// Responses of operational-space control.
    Osc,
    /// Joint torques at the same state and goal.
    Torques,
    /// Poses of objects after settling.
    Settle,
    /// Truth values of predicates on recorded states.
    Predicates,
    /// Open-loop replay of recorded actions.
    Replay,
    /// Mass, centre of mass, inertia.
    Inertia,
    /// Bowls on ramekin, plate and stove, rim pinch, drawer handles.
    Contacts,
    /// Structural similarity of camera images.
    Images,
}

impl Quantity {
    /// All quantities in the order of the report.
    pub const ALL: [Quantity; 8] = [
        Quantity::Osc,
        Quantity::Torques,
        Quantity::Settle,
        Quantity::Predicates,
        Quantity::Replay,
        Quantity::Inertia,
        Quantity::Contacts,
        Quantity::Images,
    ];

    /// Returns the name that the command line and the report use.
    pub fn name(self) -> &'static str {
        match self {
            Quantity::Osc => "osc",
            Quantity::Torques => "torques",
            Quantity::Settle => "settle",
            Quantity::Predicates => "predicates",
            Quantity::Replay => "replay",
            Quantity::Inertia => "inertia",
            Quantity::Contacts => "contacts",
            Quantity::Images => "images",
        }
    }

    /// Returns a one-line description.
    pub fn description(self) -> &'static str {
        match self {
            Quantity::Osc => "Operational-space responses",
            Quantity::Torques => "Joint torques at the same state",
            Quantity::Settle => "Poses of objects after settling",
            Quantity::Predicates => "Truth of predicates on recorded states",
            Quantity::Replay => "Recorded actions played again",
            Quantity::Inertia => "Mass, centre of mass, inertia",
            Quantity::Contacts => "Contacts of bowls, gripper and drawers",
            Quantity::Images => "Structural similarity of camera images",
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Quantity {
    type Err = String;

    fn from_str(name: &str) -> Result<Quantity, String> {
        let known = Quantity::ALL.iter().find(|q| q.name() == name);
        known.copied().ok_or_else(|| {
            let known = Quantity::ALL.map(Quantity::name).join(", ");
            format!("there is no quantity `{name}`, expected one of: {known}")
        })
    }
}
