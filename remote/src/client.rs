//! Client of a policy server, with a limit on every wait.

use crate::deadline_stream::DeadlineStream;
use crate::error::shortened;
use crate::openpi::{observation_to_value, reply_from_value};
use crate::value::{MAX_MESSAGE_BYTES, decode, describe, encode, field, map, text};
use crate::vla_eval::{self, Kind, Message as Typed};
use crate::wire::actions_of_message;
use crate::{Interface, Observation, Protocol, RemoteError};
use rmpv::Value;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};
use tungstenite::client::ClientRequestBuilder;
use tungstenite::http::Uri;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Error, HandshakeError, Message, WebSocket};

/// Pause between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(100);

/// Settings of a client.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Time in which a connection has to be made; a server that is still starting is tried again and again.
    pub connect: Duration,
    /// Time in which a query has to be answered.
    pub answer: Duration,
    /// Key that is sent as `Authorization: Api-Key`; `None` for none.
    pub api_key: Option<String>,
    /// What this side sends and takes.
    pub interface: Interface,
}

impl Default for ClientOptions {
    fn default() -> ClientOptions {
        ClientOptions {
            connect: Duration::from_secs(30),
            answer: Duration::from_secs(60),
            api_key: None,
            interface: Interface::default(),
        }
    }
}

/// Answer to a query.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Actions in order of execution.
    pub actions: Vec<[f64; 7]>,
    /// Time from sending to the answer.
    pub total: Duration,
    /// Part of it that the server says it took; `None` where it says nothing.
    pub server: Option<Duration>,
}

/// Connection with a policy, made when it is first needed.
pub struct RemoteClient {
    url: String,
    uri: Uri,
    protocol: Protocol,
    options: ClientOptions,
    socket: Option<WebSocket<DeadlineStream>>,
    /// What the server of the last connection declared.
    declared: Interface,
    /// Number of the last message.
    seq: u64,
}

impl RemoteClient {
    /// A client of the server at `url`, for example `ws://127.0.0.1:8000`.
    ///
    /// # Errors
    /// [`RemoteError::Address`] if it is no such address.
    pub fn new(
        protocol: Protocol,
        url: &str,
        options: ClientOptions,
    ) -> Result<RemoteClient, RemoteError> {
        let fail = |what: &str| RemoteError::Address {
            url: url.to_owned(),
            what: what.to_owned(),
        };
        let uri: Uri = url
            .parse()
            .map_err(|_| fail("no address, expected ws://HOST:PORT"))?;
        match (uri.scheme_str(), uri.host(), uri.port_u16()) {
            (Some("ws"), Some(host), Some(_)) if !host.is_empty() => {}
            (Some("wss"), ..) => return Err(fail("wss is not supported, expected ws://HOST:PORT")),
            _ => return Err(fail("expected ws://HOST:PORT")),
        }
        Ok(RemoteClient {
            url: url.to_owned(),
            uri,
            protocol,
            options,
            socket: None,
            declared: Interface::default(),
            seq: 0,
        })
    }

    /// What the server declares; connects where there is no connection.
    ///
    /// # Errors
    /// As [`RemoteClient::begin_episode`].
    pub fn declared(&mut self) -> Result<&Interface, RemoteError> {
        if self.socket.is_none() {
            self.connect()?;
        }
        Ok(&self.declared)
    }

    /// Begins an episode: connects where there is no connection, compares the declared interfaces, and tells the server of the task.
    ///
    /// # Errors
    /// If no connection can be made in time, the server does not follow the protocol, or the interfaces differ.
    pub fn begin_episode(&mut self, task: &str) -> Result<(), RemoteError> {
        if self.socket.is_none() {
            self.connect()?;
        }
        if self.protocol == Protocol::VlaEval {
            let task = map([("name", task.into())]);
            let deadline = self.answer_deadline();
            self.send_typed(Kind::EpisodeStart, map([("task", task)]), deadline)?;
        }
        Ok(())
    }

    /// Tells the server that an episode has ended; a connection that is broken already is given up without a word.
    pub fn end_episode(&mut self, success: bool) {
        if self.protocol == Protocol::VlaEval && self.socket.is_some() {
            let metrics = map([("success", success.into())]);
            let deadline = self.answer_deadline();
            // The next episode makes a new connection.
            let _ = self.send_typed(Kind::EpisodeEnd, map([("metrics", metrics)]), deadline);
        }
    }

