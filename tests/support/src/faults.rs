//! What can be made to go wrong with a call, and where: the script that a test gives to the proxy.
//!
//! Plain data; the proxy executes it ([`crate::Proxy::fail`]).

use crate::call::{Call, Position};

/// Lets calls fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub at: Match,
    pub when: When,
    pub how: How,
    pub lasting: Lasting,
}

/// The calls that are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// `ModifyNetworkInterfaceAttribute`, or `PUT /bucket?policy` where the protocol names no operation.
    pub operation: String,
    /// Exactly this [`Call::resource`], or any.
    pub resource: Option<String>,
    /// The nth call of this operation on this resource; without a resource, the nth of this operation on whatever. Any if unset.
    pub occurrence: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// AWS never sees the call.
    Before,
    /// AWS has applied the call and its answer is lost.
    After,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Throttled,
    Conflict,
    Denied,
    ServerError,
    /// The connection ends without an answer.
    Cut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// One call fails; the SDK's own retry passes.
    Once,
    /// Every such call fails until [`crate::Proxy::heal`]; with an occurrence, that one and all later ones, which includes retries.
    Throughout,
}

impl Fault {
    /// AWS never sees such calls, until [`crate::Proxy::heal`].
    pub fn throughout(at: Match, how: How) -> Fault {
        Fault { at, when: When::Before, how, lasting: Lasting::Throughout }
    }
}

impl Match {
    /// Every call of one operation.
    pub fn operation(operation: impl Into<String>) -> Match {
        Match { operation: operation.into(), resource: None, occurrence: None }
    }

    /// `nth_of_operation` is the call's number among those of its operation, as [`Call::occurrence`] is among those of its position.
    pub(crate) fn hits(&self, call: &Call, nth_of_operation: u32, lasting: Lasting) -> bool {
        let nth = match self.resource {
            Some(_) => call.occurrence,
            None => nth_of_operation,
        };
        let resource = self.resource.as_ref();
        let due = match (self.occurrence, lasting) {
            (None, _) => true,
            (Some(wanted), Lasting::Once) => nth == wanted,
            (Some(wanted), Lasting::Throughout) => nth >= wanted,
        };
        due && self.operation == call.operation && resource.is_none_or(|it| *it == call.resource)
    }
}

impl From<Position> for Match {
    fn from(position: Position) -> Match {
        Match {
            operation: position.operation,
            resource: Some(position.resource),
            occurrence: Some(position.occurrence),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_match_means_the_calls_it_names() {
        let call = Call { operation: "TagRole".into(), resource: "web".into(), occurrence: 2, ..Call::default() };
        let case = |operation: &str, resource: Option<&str>, occurrence| Match {
            operation: operation.into(),
            resource: resource.map(str::to_owned),
            occurrence,
        };
        // The call is the second on its resource and the fifth of its operation.
        for (at, once, throughout) in [
            (case("TagRole", None, None), true, true),
            (case("TagUser", None, None), false, false),
            (case("TagRole", Some("web"), None), true, true),
            (case("TagRole", Some("db"), None), false, false),
            (case("TagRole", Some("web"), Some(2)), true, true),
            (case("TagRole", Some("web"), Some(1)), false, true),
            (case("TagRole", Some("web"), Some(3)), false, false),
            (case("TagRole", None, Some(5)), true, true),
            (case("TagRole", None, Some(2)), false, true),
            (Match::from(call.position()), true, true),
        ] {
            assert_eq!(at.hits(&call, 5, Lasting::Once), once, "{at:?}");
            assert_eq!(at.hits(&call, 5, Lasting::Throughout), throughout, "{at:?}");
        }
    }
}
