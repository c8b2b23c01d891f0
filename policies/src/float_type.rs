//! Floating-point types of tensor files: bf16, IEEE half and single precision, and their conversions.

/// Type of the elements of a tensor, little endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FloatType {
    /// Upper half of an f32.
    Bf16,
    /// IEEE half precision.
    F16,
    /// IEEE single precision.
    F32,
}

impl FloatType {
    /// Bytes of an element.
    pub fn bytes(self) -> usize {
        match self {
            FloatType::Bf16 | FloatType::F16 => 2,
            FloatType::F32 => 4,
        }
    }

    /// Name in tables.
    pub fn name(self) -> &'static str {
        match self {
            FloatType::Bf16 => "bf16",
            FloatType::F16 => "f16",
            FloatType::F32 => "f32",
        }
    }

    /// Decodes little-endian elements to f32, exactly.
    pub fn decode(self, bytes: &[u8]) -> Vec<f32> {
        let mut values = vec![0.0; bytes.len() / self.bytes()];
        self.decode_into(bytes, &mut values);
        values
    }

    /// Decodes as many little-endian elements to f32 as both slices hold.
    pub fn decode_into(self, bytes: &[u8], out: &mut [f32]) {
        let halves = bytes.as_chunks().0.iter().map(|b| u16::from_le_bytes(*b));
        let words = bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b));
        match self {
            FloatType::Bf16 => out
                .iter_mut()
                .zip(halves)
                .for_each(|(o, b)| *o = bf16_to_f32(b)),
            FloatType::F16 => out
                .iter_mut()
                .zip(halves)
                .for_each(|(o, b)| *o = f16_to_f32(b)),
            FloatType::F32 => out.iter_mut().zip(words).for_each(|(o, w)| *o = w),
        }
    }
}

/// Widens a bf16.
pub fn bf16_to_f32(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// Rounds to bf16, half to even.
pub fn f32_to_bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    ((bits + 0x7fff + ((bits >> 16) & 1)) >> 16) as u16
}

/// Widens an IEEE half; exact.
pub fn f16_to_f32(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let (exponent, mantissa) = (u32::from(bits >> 10) & 0x1f, u32::from(bits) & 0x3ff);
    let magnitude = match exponent {
        // Subnormal: the mantissa counts steps of 2^-24.
        0 => (mantissa as f32 * (1.0 / (1u32 << 24) as f32)).to_bits(),
        31 => 0x7f80_0000 | mantissa << 13,
        _ => (exponent + 112) << 23 | mantissa << 13,
    };
    f32::from_bits(sign | magnitude)
}
