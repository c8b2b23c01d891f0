//! Guarantee: what was trained is what acts: the exported checkpoint answers as the network in the trainer does.
//! Full precision to 1e-4; with int8 activations an entry next to a tie may round the other way, so the median
//! of the differences is held to 1e-4 and the largest to a twentieth of the range.

use anyhow::Result;
use bitvla_policies::{BitVla, Checkpoint, PhaseTimes, WeightFormat};
use bitvla_tasks::{Assets, Suite};
use bitvla_train::checkpoint::{export, net_config, prompts};
use bitvla_train::net::{Item, Net, Quant, Workspace};
use bitvla_train::statistics::statistics;

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
    let images = wave(2 * pixels, 0.37);
    let item = Item {
        images: images.clone(),
        prompt: prompts[4].clone(),
        proprio: wave(8, 0.9),
        target: Vec::new(),
    };
    let (first, second) = images.split_at(pixels);
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
        let acted = inference.forward(
            &item.prompt,
            &[first.to_vec(), second.to_vec()],
            &item.proprio,
            &mut PhaseTimes::default(),
            &mut |_, _| {},
        )?;
        let mut eff = Vec::new();
        net.layout.effective(&params, quant, &mut eff);
        let items = std::slice::from_ref(&item);
        let trained = net.predict(&eff, items, &mut Workspace::default());
        let mut apart: Vec<f32> = acted
            .iter()
            .zip(&trained)
            .map(|(a, b)| (a - b).abs())
            .collect();
        apart.sort_by(f32::total_cmp);
        let (median, most) = (apart[apart.len() / 2], apart[apart.len() - 1]);
        assert_eq!(acted.len(), config.placeholders());
        assert!(median < 1e-4, "{quant:?}: median difference {median}");
        let limit = if ternary { 0.1 } else { 1e-4 };
        assert!(most < limit, "{quant:?}: largest difference {most}");
    }
    Ok(())
}
