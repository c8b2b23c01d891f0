//! The one error of this crate.

/// Failures of a connection with a policy, or of a message.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// An address that is none.
    #[error("{url}: {what}")]
    Address {
        /// The address.
        url: String,
        /// Found and expected content.
        what: String,
    },
    /// No connection can be made.
    #[error("{url}: no connection within {seconds} s: {what}")]
    Unreachable {
        /// The address.
        url: String,
        /// Time that was tried.
        seconds: f64,
        /// The last reason.
        what: String,
    },
    /// The other side did not answer in time; the connection is given up, so that a late answer is no answer to a later question.
    #[error("{url}: no answer within {seconds} s")]
    TimedOut {
        /// The address.
        url: String,
        /// The limit.
        seconds: f64,
    },
    /// The connection broke.
    #[error("{url}: the connection broke: {what}")]
    Broken {
        /// The address.
        url: String,
        /// Reason.
        what: String,
    },
    /// The other side says that it failed.
    #[error("{url}: the server failed: {what}")]
    Failed {
        /// The address.
        url: String,
        /// Its words, shortened.
        what: String,
    },
    /// A message that is not what it should be.
    #[error("{place}: {what}")]
    Message {
        /// Message and field, for example `reply, actions`.
        place: String,
        /// Found and expected content.
        what: String,
    },
    /// Both sides declare another interface.
    #[error("{url}: the interfaces differ in {differences}")]
    Interface {
        /// The address.
        url: String,
        /// Fields with both values.
        differences: String,
    },
    /// A port cannot be listened on.
    #[error("{address}: {source}")]
    Listen {
        /// Host and port.
        address: String,
        /// What the system says.
        source: std::io::Error,
    },
}

impl RemoteError {
    pub(crate) fn message(place: impl Into<String>, what: impl Into<String>) -> RemoteError {
        RemoteError::Message {
            place: place.into(),
            what: what.into(),
        }
    }
}

/// Longest text of the other side that is passed on, characters.
const LONGEST_TEXT: usize = 300;

/// Text of the other side on one line: its last line that is not empty, which of a Python traceback is the error, without control
/// characters, shortened.
pub(crate) fn shortened(text: &str) -> String {
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty());
    let line = line.unwrap_or("no reason given");
    let plain = line
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c });
    let mut out: String = plain.take(LONGEST_TEXT).collect();
    if line.chars().count() > LONGEST_TEXT {
        out.push('…');
    }
    out
}
