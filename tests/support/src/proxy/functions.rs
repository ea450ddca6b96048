//! Lambda's Invoke for functions of the harness: `POST /2015-03-31/functions/NAME/invocations`, as botocore's model has it.

use super::Shared;
use crate::runtime::{Answer, Function, InvokeOptions, Payload};
use hyper::body::Bytes;
use hyper::header::HeaderValue;
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use std::sync::Arc;

/// The function that a request invokes, by name.
pub(super) fn invoked(parts: &Parts) -> Option<&str> {
    parts.uri.path().strip_prefix("/2015-03-31/functions/")?.strip_suffix("/invocations")
}

impl Shared {
    pub(super) async fn invoke(&self, name: &str, payload: &Bytes) -> Response<Bytes> {
        let function: Option<(String, Arc<Function>)> = self.state().functions.get(name).cloned();
        let Some((account, function)) = function else {
            let body = format!(r#"{{"Type":"User","Message":"Function not found: {name}"}}"#);
            let mut answer = Response::new(Bytes::from(body));
            *answer.status_mut() = StatusCode::NOT_FOUND;
            let kind = HeaderValue::from_static("ResourceNotFoundException");
            answer.headers_mut().insert("x-amzn-errortype", kind);
            return answer;
        };
        let arn = format!("arn:aws:lambda:us-east-1:{account}:function:{name}");
        let payload = Payload::from(String::from_utf8_lossy(payload).as_ref());
        let (body, failed) =
            match function.invoke_with(payload, InvokeOptions { arn, ..InvokeOptions::default() }).await {
                Ok(Answer::Response(value)) => (value.to_string(), false),
                Ok(Answer::Error(value)) => (value.to_string(), true),
                Err(error) => (serde_json::json!({"errorMessage": format!("{error:#}")}).to_string(), true),
            };
        let mut answer = Response::new(Bytes::from(body));
        if failed {
            let unhandled = HeaderValue::from_static("Unhandled");
            answer.headers_mut().insert("x-amz-function-error", unhandled);
        }
        answer
    }
}
