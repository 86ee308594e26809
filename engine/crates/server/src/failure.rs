//! Why the program ends before its work is done: one line for a person, and an exit code for a script.

use std::fmt;

/// What kind of failure it is; scripts see it as the exit code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Something broke while running: 1.
    Broken,
    /// Command line, configuration or surroundings are wrong (a port taken, a directory in use): 2.
    Setup,
    /// The journal is damaged, or does not say what its execution says: 3.
    Damage,
}

/// One line that says what happened, where, and what to do.
#[derive(Debug)]
pub struct Failure {
    kind: Kind,
    message: String,
}

impl Failure {
    /// Something broke while running.
    pub fn broken(message: impl Into<String>) -> Self {
        Self::new(Kind::Broken, message)
    }

    /// Command line, configuration or surroundings are wrong.
    pub fn setup(message: impl Into<String>) -> Self {
        Self::new(Kind::Setup, message)
    }

    /// The journal is damaged.
    pub fn damage(message: impl Into<String>) -> Self {
        Self::new(Kind::Damage, message)
    }

    fn new(kind: Kind, message: impl Into<String>) -> Self {
        // One line, whatever a library's error looks like.
        let message = message.into().split_whitespace().collect::<Vec<_>>().join(" ");
        Self { kind, message }
    }

    /// What a script sees.
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Broken => 1,
            Kind::Setup => 2,
            Kind::Damage => 3,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
