//! Every kernel by shape, and whole queries of the shipped size. A line per kernel and shape says how many operations a
//! second it does (a multiplication and an addition are two) and how much of the peak that is, measured beside it.
//! `BITVLA_ISA` chooses the instruction set; one thread.

use bitvla_policies::attention::{AttentionInputs, AttentionShape, PackedKeyValues, attention};
use bitvla_policies::kernels::{Isa, peak};
use bitvla_policies::linear::{
    Activation, ActivationBuffer, ActivationFormat, Linear, LinearFormat, StoreMode,
};
use bitvla_policies::preprocess::ImagePipeline;
use bitvla_policies::testing::{
    PUBLISHED_LAYERS, SplitMix64, WORDS, small_config, write_random_checkpoint,
};
use bitvla_policies::weights::WeightEncoding;
use bitvla_policies::{Observation, Threads, VlaPolicy, WeightFormat};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use std::time::{Duration, Instant};

const FORMATS: [(&str, LinearFormat); 7] = [
    ("ternary", LinearFormat::TERNARY),
    (
        "int8",
        LinearFormat::new(WeightEncoding::Int8, ActivationFormat::Int8),
    ),
    (
        "ternary weights, f32 activations",
        LinearFormat::new(WeightEncoding::Ternary, ActivationFormat::F32),
    ),
    (
        "int4",
        LinearFormat::new(WeightEncoding::Int4, ActivationFormat::F32),
    ),
    (
        "nf4",
        LinearFormat::new(WeightEncoding::Nf4, ActivationFormat::F32),
    ),
    (
        "bf16",
        LinearFormat::new(WeightEncoding::Bf16, ActivationFormat::F32),
    ),
    ("f32", LinearFormat::F32),
];

/// Says what the work that follows reaches, and lets criterion time it.
fn measured(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    (operations, integer): (f64, bool),
    mut work: impl FnMut(),
) {
    group.throughput(Throughput::Elements(operations as u64));
    let mut told = false;
    group.bench_function(name, |b| {
        // Not before criterion has chosen this one.
        if !std::mem::replace(&mut told, true) {
            work();
            let peak = peak::measure(1);
            let peak = if integer {
                peak.int8_gops
            } else {
                peak.f32_gflops
            };
            let start = Instant::now();
            let mut rounds = 0;
            while rounds == 0 || start.elapsed() < Duration::from_millis(200) {
                work();
                rounds += 1;
            }
            let rate = 1e-9 * operations * f64::from(rounds) / start.elapsed().as_secs_f64();
            println!(
                "{name}: {rate:.0} GOPS, {:.0} % of {peak:.0}",
                100.0 * rate / peak
            );
        }
        b.iter(&mut work);
    });
}

fn layers(c: &mut Criterion) {
    println!("instruction set: {}", Isa::active().name());
    let threads = Threads::single();
    for (n, k) in PUBLISHED_LAYERS {
        let mut random = SplitMix64::new(3);
        let weight: Vec<f32> = (0..n * k).map(|_| random.normal()).collect();
        let input: Vec<f32> = (0..630 * k).map(|_| random.normal()).collect();
        for (name, format) in FORMATS {
            let linear = Linear::new(name, &weight, None, (n, k), format);
            for rows in [1, 64, 630] {
                let mut group = c.benchmark_group(format!("{n}x{k}"));
                let mut staged = ActivationBuffer::default();
                staged.copy(&threads, &input[..rows * k], k, linear.activations());
                let mut y = vec![0f32; rows * n];
                let operations = 2.0 * (rows * n * k) as f64;
                let integer = linear.activations() == ActivationFormat::Int8;
                let name = format!("{name}, {n}x{k}, M {rows}");
                measured(&mut group, &name, (operations, integer), || {
                    linear.apply(
                        &threads,
                        &staged,
                        Activation::None,
                        StoreMode::Overwrite,
                        &mut y,
                    );
                });
            }
        }
    }
}

fn attentions(c: &mut Criterion) {
    let threads = Threads::single();
    for (name, query, key_value, width, tokens) in [
        ("language model", 20, 5, 128, 630),
        ("vision tower", 16, 16, 72, 256),
    ] {
        let mut random = SplitMix64::new(5);
        let mut noise = |len: usize| (0..len).map(|_| random.normal()).collect::<Vec<f32>>();
        let q = noise(tokens * query * width);
        let (k, v) = (
            noise(tokens * key_value * width),
            noise(tokens * key_value * width),
        );
        let heads = AttentionShape {
            query_heads: query,
            key_value_heads: key_value,
            head_dim: width,
            causal: false,
        };
        let (mut packed, mut out) = (PackedKeyValues::default(), vec![0f32; q.len()]);
        let operations = 4.0 * (tokens * tokens * query * width) as f64;
        let mut group = c.benchmark_group("attention");
        measured(
            &mut group,
            &format!("attention, {name}"),
            (operations, false),
            || {
                let sequence = AttentionInputs {
                    q: &q,
                    first: 0,
                    k: &k,
                    v: &v,
                    rope: None,
                };
                attention(&threads, &mut packed, sequence, heads, &mut out);
            },
        );
    }
}

fn queries(c: &mut Criterion) {
    let Ok(dir) = tempfile::tempdir() else { return };
    if let Err(error) =
        write_random_checkpoint(dir.path(), &small_config(112, 128, 4, WORDS.len() + 5), 2)
    {
        eprintln!("no checkpoint to time: {error}");
        return;
    }
    let frame = vec![100u8; 256 * 256 * 3];
    let instruction =
        "pick up the black bowl between the plate and the ramekin and place it on the plate";
    let observation = Observation {
        agentview: &frame,
        wrist: &frame,
        proprio: [0.0; 8],
        instruction,
    };
    let mut group = c.benchmark_group("query");
    for format in WeightFormat::ALL {
        let Ok(mut policy) = VlaPolicy::load(dir.path(), format) else {
            continue;
        };
        group.bench_function(format.name(), |b| {
            b.iter(|| policy.query(&observation).map(|chunk| chunk.actions[0]))
        });
    }
    group.bench_function("published image pipeline, one frame", |b| {
        b.iter(|| ImagePipeline::Published.apply(&frame, 224))
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_millis(500)).sample_size(10);
    targets = layers, attentions, queries
}
criterion_main!(benches);
