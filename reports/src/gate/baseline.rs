//! The baseline of a gate: a JSON file, small enough to be committed, with the outcome and the final state of every episode, the
//! protocols, and recorded actions that show whether the simulator is still the same.

use super::costs::{CostResult, CostRule, LatencyBaseline, costs};
use super::verdict::{GateInput, GateRule, Judgement, Verdict, judge};
use crate::compare::{check_comparable, field_of_the_policy};
use crate::{
    EpisodeActions, EpisodeHashes, EvalProtocol, PairCounts, RunFolder, from_digits, read_json,
    to_hex, write_json,
};
use crate::{ReportError, TextTable, format_percent};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Version of the layout of a baseline.
pub const BASELINE_VERSION: u32 = 1;

/// Episodes per suite whose actions are part of a baseline: the shortest ones.
const RECORDED: usize = 2;

/// Content of a baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// Version of the layout, see [`BASELINE_VERSION`].
    pub baseline_version: u32,
    /// Name of the policy.
    pub policy: String,
    /// Reason why it was written.
    pub reason: String,
    /// Suites by name.
    pub suites: BTreeMap<String, SuiteBaseline>,
}

/// Part of a baseline about one suite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuiteBaseline {
    /// Protocol of the run.
    pub protocol: EvalProtocol,
    /// Outcomes by task.
    pub tasks: BTreeMap<usize, TaskBaseline>,
    /// Actions of a few episodes.
    pub recorded: Vec<RecordedEpisode>,
    /// Weights of one policy instance, bytes.
    pub weight_bytes: u64,
    /// Latency of its queries; `None` for a policy without queries.
    #[serde(default)]
    pub latency: Option<LatencyBaseline>,
}

/// Outcomes of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskBaseline {
    /// One character per initial state: `1` success, `0` failure, `-` not completed.
    pub outcomes: String,
    /// Hashes of the final states, 16 hexadecimal digits each, one after the other.
    pub state_hashes: String,
}

/// Actions of one episode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedEpisode {
    /// The episode as in `actions.bin`, hexadecimal.
    pub episode: String,
    /// Its states and frames as in `hashes.bin`, hexadecimal; empty where the run kept none.
    #[serde(default)]
    pub hashes: String,
}

/// Outcome of an episode in a baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Outcome<'a> {
    success: bool,
    state_hash: &'a str,
}

impl SuiteBaseline {
    fn of(run: &RunFolder) -> SuiteBaseline {
        let mut tasks: BTreeMap<usize, TaskBaseline> = BTreeMap::new();
        for row in &run.episodes {
            let task = tasks.entry(row.task).or_insert_with(|| TaskBaseline {
                outcomes: String::new(),
                state_hashes: String::new(),
            });
            // Initial states that were not run leave a gap.
            while task.outcomes.len() < row.init {
                task.outcomes.push('-');
                task.state_hashes.push_str(&"0".repeat(16));
            }
            task.outcomes.push(match (row.completed(), row.success) {
                (false, _) => '-',
                (true, true) => '1',
                (true, false) => '0',
            });
            let hash = u64::from_str_radix(&row.state_hash, 16).unwrap_or(0);
            task.state_hashes.push_str(&format!("{hash:016x}"));
        }
        let mut shortest: Vec<&EpisodeActions> = run.actions.iter().collect();
        shortest.sort_by_key(|e| (e.actions.len(), e.task, e.init));
        let recorded = shortest.into_iter().take(RECORDED);
        SuiteBaseline {
            protocol: run.manifest.protocol.clone(),
            tasks,
            recorded: recorded
                .map(|episode| RecordedEpisode {
                    episode: to_hex(&episode.to_bytes()),
                    hashes: run
                        .hashes_of((episode.task, episode.init))
                        .map_or_else(String::new, |hashes| to_hex(&hashes.to_bytes())),
                })
                .collect(),
            weight_bytes: run.manifest.memory.weight_bytes(),
            latency: LatencyBaseline::of(run),
        }
    }

