//! Memory that a network needs, from its config alone, so that a config that asks for more than there is is refused before
//! anything is allocated.

use crate::error::file_error;
use crate::formats::{LinearFormat, WeightEncoding};
use crate::{Config, PolicyError, WeightFormat};
use std::path::Path;

/// Bytes of the weights of a network in a weight format, at least: weights that are kept as stored count as bf16, the
/// embedding not at all, as its rows are read one at a time.
///
/// ```
/// use bitvla_policies::{Config, WeightFormat, memory};
/// let config = Config::bitvla_3b()?;
/// let ternary = memory::required_bytes(&config, WeightFormat::Ternary);
/// let full = memory::required_bytes(&config, WeightFormat::Full);
/// assert!((700_000_000..900_000_000).contains(&ternary), "{ternary}");
/// assert!((5_000_000_000..5_500_000_000).contains(&full), "{full}");
/// # Ok::<(), bitvla_policies::PolicyError>(())
/// ```
pub fn required_bytes(config: &Config, format: WeightFormat) -> u64 {
    let (t, v) = (&config.text_config, &config.vision_config);
    let matrix = |format: LinearFormat, n: usize, k: usize| {
        let encoding = format.encoding.unwrap_or(WeightEncoding::Bf16);
        encoding.matrix_bytes(n, k) as u64
    };
    let (h, wide, kv) = (
        t.hidden_size,
        t.intermediate_size,
        t.num_key_value_heads * t.head_dim(),
    );
    let language = format.language();
    let layer = 2 * matrix(language, h, h)
        + 2 * matrix(language, kv, h)
        + 2 * matrix(language, wide, h)
        + matrix(language, h, wide);
    let vision = format.vision(v.vit_weight_bits, v.vit_act_bits);
    let encoder = 4 * matrix(vision, v.hidden_size, v.hidden_size)
        + 2 * matrix(vision, v.intermediate_size, v.hidden_size);
    let (head, stored) = (format.head(), LinearFormat::STORED);
    let heads = matrix(head, h, config.action_dim * h)
        + 2 * matrix(head, h, h)
        + 2 * matrix(stored, h, h)
        + matrix(stored, h, v.hidden_size);
    let positions = 4 * (v.patches() as u64) * v.hidden_size as u64;
    t.num_hidden_layers as u64 * layer + v.num_hidden_layers as u64 * encoder + heads + positions
}

/// Refuses a network that needs more than `available` bytes.
///
/// # Errors
/// Names the file of the config, both numbers and the format.
pub(crate) fn check(
    config: &Config,
    format: WeightFormat,
    available: Option<u64>,
    path: &Path,
) -> Result<(), PolicyError> {
    let required = required_bytes(config, format);
    match available.filter(|there| *there < required) {
        Some(there) => Err(file_error(
            path,
            format!(
                "the network needs {:.1} GB of memory as `{format}`, {:.1} GB are free",
                required as f64 / 1e9,
                there as f64 / 1e9
            ),
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    //! Guarantee: a network that needs more memory than there is is refused with both numbers, one that fits is not.
    use super::*;

    #[test]
    fn more_than_there_is_is_refused() {
        let config = Config::bitvla_3b().unwrap();
        let path = Path::new("some/config.json");
        let check = |there| check(&config, WeightFormat::Full, there, path);
        let text = check(Some(1_000_000_000)).unwrap_err().to_string();
        assert!(
            text.contains("some/config.json") && text.contains("as `full`"),
            "{text}"
        );
        assert!(text.contains("1.0 GB are free"), "{text}");
        assert!(check(Some(6_000_000_000)).is_ok() && check(None).is_ok());
    }
}
