//! The version of the simulated world.

/// Version of the world that episodes take place in. Results are comparable only within one version.
///
/// To the world belongs everything that decides what happens when the same actions are sent, and what the cameras show
/// of it: physics settings, contacts and joints, the robot, its controller and gripper; models of objects, fixtures and
/// arenas; suites with their goals, horizons and stored initial states, and how further ones are drawn; how predicates are
/// decided; what a policy is shown (proprioception, cameras, lights, renderer); how LIBERO's own files become all that.
/// The scripted expert, policies, weights and the files of a run folder do not belong to it.
///
/// **The rule**: whoever changes any of that raises the number by one and says in `CHANGELOG.md`, with the words "world
/// version N", what changed. `tests/world.rs` of the root package holds the world to hashes that were recorded with its
/// version; what those do not reach (LIBERO's own files) is up to whoever changes it.
///
/// | version | world |
/// |---|---|
/// | 1 | the spatial suite alone, two contact sweeps; protocol cards do not name it |
/// | 2 | four suites, more contact sweeps |
pub const WORLD_VERSION: u32 = 2;
