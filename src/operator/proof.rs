//! Who asks is proven by a signed `sts:GetCallerIdentity` that the caller has not sent: the function sends it, and STS says who signed.
//! The signature covers a digest of the command and a nonce, so that it serves for this command, once.

use super::{Refused, refusal};
use crate::{
    aws::{Aws, AwsError, Identity},
    domain::Timestamp,
};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{
            Intercept,
            context::{BeforeTransmitInterceptorContextMut, BeforeTransmitInterceptorContextRef},
        },
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::config_bag::ConfigBag;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

const COMMAND: &str = "x-cordon-command";
const NONCE: &str = "x-cordon-nonce";
const FUNCTION: &str = "x-cordon-function";
const DATE: &str = "x-amz-date";
/// What must be signed, or the proof is none.
const SIGNED: [&str; 5] = ["host", DATE, COMMAND, NONCE, FUNCTION];
/// What is sent on; nothing else of a proof is used, and never its host.
const PASSED_ON: [&str; 8] =
    ["authorization", "content-type", DATE, "x-amz-security-token", "x-amz-content-sha256", COMMAND, NONCE, FUNCTION];
/// STS itself takes signatures for longer; a command is sent at once.
const VALID: Duration = Duration::from_secs(5 * 60);
/// After this a nonce cannot come again, because its proof has expired.
pub const REMEMBERED: Duration = Duration::from_secs(60 * 60);

/// The headers of the signed request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    pub headers: BTreeMap<String, String>,
}

