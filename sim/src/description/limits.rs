//! Bounds of the numbers of a scene. What lies beyond is a mistake in a file, and the single precision of the engine makes
//! infinities and NaN of it.

/// Largest size of a shape, and distance of a part of a model from its origin, m.
pub const MAX_LENGTH_METRES: f64 = 1e3;
/// Largest distance of a model from the origin of the world along an axis, m.
pub const MAX_DISTANCE_METRES: f64 = 100.0;
/// Largest mass of a body, kg.
pub const MAX_MASS_KG: f64 = 1e6;
/// Largest sum of the principal moments of a body, kg m^2.
pub const MAX_INERTIA: f64 = 1e9;
/// Largest start position of a joint, rad or m.
pub const MAX_JOINT_POSITION: f64 = 100.0;
