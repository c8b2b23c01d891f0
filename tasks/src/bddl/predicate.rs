//! Names and arities of the predicates. Their definitions are in [`crate::predicates`].

/// A predicate of the goal or of `:init`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Predicate {
    /// Resting on an object, a surface of a fixture or a region of the table.
    On,
    /// Inside a region of an object or fixture.
    In,
    /// Some joint is open.
    Open,
    /// All joints are closed.
    Close,
    /// Some joint is on.
    TurnOn,
    /// All joints are off.
    TurnOff,
}

impl Predicate {
    /// All predicates.
    pub const ALL: [Predicate; 6] = [
        Predicate::On,
        Predicate::In,
        Predicate::Open,
        Predicate::Close,
        Predicate::TurnOn,
        Predicate::TurnOff,
    ];

    /// Name in BDDL files, which is compared without regard to case.
    pub fn name(self) -> &'static str {
        match self {
            Predicate::On => "On",
            Predicate::In => "In",
            Predicate::Open => "Open",
            Predicate::Close => "Close",
            Predicate::TurnOn => "TurnOn",
            Predicate::TurnOff => "TurnOff",
        }
    }

    /// Number of arguments.
    pub fn arity(self) -> usize {
        match self {
            Predicate::On | Predicate::In => 2,
            Predicate::Open | Predicate::Close | Predicate::TurnOn | Predicate::TurnOff => 1,
        }
    }

    /// The predicate of a name; `None` if there is none.
    pub fn from_name(name: &str) -> Option<Predicate> {
        (Predicate::ALL.into_iter()).find(|p| p.name().eq_ignore_ascii_case(name))
    }
}
