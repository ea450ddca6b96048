//! The clients of what is surveyed and contained (the journal and the command line have one each besides): one shared HTTP client, one client a service and region, made when first needed.
//! Must not know findings, plans or policy.

use crate::clock::Clock;
use crate::domain::{AccountId, Arn, IncidentId, Partition, Region, Text, Timestamp};
use crate::journal::Registry;
use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_sts::operation::get_caller_identity::{GetCallerIdentityError, GetCallerIdentityOutput};
use aws_smithy_http_client::{Builder, tls};
use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
    },
    orchestrator::{HttpRequest, HttpResponse},
    result::SdkError,
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::error::{display::DisplayErrorContext, metadata::ProvideErrorMetadata};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};
use tokio::sync::OnceCell;

tokio::task_local! {
    /// The incident that is being worked on; it goes into the user agent of every call, so that ours are found in CloudTrail.
    pub static INCIDENT: IncidentId;
}

/// Longer than any answer takes that is still coming; shorter than the lease.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);

/// One account, as the credentials see it.
pub struct Aws {
    config: SdkConfig,
    autoscaling: Regional<aws_sdk_autoscaling::Client>,
    cloudtrail: Regional<aws_sdk_cloudtrail::Client>,
    config_service: Regional<aws_sdk_config::Client>,
    ec2: Regional<aws_sdk_ec2::Client>,
    elbv2: Regional<aws_sdk_elasticloadbalancingv2::Client>,
    events: Regional<aws_sdk_eventbridge::Client>,
    guardduty: Regional<aws_sdk_guardduty::Client>,
    s3: Regional<aws_sdk_s3::Client>,
    wafv2: Regional<aws_sdk_wafv2::Client>,
    ssm: Regional<aws_sdk_ssm::Client>,
    iam: OnceLock<aws_sdk_iam::Client>,
    sns: OnceLock<aws_sdk_sns::Client>,
    sqs: OnceLock<aws_sdk_sqs::Client>,
    sts: OnceLock<aws_sdk_sts::Client>,
    identity: OnceCell<Identity>,
    config_rules: Mutex<crate::survey::KnownConfigRules>,
    clock: Clock,
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) quarantine: crate::actions::QuarantineCache,
    /// Under which name each user was found last.
    pub(crate) user_names: crate::actions::UserNames,
}

/// One client of a service for each region that was needed.
struct Regional<C>(Mutex<HashMap<Region, C>>);

impl<C> Default for Regional<C> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<C: Clone> Regional<C> {
    fn get(&self, config: &SdkConfig, region: &Region, make: impl FnOnce(&SdkConfig) -> C) -> C {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let there = |region: &Region| {
            let region = aws_config::Region::new(region.to_string());
            make(&config.clone().into_builder().region(region).build())
        };
        clients.entry(region.clone()).or_insert_with_key(there).clone()
    }
}

/// Who we are, by STS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub account: AccountId,
    pub partition: Partition,
    pub arn: Arn,
    /// `AROA…` or `AIDA…`, without the session.
    pub unique_id: String,
}

