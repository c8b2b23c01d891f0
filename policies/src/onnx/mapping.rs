//! The file that says how an ONNX model of others is asked: names, shapes, sizes and normalisations of its inputs and outputs.

use crate::error::file_error;
use crate::preprocess::ResizeFilter;
use crate::{CAMERA_SIZE, CAMERAS, Flip, PROPRIO_DIM, PolicyError, QuaternionRule};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Components of an action.
pub(super) const ACTION_DIM: usize = 7;
/// Largest side of an image, pixels.
const MAX_SIDE: usize = 2048;

/// How a model is asked; see `docs/onnx.md` for every field.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnnxMapping {
    /// Actions of an answer that are executed before the next query; all of them where absent.
    pub executed_steps: Option<usize>,
    /// Side of the square frames that are rendered, pixels.
    #[serde(default = "default_side")]
    pub rendered: usize,
    /// Orientation of the frames.
    #[serde(default)]
    pub orientation: Orientation,
    /// Filter from the rendered side to that of an input.
    #[serde(default)]
    pub resize: Resize,
    /// Image inputs.
    #[serde(default, rename = "camera")]
    pub cameras: Vec<CameraMapping>,
    /// The proprioception, if the model takes it.
    pub state: Option<StateMapping>,
    /// The instruction, if the model takes it.
    pub instruction: Option<InstructionMapping>,
    /// The answer.
    pub action: ActionMapping,
}

/// Orientation of frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Orientation {
    /// As a person sees the scene.
    Upright,
    /// MuJoCo's bottom-up buffer turned by 180 degrees, as in the data sets of LIBERO that most policies are trained on.
    #[default]
    Rotated,
}

/// Filter of a resize.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resize {
    /// [`ResizeFilter::Area`].
    #[default]
    Area,
    /// [`ResizeFilter::Lanczos3`].
    Lanczos3,
}

/// An image input.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraMapping {
    /// Name in the graph.
    pub input: String,
    /// One of [`CAMERAS`].
    pub camera: String,
    /// Side, pixels; where absent, that of the graph, or else the rendered one.
    pub size: Option<usize>,
    /// Order of the axes.
    #[serde(default)]
    pub layout: ImageLayout,
    /// Subtracted from every channel of values in [0, 1]; for an input of floats.
    pub mean: Option<[f32; 3]>,
    /// Every channel is divided by it.
    pub std: Option<[f32; 3]>,
}

/// Order of the axes of an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageLayout {
    /// Channels, rows, columns.
    #[default]
    Chw,
    /// Rows, columns, channels.
    Hwc,
}

/// The input of the proprioception.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateMapping {
    /// Name in the graph.
    pub input: String,
    /// Components of the proprioception in the order of the model: position 0 to 2 (m), axis times angle 3 to 5 (rad), fingers 6
    /// and 7 (m).
    #[serde(default = "all_components")]
    pub components: Vec<usize>,
    /// Rule of the rotation.
    #[serde(default)]
    pub rotation: QuaternionRule,
    /// How the components are normalised.
    #[serde(default)]
    pub normalisation: Normalisation,
}

/// The input of the instruction.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstructionMapping {
    /// Name in the graph: a string, or tokens where `tokenizer` is given.
    pub input: String,
    /// `tokenizer.json` of the model, relative to the mapping.
    pub tokenizer: Option<PathBuf>,
    /// Input that tells tokens (1) from padding (0).
    pub mask: Option<String>,
    /// Number of tokens that the prompt is padded to; not padded where absent.
    pub length: Option<usize>,
    /// Token of the padding.
    #[serde(default)]
    pub padding: u32,
    /// Text behind the instruction, for example a line feed.
    #[serde(default)]
    pub suffix: String,
}

/// The output of the actions.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionMapping {
    /// Name in the graph.
    pub output: String,
    /// Values of the last component, after its normalisation is undone, that open and close the gripper.
    #[serde(default)]
    pub gripper: GripperValues,
    /// How the components are normalised.
    #[serde(default)]
    pub normalisation: Normalisation,
}

/// Values that open and close the gripper.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GripperValues {
    /// Opens it.
    pub open: f64,
    /// Closes it.
    pub close: f64,
}

impl Default for GripperValues {
    /// Those of the environment.
    fn default() -> GripperValues {
        GripperValues {
            open: -1.0,
            close: 1.0,
        }
    }
}

impl GripperValues {
    /// A value of the model as one of the environment, in which -1 opens and 1 closes.
    pub fn to_environment(self, value: f64) -> f64 {
        2.0 * (value - self.open) / (self.close - self.open) - 1.0
    }
}

/// Normalisation of a vector, component by component: by mean and deviation, or from least and largest value to [-1, 1]; none
/// where nothing is given.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalisation {
    /// Mean.
    pub mean: Option<Vec<f64>>,
    /// Standard deviation.
    pub std: Option<Vec<f64>>,
    /// Becomes -1.
    pub min: Option<Vec<f64>>,
    /// Becomes 1.
    pub max: Option<Vec<f64>>,
}

