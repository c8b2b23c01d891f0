//! Guarantee: every field of the protocol card is read from what runs. For each field of the serialised card (the settings of
//! the simulated world by themselves) there is a case that changes what runs and sees that field change; a field without a
//! case fails the test. A few fields are constants of the program and are compared with the constant that runs. Files that change
//! during a run end it.
#![allow(clippy::unwrap_used)]

use bitvla_eval::{
    AgentFactory, AssetArgs, AssetResolver, ErasedAgent, EvalContext, EvalError, LiberoFiles,
    LoadedSuite, Perturbation, PolicyName, PolicyOptions, PolicySpec, RunContext, RunPlan,
    SETTLE_ACTION, SOURCE_SHA256, SanityCheck, SimulatedLatency, SuitePerturbation, WORLD_VERSION,
    machine, protocol, run, sha256_of_file, simulation_protocol,
};
use bitvla_policies::testing::write_tiny_checkpoint;
use bitvla_policies::{Engine, PolicyProtocol};
use bitvla_reports::{EvalProtocol, OWN_WORLD};
use bitvla_sim::{SimulationProtocol, SimulationSettings, World};
use bitvla_tasks::{InstructionSource, Suite};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Fields that no input of a run changes.
const CONSTANTS: [&str; 6] = [
    "world",
    "version",
    "world_version",
    "settle_action",
    "success_rule",
    "source_sha256",
];

/// Suite, world and tiny checkpoint that the cases change.
struct Fixture {
    loaded: LoadedSuite,
    simulation: SimulationProtocol,
    dir: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Fixture {
        let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
        let args = AssetArgs {
            assets: Some(assets),
            ..AssetArgs::default()
        };
        let loaded = AssetResolver::new(&args).unwrap().open("spatial").unwrap();
        let dir = tempfile::tempdir().unwrap();
        write_tiny_checkpoint(&dir.path().join("base")).unwrap();
        Fixture {
            simulation: simulation_protocol(loaded.context(7), &[0]).unwrap(),
            loaded,
            dir,
        }
    }

    fn spec(&self, checkpoint: &str, policy: &str) -> PolicySpec {
        let path = self.dir.path().join(checkpoint);
        let name: PolicyName = policy.parse().unwrap();
        PolicySpec::new(
            name,
            PolicyOptions::with_checkpoint(&path),
            self.loaded.assets.dir(),
        )
        .for_suite(&self.loaded.suite)
    }

    fn card(&self, spec: &PolicySpec) -> Map<String, Value> {
        self.card_of(
            self.loaded.context(7),
            &*spec.factory().unwrap(),
            &self.simulation,
        )
    }

    fn card_of(
        &self,
        context: EvalContext<'_>,
        factory: &dyn AgentFactory,
        simulation: &SimulationProtocol,
    ) -> Map<String, Value> {
        fields(&protocol(context, factory, simulation).unwrap())
    }

