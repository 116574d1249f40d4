//! Why a task ended: each failure says what was expected, what came and what to do, and has its exit code.

use std::fmt;

/// A failure and the exit code it leads to.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The task ran, and something in it went wrong: exit code 1.
    Failed(String),
    /// The command line made no sense: exit code 2.
    Usage(String),
    /// Something has to be installed first: exit code 3.
    Missing(String),
}

impl Failure {
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::Failed(message.into())
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }

    pub(crate) fn missing(message: impl Into<String>) -> Self {
        Self::Missing(message.into())
    }

    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Missing(_) => 3,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(message) | Self::Usage(message) | Self::Missing(message) => f.write_str(message),
        }
    }
}

impl From<lexopt::Error> for Failure {
    fn from(error: lexopt::Error) -> Self {
        Self::usage(format!("{error}; `cargo xtask` lists the tasks and their options"))
    }
}
