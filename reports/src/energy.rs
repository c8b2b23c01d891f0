//! Energy of a policy: measured by the counters of the processor where they can be read, and estimated from counted operations and
//! bytes. The estimate takes the energies per operation of M. Horowitz, "Computing's energy problem (and what we can do about
//! it)", ISSCC 2014, for 45 nm at 0.9 V: it compares formats of weights, and is no forecast of what a processor of today takes.

use crate::{TERMINAL_COLUMNS, printable, wrap};
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// Addition of two 32-bit integers, pJ.
const INT32_ADDITION_PJ: f64 = 0.1;
/// Product of two 8-bit integers, pJ.
const INT8_PRODUCT_PJ: f64 = 0.2;
/// Addition in f32, pJ.
const F32_ADDITION_PJ: f64 = 0.9;
/// Product in f32, pJ.
const F32_PRODUCT_PJ: f64 = 3.7;
/// Reading a byte from DRAM, pJ: 1.3 nJ per 64 bits, the lower end of the range that is given.
const DRAM_BYTE_PJ: f64 = 1300.0 / 8.0;

/// Operations of one policy query, and the bytes of weights that it reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct QueryOperations {
    /// Products with a weight of -1, 0 or 1 and an 8-bit activation: an addition each.
    pub ternary: f64,
    /// Products of 8-bit weights and 8-bit activations, with an addition each.
    pub int8: f64,
    /// Products in f32, with an addition each; those of attention are among them.
    pub f32: f64,
    /// Bytes of weights that are read once per query.
    pub weight_bytes: u64,
}

impl QueryOperations {
    /// Estimated energy of the arithmetic, J.
    pub fn arithmetic_joules(&self) -> f64 {
        1e-12
            * (self.ternary * INT32_ADDITION_PJ
                + self.int8 * (INT8_PRODUCT_PJ + INT32_ADDITION_PJ)
                + self.f32 * (F32_PRODUCT_PJ + F32_ADDITION_PJ))
    }

    /// Estimated energy of reading all weights once from DRAM, J.
    pub fn weights_joules(&self) -> f64 {
        1e-12 * self.weight_bytes as f64 * DRAM_BYTE_PJ
    }

    /// Estimated energy of the query, J.
    pub fn joules(&self) -> f64 {
        self.arithmetic_joules() + self.weights_joules()
    }
}

/// Energy that the counters of the processor measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasuredEnergy {
    /// Counter, for example `package-0`; several are joined by a plus.
    pub source: String,
    /// Energy of the whole processor meanwhile, other programs included, J.
    pub joules: f64,
    /// Episodes of a run, physics and images included, or queries that were measured by themselves.
    pub count: usize,
}

/// Energy of a run, or of a query that is measured by itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EnergyReport {
    /// Operations of a query; `None` for a policy without a network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operations: Option<QueryOperations>,
    /// Measured energy; `None` where the counters cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<MeasuredEnergy>,
}

/// Returns the energy of a query as a table, empty where nothing is known; with `queries`, the number of queries of an episode on
/// average, also that of an episode, which is what was measured then.
pub fn energy_table(energy: &EnergyReport, queries: Option<f64>) -> String {
    let mut rows: Vec<(String, String, String)> = Vec::new();
    let of_episode = |joules: f64| queries.map_or_else(String::new, |n| format_joules(n * joules));
    if let Some(operations) = &energy.operations {
        for (name, joules) in [
            ("estimated: arithmetic", operations.arithmetic_joules()),
            ("estimated: weights from DRAM", operations.weights_joules()),
            ("estimated: both", operations.joules()),
        ] {
            rows.push((name.to_owned(), format_joules(joules), of_episode(joules)));
        }
    }
    if let Some(measured) = energy.measured.as_ref().filter(|m| m.count > 0) {
        let name = format!(
            "measured: {}, all of the processor",
            printable(&measured.source)
        );
        let joules = format_joules(measured.joules / measured.count as f64);
        rows.push(match queries {
            Some(_) => (name, String::new(), joules),
            None => (name, joules, String::new()),
        });
    }
    if rows.is_empty() {
        return String::new();
    }
    let width = rows.iter().map(|row| row.0.chars().count()).max();
    let width = width.unwrap_or(0);
    let episode = if queries.is_some() { "episode" } else { "" };
    let mut out = String::new();
    // Writing to a string cannot fail, here and below.
    let _ = writeln!(
        out,
        "{:w$}{:>12}{episode:>12}",
        "energy",
        "query",
        w = width + 2
    );
    for (name, query, episode) in &rows {
        let line = format!("  {name:width$}{query:>12}{episode:>12}");
        let _ = writeln!(out, "{}", line.trim_end());
    }
    if energy.operations.is_some() {
        let note = "Estimated from counted operations and bytes with the energies per operation of Horowitz (ISSCC 2014, 45 nm): \
                    for comparing formats, no forecast of a processor of today.";
        for line in wrap(note, TERMINAL_COLUMNS) {
            let _ = writeln!(out, "{line}");
        }
    }
    out
}

/// An energy with three digits and a unit.
pub fn format_joules(joules: f64) -> String {
    let (scale, unit) = match joules.abs() {
        j if j >= 1.0 => (1.0, "J"),
        j if j >= 1e-3 => (1e3, "mJ"),
        j if j >= 1e-6 => (1e6, "µJ"),
        _ => (1e9, "nJ"),
    };
    let value = joules * scale;
    let digits = match value.abs() {
        v if v >= 99.95 => 0,
        v if v >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    //! Guarantee: the estimate is the sum that its source gives, and a policy without numbers gets no table.
    use super::*;

    #[test]
    fn the_estimate_is_the_sum_of_its_parts() {
        let operations = QueryOperations {
            ternary: 1e6,
            int8: 2e6,
            f32: 3e6,
            weight_bytes: 8000,
        };
        let arithmetic = 1e-12 * (1e6 * 0.1 + 2e6 * 0.3 + 3e6 * 4.6);
        assert!((operations.arithmetic_joules() / arithmetic - 1.0).abs() < 1e-12);
        assert!((operations.weights_joules() / 1.3e-6 - 1.0).abs() < 1e-12);
        let report = EnergyReport {
            operations: Some(operations),
            measured: Some(MeasuredEnergy {
                source: "package-0".into(),
                joules: 120.0,
                count: 10,
            }),
        };
        let table = energy_table(&report, Some(10.0));
        for words in ["14.5 µJ", "145 µJ", "1.30 µJ", "package-0", "12.0 J"] {
            assert!(table.contains(words), "`{words}` is not in\n{table}");
        }
        // The measured energy of a query that was measured by itself.
        let table = energy_table(&report, None);
        assert!(
            table.contains("12.0 J") && !table.contains("145"),
            "{table}"
        );
        assert_eq!(energy_table(&EnergyReport::default(), None), "");
    }
}
