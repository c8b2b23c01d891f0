//! Compiles a hot loop once per instruction set and calls the best one that the processor has.
//! Nothing is fused or reordered by that, so every version gives the same bytes; `BITVLA_ISA`
//! (`scalar`, `avx2`, `avx512vnni`, as for the policy's kernels) picks a slower one.

use std::sync::OnceLock;

/// How wide the loops are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub(crate) enum Width {
    Plain,
    Avx2,
    Avx512,
}

impl Width {
    /// The one in use.
    pub(crate) fn active() -> Width {
        static ACTIVE: OnceLock<Width> = OnceLock::new();
        *ACTIVE.get_or_init(|| {
            let widest = Width::widest();
            match std::env::var("BITVLA_ISA").as_deref() {
                Ok("scalar") => Width::Plain,
                Ok("avx2") if widest > Width::Avx2 => Width::Avx2,
                _ => widest,
            }
        })
    }

    fn widest() -> Width {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
            {
                return Width::Avx512;
            }
            if is_x86_feature_detected!("avx2") {
                return Width::Avx2;
            }
        }
        Width::Plain
    }
}

/// Wraps a plain function; what it calls in its loops must be `#[inline(always)]`. With a type
/// parameter, that is the kind of [`Wide`](super::simd::Wide) numbers that suits the processor.
macro_rules! multiversion {
    ($(#[$meta:meta])* $vis:vis fn $name:ident<$F:ident>($($arg:ident: $ty:ty),* $(,)?) $body:block) => {
        $(#[$meta])*
        $vis fn $name($($arg: $ty),*) {
            use $crate::render::simd;
            #[inline(always)]
            #[allow(clippy::too_many_arguments, clippy::extra_unused_type_parameters)]
            fn any<$F: simd::Wide>($($arg: $ty),*) $body
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
            #[allow(clippy::too_many_arguments)]
            fn wide($($arg: $ty),*) {
                any::<simd::Avx512>($($arg),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2")]
            #[allow(clippy::too_many_arguments)]
            fn middle($($arg: $ty),*) {
                any::<simd::Avx2>($($arg),*)
            }
            match $crate::render::isa::Width::active() {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: the active width is one that the processor was asked for.
                $crate::render::isa::Width::Avx512 => unsafe { wide($($arg),*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: as above.
                $crate::render::isa::Width::Avx2 => unsafe { middle($($arg),*) },
                _ => any::<simd::Plain>($($arg),*),
            }
        }
    };
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $body:block) => {
        $crate::render::isa::multiversion! {
            $(#[$meta])* $vis fn $name<F>($($arg: $ty),*) $body
        }
    };
}
pub(crate) use multiversion;
