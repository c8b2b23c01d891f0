//! The version of the simulated world.

/// Version of the world that episodes take place in. Results are comparable only within one version.
///
/// To the world belongs everything that decides the effect of an action and the images of the cameras: physics
/// settings, contacts and joints, the robot, its controller and gripper; models of objects, fixtures and arenas; suites
/// with their goals, horizons and stored initial states, and how further ones are drawn; how predicates are decided;
/// the observation of a policy (proprioception, cameras, lights, renderer); the import of LIBERO's own files.
/// The scripted expert, policies, weights and the files of a run folder do not belong to it.
///
/// **The rule**: a change of any of that raises the number by one and is described in `CHANGELOG.md` under the words
/// "world version N". `tests/world.rs` of the root package compares the world with hashes that were recorded with its
/// version; they do not cover LIBERO's own files.
///
/// | version | world |
/// |---|---|
/// | 1 | the spatial suite alone, two contact sweeps; protocol cards do not name it |
/// | 2 | four suites, more contact sweeps |
/// | 3 | broad phase for lengths of a table top, objects that overlap at first are pushed apart, drawers with stops, the
/// readers of LIBERO's files as of version 0.2, rasteriser in blocks of pixels |
pub const WORLD_VERSION: u32 = 3;
