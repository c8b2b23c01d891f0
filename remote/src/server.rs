//! Server of a policy: one thread per connection, a limit on connections, on messages and on the handshake; whatever a client sends
//! ends its own connection at most.

use crate::client::config;
use crate::deadline_stream::DeadlineStream;
use crate::openpi::{metadata, observation_from_value, reply_to_value};
use crate::value::{decode, encode, map};
use crate::vla_eval::{self, Kind, Message as Typed};
use crate::{Interface, Observation, Protocol, RemoteError};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tungstenite::http::StatusCode;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Error, Message, WebSocket};

/// Time between two looks at a request to stop.
const POLL: Duration = Duration::from_millis(50);
/// Time for the request of a client.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Time in which a client has to take an answer.
const SEND: Duration = Duration::from_secs(30);
/// Largest header of a request, bytes.
const MAX_HEADER: usize = 8192;

/// A policy that is served.
pub trait ServerPolicy: Sync {
    /// What it sends and takes.
    fn interface(&self) -> Interface;

    /// A session of one connection.
    ///
    /// # Errors
    /// In words, if it cannot be made.
    fn session(&self) -> Result<Box<dyn PolicySession>, String>;
}

/// Policy of one connection.
pub trait PolicySession {
    /// Begins an episode.
    fn begin_episode(&mut self);

    /// Answers a query: all actions of the answer, and how many of them are to be executed before the next query.
    ///
    /// # Errors
    /// In words, for an observation that the policy cannot answer.
    fn query(&mut self, observation: &Observation) -> Result<(Vec<[f64; 7]>, usize), String>;
}

/// Settings of a server.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Protocol.
    pub protocol: Protocol,
    /// Key that clients have to send as `Authorization: Api-Key`; `None` for none.
    pub api_key: Option<String>,
    /// Connections at the same time.
    pub max_connections: usize,
}

/// A port that is listened on.
pub struct Server {
    listener: TcpListener,
    options: ServerOptions,
}

impl Server {
    /// Listens on a host and port; port 0 takes a free one.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn bind(host: &str, port: u16, options: ServerOptions) -> Result<Server, RemoteError> {
        let fail = |source| RemoteError::Listen {
            address: format!("{host}:{port}"),
            source,
        };
        let addresses: Vec<SocketAddr> = (host, port).to_socket_addrs().map_err(fail)?.collect();
        let listener = TcpListener::bind(addresses.as_slice()).map_err(fail)?;
        listener.set_nonblocking(true).map_err(fail)?;
        Ok(Server { listener, options })
    }

    /// Address that is listened on.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn address(&self) -> Result<SocketAddr, RemoteError> {
        self.listener
            .local_addr()
            .map_err(|source| RemoteError::Listen {
                address: "the server".to_owned(),
                source,
            })
    }

    /// Serves until `stop` is true, then closes all connections. `log` gets a line about each connection that begins, ends or fails.
    pub fn run(
        &self,
        policy: &dyn ServerPolicy,
        stop: &(dyn Fn() -> bool + Sync),
        log: &(dyn Fn(&str) + Sync),
    ) {
        let connections = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            while !stop() {
                let (stream, peer) = match self.listener.accept() {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        if error.kind() != ErrorKind::WouldBlock {
                            log(&format!("a connection could not be taken: {error}"));
                        }
                        std::thread::sleep(POLL);
                        continue;
                    }
                };
                let connections = &connections;
                let number = connections.fetch_add(1, Ordering::SeqCst);
                let full = number >= self.options.max_connections;
                let serve = move || {
                    let served = match full {
                        true => refuse(stream),
                        false => self.serve(stream, policy, stop),
                    };
                    match served {
                        Ok(Ended::Probe) => {}
                        Ok(Ended::Queries(queries)) => {
                            log(&format!("{peer}: closed after {queries} queries"));
                        }
                        Err(what) => log(&format!("{peer}: {what}")),
                    }
                    connections.fetch_sub(1, Ordering::SeqCst);
                };
                if let Err(error) = std::thread::Builder::new().spawn_scoped(scope, serve) {
                    connections.fetch_sub(1, Ordering::SeqCst);
                    log(&format!("{peer}: no thread for it: {error}"));
                }
            }
        });
    }

    /// Serves one connection to its end.
    #[expect(
        clippy::result_large_err,
        reason = "the callback of tungstenite's handshake has this type"
    )]
    fn serve(
        &self,
        stream: TcpStream,
        policy: &dyn ServerPolicy,
        stop: &dyn Fn() -> bool,
    ) -> Result<Ended, String> {
        let io = |error: std::io::Error| error.to_string();
        stream.set_nonblocking(false).map_err(io)?;
        let header = peek_header(&stream).map_err(io)?;
        if !header.to_ascii_lowercase().contains("upgrade: websocket") {
            return answer_http(stream, &header)
                .map(|()| Ended::Probe)
                .map_err(io);
        }
        let _ = stream.set_nodelay(true);
        let mut stream = DeadlineStream::new(stream);
        stream.set_deadline(Some(Instant::now() + HANDSHAKE));
        let authorise = |request: &Request, response: Response| match self.authorised(request) {
            true => Ok(response),
            false => {
                let mut refused = ErrorResponse::new(Some("a key is needed".to_owned()));
                *refused.status_mut() = StatusCode::UNAUTHORIZED;
                Err(refused)
            }
        };
        let socket = tungstenite::accept_hdr_with_config(stream, authorise, Some(config()));
        let mut connection = Connection {
            socket: socket.map_err(|error| error.to_string())?,
            session: policy.session()?,
            policy,
            stop,
            queries: 0,
        };
        let ended = match self.options.protocol {
            Protocol::OpenPi => connection.openpi(),
            Protocol::VlaEval => connection.vla_eval(),
        };
        ended.map(|()| Ended::Queries(connection.queries))
    }

    fn authorised(&self, request: &Request) -> bool {
        let Some(key) = &self.options.api_key else {
            return true;
        };
        let given = request.headers().get("Authorization");
        let given = given.and_then(|value| value.as_bytes().strip_prefix(b"Api-Key "));
        given.is_some_and(|given| equal_in_constant_time(given, key.as_bytes()))
    }
}

