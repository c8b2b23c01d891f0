//! Tables of text cells, written as aligned plain text and as CSV.

use crate::ReportError;
use crate::terminal_text::{TERMINAL_COLUMNS, wrap};
use crate::text_files::write_csv_records;
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::path::Path;

/// Least width that a column of words is narrowed to.
const NARROWEST: usize = 8;

/// Cell of a row; a row that is shorter than the header ends in empty cells.
fn cell(row: &[String], column: usize) -> &str {
    row.get(column).map_or("", String::as_str)
}

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

    /// Returns it as plain text, columns two spaces apart, [`TERMINAL_COLUMNS`] wide at most: the widest columns of words are
    /// narrowed and their cells continue on the next lines.
    pub fn text(&self) -> String {
        self.text_within(TERMINAL_COLUMNS)
    }

    /// As [`TextTable::text`], with another width.
    pub fn text_within(&self, columns: usize) -> String {
        let number = |text: &str| text.is_empty() || text == "-" || text.parse::<f64>().is_ok();
        let right: Vec<bool> = (0..self.header.len())
            .map(|c| c > 0 && self.rows.iter().all(|r| number(cell(r, c))))
            .collect();
        let widths = self.widths(&right, columns);
        let mut out = String::new();
        for row in std::iter::once(&self.header).chain(&self.rows) {
            let cells: Vec<Vec<String>> = widths
                .iter()
                .enumerate()
                .map(|(c, width)| wrap(cell(row, c), *width))
                .collect();
            let height = cells.iter().map(Vec::len).max().unwrap_or(0);
            for k in 0..height {
                let mut line = String::new();
                for ((text, w), right) in cells.iter().zip(&widths).zip(&right) {
                    let text = text.get(k).map_or("", String::as_str);
                    // Writing to a string cannot fail.
                    let _ = match right {
                        true => write!(line, "{text:>w$}  "),
                        false => write!(line, "{text:w$}  "),
                    };
                }
                out.push_str(line.trim_end());
                out.push('\n');
            }
        }
        out
    }

    /// Width of each column: that of its longest cell, less where the table would be wider than `columns`.
    fn widths(&self, right: &[bool], columns: usize) -> Vec<usize> {
        let all = || std::iter::once(&self.header).chain(&self.rows);
        let longest = |c: usize| all().map(|r| cell(r, c).chars().count()).max().unwrap_or(0);
        let mut widths: Vec<usize> = (0..right.len()).map(longest).collect();
        let gaps = 2 * widths.len().saturating_sub(1);
        while widths.iter().sum::<usize>() + gaps > columns {
            let candidates = widths.iter_mut().zip(right).rev();
            let words = candidates.filter(|(width, right)| !**right && **width > NARROWEST);
            let Some((widest, _)) = words.max_by_key(|(width, _)| **width) else {
                break;
            };
            *widest -= 1;
        }
        widths
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
    //! Guarantee: columns of a table line up, and a table of long words fits 80 columns without losing one.
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = TextTable::new(&["what", "n"]);
        table.push(["a".to_owned(), "1".to_owned()]);
        table.push(["long".to_owned(), "20".to_owned()]);
        assert_eq!(table.text(), "what   n\na      1\nlong  20\n");
    }

    #[test]
    fn a_wide_table_fits_the_terminal() {
        let mut table = TextTable::new(&["task", "instruction", "successes", "remark"]);
        let long =
            "pick up the black bowl between the plate and the ramekin and place it on the plate";
        table.push([
            "0".into(),
            long.into(),
            "17".into(),
            "3 harness errors".into(),
        ]);
        let text = table.text();
        assert!(
            text.lines()
                .all(|line| line.chars().count() <= TERMINAL_COLUMNS),
            "{text}"
        );
        for word in long.split(' ') {
            assert!(text.contains(word), "`{word}` is not in {text}");
        }
    }
}
