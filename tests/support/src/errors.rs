//! What AWS's errors look like in each of its wire protocols: read from answers, and made for injected faults. Pure functions.

use hyper::body::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};

use crate::faults::How;
use crate::wire::{Asked, Protocol, header};

/// The code of an error answer, as an SDK would read it.
pub fn error_code(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Option<String> {
    if status.as_u16() < 400 {
        return None;
    }
    // `x-amzn-errortype: ResourceNotFoundException:http://internal…`, `"__type": "com.amazonaws…#ResourceNotFoundException"`
    let short = |code: &str| {
        let code = code.split(':').next().unwrap_or(code);
        code.rsplit('#').next().unwrap_or(code).to_owned()
    };
    if let Some(code) = header(headers, "x-amzn-errortype") {
        return Some(short(code));
    }
    let text = String::from_utf8_lossy(body);
    if let Some((_, rest)) = text.split_once("<Code>") {
        return rest.split_once("</Code>").map(|(code, _)| code.to_owned());
    }
    let body: Value = serde_json::from_str(&text).ok()?;
    let code = ["__type", "code", "Code"].iter();
    code.filter_map(|key| body[*key].as_str()).next().map(short)
}

/// The answer AWS gives when a call fails in this way, in the protocol it was asked in. None for [`How::Cut`].
pub fn error(asked: &Asked, how: How) -> Option<Response<Bytes>> {
    let (status, code) = code(asked, how)?;
    let message = "injected by the tests";
    let (kind, body) = match asked.protocol {
        Protocol::Ec2 => (
            "text/xml;charset=UTF-8",
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>{code}</Code>\
                 <Message>{message}</Message></Error></Errors><RequestID>injected</RequestID></Response>"
            ),
        ),
        Protocol::Query => {
            let fault = if status < 500 { "Sender" } else { "Receiver" };
            (
                "text/xml",
                format!(
                    "<ErrorResponse><Error><Type>{fault}</Type><Code>{code}</Code><Message>{message}</Message>\
                     </Error><RequestId>injected</RequestId></ErrorResponse>"
                ),
            )
        }
        Protocol::RestXml => (
            "application/xml",
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code>\
                 <Message>{message}</Message><RequestId>injected</RequestId></Error>"
            ),
        ),
        Protocol::Json if code == CANCELED => ("application/x-amz-json-1.0", cancellation(asked)),
        Protocol::Json => ("application/x-amz-json-1.0", json!({"__type": code, "message": message}).to_string()),
        Protocol::RestJson => ("application/json", json!({"__type": code, "message": message}).to_string()),
    };
    let answer = Response::builder().status(status).header(CONTENT_TYPE, kind).header("x-amzn-requestid", "injected");
    let answer = match asked.protocol {
        // Where GuardDuty and Lambda say it; the body has at times another name.
        Protocol::RestJson => answer.header("x-amzn-errortype", code),
        _ => answer,
    };
    answer.body(Bytes::from(body)).ok()
}

const CANCELED: &str = "TransactionCanceledException";

/// A transaction says why in a list, one entry an item; the error's code alone would not tell a conflict from a failed condition.
fn cancellation(asked: &Asked) -> String {
    let reasons = |index: usize| match index {
        0 => {
            json!({"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"})
        }
        _ => json!({"Code": "None"}),
    };
    let reasons: Vec<Value> = (0..asked.items).map(reasons).collect();
    json!({
        "__type": CANCELED,
        "Message": "Transaction cancelled, please refer cancellation reasons for specific reasons [TransactionConflict]",
        "CancellationReasons": reasons,
    })
    .to_string()
}