    /// Asks for actions. After an error the connection is given up, so that nothing of this query answers a later one.
    ///
    /// # Errors
    /// If there is no answer in time, or it is none.
    pub fn query(&mut self, observation: &Observation) -> Result<Answer, RemoteError> {
        let start = Instant::now();
        let deadline = start + self.options.answer;
        let answered = match self.protocol {
            Protocol::OpenPi => self.query_openpi(observation, deadline),
            Protocol::VlaEval => self.query_vla_eval(observation, deadline),
        };
        match answered {
            Ok((actions, server)) => Ok(Answer {
                actions,
                total: start.elapsed(),
                server: server.and_then(|ms| Duration::try_from_secs_f64(1e-3 * ms).ok()),
            }),
            Err(error) => {
                self.socket = None;
                Err(error)
            }
        }
    }

    fn query_openpi(
        &mut self,
        observation: &Observation,
        deadline: Instant,
    ) -> Result<(Vec<[f64; 7]>, Option<f64>), RemoteError> {
        self.send(encode(&observation_to_value(observation)), deadline)?;
        let reply = self.receive(deadline)?;
        let reply = decode(&reply, "reply")?;
        if let Some(error) = field(&reply, "error").and_then(text) {
            return Err(self.failed(error));
        }
        reply_from_value(&reply)
    }

    fn query_vla_eval(
        &mut self,
        observation: &Observation,
        deadline: Instant,
    ) -> Result<(Vec<[f64; 7]>, Option<f64>), RemoteError> {
        let payload = vla_eval::observation_to_value(observation);
        let seq = self.send_typed(Kind::Observation, payload, deadline)?;
        loop {
            let message = Typed::from_bytes(&self.receive(deadline)?)?;
            match message.kind {
                Kind::Error => return Err(self.failed(&error_words(&message.payload))),
                Kind::Action if message.seq == seq => {
                    return Ok((actions_of_message(&message)?, None));
                }
                // An answer to an earlier question, which nobody waits for any more.
                Kind::Action if message.seq < seq => {}
                kind => {
                    return Err(RemoteError::message(
                        "message",
                        format!(
                            "found `{}` with seq {}, expected `action` with seq {seq}",
                            kind.name(),
                            message.seq
                        ),
                    ));
                }
            }
        }
    }

    fn answer_deadline(&self) -> Instant {
        Instant::now() + self.options.answer
    }

    /// Connects until it succeeds or the time is over.
    fn connect(&mut self) -> Result<(), RemoteError> {
        let deadline = Instant::now() + self.options.connect;
        loop {
            match self.try_connect(deadline) {
                Ok(socket) => {
                    self.socket = Some(socket);
                    break;
                }
                Err(Attempt::Refused(what)) => return Err(self.failed(&what)),
                Err(Attempt::Failed(what)) if Instant::now() + PAUSE > deadline => {
                    return Err(RemoteError::Unreachable {
                        url: self.url.clone(),
                        seconds: self.options.connect.as_secs_f64(),
                        what,
                    });
                }
                Err(Attempt::Failed(_)) => std::thread::sleep(PAUSE),
            }
        }
        let greeted = self.greet(deadline.max(self.answer_deadline()));
        if greeted.is_err() {
            self.socket = None;
        }
        greeted
    }

    fn try_connect(&self, deadline: Instant) -> Result<WebSocket<DeadlineStream>, Attempt> {
        let host = self.uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = self.uri.port_u16().unwrap_or_default();
        let mut last = "the name has no address".to_owned();
        for address in (host, port)
            .to_socket_addrs()
            .map_err(|e| Attempt::Failed(e.to_string()))?
        {
            let left = deadline
                .saturating_duration_since(Instant::now())
                .max(PAUSE);
            let stream = match TcpStream::connect_timeout(&address, left) {
                Ok(stream) => stream,
                Err(error) => {
                    last = error.to_string();
                    continue;
                }
            };
            // Answers are small and awaited.
            let _ = stream.set_nodelay(true);
            let mut stream = DeadlineStream::new(stream);
            stream.set_deadline(Some(deadline));
            let mut request = ClientRequestBuilder::new(self.uri.clone());
            if let Some(key) = &self.options.api_key {
                request = request.with_header("Authorization", format!("Api-Key {key}"));
            }
            return match tungstenite::client::client_with_config(request, stream, Some(config())) {
                Ok((socket, _)) => Ok(socket),
                // A server that is busy may have room later.
                Err(HandshakeError::Failure(Error::Http(answer))) if answer.status() != 503 => {
                    let status = answer.status();
                    Err(Attempt::Refused(format!(
                        "HTTP status {status} instead of a WebSocket"
                    )))
                }
                Err(HandshakeError::Failure(error)) => Err(Attempt::Failed(error.to_string())),
                Err(HandshakeError::Interrupted(_)) => {
                    Err(Attempt::Failed("no answer to the handshake".into()))
                }
            };
        }
        Err(Attempt::Failed(last))
    }

