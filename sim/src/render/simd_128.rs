//! Sixteen f32 in four registers of 128 bits: NEON, which every aarch64 processor has, and WebAssembly built with `simd128`.

use super::simd::{F32x16, LANES, LaneArray, Real};
use std::ops::{Add, Div, Mul, Sub};

/// Operations of one register.
#[cfg(target_arch = "aarch64")]
mod register {
    use std::arch::aarch64::*;

    pub(super) type F32x4 = float32x4_t;
    pub(super) type Mask = uint32x4_t;

    macro_rules! operations {
        ($($name:ident($($arg:ident: $ty:ty),*) $(-> $out:ty)? = $call:expr;)*) => {
            $(#[inline(always)]
            pub(super) fn $name($($arg: $ty),*) $(-> $out)? {
                // SAFETY: every aarch64 processor has NEON; pointers come from arrays of four numbers.
                unsafe { $call }
            })*
        };
    }
    operations! {
        splat(v: f32) -> F32x4 = vdupq_n_f32(v);
        load(v: &[f32; 4]) -> F32x4 = vld1q_f32(v.as_ptr());
        store(v: F32x4, to: &mut [f32; 4]) = vst1q_f32(to.as_mut_ptr(), v);
        add(a: F32x4, b: F32x4) -> F32x4 = vaddq_f32(a, b);
        sub(a: F32x4, b: F32x4) -> F32x4 = vsubq_f32(a, b);
        mul(a: F32x4, b: F32x4) -> F32x4 = vmulq_f32(a, b);
        div(a: F32x4, b: F32x4) -> F32x4 = vdivq_f32(a, b);
        sqrt(a: F32x4) -> F32x4 = vsqrtq_f32(a);
        floor(a: F32x4) -> F32x4 = vrndmq_f32(a);
        gt(a: F32x4, b: F32x4) -> Mask = vcgtq_f32(a, b);
        ge(a: F32x4, b: F32x4) -> Mask = vcgeq_f32(a, b);
        and(a: Mask, b: Mask) -> Mask = vandq_u32(a, b);
        any(a: Mask) -> bool = vmaxvq_u32(a) != 0;
        select(m: Mask, a: F32x4, b: F32x4) -> F32x4 = vbslq_f32(m, a, b);
        to_i32(v: F32x4, to: &mut [i32; 4]) = {
            let limit = vdupq_n_f32(2_147_483_648.0);
            let fits = vandq_u32(vcgeq_f32(v, vnegq_f32(limit)), vcltq_f32(v, limit));
            vst1q_s32(to.as_mut_ptr(), vbslq_s32(fits, vcvtq_s32_f32(v), vdupq_n_s32(i32::MIN)));
        };
        write_where(m: Mask, value: u32, to: &mut [u32; 4]) = {
            let kept = vld1q_u32(to.as_ptr());
            vst1q_u32(to.as_mut_ptr(), vbslq_u32(m, vdupq_n_u32(value), kept));
        };
        from_byte(of: &[u32; 4], index: u32) -> F32x4 = {
            let v = vshlq_u32(vld1q_u32(of.as_ptr()), vdupq_n_s32(-8 * index as i32));
            vcvtq_f32_u32(vandq_u32(v, vdupq_n_u32(255)))
        };
    }
}

/// Operations of one register.
#[cfg(target_arch = "wasm32")]
mod register {
    use std::arch::wasm32::*;

    pub(super) type F32x4 = v128;
    pub(super) type Mask = v128;

    macro_rules! operations {
        ($($name:ident($($arg:ident: $ty:ty),*) $(-> $out:ty)? = $call:expr;)*) => {
            $(#[inline(always)]
            pub(super) fn $name($($arg: $ty),*) $(-> $out)? {
                $call
            })*
        };
    }
    operations! {
        splat(v: f32) -> F32x4 = f32x4_splat(v);
        load(v: &[f32; 4]) -> F32x4 = f32x4(v[0], v[1], v[2], v[3]);
        store(v: F32x4, to: &mut [f32; 4]) = *to = [
            f32x4_extract_lane::<0>(v),
            f32x4_extract_lane::<1>(v),
            f32x4_extract_lane::<2>(v),
            f32x4_extract_lane::<3>(v),
        ];
        add(a: F32x4, b: F32x4) -> F32x4 = f32x4_add(a, b);
        sub(a: F32x4, b: F32x4) -> F32x4 = f32x4_sub(a, b);
        mul(a: F32x4, b: F32x4) -> F32x4 = f32x4_mul(a, b);
        div(a: F32x4, b: F32x4) -> F32x4 = f32x4_div(a, b);
        sqrt(a: F32x4) -> F32x4 = f32x4_sqrt(a);
        floor(a: F32x4) -> F32x4 = f32x4_floor(a);
        gt(a: F32x4, b: F32x4) -> Mask = f32x4_gt(a, b);
        ge(a: F32x4, b: F32x4) -> Mask = f32x4_ge(a, b);
        and(a: Mask, b: Mask) -> Mask = v128_and(a, b);
        any(a: Mask) -> bool = v128_any_true(a);
        select(m: Mask, a: F32x4, b: F32x4) -> F32x4 = v128_bitselect(a, b, m);
        to_i32(v: F32x4, to: &mut [i32; 4]) = {
            let limit = f32x4_splat(2_147_483_648.0);
            let fits = v128_and(f32x4_ge(v, f32x4_neg(limit)), f32x4_lt(v, limit));
            let v = v128_bitselect(i32x4_trunc_sat_f32x4(v), i32x4_splat(i32::MIN), fits);
            *to = numbers(v).map(|v| v as i32);
        };
        write_where(m: Mask, value: u32, to: &mut [u32; 4]) = {
            let kept = u32x4(to[0], to[1], to[2], to[3]);
            *to = numbers(v128_bitselect(u32x4_splat(value), kept, m));
        };
        from_byte(of: &[u32; 4], index: u32) -> F32x4 = {
            let v = u32x4_shr(u32x4(of[0], of[1], of[2], of[3]), 8 * index);
            f32x4_convert_u32x4(v128_and(v, u32x4_splat(255)))
        };
    }

