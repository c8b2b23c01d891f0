//! Sixteen f32 at a time: the trait [`F32x16`], implemented by [`Scalar`] code, AVX2, AVX-512, and in
//! `simd_128` NEON and WebAssembly's registers. All operations round
//! as single IEEE operations do, so that each implementation gives the bits of [`Scalar`].

use std::ops::{Add, Div, Mul, Sub};

/// Number of lanes.
pub(crate) const LANES: usize = 16;
/// One f32 per lane.
pub(crate) type LaneArray = [f32; LANES];

/// One f32, or one in each lane.
pub(crate) trait Real: Copy + Add<Output = Self> + Mul<Output = Self> {
    /// `v` in every lane.
    fn splat(v: f32) -> Self;
}

impl Real for f32 {
    #[inline(always)]
    fn splat(v: f32) -> f32 {
        v
    }
}

/// Sixteen f32.
pub(crate) trait F32x16: Real + Sub<Output = Self> + Div<Output = Self> {
    /// One truth value per lane.
    type Mask: Copy;
    fn load(v: &LaneArray) -> Self;
    fn store(self) -> LaneArray;
    fn sqrt(self) -> Self;
    fn floor(self) -> Self;
    /// Lanes in which `self > than`.
    fn gt(self, than: Self) -> Self::Mask;
    /// Lanes in which `self >= than`.
    fn ge(self, than: Self) -> Self::Mask;
    fn and(a: Self::Mask, b: Self::Mask) -> Self::Mask;
    /// Returns true when any lane is.
    fn any(mask: Self::Mask) -> bool;
    /// `a` in the lanes of the mask, `b` elsewhere.
    fn select(mask: Self::Mask, a: Self, b: Self) -> Self;
    /// Truncated towards zero; `i32::MIN` for what does not fit.
    fn to_i32(self) -> [i32; LANES];
    /// Writes `value` to the numbers in the lanes of the mask.
    fn write_where(mask: Self::Mask, value: u32, to: &mut [u32; LANES]);
    /// Byte `index` (0 is the lowest) of each number.
    fn from_byte(of: &[u32; LANES], index: u32) -> Self;
}

macro_rules! operators {
    ($ty:ty) => {
        operators!($ty, Add add, Sub sub, Mul mul, Div div);
    };
    ($ty:ty, $($trait:ident $name:ident),*) => {
        $(impl $trait for $ty {
            type Output = Self;
            #[inline(always)]
            fn $name(self, other: Self) -> Self {
                self.$name(other)
            }
        })*
    };
}

/// One lane after another.
#[derive(Clone, Copy)]
pub(crate) struct Scalar(LaneArray);

impl Scalar {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Scalar(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }

    #[inline(always)]
    fn compare(self, other: Self, f: impl Fn(f32, f32) -> bool) -> [bool; LANES] {
        std::array::from_fn(|i| f(self.0[i], other.0[i]))
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }
}

operators!(Scalar);

impl Real for Scalar {
    #[inline(always)]
    fn splat(v: f32) -> Self {
        Scalar([v; LANES])
    }
}

impl F32x16 for Scalar {
    type Mask = [bool; LANES];

    #[inline(always)]
    fn load(v: &LaneArray) -> Self {
        Scalar(*v)
    }

    #[inline(always)]
    fn store(self) -> LaneArray {
        self.0
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        Scalar(self.0.map(f32::sqrt))
    }

    #[inline(always)]
    fn floor(self) -> Self {
        Scalar(self.0.map(f32::floor))
    }

    #[inline(always)]
    fn gt(self, than: Self) -> Self::Mask {
        self.compare(than, |a, b| a > b)
    }

    #[inline(always)]
    fn ge(self, than: Self) -> Self::Mask {
        self.compare(than, |a, b| a >= b)
    }

    #[inline(always)]
    fn and(a: Self::Mask, b: Self::Mask) -> Self::Mask {
        std::array::from_fn(|i| a[i] & b[i])
    }

    #[inline(always)]
    fn any(mask: Self::Mask) -> bool {
        mask.contains(&true)
    }

    #[inline(always)]
    fn select(mask: Self::Mask, a: Self, b: Self) -> Self {
        Scalar(std::array::from_fn(
            |i| if mask[i] { a.0[i] } else { b.0[i] },
        ))
    }

    #[inline(always)]
    fn to_i32(self) -> [i32; LANES] {
        const LIMIT: f32 = 2_147_483_648.0;
        self.0.map(|v| {
            if (-LIMIT..LIMIT).contains(&v) {
                v as i32
            } else {
                i32::MIN
            }
        })
    }

