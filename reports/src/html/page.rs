//! Everything that the template shows, in its order.

use super::protocol_card::{FieldGroup, protocol_card};
use super::replay::{ReplayView, replay_view};
use super::resources::{CaptionedTable, energy_table, latency_tables, memory_tables};
use super::scores::{HeadlineTable, headline};
use super::tasks::{SuiteView, suites};
use crate::plots::{report_plots, robustness_svg};
use crate::{Report, ReportError, Robustness, RunManifest, format_bytes, printable};
use minijinja::Value;
use serde::Serialize;

/// Content of a page.
#[derive(Serialize)]
pub(super) struct Page {
    title: String,
    /// Facts about the runs below the title.
    facts: Vec<String>,
    /// Labels of the policies.
    policies: Vec<String>,
    /// True for more than one policy.
    several: bool,
    /// True if an episode was a harness error.
    errors: bool,
    headline: Vec<HeadlineTable>,
    notes: Vec<String>,
    /// Runs and suites that are left out or missing.
    gaps: Vec<String>,
    /// Number of differences between protocols that are none of the policy; the protocol card has them.
    differences: usize,
    verdicts: Vec<VerdictView>,
    suites: Vec<SuiteView>,
    /// Size of all animations; empty without one.
    animations: String,
    plots: Vec<PlotView>,
    replay: Option<ReplayView>,
    robustness: Option<RobustnessView>,
    latency: Vec<CaptionedTable>,
    memory: Vec<CaptionedTable>,
    /// Energy of a query and of an episode; `None` where nothing is known.
    energy: Option<CaptionedTable>,
    protocol: Vec<FieldGroup>,
    commands: Vec<CommandsView>,
    version: String,
}

