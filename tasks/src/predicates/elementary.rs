//! Up, InContact and the constant predicates (`docs/reference/libero.md`, section 6).

use super::compiled::{CompiledPredicate, Resolver};
use super::spatial::{RegionBox, in_contact, origin};
use crate::error::TaskError;
use bitvla_sim::World;

/// World height from which something is up, m.
const UP_HEIGHT: f64 = 1.0;

/// Returns Up(A) of something whose origin, or the centre of a region, is `z` (world frame, m) high.
pub fn is_up(z: f64) -> bool {
    z >= UP_HEIGHT
}

/// Compiles Up(A) of an object, fixture or region.
pub(super) fn compile_up(names: &Resolver<'_>) -> Result<Box<dyn CompiledPredicate>, TaskError> {
    let argument = names.argument(0)?;
    Ok(Box::new(match names.problem.region(argument) {
        Some(region) => Up::Region(RegionBox::resolve(names, region)?),
        None => Up::Instance(names.object(argument)?),
    }))
}

/// Compiles InContact(A, B) of two instances.
pub(super) fn compile_in_contact(
    names: &Resolver<'_>,
) -> Result<Box<dyn CompiledPredicate>, TaskError> {
    let [a, b] = [names.argument(0)?, names.argument(1)?];
    if names.problem.region(b).is_some() {
        return Err(names.error("needs an object or fixture as its second argument"));
    }
    Ok(Box::new(InContact {
        a: names.object(a)?,
        b: names.object(b)?,
    }))
}

/// Compiles a predicate that always or never holds; its argument has to exist.
pub(super) fn compile_constant(
    names: &Resolver<'_>,
    value: bool,
) -> Result<Box<dyn CompiledPredicate>, TaskError> {
    let argument = names.argument(0)?;
    let region = names.problem.region(argument);
    names.object(region.map_or(argument, |r| &r.target))?;
    Ok(Box::new(Constant(value)))
}

/// Up(A).
#[derive(Debug)]
enum Up {
    Instance(usize),
    Region(RegionBox),
}

impl CompiledPredicate for Up {
    fn holds(&self, world: &World) -> bool {
        is_up(match self {
            Up::Instance(i) => origin(world, *i).z,
            Up::Region(region) => region.pose(world).0.translation.z,
        })
    }
}

/// InContact(A, B).
#[derive(Debug)]
struct InContact {
    a: usize,
    b: usize,
}

impl CompiledPredicate for InContact {
    fn holds(&self, world: &World) -> bool {
        in_contact(world, self.a, self.b)
    }
}

/// True, False and PrintJointState.
#[derive(Debug)]
struct Constant(bool);

impl CompiledPredicate for Constant {
    fn holds(&self, _: &World) -> bool {
        self.0
    }
}
