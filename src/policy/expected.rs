//! What operators expect: who does what as his work, so that it is read in the digest and not in the night.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{Because, PrincipalRef};
use crate::domain::{Arn, Situation, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Situations that nobody does as his work: the policy is refused that expects one.
pub const NEVER_EXPECTED: [Situation; 6] = [
    Situation::AuditTrailSilenced,
    Situation::ThreatDetectionSilenced,
    Situation::RootUsed,
    Situation::DataShared,
    Situation::OrganizationChanged,
    Situation::ResponderRoleMisused,
];

/// A principal that does this as its work: seen, counted in the digest, not told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "WireExpected", into = "WireExpected")]
#[schemars(with = "WireExpected")]
pub struct Expected {
    pub principal: PrincipalRef,
    pub situations: Vec<Situation>,
    /// Only from these networks.
    pub from: Vec<Network>,
    pub until: Timestamp,
    pub because: Because,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct WireExpected {
    principal: PrincipalRef,
    situations: Vec<Situation>,
    /// Networks in CIDR form, `203.0.113.0/24`; without any, from everywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    from: Vec<String>,
    /// `2027-01-31`: after that day it is expected no more.
    until: String,
    because: Because,
}

impl TryFrom<WireExpected> for Expected {
    type Error = String;
    fn try_from(wire: WireExpected) -> Result<Self, String> {
        if let Some(never) = wire.situations.iter().find(|situation| NEVER_EXPECTED.contains(situation)) {
            return Err(format!("`{never}` is nobody's work and cannot be expected"));
        }
        if wire.situations.is_empty() {
            return Err("`situations` is empty: nothing would be expected".to_owned());
        }
        let from = wire.from.iter().map(|text| Network::parse(text)).collect::<Result<_, _>>()?;
        let until = Timestamp::parse(&format!("{}T23:59:59Z", wire.until))
            .ok_or_else(|| format!("`until` is `{}`, which is no date like 2027-01-31", wire.until))?;
        Ok(Self { principal: wire.principal, situations: wire.situations, from, until, because: wire.because })
    }
}

impl From<Expected> for WireExpected {
    fn from(expected: Expected) -> Self {
        let until = expected.until.to_string().chars().take(10).collect();
        let from = expected.from.iter().map(|network| format!("{}/{}", network.address, network.length)).collect();
        Self { principal: expected.principal, situations: expected.situations, from, until, because: expected.because }
    }
}

/// Addresses that share their first bits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    length: u8,
}

impl TryFrom<String> for Network {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        format!("{}/{}", network.address, network.length)
    }
}

impl Network {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no network in CIDR form");
        let (address, length) = text.split_once('/').ok_or_else(wrong)?;
        let (address, length): (IpAddr, u8) =
            (address.parse().map_err(|_| wrong())?, length.parse().map_err(|_| wrong())?);
        let most = if address.is_ipv4() { 32 } else { 128 };
        (length <= most).then_some(Self { address, length }).ok_or_else(wrong)
    }

    pub fn holds(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(ours), IpAddr::V4(other)) => {
                u32::from(ours).checked_shr(32 - u32::from(self.length))
                    == u32::from(other).checked_shr(32 - u32::from(self.length))
            }
            (IpAddr::V6(ours), IpAddr::V6(other)) => {
                u128::from(ours).checked_shr(128 - u32::from(self.length))
                    == u128::from(other).checked_shr(128 - u32::from(self.length))
            }
            _ => false,
        }
    }
}

/// Who did something, in the terms in which it is expected.
#[derive(Clone, Debug)]
pub struct Doer<'a> {
    /// `AIDA…`, `AROA…`.
    pub unique_id: &'a str,
    /// Of the user, or of the role, not of a session.
    pub arn: Option<Arn>,
    pub from: Option<IpAddr>,
}

impl Expected {
    pub fn covers(&self, doer: &Doer<'_>, situation: Situation, at: Timestamp) -> bool {
        let is_he = match &self.principal {
            PrincipalRef::UniqueId(id) => id == doer.unique_id,
            PrincipalRef::Arn(arn) => doer.arn.as_ref() == Some(arn),
        };
        is_he
            && self.situations.contains(&situation)
            && at <= self.until
            && (self.from.is_empty()
                || doer.from.is_some_and(|from| self.from.iter().any(|network| network.holds(from))))
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        domain::{Situation, Timestamp},
        policy::{Doer, Policy},
    };

    fn policy(entry: &str) -> Result<Policy, String> {
        Policy::parse(&format!(
            "expected:\n  - {{principal: {{unique-id: AROAPIPEPIPEPIPEPIP11}}, because: deploys, {entry}}}"
        ))
        .map_err(|e| e.problem)
    }

    #[test]
    fn what_is_expected_of_whom_from_where_and_until_when() {
        let at = Timestamp::parse("2026-11-20T12:00:00Z").unwrap();
        for (entry, id, from, situation, covers) in [
            (
                "situations: [iam-changed], until: 2026-12-31",
                "AROAPIPEPIPEPIPEPIP11",
                None,
                Situation::IamChanged,
                true,
            ),
            (
                "situations: [iam-changed], until: 2026-12-31",
                "AROAOTHEROTHEROTHER11",
                None,
                Situation::IamChanged,
                false,
            ),
            (
                "situations: [iam-changed], until: 2026-12-31",
                "AROAPIPEPIPEPIPEPIP11",
                None,
                Situation::PrivilegeEscalation,
                false,
            ),
            (
                "situations: [iam-changed], until: 2026-11-19",
                "AROAPIPEPIPEPIPEPIP11",
                None,
                Situation::IamChanged,
                false,
            ),
            (
                "situations: [iam-changed], until: 2026-12-31, from: [203.0.113.0/24]",
                "AROAPIPEPIPEPIPEPIP11",
                Some("203.0.113.9"),
                Situation::IamChanged,
                true,
            ),
            (
                "situations: [iam-changed], until: 2026-12-31, from: [203.0.113.0/24]",
                "AROAPIPEPIPEPIPEPIP11",
                Some("203.0.114.9"),
                Situation::IamChanged,
                false,
            ),
            (
                "situations: [iam-changed], until: 2026-12-31, from: [203.0.113.0/24]",
                "AROAPIPEPIPEPIPEPIP11",
                None,
                Situation::IamChanged,
                false,
            ),
            (
                "situations: [iam-changed], until: 2026-12-31, from: ['::/0']",
                "AROAPIPEPIPEPIPEPIP11",
                Some("2001:db8::1"),
                Situation::IamChanged,
                true,
            ),
        ] {
            let doer = Doer { unique_id: id, arn: None, from: from.map(|from| from.parse().unwrap()) };
            assert_eq!(
                policy(entry).unwrap().expects(&doer, situation, at).is_some(),
                covers,
                "{entry} {from:?} {situation}"
            );
        }
    }

    #[test]
    fn what_is_nobodys_work_cannot_be_expected() {
        for (entry, problem) in [
            ("situations: [audit-trail-silenced], until: 2026-12-31", "`audit-trail-silenced` is nobody's work"),
            ("situations: [root-used], until: 2026-12-31", "`root-used` is nobody's work"),
            ("situations: [], until: 2026-12-31", "`situations` is empty"),
            ("situations: [iam-changed], until: soon", "`until` is `soon`"),
            ("situations: [iam-changed], until: 2026-12-31, from: [x]", "`x` is no network"),
        ] {
            let error = policy(entry).unwrap_err();
            assert!(error.contains(problem), "{entry}: {error}");
        }
    }
}
