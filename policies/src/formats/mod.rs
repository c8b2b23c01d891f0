//! Weight formats: the one table of everything that depends on how weights are stored. A format is a file of this
//! folder with a [`WeightCodec`], a variant of [`WeightEncoding`] and, to be chosen on the command line, one of
//! [`WeightFormat`]; loader, kernels, packed files, memory ledger and benches find it through these.

pub mod codec;
mod dense;
mod int4;
mod int8;
mod nf4;
mod ternary;

pub use codec::{CodeError, CodeLayout, EncodedMatrix, Group, IntegerCodec, WeightCodec};
pub use int4::INT4_GROUP;
pub(crate) use ternary::{encode_codes, find_ternary_code};

use crate::activation_buffer::ActivationFormat;
use std::str::FromStr;

/// Encoding of the weights of one linear layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightEncoding {
    /// f32.
    F32,
    /// bf16, rounded half to even; nothing is lost of weights that were stored so.
    Bf16,
    /// Absmean ternary, two bits, one scale per tensor.
    Ternary,
    /// int8 with one scale per output.
    Int8,
    /// int4 with one scale per output and [`INT4_GROUP`] inputs.
    Int4,
    /// NF4 in blocks of 64 as bitsandbytes does it.
    Nf4,
}

impl WeightEncoding {
    /// All encodings.
    pub const ALL: [WeightEncoding; 6] = [
        WeightEncoding::F32,
        WeightEncoding::Bf16,
        WeightEncoding::Ternary,
        WeightEncoding::Int8,
        WeightEncoding::Int4,
        WeightEncoding::Nf4,
    ];

    /// Name in memory tables, ending of tensor names in packed files, bits of the code of one weight, implementation.
    fn row(self) -> (&'static str, &'static str, u32, &'static dyn WeightCodec) {
        match self {
            WeightEncoding::F32 => ("f32", "f32", 32, &dense::F32Codec),
            WeightEncoding::Bf16 => ("bf16", "bf16", 16, &dense::Bf16Codec),
            WeightEncoding::Ternary => ("ternary 2-bit", "ternary", 2, &ternary::TernaryCodec),
            WeightEncoding::Int8 => ("int8", "int8", 8, &int8::Int8Codec),
            WeightEncoding::Int4 => ("int4 by 128", "int4", 4, &int4::Int4Codec),
            WeightEncoding::Nf4 => ("nf4 by 64", "nf4", 4, &nf4::Nf4Codec),
        }
    }

    /// Name in memory tables.
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// Ending of the name of the codes of a layer in a packed file.
    pub fn packed_suffix(self) -> &'static str {
        self.row().1
    }

    /// Bits of the code of one weight, scales not counted.
    pub fn bits_per_weight(self) -> u32 {
        self.row().2
    }

    /// Quantiser, layout and unpacking.
    pub fn codec(self) -> &'static dyn WeightCodec {
        self.row().3
    }

    /// Bytes of the codes and scales of an `[n, k]` matrix.
    pub fn matrix_bytes(self, n: usize, k: usize) -> usize {
        let layout = self.codec().layout(n, k);
        layout.shape[0] * layout.group_bytes() + 4 * layout.scales
    }

    /// The encoding of a name in memory tables.
    pub fn named(name: &str) -> Option<WeightEncoding> {
        WeightEncoding::ALL.into_iter().find(|e| e.name() == name)
    }
}

/// Arithmetic of a linear layer: the encoding of its weights, or as the checkpoint stores them, and the form of its
/// activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinearFormat {
    /// Encoding of the weights; `None`: as stored.
    pub encoding: Option<WeightEncoding>,
    /// Form of the activations.
    pub activations: ActivationFormat,
}

