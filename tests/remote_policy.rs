//! Guarantees: `serve` and `--policy openpi:URL` or `vla-eval:URL` together give the very actions and states of the policy in the
//! program, on 20 episodes of a suite (openpi) and on one that is asked in every control step (vla-eval); a server that answers late,
//! with an error, with something that is no action, or panics costs the episode in which it does, never the run; no server and an
//! address that is none are refused before the first episode; the server ends with a signal.
#![allow(clippy::unwrap_used)]

#[path = "common/program.rs"]
mod support;

use bitvla_remote::{
    Interface, Observation, PolicySession, Protocol, Server, ServerOptions, ServerPolicy,
};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use support::{binary, card, program, refused, repository};

/// A running `bitvla-eval serve`, ended when it is dropped.
struct Serving {
    child: Child,
    url: String,
}

impl Serving {
    fn start(words: &[&str]) -> Serving {
        let mut child = Command::new(binary())
            .current_dir(repository())
            .args(["serve", "--port", "0"])
            .args(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let out = child.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut line).unwrap();
        let url = line
            .split_whitespace()
            .find(|word| word.starts_with("ws://"));
        let url = url.unwrap_or_else(|| panic!("no address in `{line}`"));
        Serving {
            url: url.trim_end_matches(',').to_owned(),
            child,
        }
    }

    /// Ends the server as a person would, and returns its exit code.
    fn interrupt(mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        Command::new("kill").args(["-INT", &id]).status().unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // One that has ended already is reaped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(policy: &str, words: &[&str], out: &Path) {
    let mut run = program();
    run.args(["--suite", "spatial", "--policy", policy])
        .args(words);
    run.arg("--out").arg(out).assert().success();
}

/// What happened in every episode: task, initial state, success, steps, hash of the final state.
fn happened(run: &Path) -> Vec<(usize, usize, bool, usize, String)> {
    let rows = bitvla_reports::read_episodes(&run.join("episodes.csv")).unwrap();
    rows.into_iter()
        .map(|row| (row.task, row.init, row.success, row.steps, row.state_hash))
        .collect()
}

#[test]
fn twenty_episodes_through_the_server_are_the_runners() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    run("ternary", &["--episodes", "2"], &path("here"));
    let server = Serving::start(&["--protocol", "openpi"]);
    let policy = format!("openpi:{}", server.url);
    run(&policy, &["--episodes", "2"], &path("there"));
    assert_eq!(happened(&path("there")), happened(&path("here")));
    assert_eq!(happened(&path("here")).len(), 20);
    // Every action and every frame, too.
    let mut diff = program();
    diff.arg("diff").arg(path("here")).arg(path("there"));
    let printed = diff.assert().success().get_output().stdout.clone();
    let printed = String::from_utf8(printed).unwrap();
    assert!(
        printed.contains("20 with the same bits, 0 that differ"),
        "{printed}"
    );
    let protocol = &card(&path("there"))["protocol"];
    assert_eq!(protocol["camera_size"], 256);
    assert_eq!(protocol["executed_steps"], 8);
    // Latency is told apart.
    let latency = bitvla_reports::read_latency(&path("there").join("latency.csv")).unwrap();
    assert!(
        latency
            .iter()
            .all(|q| q.network_ms > 0.0 && q.vision_ms == 0.0)
    );
    assert_eq!(server.interrupt(), Some(0));

    let server = Serving::start(&["--protocol", "vla-eval"]);
    let policy = format!("vla-eval:{}", server.url);
    let one = ["--tasks", "3", "--episodes", "1"];
    run(&policy, &one, &path("every step"));
    let here = happened(&path("here"));
    let same = here.iter().find(|row| (row.0, row.1) == (3, 0)).unwrap();
    assert_eq!(&happened(&path("every step"))[0], same);
}

/// Answers with stillness; at some queries, counted over all connections, it fails, each time in another way.
#[derive(Clone)]
struct Unreliable {
    queries: Arc<AtomicUsize>,
    /// Numbers of the queries that are late, refused, answered with something that is not finite, and end in a panic.
    faults: [Option<usize>; 4],
}

