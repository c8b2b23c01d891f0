//! The measurement: queries, each between two measurements of the peak throughput.

use super::target::{BenchTarget, INSTRUCTION, open_target, test_frame};
use super::{BenchPlan, BenchReport, PhaseRow};
use crate::energy_counter::EnergyCounters;
use crate::query_operations::{floor_ms, operations, query_operations};
use crate::{EvalError, machine};
use bitvla_policies::kernels::Isa;
use bitvla_policies::kernels::peak::{self, PeakThroughput};
use bitvla_policies::profile;
use bitvla_policies::system::{peak_resident_bytes, resident_bytes};
use bitvla_reports::{EnergyReport, MemoryReport, median};
use std::path::Path;
use std::time::{Duration, Instant};

fn ms(time: Duration) -> f64 {
    1e3 * time.as_secs_f64()
}

/// Measures; `packed` is a packed file of synthetic weights, or the weights are made in memory. `progress` is told what
/// is being done.
///
/// # Errors
/// If the weights cannot be had or do not fit the memory.
pub fn bench(
    plan: &BenchPlan,
    packed: Option<&Path>,
    progress: &mut dyn FnMut(&str),
) -> Result<BenchReport, EvalError> {
    let program_bytes = resident_bytes();
    progress("loading");
    let start = Instant::now();
    let mut target = open_target(plan, packed)?;
    let start_ms = ms(start.elapsed());
    if let BenchTarget::Policy(policy) = &target {
        policy.prepare(&[INSTRUCTION.to_owned()])?;
    }
    let frames = [test_frame(1), test_frame(2)];
    progress("first query");
    let (first, tokens) = target.query(plan, &frames)?;
    let (mut times, mut work) = (Vec::new(), Vec::new());
    let mut counters = EnergyCounters::start();
    // The clock of the processor moves: every query has its own peak, measured before and after it.
    let mut peaks = vec![peak::measure(plan.threads)];
    for i in 0..plan.queries {
        progress(&format!("query {} of {}", i + 1, plan.queries));
        profile::take();
        counters.skip();
        times.push(target.query(plan, &frames)?.0);
        counters.update();
        work.push(profile::take());
        peaks.push(peak::measure(plan.threads));
    }
    let measured = counters.measured(plan.queries);
    let around = |i: usize| PeakThroughput {
        int8_gops: 0.5 * (peaks[i].int8_gops + peaks[i + 1].int8_gops),
        f32_gflops: 0.5 * (peaks[i].f32_gflops + peaks[i + 1].f32_gflops),
    };
    let middle = |of: &dyn Fn(usize) -> f64| {
        // Without a query there is no median.
        median(&(0..plan.queries).map(of).collect::<Vec<f64>>()).unwrap_or(f64::NAN)
    };
    let peak = PeakThroughput {
        int8_gops: middle(&|i| around(i).int8_gops),
        f32_gflops: middle(&|i| around(i).f32_gflops),
    };
    let row = |phase: &str, of: &dyn Fn(usize) -> Duration| PhaseRow {
        phase: phase.to_owned(),
        median_ms: middle(&|i| ms(of(i))),
    };
    let phases = vec![
        row("preprocessing", &|i| times[i].preprocessing),
        row("vision", &|i| times[i].vision),
        row("language", &|i| times[i].language),
        row("head", &|i| times[i].head),
    ];
    let mut kinds = vec![
        row("linear layers", &|i| work[i][0]),
        row("attention", &|i| work[i][1]),
        row("norms, quantising", &|i| work[i][2]),
        row("everything else", &|i| {
            times[i].total().saturating_sub(work[i].iter().sum())
        }),
    ];
    // Only our own kernels keep account of their work; candle does not.
    let linear_ms = kinds[0].median_ms;
    let accounted = linear_ms > 0.0;
    if !accounted {
        kinds.clear();
    }
    let network = target.network();
    let memory = target.memory();
    let counted = query_operations(network, tokens, &memory);
    let o = operations(network, tokens);
    Ok(BenchReport {
        model: match &plan.checkpoint {
            Some(spec) => spec.checkpoint_path().display().to_string(),
            None => plan.model.name().to_owned(),
        },
        policy: plan.format.name().to_owned(),
        arithmetic: network.arithmetic(),
        engine: plan.engine.name().to_owned(),
        weights: if plan.checkpoint.is_some() {
            "checkpoint"
        } else {
            "synthetic"
        }
        .to_owned(),
        stored: match plan.checkpoint {
            Some(_) => "checkpoint",
            None => plan.stored.name(),
        }
        .to_owned(),
        isa: Isa::active().name().to_owned(),
        threads: plan.threads,
        tokens,
        start_ms,
        first_ms: ms(first.total()),
        query_ms: row("query", &|i| times[i].total()).median_ms,
        linear_gops: accounted.then(|| 1e-6 * (o.bytes + o.floats) / linear_ms),
        phases,
        work: kinds,
        peak,
        floor_ms: middle(&|i| floor_ms(network, tokens, around(i))),
        ratio: middle(&|i| ms(times[i].total()) / floor_ms(network, tokens, around(i))),
        memory: MemoryReport {
            program_bytes,
            instances: 1,
            peak_resident_bytes: peak_resident_bytes(),
            ..memory
        },
        energy: EnergyReport {
            operations: Some(counted),
            measured,
        },
        machine: machine()?,
    })
}