    fn outcome(&self, (task, init): (usize, usize)) -> Option<Outcome<'_>> {
        let task = self.tasks.get(&task)?;
        let success = match task.outcomes.as_bytes().get(init)? {
            b'1' => true,
            b'0' => false,
            _ => return None,
        };
        let state_hash = task.state_hashes.get(16 * init..16 * init + 16)?;
        Some(Outcome {
            success,
            state_hash,
        })
    }

    /// The recorded episodes.
    ///
    /// # Errors
    /// A sentence if one is malformed.
    pub fn recorded_actions(&self) -> Result<Vec<EpisodeActions>, String> {
        let numbered = self.recorded.iter().enumerate();
        let decode = |(i, recorded): (usize, &RecordedEpisode)| {
            from_digits(&recorded.episode, EpisodeActions::from_bytes).ok_or_else(|| {
                format!("recorded episode {i} is not an episode as in actions.bin, hexadecimal")
            })
        };
        numbered.map(decode).collect()
    }

    /// Hashes of the recorded episodes that have some, in order of task and initial state.
    ///
    /// # Errors
    /// A sentence if some are malformed.
    pub fn recorded_hashes(&self) -> Result<Vec<EpisodeHashes>, String> {
        let numbered = self.recorded.iter().enumerate();
        let decode = |(i, recorded): (usize, &RecordedEpisode)| {
            from_digits(&recorded.hashes, EpisodeHashes::from_bytes).ok_or_else(|| {
                format!("hashes of recorded episode {i} are not as in hashes.bin, hexadecimal")
            })
        };
        let kept = numbered.filter(|(_, recorded)| !recorded.hashes.is_empty());
        let mut hashes: Vec<EpisodeHashes> = kept.map(decode).collect::<Result<_, _>>()?;
        hashes.sort_by_key(|h| (h.task, h.init));
        Ok(hashes)
    }
}

/// An episode that ended otherwise than in the baseline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flip {
    /// Suite.
    pub suite: String,
    /// Index of the task.
    pub task: usize,
    /// Index of the initial state.
    pub init: usize,
    /// True if it succeeds now and failed before.
    pub gained: bool,
}

/// Result of a check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Verdict over success and costs of all suites.
    pub verdict: Verdict,
    /// Rule that success was judged by.
    pub rule: GateRule,
    /// Rule that costs were judged by.
    pub cost_rule: CostRule,
    /// Names of the suites, in the order of the parts of the judgement.
    pub suites: Vec<String>,
    /// Verdicts about success.
    pub judgement: Judgement,
    /// Latency and memory by suite.
    pub costs: Vec<CostResult>,
    /// Episodes that ended otherwise than in the baseline.
    pub flips: Vec<Flip>,
    /// Episodes of harness errors, by suite, which count in no pair.
    pub errors: BTreeMap<String, usize>,
    /// Episodes of the baseline that the run lacks, by suite.
    pub missing: BTreeMap<String, usize>,
    /// Suites of the baseline that were not run, and the reverse; latencies that cannot be compared.
    pub not_checked: Vec<String>,
    /// Fields of the protocols that differ, in words.
    pub differences: Vec<String>,
}

impl Baseline {
    /// Builds a baseline from the runs of a policy, one per suite.
    pub fn of(policy: &str, reason: &str, runs: &[RunFolder]) -> Baseline {
        let suite = |run: &RunFolder| (run.manifest.protocol.suite.clone(), SuiteBaseline::of(run));
        Baseline {
            baseline_version: BASELINE_VERSION,
            policy: policy.to_owned(),
            reason: reason.to_owned(),
            suites: runs.iter().map(suite).collect(),
        }
    }

    /// Reads a baseline.
    ///
    /// # Errors
    /// If the file cannot be read, is malformed, or has another version.
    pub fn read(path: &Path) -> Result<Baseline, ReportError> {
        let baseline: Baseline = read_json(path)?;
        if baseline.baseline_version != BASELINE_VERSION {
            return Err(ReportError::format(
                path,
                format!(
                    "baseline version {}, this program reads version {BASELINE_VERSION}",
                    baseline.baseline_version
                ),
            ));
        }
        for (name, suite) in &baseline.suites {
            for (task, of) in &suite.tasks {
                let known = of.outcomes.bytes().all(|b| matches!(b, b'0' | b'1' | b'-'));
                if !known || of.state_hashes.len() != 16 * of.outcomes.len() {
                    return Err(ReportError::format(
                        path,
                        format!(
                            "suite {name}, task {task}: {} outcomes (0, 1 or -) and {} digits of hashes, expected 16 for each",
                            of.outcomes.len(),
                            of.state_hashes.len()
                        ),
                    ));
                }
            }
            let recorded = suite.recorded_actions();
            recorded
                .and_then(|_| suite.recorded_hashes())
                .map_err(|what| ReportError::format(path, format!("suite {name}: {what}")))?;
        }
        Ok(baseline)
    }

