//! Guarantee: the world is the one that `WORLD_VERSION` names. Ten recorded episodes of the four suites are acted again; at
//! six moments of each, the state, what a policy is told and shown and whether the goal holds have the hashes in
//! `tests/golden/world/hashes.txt`, on every processor; so have all models, suites and stored initial states (what they
//! say, not how they are laid out). The episodes are recorded actions, so a change of the expert changes nothing here.
//!
//! A change of the world raises `WORLD_VERSION` (tasks/src/version.rs) and is said in CHANGELOG.md with the words "world
//! version N"; then `BITVLA_RECORD_WORLD=1 cargo test --release --test world` lets the expert record anew. It refuses to
//! write other hashes under the version that is recorded. As long as a version has not been published, it can be recorded
//! afresh: remove `hashes.txt` first.

use bitvla_eval::{
    CameraRig, EvalContext, EvalError, SuitePerturbation, WORLD_VERSION, in_parallel, proprio,
};
use bitvla_policies::{Flip, QuaternionRule};
use bitvla_reports::{EpisodeActions, read_actions, to_hex, write_actions};
use bitvla_sim::World;
use bitvla_tasks::{Assets, Expert, Suite};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Suite and task of the recorded episodes: every suite, arena and kind of joint; grasps by rim and by sides, pushing,
/// turning, inserting.
const EPISODES: [(&str, usize); 10] = [
    ("spatial", 0),
    ("spatial", 4),
    ("object", 2),
    ("object", 7),
    ("goal", 0),
    ("goal", 7),
    ("goal", 9),
    ("long", 4),
    ("long", 5),
    ("long", 9),
];
/// Equal parts of an episode between the moments that are hashed.
const PARTS: usize = 5;
/// Folders of `assets/` that belong to the world.
const FOLDERS: [&str; 8] = [
    "arenas",
    "fixtures",
    "objects",
    "robots",
    "suites/spatial",
    "suites/object",
    "suites/goal",
    "suites/long",
];
const COMMAND: &str = "BITVLA_RECORD_WORLD=1 cargo test --release --test world";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn golden(name: &str) -> PathBuf {
    root().join("tests/golden/world").join(name)
}

/// Recorded episodes of all suites, each with the name of its suite.
type Recording = Vec<(String, EpisodeActions)>;

fn suites() -> BTreeSet<&'static str> {
    EPISODES.iter().map(|(suite, _)| *suite).collect()
}

fn read_recording() -> Recording {
    let mut all = Vec::new();
    for suite in suites() {
        let path = golden(&format!("{suite}.actions.bin"));
        let episodes =
            read_actions(&path).unwrap_or_else(|e| panic!("{e}; it is made by `{COMMAND}`"));
        all.extend(episodes.into_iter().map(|e| (suite.to_owned(), e)));
    }
    let mut expected = EPISODES.map(|(suite, task)| (suite.to_owned(), task));
    expected.sort();
    let found: Vec<_> = all.iter().map(|(s, e)| (s.clone(), e.task)).collect();
    assert_eq!(found, expected, "the recorded episodes, by suite and task");
    all
}

fn write_recording(recording: &Recording) {
    for suite in suites() {
        let episodes: Vec<_> = recording
            .iter()
            .filter(|(s, _)| s == suite)
            .map(|(_, e)| e.clone())
            .collect();
        write_actions(&golden(&format!("{suite}.actions.bin")), &episodes).expect("written");
    }
}

