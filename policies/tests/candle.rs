//! Guarantee: the candle engine computes what ours computes, to 1e-4 of every traced value, normalised actions and hidden
//! states among them: on the shipped checkpoint, on the golden full-precision network (both engines against the
//! reference) and on bf16 checkpoints, bidirectional and causal. Behind a policy it gives the same actions to 1e-4, says
//! what it takes, and refuses rounded weights.

use bitvla_policies::candle_engine::CandleVla;
use bitvla_policies::testing::{WORDS, small_config, write_random_checkpoint};
use bitvla_policies::{
    AttentionMask, BitVla, Checkpoint, Engine, NetworkInput, Observation, PhaseTimes, Policy,
    ScratchBuffers, Threads, VlaNetwork, VlaOptions, VlaPolicy, WeightFormat,
};
use safetensors::SafeTensors;
use std::collections::BTreeMap;
use std::path::Path;

const TOLERANCE: f32 = 1e-4;

/// Every traced value of a query by name.
fn traced(network: &dyn VlaNetwork, prompt: NetworkInput<'_>) -> BTreeMap<String, Vec<f32>> {
    let mut seen = BTreeMap::new();
    let mut trace = |name: &str, values: &[f32]| _ = seen.insert(name.to_owned(), values.to_vec());
    let mut times = PhaseTimes::default();
    let mut scratch = ScratchBuffers::new(Threads::new(2).unwrap());
    network
        .forward(&mut scratch, prompt, &mut times, &mut trace)
        .unwrap();
    assert!(times.vision > std::time::Duration::ZERO && times.language > times.head);
    seen
}

fn farthest(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

/// Asks both engines and compares all that they trace.
fn compare(dir: &Path) {
    let checkpoint = Checkpoint::load(dir).unwrap();
    let config = checkpoint.config();
    let side = config.vision_config.image_size;
    let wave = |n: usize, k: f32| (0..n).map(|i| (i as f32 * k).sin()).collect::<Vec<f32>>();
    let images = [wave(3 * side * side, 0.31), wave(3 * side * side, 0.17)];
    let state = wave(8, 1.3);
    let mut tokens = vec![1u32];
    tokens.extend(std::iter::repeat_n(3, 2 * config.vision_config.patches()));
    tokens.extend([4, 7, 9, 12, 6]);
    let prompt = NetworkInput {
        tokens: &tokens,
        images: &images,
        proprio: &state,
    };
    let ours = traced(
        &BitVla::new(&checkpoint, WeightFormat::Full).unwrap(),
        prompt,
    );
    let theirs = traced(&CandleVla::new(&checkpoint).unwrap(), prompt);
    assert_eq!(
        ours.keys().collect::<Vec<_>>(),
        theirs.keys().collect::<Vec<_>>()
    );
    assert!(ours.contains_key("action.normalized") && ours.contains_key("action.hidden_states"));
    for (name, values) in &ours {
        let most = farthest(values, &theirs[name]);
        eprintln!("{}: {name} within {most:.1e}", dir.display());
        assert!(most < TOLERANCE, "{name} differs by up to {most}");
    }
}

fn shipped() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/checkpoints/spatial/full")
}

#[test]
fn the_shipped_checkpoint_is_the_same_network() {
    compare(&shipped());
}

#[test]
fn bf16_checkpoints_are_the_same_network() {
    for (attention, width, layers) in [
        (AttentionMask::Bidirectional, 256, 4),
        (AttentionMask::Causal, 64, 3),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut config = small_config(48, width, layers, WORDS.len() + 5);
        config.attention = attention;
        write_random_checkpoint(dir.path(), &config, 11).unwrap();
        compare(dir.path());
    }
}

