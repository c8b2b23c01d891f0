//! The chat template of a checkpoint (`chat_template.jinja`, `chat_template.json` or in `tokenizer_config.json`), applied
//! to the question that the published evaluation asks, and cut where images, state and instruction go.
//!
//! A template is a program: it runs on a stack of a fixed size, with a bound on its length and on its steps and the text that
//! it makes (the fuel of minijinja counts both). It cannot read the clock: see [`crate::template_functions`].

use crate::PolicyError;
use crate::checkpoint::file_error;
use crate::checkpoint_files::{CheckpointFiles, parse_json};
use crate::processor_config::MAX_TEMPLATE_BYTES;
use crate::template_functions;
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, context};
use serde_json::{Value, json as value};
use std::path::Path;

/// In place of one image in a prompt (`docs/reference/bitvla.md`, section 2).
const IMAGE: &str = "<|image_pad|>";
/// In place of the state.
const PROPRIO: &str = "<proprio_pad>";
/// Stands for the instruction while a template is applied.
const INSTRUCTION: &str = "qqinstructionqq";
/// The first token, which is put before every prompt anyway.
const BOS: &str = "<|begin_of_text|>";
/// Message of the system.
const SYSTEM: &str = "A chat between a curious human and an artificial intelligence assistant. \
The assistant gives helpful, detailed, and polite answers to the human's questions.";

/// Text before the images, between images and state, between state and instruction, and after it.
pub type PromptSegments = [String; 4];

/// The parts of the checkpoint's own template, or nothing where it has none.
///
/// # Errors
/// Names the file when the template cannot be read or applied, or loses an image, the state or the instruction.
pub fn prompt_segments(
    files: &dyn CheckpointFiles,
    images: usize,
    state: bool,
) -> Result<Option<PromptSegments>, PolicyError> {
    let Some((file, template)) = find(files)? else {
        return Ok(None);
    };
    let fail = |what: String| {
        let path = files.display_path(file);
        Err(file_error(
            Path::new(&path),
            format!("chat template: {what}"),
        ))
    };
    if template.len() > MAX_TEMPLATE_BYTES {
        return fail(format!(
            "{} bytes, expected at most {MAX_TEMPLATE_BYTES}",
            template.len()
        ));
    }
    let longest = template_functions::longest_tag(&template);
    if longest > MAX_TAG_BYTES {
        return fail(format!(
            "a tag of {longest} bytes, expected at most {MAX_TAG_BYTES} beside its texts"
        ));
    }
    let template = template_functions::without_generation_tags(&template);
    let ask = || segments(&template, images, state);
    // Nested expressions and chains of conditions are compiled by recursion: this is room for all that fit a template.
    let worker = std::thread::Builder::new().stack_size(STACK_BYTES);
    let answer = std::thread::scope(|scope| {
        let worker = worker.spawn_scoped(scope, ask);
        let panicked = || Err("stops the template engine".to_owned());
        worker
            .map_err(|e| e.to_string())
            .and_then(|w| w.join().unwrap_or_else(|_| panicked()))
    });
    answer.map(Some).or_else(fail)
}

/// Longest tag of a template without the contents of its texts; those of published templates have some hundred bytes.
const MAX_TAG_BYTES: usize = 4096;

/// Stack of a template, which is only touched as far as its nesting goes.
const STACK_BYTES: usize = 256 << 20;

/// Steps of a template and, in units of 64 bytes, of the text that it makes. The longest published templates take some
/// thousand.
const FUEL: u64 = 1_000_000;

