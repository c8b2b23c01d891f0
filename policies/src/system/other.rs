//! macOS, Windows and the rest: what `sysinfo` knows. It has no largest resident set.

use sysinfo::{CpuRefreshKind, MemoryRefreshKind, ProcessRefreshKind, ProcessesToUpdate, System};

/// Brand of the first processor.
pub(super) fn processor() -> Option<String> {
    let mut system = System::new();
    system.refresh_cpu_list(CpuRefreshKind::nothing());
    system.cpus().first().map(|cpu| cpu.brand().to_owned())
}

/// Memory that is available, from the system.
pub(super) fn available_bytes() -> Option<u64> {
    let mut system = System::new();
    system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
    Some(system.available_memory()).filter(|bytes| *bytes > 0)
}

/// Resident set of this process.
pub(super) fn resident_bytes() -> Option<u64> {
    let id = sysinfo::get_current_pid().ok()?;
    let mut system = System::new();
    let only = ProcessesToUpdate::Some(&[id]);
    system.refresh_processes_specifics(only, false, ProcessRefreshKind::nothing().with_memory());
    system.process(id).map(|process| process.memory())
}

/// Unknown.
pub(super) fn peak_resident_bytes() -> Option<u64> {
    None
}
