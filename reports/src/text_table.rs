//! Tables of text cells, written as aligned plain text and as CSV.

use crate::ReportError;
use crate::text_files::write_csv_records;
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::path::Path;

/// A table of text cells with a header; columns of numbers are aligned to the right.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TextTable {
    /// Column names.
    pub header: Vec<String>,
    /// Rows, each as long as the header.
    pub rows: Vec<Vec<String>>,
}

impl TextTable {
    /// Builds an empty table with these columns.
    pub fn new(header: &[&str]) -> TextTable {
        TextTable {
            header: header.iter().map(|h| (*h).to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    /// Appends a row.
    pub fn push(&mut self, row: impl IntoIterator<Item = String>) {
        self.rows.push(row.into_iter().collect());
    }

    /// Returns it as plain text, columns two spaces apart.
    pub fn text(&self) -> String {
        let columns = self.header.len();
        // A row that is shorter than the header ends in empty cells.
        let cell = |row: &'_ [String], c: usize| row.get(c).cloned().unwrap_or_default();
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
    /// If a row has another length than the header, or the file cannot be written.
    pub fn write_csv(&self, path: &Path) -> Result<(), ReportError> {
        let rows = std::iter::once(&self.header).chain(&self.rows);
        write_csv_records(path, |writer| {
            rows.into_iter()
                .try_for_each(|row| writer.write_record(row))
        })
    }
}

#[cfg(test)]
mod tests {
    //! Guarantee: columns of a table line up.
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = TextTable::new(&["what", "n"]);
        table.push(["a".to_owned(), "1".to_owned()]);
        table.push(["long".to_owned(), "20".to_owned()]);
        assert_eq!(table.text(), "what   n\na      1\nlong  20\n");
    }
}