/// Works on all items with all cores; results in the order of the items.
fn over<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&Assets, &T) -> Result<R, EvalError> + Sync,
) -> Vec<R> {
    let numbered: Vec<(usize, &T)> = items.iter().enumerate().collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut results = Vec::new();
    in_parallel(
        &numbered,
        cores,
        || Ok(Assets::open(&root().join("assets"))?),
        |assets, (i, item)| Ok((*i, work(assets, item)?)),
        |result| {
            results.push(result);
            Ok::<_, EvalError>(())
        },
    )
    .expect("the episodes can be acted");
    results.sort_by_key(|(i, _)| *i);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Lets the expert act each of [`EPISODES`] from the first stored state in which it succeeds, with actions in single
/// precision, which take half the room.
fn record() -> Recording {
    let mut wanted = EPISODES;
    wanted.sort();
    over(&wanted, |assets, &(name, task)| {
        let suite = Suite::load(assets, name)?;
        let stage = EvalContext {
            assets,
            suite: &suite,
            seed: 0,
            libero: None,
            perturbation: &SuitePerturbation::None,
        };
        for init in 0..stage.task(task)?.init_states.len() {
            if let Some(episode) = perform(stage, task, init)? {
                return Ok((name.to_owned(), episode));
            }
        }
        Err(EvalError::Input(format!(
            "the expert fails {name} task {task} from every stored state: choose another task for EPISODES"
        )))
    })
}

/// One episode of the expert, if it succeeds.
fn perform(
    stage: EvalContext<'_>,
    task: usize,
    init: usize,
) -> Result<Option<EpisodeActions>, EvalError> {
    let mut world = stage.settled_world(task, init)?;
    let task = stage.task(task)?;
    let goal = task.compile_goal(&world)?;
    let mut expert = Expert::new(&world, task)?;
    let mut actions = Vec::new();
    while actions.len() < stage.suite.horizon {
        let action = expert.act(&world).map(|v| f64::from(v as f32));
        actions.push(action);
        world.step(&action)?;
        if goal.holds(&world) {
            return Ok(Some(EpisodeActions {
                task: task.id,
                init,
                state_hash: world.state_hash(),
                actions,
            }));
        }
    }
    Ok(None)
}

/// The text that a recording leads to in the world as it is: one line per hashed thing, a name and `what=value`.
fn hashes(recording: &Recording) -> String {
    let mut text = format!("world_version {WORLD_VERSION}\n");
    for folder in FOLDERS {
        let hash = folder_hash(&root().join("assets").join(folder));
        text += &format!("assets/{folder} sha256={hash}\n");
    }
    let episodes = over(recording, |assets, (name, episode)| {
        let suite = Suite::load(assets, name)?;
        let stage = EvalContext {
            assets,
            suite: &suite,
            seed: 0,
            libero: None,
            perturbation: &SuitePerturbation::None,
        };
        act_again(stage, episode)
    });
    text + &episodes.concat()
}

fn act_again(stage: EvalContext<'_>, episode: &EpisodeActions) -> Result<String, EvalError> {
    let mut world = stage.settled_world(episode.task, episode.init)?;
    let mut eyes = CameraRig::new(world.scene())?;
    let task = stage.task(episode.task)?;
    let goal = task.compile_goal(&world)?;
    let last = episode.actions.len();
    let moments: Vec<usize> = (0..=PARTS).map(|i| i * last / PARTS).collect();
    let mut text = String::new();
    let mut look = |world: &World, step: usize| -> Result<(), EvalError> {
        let view = eyes.render(world)?.for_policy(Flip::default());
        let told = proprio(&world.observation(), QuaternionRule::default()).map(f64::to_le_bytes);
        text += &format!(
            "{} task {} init {} step {step} state={:016x} proprio={} goal={} agentview={} wrist={}\n",
            stage.suite.name,
            episode.task,
            episode.init,
            world.state_hash(),
            &sha256(&told.concat())[..16],
            goal.holds(world),
            sha256(&view.agentview.rgb),
            sha256(&view.wrist.rgb),
        );
        Ok(())
    };
    look(&world, 0)?;
    for (step, action) in (1..).zip(&episode.actions) {
        world.step(action)?;
        if moments.contains(&step) {
            look(&world, step)?;
        }
    }
    Ok(text)
}

fn sha256(bytes: &[u8]) -> String {
    to_hex(&Sha256::digest(bytes))
}

/// sha256 over the names of the files below a folder and what they say: comments and layout do not count.
fn folder_hash(dir: &Path) -> String {
    let mut files = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    let mut named: Vec<(String, PathBuf)> = files
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(dir).expect("below the folder").iter();
            let name: Vec<_> = name.map(|part| part.to_string_lossy()).collect();
            (name.join("/"), path)
        })
        .collect();
    named.sort();
    let mut all = Sha256::new();
    for (name, path) in named {
        let bytes = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        all.update(format!("{name} {}\n", sha256(&content(&name, bytes))));
    }
    to_hex(&all.finalize())
}

