//! `tokenizer.json`: read by the `tokenizers` library, after a look at what would make its work grow with a number of the
//! file instead of with the prompt.

use serde_json::Value;
use tokenizers::Tokenizer;

/// Largest growth of a text by the normalisers of a tokenizer; that of Llama 2, a space to three bytes, is 3.
const MAX_GROWTH: usize = 64;

/// Reads a tokenizer. Padding and truncation have no effect: prompts are never padded, and too long ones are refused.
///
/// # Errors
/// That of the library, or the normaliser that would make a prompt many times longer.
pub fn parse(bytes: &[u8]) -> Result<Tokenizer, String> {
    let value: Value = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    growth(&value["normalizer"], 1)?;
    for name in ["pre_tokenizer", "post_processor"] {
        bounded_texts(&value[name], name)?;
    }
    if value["model"]["dropout"]
        .as_f64()
        .is_some_and(|dropout| dropout != 0.0)
    {
        let found = &value["model"]["dropout"];
        return Err(format!(
            "model.dropout {found}: tokens would be random, expected null"
        ));
    }
    let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(|e| e.to_string())?;
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).map_err(|e| e.to_string())?;
    Ok(tokenizer)
}

/// Growth of a text by a normaliser behind others that make it `before` times longer.
fn growth(normaliser: &Value, before: usize) -> Result<usize, String> {
    let length = |name: &str| normaliser[name].as_str().map_or(0, str::len);
    let kind = normaliser["type"].as_str().unwrap_or_default();
    let factor = match kind {
        "Sequence" => {
            let parts = normaliser["normalizers"].as_array();
            let mut parts = parts.into_iter().flatten();
            return parts.try_fold(before, |before, part| growth(part, before));
        }
        "Replace" => length("content").max(1),
        "Prepend" => length("prepend").max(1),
        _ => 1,
    };
    match before.saturating_mul(factor) {
        total if total <= MAX_GROWTH => Ok(total),
        total => Err(format!(
            "normalizer `{kind}`: a text may become {total} times as long, expected at most {MAX_GROWTH}"
        )),
    }
}

/// Refuses texts of a kilobyte and more, which would be put between the words of a prompt.
fn bounded_texts(value: &Value, place: &str) -> Result<(), String> {
    const MOST: usize = 1 << 10;
    match value {
        Value::String(text) if text.len() > MOST => Err(format!(
            "{place}: a text of {} bytes, expected at most {MOST}",
            text.len()
        )),
        Value::Array(list) => list
            .iter()
            .try_for_each(|value| bounded_texts(value, place)),
        Value::Object(map) => map
            .values()
            .try_for_each(|value| bounded_texts(value, place)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    //! Guarantee: neither padding nor a normaliser makes a prompt longer than its words; usual normalisers are read.
    use super::*;
    use crate::export::word_tokenizer;
    use serde_json::json;

    fn with(name: &str, part: Value) -> Result<Tokenizer, String> {
        let mut tokenizer = word_tokenizer(&["pick", "up"]);
        tokenizer[name] = part;
        parse(tokenizer.to_string().as_bytes())
    }

    #[test]
    fn padding_and_truncation_have_no_effect() {
        let padding = json!({"strategy": {"Fixed": 1_000_000_000}, "direction": "Right", "pad_to_multiple_of": null,
            "pad_id": 0, "pad_type_id": 0, "pad_token": "<unk>"});
        let truncation =
            json!({"direction": "Right", "max_length": 1, "strategy": "LongestFirst", "stride": 0});
        for (name, part) in [("padding", padding), ("truncation", truncation)] {
            let ids = with(name, part).unwrap().encode("pick up", false).unwrap();
            assert_eq!(ids.get_ids(), [5, 6], "{name}");
        }
    }

    #[test]
    fn normalisers_that_multiply_a_text_are_refused() {
        let replace = |content: String| json!({"type": "Replace", "pattern": {"String": "p"}, "content": content});
        for part in [
            replace("p".repeat(65)),
            json!({"type": "Prepend", "prepend": "p".repeat(1000)}),
            json!({"type": "Sequence", "normalizers": vec![replace("pp".into()); 7]}),
        ] {
            let text = with("normalizer", part).unwrap_err();
            assert!(
                text.contains("normalizer") && text.contains("at most 64"),
                "{text}"
            );
        }
        let llama = json!({"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "\u{2581}"}, replace("\u{2581}".into())]});
        assert!(with("normalizer", llama).is_ok());
        let split =
            json!({"type": "Metaspace", "replacement": "_", "prepend_scheme": "x".repeat(2000)});
        assert!(
            with("pre_tokenizer", split)
                .unwrap_err()
                .contains("2000 bytes")
        );
    }
}
