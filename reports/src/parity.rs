//! Figures of a comparison with a reference: what was measured, what was aimed at, as a table, as
//! CSV files and as JSON. It knows nothing of what is compared.

use crate::ReportError;
use crate::files::write_atomically;
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::path::Path;

/// What a figure should be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Not more than this.
    AtMost(f64),
    /// Not less than this.
    AtLeast(f64),
}

impl Target {
    /// Whether a value meets it; a value that is not a number never does.
    pub fn met(self, value: f64) -> bool {
        match self {
            Target::AtMost(most) => value <= most,
            Target::AtLeast(least) => value >= least,
        }
    }
}

/// One measured figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Which part of the comparison it belongs to.
    pub section: String,
    /// What it is.
    pub name: String,
    /// Its value in `unit`.
    pub value: f64,
    /// Unit of value and target, for example `mm` or `%`.
    pub unit: String,
    /// What is aimed at, where something is.
    pub target: Option<Target>,
    /// Over what it was measured.
    pub over: String,
}

impl Figure {
    /// Whether the target is met; `None` where there is none.
    pub fn met(&self) -> Option<bool> {
        self.target.map(|t| t.met(self.value))
    }
}

/// A table of words with a header; columns of numbers are set to the right.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Column names.
    pub header: Vec<String>,
    /// Rows, each as long as the header.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these columns.
    pub fn new(header: &[&str]) -> Table {
        Table {
            header: header.iter().map(|h| (*h).to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub fn push(&mut self, row: impl IntoIterator<Item = String>) {
        self.rows.push(row.into_iter().collect());
    }

    /// As plain text, columns two spaces apart.
    pub fn text(&self) -> String {
        let columns = self.header.len();
        let cell = |row: &[String], c: usize| row.get(c).cloned().unwrap_or_default();
        let all = || std::iter::once(&self.header).chain(&self.rows);
        let width: Vec<usize> = (0..columns)
            .map(|c| all().map(|r| cell(r, c).chars().count()).max().unwrap_or(0))
            .collect();
        let number = |text: &str| text.is_empty() || text == "-" || text.parse::<f64>().is_ok();
        let right: Vec<bool> = (0..columns)
            .map(|c| c > 0 && self.rows.iter().all(|r| number(&cell(r, c))))
            .collect();
        let mut out = String::new();
        for row in all() {
            let mut line = String::new();
            for c in 0..columns {
                let (text, w) = (cell(row, c), width[c]);
                // Writing to a string cannot fail.
                let _ = if right[c] {
                    write!(line, "{text:>w$}  ")
                } else {
                    write!(line, "{text:w$}  ")
                };
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }

    /// Writes it as CSV.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_csv(&self, path: &Path) -> Result<(), ReportError> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for row in std::iter::once(&self.header).chain(&self.rows) {
            writer
                .write_record(row)
                .map_err(|e| ReportError::format(path, e))?;
        }
        let bytes = writer
            .into_inner()
            .map_err(|e| ReportError::format(path, e.error()))?;
        write_atomically(path, &bytes)
    }
}

/// Figures with their targets and whether they are met.
pub fn figures_table(figures: &[Figure]) -> String {
    let mut table = Table::new(&["", "figure", "value", "unit", "target", "", "over"]);
    let mut last = "";
    for f in figures {
        let section = if f.section == last { "" } else { &f.section };
        last = &f.section;
        let target = match f.target {
            Some(Target::AtMost(t)) => format!("at most {}", number(t)),
            Some(Target::AtLeast(t)) => format!("at least {}", number(t)),
            None => "-".to_owned(),
        };
        let met = match f.met() {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        };
        table.push([
            section.to_owned(),
            f.name.clone(),
            number(f.value),
            f.unit.clone(),
            target,
            met.to_owned(),
            f.over.clone(),
        ]);
    }
    table.text()
}

/// Four significant digits at most, without trailing zeros; powers of ten for the very small.
pub fn number(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-3 {
        return format!("{value:.1e}");
    }
    let whole = value.abs().max(1.0).log10().floor() as usize + 1;
    let text = format!("{value:.*}", 4usize.saturating_sub(whole));
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_met_at_its_bound_and_never_by_nan() {
        assert!(Target::AtMost(1.0).met(1.0) && !Target::AtMost(1.0).met(1.1));
        assert!(Target::AtLeast(80.0).met(80.0) && !Target::AtLeast(80.0).met(79.9));
        assert!(!Target::AtLeast(0.0).met(f64::NAN) && !Target::AtMost(0.0).met(f64::NAN));
    }

    #[test]
    fn numbers_are_short() {
        let short: Vec<String> = [0.0, 1e-6, 0.25, 3.1459, 99.96, 12345.6, -2.5]
            .iter()
            .map(|v| number(*v))
            .collect();
        assert_eq!(
            short,
            ["0", "1.0e-6", "0.25", "3.146", "99.96", "12346", "-2.5"]
        );
    }

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["what", "n"]);
        table.push(["a".to_owned(), "1".to_owned()]);
        table.push(["long".to_owned(), "20".to_owned()]);
        assert_eq!(table.text(), "what   n\na      1\nlong  20\n");
    }
}
