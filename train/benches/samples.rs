//! Training samples per second of one thread, forward and backward, for the network of the recipes (0.9 GFLOP
//! a sample), in full precision and quantisation-aware. Threads share nothing but the weights, so two cores do twice
//! as much; the progress of a training run shows the rate of the whole loop.

use bitvla_policies::kernels::Isa;
use bitvla_policies::testing::SplitMix64;
use bitvla_train::net::gemm_f32::{Dims, Mode, product};
use bitvla_train::net::{
    AuxiliaryLosses, Net, NetActivations, NetConfig, QuantConfig, TrainingSample,
};
use bitvla_train::recipe::Recipe;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

/// Number of samples of a microbatch.
const SAMPLES: usize = 4;

/// Returns `n` numbers, uniform in [-1, 1).
fn noise(n: usize, seed: u64) -> Vec<f32> {
    let mut random = SplitMix64::new(seed);
    (0..n).map(|_| 2.0 * random.uniform() - 1.0).collect()
}

fn samples(c: &NetConfig) -> Vec<TrainingSample> {
    (0..SAMPLES as u64)
        .map(|i| {
            let mut prompt = vec![c.bos_token];
            prompt.extend(vec![c.image_token; c.images * c.patches()]);
            prompt.push(c.proprio_token);
            prompt.extend(5..5 + 14 + (i % 2) as u32);
            TrainingSample {
                task: 0,
                images: noise(c.images * 3 * c.image_size * c.image_size, i + 1),
                prompt,
                proprio: noise(c.proprio, 77 + i),
                target: noise(c.placeholders(), 99 + i),
            }
        })
        .collect()
}

fn bench_training_step(criterion: &mut Criterion) {
    let sizes = Recipe::named("spatial").expect("a recipe").network;
    let c = NetConfig::sized(&sizes, 31);
    let mut group = criterion.benchmark_group("training samples, one thread");
    group.throughput(Throughput::Elements(SAMPLES as u64));
    for (name, quant) in [
        ("full precision", QuantConfig::NONE),
        ("ternary", QuantConfig::ALL),
    ] {
        let net = Net::new(c.clone(), quant);
        let params = net.layout.init(1);
        let mut effective_weights = Vec::new();
        net.layout
            .effective_weights(&params, quant, &mut effective_weights);
        let samples = samples(&c);
        let mut activations = NetActivations::default();
        let mut grad = vec![0.0; params.len()];
        group.bench_function(name, |b| {
            b.iter(|| {
                black_box(net.train(
                    &effective_weights,
                    &samples,
                    SAMPLES,
                    AuxiliaryLosses::default(),
                    &mut activations,
                    &mut grad,
                ))
            });
        });
    }
    group.finish();
}

/// Measures f32 products of the shapes that a training step has.
fn bench_products(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("f32 products, one thread");
    for (m, n, k, a_t, b_t) in [
        (656, 128, 128, false, true),
        (656, 512, 128, false, true),
        (656, 128, 512, false, false),
        (512, 128, 656, true, false),
        (164, 164, 32, false, true),
    ] {
        let (a, b) = (noise(m * k, 1), noise(n * k, 2));
        let mut c = vec![0.0; m * n];
        let (lda, ldb) = (if a_t { m } else { k }, if b_t { k } else { n });
        let dims = Dims { m, n, k };
        group.throughput(Throughput::Elements(2 * (m * n * k) as u64));
        group.bench_function(format!("{m}x{n}x{k}"), |bench| {
            bench.iter(|| {
                let (a, b) = ((&a[..], lda), (&b[..], ldb));
                product(Isa::active(), dims, a, a_t, b, b_t, (&mut c, n), Mode::Set);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, bench_training_step, bench_products);
criterion_main!(benches);
