//! Signals that end a run. While episodes run, SIGINT and SIGTERM ask for a stop: the folder is written with what is
//! finished. A second one ends the program at once, as do both while nothing runs.

use crate::EvalError;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Signals that have arrived.
pub(super) struct StopSignals {
    /// Number of the last signal; 0 for none.
    last: Arc<AtomicUsize>,
    /// True while a signal ends the program at once.
    at_once: Arc<AtomicBool>,
}

impl StopSignals {
    /// Installs the handlers, once per process. A file that grows beyond a limit becomes an error of the write instead of a
    /// signal.
    ///
    /// # Errors
    /// If the system refuses.
    pub(super) fn install() -> Result<StopSignals, EvalError> {
        let signals = StopSignals {
            last: Arc::default(),
            at_once: Arc::new(AtomicBool::new(true)),
        };
        let handlers = || {
            for signal in [SIGINT, SIGTERM] {
                // In this order: the first signal arms the end that the second one meets.
                flag::register_conditional_default(signal, Arc::clone(&signals.at_once))?;
                flag::register_usize(signal, Arc::clone(&signals.last), signal as usize)?;
                flag::register(signal, Arc::clone(&signals.at_once))?;
            }
            #[cfg(unix)]
            flag::register(signal_hook::consts::SIGXFSZ, Arc::default())?;
            Ok(())
        };
        handlers().map_err(EvalError::io(Path::new("signal handlers")))?;
        Ok(signals)
    }

    /// Does `work`, during which a signal asks for a stop.
    pub(super) fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        self.at_once.store(false, Ordering::SeqCst);
        let result = work();
        self.at_once.store(true, Ordering::SeqCst);
        result
    }

    /// Returns true once a signal has asked for a stop.
    pub(super) fn stop(&self) -> bool {
        self.last.load(Ordering::Relaxed) != 0
    }

    /// Exit code of a program that the last signal ended: 128 and its number.
    pub(super) fn exit_code(&self) -> u8 {
        let code = 128 + self.last.load(Ordering::SeqCst);
        u8::try_from(code).unwrap_or(u8::MAX)
    }
}