/// Status and code; the common errors of each service's API reference.
fn code(asked: &Asked, how: How) -> Option<(u16, &'static str)> {
    let dynamodb = asked.service == "dynamodb";
    let guardduty = asked.service == "guardduty";
    let transaction = asked.items > 0;
    Some(match (how, asked.protocol) {
        (How::Cut, _) => return None,
        (How::Throttled, Protocol::Ec2) => (503, "RequestLimitExceeded"),
        (How::Throttled, Protocol::Query) => (400, "Throttling"),
        (How::Throttled, Protocol::Json) => (400, "ThrottlingException"),
        (How::Throttled, Protocol::RestJson) => (429, "TooManyRequestsException"),
        (How::Throttled, Protocol::RestXml) => (503, "SlowDown"),
        (How::Conflict, Protocol::Ec2) => (400, "IncorrectState"),
        (How::Conflict, Protocol::Query) if asked.service == "autoscaling" => (500, "ResourceContention"),
        (How::Conflict, Protocol::Query) => (409, "ConcurrentModification"),
        (How::Conflict, Protocol::Json) if transaction => (400, CANCELED),
        (How::Conflict, Protocol::Json) if dynamodb => (400, "TransactionConflictException"),
        (How::Conflict, Protocol::Json) if asked.service == "wafv2" => (400, "WAFOptimisticLockException"),
        (How::Conflict, Protocol::Json) if asked.service == "events" => (400, "ConcurrentModificationException"),
        (How::Conflict, Protocol::Json) => (400, "ConflictException"),
        (How::Conflict, Protocol::RestJson) if guardduty => (409, "ConflictException"),
        (How::Conflict, Protocol::RestJson) => (409, "ResourceConflictException"),
        (How::Conflict, Protocol::RestXml) => (409, "OperationAborted"),
        (How::Denied, Protocol::Ec2) => (403, "UnauthorizedOperation"),
        (How::Denied, Protocol::Query) if asked.service == "sns" => (403, "AuthorizationError"),
        (How::Denied, Protocol::Query | Protocol::RestXml) => (403, "AccessDenied"),
        (How::Denied, Protocol::Json) => (400, "AccessDeniedException"),
        (How::Denied, Protocol::RestJson) => (403, "AccessDeniedException"),
        (How::ServerError, Protocol::Ec2 | Protocol::RestXml) => (500, "InternalError"),
        (How::ServerError, Protocol::Query) if asked.service == "iam" => (500, "ServiceFailure"),
        (How::ServerError, Protocol::Json) if dynamodb => (500, "InternalServerError"),
        (How::ServerError, Protocol::Query | Protocol::Json) => (500, "InternalFailure"),
        (How::ServerError, Protocol::RestJson) if guardduty => (500, "InternalServerErrorException"),
        (How::ServerError, Protocol::RestJson) => (500, "ServiceException"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[How] = &[How::Throttled, How::Conflict, How::Denied, How::ServerError, How::Cut];

    fn asked(protocol: Protocol, service: &str, items: usize) -> Asked {
        Asked {
            protocol,
            service: service.into(),
            operation: String::new(),
            resource: String::new(),
            mutating: true,
            items,
        }
    }

    #[test]
    fn an_error_has_the_shape_and_the_code_of_its_protocol() {
        let ec2 = asked(Protocol::Ec2, "ec2", 0);
        let iam = asked(Protocol::Query, "iam", 0);
        let scaling = asked(Protocol::Query, "autoscaling", 0);
        let dynamodb = asked(Protocol::Json, "dynamodb", 0);
        let s3 = asked(Protocol::RestXml, "s3", 0);
        let lambda = asked(Protocol::RestJson, "lambda", 0);
        let guardduty = asked(Protocol::RestJson, "guardduty", 0);
        let waf = asked(Protocol::Json, "wafv2", 0);
        for (asked, how, status, text) in [
            (&ec2, How::Throttled, 503, "<Response><Errors><Error><Code>RequestLimitExceeded</Code>"),
            (&ec2, How::Denied, 403, "<Response><Errors><Error><Code>UnauthorizedOperation</Code>"),
            (&iam, How::Throttled, 400, "<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code>"),
            (&iam, How::Denied, 403, "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>"),
            (&iam, How::Conflict, 409, "<Code>ConcurrentModification</Code>"),
            (&scaling, How::Conflict, 500, "<Code>ResourceContention</Code>"),
            (&iam, How::ServerError, 500, "<Type>Receiver</Type><Code>ServiceFailure</Code>"),
            (&dynamodb, How::Throttled, 400, "{\"__type\":\"ThrottlingException\""),
            (&dynamodb, How::Conflict, 400, "{\"__type\":\"TransactionConflictException\""),
            (&s3, How::Denied, 403, "<Error><Code>AccessDenied</Code>"),
            (&s3, How::Throttled, 503, "<Error><Code>SlowDown</Code>"),
            (&lambda, How::Throttled, 429, "{\"__type\":\"TooManyRequestsException\""),
            (&guardduty, How::ServerError, 500, "{\"__type\":\"InternalServerErrorException\""),
            (&waf, How::Conflict, 400, "{\"__type\":\"WAFOptimisticLockException\""),
        ] {
            let answer = error(asked, how).unwrap();
            let body = String::from_utf8_lossy(answer.body());
            assert_eq!(answer.status().as_u16(), status, "{text}");
            assert!(body.contains(text), "{body} lacks {text}");
            assert_eq!(answer.headers().contains_key("x-amzn-errortype"), asked.protocol == Protocol::RestJson);
        }
    }

    #[test]
    fn a_canceled_transaction_lists_a_reason_for_each_item() {
        let asked = asked(Protocol::Json, "dynamodb", 2);
        let answer = error(&asked, How::Conflict).unwrap();
        let body: Value = serde_json::from_slice(answer.body()).unwrap();
        assert_eq!(body["__type"], "TransactionCanceledException");
        assert_eq!(body["CancellationReasons"][0]["Code"], "TransactionConflict");
        assert_eq!(body["CancellationReasons"][1], json!({"Code": "None"}));
    }

    #[test]
    fn every_injected_error_is_read_back_with_its_code() {
        for asked in [
            asked(Protocol::Ec2, "ec2", 0),
            asked(Protocol::Query, "iam", 0),
            asked(Protocol::Json, "sqs", 0),
            asked(Protocol::RestXml, "s3", 0),
            asked(Protocol::RestJson, "lambda", 0),
        ] {
            for how in ALL {
                let expected = code(&asked, *how).map(|(_, code)| code.to_owned());
                let read =
                    error(&asked, *how).and_then(|answer| error_code(answer.status(), answer.headers(), answer.body()));
                assert_eq!(read, expected, "{asked:?} {how:?}");
            }
        }
    }

    #[test]
    fn the_codes_of_real_answers_are_read() {
        let none = HeaderMap::new();
        let mut typed = HeaderMap::new();
        typed.insert("x-amzn-errortype", "NotFound:http://internal/".parse().unwrap());
        for (status, headers, body, code) in [
            (200, &none, "<Code>x</Code>", None),
            (
                400,
                &none,
                "{\"__type\":\"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException\"}",
                Some("ConditionalCheckFailedException"),
            ),
            (
                404,
                &none,
                "<ErrorResponse><Error><Code>NoSuchEntity</Code></Error></ErrorResponse>",
                Some("NoSuchEntity"),
            ),
            (404, &typed, "{}", Some("NotFound")),
            (500, &none, "<html>oops</html>", None),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(error_code(status, headers, body.as_bytes()).as_deref(), code);
        }
    }
}
