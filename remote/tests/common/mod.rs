//! A policy that answers with what it was shown, a server for it, and observations.

#![allow(dead_code)] // every test uses a part of it

use bitvla_remote::{
    ClientOptions, Component, Interface, Observation, PolicySession, Protocol, RemoteClient,
    RgbImage, Server, ServerOptions, ServerPolicy,
};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

pub fn interface() -> Interface {
    Interface {
        action: BTreeMap::from([(
            "gripper".to_owned(),
            Component::new(1, "binary_close_positive").within(-1.0, 1.0),
        )]),
        observation: BTreeMap::from([(
            "state".to_owned(),
            Component::new(8, "eef_pos3_axisangle3_gripper2"),
        )]),
        facts: BTreeMap::from([(
            "image orientation".to_owned(),
            "left-right of the upright image".to_owned(),
        )]),
    }
}

pub fn observation(first: u8) -> Observation {
    let image = |shade: u8| {
        let bytes = (0..3 * 16 * 24).map(|i| shade.wrapping_add(i as u8));
        RgbImage::new(16, 24, bytes.collect()).expect("an image")
    };
    Observation {
        agentview: image(first),
        wrist: Some(image(first.wrapping_add(7))),
        state: Some([0.1, -0.2, 1.0, 3.125, 0.0, 1e-3, 0.04, -0.04]),
        instruction: "put the bowl on the plate".to_owned(),
    }
}

/// Action of the echo policy: the first bytes of both images, the state, the number of the query in its episode.
pub fn expected(first: u8, query: usize, row: usize) -> [f64; 7] {
    let byte = |b: u8| f64::from(b) / 255.0;
    [
        byte(first),
        byte(first.wrapping_add(7)),
        3.125,
        1e-3,
        query as f64,
        row as f64,
        -1.0,
    ]
}

/// Answers with three actions, of which two are to be executed. Panics and fails by instruction.
struct Echo {
    queries: usize,
}

impl PolicySession for Echo {
    fn begin_episode(&mut self) {
        self.queries = 0;
    }

    fn query(&mut self, observation: &Observation) -> Result<(Vec<[f64; 7]>, usize), String> {
        match observation.instruction.as_str() {
            "panic" => panic!("as asked"),
            "fail" => return Err("as asked".to_owned()),
            "slow" => std::thread::sleep(Duration::from_millis(700)),
            _ => {}
        }
        let wrist = observation.wrist.as_ref().ok_or("no wrist image")?;
        let state = observation.state.ok_or("no state")?;
        let byte = |image: &RgbImage| f64::from(image.rgb()[0]) / 255.0;
        let query = self.queries as f64;
        self.queries += 1;
        let row = |row: usize| {
            [
                byte(&observation.agentview),
                byte(wrist),
                state[3],
                state[5],
                query,
                row as f64,
                -1.0,
            ]
        };
        Ok(((0..3).map(row).collect(), 2))
    }
}

pub struct EchoPolicy;

impl ServerPolicy for EchoPolicy {
    fn interface(&self) -> Interface {
        interface()
    }

    fn session(&self) -> Result<Box<dyn PolicySession>, String> {
        Ok(Box::new(Echo { queries: 0 }))
    }
}

/// A running server, stopped when it is dropped.
pub struct Running {
    pub address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    pub fn start(protocol: Protocol, api_key: Option<&str>, max_connections: usize) -> Running {
        let options = ServerOptions {
            protocol,
            api_key: api_key.map(str::to_owned),
            max_connections,
        };
        let server = Server::bind("127.0.0.1", 0, options).expect("a port");
        let address = server.address().expect("an address");
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            server.run(&EchoPolicy, &|| asked.load(Ordering::SeqCst), &|_| ());
        });
        Running {
            address,
            stop,
            thread: Some(thread),
        }
    }

    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the server ends");
        }
    }
}

/// A client that waits for an answer as long as a busy machine may need.
pub fn client(protocol: Protocol, url: &str) -> RemoteClient {
    client_with(protocol, url, None, Duration::from_secs(30))
}

/// A client that does not wait long.
pub fn impatient(protocol: Protocol, url: &str) -> RemoteClient {
    client_with(protocol, url, None, Duration::from_millis(800))
}

pub fn client_with(
    protocol: Protocol,
    url: &str,
    api_key: Option<&str>,
    answer: Duration,
) -> RemoteClient {
    let options = ClientOptions {
        connect: Duration::from_millis(600),
        answer,
        api_key: api_key.map(str::to_owned),
        interface: interface(),
    };
    RemoteClient::new(protocol, url, options).expect("an address")
}