/// What an AWS call came to, for those who must decide. Only what an action or a survey expects of its own call it knows by its code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AwsError {
    #[error("{operation} was throttled")]
    Throttled { operation: &'static str },
    #[error("{operation} was denied: {message}")]
    Denied { operation: &'static str, message: Text },
    #[error("{operation} found nothing: {message}")]
    NotFound { operation: &'static str, message: Text },
    #[error("{operation} met another change: {message}")]
    Conflict { operation: &'static str, message: Text },
    /// It may or may not have happened.
    #[error("{operation} gave no clear answer: {message}")]
    Ambiguous { operation: &'static str, message: Text },
    #[error("{operation} was rejected with `{code}`: {message}")]
    Rejected { operation: &'static str, code: String, message: Text },
}

impl AwsError {
    /// Whether asking again may help.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Throttled { .. } | Self::Ambiguous { .. } | Self::Conflict { .. })
    }

    /// An answer that lacks what its model says is in it.
    pub fn incomplete(operation: &'static str, what: &str) -> Self {
        Self::Rejected { operation, code: "IncompleteAnswer".into(), message: Text::new(what) }
    }
}

impl Aws {
    pub fn new(config: SdkConfig, registry: Arc<dyn Registry>) -> Self {
        Self {
            config,
            autoscaling: Regional::default(),
            cloudtrail: Regional::default(),
            config_service: Regional::default(),
            ec2: Regional::default(),
            elbv2: Regional::default(),
            events: Regional::default(),
            guardduty: Regional::default(),
            s3: Regional::default(),
            wafv2: Regional::default(),
            ssm: Regional::default(),
            iam: OnceLock::new(),
            sns: OnceLock::new(),
            sqs: OnceLock::new(),
            sts: OnceLock::new(),
            identity: OnceCell::new(),
            config_rules: Mutex::default(),
            clock: Clock::system(),
            registry,
            quarantine: Default::default(),
            user_names: Default::default(),
        }
    }

    /// What is written into the account and compared with it goes by the same clock.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.now_millis())
    }

    /// EC2 in the region of the thing, which need not be the function's.
    pub fn ec2(&self, region: &Region) -> aws_sdk_ec2::Client {
        self.ec2.get(&self.config, region, aws_sdk_ec2::Client::new)
    }

    pub fn autoscaling(&self, region: &Region) -> aws_sdk_autoscaling::Client {
        self.autoscaling.get(&self.config, region, aws_sdk_autoscaling::Client::new)
    }

    /// The region that the configuration names: the function's.
    pub fn home(&self) -> Option<Region> {
        self.config.region().and_then(|region| Region::parse(region.as_ref()).ok())
    }

    pub fn cloudtrail(&self, region: &Region) -> aws_sdk_cloudtrail::Client {
        self.cloudtrail.get(&self.config, region, aws_sdk_cloudtrail::Client::new)
    }

    /// What is known of AWS Config's rules.
    pub(crate) fn config_rules(&self) -> std::sync::MutexGuard<'_, crate::survey::KnownConfigRules> {
        self.config_rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// AWS Config.
    pub fn config_service(&self, region: &Region) -> aws_sdk_config::Client {
        self.config_service.get(&self.config, region, aws_sdk_config::Client::new)
    }

    pub fn elbv2(&self, region: &Region) -> aws_sdk_elasticloadbalancingv2::Client {
        self.elbv2.get(&self.config, region, aws_sdk_elasticloadbalancingv2::Client::new)
    }

    /// EventBridge.
    pub fn events(&self, region: &Region) -> aws_sdk_eventbridge::Client {
        self.events.get(&self.config, region, aws_sdk_eventbridge::Client::new)
    }

    pub fn guardduty(&self, region: &Region) -> aws_sdk_guardduty::Client {
        self.guardduty.get(&self.config, region, aws_sdk_guardduty::Client::new)
    }

    pub fn s3(&self, region: &Region) -> aws_sdk_s3::Client {
        self.s3.get(&self.config, region, aws_sdk_s3::Client::new)
    }

    pub fn wafv2(&self, region: &Region) -> aws_sdk_wafv2::Client {
        self.wafv2.get(&self.config, region, aws_sdk_wafv2::Client::new)
    }

    pub fn ssm(&self, region: &Region) -> aws_sdk_ssm::Client {
        self.ssm.get(&self.config, region, aws_sdk_ssm::Client::new)
    }

    pub fn iam(&self) -> &aws_sdk_iam::Client {
        self.iam.get_or_init(|| aws_sdk_iam::Client::new(&self.config))
    }

    pub fn sns(&self) -> &aws_sdk_sns::Client {
        self.sns.get_or_init(|| aws_sdk_sns::Client::new(&self.config))
    }

    pub fn sqs(&self) -> &aws_sdk_sqs::Client {
        self.sqs.get_or_init(|| aws_sdk_sqs::Client::new(&self.config))
    }

    /// Who the credentials belong to; asked once a process.
    pub async fn identity(&self) -> Result<&Identity, AwsError> {
        self.identity.get_or_try_init(|| self.ask_identity()).await
    }

    pub fn sts(&self) -> &aws_sdk_sts::Client {
        self.sts.get_or_init(|| aws_sdk_sts::Client::new(&self.config))
    }

    /// Waits as long as a function may take, and asks once: what it does, it does at each invocation.
    pub fn lambda(&self) -> aws_sdk_lambda::Client {
        let patient = TimeoutConfig::builder().operation_attempt_timeout(Duration::from_secs(320)).build();
        let config = aws_sdk_lambda::config::Builder::from(&self.config);
        let config = config.timeout_config(patient).retry_config(RetryConfig::disabled()).build();
        aws_sdk_lambda::Client::from_conf(config)
    }

    async fn ask_identity(&self) -> Result<Identity, AwsError> {
        Identity::answered(self.sts().get_caller_identity().send().await)
    }
}

impl Identity {
    /// What STS said.
    pub fn answered(
        answer: Result<GetCallerIdentityOutput, SdkError<GetCallerIdentityError, HttpResponse>>,
    ) -> Result<Self, AwsError> {
        const OPERATION: &str = "sts:GetCallerIdentity";
        let answer = answer.map_err(classify(OPERATION))?;
        let lacks = |what| AwsError::incomplete(OPERATION, what);
        let arn = answer.arn().and_then(|arn| Arn::parse(arn).ok()).ok_or_else(|| lacks("no ARN"))?;
        let account = answer.account().and_then(|id| AccountId::parse(id).ok()).ok_or_else(|| lacks("no account"))?;
        let unique_id =
            answer.user_id().and_then(|id| id.split(':').next()).ok_or_else(|| lacks("no user id"))?.to_owned();
        let partition = arn
            .as_str()
            .split(':')
            .nth(1)
            .and_then(|p| Partition::parse(p).ok())
            .ok_or_else(|| lacks("no partition"))?;
        Ok(Self { account, partition, arn, unique_id })
    }
}

/// Endpoint, region and credentials from the SDK's own variables; makes no call.
pub async fn configuration() -> SdkConfig {
    let provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
    let retry = RetryConfig::standard().with_max_attempts(3).with_initial_backoff(Duration::from_millis(100));
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(SharedHttpClient::new(Tagging { inner: Builder::new().tls_provider(provider).build_https() }))
        .retry_config(retry.with_max_backoff(Duration::from_secs(1)))
        .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).build())
        .load()
        .await
}

/// What codes mean in general. `operation` names the call as IAM does, for messages.
pub fn classify<E>(operation: &'static str) -> impl Fn(SdkError<E, HttpResponse>) -> AwsError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    move |error| {
        let SdkError::ServiceError(answer) = &error else {
            let message = Text::new(&DisplayErrorContext(&error).to_string());
            return match error {
                SdkError::ConstructionFailure(_) => {
                    AwsError::Rejected { operation, code: "ConstructionFailure".into(), message }
                }
                _ => AwsError::Ambiguous { operation, message },
            };
        };
        let code = answer.err().code().unwrap_or_default();
        let message = Text::new(answer.err().message().unwrap_or_default());
        match code {
            c if is_throttling(c) => AwsError::Throttled { operation },
            c if is_missing(c) => AwsError::NotFound { operation, message },
            c if UNCLEAR.contains(&c) => AwsError::Ambiguous { operation, message },
            c if DENIED.contains(&c) => AwsError::Denied { operation, message },
            c if CONFLICTS.contains(&c) => AwsError::Conflict { operation, message },
            _ if answer.raw().status().is_server_error() || code.is_empty() => {
                AwsError::Ambiguous { operation, message }
            }
            c => AwsError::Rejected { operation, code: Text::new(c).to_string(), message },
        }
    }
}

