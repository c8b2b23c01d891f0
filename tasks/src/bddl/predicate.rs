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
    /// At least a metre above the floor.
    Up,
    /// Touching. LIBERO defines it but does not register it.
    InContact,
    /// Inside a region and above its centre. LIBERO defines it but does not register it.
    Stack,
    /// Always.
    True,
    /// Never.
    False,
    /// Always; LIBERO prints the joint positions for debugging, this program prints nothing.
    PrintJointState,
}

impl Predicate {
    /// All predicates.
    pub const ALL: [Predicate; 12] = [
        Predicate::On,
        Predicate::In,
        Predicate::Open,
        Predicate::Close,
        Predicate::TurnOn,
        Predicate::TurnOff,
        Predicate::Up,
        Predicate::InContact,
        Predicate::Stack,
        Predicate::True,
        Predicate::False,
        Predicate::PrintJointState,
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
            Predicate::Up => "Up",
            Predicate::InContact => "InContact",
            Predicate::Stack => "Stack",
            Predicate::True => "True",
            Predicate::False => "False",
            Predicate::PrintJointState => "PrintJointState",
        }
    }

    /// Number of arguments.
    pub fn arity(self) -> usize {
        match self {
            Predicate::On | Predicate::In | Predicate::InContact | Predicate::Stack => 2,
            _ => 1,
        }
    }

    /// Returns true for the predicates of joint positions: in `:init` they set joints.
    pub fn is_of_joints(self) -> bool {
        matches!(
            self,
            Predicate::Open | Predicate::Close | Predicate::TurnOn | Predicate::TurnOff
        )
    }

    /// Returns true for the predicates that place an object or fixture where they stand in `:init`.
    pub fn is_placement(self) -> bool {
        matches!(self, Predicate::On | Predicate::In)
    }

    /// The predicate of a name; `None` if there is none.
    pub fn from_name(name: &str) -> Option<Predicate> {
        (Predicate::ALL.into_iter()).find(|p| p.name().eq_ignore_ascii_case(name))
    }
}
