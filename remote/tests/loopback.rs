//! Guarantee: our client and our server understand each other in both protocols to the last bit, sessions are independent of each
//! other, and a client that misbehaves ends its own connection only.

mod common;

use bitvla_remote::{Protocol, RemoteError};
use common::{Running, client, client_with, expected, observation};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

#[test]
fn observations_and_actions_cross_to_the_last_bit() {
    for protocol in Protocol::ALL {
        let server = Running::start(protocol, None, 8);
        let mut client = client(protocol, &server.url());
        for _ in 0..2 {
            client.begin_episode("a task").expect("begun");
            for query in 0..4 {
                let answer = client.query(&observation(query)).expect("answered");
                let rows = match protocol {
                    bitvla_remote::Protocol::OpenPi => (0..3)
                        .map(|row| expected(query, usize::from(query), row))
                        .collect(),
                    // One action per observation: the second is that of the first query.
                    bitvla_remote::Protocol::VlaEval => {
                        let asked = usize::from(query) / 2;
                        vec![expected(query / 2 * 2, asked, usize::from(query) % 2)]
                    }
                };
                assert_eq!(answer.actions, rows, "{protocol:?}, query {query}");
                assert!(answer.server.is_none_or(|server| server <= answer.total));
            }
            client.end_episode(true);
            // openpi has no episodes: a new connection begins one.
            if protocol == bitvla_remote::Protocol::OpenPi {
                client = common::client(protocol, &server.url());
            }
        }
    }
}

#[test]
fn several_clients_do_not_disturb_each_other() {
    for protocol in Protocol::ALL {
        let server = Running::start(protocol, None, 8);
        let url = server.url();
        std::thread::scope(|scope| {
            for first in 0..4u8 {
                let url = &url;
                scope.spawn(move || {
                    let mut client = client(protocol, url);
                    client.begin_episode("a task").expect("begun");
                    for query in 0..20 {
                        let answer = client.query(&observation(10 * first)).expect("answered");
                        assert_eq!(
                            answer.actions[0][0],
                            f64::from(10 * first) / 255.0,
                            "{query}"
                        );
                    }
                });
            }
        });
    }
}

#[test]
fn a_policy_that_fails_or_panics_says_so_and_goes_on() {
    for protocol in Protocol::ALL {
        let server = Running::start(protocol, None, 8);
        for (instruction, words) in [("fail", "as asked"), ("panic", "the policy panicked")] {
            let mut client = client(protocol, &server.url());
            client.begin_episode("a task").expect("begun");
            let mut asked = observation(1);
            asked.instruction = instruction.to_owned();
            let error = client.query(&asked).expect_err("no answer").to_string();
            assert!(
                error.contains("the server failed") && error.contains(words),
                "{error}"
            );
            client.begin_episode("another").expect("begun anew");
            assert!(client.query(&observation(2)).is_ok());
        }
        let mut lacking = observation(1);
        lacking.wrist = None;
        let mut client = client(protocol, &server.url());
        client.begin_episode("a task").expect("begun");
        let error = client.query(&lacking).expect_err("no answer").to_string();
        assert!(error.contains("no wrist image"), "{error}");
    }
}

#[test]
fn a_key_is_asked_for() {
    for protocol in Protocol::ALL {
        let server = Running::start(protocol, Some("secret"), 8);
        for key in [None, Some("secreT"), Some("secret2")] {
            let mut client = client_with(protocol, &server.url(), key, Duration::from_secs(30));
            let error = client
                .begin_episode("a task")
                .expect_err("refused")
                .to_string();
            assert!(error.contains("401"), "{error}");
        }
        let mut client = client_with(
            protocol,
            &server.url(),
            Some("secret"),
            Duration::from_secs(30),
        );
        client.begin_episode("a task").expect("begun");
        assert!(client.query(&observation(3)).is_ok());
    }
}

/// Sends bytes and returns what comes back until the end.
fn exchange(server: &Running, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address).expect("a connection");
    stream
        .set_read_timeout(Some(Duration::from_secs(8)))
        .expect("a limit");
    stream.write_all(bytes).expect("sent");
    let mut answer = Vec::new();
    // A reset is an end, too.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn the_state_of_the_server_can_be_asked_for() {
    for protocol in Protocol::ALL {
        let server = Running::start(protocol, None, 8);
        let get = |path: &str| {
            exchange(
                &server,
                format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes(),
            )
        };
        assert!(get("/healthz").starts_with("HTTP/1.1 200 OK"));
        assert!(get("/health").ends_with("{\"status\": \"ok\"}\n"));
        assert!(get("/config?max_batch_size=4").contains("\"max_batch_size\": 1"));
        assert!(get("/").starts_with("HTTP/1.1 404"));
    }
}

#[test]
fn a_bad_client_harms_no_other() {
    for protocol in Protocol::ALL {
        let server = Running::start(protocol, None, 3);
        let mut good = client(protocol, &server.url());
        good.begin_episode("a task").expect("begun");
        let check = |good: &mut bitvla_remote::RemoteClient| {
            assert!(good.query(&observation(5)).is_ok());
        };
        // Garbage, a request that never ends, and no request at all.
        assert!(!exchange(&server, &[0xff; 20_000]).contains("200"));
        check(&mut good);
        let _idle = TcpStream::connect(server.address).expect("a connection");
        check(&mut good);
        // Messages that are none.
        for bad in [
            &b"no MessagePack"[..],
            &[0xdf, 0xff, 0xff, 0xff, 0xff],
            &[0x80],
            &[],
        ] {
            let (mut socket, _) = tungstenite::client(
                server.url(),
                TcpStream::connect(server.address).expect("a connection"),
            )
            .expect("a WebSocket");
            socket
                .send(tungstenite::Message::binary(bad.to_vec()))
                .expect("sent");
            // The end, or a text about it.
            while socket.read().is_ok() {}
            check(&mut good);
        }
        // The idle connection and the good one leave room for one more.
        let _third = TcpStream::connect(server.address).expect("a connection");
        std::thread::sleep(Duration::from_millis(200));
        let answer = exchange(&server, b"GET /health HTTP/1.1\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        check(&mut good);
    }
}

#[test]
fn a_server_that_stops_ends_its_connections() {
    for protocol in Protocol::ALL {
        let server = Running::start(protocol, None, 8);
        let mut client = client(protocol, &server.url());
        client.begin_episode("a task").expect("begun");
        drop(server);
        let error = client.query(&observation(1)).expect_err("no answer");
        assert!(
            matches!(
                error,
                RemoteError::Broken { .. } | RemoteError::Failed { .. }
            ),
            "{error}"
        );
    }
}
