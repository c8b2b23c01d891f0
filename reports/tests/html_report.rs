//! Guarantee: a report about 2 000 episodes is below 5 MB, also with three policies; the same runs give the same bytes; text of a run
//! folder never becomes markup or script; failed episodes come first; what a run lacks has no section.

#[path = "common/card.rs"]
mod common;
#[path = "common/synthetic.rs"]
mod synthetic;

use bitvla_reports::*;
use synthetic::{policy, report};

#[test]
fn a_report_about_2000_episodes_is_below_5_mb() {
    let one = report(vec![policy("ternary", 50, 11)]);
    let page = html_report(&one).expect("a page");
    println!("one policy: {} bytes", page.len());
    assert!(page.len() < 5_000_000, "{} bytes", page.len());
    let rows = page.matches("<td class=h>").count();
    assert_eq!(rows, 2000);
    let three = report(vec![
        policy("full", 50, 13),
        policy("ternary", 50, 11),
        policy("int8", 50, 12),
    ]);
    let page = html_report(&three).expect("a page");
    println!("three policies: {} bytes", page.len());
    assert!(page.len() < 5_000_000, "{} bytes", page.len());
    // A pull request takes 65 536 characters.
    let markdown = markdown_report(&three);
    assert!(markdown.len() < 65_536, "{} bytes", markdown.len());
}

#[test]
fn the_same_runs_give_the_same_bytes() {
    let make = || report(vec![policy("full", 3, 4), policy("ternary", 3, 3)]);
    let page = html_report(&make()).expect("a page");
    assert_eq!(page, html_report(&make()).expect("a page"));
    assert_eq!(markdown_report(&make()), markdown_report(&make()));
    // Nothing is loaded from elsewhere.
    for word in [
        "src=\"http",
        "href=\"http",
        "url(",
        "@import",
        "<link rel=\"stylesheet\"",
    ] {
        assert!(!page.contains(word), "`{word}` is in the page");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn text_of_a_run_folder_is_no_markup() {
    let hostile = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\" onclick='alert(3)' {{ page }} \u{1b}[2J\u{202e}";
    let mut policies = vec![policy("full", 2, 3), policy("ternary", 2, 2)];
    for policy in &mut policies {
        policy.label.push_str(hostile);
        let runs = std::mem::take(&mut policy.runs);
        for (suite, mut run) in runs {
            let suite = format!("{suite}{hostile}");
            run.manifest.protocol.suite = suite.clone();
            run.manifest.protocol.crop = hostile.into();
            run.manifest.machine.processor = hostile.into();
            run.manifest.setups[0].processor = hostile.into();
            run.manifest.memory.weights[0].class = hostile.into();
            for row in &mut run.episodes {
                row.suite = suite.clone();
                row.instruction = hostile.into();
                row.state_hash = hostile.into();
            }
            run.episodes[0].success = false;
            run.episodes[0].error = hostile.into();
            policy.runs.insert(suite, run);
        }
    }
    let mut report = report(policies);
    for commands in &mut report.commands {
        commands.evaluate = hostile.into();
    }
    let page = html_report(&report).expect("a page");
    let plain = page.matches("alert(1)").count();
    assert!(plain > 0);
    assert_eq!(page.matches("<script>").count(), 1, "the page's own");
    for raw in [
        "<script>alert",
        "<img src=x",
        "\" onclick",
        "\u{1b}",
        "\u{202e}",
    ] {
        assert!(!page.contains(raw), "`{raw}` is in the page");
    }
    let markdown = markdown_report(&report);
    // Commands stand in a code block, where nothing is markup.
    let (text, _) = markdown.split_once("```").expect("a code block");
    for raw in ["<script>", "<img", "\u{1b}", "\u{202e}"] {
        assert!(!text.contains(raw), "`{raw}` is in {text}");
    }
}

#[test]
fn failed_episodes_come_first_and_errors_are_counted_apart() {
    let mut policy = policy("ternary", 5, 3);
    let run = policy.runs.get_mut("goal").expect("a run");
    run.episodes[3].success = false;
    run.episodes[3].error = "a panic".into();
    let page = html_report(&report(vec![policy])).expect("a page");
    let tables = page.split("<table class=\"episodes\">").skip(1);
    for table in tables {
        let rows = table.split("</table>").next().unwrap_or_default();
        let failed: Vec<bool> = rows
            .split("<tr")
            .skip(2)
            .map(|row| row.starts_with(" class=\"f"))
            .collect();
        assert_eq!(failed.len(), 5);
        assert!(failed.is_sorted_by(|a, b| a >= b), "{failed:?}");
    }
    assert!(page.contains("a panic"));
    assert!(page.contains("% with errors as failures"));
}

#[test]
fn what_a_run_lacks_has_no_section() {
    let mut one = policy("expert", 2, 3);
    for run in one.runs.values_mut() {
        run.queries.clear();
    }
    let page = html_report(&report(vec![one])).expect("a page");
    for id in ["id=\"latency\"", "id=\"energy\"", "id=\"verdicts\""] {
        assert!(!page.contains(id), "{id}");
    }
    for id in ["results", "tasks", "plots", "memory", "protocol", "repeat"] {
        assert!(page.contains(&format!("<section id=\"{id}\">")), "{id}");
    }
}

#[test]
fn fields_that_differ_between_policies_come_first() {
    let mut policies = vec![policy("full", 2, 3), policy("ternary", 2, 3)];
    for run in policies[1].runs.values_mut() {
        run.manifest.protocol.arithmetic = "native-packed".into();
    }
    let page = html_report(&report(policies)).expect("a page");
    let (_, card) = page.split_once("id=\"protocol\"").expect("a card");
    let at = |words: &str| card.find(words).unwrap_or_else(|| panic!("`{words}`"));
    assert!(at("Differs between policies") < at("<dt>arithmetic</dt>"));
    assert!(at("<dt>arithmetic</dt>") < at("Differs between suites"));
    assert!(at("Differs between suites") < at("<dt>horizon</dt>"));
}

#[test]
fn a_run_in_the_schema_of_the_other_harness_counts_errors_as_failures() {
    let mut policy = policy("ternary", 5, 3);
    let run = policy.runs.get_mut("goal").expect("a run");
    run.episodes[1].success = false;
    run.episodes[1].error = "a panic".into();
    let result = vla_eval_result(run);
    let successes = run.episodes.iter().filter(|row| row.success).count();
    let rate = result["mean_success"].as_f64().expect("a rate");
    assert!((rate - successes as f64 / 50.0).abs() < 1e-4);
    assert_eq!(result["num_errors"], 1);
    assert_eq!(
        result["tasks"][0]["episodes"][1]["failure_detail"],
        "a panic"
    );
    assert_eq!(result["tasks"].as_array().map(Vec::len), Some(10));
}
