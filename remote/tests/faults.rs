//! Guarantee: whatever a server does wrong ends one query with an error that says what was found, within the limit of time; the next
//! episode makes a new connection, and no late answer answers a later question.

mod common;

use bitvla_remote::{Protocol, RemoteError};
use common::{expected, impatient, interface, observation};
use rmpv::Value;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tungstenite::{Message, WebSocket};

type Socket = WebSocket<TcpStream>;

/// A server that does `script` on each connection, with its number.
fn server(script: impl Fn(usize, TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("ws://{}", listener.local_addr().expect("an address"));
    let script = Arc::new(script);
    let number = AtomicUsize::new(0);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let script = Arc::clone(&script);
            let number = number.fetch_add(1, Ordering::SeqCst);
            std::thread::spawn(move || script(number, stream));
        }
    });
    url
}

fn map(entries: Vec<(&str, Value)>) -> Value {
    Value::Map(entries.into_iter().map(|(k, v)| (k.into(), v)).collect())
}

fn bytes(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    rmpv::encode::write_value(&mut out, value).expect("written");
    out
}

fn array(dtype: &str, shape: &[u64], data: Vec<u8>) -> Value {
    map(vec![
        ("__ndarray__", true.into()),
        ("dtype", dtype.into()),
        (
            "shape",
            Value::Array(shape.iter().map(|n| Value::from(*n)).collect()),
        ),
        ("data", Value::Binary(data)),
    ])
}

fn actions(numbers: &[f64]) -> Value {
    let data = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
    array("<f8", &[1, 7], data)
}

/// Takes a WebSocket and greets as the protocol does.
fn greet(protocol: Protocol, stream: TcpStream) -> Socket {
    let mut socket = tungstenite::accept(stream).expect("a WebSocket");
    match protocol {
        Protocol::OpenPi => socket
            .send(Message::binary(bytes(&map(vec![]))))
            .expect("sent"),
        Protocol::VlaEval => {
            let hello = receive(&mut socket);
            send_typed(&mut socket, "hello", map(vec![]), seq(&hello));
            // The beginning of the episode.
            receive(&mut socket);
        }
    }
    socket
}

fn receive(socket: &mut Socket) -> Value {
    match socket.read().expect("a message") {
        Message::Binary(bytes) => rmpv::decode::read_value(&mut &bytes[..]).expect("MessagePack"),
        other => panic!("{other:?}"),
    }
}

fn seq(message: &Value) -> u64 {
    let entries = message.as_map().expect("a map");
    let found = entries.iter().find(|(key, _)| key.as_str() == Some("seq"));
    found.expect("a number").1.as_u64().expect("a number")
}

fn send_typed(socket: &mut Socket, kind: &str, payload: Value, seq: u64) {
    let message = map(vec![
        ("type", kind.into()),
        ("payload", payload),
        ("seq", seq.into()),
        ("timestamp", 0.0.into()),
    ]);
    // The client may have given up.
    let _ = socket.send(Message::binary(bytes(&message)));
}

/// Answers one query with `actions`.
fn answer(protocol: Protocol, socket: &mut Socket, actions: Value) {
    let query = receive(socket);
    match protocol {
        Protocol::OpenPi => {
            let _ = socket.send(Message::binary(bytes(&map(vec![("actions", actions)]))));
        }
        Protocol::VlaEval => {
            send_typed(
                socket,
                "action",
                map(vec![("actions", actions)]),
                seq(&query),
            );
        }
    }
}

/// One query against a server whose first connection does `script`, and whose later ones answer; returns the error. The second
/// episode must be answered.
fn fault(protocol: Protocol, script: impl Fn(TcpStream) + Send + Sync + 'static) -> RemoteError {
    let row = expected(0, 0, 0);
    let url = server(move |number, stream| match number {
        0 => script(stream),
        _ => {
            let mut socket = greet(protocol, stream);
            answer(protocol, &mut socket, actions(&row));
            std::thread::sleep(Duration::from_secs(2));
        }
    });
    let mut client = impatient(protocol, &url);
    let start = Instant::now();
    let error = client
        .begin_episode("a task")
        .and_then(|()| client.query(&observation(0)))
        .expect_err("a fault");
    let took = start.elapsed();
    assert!(took < Duration::from_secs(10), "{error} after {took:?}");
    client.begin_episode("the next").expect("a new connection");
    let answer = client.query(&observation(0)).expect("answered");
    assert_eq!(answer.actions, [row], "{protocol:?} after {error}");
    error
}

/// The same after the greeting.
fn fault_after_greeting(
    protocol: Protocol,
    script: impl Fn(&mut Socket) + Send + Sync + 'static,
) -> RemoteError {
    fault(protocol, move |stream| {
        let mut socket = greet(protocol, stream);
        script(&mut socket);
    })
}

