//! A predicate whose names have been looked up, and the look-up of those names.

use crate::bddl::{PredicateInstance, Problem};
use crate::error::TaskError;
use bitvla_sim::{JointHandle, ModelDesc, SiteHandle, World};

/// One predicate of a goal, compiled for the worlds of one scene.
pub trait CompiledPredicate: std::fmt::Debug + Send + Sync {
    /// Returns true if the predicate holds in the present state of `world`, which has to be built from the scene that
    /// the predicate was compiled for. Poses and contacts are those at the start of the last physics step, joint
    /// positions those at its end (`docs/reference/libero.md`, section 5).
    fn holds(&self, world: &World) -> bool;
}

/// Looks up the names that one predicate of a problem mentions. All errors name its line and column.
pub(super) struct Resolver<'a> {
    pub problem: &'a Problem,
    pub world: &'a World,
    pub instance: &'a PredicateInstance,
}

impl Resolver<'_> {
    /// Argument `index`, from 0.
    pub fn argument(&self, index: usize) -> Result<&str, TaskError> {
        let argument = self.instance.args.get(index).map(String::as_str);
        argument.ok_or_else(|| self.error(format!("argument {} is missing", index + 1)))
    }

    /// Index of an instance of the scene.
    pub fn object(&self, name: &str) -> Result<usize, TaskError> {
        (self.world.scene().instance(name))
            .ok_or_else(|| self.error(format!("`{name}` is not in the scene")))
    }

    /// A site of an instance.
    pub fn site(&self, instance: usize, name: &str) -> Result<SiteHandle, TaskError> {
        (self.world.find_site(instance, name))
            .ok_or_else(|| self.error(format!("no site `{name}`")))
    }

    /// A joint of an instance.
    pub fn joint(&self, instance: usize, name: &str) -> Result<JointHandle, TaskError> {
        (self.world.find_joint(instance, name))
            .ok_or_else(|| self.error(format!("no joint `{name}`")))
    }

    /// Model of an instance.
    pub fn model(&self, instance: usize) -> &ModelDesc {
        &self.world.scene().instances[instance].model
    }

    /// An error at the predicate.
    pub fn error(&self, message: impl std::fmt::Display) -> TaskError {
        let message = format!("{:?}: {message}", self.instance.predicate);
        self.problem.error_at(self.instance, message).into()
    }
}
