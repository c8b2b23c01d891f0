//! What the operating system says of the machine and of this process, one module per system behind one set of functions.
//! Nothing here reaches a result: these are figures of a run's card and of its costs.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;

#[cfg(target_os = "linux")]
use linux as current;
#[cfg(not(target_os = "linux"))]
use other as current;

use std::time::Duration;

/// Name of the processor, for example `AMD EPYC 9B14` or `Cortex-A76`; `unknown` where the system does not tell.
pub fn processor() -> String {
    let name = current::processor().unwrap_or_default();
    match name.trim() {
        "" => "unknown".to_owned(),
        name => name.to_owned(),
    }
}

/// Instruction sets of the processor that matter for the kernels, as Rust names them.
pub fn processor_features() -> Vec<String> {
    #[cfg(target_arch = "x86_64")]
    let known = [
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("avx512bw", is_x86_feature_detected!("avx512bw")),
        ("avx512vnni", is_x86_feature_detected!("avx512vnni")),
        ("avxvnni", is_x86_feature_detected!("avxvnni")),
    ];
    #[cfg(target_arch = "aarch64")]
    let known = [
        ("neon", std::arch::is_aarch64_feature_detected!("neon")),
        (
            "dotprod",
            std::arch::is_aarch64_feature_detected!("dotprod"),
        ),
        ("i8mm", std::arch::is_aarch64_feature_detected!("i8mm")),
        ("sve", std::arch::is_aarch64_feature_detected!("sve")),
    ];
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let known: [(&str, bool); 0] = [];
    known
        .into_iter()
        .filter(|(_, there)| *there)
        .map(|(name, _)| name.to_owned())
        .collect()
}

/// Memory that a program can still take, bytes: the least of what the system and the limit of its control group leave; none
/// where neither says.
pub fn available_bytes() -> Option<u64> {
    current::available_bytes()
}

/// Resident set of this process, bytes; 0 where the system does not tell.
pub fn resident_bytes() -> u64 {
    current::resident_bytes().unwrap_or(0)
}

/// Largest resident set of this process so far, bytes; 0 where the system does not tell.
pub fn peak_resident_bytes() -> u64 {
    current::peak_resident_bytes().unwrap_or(0)
}

/// Processor time of this thread so far; none where the system does not tell.
pub fn thread_time() -> Option<Duration> {
    #[cfg(unix)]
    {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::try_from(now).ok()
    }
    #[cfg(not(unix))]
    None
}

#[cfg(test)]
mod tests {
    //! Guarantee: on the systems of the developers each figure is known and plausible.
    use super::*;

    #[test]
    fn the_system_tells() {
        assert!(!processor().is_empty());
        assert!(available_bytes().is_none_or(|bytes| bytes > 0));
        if cfg!(target_os = "linux") {
            let (now, peak) = (resident_bytes(), peak_resident_bytes());
            assert!(now > 100_000 && peak >= now, "{now} of at most {peak}");
            assert!(thread_time().is_some());
        }
    }
}