/// The same with an answer of these actions.
fn bad_actions(protocol: Protocol, bad: Value, words: &str) {
    let error = fault_after_greeting(protocol, move |socket| {
        answer(protocol, socket, bad.clone());
        std::thread::sleep(Duration::from_millis(800));
    });
    assert!(error.to_string().contains(words), "{protocol:?}: {error}");
}

#[test]
fn answers_that_are_no_actions() {
    for protocol in Protocol::ALL {
        let numbers = |n: usize| vec![0u8; 8 * n];
        bad_actions(
            protocol,
            array("<i8", &[1, 6], numbers(6)),
            "the shape [1, 6]",
        );
        bad_actions(
            protocol,
            array("<f8", &[0, 7], numbers(0)),
            "the shape [0, 7]",
        );
        bad_actions(
            protocol,
            array("<f8", &[2000, 7], numbers(14_000)),
            "the shape [2000, 7]",
        );
        bad_actions(protocol, array("|O", &[1, 7], numbers(7)), "the type `|O`");
        bad_actions(
            protocol,
            array("<f8", &[1, 7], numbers(6)),
            "48 bytes of data",
        );
        bad_actions(
            protocol,
            actions(&[0.0, 0.0, f64::NAN, 0.0, 0.0, 0.0, 1.0]),
            "NaN in row 0, column 2",
        );
        bad_actions(protocol, actions(&[f64::INFINITY; 7]), "inf in row 0");
        bad_actions(protocol, "left".into(), "found text");
    }
}

#[test]
fn messages_that_are_none() {
    for protocol in Protocol::ALL {
        let send = |message: fn() -> Message| {
            fault_after_greeting(protocol, move |socket| {
                receive(socket);
                let _ = socket.send(message());
                std::thread::sleep(Duration::from_millis(800));
            })
            .to_string()
        };
        let text = send(|| {
            Message::text("Traceback (most recent call last):\n  File ...\nValueError: no GPU")
        });
        assert!(
            text.ends_with("the server failed: ValueError: no GPU"),
            "{text}"
        );
        let garbage = send(|| Message::binary(vec![0xc1, 1, 2, 3]));
        assert!(garbage.contains("bytes follow"), "{garbage}");
        let short = send(|| Message::binary(vec![0x82, 0xa1]));
        assert!(short.contains("cut short"), "{short}");
        let without = send(|| Message::binary(bytes(&map(vec![("other", 1.into())]))));
        assert!(without.contains("without"), "{without}");
        let large = send(|| Message::binary(vec![0; bitvla_remote::MAX_MESSAGE_BYTES + 1]));
        assert!(
            large.contains("too long") || large.contains("broke"),
            "{large}"
        );
    }
}

#[test]
fn connections_that_end_or_stand_still() {
    for protocol in Protocol::ALL {
        let timed_out =
            |error: RemoteError| assert!(matches!(error, RemoteError::TimedOut { .. }), "{error}");
        // Silent after the query.
        timed_out(fault_after_greeting(protocol, |socket| {
            receive(socket);
            std::thread::sleep(Duration::from_secs(2));
        }));
        // Half a frame, then nothing; and a byte now and then.
        timed_out(fault_after_greeting(protocol, |socket| {
            receive(socket);
            let _ = socket
                .get_mut()
                .write_all(&[0x82, 0x7e, 0x04, 0x00, 1, 2, 3]);
            std::thread::sleep(Duration::from_secs(2));
        }));
        timed_out(fault_after_greeting(protocol, |socket| {
            receive(socket);
            let _ = socket.get_mut().write_all(&[0x82, 0x7e, 0x04, 0x00]);
            for _ in 0..20 {
                let _ = socket.get_mut().write_all(&[0]);
                std::thread::sleep(Duration::from_millis(100));
            }
        }));
        // Closed in the middle of a frame, and with a goodbye.
        let cut = fault_after_greeting(protocol, |socket| {
            receive(socket);
            let _ = socket
                .get_mut()
                .write_all(&[0x82, 0x7e, 0x04, 0x00, 1, 2, 3]);
            let _ = socket.get_mut().shutdown(std::net::Shutdown::Both);
        });
        assert!(matches!(cut, RemoteError::Broken { .. }), "{cut}");
        let closed = fault_after_greeting(protocol, |socket| {
            receive(socket);
            let _ = socket.close(None);
            let _ = socket.flush();
        });
        assert!(
            closed.to_string().contains("the server closed it"),
            "{closed}"
        );
        // Gone before the greeting is over.
        let error = fault(protocol, |stream| {
            let mut socket = tungstenite::accept(stream).expect("a WebSocket");
            let _ = socket.close(None);
            let _ = socket.flush();
        });
        assert!(
            error.to_string().contains("the server closed it"),
            "{error}"
        );
    }
}