impl Normalisation {
    /// Offset and width of a component: `(value - offset) / width` is normalised.
    fn of(&self, component: usize) -> (f64, f64) {
        let at = |values: &Option<Vec<f64>>| values.as_ref().map(|values| values[component]);
        match (at(&self.mean), at(&self.std), at(&self.min), at(&self.max)) {
            (Some(mean), Some(std), ..) => (mean, std),
            (_, _, Some(min), Some(max)) => ((min + max) / 2.0, (max - min) / 2.0),
            _ => (0.0, 1.0),
        }
    }

    /// A component as the model sees it.
    pub fn normalise(&self, component: usize, value: f64) -> f64 {
        let (offset, width) = self.of(component);
        (value - offset) / width
    }

    /// The other way.
    pub fn restore(&self, component: usize, value: f64) -> f64 {
        let (offset, width) = self.of(component);
        value * width + offset
    }

    /// Refuses half a normalisation, both at once, other lengths than `components`, and widths of zero.
    fn check(&self, components: usize) -> Result<(), String> {
        let given = [&self.mean, &self.std, &self.min, &self.max].map(Option::is_some);
        if !matches!(
            given,
            [false, false, false, false] | [true, true, false, false] | [false, false, true, true]
        ) {
            return Err(
                "found half a normalisation or two, expected mean and std, or min and max, or none"
                    .into(),
            );
        }
        let named = [
            ("mean", &self.mean),
            ("std", &self.std),
            ("min", &self.min),
            ("max", &self.max),
        ];
        for (name, values) in named {
            let Some(values) = values else { continue };
            if values.len() != components {
                let found = values.len();
                return Err(format!(
                    "{name}: found {found} numbers, expected {components}"
                ));
            }
        }
        for component in 0..components {
            let (offset, width) = self.of(component);
            if !(offset.is_finite() && width.is_finite() && width != 0.0) {
                return Err(format!(
                    "component {component}: found the offset {offset} and the width {width}, expected finite ones and a width \
                     other than 0"
                ));
            }
        }
        Ok(())
    }
}

fn default_side() -> usize {
    CAMERA_SIZE
}

fn all_components() -> Vec<usize> {
    (0..PROPRIO_DIM).collect()
}

impl Orientation {
    /// From the upright frame to the one that the model takes.
    pub fn flip(self) -> Flip {
        match self {
            Orientation::Upright => Flip::None,
            Orientation::Rotated => Flip::LeftRight,
        }
    }
}

impl Resize {
    /// The filter.
    pub fn filter(self) -> ResizeFilter {
        match self {
            Resize::Area => ResizeFilter::Area,
            Resize::Lanczos3 => ResizeFilter::Lanczos3,
        }
    }
}

impl OnnxMapping {
    /// Path of the mapping of a model: beside it, with the ending `toml`.
    pub fn path_of(model: &Path) -> PathBuf {
        model.with_extension("toml")
    }

    /// Reads a mapping.
    ///
    /// # Errors
    /// Names the file, the place, what was found and what was expected.
    pub fn read(path: &Path) -> Result<OnnxMapping, PolicyError> {
        let text = std::fs::read_to_string(path).map_err(|e| file_error(path, e))?;
        OnnxMapping::parse(&text).map_err(|what| file_error(path, what))
    }

