//! Guarantee: what was trained is what acts: the exported checkpoint answers as the network in the trainer does.
//! Full precision to 1e-4 on every input. With int8 activations an entry next to a tie may round the other way and
//! move what follows, so of four dozen inputs some agree to 1e-4 (other arithmetic would agree on none) and all within
//! what flips do.

use anyhow::Result;
use bitvla_policies::{BitVla, Checkpoint, NetworkInput, PhaseTimes, ScratchBuffers, WeightFormat};
use bitvla_tasks::{Assets, Suite};
use bitvla_train::checkpoint::{export, net_config, prompts};
use bitvla_train::net::{Item, Net, Quant, Workspace};
use bitvla_train::statistics::statistics;

/// Inputs that are compared.
const INPUTS: usize = 48;

#[test]
fn the_exported_checkpoint_answers_as_the_trained_network() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let assets = Assets::open(&Assets::default_dir())?;
    let suite = Suite::load(&assets, "spatial")?;
    let config = net_config(&suite);
    let prompts = prompts(&suite, &config, dir.path())?;
    let pixels = 3 * config.image_size * config.image_size;
    let wave = |n: usize, k: f32| {
        (0..n)
            .map(|i| libm::sinf(i as f32 * k))
            .collect::<Vec<f32>>()
    };
    for (quant, format) in [
        (Quant::NONE, WeightFormat::Full),
        (Quant::ALL, WeightFormat::Ternary),
    ] {
        let net = Net::new(config.clone(), quant);
        let params = net.layout.init(5);
        let ternary = quant == Quant::ALL;
        let folder = dir.path().join(if ternary { "ternary" } else { "full" });
        export(&folder, &suite, &config, &params, &statistics(&[]), ternary)?;
        let inference = BitVla::new(&Checkpoint::load(&folder)?, format)?;
        let mut eff = Vec::new();
        net.layout.effective(&params, quant, &mut eff);
        let mut apart = Vec::new();
        for k in 0..INPUTS {
            let images = wave(2 * pixels, 0.37 + 0.01 * k as f32);
            let item = Item {
                images: images.clone(),
                prompt: prompts[k % prompts.len()].clone(),
                proprio: wave(8, 0.9 + 0.1 * k as f32),
                target: Vec::new(),
            };
            let (first, second) = images.split_at(pixels);
            let asked = NetworkInput {
                tokens: &item.prompt,
                images: &[first.to_vec(), second.to_vec()],
                proprio: &item.proprio,
            };
            let (mut work, mut times) = (ScratchBuffers::default(), PhaseTimes::default());
            let acted = inference.forward(&mut work, asked, &mut times, &mut |_, _| {})?;
            let items = std::slice::from_ref(&item);
            let trained = net.predict(&eff, items, &mut Workspace::default());
            assert_eq!(acted.len(), config.placeholders());
            let differences = acted.iter().zip(&trained).map(|(a, b)| (a - b).abs());
            apart.push(differences.fold(0.0, f32::max));
        }
        let same = apart.iter().filter(|d| **d < 1e-4).count();
        let least = if ternary { INPUTS / 16 } else { INPUTS };
        assert!(
            same >= least,
            "{quant:?}: {same} of {INPUTS} agree: {apart:?}"
        );
        assert!(apart.iter().all(|d| *d < 0.2), "{quant:?}: {apart:?}");
    }
    Ok(())
}