impl LinearFormat {
    /// Weights as stored, f32 activations.
    pub const STORED: LinearFormat = LinearFormat {
        encoding: None,
        activations: ActivationFormat::F32,
    };
    /// Ternary weights and int8 activations: integer products.
    pub const TERNARY: LinearFormat =
        LinearFormat::new(WeightEncoding::Ternary, ActivationFormat::Int8);
    /// f32 weights and activations.
    pub const F32: LinearFormat = LinearFormat::new(WeightEncoding::F32, ActivationFormat::F32);

    /// Weights in an encoding.
    pub const fn new(encoding: WeightEncoding, activations: ActivationFormat) -> LinearFormat {
        LinearFormat {
            encoding: Some(encoding),
            activations,
        }
    }

    /// Kind of the products: `native-packed` (the packed codes themselves, in integers), `dequantised` (packed in
    /// memory, widened to f32 for every product), `simulated` (f32 that was rounded) or `dense`.
    pub fn arithmetic(self) -> &'static str {
        match (self.activations, self.encoding) {
            (ActivationFormat::Int8, _) => "native-packed",
            (ActivationFormat::SimulatedInt8, _) => "simulated",
            (ActivationFormat::F32, None | Some(WeightEncoding::F32 | WeightEncoding::Bf16)) => {
                "dense"
            }
            (ActivationFormat::F32, Some(_)) => "dequantised",
        }
    }
}

/// Weights of the quantisable linear layers, those of the vision towers and the language model, and of the action head. The rest of
/// the network is the same code and the same numbers in every format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WeightFormat {
    /// Packed ternary weights and integer arithmetic, as far as the config says so.
    Ternary,
    /// As the checkpoint stores them: bf16 or f32, multiplied in f32.
    Full,
    /// int8 per output with int8 activations per token (W8A8).
    Int8,
    /// int4 in groups of 128 inputs, f32 activations (W4A16).
    Int4,
    /// NF4 in blocks of 64, f32 activations.
    Nf4,
    /// The weights of a full-precision checkpoint rounded to ternary, vision tower and language model, without
    /// training.
    PtqTernary,
    /// As [`WeightFormat::Ternary`], and the action head in int8 per output with int8 activations per token, rounded without
    /// training.
    TernaryInt8Head,
}

/// Bits of weights and activations of vision towers that are quantised as the language model is.
pub const QUANTISED_VISION: (u32, u32) = (1, 8);

/// Formats of the linear layers of a network, by part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkFormats {
    /// Vision towers.
    pub vision: LinearFormat,
    /// Language model.
    pub language: LinearFormat,
    /// Action head.
    pub head: LinearFormat,
}

impl WeightFormat {
    /// All formats, in the order of tables.
    pub const ALL: [WeightFormat; 7] = [
        WeightFormat::Ternary,
        WeightFormat::Full,
        WeightFormat::Int8,
        WeightFormat::Int4,
        WeightFormat::Nf4,
        WeightFormat::PtqTernary,
        WeightFormat::TernaryInt8Head,
    ];

    /// Name, line for the command line's help, format of the linear layers.
    fn row(self) -> (&'static str, &'static str, LinearFormat) {
        use ActivationFormat as A;
        use WeightEncoding as E;
        match self {
            WeightFormat::Ternary => (
                "ternary",
                "Ternary weights, 8-bit activations, integer arithmetic",
                LinearFormat::TERNARY,
            ),
            WeightFormat::Full => ("full", "The full-precision teacher", LinearFormat::STORED),
            WeightFormat::Int8 => (
                "int8",
                "The teacher's weights rounded to int8 per output, 8-bit activations",
                LinearFormat::new(E::Int8, A::Int8),
            ),
            WeightFormat::Int4 => (
                "int4",
                "The teacher's weights rounded to int4 in groups of 128",
                LinearFormat::new(E::Int4, A::F32),
            ),
            WeightFormat::Nf4 => (
                "nf4",
                "The teacher's weights rounded to NF4 in blocks of 64",
                LinearFormat::new(E::Nf4, A::F32),
            ),
            WeightFormat::PtqTernary => (
                "ptq-ternary",
                "The teacher's weights rounded to ternary without training",
                LinearFormat::TERNARY,
            ),
            WeightFormat::TernaryInt8Head => (
                "ternary-int8-head",
                "As ternary, the action head rounded to int8 per output, 8-bit activations",
                LinearFormat::TERNARY,
            ),
        }
    }

