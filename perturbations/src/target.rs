//! The object that a task is about, and the one that it goes to.

use bitvla_tasks::Task;
use bitvla_tasks::bddl::{ObjectDecl, PredicateInstance};

/// What a task moves first, and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// Instance: that of the first predicate of the goal about a movable object; without one, that of the first predicate.
    pub instance: String,
    /// Site of that instance that the goal names; its root if absent.
    pub site: Option<String>,
    /// True for a movable object.
    pub is_movable: bool,
    /// Object that it is put on or into, if that is movable.
    pub receptacle: Option<String>,
}

impl Target {
    /// The target of a task; `None` for one without a goal.
    pub fn of(task: &Task) -> Option<Target> {
        let problem = &task.problem;
        let movable = |name: &str| problem.objects.iter().any(|object| object.name == name);
        let about = |predicate: &&PredicateInstance| {
            predicate.args.first().is_some_and(|name| movable(name))
        };
        let predicates = &task.goal().predicates;
        let first = predicates.iter().find(about).or(predicates.first())?;
        let name = first.args.first()?;
        // A place is an instance, or a region of one.
        let owner = |name: &str| match problem.region(name) {
            Some(region) => (region.target.clone(), Some(region.local.clone())),
            None => (name.to_owned(), None),
        };
        let (instance, site) = owner(name);
        let receptacle = first.args.get(1).map(|place| owner(place).0);
        Some(Target {
            is_movable: movable(&instance),
            instance,
            site,
            receptacle: receptacle.filter(|name| movable(name)),
        })
    }

    /// The declaration of the target in its task.
    pub fn declaration<'a>(&self, task: &'a Task) -> Option<&'a ObjectDecl> {
        let problem = &task.problem;
        (problem.objects.iter().chain(&problem.fixtures)).find(|o| o.name == self.instance)
    }
}