/// Content of a file without comments and layout.
fn content(name: &str, bytes: Vec<u8>) -> Vec<u8> {
    let ending = name.rsplit('.').next().unwrap_or_default();
    if !matches!(ending, "toml" | "json" | "bddl") {
        return bytes;
    }
    let text = String::from_utf8(bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
    match ending {
        "toml" => text.parse::<toml::Table>().map(|t| t.to_string()).ok(),
        "json" => serde_json::from_str::<serde_json::Value>(&text)
            .map(|v| v.to_string())
            .ok(),
        _ => {
            let code = text.lines().map(|l| l.split(';').next().unwrap_or(l));
            let code = code.collect::<Vec<_>>().join(" ");
            let code = code.replace('(', " ( ").replace(')', " ) ");
            Some(code.split_whitespace().collect::<Vec<_>>().join(" "))
        }
    }
    .unwrap_or_else(|| panic!("{name} is not {ending}"))
    .into_bytes()
}

/// The version that a file of hashes begins with.
fn version_of(text: &str) -> u32 {
    text.lines()
        .next()
        .and_then(|line| line.strip_prefix("world_version "))
        .and_then(|number| number.parse().ok())
        .expect("hashes.txt begins with `world_version N`")
}

/// A line as its name and the values behind it.
fn parts(line: &str) -> (String, Vec<(&str, &str)>) {
    let (values, name): (Vec<_>, Vec<_>) = line.split(' ').partition(|word| word.contains('='));
    let values = values.iter().filter_map(|v| v.split_once('=')).collect();
    (name.join(" "), values)
}

/// Differences between two files of hashes apart from the version; of an episode, the first differing instant.
fn differences(recorded: &str, now: &str) -> Vec<String> {
    let lines = |text: &str| -> Vec<String> { text.lines().skip(1).map(str::to_owned).collect() };
    let (recorded, now) = (lines(recorded), lines(now));
    let names = |lines: &[String]| -> Vec<String> { lines.iter().map(|l| parts(l).0).collect() };
    let mut found = Vec::new();
    if names(&recorded) != names(&now) {
        for (these, those, what) in [(&recorded, &now, "gone"), (&now, &recorded, "new")] {
            let those = names(those);
            let lone = names(these).into_iter().filter(|n| !those.contains(n));
            found.extend(lone.map(|name| format!("{name}: {what}")));
        }
        found.push("the hashed things are not the recorded ones, or in another order".to_owned());
        return found;
    }
    let short = |value: &str| value.get(..16).unwrap_or(value).to_owned();
    let mut told = BTreeSet::new();
    for (was, is) in recorded.iter().zip(&now) {
        let (name, was) = parts(was);
        let (_, is) = parts(is);
        let episode = name.split(" step ").next().unwrap_or(&name).to_owned();
        if was == is || !told.insert(episode) {
            continue;
        }
        let pairs = was.iter().zip(&is).filter(|(a, b)| a != b);
        let words: Vec<_> = pairs
            .map(|((what, a), (_, b))| format!("{what} was {}, is {}", short(a), short(b)))
            .collect();
        found.push(format!("{name}: {}", words.join("; ")));
    }
    found
}

/// Describes the fault of a world of version `version` that leads to `now` where `recorded` is committed.
fn verdict(recorded: &str, now: &str, version: u32) -> Result<(), String> {
    let theirs = version_of(recorded);
    if theirs != version {
        return Err(format!(
            "WORLD_VERSION is {version}, hashes.txt is of world version {theirs}: run `{COMMAND}`"
        ));
    }
    let found = differences(recorded, now);
    if found.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the world is no longer world version {version}:\n  {}\nIf this is meant, raise WORLD_VERSION in \
         tasks/src/version.rs, say in CHANGELOG.md what is new in \"world version {}\", then run `{COMMAND}`.",
        found.join("\n  "),
        version + 1
    ))
}

/// Returns true if there is something to record: `recorded` is committed, if anything is, and its actions now lead to `now`.
fn may_record(recorded: Option<(&str, &str)>, version: u32, log: &str) -> Result<bool, String> {
    let Some((recorded, now)) = recorded else {
        return Ok(true);
    };
    let theirs = version_of(recorded);
    if theirs == version {
        return verdict(recorded, now, version).map(|()| false);
    }
    if theirs > version {
        return Err(format!(
            "WORLD_VERSION is {version}, but hashes.txt is of world version {theirs}: versions only rise"
        ));
    }
    let log = log.split_whitespace().collect::<Vec<_>>().join(" ");
    let words = format!("world version {version}");
    let said = log.to_lowercase().match_indices(&words).any(|(at, _)| {
        let next = log[at + words.len()..].chars().next();
        !next.is_some_and(|c| c.is_ascii_digit())
    });
    if said {
        return Ok(true);
    }
    Err(format!(
        "CHANGELOG.md does not say what is new in \"{words}\""
    ))
}