    /// Name as on the command line and in every file.
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// One line for the command line's help.
    pub fn description(self) -> &'static str {
        self.row().1
    }

    /// The format of a name.
    pub fn named(name: &str) -> Option<WeightFormat> {
        WeightFormat::ALL.into_iter().find(|f| f.name() == name)
    }

    /// The format that the checkpoint of these weights is trained in: [`WeightFormat::Ternary`], or [`WeightFormat::Full`].
    pub fn checkpoint(self) -> WeightFormat {
        match self {
            WeightFormat::Ternary | WeightFormat::TernaryInt8Head => WeightFormat::Ternary,
            _ => WeightFormat::Full,
        }
    }

    /// True for the weights of a checkpoint that is trained with ternary weights; all others are made from full-precision ones.
    pub fn is_trained(self) -> bool {
        self.checkpoint() == WeightFormat::Ternary
    }

    /// True if a network can be built in this format from a file that is packed as `packed`: it keeps what is rounded there, and
    /// rounds at most the action head.
    pub fn reads(self, packed: WeightFormat) -> bool {
        let same = self.checkpoint() == packed.checkpoint() && self.language() == packed.language();
        same && (self.head() == packed.head() || packed.head() == LinearFormat::STORED)
    }

    /// Kind of the products, see [`LinearFormat::arithmetic`].
    pub fn arithmetic(self) -> &'static str {
        self.language().arithmetic()
    }

    /// Bits of the code of one quantisable weight; `None`: as stored.
    pub fn bits_per_weight(self) -> Option<u32> {
        let encoding = self.language().encoding?;
        Some(encoding.bits_per_weight())
    }

    /// Format of the language model's linear layers.
    pub fn language(self) -> LinearFormat {
        self.row().2
    }

    /// Format of the action head's linear layers.
    pub fn head(self) -> LinearFormat {
        match self {
            WeightFormat::TernaryInt8Head => {
                LinearFormat::new(WeightEncoding::Int8, ActivationFormat::Int8)
            }
            _ => LinearFormat::STORED,
        }
    }

    /// Formats of a network whose config asks for so many bits of weights and activations in the vision towers.
    pub fn network(self, vision_bits: (u32, u32)) -> NetworkFormats {
        NetworkFormats {
            vision: self.vision(vision_bits.0, vision_bits.1),
            language: self.language(),
            head: self.head(),
        }
    }

    /// Format of the linear layers of a vision tower whose config asks for so many bits of weights and activations
    /// (32: not quantised). Only a trained format follows the config.
    pub fn vision(self, weight_bits: u32, activation_bits: u32) -> LinearFormat {
        if !self.is_trained() {
            return self.language();
        }
        match (weight_bits, activation_bits) {
            (32, 32) => LinearFormat::STORED,
            (32, _) => LinearFormat {
                encoding: None,
                activations: ActivationFormat::SimulatedInt8,
            },
            (_, 8) => self.language(),
            _ => LinearFormat {
                activations: ActivationFormat::F32,
                ..self.language()
            },
        }
    }
}

impl FromStr for WeightFormat {
    type Err = String;

    /// Parses a name; the error lists the names that there are.
    fn from_str(name: &str) -> Result<WeightFormat, String> {
        WeightFormat::named(name).ok_or_else(|| {
            let names = WeightFormat::ALL.map(WeightFormat::name).join(", ");
            format!("weight format `{name}` is not known, expected one of {names}")
        })
    }
}