/// Verdict about a policy.
#[derive(Serialize)]
struct VerdictView {
    policy: String,
    verdict: &'static str,
    /// `good`, `bad` or `open`.
    class: &'static str,
    sentence: String,
    /// Baseline that it is a verdict against.
    baseline: String,
    table: CaptionedTable,
    /// Latency and weights; `None` where nothing can be compared.
    costs: Option<CaptionedTable>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct PlotView {
    caption: &'static str,
    /// SVG, which is made here and not escaped again.
    svg: Value,
}

/// Success under perturbation.
#[derive(Serialize)]
struct RobustnessView {
    scope: String,
    answers: Vec<String>,
    plot: PlotView,
    tables: Vec<CaptionedTable>,
}

#[derive(Serialize)]
struct CommandsView {
    policy: String,
    suite: String,
    evaluate: String,
    replay: String,
}

impl Page {
    /// Collects the content of a report.
    ///
    /// # Errors
    /// If a plot cannot be drawn.
    pub(super) fn of(report: &Report) -> Result<Page, ReportError> {
        let comparison = &report.comparison;
        let plots = report_plots(comparison)?.into_iter().map(|plot| PlotView {
            caption: caption(plot.name),
            svg: Value::from_safe_string(plot.svg),
        });
        let commands = report.commands.iter().map(|c| CommandsView {
            policy: printable(&c.label).into_owned(),
            suite: printable(&c.suite).into_owned(),
            evaluate: printable(&c.evaluate).into_owned(),
            replay: printable(&c.replay).into_owned(),
        });
        let animations: usize = report.animations.iter().map(|a| a.png.len()).sum();
        let gaps = comparison.gaps().iter();
        let policies = comparison.policies();
        Ok(Page {
            title: report.title(),
            facts: facts(report),
            policies: report.labels(),
            several: policies.len() > 1,
            errors: policies.iter().any(|p| p.score(None).errors > 0),
            headline: headline(report),
            notes: report.notes(),
            gaps: gaps.map(|gap| printable(gap).into_owned()).collect(),
            differences: comparison.protocol_differences().len(),
            verdicts: verdicts(report),
            suites: suites(report),
            animations: match animations {
                0 => String::new(),
                bytes => format_bytes(bytes as u64),
            },
            plots: plots.collect(),
            replay: report.replay.as_ref().map(replay_view).transpose()?,
            robustness: report.robustness.as_ref().map(robustness).transpose()?,
            latency: latency_tables(report),
            memory: memory_tables(report),
            energy: energy_table(report),
            protocol: protocol_card(report),
            commands: commands.collect(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }
}

fn facts(report: &Report) -> Vec<String> {
    let policies = report.comparison.policies();
    let runs = || policies.iter().flat_map(|policy| policy.runs.values());
    let episodes: usize = runs().map(|run| run.episodes.len()).sum();
    let distinct = |of: &dyn Fn(&RunManifest) -> String| {
        let mut found: Vec<String> = runs().map(|run| of(&run.manifest)).collect();
        found.sort();
        found.dedup();
        printable(&found.join(", ")).into_owned()
    };
    let s = |n: usize| if n == 1 { "" } else { "s" };
    let suites = report.comparison.suites();
    let most = |suite: &String| {
        let runs = policies.iter().filter_map(|policy| policy.runs.get(suite));
        runs.map(|run| run.manifest.tasks.len()).max().unwrap_or(0)
    };
    let tasks: usize = suites.iter().map(most).sum();
    vec![
        format!("{episodes} episode{}", s(episodes)),
        format!("{} suite{}", suites.len(), s(suites.len())),
        format!("{tasks} task{}", s(tasks)),
        format!(
            "world version {}",
            distinct(&|m| m.protocol.world_version.to_string())
        ),
        format!("seed {}", distinct(&|m| m.protocol.seed.to_string())),
    ]
}

fn robustness(robustness: &Robustness) -> Result<RobustnessView, ReportError> {
    let scope = printable(&robustness.scope).into_owned();
    let answers = robustness.answers().into_iter();
    Ok(RobustnessView {
        answers: answers
            .map(|answer| printable(&answer).into_owned())
            .collect(),
        plot: PlotView {
            caption: "Success by axis and level of strength, with Wilson's 95 % intervals; level 0 is the suite as it is.",
            svg: Value::from_safe_string(robustness_svg(&scope, robustness)?),
        },
        tables: vec![
            CaptionedTable::of("Rate at each level, %", robustness.level_table()),
            CaptionedTable::of(
                "All levels of an axis: change from the unperturbed episodes, difference from the first policy (McNemar's exact test, Holm's method), and how much more is lost",
                robustness.axis_table(),
            ),
        ],
        scope,
    })
}

fn verdicts(report: &Report) -> Vec<VerdictView> {
    let views = report.verdicts.iter().map(|v| {
        let check = &v.check;
        let verdict = check.verdict;
        let baseline = format!(
            "Against the baseline of policy {}, written for: {}",
            v.baseline_policy, v.reason
        );
        let notes = check.flipped().into_iter().chain(check.notes());
        VerdictView {
            policy: printable(&v.label).into_owned(),
            verdict: verdict.name(),
            class: match verdict.exit_code() {
                0 => "good",
                1 => "bad",
                _ => "open",
            },
            sentence: check.overall_sentence(),
            table: CaptionedTable::of("Success", check.table()),
            costs: check
                .cost_table()
                .map(|costs| CaptionedTable::of("Costs", costs)),
            baseline: printable(&baseline).into_owned(),
            notes: notes.map(|note| printable(&note).into_owned()).collect(),
        }
    });
    views.collect()
}

/// Words below a plot.
fn caption(plot: &str) -> &'static str {
    match plot {
        "success" => "Success of every task, with Wilson's 95 % intervals.",
        "success-by-suite" => "Success by suite, with Wilson's 95 % intervals.",
        "steps-to-success" => {
            "Share of the completed episodes that had reached the goal by a share of the horizon."
        }
        "latency" => "Latency of a policy query: distribution, and medians of its phases.",
        "latency-by-phase" => "Medians of the phases of a query.",
        "success-latency" => "Success against the median latency of a query.",
        "success-memory" => "Success against the size of the weights.",
        "memory" => "Weights by class of tensors, and activations.",
        _ => "",
    }
}
