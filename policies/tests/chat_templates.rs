//! Guarantee: chat templates with the tags and functions of the Python library give their prompt, the same whatever the day;
//! one that would take too many steps, too much memory or too deep a stack is refused with the file and the bound.

use bitvla_policies::checkpoint_files::CheckpointDir;
use bitvla_policies::prompt::{ProcessorConfig, PromptBuilder};
use bitvla_policies::testing::{WORDS, small_config, write_tiny_checkpoint};
use std::time::{Duration, Instant};

/// Text of the prompt that a template gives.
fn prompt(template: &str) -> Result<String, String> {
    let dir = tempfile::tempdir().unwrap();
    write_tiny_checkpoint(dir.path()).unwrap();
    std::fs::write(dir.path().join("chat_template.jinja"), template).unwrap();
    let config = small_config(32, 32, 1, WORDS.len() + 5);
    PromptBuilder::load(
        &CheckpointDir(dir.path()),
        &config,
        &ProcessorConfig::default(),
    )
    .map(|prompts| prompts.text("pick up the plate", "<I>", "<S>"))
    .map_err(|e| e.to_string())
}

const ASKED: &str = "<I><I><S>What action should the robot take to pick up the plate?";

#[test]
fn tags_and_functions_of_the_python_library_are_known() {
    for (template, wanted) in [
        (
            "{%- for m in messages -%}{%- generation -%}{{ m.content }}{%- endgeneration -%}{%- endfor -%}",
            ASKED.to_owned(),
        ),
        (
            "{% for m in messages %}{{ m.content }}{% break %}{{ 1 // 0 }}{% endfor %}",
            ASKED.to_owned(),
        ),
        (
            "{% for i in range(3) %}{% if i < 2 %}{% continue %}{% endif %}{{ messages[0].content }}{% endfor %}",
            ASKED.to_owned(),
        ),
        (
            "{% if strftime_now is defined %}{{ strftime_now('%d %b %Y') }}{% endif %} {{ messages[0].content }}",
            format!("26 Jul 2024 {ASKED}"),
        ),
        (
            "{% if messages[0].role != 'system' %}{{ raise_exception('a system first') }}{% endif %}{{ messages[1].content }}",
            ASKED.to_owned(),
        ),
    ] {
        assert_eq!(prompt(template).unwrap(), wanted, "{template}");
    }
    let text = prompt("{{ raise_exception('never today') }}").unwrap_err();
    assert!(
        text.contains("chat_template.jinja") && text.contains("never today"),
        "{text}"
    );
}

#[test]
fn templates_have_bounds() {
    let deep = |part: &str, count: usize| part.repeat(count);
    let asked = "{{ messages[0].content }}";
    for (template, by) in [
        ("{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}".to_owned(), "more than 1000000 steps"),
        ("{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}".to_owned(), "steps"),
        ("x".repeat((1 << 16) + 1), "at most 65536"),
        ("{{ '%99999999999d'|format(1) }}".to_owned(), "chat template"),
        ("{{ 'a\nb'|indent(99999999999) }}".to_owned(), "chat template"),
        ("{{ ('a' * 60000)|replace('a', 'b' * 60000) }}".to_owned(), "chat template"),
        (format!("{{{{ 1{} }}}}", deep("+1", 20_000)), "a tag of 40007 bytes"),
        (format!("{{{{ {}1 }}}}", deep("not ", 10_000)), "a tag of"),
        (format!("{{{{ a{} }}}}", deep(".b", 20_000)), "a tag of"),
        (format!("{{{{ 1{} }}}}", deep("+1", 2_000)), "in this order"),
        (format!("{{{{ 1{} }}}}", deep("~1", 2_000)), "in this order"),
        (format!("{{{{ a{} }}}}", deep(".b", 2_000)), "chat template"),
        (format!("{{{{ 'a'{} }}}}", deep("|e", 2_000)), "in this order"),
        (format!("{{{{ {}1 }}}}", deep("not ", 1_000)), "chat template"),
        (format!("{{{{ {}1 }}}}", deep("[", 2_000)), "chat template"),
        (deep("{% if 1 %}", 6_000), "chat template"),
        (format!("{{% if 0 %}}{}{{% endif %}}", deep("{% elif 0 %}", 5_000)), "in this order"),
        (deep("{{ 1~1~1~1~1~1~1~1 }}", 3_000), "in this order"),
    ] {
        let start = Instant::now();
        // The bound is met with and without the question behind it.
        for behind in ["", asked] {
            let found = prompt(&format!("{template}{behind}"));
            if let Err(text) = &found {
                assert!(text.contains("chat_template.jinja") && text.contains(by), "{text}");
            }
            assert!(found.is_err() || behind == asked);
        }
        assert!(start.elapsed() < Duration::from_secs(10), "{by}");
    }
}