#[test]
fn the_golden_full_precision_network_is_reproduced() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/bitvla/c_full_precision");
    let read = |name: &str| {
        let bytes = std::fs::read(dir.join(name)).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let floats = |t: &safetensors::tensor::TensorView<'_>| -> Vec<f32> {
            let bytes = t.data();
            match t.dtype() {
                safetensors::Dtype::I64 => {
                    let whole = bytes.as_chunks().0.iter();
                    whole.map(|b| i64::from_le_bytes(*b) as f32).collect()
                }
                safetensors::Dtype::F32 => {
                    let whole = bytes.as_chunks().0.iter();
                    whole.map(|b| f32::from_le_bytes(*b)).collect()
                }
                _ => Vec::new(),
            }
        };
        file.tensors()
            .iter()
            .map(|(name, t)| (name.clone(), floats(t)))
            .collect::<BTreeMap<String, Vec<f32>>>()
    };
    let (inputs, outputs) = (read("inputs.safetensors"), read("outputs.safetensors"));
    let checkpoint = Checkpoint::load(&dir).unwrap();
    let side = checkpoint.config().vision_config.image_size;
    let images: Vec<Vec<f32>> = inputs["pixel_values"]
        .chunks(3 * side * side)
        .map(<[f32]>::to_vec)
        .collect();
    let tokens: Vec<u32> = inputs["prompt_input_ids"]
        .iter()
        .map(|v| *v as u32)
        .collect();
    let prompt = NetworkInput {
        tokens: &tokens,
        images: &images,
        proprio: &inputs["proprio"],
    };
    let seen = traced(&CandleVla::new(&checkpoint).unwrap(), prompt);
    for name in [
        "vision.hidden.0",
        "vision.hidden.2",
        "vision.projected",
        "lm.inputs_embeds",
        "lm.layer_out.0",
        "action.hidden_states",
        "action.normalized",
    ] {
        let most = farthest(&seen[name], &outputs[name]);
        eprintln!("{name} within {most:.1e}");
        assert!(most < TOLERANCE, "{name} differs by up to {most}");
    }
}

fn options(format: WeightFormat) -> VlaOptions {
    VlaOptions {
        engine: Engine::Candle,
        ..format.into()
    }
}

#[test]
fn a_candle_policy_acts_as_a_native_one() {
    let frame: Vec<u8> = (0..256 * 256 * 3).map(|i| (i * i / 97) as u8).collect();
    let observation = Observation {
        agentview: &frame,
        wrist: &frame,
        proprio: [0.0, 0.0, 1.0, 3.0, 0.0, 0.0, 0.02, -0.02],
        instruction: "pick up the black bowl next to the plate and place it on the plate",
    };
    let mut native = VlaPolicy::open(&shipped(), WeightFormat::Full).unwrap();
    let mut candle = VlaPolicy::open(&shipped(), options(WeightFormat::Full)).unwrap();
    let ours = native.query(&observation).unwrap();
    let theirs = candle.query(&observation).unwrap();
    for (a, b) in ours.actions.iter().zip(&theirs.actions) {
        assert!(
            a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4),
            "{a:?} {b:?}"
        );
    }
    assert_eq!((candle.name(), candle.engine().name()), ("full", "candle"));
    assert_eq!(candle.arithmetic(), "dense");
    assert_eq!(candle.tokens(), native.tokens());
    assert_eq!(candle.protocol(), native.protocol());
    // The same weights by class; rotary tables are made anew for every query.
    let weights = |policy: &VlaPolicy| {
        let entries = policy.memory().weights.into_iter();
        let rows = entries.map(|e| ((e.class, e.encoding), e.bytes));
        rows.filter(|((class, _), _)| class != "rotary tables")
            .collect::<BTreeMap<_, _>>()
    };
    let padded: u64 = 16 * 4 * 1024;
    for (class, bytes) in weights(&native) {
        assert!(
            bytes.abs_diff(weights(&candle)[&class]) < padded,
            "{class:?}"
        );
    }
    assert!(candle.memory().activations > 0);
    // Instances share weights, and one thread answers as two do.
    let mut other = candle.for_worker(Threads::single());
    assert_eq!(other.query(&observation).unwrap().actions, theirs.actions);
}

#[test]
fn rounded_weights_are_refused() {
    for format in WeightFormat::ALL
        .into_iter()
        .filter(|f| *f != WeightFormat::Full)
    {
        let text = VlaPolicy::open(&shipped(), options(format))
            .err()
            .unwrap()
            .to_string();
        assert!(
            text.contains("candle") && text.contains(format.name()),
            "{text}"
        );
        assert!(text.contains("full"), "{text}");
    }
}
