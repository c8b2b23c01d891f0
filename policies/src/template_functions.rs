//! What chat templates of the Python library have beyond Jinja: `{% generation %}`, `raise_exception` and `strftime_now`.
//!
//! `strftime_now` gives a fixed day, 26 July 2024, midnight: the one that the published Llama templates print where there is
//! no clock. A prompt, and with it an episode, would otherwise depend on the day of the run.

use minijinja::{Error, ErrorKind};

/// Ends a template with its own words.
pub fn raise_exception(what: &str) -> Result<String, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, what.to_owned()))
}

/// The fixed day in a format of C's `strftime`.
///
/// # Errors
/// Names a conversion that is not known.
pub fn strftime_now(format: &str) -> Result<String, Error> {
    let mut out = String::new();
    let mut rest = format.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut code = rest.next();
        let bare = code == Some('-');
        if bare {
            code = rest.next();
        }
        let text = match code {
            Some('Y') => "2024",
            Some('y') => "24",
            Some('m') => "07",
            Some('B') => "July",
            Some('b' | 'h') => "Jul",
            Some('d' | 'e') => "26",
            Some('j') => "208",
            Some('A') => "Friday",
            Some('a') => "Fri",
            Some('u' | 'w') => "5",
            Some('H' | 'M' | 'S') => "00",
            Some('I') => "12",
            Some('p') => "AM",
            Some('F') => "2024-07-26",
            Some('T' | 'X') => "00:00:00",
            Some('D' | 'x') => "07/26/24",
            Some('c') => "Fri Jul 26 00:00:00 2024",
            Some('f') => "000000",
            Some('Z' | 'z') => "",
            Some('%') => "%",
            other => {
                let code = other.map_or(String::new(), |c| c.to_string());
                let what = format!("strftime_now: %{code} is not known");
                return Err(Error::new(ErrorKind::InvalidOperation, what));
            }
        };
        // Without leading zeros.
        let short = text.trim_start_matches('0');
        out.push_str(match bare {
            true if short.is_empty() && !text.is_empty() => "0",
            true => short,
            false => text,
        });
    }
    Ok(out)
}

/// A template with its tags `generation` and `endgeneration` replaced by a condition that holds: they mark text for
/// training and print what is between them. Comments, texts and raw blocks stay as they are.
pub fn without_generation_tags(template: &str) -> String {
    let replace = |piece: &str| match word_of(piece) {
        Some("generation") => piece.replace("generation", "if true"),
        Some("endgeneration") => piece.replace("endgeneration", "endif"),
        _ => piece.to_owned(),
    };
    pieces(template).into_iter().map(replace).collect()
}

/// Length of the longest tag without the contents of its texts, bytes. The time to compile a tag grows with its square.
pub fn longest_tag(template: &str) -> usize {
    let length = |piece: &str| {
        let mut quote = None;
        let mut bytes = piece.bytes();
        let mut count = 0;
        while let Some(byte) = bytes.next() {
            match quote {
                None if matches!(byte, b'"' | b'\'') => quote = Some(byte),
                None => count += 1,
                Some(_) if byte == b'\\' => _ = bytes.next(),
                Some(open) if open == byte => quote = None,
                Some(_) => {}
            }
        }
        count
    };
    let tags = pieces(template).into_iter();
    let tags = tags.filter(|piece| piece.starts_with("{{") || piece.starts_with("{%"));
    tags.map(length).max().unwrap_or(0)
}

/// The word of a tag `{% word %}`.
fn word_of(piece: &str) -> Option<&str> {
    let tag = piece.strip_prefix("{%")?.strip_suffix("%}")?;
    Some(tag.trim_matches(['-', '+']).trim())
}

/// A template cut into its tags, comments and the texts between them, raw blocks being texts.
fn pieces(template: &str) -> Vec<&str> {
    let mut all = Vec::new();
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        let (text, tag) = rest.split_at(at);
        let end = match tag.as_bytes().get(1) {
            Some(b'#') => tag.find("#}").map(|end| end + 2),
            Some(b'{') => end_of_tag(tag, "}}"),
            Some(b'%') => end_of_tag(tag, "%}"),
            _ => Some(1),
        };
        let (tag, behind) = tag.split_at(end.unwrap_or(tag.len()));
        all.extend([text, tag]);
        rest = behind;
        if word_of(tag) == Some("raw") {
            let end = rest.find("endraw").unwrap_or(rest.len());
            let (raw, behind) = rest.split_at(end);
            all.push(raw);
            rest = behind;
        }
    }
    all.push(rest);
    all
}

/// Bytes of a tag up to its end outside of texts.
fn end_of_tag(tag: &str, end: &str) -> Option<usize> {
    let bytes = tag.as_bytes();
    let mut quote = None;
    let mut i = 2;
    while i < bytes.len() {
        match (quote, bytes[i]) {
            (None, _) if tag.as_bytes()[i..].starts_with(end.as_bytes()) => return Some(i + 2),
            (None, q @ (b'"' | b'\'')) => quote = Some(q),
            (Some(_), b'\\') => i += 1,
            (Some(open), q) if open == q => quote = None,
            _ => {}
        }
        i += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    //! Guarantee: tags of training print their contents, and a template sees the same day whenever it runs.
    use super::*;

    #[test]
    fn generation_tags_become_conditions() {
        for (template, wanted) in [
            (
                "a{% generation %}b{% endgeneration %}c",
                "a{% if true %}b{% endif %}c",
            ),
            (
                "{%- generation -%} b {%-endgeneration-%}",
                "{%- if true -%} b {%-endif-%}",
            ),
            (
                "{# {% generation %} #}{{ '{% generation %}' }}",
                "{# {% generation %} #}{{ '{% generation %}' }}",
            ),
            (
                "{% raw %}{% generation %}{% endraw %}",
                "{% raw %}{% generation %}{% endraw %}",
            ),
            (
                "{% set generation = 1 %}{ {{ '\\'}}' }} {",
                "{% set generation = 1 %}{ {{ '\\'}}' }} {",
            ),
            ("{% generation", "{% generation"),
            ("\u{e9}{% generation %}\u{e9}", "\u{e9}{% if true %}\u{e9}"),
        ] {
            assert_eq!(without_generation_tags(template), wanted);
        }
    }

    #[test]
    fn tags_are_measured_without_their_texts() {
        assert_eq!(
            longest_tag("{{ a }} {% if 'a long \\' text' %}{# a long comment #}"),
            9
        );
        assert_eq!(longest_tag("no tag, { only text"), 0);
        assert_eq!(longest_tag("{{ never closed"), 15);
    }

    #[test]
    fn the_day_is_fixed() {
        assert_eq!(strftime_now("%d %b %Y").unwrap(), "26 Jul 2024");
        assert_eq!(
            strftime_now("%A %-m/%-d, %H:%M, %-M%%").unwrap(),
            "Friday 7/26, 00:00, 0%"
        );
        assert!(strftime_now("%Q").unwrap_err().to_string().contains("%Q"));
        assert!(strftime_now("%").is_err());
    }
}
