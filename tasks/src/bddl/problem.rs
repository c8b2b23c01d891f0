//! A parsed and checked BDDL problem.

use super::condition::{Condition, Goal};
use super::error::{BddlError, SourceLocation};
use super::predicate::Predicate;

/// A predicate with its arguments: instance names or qualified region names.
#[derive(Debug, Clone, PartialEq)]
pub struct PredicateInstance {
    /// The relation.
    pub predicate: Predicate,
    /// Names in lower case, as many as [`Predicate::arity`] says.
    pub args: Vec<String>,
    /// Location in the file.
    pub location: SourceLocation,
}

/// In words: `On(akita_black_bowl_1, plate_1)`.
impl std::fmt::Display for PredicateInstance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}({})", self.predicate, self.args.join(", "))
    }
}

/// An object or fixture of the scene.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectDecl {
    /// Instance name, for example `akita_black_bowl_1`.
    pub name: String,
    /// Category, for example `akita_black_bowl`.
    pub category: String,
}

/// An area on a support or a named box of an object or fixture.
#[derive(Debug, Clone, PartialEq)]
pub struct Region {
    /// Qualified name: target, underscore, local name.
    pub name: String,
    /// Name within the target: the site name if the target is a model.
    pub local: String,
    /// Instance that carries it.
    pub target: String,
    /// `[xmin, ymin, xmax, ymax]` relative to the workspace origin, m; empty for sites. Something is placed in one that is
    /// drawn; the region of a goal is the first.
    pub ranges: Vec<[f64; 4]>,
    /// Range of the yaw of a fixture placed here, rad.
    pub yaw: [f64; 2],
    /// Colour (red, green, blue, opacity; 0 to 1) in which LIBERO draws it; invisible by default.
    pub rgba: [f64; 4],
}

/// A parsed and checked BDDL file.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// Name of the text it came from.
    pub file: String,
    /// Problem name as written; it decides the arena.
    pub name: String,
    /// Location of the problem name.
    pub name_location: SourceLocation,
    /// The `:language` section, words as written.
    pub language: String,
    /// Movable objects in order.
    pub objects: Vec<ObjectDecl>,
    /// Fixtures in order, supports such as `main_table` included.
    pub fixtures: Vec<ObjectDecl>,
    /// Regions in order.
    pub regions: Vec<Region>,
    /// Regions whose target does not exist: LIBERO's own files have some. Using one is an error.
    pub dangling_regions: Vec<String>,
    /// Instances and regions of `:obj_of_interest`.
    pub obj_of_interest: Vec<String>,
    /// Predicates that hold at the start.
    pub init: Vec<PredicateInstance>,
    /// Condition of success.
    pub goal: Goal,
    /// Parts of the text that were read without effect but may matter to somebody, with their locations.
    pub notices: Vec<String>,
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
    /// A problem of which nothing is known yet but the name of its text.
    pub(crate) fn unread(file: &str) -> Problem {
        Problem {
            file: file.to_owned(),
            name: String::new(),
            name_location: SourceLocation::START,
            language: String::new(),
            objects: Vec::new(),
            fixtures: Vec::new(),
            regions: Vec::new(),
            dangling_regions: Vec::new(),
            obj_of_interest: Vec::new(),
            init: Vec::new(),
            goal: Goal {
                predicates: Vec::new(),
                condition: Condition::All(Vec::new()),
            },
            notices: Vec::new(),
        }
    }

    /// Fixtures that have a model of their own, in order.
    pub fn model_fixtures(&self) -> impl Iterator<Item = &ObjectDecl> {
        self.fixtures
            .iter()
            .filter(|t| !SUPPORTS.contains(&t.category.as_str()))
    }

    /// Returns true if the instance is a support that belongs to the arena.
    pub fn is_support(&self, name: &str) -> bool {
        self.fixtures
            .iter()
            .any(|t| t.name == name && SUPPORTS.contains(&t.category.as_str()))
    }

    /// The region of a qualified name.
    pub fn region(&self, name: &str) -> Option<&Region> {
        self.regions.iter().find(|r| r.name == name)
    }

    /// An error about the whole text.
    pub(crate) fn error(&self, message: impl Into<String>) -> BddlError {
        BddlError::new(&self.file, SourceLocation::START, message)
    }

    /// An error about one predicate of the text.
    pub(crate) fn error_at(
        &self,
        instance: &PredicateInstance,
        message: impl Into<String>,
    ) -> BddlError {
        BddlError::new(&self.file, instance.location, message)
    }

    /// Returns true if an object or fixture of this name is declared.
    pub fn declares(&self, name: &str) -> bool {
        self.objects
            .iter()
            .chain(&self.fixtures)
            .any(|t| t.name == name)
    }
}