#[test]
fn no_server_and_no_websocket() {
    for protocol in Protocol::ALL {
        let begin = |url: &str| {
            impatient(protocol, url)
                .begin_episode("a task")
                .expect_err("refused")
                .to_string()
        };
        // A port that nobody listens on.
        let free = TcpListener::bind("127.0.0.1:0")
            .expect("a port")
            .local_addr()
            .expect("an address");
        let error = begin(&format!("ws://{free}"));
        assert!(error.contains("no connection within 0.6 s"), "{error}");
        // A server that never answers the handshake, and one that speaks plain HTTP.
        let silent = server(|_, stream| {
            std::thread::sleep(Duration::from_secs(2));
            drop(stream);
        });
        assert!(begin(&silent).contains("no answer to the handshake"));
        let http = server(|_, mut stream| {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            std::thread::sleep(Duration::from_millis(200));
        });
        let error = begin(&http);
        assert!(
            error.contains("HTTP status 200 OK instead of a WebSocket"),
            "{error}"
        );
    }
    for address in ["http://a:1", "ws://a", "wss://a:1", "a", "ws://:1"] {
        let made = bitvla_remote::RemoteClient::new(Protocol::OpenPi, address, Default::default());
        assert!(made.is_err(), "{address}");
    }
}

#[test]
fn interfaces_and_versions_that_differ_are_refused() {
    let other = map(vec![(
        "interface",
        map(vec![("image orientation", "upright".into())]),
    )]);
    let openpi = fault(Protocol::OpenPi, {
        let other = other.clone();
        move |stream| {
            let mut socket = tungstenite::accept(stream).expect("a WebSocket");
            let _ = socket.send(Message::binary(bytes(&other)));
            std::thread::sleep(Duration::from_millis(300));
        }
    });
    let words = "image orientation: upright against left-right of the upright image";
    assert!(openpi.to_string().contains(words), "{openpi}");
    assert_eq!(interface().facts.len(), 1);

    let hello = |payload: Value| {
        fault(Protocol::VlaEval, move |stream| {
            let mut socket = tungstenite::accept(stream).expect("a WebSocket");
            let hello = receive(&mut socket);
            send_typed(&mut socket, "hello", payload.clone(), seq(&hello));
            std::thread::sleep(Duration::from_millis(300));
        })
        .to_string()
    };
    assert!(hello(other).contains(words));
    let gripper = map(vec![
        ("format", "binary_close_negative".into()),
        ("dims", 1.into()),
    ]);
    let spec = map(vec![("action_spec", map(vec![("gripper", gripper)]))]);
    let error = hello(spec);
    assert!(
        error.contains("action gripper: convention binary_close_negative against"),
        "{error}"
    );
    let version = hello(map(vec![("protocol_version", 2.into())]));
    assert!(
        version.contains("protocol version 2, this program speaks 1"),
        "{version}"
    );
}

#[test]
fn a_late_answer_answers_no_later_question() {
    // An answer to the first query arrives before that to the second, on the same connection.
    let url = server(|_, stream| {
        let mut socket = greet(Protocol::VlaEval, stream);
        let first = seq(&receive(&mut socket));
        send_typed(
            &mut socket,
            "action",
            map(vec![("actions", actions(&[0.1; 7]))]),
            first,
        );
        let second = seq(&receive(&mut socket));
        send_typed(
            &mut socket,
            "action",
            map(vec![("actions", actions(&[0.9; 7]))]),
            first,
        );
        send_typed(
            &mut socket,
            "action",
            map(vec![("actions", actions(&[0.2; 7]))]),
            second,
        );
        std::thread::sleep(Duration::from_millis(300));
    });
    let mut client = impatient(Protocol::VlaEval, &url);
    client.begin_episode("a task").expect("begun");
    for expected in [0.1, 0.2] {
        let answer = client.query(&observation(0)).expect("answered");
        assert_eq!(answer.actions, [[expected; 7]]);
    }
    // An answer from the future is none.
    let url = server(|_, stream| {
        let mut socket = greet(Protocol::VlaEval, stream);
        let first = seq(&receive(&mut socket));
        send_typed(
            &mut socket,
            "action",
            map(vec![("actions", actions(&[0.1; 7]))]),
            first + 5,
        );
        std::thread::sleep(Duration::from_millis(300));
    });
    let mut client = impatient(Protocol::VlaEval, &url);
    client.begin_episode("a task").expect("begun");
    let error = client
        .query(&observation(0))
        .expect_err("no answer")
        .to_string();
    assert!(error.contains("expected `action` with seq"), "{error}");
}
