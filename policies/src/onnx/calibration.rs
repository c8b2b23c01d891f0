//! Static ranges of activations: least and largest inputs of every linear layer over observations.

use super::engine::run;
use super::export::{LARGEST, LEAST, MODEL_FILE, Precision, write};
use super::runtime::OnnxRuntimeOptions;
use crate::error::file_error;
use crate::processor::ModelInputs;
use crate::{PolicyError, WeightFormat};
use std::collections::BTreeMap;
use std::path::Path;

/// Least and largest inputs of linear layers by their name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ActivationRanges(BTreeMap<String, [f32; 2]>);

impl ActivationRanges {
    /// Widens the range of a layer.
    pub fn add(&mut self, layer: &str, least: f32, largest: f32) {
        let range = self.0.entry(layer.to_owned()).or_insert([least, largest]);
        *range = [range[0].min(least), range[1].max(largest)];
    }

    /// Number of layers.
    pub fn layers(&self) -> usize {
        self.0.len()
    }

    /// Scale and zero point of int8 codes for the range of a layer, which zero is made part of.
    pub(super) fn quantiser(&self, layer: &str) -> Option<(f32, i8)> {
        let [least, largest] = *self.0.get(layer)?;
        let (least, largest) = (least.min(0.0), largest.max(0.0));
        let scale = ((largest - least) / 255.0).max(f32::MIN_POSITIVE);
        let zero = libm::rintf(-128.0 - least / scale).clamp(-128.0, 127.0);
        Some((scale, zero as i8))
    }
}

/// Runs the full-precision weights of a checkpoint folder on observations; `work` is a folder for a graph that is removed again, `library`
/// that of ONNX Runtime.
///
/// # Errors
/// Names the file; no observation; what ONNX Runtime refuses.
pub fn calibrate_onnx(
    checkpoint: &Path,
    observations: &[ModelInputs],
    work: &Path,
    library: Option<&Path>,
) -> Result<ActivationRanges, PolicyError> {
    if observations.is_empty() {
        return Err(file_error(checkpoint, "no observation to calibrate with"));
    }
    write(checkpoint, WeightFormat::Full, work, Precision::Calibration)?;
    let file = work.join(MODEL_FILE);
    let runtime = OnnxRuntimeOptions {
        library: library.map(Path::to_owned),
        ..OnnxRuntimeOptions::default()
    };
    let mut session = runtime.session(&file, 1)?;
    let mut ranges = ActivationRanges::default();
    for inputs in observations {
        run(
            &mut session,
            inputs.into(),
            !inputs.proprio.is_empty(),
            &mut |name, values| {
                let value = values.first().copied().unwrap_or(0.0);
                let layer = name
                    .strip_prefix(LEAST)
                    .or_else(|| name.strip_prefix(LARGEST));
                if let Some(layer) = layer {
                    ranges.add(layer, value, value);
                }
            },
        )?;
    }
    drop(session);
    let mut data = file.as_os_str().to_owned();
    data.push(".data");
    // A small network has no second file.
    let _ = std::fs::remove_file(&data);
    std::fs::remove_file(&file).map_err(|e| file_error(&file, e))?;
    Ok(ranges)
}

#[cfg(test)]
mod tests {
    //! Guarantee: the codes of a range reach from its least to its largest value, and zero is exact.
    use super::*;

    #[test]
    fn codes_cover_the_range_and_zero() {
        for [least, largest] in [[-1.0, 3.0], [0.5, 2.0], [-4.0, -1.0], [0.0, 0.0]] {
            let mut ranges = ActivationRanges::default();
            ranges.add("layer", least, largest);
            let (scale, zero) = ranges.quantiser("layer").unwrap();
            let code = |x: f32| (libm::rintf(x / scale) + f32::from(zero)).clamp(-128.0, 127.0);
            let back = |x: f32| (code(x) - f32::from(zero)) * scale;
            assert_eq!(back(0.0), 0.0);
            for x in [least, largest] {
                assert!((back(x) - x).abs() <= scale, "{x} in {least}..{largest}");
            }
        }
        assert!(ActivationRanges::default().quantiser("layer").is_none());
    }
}