/// Of the command's very bytes.
fn digest(command: &str) -> String {
    Sha256::digest(command.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Signs for the command with the credentials of `aws`, and sends nothing.
///
/// # Errors
/// Where there are no credentials, or no region.
pub async fn sign(aws: &Aws, command: &str, audience: &str, nonce: &str) -> anyhow::Result<Proof> {
    let what = [(COMMAND, digest(command)), (FUNCTION, audience.to_owned()), (NONCE, nonce.to_owned())];
    let signed = Signed { what, headers: Arc::default() };
    let headers = signed.headers.clone();
    let result = aws.sts().get_caller_identity().customize().interceptor(signed).send().await;
    let headers = std::mem::take(&mut *headers.lock().unwrap_or_else(PoisonError::into_inner));
    if headers.is_empty() {
        let why = result.err().map(|error| aws_smithy_types::error::display::DisplayErrorContext(&error).to_string());
        anyhow::bail!("cannot sign the command: {}", why.unwrap_or_default());
    }
    Ok(Proof { headers })
}

/// Adds what is to be signed, and keeps what was signed from being sent.
#[derive(Debug)]
struct Signed {
    what: [(&'static str, String); 3],
    headers: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Intercept for Signed {
    fn name(&self) -> &'static str {
        "Signed"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.request_mut().headers_mut();
        for (name, value) in &self.what {
            headers.try_insert(*name, value.clone())?;
        }
        Ok(())
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let all = context.request().headers().iter();
        let passed_on = all.filter(|(name, _)| PASSED_ON.contains(name));
        let kept = passed_on.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        *self.headers.lock().unwrap_or_else(PoisonError::into_inner) = kept;
        Err("signed, not to be sent".into())
    }
}

/// Sends the caller's request in place of our own.
#[derive(Debug)]
struct InTheirName(BTreeMap<String, String>);

impl Intercept for InTheirName {
    fn name(&self) -> &'static str {
        "InTheirName"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.request_mut().headers_mut();
        for name in PASSED_ON {
            headers.remove(name);
        }
        for (name, value) in &self.0 {
            headers.try_insert(name.clone(), value.clone())?;
        }
        Ok(())
    }
}

impl Proof {
    /// Who signed, as AWS says.
    ///
    /// # Errors
    /// Why that is not known; the outer error is one that a repeat can mend.
    pub async fn who(&self, aws: &Aws) -> Result<Result<Identity, Refused>, AwsError> {
        let headers = PASSED_ON.iter().filter_map(|name| Some(((*name).to_owned(), self.headers.get(*name)?.clone())));
        let call = aws.sts().get_caller_identity().customize().interceptor(InTheirName(headers.collect()));
        match Identity::answered(call.send().await) {
            Ok(identity) => Ok(Ok(identity)),
            Err(error) if error.is_passing() => Err(error),
            Err(error) => Ok(Err(refusal("not-proven", format!("AWS does not know who signed this: {error}")))),
        }
    }

    /// All that can be seen without asking AWS: that it was signed for this command, for this function, and just now. Returns the nonce.
    pub fn check(&self, command: &str, audience: &str, now: Timestamp) -> Result<&str, Refused> {
        let bad = |why: String| refusal("no-proof", why);
        let header = |name: &str| {
            let value = self.headers.get(name).map(String::as_str);
            value.ok_or_else(|| bad(format!("the signed request has no `{name}`")))
        };
        if let Some(odd) = self.headers.keys().find(|name| !PASSED_ON.contains(&name.as_str())) {
            return Err(bad(format!("`{}` is none of its headers", crate::domain::Text::new(odd))));
        }
        let signed = signed_headers(header("authorization")?);
        let signed = signed.ok_or_else(|| bad("its signature has another form".to_owned()))?;
        if let Some(missing) = SIGNED.iter().find(|name| !signed.contains(name)) {
            return Err(bad(format!("`{missing}` is not signed")));
        }
        if header(COMMAND)? != digest(command) {
            return Err(bad("it was signed for another command".to_owned()));
        }
        if header(FUNCTION)? != audience {
            return Err(bad(format!("it was signed for another function than {audience}")));
        }
        let at = moment(header(DATE)?).ok_or_else(|| bad("its date cannot be read".to_owned()))?;
        let is_new = at <= now.plus(VALID) && now <= at.plus(VALID);
        if !is_new {
            return Err(refusal("stale", format!("it was signed at {at}, and it is {now}: sign it anew")));
        }
        let nonce = header(NONCE)?;
        let is_nonce = (16..=64).contains(&nonce.len()) && nonce.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_nonce { Ok(nonce) } else { Err(bad("its nonce has not 16 to 64 hexadecimal digits".to_owned())) }
    }
}

/// Each part once and in its place: what one reader takes for signed, no other must take for something else.
fn signed_headers(authorization: &str) -> Option<Vec<&str>> {
    let rest = authorization.strip_prefix("AWS4-HMAC-SHA256 ")?;
    let [credential, signed, signature] = rest.split(',').map(str::trim_start).collect::<Vec<_>>().try_into().ok()?;
    let scope = credential.strip_prefix("Credential=")?;
    let (signed, signature) = (signed.strip_prefix("SignedHeaders=")?, signature.strip_prefix("Signature=")?);
    let is_header = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b';';
    let is_scope = |b: u8| b.is_ascii_alphanumeric() || b"/_-".contains(&b);
    let is_whole = scope.bytes().all(is_scope)
        && signed.bytes().all(is_header)
        && signature.bytes().all(|b| b.is_ascii_hexdigit());
    is_whole.then(|| signed.split(';').collect())
}

/// `20261120T120000Z`, as signatures write it.
fn moment(date: &str) -> Option<Timestamp> {
    let part = |from: usize, to: usize| date.get(from..to);
    let (day, clock) = (date.len() == 16).then(|| date.split_once('T')).flatten()?;
    let _ = clock.strip_suffix('Z').filter(|_| day.len() == 8)?;
    let day = format!("{}-{}-{}", part(0, 4)?, part(4, 6)?, part(6, 8)?);
    Timestamp::parse(&format!("{day}T{}:{}:{}Z", part(9, 11)?, part(11, 13)?, part(13, 15)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "111122223333/us-east-1/cordon-operator";
    const TEXT: &str = r#"{"do":"resume","because":"done"}"#;

    fn proof(change: impl FnOnce(&mut BTreeMap<String, String>)) -> Proof {
        let authorization = "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20261120/us-east-1/sts/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-cordon-command;x-cordon-function;x-cordon-nonce, Signature=00";
        let mut headers = BTreeMap::from(
            [("authorization", authorization), (DATE, "20261120T120000Z"), (NONCE, "0123456789abcdef")]
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        headers.insert(COMMAND.to_owned(), digest(TEXT));
        headers.insert(FUNCTION.to_owned(), HERE.to_owned());
        change(&mut headers);
        Proof { headers }
    }

    #[test]
    fn what_is_no_proof_is_seen_before_aws_is_asked() {
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let noon = at("2026-11-20T12:00:00Z");
        let code = |proof: &Proof, text: &str, now| proof.check(text, HERE, now).err().map(|refused| refused.code);
        assert_eq!(code(&proof(|_| ()), TEXT, noon), None);
        assert_eq!(code(&proof(|_| ()), TEXT, at("2026-11-20T12:04:59Z")), None);
        for now in ["2026-11-20T12:05:01Z", "2026-11-20T11:54:59Z"] {
            assert_eq!(code(&proof(|_| ()), TEXT, at(now)).as_deref(), Some("stale"));
        }
        assert_eq!(code(&proof(|_| ()), r#"{"do":"resume","because":"other"}"#, noon).as_deref(), Some("no-proof"));
        type Break = fn(&mut BTreeMap<String, String>);
        let breaks: [Break; 12] = [
            |headers| drop(headers.remove("authorization")),
            |headers| drop(headers.remove(COMMAND)),
            |headers| drop(headers.remove(NONCE)),
            |headers| drop(headers.remove(DATE)),
            |headers| drop(headers.insert("host".into(), "sts.evil.example".into())),
            |headers| drop(headers.insert(NONCE.into(), "../../MARK#x".into())),
            |headers| drop(headers.insert(DATE.into(), "now".into())),
            |headers| {
                let signed = headers.get_mut("authorization").unwrap();
                *signed = signed.replace(";x-cordon-nonce", "");
            },
            |headers| drop(headers.remove(FUNCTION)),
            |headers| drop(headers.insert(FUNCTION.into(), "111122223333/us-east-1/staging-operator".into())),
            // Two readers, two lists of what is signed.
            |headers| {
                let signed = headers.get_mut("authorization").unwrap();
                *signed = signed.replace("Credential=", "SignedHeaders=host, Credential=");
            },
            |headers| {
                let signed = headers.get_mut("authorization").unwrap();
                *signed = signed.replace("Credential=AKIA", "Credential=SignedHeaders=host;AKIA");
            },
        ];
        for (n, harm) in breaks.into_iter().enumerate() {
            assert_eq!(code(&proof(harm), TEXT, noon).as_deref(), Some("no-proof"), "{n}");
        }
    }
}