impl std::fmt::Display for WeightFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    //! Guarantee: names are unique and parse back, a packed file is read in its own format, and every encoding unpacks what it
    //! packed, in f32 and in integers, whatever the sizes.
    use super::*;
    use crate::kernels::panel::{OUTPUT_GROUP, QUAD_BYTES};
    use crate::testing::SplitMix64;
    use crate::weights::Weights;
    use std::collections::BTreeSet;

    #[test]
    fn names_parse_back() {
        for format in WeightFormat::ALL {
            assert_eq!(format.name().parse(), Ok(format));
        }
        let error = "int3".parse::<WeightFormat>().unwrap_err();
        assert!(error.contains("int3") && error.contains("ptq-ternary"));
        // What is packed in a format is read in it, and ternary weights with the head as stored also give one in int8.
        let read = |by: WeightFormat| {
            WeightFormat::ALL
                .into_iter()
                .filter(move |packed| by.reads(*packed))
        };
        for format in WeightFormat::ALL {
            match format {
                WeightFormat::TernaryInt8Head => {
                    assert!(read(format).eq([WeightFormat::Ternary, format]));
                }
                _ => assert!(read(format).eq([format])),
            }
        }
        let suffixes: BTreeSet<_> = WeightEncoding::ALL
            .iter()
            .map(|e| e.packed_suffix())
            .collect();
        assert_eq!(suffixes.len(), WeightEncoding::ALL.len());
    }

    #[test]
    fn every_encoding_unpacks_what_it_packed() {
        for (n, k) in [(16, 128), (19, 42), (2, 3), (40, 130)] {
            let mut random = SplitMix64::new(9);
            let master: Vec<f32> = (0..n * k).map(|_| random.normal()).collect();
            for encoding in WeightEncoding::ALL {
                let w = Weights::encode(&master, n, k, encoding);
                let codec = encoding.codec();
                let layout = codec.layout(n, k);
                let bytes = layout.shape[0] * layout.group_bytes();
                assert_eq!(bytes, w.codes().len(), "{encoding:?} {n}x{k}");
                assert_eq!(w.scales().len(), layout.scales);
                let mut out = vec![0f32; k * OUTPUT_GROUP];
                for group in 0..w.groups() {
                    w.unpack_f32((group, 1), 0..k, &mut out);
                    for row in codec::group_rows(group, n) {
                        let least = master[row * k..][..k]
                            .iter()
                            .fold(0f32, |m, v| m.max(v.abs()));
                        for column in 0..k {
                            let got = out[column * OUTPUT_GROUP + row % OUTPUT_GROUP];
                            let want = master[row * k + column];
                            let bound = match encoding {
                                WeightEncoding::F32 => 0.0,
                                WeightEncoding::Bf16 => 0.01 * want.abs(),
                                WeightEncoding::Int8 => 0.51 * least / 127.0,
                                WeightEncoding::Int4 => 0.51 * least / 7.0,
                                _ => continue,
                            };
                            assert!((got - want).abs() <= bound, "{encoding:?} {row} {column}");
                        }
                    }
                }
                let Some(integer) = codec.integer() else {
                    continue;
                };
                let quads = k.next_multiple_of(16) / 4;
                let mut panel = vec![0u8; quads * QUAD_BYTES];
                for group in 0..w.groups() {
                    w.unpack_f32((group, 1), 0..k, &mut out);
                    w.unpack_int8((group, 1), 0..quads, &mut panel);
                    let scales = w.row_scales(group);
                    for row in codec::group_rows(group, n) {
                        let j = row % OUTPUT_GROUP;
                        for column in 0..k {
                            let byte = panel[column / 4 * QUAD_BYTES + 4 * j + column % 4];
                            let code =
                                (i32::from(byte) - integer.panel_bytes().zero_point()) as f32;
                            let apart = (code * scales[j] - out[column * OUTPUT_GROUP + j]).abs();
                            assert!(apart <= 1e-6 * scales[j], "{encoding:?} {row} {column}");
                        }
                    }
                }
            }
        }
    }
}
