//! Compares the engines at the size of the published model: the same synthetic bf16 weights and the same question, largest
//! differences of hidden states and actions, and the time of each phase.
//!
//! `cargo run --release -p bitvla-policies --features candle --example engines -- [THREADS] [QUERIES]`; takes 7 GB of memory.
#![allow(clippy::print_stdout)]

use bitvla_policies::candle_engine::CandleVla;
use bitvla_policies::synthetic::SyntheticWeights;
use bitvla_policies::testing::SplitMix64;
use bitvla_policies::weights::WeightEncoding;
use bitvla_policies::{
    BitVla, Config, NetworkInput, PhaseTimes, PolicyError, ScratchBuffers, Threads, VlaNetwork,
    WeightFormat,
};
use std::collections::BTreeMap;

/// Traced values of the first query by name; prints the times of all.
fn ask(
    name: &str,
    network: &dyn VlaNetwork,
    threads: usize,
    queries: usize,
) -> Result<BTreeMap<String, Vec<f32>>, PolicyError> {
    let a = network.architecture();
    let mut random = SplitMix64::new(11);
    let mut words = |count: usize| -> Vec<u32> {
        let word = |_| (random.next_u64() % u64::from(a.image_token)) as u32;
        (0..count).map(word).collect()
    };
    let mut tokens = words(36);
    tokens.extend(std::iter::repeat_n(a.image_token, a.patches()));
    tokens.push(a.proprio_token);
    tokens.extend(words(24));
    let mut random = SplitMix64::new(12);
    let pixels = 3 * a.image_size() * a.image_size();
    let mut values =
        |count: usize| -> Vec<f32> { (0..count).map(|_| 2.0 * random.uniform() - 1.0).collect() };
    let images = [values(pixels), values(pixels)];
    let proprio = values(a.proprio_dim);
    let mut scratch = ScratchBuffers::new(Threads::new(threads)?);
    let mut seen = BTreeMap::new();
    for query in 0..queries {
        let mut times = PhaseTimes::default();
        let input = NetworkInput {
            tokens: &tokens,
            images: &images,
            proprio: &proprio,
        };
        network.forward(&mut scratch, input, &mut times, &mut |value, numbers| {
            if query == 0 {
                seen.insert(value.to_owned(), numbers.to_vec());
            }
        })?;
        println!(
            "{name}: {:.2} s: vision {:.2}, language {:.2}, head {:.3}",
            times.total().as_secs_f64(),
            times.vision.as_secs_f64(),
            times.language.as_secs_f64(),
            times.head.as_secs_f64()
        );
    }
    println!(
        "{name}: {} threads, {:.2} GB of weights and activations",
        threads,
        network.ledger(&scratch).resident() as f64 / 1e9
    );
    Ok(seen)
}

fn main() -> Result<(), PolicyError> {
    let mut numbers = std::env::args()
        .skip(1)
        .filter_map(|word| word.parse().ok());
    let threads = numbers.next().unwrap_or(2);
    let queries = numbers.next().unwrap_or(2);
    let weights = SyntheticWeights {
        seed: 7,
        stored: WeightEncoding::Bf16,
    };
    let config = Config::bitvla_3b()?;
    // One after the other, so that the weights are in memory once.
    let native = BitVla::from_config(&config, &weights, WeightFormat::Full, (true, true))?;
    let ours = ask("native", &native, threads, queries)?;
    drop(native);
    let candle = CandleVla::from_config(&config, &weights, (true, true))?;
    let theirs = ask("candle", &candle, threads, queries)?;
    for (name, values) in &ours {
        let pairs = values.iter().zip(&theirs[name]);
        let most = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        let size = values.iter().fold(0f32, |size, v| size.max(v.abs()));
        println!("{name}: within {most:.1e}, largest magnitude {size:.1e}");
    }
    Ok(())
}
