//! Energy counters of the processor (Linux powercap, RAPL): `energy_uj` of every package, which counts up to
//! `max_energy_range_uj` and begins again.

use bitvla_reports::MeasuredEnergy;
use std::fs;
use std::path::{Path, PathBuf};

/// Folder of the counters of Linux.
const POWERCAP: &str = "/sys/class/powercap";

/// Counters that can be read, and their values at the beginning.
pub(crate) struct EnergyCounters {
    zones: Vec<Zone>,
}

struct Zone {
    name: String,
    counter: PathBuf,
    /// Value after which the counter begins again, µJ.
    range: u64,
    /// Value at the last reading, µJ.
    last: u64,
    /// Energy since the beginning, µJ.
    sum: u64,
}

impl EnergyCounters {
    /// The packages of this machine; none where the system has no such counters, or lets only an administrator read them.
    pub(crate) fn start() -> EnergyCounters {
        EnergyCounters::start_in(Path::new(POWERCAP))
    }

    fn start_in(dir: &Path) -> EnergyCounters {
        let entries = fs::read_dir(dir).map(|entries| entries.flatten().map(|e| e.path()));
        let mut zones: Vec<Zone> = entries.map_or_else(
            |_| Vec::new(),
            |e| e.filter_map(|zone| Zone::open(&zone)).collect(),
        );
        zones.sort_by(|a, b| a.counter.cmp(&b.counter));
        EnergyCounters { zones }
    }

    /// Reads the counters; to be called more often than they begin again, which takes minutes at full load.
    pub(crate) fn update(&mut self) {
        self.zones
            .iter_mut()
            .for_each(|zone| zone.sum += zone.passed());
    }

    /// Reads the counters; what has passed since the last reading does not count.
    pub(crate) fn skip(&mut self) {
        for zone in &mut self.zones {
            zone.passed();
        }
    }

    /// Energy up to the last reading, in which `count` episodes or queries were done; `None` without counters.
    pub(crate) fn measured(&self, count: usize) -> Option<MeasuredEnergy> {
        if self.zones.is_empty() {
            return None;
        }
        let names: Vec<&str> = self.zones.iter().map(|zone| zone.name.as_str()).collect();
        Some(MeasuredEnergy {
            source: names.join(" + "),
            joules: 1e-6 * self.zones.iter().map(|zone| zone.sum as f64).sum::<f64>(),
            count,
        })
    }
}

impl Zone {
    /// Energy since the last reading, µJ; 0 for a counter that has become unreadable.
    fn passed(&mut self) -> u64 {
        let Some(now) = number(&self.counter) else {
            return 0;
        };
        let last = std::mem::replace(&mut self.last, now);
        match now.checked_sub(last) {
            Some(passed) => passed,
            None => self.range.saturating_sub(last) + now,
        }
    }

    /// A zone that counts a whole package; cores and memory are parts of one.
    fn open(dir: &Path) -> Option<Zone> {
        let name = fs::read_to_string(dir.join("name")).ok()?.trim().to_owned();
        if !name.starts_with("package-") {
            return None;
        }
        let counter = dir.join("energy_uj");
        Some(Zone {
            name,
            range: number(&dir.join("max_energy_range_uj"))?,
            last: number(&counter)?,
            counter,
            sum: 0,
        })
    }
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    //! Guarantee: packages are summed over the point where a counter begins again; zones that are no package, or cannot be read, do not
    //! count.
    use super::*;

    fn zone(dir: &Path, (folder, name): (&str, &str), energy: &str) {
        let dir = dir.join(folder);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("name"), format!("{name}\n")).unwrap();
        fs::write(dir.join("energy_uj"), format!("{energy}\n")).unwrap();
        fs::write(dir.join("max_energy_range_uj"), "1000000\n").unwrap();
    }

    #[test]
    fn packages_are_summed() {
        let dir = tempfile::tempdir().unwrap();
        let first = ("intel-rapl:0", "package-0");
        let second = ("intel-rapl:1", "package-1");
        zone(dir.path(), first, "900000");
        zone(dir.path(), second, "5");
        zone(dir.path(), ("intel-rapl:0:0", "core"), "1");
        zone(dir.path(), ("intel-rapl:2", "package-2"), "not a number");
        let mut counters = EnergyCounters::start_in(dir.path());
        zone(dir.path(), first, "100000");
        counters.update();
        zone(dir.path(), first, "150000");
        zone(dir.path(), second, "10");
        counters.update();
        zone(dir.path(), second, "20");
        counters.skip();
        let measured = counters.measured(3).unwrap();
        assert_eq!(measured.source, "package-0 + package-1");
        assert!((measured.joules - 0.250005).abs() < 1e-9, "{measured:?}");
        assert_eq!(measured.count, 3);
        let nowhere = dir.path().join("nowhere");
        assert!(EnergyCounters::start_in(&nowhere).measured(3).is_none());
    }
}
