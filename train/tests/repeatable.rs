//! Guarantees: training gives the same bits for any number of threads and when it was interrupted; the pipeline, cut
//! short, goes from nothing to checkpoints that inference loads, and a second call changes nothing; what ships has a card
//! with the hashes of its weights.

use anyhow::{Context, Result};
use bitvla_eval::PACKED_FILE;
use bitvla_tasks::{Assets, Suite};
use bitvla_train::checkpoint::{net_config, prompts};
use bitvla_train::dataset::{
    CHUNK, FrameDataset, IMAGE_BYTES, TaskCounts, TrainingFrame, shard_path, write_shard,
};
use bitvla_train::net::{Net, QuantConfig};
use bitvla_train::optim::LearningRateSchedule;
use bitvla_train::recipe::{ImageAugmentation, OptimisationSettings, Recipe};
use bitvla_train::statistics::statistics;

use bitvla_train::trainer::{MICROBATCH_SIZE, TrainConfig, losses_path, read_losses, train};
use bitvla_train::training_card::{CARD_FILE, TrainingCard};
use std::path::Path;
use std::process::Command;

/// Frames of noise.
fn noise(dir: &Path, n: usize) -> Result<FrameDataset> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 8) / f64::from(1 << 24) * 2.0 - 1.0
    };
    let frames: Vec<TrainingFrame> = (0..n)
        .map(|i| TrainingFrame {
            images: (0..IMAGE_BYTES)
                .map(|_| (next() * 127.0 + 128.0) as u8)
                .collect(),
            proprio: std::array::from_fn(|_| next()),
            actions: [[0.0; 7]; CHUNK].map(|a| a.map(|_| next())),
            task: (i % 10) as u8,
        })
        .collect();
    write_shard(&shard_path(dir, 0), &frames, &TaskCounts::new())?;
    FrameDataset::read(dir)
}

#[test]
fn threads_and_interruptions_change_no_bit() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let assets = Assets::open(&Assets::default_dir())?;
    let suites = [Suite::load(&assets, "spatial")?];
    let recipe = Recipe::named("spatial")?;
    let config = net_config(&recipe.network, &suites);
    let prompts = prompts(&suites, &config, dir.path())?;
    let optimisation = OptimisationSettings {
        batch: 2 * MICROBATCH_SIZE,
        muon: true,
        ..recipe.optimisation
    };
    let augmentation = ImageAugmentation {
        shift_pixels: 3,
        brightness: 0.1,
        contrast: 0.1,
    };
    let data = noise(dir.path(), 11)?;
    let statistics = statistics(data.metas())?;
    let net = Net::new(config, QuantConfig::ALL);
    let teacher = net.layout.init(2);
    let run = |name: &str, jobs, stop_at| {
        train(TrainConfig {
            name,
            dir: &dir.path().join(name),
            net: &net,
            start: net.layout.init(1),
            data: &data,
            validation: &data,
            statistics: &statistics,
            prompts: &prompts,
            schedule: LearningRateSchedule {
                lr: 1e-3,
                warmup: 1,
                steps: 5,
            },
            optimisation: &optimisation,
            augmentation,
            teacher: Some(&teacher),
            seed: 3,
            jobs,
            stop_at,
        })
    };
    let whole = run("whole", 1, None)?;
    run("cut", 2, Some(3))?;
    let cut = run("cut", 3, None)?;
    assert!(whole == cut, "parameters differ");
    assert!(whole.iter().all(|p| p.is_finite()) && whole != net.layout.init(1));
    let last = read_losses(&losses_path(&dir.path().join("whole")))?;
    assert!(
        last.last()
            .is_some_and(|r| r.step == 5 && r.validation.is_some())
    );
    Ok(())
}

#[test]
fn a_short_pipeline_ends_in_checkpoints_that_load() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let installed = dir.path().join("installed");
    let command = |words: &[&str]| -> Result<()> {
        let out = Command::new(env!("CARGO_BIN_EXE_bitvla-train"))
            .args(words)
            .args(["--scale", "0.002", "--jobs", "2", "--ablation", "--out"])
            .arg(dir.path())
            .output()?;
        let words = String::from_utf8_lossy(&out.stderr).into_owned();
        anyhow::ensure!(out.status.success(), "{words}");
        Ok(())
    };
    let call = || command(&["all"]);
    call()?;
    let weights = dir.path().join("checkpoints/ternary/model.safetensors");
    let first = std::fs::read(&weights).context("no ternary weights")?;
    for name in ["full", "ternary"] {
        let folder = dir.path().join("checkpoints").join(name);
        let format = match name {
            "full" => bitvla_policies::WeightFormat::Full,
            _ => bitvla_policies::WeightFormat::Ternary,
        };
        let mut policy = bitvla_policies::VlaPolicy::load(&folder, format)?;
        let frame = vec![90u8; 256 * 256 * 3];
        let answer = policy.query(&bitvla_policies::Observation {
            agentview: &frame,
            wrist: &frame,
            proprio: [0.0, 0.0, 1.0, 3.1, 0.0, 0.0, 0.02, -0.02],
            instruction: "pick up the black bowl on the stove and place it on the plate",
        })?;
        assert_eq!(answer.actions.len(), CHUNK);
    }
    assert!(dir.path().join("losses/losses.svg").is_file());
    let to = installed.to_str().context("a path in UTF-8")?;
    command(&["install", "--to", to])?;
    let recipe = Recipe::named("spatial")?;
    for name in ["full", "ternary", "ternary-unaligned", "ternary-scratch"] {
        let folder = installed.join(name);
        let card = std::fs::read(folder.join(CARD_FILE))?;
        let card: TrainingCard = serde_json::from_slice(&card)?;
        assert_eq!(card.suites, ["spatial"]);
        assert!(card.data_sets.iter().all(|d| d.frames > 0) && !card.stages.is_empty());
        let ships = recipe.stages.iter().rfind(|stage| {
            (stage.train.as_ref()).is_some_and(|t| t.ships_as.as_deref() == Some(name))
        });
        let ships = ships.with_context(|| format!("no stage ships as {name}"))?;
        assert_eq!(card.stages.last().map(|s| &s.name), Some(&ships.name));
        let weights = match name {
            "full" => "model.safetensors",
            _ => PACKED_FILE,
        };
        assert_eq!(
            card.weights_sha256.get(weights),
            Some(&bitvla_eval::sha256_of_file(&folder.join(weights))?)
        );
    }
    call()?;
    assert!(
        first == std::fs::read(&weights)?,
        "a second call changed the weights"
    );
    Ok(())
}
