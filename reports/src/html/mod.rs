//! The report as one HTML file: it needs no network and no other file, and reads without JavaScript.
//!
//! [`page`] collects what is shown; `report.html` is a minijinja template with escaping on, because names of suites,
//! instructions and errors come from files of other people. A content security policy in the page allows the one script that
//! is part of it, by its hash, images inside the file, with a [`replay`] the worker that is made from the file and its module, and nothing else.

mod page;
mod protocol_card;
pub(crate) mod replay;
mod resources;
mod scores;
mod tasks;

use crate::{Report, ReportError};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};
use sha2::{Digest, Sha256};
use std::path::Path;

const TEMPLATE: &str = include_str!("report.html");
const REPLAY_TEMPLATE: &str = include_str!("replay.html");
const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = include_str!("report.js");

/// Returns a report as HTML; the same report gives the same bytes.
///
/// # Errors
/// If a plot cannot be drawn.
pub fn html_report(report: &Report) -> Result<String, ReportError> {
    let page = page::Page::of(report)?;
    let failed = |e: minijinja::Error| ReportError::format(Path::new("report.html"), e);
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    // A name that the page lacks is an error, not empty text.
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()
        .map_err(failed)?;
    environment.set_syntax(syntax);
    environment
        .add_template("report.html", TEMPLATE)
        .map_err(failed)?;
    environment
        .add_template("replay.html", REPLAY_TEMPLATE)
        .map_err(failed)?;
    let player = report.replay.is_some();
    let script = [SCRIPT, if player { replay::SCRIPT } else { "" }].concat();
    let style = [STYLE, if player { replay::STYLE } else { "" }].concat();
    let template = environment.get_template("report.html").map_err(failed)?;
    template
        .render(minijinja::context! {
            page => Value::from(Serde(page)),
            style => style,
            script_hash => base64(&Sha256::digest(&script)),
            script => script,
        })
        .map_err(failed)
}

/// Bytes in base64 with padding (RFC 4648, section 4).
pub(crate) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let of = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let bits = of(0) << 16 | of(1) << 8 | of(2);
        for digit in 0..4 {
            let at = (bits >> (18 - 6 * digit)) as usize % 64;
            out.push(match digit > chunk.len() {
                true => '=',
                false => char::from(DIGITS[at]),
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    //! Guarantee: base64 is that of RFC 4648, and every colour of a plot has its counterpart on a dark page.
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        let cases = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, coded) in cases {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn a_dark_page_replaces_every_colour_of_a_plot() {
        for color in crate::plots::svg_colors() {
            let rule = format!("[fill=\"{color}\"]");
            assert!(STYLE.contains(&rule), "{rule} is not in report.css");
        }
    }
}
