//! The one SIMD dispatch of the renderer: compiles a hot loop once per instruction set and calls the best version
//! that the processor has.
//!
//! Nothing is fused or reordered by that, so that every version gives the same bytes. The environment variable
//! `BITVLA_ISA` (`scalar`, `avx2`, `avx512vnni` and others, as for the policy's kernels) selects a narrower version.

use std::sync::OnceLock;

/// Instruction sets, narrowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
// A processor has some of them.
#[allow(dead_code)]
pub(crate) enum InstructionSet {
    Scalar,
    /// NEON, or WebAssembly's registers.
    Registers128,
    Avx2,
    Avx512,
}

impl InstructionSet {
    /// The one in use.
    pub(crate) fn active() -> InstructionSet {
        static ACTIVE: OnceLock<InstructionSet> = OnceLock::new();
        *ACTIVE.get_or_init(|| {
            let best = InstructionSet::best_supported();
            // Any other value asks for the best: names of the kernels' instruction sets are wider than AVX2.
            match std::env::var("BITVLA_ISA").as_deref() {
                Ok("scalar") => InstructionSet::Scalar,
                Ok("avx2") if best > InstructionSet::Avx2 => InstructionSet::Avx2,
                _ => best,
            }
        })
    }

    fn best_supported() -> InstructionSet {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
            {
                return InstructionSet::Avx512;
            }
            if is_x86_feature_detected!("avx2") {
                return InstructionSet::Avx2;
            }
        }
        if cfg!(any(
            target_arch = "aarch64",
            all(target_arch = "wasm32", target_feature = "simd128")
        )) {
            return InstructionSet::Registers128;
        }
        InstructionSet::Scalar
    }
}

/// Wraps a plain function; what it calls in its loops must be `#[inline(always)]`. A type parameter stands for the
/// implementation of [`F32x16`](super::simd::F32x16) that suits the instruction set.
macro_rules! multiversion {
    ($(#[$meta:meta])* $vis:vis fn $name:ident<$F:ident>($($arg:ident: $ty:ty),* $(,)?) $body:block) => {
        $(#[$meta])*
        $vis fn $name($($arg: $ty),*) {
            use $crate::render::simd;
            #[inline(always)]
            #[allow(clippy::too_many_arguments, clippy::extra_unused_type_parameters)]
            fn generic<$F: simd::F32x16>($($arg: $ty),*) $body
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
            #[allow(clippy::too_many_arguments)]
            fn avx512($($arg: $ty),*) {
                generic::<simd::Avx512>($($arg),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2")]
            #[allow(clippy::too_many_arguments)]
            fn avx2($($arg: $ty),*) {
                generic::<simd::Avx2>($($arg),*)
            }
            match $crate::render::simd_dispatch::InstructionSet::active() {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: `active` returns an instruction set that the processor reports.
                $crate::render::simd_dispatch::InstructionSet::Avx512 => unsafe { avx512($($arg),*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: as above.
                $crate::render::simd_dispatch::InstructionSet::Avx2 => unsafe { avx2($($arg),*) },
                #[cfg(any(target_arch = "aarch64", all(target_arch = "wasm32", target_feature = "simd128")))]
                $crate::render::simd_dispatch::InstructionSet::Registers128 => generic::<simd::F32x4x4>($($arg),*),
                _ => generic::<simd::Scalar>($($arg),*),
            }
        }
    };
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $body:block) => {
        $crate::render::simd_dispatch::multiversion! {
            $(#[$meta])* $vis fn $name<F>($($arg: $ty),*) $body
        }
    };
}
pub(crate) use multiversion;