impl ServerPolicy for Unreliable {
    fn interface(&self) -> Interface {
        Interface::default()
    }

    fn session(&self) -> Result<Box<dyn PolicySession>, String> {
        Ok(Box::new(self.clone()))
    }
}

impl PolicySession for Unreliable {
    fn begin_episode(&mut self) {}

    fn query(&mut self, _: &Observation) -> Result<(Vec<[f64; 7]>, usize), String> {
        let mut action = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0];
        let query = Some(self.queries.fetch_add(1, Ordering::SeqCst));
        match self.faults.iter().position(|fault| *fault == query) {
            Some(0) => std::thread::sleep(Duration::from_secs(3)),
            Some(1) => return Err("the gripper is on fire".to_owned()),
            Some(2) => action[2] = f64::NAN,
            Some(_) => panic!("as asked"),
            None => {}
        }
        Ok((vec![action; 200], 200))
    }
}

#[test]
fn a_server_that_fails_costs_one_episode_each_time() {
    // A client of vla-eval is asked in every control step and takes longer.
    let cases = [
        (Protocol::OpenPi, [Some(1), Some(3), Some(5), Some(7)], "8"),
        (Protocol::VlaEval, [Some(1), Some(3), None, None], "3"),
    ];
    for (protocol, faults, episodes) in cases {
        let policy = Unreliable {
            queries: Arc::default(),
            faults,
        };
        let options = ServerOptions {
            protocol,
            api_key: None,
            max_connections: 4,
        };
        let server = Server::bind("127.0.0.1", 0, options).unwrap();
        let url = format!("{}:ws://{}", protocol.name(), server.address().unwrap());
        let stop = AtomicBool::new(false);
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("run");
        std::thread::scope(|scope| {
            scope.spawn(|| server.run(&policy, &|| stop.load(Ordering::SeqCst), &|_| {}));
            let mut run = program();
            run.args(["--suite", "spatial", "--policy", &url, "--tasks", "0"]);
            run.args([
                "--episodes",
                episodes,
                "--jobs",
                "1",
                "--remote-timeout",
                "1",
            ]);
            run.args(["--executed-steps", "200"]);
            let ended = run.arg("--out").arg(&out).output();
            // Before anything can fail: the server is waited for.
            stop.store(true, Ordering::SeqCst);
            let ended = ended.unwrap();
            assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        });
        let rows = bitvla_reports::read_episodes(&out.join("episodes.csv")).unwrap();
        let errors = rows.into_iter().map(|row| row.error);
        let errors: Vec<String> = errors.filter(|error| !error.is_empty()).collect();
        let expected = [
            "no answer within 1 s",
            "the gripper is on fire",
            "expected finite numbers",
            "the policy panicked",
        ];
        let count = faults.iter().flatten().count();
        assert_eq!(errors.len(), count, "{errors:#?}");
        for what in &expected[..count] {
            let found = errors.iter().any(|error| error.contains(*what));
            assert!(found, "{}: no `{what}` in {errors:#?}", protocol.name());
        }
    }
}

#[test]
fn what_is_no_server_is_refused() {
    let mut word = program();
    word.args(["--policy", "openpi:somewhere"]);
    refused(word, &["somewhere", "expected ws://HOST:PORT"]);
    let mut none = program();
    none.args(["--policy", "openpi"]).assert().code(2);
    let mut steps = program();
    steps.args(["--policy", "expert", "--executed-steps", "3"]);
    refused(steps, &["--executed-steps 3", "expert", "behind a network"]);
    let mut weightless = program();
    weightless.args(["serve", "--policy", "expert"]);
    refused(weightless, &["expert", "no network to serve"]);
    let mut missing = program();
    missing.args(["serve", "--checkpoint", "/nowhere"]);
    refused(missing, &["/nowhere"]);
}
