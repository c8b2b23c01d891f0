//! Packed ternary against dense f32: single layers at the sizes of the small and of the published model, and whole
//! queries of the shipped size. `BITVLA_ISA` chooses the instruction set.

use bitvla_policies::linear::{Linear, LinearFormat};
use bitvla_policies::testing::{Random, WORDS, small_config, write_random_checkpoint};
use bitvla_policies::{Observation, VlaPolicy, WeightFormat};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::time::Duration;

fn layers(c: &mut Criterion) {
    for (rows, outputs, inputs) in [
        (172, 128, 128),
        (172, 384, 128),
        (98, 512, 128),
        (64, 2560, 2560),
    ] {
        let mut group = c.benchmark_group(format!("linear {rows}x{outputs}x{inputs}"));
        group.throughput(Throughput::Elements((rows * outputs * inputs) as u64));
        let mut random = Random::new(3);
        let weight: Vec<f32> = (0..outputs * inputs).map(|_| random.normal()).collect();
        let x: Vec<f32> = (0..rows * inputs).map(|_| random.normal()).collect();
        for (name, format) in [
            ("f32", LinearFormat::F32),
            ("ternary", LinearFormat::TERNARY),
        ] {
            let linear = Linear::new(name, &weight, None, (outputs, inputs), format);
            group.bench_function(name, |b| b.iter(|| linear.forward(&x)));
        }
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
    for (name, format) in [
        ("full", WeightFormat::Full),
        ("ternary", WeightFormat::Ternary),
    ] {
        let Ok(mut policy) = VlaPolicy::load(dir.path(), format) else {
            continue;
        };
        group.bench_function(name, |b| {
            b.iter(|| policy.query(&observation).map(|chunk| chunk.actions[0]))
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1)).sample_size(20);
    targets = layers, queries
}
criterion_main!(benches);