    /// A copy of the tiny checkpoint with another JSON file.
    fn with(&self, name: &str, file: &str, change: impl Fn(&mut Value)) -> PolicySpec {
        let (from, to) = (self.dir.path().join("base"), self.dir.path().join(name));
        fs::create_dir_all(&to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
        let path = to.join(file);
        let mut json: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        change(&mut json);
        fs::write(path, json.to_string()).unwrap();
        self.spec(name, "ternary")
    }

    fn with_processor(&self, name: &str, field: &str, value: Value) -> PolicySpec {
        self.with(name, "processor_config.json", |json| {
            json[field] = value.clone()
        })
    }
}

fn fields(card: &EvalProtocol) -> Map<String, Value> {
    match serde_json::to_value(card).unwrap() {
        Value::Object(map) => map,
        other => panic!("{other}"),
    }
}

/// A policy that declares what it is told to.
struct Declared(PolicyProtocol, &'static str);

impl AgentFactory for Declared {
    fn name(&self) -> &str {
        "declared"
    }
    fn engine(&self) -> &str {
        self.1
    }
    fn protocol(&self) -> Result<PolicyProtocol, EvalError> {
        Ok(self.0.clone())
    }
    fn make(&self) -> Result<Box<dyn ErasedAgent>, EvalError> {
        Err(EvalError::Input("declares only".into()))
    }
}

#[test]
fn every_field_changes_with_what_runs() {
    let fixture = Fixture::new();
    let base = fixture.card(&fixture.spec("base", "ternary"));
    let mut seen: BTreeSet<String> = CONSTANTS.map(str::to_owned).into();
    let mut expect = |changed: &[&str], card: &Map<String, Value>| {
        for field in changed {
            assert_ne!(base[*field], card[*field], "{field} did not change");
            seen.insert((*field).to_owned());
        }
    };

    // The policy, by the files of its checkpoint.
    let area = fixture.with_processor("p1", "image_pipeline", json!("published"));
    expect(
        &["jpeg_round_trip", "crop", "resize_filter", "weights_sha256"],
        &fixture.card(&area),
    );
    expect(
        &["flip"],
        &fixture.card(&fixture.with_processor("p2", "flip", json!("none"))),
    );
    let rule = fixture.with_processor("p3", "quaternion_rule", json!("shortest-axis-angle"));
    expect(&["quaternion_rule"], &fixture.card(&rule));
    let size = fixture.with_processor("p4", "camera_size", json!(128));
    expect(&["camera_size"], &fixture.card(&size));
    let executed = fixture.with_processor("p5", "executed_steps", json!(4));
    expect(&["executed_steps"], &fixture.card(&executed));
    let mut other_key = fixture.with("p6", "dataset_statistics.json", |json| {
        json["other"] = json["spatial"].clone();
    });
    other_key.options.normaliser_key = Some("other".into());
    expect(&["normaliser_key"], &fixture.card(&other_key));
    let mut full = fixture.with("p7", "config.json", |json| {
        json["vision_config"]["vit_weight_bits"] = json!(32);
        json["vision_config"]["vit_act_bits"] = json!(32);
    });
    full.policy = "full".parse().unwrap();
    expect(
        &["policy", "precision", "above_2_bits", "arithmetic"],
        &fixture.card(&full),
    );
    let mut blackout = fixture.spec("base", "ternary");
    blackout.options.sanity = Some(SanityCheck::Blackout);
    expect(&["policy", "sanity"], &fixture.card(&blackout));
    let mut noisy = fixture.spec("base", "ternary");
    noisy.options.action_noise = "0.2".parse().ok();
    expect(&["policy", "action_noise"], &fixture.card(&noisy));
    let mut late = fixture.spec("base", "ternary");
    late.options.latency = SimulatedLatency::constant(100.0).ok();
    expect(&["policy", "latency_ms"], &fixture.card(&late));
    expect(
        &["cameras", "chunk_length", "network_image_size", "engine"],
        &fixture.card(&fixture.spec("base", "expert")),
    );

    // The run and its suite.
    let loaded = &fixture.loaded;
    let expert = PolicySpec::new(
        "expert".parse().unwrap(),
        PolicyOptions::default(),
        loaded.assets.dir(),
    );
    let factory = expert.factory().unwrap();
    let seed = fixture.card_of(loaded.context(8), &*factory, &fixture.simulation);
    expect(&["seed"], &seed);
    let goal = Suite::load(&loaded.assets, "goal").unwrap();
    let mut changed = Suite::load(&loaded.assets, "spatial").unwrap();
    changed.settle_steps += 1;
    changed.horizon += 1;
    let mut given = Suite::load(&loaded.assets, "spatial").unwrap();
    given.tasks[0].instruction_source = InstructionSource::Given;
    for (suite, names) in [
        (&goal, &["suite", "assets_sha256"][..]),
        (&changed, &["settle_steps", "horizon"][..]),
        (&given, &["instruction_source"][..]),
    ] {
        let context = EvalContext {
            assets: &loaded.assets,
            suite,
            seed: 7,
            libero: None,
            perturbation: &SuitePerturbation::None,
        };
        expect(
            names,
            &fixture.card_of(context, &*factory, &fixture.simulation),
        );
    }
    let files = libero_files(fixture.dir.path());
    let libero = EvalContext {
        libero: Some(&files),
        ..loaded.context(7)
    };
    expect(
        &["libero_sha256"],
        &fixture.card_of(libero, &*factory, &fixture.simulation),
    );

    let perturbation = Perturbation::parse(&["camera:yaw=30"]).unwrap();
    let changed = loaded.perturbed(Some(&perturbation), &[0]).unwrap();
    let perturbed = changed.context(7);
    expect(
        &["perturbation"],
        &fixture.card_of(perturbed, &*factory, &fixture.simulation),
    );

    // The world.
    let mut settings = SimulationSettings::default();
    settings.timing.physics_step_secs *= 2.0;
    expect(
        &["control_hz", "simulation"],
        &fixture.card_of(loaded.context(7), &*factory, &simulation(loaded, &settings)),
    );
    let mut robot = fixture.simulation.clone();
    robot.robot_model = "another".into();
    expect(
        &["robot_model"],
        &fixture.card_of(loaded.context(7), &*factory, &robot),
    );

    let missing: Vec<&String> = base.keys().filter(|field| !seen.contains(*field)).collect();
    assert!(missing.is_empty(), "fields without a case: {missing:?}");
}

#[test]
fn constants_are_those_that_run() {
    let fixture = Fixture::new();
    let card = fixture.card(&fixture.spec("base", "ternary"));
    assert_eq!(card["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(card["world"], OWN_WORLD);
    assert_eq!(card["world_version"], WORLD_VERSION);
    assert_eq!(card["settle_action"], json!(SETTLE_ACTION));
    assert_eq!(card["source_sha256"], SOURCE_SHA256);
    let binary = sha256_of_file(&std::env::current_exe().unwrap()).unwrap();
    assert_eq!(machine().unwrap().binary_sha256, binary);
    assert!(
        card["success_rule"]
            .as_str()
            .unwrap()
            .contains("the goal holds")
    );
}

#[test]
fn liberos_files_that_change_during_a_run_end_it() {
    let fixture = Fixture::new();
    let files = libero_files(fixture.dir.path());
    let bddl = files.bddl.join("file");
    let factory = fixture.spec("base", "ternary").factory().unwrap();
    let Fixture {
        loaded,
        simulation,
        dir,
    } = fixture;
    let run_context = RunContext {
        loaded: Arc::new(LoadedSuite {
            files: Some(files),
            ..loaded
        }),
        seed: 7,
        factory: factory.into(),
    };
    let card = protocol(run_context.episodes(), &*run_context.factory, &simulation).unwrap();
    let plan = RunPlan::new(vec![0], 1);
    let out = dir.path().join("run");
    let result = run(&run_context, &plan, &card, &out, &mut |_| {
        fs::write(&bddl, "other").unwrap();
    });
    let error = result.unwrap_err().to_string();
    assert!(error.contains("changed while"), "{error}");
    assert!(error.contains("libero_sha256.bddl"), "{error}");
}

#[test]
fn a_policy_declares_its_own_protocol() {
    let fixture = Fixture::new();
    let declared = PolicyProtocol {
        cameras: vec!["wrist".into()],
        camera_size: 96,
        normaliser_key: "mine".into(),
        chunk_length: 5,
        executed_steps: 3,
        precision: BTreeMap::from([("all".to_owned(), "f32".to_owned())]),
        ..PolicyProtocol::default()
    };
    let factory = Declared(declared, Engine::Candle.name());
    let card = fixture.card_of(fixture.loaded.context(7), &factory, &fixture.simulation);
    assert_eq!(card["cameras"], json!(["wrist"]));
    assert_eq!(card["camera_size"], 96);
    assert_eq!(card["chunk_length"], 5);
    assert_eq!(card["executed_steps"], 3);
    assert_eq!(card["normaliser_key"], "mine");
    assert_eq!(card["engine"], "candle");
}

#[test]
fn every_setting_of_the_world_is_on_the_card() {
    let fixture = Fixture::new();
    let defaults = serde_json::to_value(SimulationSettings::default()).unwrap();
    let expert = PolicySpec::new(
        "expert".parse().unwrap(),
        PolicyOptions::default(),
        fixture.loaded.assets.dir(),
    );
    let factory = expert.factory().unwrap();
    let base = fixture.card_of(fixture.loaded.context(7), &*factory, &fixture.simulation);
    let mut paths = Vec::new();
    leaves(&defaults, String::new(), &mut paths);
    assert!(paths.len() > 30, "{paths:?}");
    for path in paths {
        let mut changed = defaults.clone();
        let leaf = changed.pointer_mut(&path).unwrap();
        *leaf = other_value(leaf);
        let settings: SimulationSettings = serde_json::from_value(changed).unwrap();
        let simulation = simulation(&fixture.loaded, &settings);
        let card = fixture.card_of(fixture.loaded.context(7), &*factory, &simulation);
        let at = |card: &Map<String, Value>| card["simulation"].pointer(&path).cloned();
        assert!(at(&base).is_some(), "{path} is not on the card");
        assert_ne!(at(&base), at(&card), "{path}");
    }
}

/// The protocol of a world of the suite's first task with other settings.
fn simulation(loaded: &LoadedSuite, settings: &SimulationSettings) -> SimulationProtocol {
    let task = &loaded.suite.tasks[0];
    let scene = task.scene(&loaded.assets, &task.init_states[0]).unwrap();
    World::with_settings(&scene, settings).unwrap().protocol()
}

/// JSON pointers of all numbers, booleans and words.
fn leaves(value: &Value, path: String, out: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (name, inner) in map {
                leaves(inner, format!("{path}/{name}"), out);
            }
        }
        Value::Array(list) => {
            for (i, inner) in list.iter().enumerate() {
                leaves(inner, format!("{path}/{i}"), out);
            }
        }
        _ => out.push(path),
    }
}

fn other_value(value: &Value) -> Value {
    match value {
        Value::Bool(b) => json!(!b),
        Value::Number(n) if n.is_u64() => json!(n.as_u64().unwrap() + 1),
        Value::Number(n) =>
        // Smaller, since some settings have an upper bound; a setting of zero becomes a small positive one.
        {
            json!(n.as_f64().unwrap() * 0.98 + 0.00037)
        }
        Value::String(s) if s == "coulomb" => json!("simplified"),
        other => panic!("no other value for {other}"),
    }
}

fn libero_files(dir: &Path) -> LiberoFiles {
    let folder = |name: &str| -> PathBuf {
        let path = dir.join(name);
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("file"), name).unwrap();
        path
    };
    LiberoFiles {
        bddl: folder("bddl"),
        init: vec![folder("init")],
        assets: folder("models"),
        robosuite: None,
        fixtures: None,
    }
}
