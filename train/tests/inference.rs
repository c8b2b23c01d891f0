//! Guarantee: the exported checkpoint gives the outputs of the network in the trainer, in full precision to 1e-4 on every
//! input. With int8 activations an entry next to a tie may round the other way and change the rest, so of four dozen
//! inputs some agree to 1e-4 (other arithmetic would agree on none) and all to 0.2, the effect of such flips.

use anyhow::Result;
use bitvla_policies::{
    BitVla, Checkpoint, NetworkInput, PhaseTimes, ScratchBuffers, VlaNetwork, WeightFormat,
};
use bitvla_tasks::{Assets, Suite};
use bitvla_train::checkpoint::{export, net_config, prompts};
use bitvla_train::dataset::{CHUNK, FrameMeta};
use bitvla_train::net::{Net, NetActivations, QuantConfig, TrainingSample};
use bitvla_train::recipe::Recipe;
use bitvla_train::statistics::statistics;

/// Inputs that are compared.
const INPUTS: usize = 48;

#[test]
fn the_exported_checkpoint_gives_the_outputs_of_the_trained_network() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let assets = Assets::open(&Assets::default_dir())?;
    let suites = [Suite::load(&assets, "spatial")?];
    let sizes = Recipe::named("spatial")?.network;
    let config = net_config(&sizes, &suites);
    let prompts = prompts(&suites, &config, dir.path())?;
    let frame = FrameMeta {
        proprio: [0.0; 8],
        actions: [[0.0; 7]; CHUNK],
        task: 0,
    };
    let pixels = 3 * config.image_size * config.image_size;
    let wave = |n: usize, k: f32| {
        (0..n)
            .map(|i| libm::sinf(i as f32 * k))
            .collect::<Vec<f32>>()
    };
    for (quant, format) in [
        (QuantConfig::NONE, WeightFormat::Full),
        (QuantConfig::ALL, WeightFormat::Ternary),
    ] {
        let net = Net::new(config.clone(), quant);
        let params = net.layout.init(5);
        let ternary = quant == QuantConfig::ALL;
        let folder = dir.path().join(if ternary { "ternary" } else { "full" });
        export(
            &folder,
            &suites,
            &config,
            &params,
            &statistics(std::slice::from_ref(&frame))?,
            (ternary, false),
        )?;
        let inference = BitVla::new(&Checkpoint::load(&folder)?, format)?;
        let mut effective_weights = Vec::new();
        net.layout
            .effective_weights(&params, quant, &mut effective_weights);
        let mut worst = Vec::new();
        for k in 0..INPUTS {
            let images = wave(2 * pixels, 0.37 + 0.01 * k as f32);
            let sample = TrainingSample {
                task: 0,
                images: images.clone(),
                prompt: prompts[k % prompts.len()].clone(),
                proprio: wave(8, 0.9 + 0.1 * k as f32),
                target: Vec::new(),
            };
            let (first, second) = images.split_at(pixels);
            let prompt = NetworkInput {
                tokens: &sample.prompt,
                images: &[first.to_vec(), second.to_vec()],
                proprio: &sample.proprio,
            };
            let (mut buffers, mut times) = (ScratchBuffers::default(), PhaseTimes::default());
            let inferred = inference.forward(&mut buffers, prompt, &mut times, &mut |_, _| {})?;
            let samples = std::slice::from_ref(&sample);
            let trained = net.predict(&effective_weights, samples, &mut NetActivations::default());
            assert_eq!(inferred.len(), config.placeholders());
            let differences = inferred.iter().zip(&trained).map(|(a, b)| (a - b).abs());
            worst.push(differences.fold(0.0, f32::max));
        }
        let same = worst.iter().filter(|d| **d < 1e-4).count();
        let least = if ternary { INPUTS / 16 } else { INPUTS };
        assert!(
            same >= least,
            "{quant:?}: {same} of {INPUTS} agree: {worst:?}"
        );
        assert!(worst.iter().all(|d| *d < 0.2), "{quant:?}: {worst:?}");
    }
    Ok(())
}
