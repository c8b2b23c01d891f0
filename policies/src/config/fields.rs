//! Reader of `config.json`: checks every field and brings it into the form of [`super::Config`]. Files of transformers 4 and
//! 5 are read; the names of version 5 become those of version 4 here.

use super::field_tables::{COMMON, QUANTIZATION, ROPE, TEXT, TOP, VISION};
use crate::json_fields::{FieldTable, check_fields, path_of, shown};
use serde_json::{Map, Value};

type Object = Map<String, Value>;

/// Checks every field and brings it into the form of [`super::Config`].
///
/// # Errors
/// Names the field, the value and what is expected.
pub(super) fn resolve(value: Value, published: &[usize]) -> Result<Value, String> {
    let Value::Object(mut top) = value else {
        return Err(format!("{}, expected an object", shown(&value)));
    };
    top.retain(|_, value| !value.is_null());
    check_fields(&top, &[TOP, COMMON], "")?;
    let mut text = part(&mut top, "text_config", TEXT)?;
    let vision = part(&mut top, "vision_config", VISION)?;
    rename(&mut top, "image_token_id", "image_token_index")?;
    rename(&mut top, "proprio_token_id", "proprio_token_index")?;
    for name in ["bos_token_id", "eos_token_id"] {
        let outer = first_token(&mut top, name, "")?;
        if first_token(&mut text, name, "text_config")?.is_none() {
            text.extend(outer.map(|id| (name.to_owned(), id)));
        }
        top.remove(name);
    }
    let rows = top.get("vocab_size").or_else(|| text.get("vocab_size"));
    let rows = rows.and_then(Value::as_u64).unwrap_or(0);
    rotary(&mut text, published.contains(&(rows as usize)))?;
    head_size(&mut text)?;
    windows(&mut text)?;
    quantization(&mut top, &mut text)?;
    top.insert("text_config".into(), Value::Object(text));
    top.insert("vision_config".into(), Value::Object(vision));
    Ok(Value::Object(top))
}

/// Takes the object of a part out of the top level and checks its fields.
fn part(top: &mut Object, name: &str, table: FieldTable) -> Result<Object, String> {
    let Some(Value::Object(mut part)) = top.remove(name) else {
        return Err(format!("{name}: missing"));
    };
    part.retain(|_, value| !value.is_null());
    check_fields(&part, &[table, COMMON], name)?;
    Ok(part)
}

/// Moves a field to its other name; both may be there if they agree.
fn rename(object: &mut Object, from: &str, to: &str) -> Result<(), String> {
    let Some(value) = object.remove(from) else {
        return Ok(());
    };
    match object.get(to).filter(|other| **other != value) {
        Some(other) => Err(format!("{from} is {value} and {to} {other}: keep one")),
        None => {
            object.insert(to.into(), value);
            Ok(())
        }
    }
}

/// Token of a field that is a number or a list, whose first entry counts.
fn first_token(object: &mut Object, name: &str, place: &str) -> Result<Option<Value>, String> {
    let Some(found) = object.get(name) else {
        return Ok(None);
    };
    let token = match found {
        Value::Array(list) => list.first().unwrap_or(&Value::Null).clone(),
        one => one.clone(),
    };
    if token.as_u64().is_none_or(|id| u32::try_from(id).is_err()) {
        let path = path_of(place, name);
        return Err(format!(
            "{path}: {}, expected a token, or a list of tokens whose first counts",
            shown(found)
        ));
    }
    object.insert(name.into(), token.clone());
    Ok(Some(token))
}

/// Base of the rotary embedding: `rope_theta`, or `rope_parameters` of transformers 5. Scaled forms are refused.
fn rotary(text: &mut Object, published: bool) -> Result<(), String> {
    for name in ["rope_parameters", "rope_scaling"] {
        let Some(Value::Object(found)) = text.remove(name) else {
            continue;
        };
        let place = format!("text_config.{name}");
        check_fields(&found, &[ROPE], &place)?;
        let Some(theta) = found.get("rope_theta").filter(|v| !v.is_null()) else {
            continue;
        };
        match text.get("rope_theta").map(Value::as_f64) {
            Some(other) if other != theta.as_f64() => {
                let other = other.unwrap_or_default();
                return Err(format!(
                    "{place}.rope_theta is {theta}, text_config.rope_theta {other}: keep one"
                ));
            }
            _ => text.insert("rope_theta".into(), theta.clone()),
        };
    }
    if text.contains_key("rope_theta") {
        return Ok(());
    }
    if !published {
        return Err(
            "text_config.rope_theta: missing, and no rope_parameters; write it (the published model has 500000.0)".into(),
        );
    }
    text.insert("rope_theta".into(), Value::from(500_000.0));
    Ok(())
}

/// `head_dim` is hidden_size / num_attention_heads; as many key-value heads as query heads where the file does not say.
fn head_size(text: &mut Object) -> Result<(), String> {
    let number = |text: &Object, name: &str| text.get(name).and_then(Value::as_u64);
    let heads = number(text, "num_attention_heads");
    if let (Some(found), Some(width), Some(heads)) =
        (number(text, "head_dim"), number(text, "hidden_size"), heads)
        && found.checked_mul(heads) != Some(width)
    {
        return Err(format!(
            "text_config.head_dim: {found}, only hidden_size / num_attention_heads ({width} / {heads}) is built"
        ));
    }
    text.remove("head_dim");
    if let (None, Some(heads)) = (text.get("num_key_value_heads"), heads) {
        text.insert("num_key_value_heads".into(), heads.into());
    }
    Ok(())
}

/// Every layer sees every token: no sliding window.
fn windows(text: &mut Object) -> Result<(), String> {
    let window = text.remove("sliding_window");
    let used = text.remove("use_sliding_window");
    match (used, window) {
        (Some(Value::Bool(true)), _) => {
            return Err("text_config.use_sliding_window: true, only false is built".into());
        }
        (None, Some(window)) => {
            return Err(format!(
                "text_config.sliding_window: {}, only full attention is built (null, or use_sliding_window false)",
                shown(&window)
            ));
        }
        _ => {}
    }
    match text.remove("layer_types") {
        None => Ok(()),
        Some(Value::Array(types)) if types.iter().all(|t| t == "full_attention") => Ok(()),
        Some(other) => Err(format!(
            "text_config.layer_types: {}, only `full_attention` is built",
            shown(&other)
        )),
    }
}

/// `quantization_config` at either place becomes `packed_scale` of the language model.
fn quantization(top: &mut Object, text: &mut Object) -> Result<(), String> {
    for (found, place) in [
        (top.remove("quantization_config"), "quantization_config"),
        (
            text.remove("quantization_config"),
            "text_config.quantization_config",
        ),
    ] {
        let Some(Value::Object(found)) = found else {
            continue;
        };
        check_fields(&found, &[QUANTIZATION], place)?;
        if !found.contains_key("quant_method") {
            return Err(format!("{place}.quant_method: missing"));
        }
        let class = found.get("linear_class").and_then(Value::as_str);
        let scale = match class.unwrap_or("bitlinear") {
            "autobitlinear" => "multiply",
            "bitlinear" => "divide",
            other => {
                return Err(format!(
                    "{place}.linear_class: `{other}`, expected `autobitlinear` or `bitlinear`"
                ));
            }
        };
        text.insert("packed_scale".into(), scale.into());
    }
    Ok(())
}
