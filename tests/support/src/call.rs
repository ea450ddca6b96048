//! One call as the proxy saw it, and where in a run it stands. Plain data.

use std::fmt;
use std::time::Instant;

use crate::faults::How;

/// One request as it passed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// As in the credential scope: `ec2`, `iam`, `dynamodb`.
    pub service: String,
    /// `DescribeInstances`; method and path where the protocol names no operation.
    pub operation: String,
    /// The most telling id in the request, or nothing; a policy follows its user or role after a slash.
    pub resource: String,
    /// The nth call of this operation on this resource, from 1.
    pub occurrence: u32,
    /// From 1; 0 if the proxy does not hold.
    pub round: usize,
    /// What the client got. None while it waits, or if it got nothing.
    pub status: Option<u16>,
    /// When that was there, before it was held for its round.
    pub answered: Option<Instant>,
    /// The code of an error answer, whether of AWS or injected.
    pub error: Option<String>,
    pub user_agent: String,
    /// Whether the operation's name says that it changes something.
    pub mutating: bool,
    /// What the proxy did to this call. A test of a fault should see that it happened.
    pub fault: Option<How>,
}

/// Where in a run a call stands, whatever runs beside it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    pub operation: String,
    pub resource: String,
    pub occurrence: u32,
}

impl Call {
    pub fn position(&self) -> Position {
        Position { operation: self.operation.clone(), resource: self.resource.clone(), occurrence: self.occurrence }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.operation)?;
        if !self.resource.is_empty() {
            write!(f, " {}", self.resource)?;
        }
        write!(f, " #{}", self.occurrence)
    }
}
