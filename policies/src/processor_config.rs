//! `processor_config.json` and `preprocessor_config.json`: how a checkpoint wants to be asked.

use crate::checkpoint_files::{CheckpointFiles, parse_json};
use crate::error::file_error;
use crate::json_fields::Field::{Fixed, NoEffect, Used};
use crate::json_fields::{FieldTable, Kind, check_fields};
use crate::{Config, Flip, PolicyError, QuaternionRule};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// File of [`ProcessorConfig`].
pub const PROCESSOR_FILE: &str = "processor_config.json";
/// File of the image processor.
const IMAGE_PROCESSOR_FILE: &str = "preprocessor_config.json";

/// Largest template of a prompt or a chat; the longest published chat templates have some 10 000 bytes.
pub(crate) const MAX_TEMPLATE_BYTES: usize = 1 << 16;
/// Largest side of camera frames, pixels.
const MAX_CAMERA_SIZE: usize = 4096;

/// Fields of `processor_config.json`, ours and those of the Python library's LLaVA processor.
const FIELDS: FieldTable = &[
    (
        Used(Kind::Text),
        &[
            "prompt_template",
            "image_pipeline",
            "unnorm_key",
            "flip",
            "quaternion_rule",
        ],
    ),
    (Used(Kind::Count), &["camera_size", "executed_steps"]),
    (Fixed(&["0"]), &["num_additional_image_tokens"]),
    (Fixed(&["\"full\""]), &["vision_feature_select_strategy"]),
    (
        NoEffect("the vision tower's own patch_size counts"),
        &["patch_size"],
    ),
    (
        NoEffect("image tokens are those of config.json"),
        &["image_token"],
    ),
    (
        NoEffect("a name or a note"),
        &["processor_class", "auto_map"],
    ),
];

/// Fields of `preprocessor_config.json`: the pipeline ends with x / 255, mean 0.5 and deviation 0.5 on three channels of the
/// network's size (`docs/reference/bitvla.md`, section 3).
const IMAGE_FIELDS: FieldTable = &[
    (
        Fixed(&["true"]),
        &["do_resize", "do_rescale", "do_normalize", "do_convert_rgb"],
    ),
    (Fixed(&["false"]), &["do_center_crop", "do_pad"]),
    (Fixed(&["[0.5,0.5,0.5]"]), &["image_mean", "image_std"]),
    (Fixed(&["0.00392156862745098"]), &["rescale_factor"]),
    (Used(Kind::Any), &["size"]),
    (
        NoEffect("images have the network's size already"),
        &["resample", "crop_size"],
    ),
    (
        NoEffect("a name or a note"),
        &[
            "image_processor_type",
            "processor_class",
            "feature_extractor_type",
            "auto_map",
        ],
    ),
    (
        NoEffect("form of the answers of the Python library"),
        &[
            "data_format",
            "input_data_format",
            "device",
            "return_tensors",
            "disable_grouping",
        ],
    ),
];

/// Checks `preprocessor_config.json`, where there is one, against the pipeline that is built.
///
/// # Errors
/// Names the field whose value is not what is built.
pub(crate) fn check_image_processor(
    files: &dyn CheckpointFiles,
    config: &Config,
) -> Result<(), PolicyError> {
    let Some(object) = parse_json::<Map<String, Value>>(files, IMAGE_PROCESSOR_FILE)? else {
        return Ok(());
    };
    let fail = |what: String| file_error(&files.display_path(IMAGE_PROCESSOR_FILE), what);
    check_fields(&object, &[IMAGE_FIELDS], "").map_err(fail)?;
    let side = config.vision_config.image_size as u64;
    let fits = match object.get("size") {
        None | Some(Value::Null) => true,
        Some(Value::Object(size)) => size.values().all(|s| s.as_u64() == Some(side)),
        Some(one) => one.as_u64() == Some(side),
    };
    match fits {
        true => Ok(()),
        false => Err(fail(format!(
            "size: {}, the network takes {side} pixels",
            object["size"]
        ))),
    }
}

/// `processor_config.json`: inputs and outputs of a checkpoint. The published file has none of these fields, and their
/// defaults are the published behaviour.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ProcessorConfig {
    /// Text with `{images}`, `{proprio}` and `{instruction}`, each once and in this order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_template: Option<String>,
    /// Pipeline from camera frame to network input: `area`, or `published`, also where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_pipeline: Option<String>,
    /// Entry of `dataset_statistics.json` that normalises where no suite says which, see [`crate::normaliser`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unnorm_key: Option<String>,
    /// Side of the square camera frames, pixels; [`crate::CAMERA_SIZE`] where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub camera_size: Option<usize>,
    /// Orientation of the camera frames; the published one where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flip: Option<Flip>,
    /// Orientation of the end effector in the proprioception; the published rule where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quaternion_rule: Option<QuaternionRule>,
    /// Actions of a chunk that are executed before the next query; all of them where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executed_steps: Option<usize>,
}

impl ProcessorConfig {
    /// Reads the file of a checkpoint; the defaults where there is none.
    ///
    /// # Errors
    /// Fails if the file is there and cannot be read, or names the field that is unknown or out of bounds.
    pub fn read(files: &dyn CheckpointFiles) -> Result<ProcessorConfig, PolicyError> {
        let Some(object) = parse_json::<Map<String, Value>>(files, PROCESSOR_FILE)? else {
            return Ok(ProcessorConfig::default());
        };
        let path = files.display_path(PROCESSOR_FILE);
        check_fields(&object, &[FIELDS], "").map_err(|what| file_error(&path, what))?;
        let config: ProcessorConfig =
            serde_json::from_value(object.into()).map_err(|e| file_error(&path, e))?;
        let template = config.prompt_template.as_ref().map_or(0, String::len);
        let side = config.camera_size.unwrap_or(0);
        for (name, found, most, unit) in [
            ("prompt_template", template, MAX_TEMPLATE_BYTES, "bytes"),
            ("camera_size", side, MAX_CAMERA_SIZE, "pixels"),
        ] {
            if found > most {
                let what = format!("{name}: {found} {unit}, expected at most {most}");
                return Err(file_error(&path, what));
            }
        }
        Ok(config)
    }
}
