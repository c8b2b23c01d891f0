//! Linux: the files of `/proc` and of the control group.

use std::fs;

/// `model name` of the first processor; on ARM, which has none, the name that belongs to its implementer and part number.
pub(super) fn processor() -> Option<String> {
    let info = fs::read_to_string("/proc/cpuinfo").ok()?;
    let field = |name: &str| {
        info.lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| key.trim() == name)
            .map(|(_, value)| value.trim().to_owned())
    };
    field("model name").or_else(|| {
        let (implementer, part) = (field("CPU implementer")?, field("CPU part")?);
        Some(arm_part(&implementer, &part).map_or_else(
            || format!("ARM processor, implementer {implementer}, part {part}"),
            str::to_owned,
        ))
    })
}

/// Name of the processor of a robot or a server by the implementer and the part number of its `MIDR_EL1` register (Arm
/// Architecture Reference Manual, D24.2; the numbers are those of the technical reference manuals).
fn arm_part(implementer: &str, part: &str) -> Option<&'static str> {
    Some(match (implementer, part) {
        ("0x41", "0xd03") => "Cortex-A53",
        ("0x41", "0xd05") => "Cortex-A55",
        ("0x41", "0xd07") => "Cortex-A57",
        ("0x41", "0xd08") => "Cortex-A72",
        ("0x41", "0xd09") => "Cortex-A73",
        ("0x41", "0xd0a") => "Cortex-A75",
        ("0x41", "0xd0b") => "Cortex-A76",
        ("0x41", "0xd0c") => "Neoverse-N1",
        ("0x41", "0xd0d") => "Cortex-A77",
        ("0x41", "0xd40") => "Neoverse-V1",
        ("0x41", "0xd41") => "Cortex-A78",
        ("0x41", "0xd42") => "Cortex-A78AE",
        ("0x41", "0xd44") => "Cortex-X1",
        ("0x41", "0xd47") => "Cortex-A710",
        ("0x41", "0xd49") => "Neoverse-N2",
        ("0x41", "0xd4f") => "Neoverse-V2",
        _ => return None,
    })
}

/// `MemAvailable`, or the limit of the control group if that is less.
pub(super) fn available_bytes() -> Option<u64> {
    let system = kib_of("/proc/meminfo", "MemAvailable:");
    // Pages of files count as used there and are given back under pressure, so the limit itself is the bound.
    let group = fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let group = group.and_then(|text| text.trim().parse().ok());
    [system, group].into_iter().flatten().min()
}

/// `VmRSS`.
pub(super) fn resident_bytes() -> Option<u64> {
    kib_of("/proc/self/status", "VmRSS:")
}

/// `VmHWM`.
pub(super) fn peak_resident_bytes() -> Option<u64> {
    kib_of("/proc/self/status", "VmHWM:")
}

/// The number of KiB after `name` at the beginning of a line, in bytes.
fn kib_of(path: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = rest.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    //! Guarantee: the boards that the documentation names are known by their part number.
    use super::*;

    #[test]
    fn boards_are_known() {
        assert_eq!(arm_part("0x41", "0xd0b"), Some("Cortex-A76")); // Raspberry Pi 5
        assert_eq!(arm_part("0x41", "0xd42"), Some("Cortex-A78AE")); // Jetson Orin
        assert_eq!(arm_part("0x61", "0x022"), None);
    }
}