    #[inline(always)]
    fn write_where(mask: Self::Mask, value: u32, to: &mut [u32; LANES]) {
        for (to, m) in to.iter_mut().zip(mask) {
            *to = if m { value } else { *to };
        }
    }

    #[inline(always)]
    fn from_byte(of: &[u32; LANES], index: u32) -> Self {
        Scalar(of.map(|v| (v >> (8 * index) & 255) as f32))
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

#[cfg(any(
    target_arch = "aarch64",
    all(target_arch = "wasm32", target_feature = "simd128")
))]
pub(crate) use super::simd_128::F32x4x4;

/// Implementations with intrinsics. Their types are used only in functions that `simd_dispatch` calls after the processor has
/// reported the instruction set; that makes every call below sound.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Add, Div, F32x16, LANES, LaneArray, Mul, Real, Sub};
    use std::arch::x86_64::*;

    /// One register of AVX-512.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx512(__m512);

    /// Two registers of AVX2.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx2(__m256, __m256);

    macro_rules! arithmetic {
        ($($name:ident $whole:ident $half:ident),*) => {
            impl Avx512 {
                $(#[inline(always)]
                fn $name(self, other: Self) -> Self {
                    // SAFETY: the processor has AVX-512 (see the module).
                    unsafe { Avx512($whole(self.0, other.0)) }
                })*
            }

            impl Avx2 {
                $(#[inline(always)]
                fn $name(self, other: Self) -> Self {
                    // SAFETY: the processor has AVX2 (see the module).
                    unsafe { Avx2($half(self.0, other.0), $half(self.1, other.1)) }
                })*
            }
        };
    }

    arithmetic!(
        add _mm512_add_ps _mm256_add_ps,
        sub _mm512_sub_ps _mm256_sub_ps,
        mul _mm512_mul_ps _mm256_mul_ps,
        div _mm512_div_ps _mm256_div_ps
    );
    operators!(Avx512);
    operators!(Avx2);

    impl Real for Avx512 {
        #[inline(always)]
        fn splat(v: f32) -> Self {
            // SAFETY: the processor has AVX-512 (see the module).
            unsafe { Avx512(_mm512_set1_ps(v)) }
        }
    }

    impl F32x16 for Avx512 {
        type Mask = __mmask16;

        #[inline(always)]
        fn load(v: &LaneArray) -> Self {
            // SAFETY: as above; the array has sixteen numbers, and no alignment is asked for.
            unsafe { Avx512(_mm512_loadu_ps(v.as_ptr())) }
        }

        #[inline(always)]
        fn store(self) -> LaneArray {
            let mut out = [0.0; LANES];
            // SAFETY: as above.
            unsafe { _mm512_storeu_ps(out.as_mut_ptr(), self.0) };
            out
        }

        #[inline(always)]
        fn sqrt(self) -> Self {
            // SAFETY: the processor has AVX-512 (see the module).
            unsafe { Avx512(_mm512_sqrt_ps(self.0)) }
        }

        #[inline(always)]
        fn floor(self) -> Self {
            // SAFETY: as above.
            unsafe { Avx512(_mm512_roundscale_ps::<_MM_FROUND_TO_NEG_INF>(self.0)) }
        }

        #[inline(always)]
        fn gt(self, than: Self) -> Self::Mask {
            // SAFETY: as above.
            unsafe { _mm512_cmp_ps_mask::<_CMP_GT_OQ>(self.0, than.0) }
        }

        #[inline(always)]
        fn ge(self, than: Self) -> Self::Mask {
            // SAFETY: as above.
            unsafe { _mm512_cmp_ps_mask::<_CMP_GE_OQ>(self.0, than.0) }
        }

        #[inline(always)]
        fn and(a: Self::Mask, b: Self::Mask) -> Self::Mask {
            a & b
        }

        #[inline(always)]
        fn any(mask: Self::Mask) -> bool {
            mask != 0
        }

        #[inline(always)]
        fn select(mask: Self::Mask, a: Self, b: Self) -> Self {
            // SAFETY: the processor has AVX-512 (see the module).
            unsafe { Avx512(_mm512_mask_blend_ps(mask, b.0, a.0)) }
        }

        #[inline(always)]
        fn to_i32(self) -> [i32; LANES] {
            let mut out = [0; LANES];
            // SAFETY: as above; the array has room for sixteen numbers.
            unsafe { _mm512_storeu_epi32(out.as_mut_ptr(), _mm512_cvttps_epi32(self.0)) };
            out
        }

        #[inline(always)]
        fn write_where(mask: Self::Mask, value: u32, to: &mut [u32; LANES]) {
            let to = to.as_mut_ptr().cast();
            // A blend, since stores with a mask are slow on some processors.
            // SAFETY: the processor has AVX-512 (see the module); the array has sixteen numbers.
            unsafe {
                let before = _mm512_loadu_si512(to);
                let value = _mm512_set1_epi32(value as i32);
                _mm512_storeu_si512(to, _mm512_mask_mov_epi32(before, mask, value));
            }
        }

        #[inline(always)]
        fn from_byte(of: &[u32; LANES], index: u32) -> Self {
            // SAFETY: as above; the array has sixteen numbers.
            unsafe {
                let v = _mm512_loadu_epi32(of.as_ptr().cast());
                let v = _mm512_srlv_epi32(v, _mm512_set1_epi32(8 * index as i32));
                let v = _mm512_and_epi32(v, _mm512_set1_epi32(255));
                Avx512(_mm512_cvtepi32_ps(v))
            }
        }
    }

    impl Avx2 {
        /// Pointers to the halves of an array that the two registers hold.
        #[inline(always)]
        fn halves<T>(v: &[T; LANES]) -> [*const T; 2] {
            let (a, b) = v.split_at(LANES / 2);
            [a.as_ptr(), b.as_ptr()]
        }

        #[inline(always)]
        fn halves_mut<T>(v: &mut [T; LANES]) -> [*mut T; 2] {
            let (a, b) = v.split_at_mut(LANES / 2);
            [a.as_mut_ptr(), b.as_mut_ptr()]
        }
    }

    impl Real for Avx2 {
        #[inline(always)]
        fn splat(v: f32) -> Self {
            // SAFETY: the processor has AVX2 (see the module).
            unsafe { Avx2(_mm256_set1_ps(v), _mm256_set1_ps(v)) }
        }
    }

    impl F32x16 for Avx2 {
        type Mask = (__m256, __m256);

        #[inline(always)]
        fn load(v: &LaneArray) -> Self {
            let [a, b] = Self::halves(v);
            // SAFETY: as above; each half has eight numbers, and no alignment is asked for.
            unsafe { Avx2(_mm256_loadu_ps(a), _mm256_loadu_ps(b)) }
        }

        #[inline(always)]
        fn store(self) -> LaneArray {
            let mut out = [0.0; LANES];
            let [a, b] = Self::halves_mut(&mut out);
            // SAFETY: as above.
            unsafe {
                _mm256_storeu_ps(a, self.0);
                _mm256_storeu_ps(b, self.1);
            }
            out
        }

        #[inline(always)]
        fn sqrt(self) -> Self {
            // SAFETY: the processor has AVX2 (see the module).
            unsafe { Avx2(_mm256_sqrt_ps(self.0), _mm256_sqrt_ps(self.1)) }
        }

        #[inline(always)]
        fn floor(self) -> Self {
            // SAFETY: as above.
            unsafe { Avx2(_mm256_floor_ps(self.0), _mm256_floor_ps(self.1)) }
        }

        #[inline(always)]
        fn gt(self, than: Self) -> Self::Mask {
            // SAFETY: as above.
            unsafe {
                (
                    _mm256_cmp_ps::<_CMP_GT_OQ>(self.0, than.0),
                    _mm256_cmp_ps::<_CMP_GT_OQ>(self.1, than.1),
                )
            }
        }

        #[inline(always)]
        fn ge(self, than: Self) -> Self::Mask {
            // SAFETY: as above.
            unsafe {
                (
                    _mm256_cmp_ps::<_CMP_GE_OQ>(self.0, than.0),
                    _mm256_cmp_ps::<_CMP_GE_OQ>(self.1, than.1),
                )
            }
        }

        #[inline(always)]
        fn and(a: Self::Mask, b: Self::Mask) -> Self::Mask {
            // SAFETY: as above.
            unsafe { (_mm256_and_ps(a.0, b.0), _mm256_and_ps(a.1, b.1)) }
        }

        #[inline(always)]
        fn any(mask: Self::Mask) -> bool {
            // SAFETY: as above.
            unsafe { _mm256_movemask_ps(mask.0) | _mm256_movemask_ps(mask.1) != 0 }
        }

        #[inline(always)]
        fn select(mask: Self::Mask, a: Self, b: Self) -> Self {
            // SAFETY: as above.
            unsafe {
                Avx2(
                    _mm256_blendv_ps(b.0, a.0, mask.0),
                    _mm256_blendv_ps(b.1, a.1, mask.1),
                )
            }
        }

        #[inline(always)]
        fn to_i32(self) -> [i32; LANES] {
            let mut out = [0; LANES];
            let [a, b] = Self::halves_mut(&mut out);
            // SAFETY: as above; each half has room for eight numbers.
            unsafe {
                _mm256_storeu_si256(a.cast(), _mm256_cvttps_epi32(self.0));
                _mm256_storeu_si256(b.cast(), _mm256_cvttps_epi32(self.1));
            }
            out
        }

        #[inline(always)]
        fn write_where(mask: Self::Mask, value: u32, to: &mut [u32; LANES]) {
            let [a, b] = Self::halves_mut(to);
            // A blend, since stores with a mask are slow on some processors.
            // SAFETY: the processor has AVX2 (see the module); each half has eight numbers.
            unsafe {
                let value = _mm256_set1_epi32(value as i32);
                for (half, mask) in [(a, mask.0), (b, mask.1)] {
                    let half = half.cast();
                    let mask = _mm256_castps_si256(mask);
                    let v = _mm256_blendv_epi8(_mm256_loadu_si256(half), value, mask);
                    _mm256_storeu_si256(half, v);
                }
            }
        }

        #[inline(always)]
        fn from_byte(of: &[u32; LANES], index: u32) -> Self {
            let [a, b] = Self::halves(of);
            // SAFETY: as above; each half has eight numbers.
            let half = |from: *const u32| unsafe {
                let v = _mm256_loadu_si256(from.cast());
                let v = _mm256_srlv_epi32(v, _mm256_set1_epi32(8 * index as i32));
                _mm256_cvtepi32_ps(_mm256_and_si256(v, _mm256_set1_epi32(255)))
            };
            Avx2(half(a), half(b))
        }
    }
}