/// EC2, the query protocol and the JSON services each have their own words for it.
fn is_throttling(code: &str) -> bool {
    code.contains("Throttl")
        || [
            "RequestLimitExceeded",
            "TooManyRequestsException",
            "ProvisionedThroughputExceededException",
            "SlowDown",
            "RequestThrottled",
            "BandwidthLimitExceeded",
            "PriorRequestNotComplete",
            "TransactionInProgressException",
        ]
        .contains(&code)
}

fn is_missing(code: &str) -> bool {
    code == "NoSuchEntity"
        || code == "NoSuchBucket"
        || code == "WAFNonexistentItemException"
        || code == "NotFound"
        || code.ends_with(".NotFound")
        || code.ends_with("NotFoundException")
}

/// What the next attempt, signed anew or in a moment, does not meet again.
const UNCLEAR: [&str; 6] = [
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidSignatureException",
    "RequestExpired",
    "RequestTimeout",
    "RequestTimeoutException",
];

const DENIED: [&str; 7] = [
    "AccessDenied",
    "AccessDeniedException",
    "AuthFailure",
    "AuthorizationError",
    "InvalidClientTokenId",
    "UnauthorizedOperation",
    "UnrecognizedClientException",
];

const CONFLICTS: [&str; 13] = [
    "ConcurrentModification",
    "ConcurrentModificationException",
    "ConditionalCheckFailedException",
    "ConflictException",
    "EntityTemporarilyUnmodifiable",
    "IncorrectInstanceState",
    "IncorrectState",
    "OperationAborted",
    "ResourceConflictException",
    "ResourceContention",
    "TransactionCanceledException",
    "TransactionConflictException",
    "WAFOptimisticLockException",
];