/// Asks a template in the forms of [`questions`] and cuts its answer.
fn segments(template: &str, images: usize, state: bool) -> Result<PromptSegments, String> {
    let mut last = String::new();
    for messages in questions(images, state) {
        match render(template, &messages) {
            Ok(text) => match split_prompt(&text, images, state) {
                Some(parts) => return Ok(parts),
                None => last = format!("gives {:?}", text.chars().take(2000).collect::<String>()),
            },
            Err(error) if error.kind() == ErrorKind::OutOfFuel => {
                return Err(format!("takes more than {FUEL} steps"));
            }
            Err(error) => last = error.to_string(),
        }
    }
    let place = if state {
        format!("{PROPRIO} and ")
    } else {
        String::new()
    };
    Err(format!(
        "{last}; expected {images} times {IMAGE}, {place}the instruction, in this order"
    ))
}

/// The template and the file it is in.
fn find(files: &dyn CheckpointFiles) -> Result<Option<(&'static str, String)>, PolicyError> {
    const PLAIN: &str = "chat_template.jinja";
    if let Some(bytes) = files.read(PLAIN)? {
        let text =
            String::from_utf8(bytes).map_err(|e| file_error(&files.display_path(PLAIN), e))?;
        return Ok(Some((PLAIN, text)));
    }
    for file in ["chat_template.json", "tokenizer_config.json"] {
        let found: Option<Value> = parse_json(files, file)?;
        let found = found.as_ref().and_then(|v| v.get("chat_template"));
        let Some(found) = found.filter(|v| !v.is_null()) else {
            continue;
        };
        let text = default(found).ok_or_else(|| {
            let what = "chat_template: expected a text, or a list with one of the name `default`";
            file_error(&files.display_path(file), what)
        })?;
        return Ok(Some((file, text.to_string())));
    }
    Ok(None)
}

/// A template, or of several with names the default one.
fn default(found: &Value) -> Option<&str> {
    match found {
        Value::Array(named) => {
            named.iter().find(|one| one["name"] == "default")?["template"].as_str()
        }
        _ => found.as_str(),
    }
}

/// The question in the forms that templates want: contents as text or as a list of parts. The reference asks with one
/// message of the user, so that comes first; a message of the system is for templates that insist on one.
fn questions(images: usize, state: bool) -> Vec<Value> {
    let state = if state { PROPRIO } else { "" };
    let words = format!("{state}What action should the robot take to {INSTRUCTION}?");
    let text = value!(format!("{}{words}", IMAGE.repeat(images)));
    let mut parts = vec![value!({"type": "image"}); images];
    parts.push(value!({"type": "text", "text": words}));
    let (text, parts) = [text, value!(parts)]
        .map(|content| value!({"role": "user", "content": content}))
        .into();
    let system = |content| value!({"role": "system", "content": content});
    let in_parts = system(value!([{"type": "text", "text": SYSTEM}]));
    vec![
        value!([text]),
        value!([parts]),
        value!([system(value!(SYSTEM)), text]),
        value!([in_parts, parts]),
    ]
}

fn render(template: &str, messages: &Value) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true);
    environment.set_syntax(syntax.build()?);
    environment.set_fuel(Some(FUEL));
    environment.add_function("raise_exception", template_functions::raise_exception);
    environment.add_function("strftime_now", template_functions::strftime_now);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.render_str(
        template,
        context! {
            messages => minijinja::value::Serde(messages),
            add_generation_prompt => true,
            bos_token => BOS,
            eos_token => "<|end_of_text|>",
        },
    )
}

/// Cuts a rendered prompt; nothing where something is missing or twice.
fn split_prompt(text: &str, images: usize, state: bool) -> Option<PromptSegments> {
    let text = text.strip_prefix(BOS).unwrap_or(text);
    let times = |what: &str| text.matches(what).count();
    if times(PROPRIO) != usize::from(state) || times(INSTRUCTION) != 1 || times(IMAGE) != images {
        return None;
    }
    let (before, rest) = text.split_once(&IMAGE.repeat(images))?;
    let (between, rest) = match state {
        true => rest.split_once(PROPRIO)?,
        false => ("", rest),
    };
    let (question, after) = rest.split_once(INSTRUCTION)?;
    Some([before, between, question, after].map(String::from))
}
