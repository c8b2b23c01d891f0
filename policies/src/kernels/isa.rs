//! The instruction sets of the kernels and the choice among them.

use std::sync::OnceLock;

/// Compiles a plain function once per vector width and calls the version of the active instruction set. The compiler
/// neither fuses (except where the code says so) nor reorders float operations, so every version gives the same bits.
///
/// ```
/// bitvla_policies::multiversion! {
///     /// Adds `x` to `y`.
///     pub fn add(x: &[f32], y: &mut [f32]) {
///         for (y, x) in y.iter_mut().zip(x) {
///             *y += x;
///         }
///     }
/// }
/// let mut y = [1.0, 2.0];
/// add(&[0.5, 0.25], &mut y);
/// assert_eq!(y, [1.5, 2.25]);
/// ```
#[macro_export]
macro_rules! multiversion {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn portable($($arg: $ty),*) $(-> $ret)? $body
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,fma")]
            fn avx512($($arg: $ty),*) $(-> $ret)? {
                portable($($arg),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($arg: $ty),*) $(-> $ret)? {
                portable($($arg),*)
            }
            match $crate::kernels::Isa::active() {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: the active instruction set is one that this processor has.
                $crate::kernels::Isa::Avx512Vnni => unsafe { avx512($($arg),*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: as above.
                $crate::kernels::Isa::Avx2 | $crate::kernels::Isa::AvxVnni => unsafe { avx2($($arg),*) },
                _ => portable($($arg),*),
            }
        }
    };
}

/// Instruction set of the kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// Plain Rust.
    Scalar,
    /// AVX2 and FMA.
    Avx2,
    /// AVX2 and FMA with byte dot products (VNNI in its 256-bit encoding).
    AvxVnni,
    /// AVX-512 with VNNI.
    Avx512Vnni,
    /// NEON.
    Neon,
    /// NEON with byte dot products.
    DotProd,
    /// NEON with byte matrix products.
    I8mm,
}

/// All of them, those of a processor from the slowest to the fastest.
const ALL: [Isa; 7] = [
    Isa::Scalar,
    Isa::Avx2,
    Isa::AvxVnni,
    Isa::Avx512Vnni,
    Isa::Neon,
    Isa::DotProd,
    Isa::I8mm,
];

impl Isa {
    /// Every instruction set that this processor has, slowest first.
    pub fn available() -> Vec<Isa> {
        ALL.into_iter().filter(|isa| isa.supported()).collect()
    }

    /// True if this processor has the instruction set.
    pub fn supported(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = || is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            match self {
                Isa::Scalar => true,
                Isa::Avx2 => avx2(),
                Isa::AvxVnni => avx2() && is_x86_feature_detected!("avxvnni"),
                Isa::Avx512Vnni => {
                    avx2()
                        && is_x86_feature_detected!("avx512f")
                        && is_x86_feature_detected!("avx512bw")
                        && is_x86_feature_detected!("avx512vnni")
                }
                Isa::Neon | Isa::DotProd | Isa::I8mm => false,
            }
        }
        #[cfg(target_arch = "aarch64")]
        {
            use std::arch::is_aarch64_feature_detected;
            match self {
                Isa::Scalar => true,
                Isa::Neon => is_aarch64_feature_detected!("neon"),
                Isa::DotProd => is_aarch64_feature_detected!("dotprod"),
                Isa::I8mm => is_aarch64_feature_detected!("i8mm"),
                Isa::Avx2 | Isa::AvxVnni | Isa::Avx512Vnni => false,
            }
        }
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        {
            self == Isa::Scalar
        }
    }

    /// Name as in `BITVLA_ISA`.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Scalar => "scalar",
            Isa::Avx2 => "avx2",
            Isa::AvxVnni => "avxvnni",
            Isa::Avx512Vnni => "avx512vnni",
            Isa::Neon => "neon",
            Isa::DotProd => "dotprod",
            Isa::I8mm => "i8mm",
        }
    }

    /// The instruction set of a name.
    ///
    /// # Errors
    /// A sentence with the names that there are.
    pub fn from_name(name: &str) -> Result<Self, String> {
        let found = ALL.into_iter().find(|isa| isa.name() == name);
        found.ok_or_else(|| format!("expected one of {}", ALL.map(Isa::name).join(", ")))
    }

    /// Refuses a `BITVLA_ISA` that is the name of no instruction set.
    ///
    /// # Errors
    /// A sentence with the names that there are.
    pub fn check_environment() -> Result<(), String> {
        let Some(wanted) = std::env::var_os("BITVLA_ISA") else {
            return Ok(());
        };
        let wanted = wanted.to_string_lossy();
        Isa::from_name(&wanted).map_err(|e| format!("BITVLA_ISA={wanted}: {e}"))?;
        Ok(())
    }

    /// The instruction set in use: the one that `BITVLA_ISA` names, else the fastest. A name that this processor does not
    /// have is reported on standard error and replaced by the fastest, since results do not depend on it.
    pub fn active() -> Isa {
        static ACTIVE: OnceLock<Isa> = OnceLock::new();
        *ACTIVE.get_or_init(|| {
            let available = Isa::available();
            let fastest = available.last().copied().unwrap_or(Isa::Scalar);
            match std::env::var("BITVLA_ISA") {
                Ok(wanted) => available.into_iter().find(|isa| isa.name() == wanted).unwrap_or_else(|| {
                    eprintln!("BITVLA_ISA={wanted} is not an instruction set of this processor, using {}", fastest.name());
                    fastest
                }),
                Err(_) => fastest,
            }
        })
    }
}