#[test]
fn the_world_is_the_recorded_one() {
    let path = golden("hashes.txt");
    let recorded = fs::read_to_string(&path).ok();
    if std::env::var_os("BITVLA_RECORD_WORLD").is_none() {
        let recorded = recorded
            .unwrap_or_else(|| panic!("{} is missing: it is made by `{COMMAND}`", path.display()));
        let outcome = match version_of(&recorded) {
            WORLD_VERSION => verdict(&recorded, &hashes(&read_recording()), WORLD_VERSION),
            _ => verdict(&recorded, "", WORLD_VERSION),
        };
        outcome.unwrap_or_else(|words| panic!("{words}"));
        return;
    }
    let now = match recorded.as_deref().map(version_of) {
        Some(WORLD_VERSION) => hashes(&read_recording()),
        _ => String::new(),
    };
    let log = fs::read_to_string(root().join("CHANGELOG.md")).expect("CHANGELOG.md");
    let held = recorded.as_deref().map(|recorded| (recorded, now.as_str()));
    match may_record(held, WORLD_VERSION, &log) {
        Ok(false) => eprintln!("world version {WORLD_VERSION} is recorded and unchanged"),
        Ok(true) => {
            let recording = record();
            let text = hashes(&recording);
            fs::create_dir_all(golden("")).expect("a folder");
            write_recording(&recording);
            assert_eq!(text, hashes(&read_recording()), "a second time");
            fs::write(&path, text).expect("written");
        }
        Err(words) => panic!("not recorded: {words}"),
    }
}

const BEFORE: &str = "world_version 2\nassets/objects sha256=aa\n\
    goal task 1 init 0 step 0 state=01 wrist=0a\ngoal task 1 init 0 step 9 state=02 wrist=0b\n";

#[test]
fn a_difference_is_named_with_its_place() {
    assert_eq!(verdict(BEFORE, BEFORE, 2), Ok(()));
    let pixels = BEFORE.replace("wrist=0b", "wrist=0c").replace("=aa", "=ab");
    let words = verdict(BEFORE, &pixels, 2).expect_err("other pixels");
    for part in [
        "no longer world version 2",
        "assets/objects: sha256 was aa, is ab",
        "goal task 1 init 0 step 9: wrist was 0b, is 0c\n",
        "raise WORLD_VERSION",
        "\"world version 3\"",
        COMMAND,
    ] {
        assert!(words.contains(part), "`{part}` is not in: {words}");
    }
    let both = pixels.replace("state=01", "state=ff");
    let words = verdict(BEFORE, &both, 2).expect_err("another state");
    assert!(words.contains("step 0: state was 01, is ff") && !words.contains("step 9"));
    let fewer = BEFORE.lines().take(3).collect::<Vec<_>>().join("\n");
    let words = verdict(BEFORE, &fewer, 2).expect_err("a moment less");
    assert!(words.contains("goal task 1 init 0 step 9: gone"), "{words}");
    let words = verdict(BEFORE, BEFORE, 3).expect_err("raised, not recorded");
    assert!(
        words.contains("is 3") && words.contains("version 2"),
        "{words}"
    );
}

#[test]
fn recording_cannot_forget_the_version() {
    let changed = BEFORE.replace("state=01", "state=ff");
    let log = "* World\n  version 3: softer contacts.";
    assert_eq!(may_record(None, 2, ""), Ok(true));
    assert_eq!(may_record(Some((BEFORE, BEFORE)), 2, ""), Ok(false));
    let words = may_record(Some((BEFORE, &changed)), 2, log).expect_err("the same version");
    assert!(words.contains("raise WORLD_VERSION"), "{words}");
    assert_eq!(may_record(Some((BEFORE, "")), 3, log), Ok(true));
    for log in ["", "world version 2", "world version 30"] {
        let words = may_record(Some((BEFORE, "")), 3, log).expect_err("not said");
        assert!(words.contains("CHANGELOG.md"), "{words}");
    }
    let words = may_record(Some((BEFORE, "")), 1, log).expect_err("lowered");
    assert!(words.contains("only rise"), "{words}");
}

#[test]
fn comments_and_layout_are_not_the_world() {
    let same = |name, a: &str, b: &str| {
        let of = |text: &str| content(name, text.as_bytes().to_vec());
        of(a) == of(b)
    };
    assert!(same("a.toml", "# mug\nmass = 0.10\n", "mass=0.1"));
    assert!(!same("a.toml", "mass = 0.1", "mass = 0.2"));
    assert!(same("a.json", "[{\"x\": 1.50}]", "[ {\"x\":1.5} ]"));
    assert!(!same("a.json", "[1.5]", "[1.25]"));
    assert!(same("a.bddl", "(On a b) ; goal", "( On a  b )\n"));
    assert!(!same("a.bddl", "(On a b)", "(On b a)"));
    assert!(!same("a.png", "a", "a "));
}
