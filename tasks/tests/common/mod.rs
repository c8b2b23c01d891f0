//! Extents of models for the tests.

pub use bitvla_tasks::extent::extent;