    /// Writes it.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), ReportError> {
        write_json(path, self)
    }

    /// Compares runs of a policy, one per suite, with the baseline.
    ///
    /// # Errors
    /// A sentence if no suite is in both, or the protocols of a suite forbid a comparison.
    pub fn check(
        &self,
        runs: &[RunFolder],
        rule: GateRule,
        cost_rule: CostRule,
    ) -> Result<Check, String> {
        let mut check = Check {
            verdict: Verdict::Underpowered,
            rule,
            cost_rule,
            costs: Vec::new(),
            suites: Vec::new(),
            judgement: judge(&[], rule),
            flips: Vec::new(),
            errors: BTreeMap::new(),
            missing: BTreeMap::new(),
            not_checked: Vec::new(),
            differences: Vec::new(),
        };
        let mut inputs = Vec::new();
        for run in runs {
            let suite = &run.manifest.protocol.suite;
            let Some(baseline) = self.suites.get(suite) else {
                check
                    .not_checked
                    .push(format!("suite {suite} is not in the baseline"));
                continue;
            };
            let names = ("the baseline", "the run");
            let differences = check_comparable(names, &baseline.protocol, &run.manifest.protocol)
                .map_err(|what| format!("suite {suite}: {what}"))?;
            let differences = differences
                .into_iter()
                .filter(|d| !d.starts_with("source_sha256") && !field_of_the_policy(d));
            check
                .differences
                .extend(differences.map(|d| format!("{suite}: {d}")));
            inputs.push(check.pair(suite, baseline, run));
            let before = (baseline.latency.as_ref(), baseline.weight_bytes);
            let (costs, notes) = costs(suite, before, run, cost_rule);
            check.costs.extend(costs);
            check.not_checked.extend(notes);
            check.suites.push(suite.clone());
        }
        let run_of = |suite: &String| check.suites.contains(suite);
        let absent: Vec<String> = (self.suites.keys().filter(|suite| !run_of(suite)))
            .map(|suite| format!("suite {suite} of the baseline was not run"))
            .collect();
        check.not_checked.extend(absent);
        if inputs.is_empty() {
            return Err("no suite of the baseline was run".to_owned());
        }
        check.judgement = judge(&inputs, rule);
        let regressed = |cost: &CostResult| cost.verdict == Some(Verdict::Regressed);
        check.verdict = match check.costs.iter().any(regressed) {
            true => Verdict::Regressed,
            false => check.judgement.overall.verdict,
        };
        Ok(check)
    }
}

impl Check {
    /// Pairs the episodes of a suite; notes flips, errors and gaps.
    fn pair(&mut self, suite: &str, baseline: &SuiteBaseline, run: &RunFolder) -> GateInput {
        let mut identical = true;
        let mut pairs = Vec::new();
        let (mut errors, mut met) = (0, 0);
        for row in &run.episodes {
            let Some(before) = baseline.outcome(row.key()) else {
                continue;
            };
            met += 1;
            if !row.completed() {
                errors += 1;
                continue;
            }
            identical &= before.state_hash == row.state_hash && before.success == row.success;
            pairs.push((before.success, row.success));
            if before.success != row.success {
                self.flips.push(Flip {
                    suite: suite.to_owned(),
                    task: row.task,
                    init: row.init,
                    gained: row.success,
                });
            }
        }
        let known = |task: &TaskBaseline| task.outcomes.bytes().filter(|b| *b != b'-').count();
        let all: usize = baseline.tasks.values().map(known).sum();
        if errors > 0 {
            self.errors.insert(suite.to_owned(), errors);
        }
        if met < all {
            self.missing.insert(suite.to_owned(), all - met);
        }
        GateInput {
            counts: PairCounts::of(pairs),
            identical,
        }
    }

    /// Rows of the verdicts: name, pairs, rates, difference with its bound, evidence, verdict.
    pub fn table(&self) -> TextTable {
        let evidence = if self.rule.sequential {
            "e (drop)"
        } else {
            "p (drop)"
        };
        let mut table = TextTable::new(&[
            "suite",
            "pairs",
            "baseline",
            "run",
            "difference",
            "at least",
            evidence,
            "verdict",
        ]);
        let names = self.suites.iter().map(String::as_str).chain(["all"]);
        let results = self.judgement.parts.iter().chain([&self.judgement.overall]);
        for (name, result) in names.zip(results) {
            if name == "all" && self.suites.len() == 1 {
                continue;
            }
            let [both, lost, gained, neither] = result.pairs;
            let pairs = both + lost + gained + neither;
            let rate = |k: usize| format!("{} %", format_percent(k as f64 / pairs as f64, 1));
            let evidence = match self.rule.sequential {
                true => format!("{:.2}", result.e_drop),
                false => format!("{:.3}", result.p_drop_adjusted),
            };
            table.push([
                name.to_owned(),
                pairs.to_string(),
                rate(both + lost),
                rate(both + gained),
                format!("{:+.1}", 100.0 * result.difference),
                format!("{:+.1}", 100.0 * result.lower_bound),
                evidence,
                result.verdict.name().to_owned(),
            ]);
        }
        table
    }
}
