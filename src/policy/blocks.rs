//! Where addresses may be blocked, for how long, and which never.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{Network, number::Within};
use crate::domain::{Arn, SubnetId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where an address that attacks may be blocked, after a person has agreed. With no subnet and no set it is only told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct AddressBlocks {
    /// Ids of subnets whose network ACLs get an entry: it holds for all subnets of such a list.
    #[schemars(with = "Vec<String>")]
    pub subnets: Vec<SubnetId>,
    /// ARNs of regional IP sets of AWS WAF.
    #[schemars(with = "Vec<String>")]
    pub ip_sets: Vec<Arn>,
    /// After so long people are reminded that it is still blocked.
    pub hours: Within<1, 720>,
    /// Networks in CIDR form that are never blocked: one's own offices, partners.
    #[schemars(with = "Vec<String>")]
    pub never: Vec<Network>,
}

impl Default for AddressBlocks {
    fn default() -> Self {
        Self { subnets: Vec::new(), ip_sets: Vec::new(), hours: Within::nearest(24), never: Vec::new() }
    }
}

impl AddressBlocks {
    pub fn is_empty(&self) -> bool {
        self.subnets.is_empty() && self.ip_sets.is_empty()
    }
}