#[cfg(test)]
mod tests {
    //! Guarantee: every instruction set that the processor has gives the bits of the scalar code.

    use super::*;

    /// Floats of every kind: whole, fractional, tiny, huge, negative zero, infinite, not a number.
    fn samples(turn: usize) -> LaneArray {
        const VALUES: [f32; 17] = [
            0.0,
            -0.0,
            1.0,
            -1.5,
            0.3,
            -7.25,
            1e-30,
            -1e-42,
            3e38,
            -2e10,
            2_147_483_648.0,
            -2_147_483_648.0,
            255.49,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::NAN,
            8_388_607.5,
        ];
        std::array::from_fn(|i| VALUES[(i * (1 + turn / 17) + turn) % 17])
    }

    fn bits(v: LaneArray) -> [u32; LANES] {
        // All NaN count as one.
        v.map(|v| if v.is_nan() { f32::NAN } else { v }.to_bits())
    }

    fn all_operations<F: F32x16>() -> Vec<[u32; LANES]> {
        let mut out = Vec::new();
        for turn in 0..17 * 16 {
            let (a, b) = (samples(turn), samples(turn * 5 + 3));
            let (x, y) = (F::load(&a), F::load(&b));
            for v in [
                x + y,
                x - y,
                x * y,
                x / y,
                x.sqrt(),
                x.floor(),
                F::splat(a[3]),
            ] {
                out.push(bits(v.store()));
            }
            let (more, least) = (x.gt(y), x.ge(y));
            for mask in [more, least, F::and(more, least)] {
                out.push(bits(F::select(mask, x, y).store()));
                out.push([u32::from(F::any(mask)); LANES]);
                let mut numbers = a.map(f32::to_bits);
                F::write_where(mask, turn as u32, &mut numbers);
                out.push(numbers);
            }
            out.push(x.to_i32().map(|v| v as u32));
            for index in 0..4 {
                out.push(bits(F::from_byte(&a.map(f32::to_bits), index).store()));
            }
        }
        out
    }

    #[cfg(any(
        target_arch = "aarch64",
        all(target_arch = "wasm32", target_feature = "simd128")
    ))]
    #[test]
    fn registers_of_128_bits_give_the_bits_of_scalar_code() {
        assert!(all_operations::<F32x4x4>() == all_operations::<Scalar>());
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn every_instruction_set_gives_the_bits_of_scalar_code() {
        let scalar = all_operations::<Scalar>();
        if is_x86_feature_detected!("avx2") {
            assert!(all_operations::<Avx2>() == scalar, "AVX2");
        } else {
            eprintln!("AVX2 is not tested: this processor lacks it");
        }
        if is_x86_feature_detected!("avx512f") {
            assert!(all_operations::<Avx512>() == scalar, "AVX-512");
        } else {
            eprintln!("AVX-512 is not tested: this processor lacks it");
        }
    }
}
