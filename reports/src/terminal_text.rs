//! Text for a terminal: no control character of a file reaches it raw, and lines fit its width.

use std::borrow::Cow;

/// Columns that every table fits.
pub const TERMINAL_COLUMNS: usize = 80;

/// Returns a text with every control character but the line break written out, as `\u{1b}` for an escape: a text that comes
/// from a file cannot move the cursor, change colours or set a title. Marks that reverse the direction of writing are
/// written out, too.
///
/// ```
/// use bitvla_reports::printable;
/// assert_eq!(printable("a\u{1b}[2Jb\n"), "a\\u{1b}[2Jb\n");
/// ```
pub fn printable(text: &str) -> Cow<'_, str> {
    let raw = |c: char| {
        let directional = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        (c.is_control() && c != '\n') || directional
    };
    if !text.contains(raw) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => out.push(' '),
            c if raw(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Breaks a text between words into lines of at most `width` characters; a longer word is cut.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    if text.chars().count() <= width {
        return vec![text.to_owned()];
    }
    let mut lines: Vec<String> = Vec::new();
    let mut free = 0;
    for word in text.split_whitespace() {
        let mut rest = word;
        let mut length = rest.chars().count();
        if length < free
            && let Some(line) = lines.last_mut()
        {
            line.push(' ');
            line.push_str(rest);
            free -= length + 1;
            continue;
        }
        while length > width {
            let cut = rest
                .char_indices()
                .nth(width)
                .map_or(rest.len(), |(at, _)| at);
            lines.push(rest[..cut].to_owned());
            rest = &rest[cut..];
            length -= width;
        }
        lines.push(rest.to_owned());
        free = width - length;
    }
    lines
}

#[cfg(test)]
mod tests {
    //! Guarantee: a line keeps its width, no word is lost, and no control character is left.
    use super::*;

    #[test]
    fn words_are_kept_and_lines_fit() {
        let text = "put the yellow and white mug in the microwave and close it";
        for width in 1..70 {
            let lines = wrap(text, width);
            assert!(lines.iter().all(|line| line.chars().count() <= width));
            let letters = |t: &str| t.replace(' ', "");
            assert_eq!(letters(&lines.concat()), letters(text));
        }
        assert_eq!(wrap("a bb ccc", 4), ["a bb", "ccc"]);
        assert_eq!(wrap("", 4), [""]);
    }

    #[test]
    fn no_control_character_is_left() {
        let text = printable("\u{1b}]0;title\u{7}\r\u{9b}2J\u{202e}\tend\n").into_owned();
        assert!(
            !text.contains(|c: char| c.is_control() && c != '\n'),
            "{text}"
        );
        assert!(text.contains("\\u{1b}]0;title\\u{7}") && text.ends_with(" end\n"));
        assert!(matches!(printable("plain, grün\n"), Cow::Borrowed(_)));
    }
}
