//! What a call opens to the world: prefixes are parsed, never compared as text (`208.236.235.254/0` is the world).
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use serde_json::Value;
use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// Wider than these is the world: /8 of IPv4 has 16 million addresses, no provider has a /16 of IPv6.
const WORLD_V4: u8 = 8;
const WORLD_V6: u8 = 16;

/// By which machines are administered and databases asked (IANA service names; what scanners look for first).
const SENSITIVE: [u16; 40] = [
    21, 22, 23, 111, 135, 137, 139, 389, 445, 512, 513, 514, 873, 1433, 1521, 2049, 2375, 2376, 2379, 3306, 3389, 4333,
    5432, 5500, 5601, 5900, 5984, 5985, 5986, 6379, 6443, 7001, 8020, 9042, 9200, 9300, 10250, 11211, 27017, 27018,
];

/// What one call opens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    pub world: bool,
    /// `22`, `8000-8100`, `all`: of what is open to the world.
    pub ports: BTreeSet<String>,
    /// Among them one by which machines are administered or databases asked.
    pub sensitive: bool,
}

/// Of the parameters of AuthorizeSecurityGroupIngress, ModifySecurityGroupRules, CreateNetworkAclEntry and their like, in each shape that
/// they come in: lists as CloudTrail writes EC2's (`{"items": […]}`), plain lists, and single members.
pub fn opened(parameters: &Value) -> Opened {
    let mut found = Vec::new();
    rules(parameters, &Ports::default(), &mut found, 0);
    let mut opened = Opened::default();
    for ports in found.iter().map(|(_, ports)| ports).collect::<BTreeSet<_>>() {
        let prefixes: Vec<Prefix> = found.iter().filter(|(_, of)| of == ports).map(|(prefix, _)| *prefix).collect();
        if is_world(&prefixes) {
            opened.world = true;
            opened.sensitive |= ports.is_sensitive();
            opened.ports.insert(ports.shown());
        }
    }
    opened
}

/// A live rule that lets in a network: protocol, ports, prefix.
#[derive(Clone, Copy, Debug)]
pub struct LiveRule<'a> {
    pub protocol: &'a str,
    pub from: Option<i32>,
    pub to: Option<i32>,
    pub cidr: &'a str,
}

impl LiveRule<'_> {
    /// As [`Opened::ports`] names them.
    pub fn ports(&self) -> String {
        self.of().shown()
    }

    fn of(&self) -> Ports {
        let protocol = Some(self.protocol.to_lowercase());
        Ports { from: self.from.map(i64::from), to: self.to.map(i64::from), protocol }
    }
}