/// The shared HTTP client; writes the incident into the user agent, which is not part of the signature.
#[derive(Clone, Debug)]
struct Tagging<T> {
    inner: T,
}

impl HttpClient for Tagging<SharedHttpClient> {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Tagging { inner: self.inner.http_connector(settings, components) })
    }
}

impl HttpConnector for Tagging<SharedHttpConnector> {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        if let Ok(incident) = INCIDENT.try_with(Clone::clone) {
            let agent = request.headers().get("user-agent").unwrap_or_default();
            let agent = format!("{agent} cordon/{incident}");
            request.headers_mut().insert("user-agent", agent);
        }
        self.inner.call(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_iam::operation::get_user::GetUserError;
    use aws_smithy_types::{body::SdkBody, error::ErrorMetadata};

    fn answered(status: u16, code: &str) -> AwsError {
        let raw = HttpResponse::new(status.try_into().unwrap(), SdkBody::empty());
        let metadata = ErrorMetadata::builder().code(code).message("said <b>so</b>\n").build();
        classify("iam:GetUser")(SdkError::service_error(GetUserError::generic(metadata), raw))
    }

    #[test]
    fn errors_are_told_apart_in_one_place() {
        type Is = fn(&AwsError) -> bool;
        let (throttled, missing, denied, conflict, ambiguous, rejected): (Is, Is, Is, Is, Is, Is) = (
            |e| matches!(e, AwsError::Throttled { .. }),
            |e| matches!(e, AwsError::NotFound { .. }),
            |e| matches!(e, AwsError::Denied { .. }),
            |e| matches!(e, AwsError::Conflict { .. }),
            |e| matches!(e, AwsError::Ambiguous { .. }),
            |e| matches!(e, AwsError::Rejected { .. }),
        );
        for (status, code, is) in [
            (400, "RequestTimeout", ambiguous),
            (403, "ExpiredToken", ambiguous),
            (400, "PriorRequestNotComplete", throttled),
            (503, "RequestLimitExceeded", throttled),
            (400, "Throttling", throttled),
            (400, "ThrottlingException", throttled),
            (404, "NoSuchEntity", missing),
            (400, "InvalidInstanceID.NotFound", missing),
            (400, "InvalidGroup.NotFound", missing),
            (403, "AccessDenied", denied),
            (403, "UnauthorizedOperation", denied),
            (409, "EntityTemporarilyUnmodifiable", conflict),
            (409, "ConcurrentModification", conflict),
            (400, "ConcurrentModificationException", conflict),
            (409, "OperationAborted", conflict),
            (409, "ResourceConflictException", conflict),
            (500, "InternalError", ambiguous),
            (503, "Unavailable", ambiguous),
            (500, "", ambiguous),
            (409, "LimitExceeded", rejected),
            (400, "UnmodifiableEntity", rejected),
            (400, "InvalidGroup.Duplicate", rejected),
        ] {
            let error = answered(status, code);
            assert!(is(&error), "{status} {code}: {error:?}");
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }
}
