//! Time that a connection over loopback adds to a query with two images of 224 pixels a side: a policy that answers at once, with a
//! chunk of eight actions. `cargo bench --bench loopback`

use bitvla_remote::{
    ClientOptions, Interface, Observation, PolicySession, Protocol, RemoteClient, RgbImage, Server,
    ServerOptions, ServerPolicy,
};
use criterion::{Criterion, criterion_group, criterion_main};
use std::sync::atomic::{AtomicBool, Ordering};

struct Instant;

impl ServerPolicy for Instant {
    fn interface(&self) -> Interface {
        Interface::default()
    }

    fn session(&self) -> Result<Box<dyn PolicySession>, String> {
        Ok(Box::new(Instant))
    }
}

impl PolicySession for Instant {
    fn begin_episode(&mut self) {}

    fn query(&mut self, _: &Observation) -> Result<(Vec<[f64; 7]>, usize), String> {
        Ok((vec![[0.25; 7]; 8], 1))
    }
}

fn image() -> RgbImage {
    let bytes = (0..3 * 224 * 224).map(|i| (i % 251) as u8).collect();
    RgbImage::new(224, 224, bytes).expect("an image")
}

fn loopback(c: &mut Criterion) {
    let observation = Observation {
        agentview: image(),
        wrist: Some(image()),
        state: Some([0.1; 8]),
        instruction: "put the bowl on the plate".to_owned(),
    };
    for protocol in [Protocol::OpenPi, Protocol::VlaEval] {
        let options = ServerOptions {
            protocol,
            api_key: None,
            max_connections: 2,
        };
        let server = Server::bind("127.0.0.1", 0, options).expect("a port");
        let url = format!("ws://{}", server.address().expect("an address"));
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| server.run(&Instant, &|| stop.load(Ordering::Relaxed), &|_| {}));
            let mut client =
                RemoteClient::new(protocol, &url, ClientOptions::default()).expect("an address");
            client.begin_episode("bench").expect("a server");
            let name = format!("query over loopback, {}", protocol.name());
            c.bench_function(&name, |b| {
                b.iter(|| client.query(&observation).expect("an answer"));
            });
            drop(client);
            stop.store(true, Ordering::Relaxed);
        });
    }
}

criterion_group!(benches, loopback);
criterion_main!(benches);