    /// The four 32-bit numbers of a register.
    #[inline(always)]
    fn numbers(v: v128) -> [u32; 4] {
        [
            u32x4_extract_lane::<0>(v),
            u32x4_extract_lane::<1>(v),
            u32x4_extract_lane::<2>(v),
            u32x4_extract_lane::<3>(v),
        ]
    }
}

/// Four registers.
#[derive(Clone, Copy)]
pub(crate) struct F32x4x4([register::F32x4; 4]);

/// The four parts of an array.
#[inline(always)]
fn parts<T: Copy>(v: &[T; LANES]) -> [&[T; 4]; 4] {
    let part = |i: usize| {
        let slice = &v[4 * i..4 * i + 4];
        // Sixteen numbers have four parts of four.
        slice.first_chunk::<4>().unwrap_or_else(|| unreachable!())
    };
    [part(0), part(1), part(2), part(3)]
}

/// The numbers of four parts.
#[inline(always)]
fn whole<T: Copy + Default>(parts: [[T; 4]; 4]) -> [T; LANES] {
    let mut out = [T::default(); LANES];
    out.copy_from_slice(parts.as_flattened());
    out
}

macro_rules! operators {
    ($($trait:ident $name:ident),*) => {
        $(impl $trait for F32x4x4 {
            type Output = Self;
            #[inline(always)]
            fn $name(self, other: Self) -> Self {
                let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
                F32x4x4([
                    register::$name(a, e),
                    register::$name(b, f),
                    register::$name(c, g),
                    register::$name(d, h),
                ])
            }
        })*
    };
}
operators!(Add add, Sub sub, Mul mul, Div div);

impl Real for F32x4x4 {
    #[inline(always)]
    fn splat(v: f32) -> Self {
        F32x4x4([register::splat(v); 4])
    }
}

impl F32x16 for F32x4x4 {
    type Mask = [register::Mask; 4];

    #[inline(always)]
    fn load(v: &LaneArray) -> Self {
        F32x4x4(parts(v).map(register::load))
    }

    #[inline(always)]
    fn store(self) -> LaneArray {
        whole(self.0.map(|v| {
            let mut out = [0.0; 4];
            register::store(v, &mut out);
            out
        }))
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        F32x4x4(self.0.map(register::sqrt))
    }

    #[inline(always)]
    fn floor(self) -> Self {
        F32x4x4(self.0.map(register::floor))
    }

    #[inline(always)]
    fn gt(self, than: Self) -> Self::Mask {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, than.0);
        [
            register::gt(a, e),
            register::gt(b, f),
            register::gt(c, g),
            register::gt(d, h),
        ]
    }

    #[inline(always)]
    fn ge(self, than: Self) -> Self::Mask {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, than.0);
        [
            register::ge(a, e),
            register::ge(b, f),
            register::ge(c, g),
            register::ge(d, h),
        ]
    }

    #[inline(always)]
    fn and([a, b, c, d]: Self::Mask, [e, f, g, h]: Self::Mask) -> Self::Mask {
        [
            register::and(a, e),
            register::and(b, f),
            register::and(c, g),
            register::and(d, h),
        ]
    }

    #[inline(always)]
    fn any([a, b, c, d]: Self::Mask) -> bool {
        register::any(a) | register::any(b) | register::any(c) | register::any(d)
    }

    #[inline(always)]
    fn select([i, j, k, l]: Self::Mask, a: Self, b: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (a.0, b.0);
        F32x4x4([
            register::select(i, a, e),
            register::select(j, b, f),
            register::select(k, c, g),
            register::select(l, d, h),
        ])
    }

    #[inline(always)]
    fn to_i32(self) -> [i32; LANES] {
        whole(self.0.map(|v| {
            let mut out = [0; 4];
            register::to_i32(v, &mut out);
            out
        }))
    }

    #[inline(always)]
    fn write_where(mask: Self::Mask, value: u32, to: &mut [u32; LANES]) {
        for (part, mask) in to.as_chunks_mut::<4>().0.iter_mut().zip(mask) {
            register::write_where(mask, value, part);
        }
    }

    #[inline(always)]
    fn from_byte(of: &[u32; LANES], index: u32) -> Self {
        F32x4x4(parts(of).map(|part| register::from_byte(part, index)))
    }
}