/// Compares two keys in a time that depends on their lengths only.
fn equal_in_constant_time(a: &[u8], b: &[u8]) -> bool {
    use subtle::ConstantTimeEq;
    a.ct_eq(b).into()
}

/// End of a connection.
enum Ended {
    /// A request for the state of the server.
    Probe,
    /// A session with so many queries.
    Queries(usize),
}

/// Answers that there is no room.
fn refuse(mut stream: TcpStream) -> Result<Ended, String> {
    let io = |error: std::io::Error| error.to_string();
    stream.set_nonblocking(false).map_err(io)?;
    stream.set_write_timeout(Some(HANDSHAKE)).map_err(io)?;
    stream
        .write_all(
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        )
        .map_err(io)?;
    Err("refused: too many connections".to_owned())
}

/// Header of the request, which stays in the stream.
fn peek_header(stream: &TcpStream) -> std::io::Result<String> {
    let deadline = Instant::now() + HANDSHAKE;
    let mut buffer = [0; MAX_HEADER];
    stream.set_read_timeout(Some(HANDSHAKE))?;
    loop {
        let count = stream.peek(&mut buffer)?;
        let header = String::from_utf8_lossy(&buffer[..count]);
        if header.contains("\r\n\r\n") {
            return Ok(header.into_owned());
        }
        if count == 0 || count == MAX_HEADER || Instant::now() > deadline {
            return Err(std::io::Error::new(
                ErrorKind::InvalidData,
                format!("{count} bytes, expected the header of a request"),
            ));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Answers a request that is none for a WebSocket: whether the server is ready, and how many observations it takes at once.
fn answer_http(mut stream: TcpStream, header: &str) -> std::io::Result<()> {
    let mut taken = vec![0; header.len()];
    stream.read_exact(&mut taken)?;
    let path = header.split(' ').nth(1).unwrap_or_default();
    let path = path.split('?').next().unwrap_or_default();
    let (status, kind, body) = match path {
        "/healthz" => ("200 OK", "text/plain", "OK\n"),
        "/health" => ("200 OK", "application/json", "{\"status\": \"ok\"}\n"),
        "/config" => (
            "200 OK",
            "application/json",
            "{\"applied\": {}, \"config\": {\"max_batch_size\": 1}}\n",
        ),
        _ => ("404 Not Found", "text/plain", "expected a WebSocket\n"),
    };
    stream.set_write_timeout(Some(HANDSHAKE))?;
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// One client.
struct Connection<'a> {
    socket: WebSocket<DeadlineStream>,
    session: Box<dyn PolicySession>,
    policy: &'a dyn ServerPolicy,
    stop: &'a dyn Fn() -> bool,
    queries: usize,
}

impl Connection<'_> {
    fn openpi(&mut self) -> Result<(), String> {
        self.send(Message::binary(encode(&metadata(&self.policy.interface()))))?;
        self.session.begin_episode();
        let mut previous = None;
        while let Some(message) = self.next()? {
            let start = Instant::now();
            let answered = self.answer_openpi(&message);
            let infer_ms = 1e3 * start.elapsed().as_secs_f64();
            match answered {
                Ok(actions) => {
                    let reply = reply_to_value(&actions, infer_ms, previous);
                    self.send(Message::binary(encode(&reply)))?;
                    previous = Some(1e3 * start.elapsed().as_secs_f64());
                }
                Err(what) => {
                    // As openpi's server does: the reason as text, then the end.
                    self.send(Message::text(what.clone()))?;
                    self.close(
                        CloseCode::Error,
                        "Internal server error. Traceback included in previous frame.",
                    );
                    return Err(what);
                }
            }
        }
        Ok(())
    }

    fn answer_openpi(&mut self, message: &Message) -> Result<Vec<[f64; 7]>, String> {
        let Message::Binary(bytes) = message else {
            return Err("found a text, expected an observation in binary".to_owned());
        };
        let value = decode(bytes, "observation").map_err(|e| e.to_string())?;
        let observation = observation_from_value(&value).map_err(|e| e.to_string())?;
        self.query(&observation).map(|(actions, _)| actions)
    }

    fn vla_eval(&mut self) -> Result<(), String> {
        // Actions of the last answer that are still to be executed: this protocol asks in every control step.
        let mut pending: VecDeque<[f64; 7]> = VecDeque::new();
        self.session.begin_episode();
        while let Some(message) = self.next()? {
            let Message::Binary(bytes) = message else {
                return Err("found a text, expected a message in binary".to_owned());
            };
            let typed = Typed::from_bytes(&bytes).map_err(|e| e.to_string())?;
            let (kind, payload) = match typed.kind {
                Kind::Hello => match vla_eval::check_hello(&typed.payload) {
                    Ok(()) => (
                        Kind::Hello,
                        vla_eval::hello(&self.policy.interface(), "BitVla"),
                    ),
                    Err(what) => (Kind::Error, error(&what)),
                },
                Kind::EpisodeStart => {
                    pending.clear();
                    self.session.begin_episode();
                    continue;
                }
                Kind::EpisodeEnd | Kind::Error => continue,
                Kind::Observation => match self.action(&typed, &mut pending) {
                    Ok(action) => (Kind::Action, vla_eval::action(&action)),
                    Err(what) => (Kind::Error, error(&format!("observation_failed: {what}"))),
                },
                Kind::Action => (Kind::Error, error("found `action`, expected `observation`")),
            };
            let seq = typed.seq;
            self.send(Message::binary(Typed { kind, payload, seq }.to_bytes()))?;
        }
        Ok(())
    }

    fn action(
        &mut self,
        message: &Typed,
        pending: &mut VecDeque<[f64; 7]>,
    ) -> Result<[f64; 7], String> {
        if let Some(action) = pending.pop_front() {
            return Ok(action);
        }
        let observation = vla_eval::observation_from_value(&message.payload);
        let observation = observation.map_err(|e| e.to_string())?;
        let (actions, executed) = self.query(&observation)?;
        pending.extend(actions.into_iter().take(executed));
        pending
            .pop_front()
            .ok_or_else(|| "the policy gave no action".to_owned())
    }

    /// Asks the policy; one that panics is made afresh.
    fn query(&mut self, observation: &Observation) -> Result<(Vec<[f64; 7]>, usize), String> {
        self.queries += 1;
        let session = &mut self.session;
        let answered = catch_unwind(AssertUnwindSafe(|| session.query(observation)));
        answered.unwrap_or_else(|_| {
            self.session = self.policy.session()?;
            Err("the policy panicked".to_owned())
        })
    }

    /// The next message; `None` at the end of the connection or of the server.
    fn next(&mut self) -> Result<Option<Message>, String> {
        loop {
            if (self.stop)() {
                self.close(CloseCode::Away, "the server stops");
                return Ok(None);
            }
            self.socket
                .get_mut()
                .set_deadline(Some(Instant::now() + POLL));
            match self.socket.read() {
                Ok(message @ (Message::Binary(_) | Message::Text(_))) => return Ok(Some(message)),
                Ok(Message::Close(_)) | Err(Error::ConnectionClosed) => return Ok(None),
                Ok(_) => {}
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    fn send(&mut self, message: Message) -> Result<(), String> {
        self.socket
            .get_mut()
            .set_deadline(Some(Instant::now() + SEND));
        self.socket.send(message).map_err(|error| error.to_string())
    }

    /// Says goodbye; a client that is gone does not hear it.
    fn close(&mut self, code: CloseCode, reason: &'static str) {
        self.socket
            .get_mut()
            .set_deadline(Some(Instant::now() + POLL));
        let _ = self.socket.close(Some(CloseFrame {
            code,
            reason: reason.into(),
        }));
        let _ = self.socket.flush();
    }
}

fn error(what: &str) -> rmpv::Value {
    map([("error", what.into())])
}