/// Of each rule, whether it lets the world in, by itself or with others of the same ports. Of several that do so together the widest are
/// named, until what is left does so no more.
pub fn world_open(rules: &[LiveRule<'_>]) -> Vec<bool> {
    let parsed: Vec<(Option<Prefix>, Ports)> = rules.iter().map(|rule| (Prefix::parse(rule.cidr), rule.of())).collect();
    let mut open = vec![false; rules.len()];
    let kinds = parsed.iter().map(|(_, ports)| ports).collect::<BTreeSet<_>>();
    for (ports, is_v4) in kinds.into_iter().flat_map(|ports| [(ports, true), (ports, false)]) {
        let mut left: Vec<(usize, Prefix)> = (0..)
            .zip(&parsed)
            .filter(|(_, (_, of))| of == ports)
            .filter_map(|(n, (prefix, _))| Some((n, (*prefix)?)))
            .filter(|(_, prefix)| prefix.is_v4() == is_v4 && !prefix.is_private())
            .collect();
        left.sort_by_key(|(_, prefix)| std::cmp::Reverse(prefix.length()));
        // Those that are the world by themselves, and then of the others only as many as it takes.
        let (alone, mut left): (Vec<_>, Vec<_>) = left.into_iter().partition(|(_, prefix)| is_world(&[*prefix]));
        let mut named: Vec<usize> = alone.into_iter().map(|(n, _)| n).collect();
        while is_world(&left.iter().map(|(_, prefix)| *prefix).collect::<Vec<_>>()) {
            named.extend(left.pop().map(|(n, _)| n));
        }
        for n in named {
            if let Some(open) = open.get_mut(n) {
                *open = true;
            }
        }
    }
    open
}

/// Whether nobody outside can have the address: private, of this machine, of this link, of many, or of nobody.
pub fn is_private(address: IpAddr) -> bool {
    let special = address.is_loopback() || address.is_multicast() || address.is_unspecified();
    let prefix = match address {
        IpAddr::V4(v4) => Prefix::V4(u32::from(v4), 32),
        IpAddr::V6(v6) => Prefix::V6(u128::from(v6), 128),
    };
    let linked = match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    special || linked || prefix.is_private()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prefix {
    V4(u32, u8),
    V6(u128, u8),
}

impl Prefix {
    fn parse(text: &str) -> Option<Self> {
        let (address, length) = text.trim().split_once('/')?;
        let length: u8 = length.parse().ok()?;
        if let Ok(v4) = address.parse::<Ipv4Addr>() {
            return (length <= 32).then(|| Self::V4(u32::from(v4), length));
        }
        let v6: Ipv6Addr = address.parse().ok()?;
        (length <= 128).then(|| Self::V6(u128::from(v6), length))
    }

    fn is_v4(&self) -> bool {
        matches!(self, Self::V4(..))
    }

    fn length(&self) -> u8 {
        match self {
            Self::V4(_, length) | Self::V6(_, length) => *length,
        }
    }

    /// Nobody outside can come from there (RFC 1918, 6598, 4193).
    fn is_private(&self) -> bool {
        match self {
            Self::V4(address, length) => {
                [(10 << 24, 8), (172 << 24 | 16 << 16, 12), (192 << 24 | 168 << 16, 16), (100 << 24 | 64 << 16, 10)]
                    .iter()
                    .any(|(network, of): &(u32, u8)| length >= of && address >> (32 - of) == network >> (32 - of))
            }
            Self::V6(address, length) => *length >= 7 && address >> 121 == 0b111_1110,
        }
    }
}

/// Whether one of them is the world, or several together cover what one such would (`0.0.0.0/1` and `128.0.0.0/1`).
fn is_world(prefixes: &[Prefix]) -> bool {
    let (mut v4, mut v6) = (0_u128, 0_u128);
    let mut seen = BTreeSet::new();
    // Private networks are wide and not the world.
    for prefix in prefixes.iter().filter(|prefix| !prefix.is_private()) {
        match prefix {
            Prefix::V4(_, length) if *length <= WORLD_V4 => return true,
            Prefix::V6(_, length) if *length <= WORLD_V6 => return true,
            // Each network once, by its own address.
            Prefix::V4(address, length) => {
                let network = u128::from(*address) >> (32 - length);
                if seen.insert((4, network, *length)) {
                    v4 += 1_u128 << (32 - length);
                }
            }
            Prefix::V6(address, length) => {
                let network = if *length == 0 { 0 } else { address >> (128 - length) };
                if seen.insert((6, network, *length)) {
                    v6 = v6.saturating_add(1_u128 << (128 - length));
                }
            }
        }
    }
    v4 >= 1_u128 << (32 - WORLD_V4) || v6 >= 1_u128 << (128 - WORLD_V6)
}

/// Of one rule; none where it has no ports or all.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Ports {
    from: Option<i64>,
    to: Option<i64>,
    protocol: Option<String>,
}

impl Ports {
    /// What a member says beside its surroundings.
    fn within(object: &serde_json::Map<String, Value>, around: &Self) -> Self {
        let number = |names: &[&str]| {
            names.iter().find_map(|name| object.get(*name)).and_then(|value| match value {
                Value::Number(n) => n.as_i64(),
                Value::String(text) => text.trim().parse().ok(),
                _ => None,
            })
        };
        let protocol =
            object.get("ipProtocol").or_else(|| object.get("IpProtocol")).or_else(|| object.get("aclProtocol"));
        let protocol = protocol.map(|value| match value {
            Value::String(text) => text.to_lowercase(),
            other => other.to_string(),
        });
        Self {
            from: number(&["fromPort", "FromPort", "from"]).or(around.from),
            to: number(&["toPort", "ToPort", "to"]).or(around.to),
            protocol: protocol.or_else(|| around.protocol.clone()),
        }
    }

    fn is_all(&self) -> bool {
        let any_protocol = self.protocol.as_deref() == Some("-1") || self.protocol.as_deref() == Some("all");
        any_protocol
            || self.from.is_none()
            || self.from == Some(-1)
            || (self.from == Some(0) && self.to >= Some(65_535))
    }

    /// ICMP has types, not ports.
    fn is_icmp(&self) -> bool {
        matches!(self.protocol.as_deref(), Some("icmp" | "icmpv6" | "1" | "58"))
    }

    fn is_sensitive(&self) -> bool {
        let (from, to) = (self.from.unwrap_or(0), self.to.or(self.from).unwrap_or(65_535));
        !self.is_icmp() && (self.is_all() || SENSITIVE.iter().any(|port| (from..=to).contains(&i64::from(*port))))
    }

    fn shown(&self) -> String {
        match (self.from, self.to) {
            _ if self.is_icmp() => "icmp".to_owned(),
            _ if self.is_all() => "all".to_owned(),
            (Some(from), Some(to)) if from != to => format!("{from}-{to}"),
            (from, _) => from.unwrap_or_default().to_string(),
        }
    }
}

/// Nested deeper, it is no parameter of EC2.
const DEEPEST: usize = 12;

/// Every prefix with the ports that stand beside or around it.
fn rules(value: &Value, around: &Ports, found: &mut Vec<(Prefix, Ports)>, depth: usize) {
    match value {
        _ if depth > DEEPEST || found.len() >= 1000 => {}
        Value::Object(object) => {
            let ports = Ports::within(object, around);
            let ports = object
                .get("portRange")
                .and_then(Value::as_object)
                .map_or(ports.clone(), |range| Ports::within(range, &ports));
            for (name, value) in object {
                match value {
                    // Of ModifyManagedPrefixList: taken out.
                    _ if name == "RemoveEntry" => {}
                    Value::String(text) if name.to_lowercase().contains("cidr") => {
                        found.extend(Prefix::parse(text).map(|prefix| (prefix, ports.clone())));
                    }
                    Value::Array(items) if is_list_of_prefixes(name) && items.iter().all(Value::is_string) => {
                        let prefixes = items.iter().filter_map(|item| Prefix::parse(item.as_str()?));
                        found.extend(prefixes.map(|prefix| (prefix, ports.clone())));
                    }
                    other => rules(other, &ports, found, depth + 1),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| rules(item, around, found, depth + 1)),
        _ => {}
    }
}

/// As Config and EKS write them beside the others.
fn is_list_of_prefixes(name: &str) -> bool {
    let name = name.to_lowercase();
    name == "ipranges" || name.contains("cidr")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_world_is_a_parsed_prefix_in_every_shape() {
        let ec2 = |ranges: Value, v6: Value| {
            json!({"groupId": "sg-1", "ipPermissions": {"items": [{"ipProtocol": "tcp", "fromPort": 22, "toPort": 22,
                "ipRanges": {"items": ranges}, "ipv6Ranges": {"items": v6}}]}})
        };
        for (parameters, world, sensitive) in [
            (ec2(json!([{"cidrIp": "0.0.0.0/0"}]), json!([])), true, true),
            (ec2(json!([{"cidrIp": "208.236.235.254/0"}]), json!([])), true, true),
            (ec2(json!([{"cidrIp": "0.0.0.0/1"}, {"cidrIp": "128.0.0.0/1"}]), json!([])), true, true),
            (ec2(json!([]), json!([{"cidrIpv6": "::/0"}])), true, true),
            (ec2(json!([]), json!([{"cidrIpv6": "2000::/3"}])), true, true),
            (ec2(json!([{"cidrIp": "10.0.0.0/8"}]), json!([{"cidrIpv6": "fd00::/8"}])), false, false),
            (ec2(json!([{"cidrIp": "203.0.113.7/32"}]), json!([])), false, false),
            (ec2(json!([{"cidrIp": "0.0.0.0"}, {"cidrIp": "x/0"}]), json!([])), false, false),
            (json!({"cidrIp": "0.0.0.0/0", "ipProtocol": "tcp", "fromPort": 443, "toPort": 443}), true, false),
            (json!({"cidrIp": "0.0.0.0/0", "ipProtocol": "-1"}), true, true),
            (
                json!({"ModifySecurityGroupRulesRequest": {"SecurityGroupRule": {"SecurityGroupRuleId": "sgr-1", "SecurityGroupRule":
                {"FromPort": 3000, "ToPort": 4000, "CidrIpv4": "0.0.0.0/0", "IpProtocol": "tcp"}}}}),
                true,
                true,
            ),
            (json!({"cidrBlock": "0.0.0.0/0", "aclProtocol": "6", "portRange": {"from": 80, "to": 80}}), true, false),
            (json!({"cidrIp": "0.0.0.0/0", "ipProtocol": "icmp", "fromPort": -1, "toPort": -1}), true, false),
            (json!({"cidrIp": "0.0.0.0/0", "ipProtocol": "tcp", "fromPort": "22", "toPort": "22"}), true, true),
            (json!(null), false, false),
        ] {
            let opened = opened(&parameters);
            assert_eq!((opened.world, opened.sensitive), (world, sensitive), "{parameters}: {opened:?}");
        }
    }

    #[test]
    fn of_live_rules_those_that_let_the_world_in_are_named_and_no_other() {
        let rule = |port: i32, cidr: &'static str| LiveRule { protocol: "tcp", from: Some(port), to: Some(port), cidr };
        for (rules, expected) in [
            (vec![rule(22, "0.0.0.0/0"), rule(22, "203.0.113.7/32"), rule(22, "10.0.0.0/8")], vec![true, false, false]),
            (vec![rule(22, "::/0"), rule(22, "fd00::/8")], vec![true, false]),
            (vec![rule(22, "0.0.0.0/1"), rule(22, "128.0.0.0/1")], vec![true, true]),
            // Four quarters of a /8: with the widest away the rest is no world.
            (
                vec![
                    rule(22, "20.0.0.0/10"),
                    rule(22, "20.64.0.0/10"),
                    rule(22, "20.128.0.0/10"),
                    rule(22, "20.192.0.0/10"),
                ],
                vec![false, false, false, true],
            ),
            (vec![rule(22, "10.0.0.0/9"), rule(22, "10.128.0.0/9")], vec![false, false]),
            (vec![rule(22, "0.0.0.0/9"), rule(23, "0.128.0.0/9")], vec![false, false]),
            (vec![rule(22, "nonsense")], vec![false]),
            // Whoever may only open must not make us close what is not his.
            (vec![rule(5432, "10.0.0.0/8"), rule(5432, "2000::/16")], vec![false, true]),
            (vec![rule(5432, "10.0.0.0/8"), rule(5432, "11.0.0.0/8")], vec![false, true]),
            (vec![rule(5432, "52.0.0.0/11"), rule(5432, "2000::/16")], vec![false, true]),
            (vec![rule(5432, "52.0.0.0/11"), rule(5432, "11.0.0.0/8")], vec![false, true]),
        ] {
            assert_eq!(world_open(&rules), expected, "{rules:?}");
        }
        assert_eq!(LiveRule { protocol: "-1", from: None, to: None, cidr: "0.0.0.0/0" }.ports(), "all");
    }

    #[test]
    fn halves_of_different_ports_are_not_the_world() {
        let rule =
            |port: u16, range: &str| json!({"ipProtocol": "tcp", "fromPort": port, "toPort": port, "cidrIp": range});
        let many: Vec<Value> = (0..4).map(|n| rule(22, &format!("{}.0.0.0/10", n * 64))).collect();
        assert!(!opened(&json!([rule(22, "0.0.0.0/9"), rule(23, "128.0.0.0/10")])).world);
        // Four times /10 are as much as a /8.
        assert!(opened(&json!(many)).world);
        assert_eq!(
            opened(&json!([rule(22, "0.0.0.0/0"), rule(443, "::/0")])).ports,
            ["22".to_owned(), "443".to_owned()].into()
        );
    }
}
