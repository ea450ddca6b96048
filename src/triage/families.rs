//! The families of GuardDuty's finding types, by what they say of the resource (GuardDuty user guide, "Finding types"). Pure data.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::domain::{Impact, Situation};

/// What a purpose costs (GuardDuty user guide, "Threat purposes").
pub(super) fn impact(kind: &str) -> Impact {
    match kind.split_once(':').map_or("", |(purpose, _)| purpose) {
        "CryptoCurrency" | "ResourceConsumption" => Impact::ResourceAbuse,
        "DefenseEvasion" | "DefenseImpairment" | "Stealth" => Impact::EvidenceTampering,
        "Exfiltration" | "Policy" => Impact::DataBreach,
        "Impact" => Impact::ServiceDisruption,
        "Behavior" | "PenTest" | "Recon" | "Discovery" => Impact::None,
        _ => Impact::UnauthorisedAccess,
    }
}

/// What custom detection rules see in CloudTrail, by family: named after techniques of MITRE ATT&CK, as the behaviours of our own rules are.
pub(super) const TECHNIQUES: [(&str, Situation); 13] = [
    ("AccountManipulation", Situation::PrivilegeEscalation),
    ("BootOrLogonInitializationScripts", Situation::CodeExecuted),
    ("CommandAndScriptingInterpreter", Situation::CodeExecuted),
    ("CompromiseAccounts", Situation::ResourceAbuse),
    ("DataDestruction", Situation::DataDestruction),
    ("DisableOrModifyTools", Situation::ThreatDetectionSilenced),
    ("ExternalRemoteServices", Situation::UnusualAccess),
    ("ModifyCloudResourceHierarchy", Situation::OrganizationChanged),
    ("RemoteServices", Situation::UnusualAccess),
    ("ResourceHijacking", Situation::ResourceAbuse),
    ("TransferDataToCloudAccount", Situation::DataShared),
    ("UnsecuredCredentials", Situation::DataRead),
    ("ValidAccounts", Situation::UnusualAccess),
];

/// Families that come both ways, told apart by direction and role.
pub(super) const BOTH_WAYS: [&str; 5] =
    ["SSHBruteForce", "RDPBruteForce", "WinRMBruteForce", "MaliciousIPCaller.Custom", "TorIPCaller"];

/// Unusual is not malicious: these say that something is odd, not that somebody came in.
pub(super) const UNUSUAL: [&str; 18] = [
    "ContainerMountsHostDirectory",
    "DockerSocketAccessed",
    "ElevationToRoot",
    "FilelessExecution",
    "NetworkPortUnusual",
    "NewBinaryExecuted",
    "NewLibraryLoaded",
    "PtraceAntiDebugging",
    "SuspiciousCommand",
    "SuspiciousDomainRequest",
    "SuspiciousFile",
    "SuspiciousShellCreated",
    "SuspiciousTool",
    "TrafficVolumeUnusual",
    "UnusualDNSResolver",
    "UnusualDoHActivity",
    "UnusualDoTActivity",
    "UserfaultfdUsage",
];

/// Done by a machine that works for somebody else.
pub(super) const TOOL: [&str; 29] = [
    "AbusedDomainRequest",
    "BitcoinDomainRequest",
    "BitcoinTool",
    "BlackholeTraffic",
    "C&CActivity",
    "CGroupsReleaseAgentModified",
    "CryptoMinerExecuted",
    "DGADomainRequest",
    "DNSDataExfiltration",
    "DenialOfService",
    "DriveBySourceTraffic",
    "DropPoint",
    "KernelModuleLoaded",
    "MaliciousDomainRequest",
    "MaliciousFile",
    "MaliciousFileExecuted",
    "MetadataDNSRebind",
    "PhishingDomainRequest",
    "PortSweep",
    "Portscan",
    "ProcessInjection.Proc",
    "ProcessInjection.Ptrace",
    "ProcessInjection.VirtualMemoryWrite",
    "ReverseShell",
    "RuncContainerEscape",
    "Spambot",
    "TorClient",
    "TorRelay",
    "XORDDOS",
];

/// Families that say who used credentials, and how.
pub(super) const CALLERS: [&str; 24] = [
    "AdministrativePermissions",
    "AnomalousBehavior",
    "BedrockLoggingDisabled",
    "BucketEnumeration",
    "CloudTrailLoggingDisabled",
    "ComputeResources",
    "ConsoleLogin",
    "ConsoleLoginSuccess",
    "CostHarvesting",
    "InstanceCredentialExfiltration",
    "InstanceLaunchUnusual",
    "KaliLinux",
    "LoggingConfigurationModified",
    "MaliciousIPCaller",
    "NetworkPermissions",
    "ObjectDelete",
    "ObjectRead",
    "ParrotLinux",
    "PentooLinux",
    "PermissionsModification",
    "ResourceCredentialExfiltration",
    "ResourcePermissions",
    "TorIPCaller",
    "UserPermissions",
];

/// Families that name who did something odd, which may be his work.
pub(super) const ODD_CALLERS: [&str; 4] =
    ["AnomalousModelInvocation", "PasswordPolicyChange", "PromptInjection", "UnusualASNCaller"];
