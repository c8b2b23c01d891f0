//! A checkpoint folder: `config.json`, the model, the action head, the proprioception projector, `tokenizer.json`,
//! `processor_config.json`, `dataset_statistics.json` (`docs/reference/bitvla.md`, section 6). The model is
//! `model.safetensors` or its shards; head and projector are `action_head.safetensors` and
//! `proprio_projector.safetensors`, or the torch files `action_head--STEP_checkpoint.pt` and
//! `proprio_projector--STEP_checkpoint.pt`. Tensors are bf16, f16 or f32; a missing, extra or misshapen
//! tensor is an error that names it. A LoRA adapter in the folder is merged as weights are read; packed ternary weights of
//! BitNet are taken as they are.

mod adapter;
mod discovery;
mod names;
mod packed_ternary;
mod tensor_file;
mod tensor_specs;
mod weight_source;
mod write;

pub(crate) use crate::error::file_error;
pub use crate::float_type::{bf16_to_f32, f16_to_f32, f32_to_bf16};
pub use tensor_file::{StoredValues, TensorFile};
pub use tensor_specs::{TensorSpec, TensorSpecs};
pub use write::write_tensors;

use crate::{Config, PolicyError};
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};

/// File of vision tower, connector and language model, as written here.
pub const MODEL_FILE: &str = "model.safetensors";
/// File of the action head, as written here.
pub const HEAD_FILE: &str = "action_head.safetensors";
/// File of the proprioception projector, as written here.
pub const PROPRIO_FILE: &str = "proprio_projector.safetensors";

/// Checkpoint folder whose directory was read and whose tensors are complete.
pub struct Checkpoint {
    dir: PathBuf,
    config: Config,
    model: TensorFile,
    head: TensorFile,
    proprio: TensorFile,
    /// Presence of action head and proprioception projector.
    has: (bool, bool),
}

/// Reads a JSON file.
///
/// # Errors
/// Names the file when it cannot be read or has another shape.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, PolicyError> {
    let text = std::fs::read_to_string(path).map_err(|e| file_error(path, e))?;
    serde_json::from_str(&text).map_err(|e| file_error(path, e))
}

impl Checkpoint {
    /// Reads a folder.
    ///
    /// # Errors
    /// Names the file, and the tensor where it is about one.
    pub fn load(dir: &Path) -> Result<Checkpoint, PolicyError> {
        let config = Config::read(&dir.join("config.json"))?;
        let specs = TensorSpecs::new(&config);
        let names = discovery::names(dir)?;
        let single = |stem, specs| match discovery::single(dir, &names, stem)? {
            Some(path) => {
                let file = TensorFile::read(&[path])?;
                file.check(specs, &[])?;
                Ok((file, true))
            }
            None => Ok((TensorFile::missing(dir), false)),
        };
        let mut model = TensorFile::read(&discovery::sharded(dir, &names, "model")?)?;
        discovery::check_index(dir, &names, "model", &model)?;
        model.check(&specs.model, &specs.optional)?;
        if let (Some(packed), None) = (model.first_packed(), config.text_config.packed_scale) {
            let what = "packed ternary weights, and config.json has no quantization_config with the linear_class that says what their scale means";
            return Err(model.error(packed, what.into()));
        }
        if let Some(adapter) = adapter::LoraAdapter::find(dir, &model)? {
            model.set_adapter(adapter);
        }
        let (head, has_head) = single("action_head", &specs.head)?;
        let (proprio, has_proprio) = match config.proprio_dim {
            0 => (TensorFile::missing(dir), false),
            _ => single("proprio_projector", &specs.proprio)?,
        };
        Ok(Checkpoint {
            dir: dir.into(),
            model,
            head,
            proprio,
            has: (has_head, has_proprio),
            config,
        })
    }

    /// Checks that the checkpoint can act: a base checkpoint as published has neither action head nor proprioception
    /// projector.
    ///
    /// # Errors
    /// Names the file that is not there.
    pub fn require_action(&self) -> Result<(), PolicyError> {
        for (there, stem) in [
            (self.has.0, "action_head"),
            (
                self.has.1 || self.config.proprio_dim == 0,
                "proprio_projector",
            ),
        ] {
            if !there {
                let what = format!(
                    "neither {stem}.safetensors nor {stem}--STEP_checkpoint.pt is there: a base checkpoint has no actions"
                );
                return Err(file_error(&self.dir, what));
            }
        }
        Ok(())
    }

    /// Path of the folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
    /// Config of the network.
    pub fn config(&self) -> &Config {
        &self.config
    }
    /// Vision tower, connector and language model.
    pub fn model(&self) -> &TensorFile {
        &self.model
    }
    /// True if there is an action head.
    pub fn has_head(&self) -> bool {
        self.has.0
    }
    /// True if there is a proprioception projector.
    pub fn has_proprio(&self) -> bool {
        self.has.1
    }
    /// Action head.
    pub fn head(&self) -> &TensorFile {
        &self.head
    }
    /// Proprioception projector.
    pub fn proprio(&self) -> &TensorFile {
        &self.proprio
    }
}
