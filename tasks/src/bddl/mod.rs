//! BDDL, the task language of LIBERO: what is on the table, where, and what is to be achieved
//! (fact sheet sections 6 and 7).
//!
//! [`Problem::parse`] checks names as well as syntax: an unknown section, predicate, object or region
//! is an error that says file, line and column. Names are compared in lower case.

mod parse;
pub mod sexpr;

pub use sexpr::Place;

/// What is wrong in a BDDL text, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{}:{}: {message}", place.line, place.column)]
pub struct BddlError {
    /// Name of the text, usually a path.
    pub file: String,
    /// Where in it.
    pub place: Place,
    /// What was found and what was expected.
    pub message: String,
}

impl BddlError {
    pub(crate) fn new(file: &str, place: Place, message: impl Into<String>) -> Self {
        BddlError {
            file: file.to_owned(),
            place,
            message: message.into(),
        }
    }
}

/// A predicate of the goal or of the initial facts.
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
    /// The predicate of a name, whatever its case.
    pub fn from_name(name: &str) -> Option<Predicate> {
        Some(match name.to_ascii_lowercase().as_str() {
            "on" => Predicate::On,
            "in" => Predicate::In,
            "open" => Predicate::Open,
            "close" => Predicate::Close,
            "turnon" => Predicate::TurnOn,
            "turnoff" => Predicate::TurnOff,
            _ => return None,
        })
    }

    /// Number of arguments.
    pub fn arity(self) -> usize {
        match self {
            Predicate::On | Predicate::In => 2,
            _ => 1,
        }
    }
}

/// A predicate with its arguments: instance names or qualified region names.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// The relation.
    pub predicate: Predicate,
    /// Names, as many as [`Predicate::arity`] says.
    pub args: Vec<String>,
    /// Where it stands in the file.
    pub place: Place,
}

/// Conjunction of facts that ends an episode with success.
#[derive(Debug, Clone, PartialEq)]
pub struct Goal {
    /// All must hold at the same instant.
    pub facts: Vec<Fact>,
}

/// An object or fixture of the scene.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thing {
    /// Instance name, for example `akita_black_bowl_1`.
    pub name: String,
    /// Category, for example `akita_black_bowl`.
    pub category: String,
}

/// A place on a support or a named box of an object or fixture.
#[derive(Debug, Clone, PartialEq)]
pub struct Region {
    /// Qualified name: target, underscore, local name.
    pub name: String,
    /// Name within the target: the site name if the target is a model.
    pub local: String,
    /// Instance that carries it.
    pub target: String,
    /// `[xmin, ymin, xmax, ymax]` relative to the workspace origin, m; empty for sites.
    pub ranges: Vec<[f64; 4]>,
    /// Range of the yaw of a fixture placed here, rad.
    pub yaw: [f64; 2],
}

/// A parsed and checked BDDL file.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// Name of the text it came from.
    pub file: String,
    /// Problem name in lower case; it decides the arena.
    pub name: String,
    /// The `:language` line.
    pub language: String,
    /// Movable objects in order.
    pub objects: Vec<Thing>,
    /// Fixtures in order, supports such as `main_table` included.
    pub fixtures: Vec<Thing>,
    /// Regions in order.
    pub regions: Vec<Region>,
    /// Regions whose target does not exist: LIBERO's own files have some. Using one is an error.
    pub dangling_regions: Vec<String>,
    /// Instances the instruction is about.
    pub obj_of_interest: Vec<String>,
    /// Initial facts.
    pub init: Vec<Fact>,
    /// What is to be achieved.
    pub goal: Goal,
}

/// Fixture categories that are part of an arena rather than models of their own.
const SUPPORTS: [&str; 7] = [
    "table",
    "kitchen_table",
    "living_room_table",
    "study_table",
    "coffee_table",
    "desk",
    "floor",
];

impl Problem {
    /// Parses and checks a text; `file` names it in errors.
    pub fn parse(file: &str, text: &str) -> Result<Problem, BddlError> {
        parse::problem(file, text)
    }

    /// Name of the arena file the problem plays in, from the problem name; `None` if unknown.
    pub fn arena(&self) -> Option<&'static str> {
        const ARENAS: [(&str, &str); 6] = [
            ("libero_kitchen", "kitchen"),
            ("libero_living_room", "living_room"),
            ("libero_study", "study"),
            ("libero_floor", "floor"),
            ("libero_coffee_table", "coffee_table"),
            ("libero_tabletop", "table"),
        ];
        ARENAS
            .iter()
            .find(|(prefix, _)| self.name.starts_with(prefix))
            .map(|(_, a)| *a)
    }

    /// Fixtures that have a model of their own, in order.
    pub fn model_fixtures(&self) -> impl Iterator<Item = &Thing> {
        self.fixtures
            .iter()
            .filter(|t| !SUPPORTS.contains(&t.category.as_str()))
    }

    /// Whether the instance is a support that belongs to the arena.
    pub fn is_support(&self, name: &str) -> bool {
        self.fixtures
            .iter()
            .any(|t| t.name == name && SUPPORTS.contains(&t.category.as_str()))
    }

    /// The region of a qualified name.
    pub fn region(&self, name: &str) -> Option<&Region> {
        self.regions.iter().find(|r| r.name == name)
    }

    /// Whether an object or fixture of this name exists.
    pub fn has_thing(&self, name: &str) -> bool {
        self.objects
            .iter()
            .chain(&self.fixtures)
            .any(|t| t.name == name)
    }
}
