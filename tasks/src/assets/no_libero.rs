//! In place of the reader of LIBERO checkouts where the crate is built without the feature `libero`: none can be opened, so
//! what would ask one is never reached, and the compiler knows.

use crate::error::TaskError;
use bitvla_sim::{ArenaDesc, ModelDesc};

/// No LIBERO checkout.
#[derive(Debug)]
pub enum LiberoDir {}

impl LiberoDir {
    pub(crate) fn notices(&self) -> Vec<String> {
        match *self {}
    }

    pub(crate) fn categories(&self) -> Vec<String> {
        match *self {}
    }

    pub(crate) fn arena(&self, _name: &str) -> Result<ArenaDesc, TaskError> {
        match *self {}
    }

    pub(crate) fn scene_variant(&self, _arena: &str, _variant: &str) -> Result<String, String> {
        match *self {}
    }

    pub(crate) fn model(&self, _category: &str) -> Result<(ModelDesc, bool), TaskError> {
        match *self {}
    }

    pub(crate) fn robot(&self, _ours: &ModelDesc, _arena: &str) -> Result<ModelDesc, TaskError> {
        match *self {}
    }

    pub(crate) fn is_fixture(&self, _category: &str) -> Result<bool, TaskError> {
        match *self {}
    }
}