    /// Parses the text of a mapping.
    ///
    /// # Errors
    /// In words.
    pub fn parse(text: &str) -> Result<OnnxMapping, String> {
        let mapping = toml::from_str::<OnnxMapping>(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let line = text
                .bytes()
                .take(start)
                .filter(|byte| *byte == b'\n')
                .count()
                + 1;
            format!("line {line}: {}", error.message().replace('\n', " "))
        })?;
        mapping.check()?;
        Ok(mapping)
    }

    fn check(&self) -> Result<(), String> {
        let side = |name: &str, side: usize| match side {
            1..=MAX_SIDE => Ok(()),
            _ => Err(format!(
                "{name}: found {side}, expected 1 to {MAX_SIDE} pixels"
            )),
        };
        side("rendered", self.rendered)?;
        if self.executed_steps == Some(0) {
            return Err("executed_steps: found 0, expected at least 1".into());
        }
        if self.cameras.is_empty() && self.state.is_none() {
            return Err(
                "found neither a [[camera]] nor a [state], expected something that the model sees"
                    .into(),
            );
        }
        for camera in &self.cameras {
            let name = format!("camera `{}`", camera.input);
            if !CAMERAS.contains(&camera.camera.as_str()) {
                let (found, expected) = (&camera.camera, CAMERAS.join(" or "));
                return Err(format!(
                    "{name}: found camera `{found}`, expected {expected}"
                ));
            }
            side(&format!("{name}: size"), camera.size.unwrap_or(1))?;
            let numbers = [camera.mean, camera.std].into_iter().flatten().flatten();
            let divides_by_zero = camera.std.is_some_and(|std| std.contains(&0.0));
            if numbers.into_iter().any(|n| !n.is_finite()) || divides_by_zero {
                return Err(format!(
                    "{name}: mean and std: expected finite numbers, and no std of 0"
                ));
            }
        }
        if let Some(state) = &self.state {
            let beyond = state.components.iter().find(|i| **i >= PROPRIO_DIM);
            if let Some(found) = beyond {
                return Err(format!(
                    "state: components: found {found}, expected 0 to {}",
                    PROPRIO_DIM - 1
                ));
            }
            let checked = state.normalisation.check(state.components.len());
            checked.map_err(|what| format!("state: normalisation: {what}"))?;
        }
        if let Some(words) = &self.instruction {
            let tokens = words.tokenizer.is_some();
            if !tokens && (words.mask.is_some() || words.length.is_some()) {
                return Err(
                    "instruction: mask and length are for tokens: expected a tokenizer".into(),
                );
            }
            if words.length == Some(0) {
                return Err("instruction: length: found 0, expected at least 1".into());
            }
        }
        let checked = self.action.normalisation.check(ACTION_DIM);
        checked.map_err(|what| format!("action: normalisation: {what}"))?;
        let GripperValues { open, close } = self.action.gripper;
        if !(open.is_finite() && close.is_finite() && open != close) {
            return Err(format!(
                "action: gripper: found open {open} and close {close}, expected two finite numbers that differ"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    //! Guarantees: a mapping is read with its defaults; what cannot be followed is refused with the place; normalisations go both ways.
    use super::*;

    const LEAST: &str =
        "[[camera]]\ninput = \"image\"\ncamera = \"agentview\"\n[action]\noutput = \"action\"\n";

    #[test]
    fn a_mapping_is_read_with_its_defaults() {
        let mapping = OnnxMapping::parse(LEAST).expect("a mapping");
        assert_eq!(mapping.rendered, CAMERA_SIZE);
        assert_eq!(mapping.orientation.flip(), Flip::LeftRight);
        assert_eq!(mapping.cameras[0].layout, ImageLayout::Chw);
        assert_eq!(mapping.action.gripper.to_environment(1.0), 1.0);
        assert_eq!(
            OnnxMapping::path_of(Path::new("a/act.onnx")),
            Path::new("a/act.toml")
        );
    }

    #[test]
    fn what_cannot_be_followed_is_refused_with_the_place() {
        let refused = |text: &str, words: &[&str]| {
            let error = OnnxMapping::parse(text).expect_err("refused");
            for word in words {
                assert!(error.contains(word), "{word}: {error}");
            }
        };
        refused(
            &LEAST.replace("agentview", "left"),
            &["`image`", "`left`", "agentview or eye_in_hand"],
        );
        refused(&LEAST.replace("input", "inputs"), &["inputs", "line 2"]);
        refused(&format!("rendered = 0\n{LEAST}"), &["rendered", "found 0"]);
        refused(
            "[action]\noutput = \"action\"\n",
            &["[[camera]]", "[state]"],
        );
        let action = |more: &str| format!("{LEAST}{more}\n");
        refused(
            &action("[action.normalisation]\nmean = [0, 0, 0, 0, 0, 0, 0]"),
            &["action", "half a normalisation"],
        );
        refused(
            &action("[action.normalisation]\nmin = [0, 0]\nmax = [1, 1]"),
            &["min", "found 2", "expected 7"],
        );
        refused(
            &action(
                "[action.normalisation]\nmean = [0, 0, 0, 0, 0, 0, 0]\nstd = [1, 1, 1, 0, 1, 1, 1]",
            ),
            &["component 3", "width"],
        );
        refused(
            &action("gripper = { open = 1, close = 1 }"),
            &["gripper", "differ"],
        );
        refused(
            &action("[state]\ninput = \"s\"\ncomponents = [8]"),
            &["components", "found 8"],
        );
        refused(
            &action("[instruction]\ninput = \"words\"\nlength = 3"),
            &["tokenizer"],
        );
        refused(&action("colour = 1"), &["colour"]);
    }

    #[test]
    fn normalisations_go_both_ways() {
        let text = |more: &str| {
            format!("{LEAST}gripper = {{ open = 1, close = 0 }}\n[action.normalisation]\n{more}")
        };
        let seven = |n: &str| format!("[{}]", [n; 7].join(", "));
        let mean = OnnxMapping::parse(&text(&format!(
            "mean = {}\nstd = {}",
            seven("2"),
            seven("4")
        )));
        let range = OnnxMapping::parse(&text(&format!(
            "min = {}\nmax = {}",
            seven("-2"),
            seven("6")
        )));
        for mapping in [mean, range] {
            let action = mapping.expect("a mapping").action;
            assert_eq!(action.normalisation.normalise(3, 6.0), 1.0);
            assert_eq!(action.normalisation.restore(3, -1.0), -2.0);
            assert_eq!(
                [1.0, 0.0].map(|v| action.gripper.to_environment(v)),
                [-1.0, 1.0]
            );
        }
    }
}