    /// First messages of a connection: the server's metadata, or a hello of both sides.
    fn greet(&mut self, deadline: Instant) -> Result<(), RemoteError> {
        let declared = match self.protocol {
            Protocol::OpenPi => decode(&self.receive(deadline)?, "metadata")?,
            Protocol::VlaEval => {
                let payload = vla_eval::hello(&self.options.interface, "client");
                self.send_typed(Kind::Hello, payload, deadline)?;
                let reply = Typed::from_bytes(&self.receive(deadline)?)?;
                match reply.kind {
                    Kind::Hello => reply.payload,
                    Kind::Error => return Err(self.failed(&error_words(&reply.payload))),
                    other => {
                        let what = format!("found `{}`, expected `hello`", other.name());
                        return Err(RemoteError::message("message", what));
                    }
                }
            }
        };
        vla_eval::check_hello(&declared).map_err(|what| RemoteError::message("hello", what))?;
        let interface = Interface::from_entries(&declared)
            .map_err(|what| RemoteError::message("hello", what))?;
        let differences = interface.differences(&self.options.interface);
        match differences.is_empty() {
            true => {
                self.declared = interface;
                Ok(())
            }
            false => Err(RemoteError::Interface {
                url: self.url.clone(),
                differences: differences.join("; "),
            }),
        }
    }

    fn send_typed(
        &mut self,
        kind: Kind,
        payload: Value,
        deadline: Instant,
    ) -> Result<u64, RemoteError> {
        self.seq += 1;
        let seq = self.seq;
        let sent = self.send(Typed { kind, payload, seq }.to_bytes(), deadline);
        if sent.is_err() {
            self.socket = None;
        }
        sent.map(|()| seq)
    }

    fn send(&mut self, bytes: Vec<u8>, deadline: Instant) -> Result<(), RemoteError> {
        let sent = self.with_socket(deadline, |socket| socket.send(Message::binary(bytes)));
        sent.map_err(|error| self.broken(error))
    }

    /// Bytes of the next message; a text is what a server says that has failed.
    fn receive(&mut self, deadline: Instant) -> Result<Vec<u8>, RemoteError> {
        loop {
            let message = self.with_socket(deadline, WebSocket::read);
            match message.map_err(|error| self.broken(error))? {
                Message::Binary(bytes) => return Ok(bytes.to_vec()),
                Message::Text(words) => return Err(self.failed(words.as_str())),
                Message::Close(frame) => {
                    let reason = frame.map_or_else(String::new, |frame| frame.to_string());
                    return Err(RemoteError::Broken {
                        url: self.url.clone(),
                        what: format!("the server closed it {}", shortened(&reason)),
                    });
                }
                // Answered by the library.
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    fn with_socket<T>(
        &mut self,
        deadline: Instant,
        work: impl FnOnce(&mut WebSocket<DeadlineStream>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let socket = self.socket.as_mut().ok_or(Error::AlreadyClosed)?;
        socket.get_mut().set_deadline(Some(deadline));
        work(socket)
    }

    fn broken(&self, error: Error) -> RemoteError {
        let url = self.url.clone();
        match error {
            Error::Io(io) if io.kind() == std::io::ErrorKind::WouldBlock => RemoteError::TimedOut {
                url,
                seconds: self.options.answer.as_secs_f64(),
            },
            other => RemoteError::Broken {
                url,
                what: shortened(&other.to_string()),
            },
        }
    }

    fn failed(&self, words: &str) -> RemoteError {
        RemoteError::Failed {
            url: self.url.clone(),
            what: shortened(words),
        }
    }
}

impl Drop for RemoteClient {
    /// Takes leave of the server; one that is gone does not hear it.
    fn drop(&mut self) {
        if let Some(socket) = &mut self.socket {
            socket.get_mut().set_deadline(Some(Instant::now() + PAUSE));
            let _ = socket.close(None);
            let _ = socket.flush();
        }
    }
}

/// An attempt to connect that failed, with its reason.
enum Attempt {
    /// May succeed later.
    Failed(String),
    /// Will not.
    Refused(String),
}

/// Words of an error message.
fn error_words(payload: &Value) -> String {
    let words = field(payload, "error").and_then(text).map(str::to_owned);
    words.unwrap_or_else(|| describe(payload))
}

/// Bounds of messages.
pub(crate) fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES))
}
