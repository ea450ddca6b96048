//! The driver with a shell as its process, while the test speaks to the Runtime API in the function's place.

use super::*;
use axum::http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::json;

/// A process that does nothing by itself, or what the script says; the test speaks to the API in its place.
async fn shell(script: &str) -> (Function, String) {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("echo $AWS_LAMBDA_RUNTIME_API; {script}"));
    let function = Function::run(command, Log::Capture).await.unwrap();
    loop {
        if let Some(address) = function.logs().first() {
            let api = format!("http://{address}/2018-06-01/runtime");
            return (function, api);
        }
        tokio::task::yield_now().await;
    }
}

async fn request(method: &str, url: String, body: &str) -> Response<String> {
    let request = Request::builder().method(method).uri(url);
    let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http();
    let (head, body) = client.request(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Response::from_parts(head, String::from_utf8(body.to_vec()).unwrap())
}

async fn poll(api: &str) -> (String, Response<String>) {
    let next = request("GET", format!("{api}/invocation/next"), "").await;
    let id = next.headers()["Lambda-Runtime-Aws-Request-Id"].to_str();
    (id.unwrap().to_owned(), next)
}

#[tokio::test]
async fn an_event_goes_to_the_function_and_its_answer_comes_back() {
    let (function, api) = shell("sleep 60").await;
    let event = json!({"id": 1});
    let as_function = async {
        let (id, next) = poll(&api).await;
        assert_eq!(next.body(), "{\"id\":1}");
        let header = |name: &str| next.headers()[name].to_str().unwrap().to_owned();
        let left = header("Lambda-Runtime-Deadline-Ms").parse::<u128>().unwrap() - since_epoch().as_millis();
        assert!((50_000..=60_000).contains(&left), "{left}");
        assert!(header("Lambda-Runtime-Invoked-Function-Arn").starts_with("arn:aws:lambda:"));
        assert!(header("Lambda-Runtime-Trace-Id").starts_with("Root=1-"));
        request("POST", format!("{api}/invocation/{id}/response"), "{\"ok\":true}").await
    };
    let (answer, posted) = tokio::join!(function.invoke(&event), as_function);
    assert_eq!(answer.unwrap(), Answer::Response(json!({"ok": true})));
    assert_eq!(posted.status(), StatusCode::ACCEPTED);
}

#[tokio::test]
async fn an_error_is_an_answer_and_counts_once() {
    let (function, api) = shell("sleep 60").await;
    let as_function = async {
        let (id, next) = poll(&api).await;
        assert_eq!(next.body(), "not json");
        let url = format!("{api}/invocation/{id}/error");
        let first = request("POST", url.clone(), "{\"errorType\":\"Throttled\"}").await;
        (first.status(), request("POST", url, "{}").await.status())
    };
    let (answer, posted) = tokio::join!(function.invoke("not json"), as_function);
    assert_eq!(answer.unwrap(), Answer::Error(json!({"errorType": "Throttled"})));
    assert_eq!(posted, (StatusCode::ACCEPTED, StatusCode::BAD_REQUEST));
}

#[tokio::test]
async fn invocations_wait_their_turn() {
    let (function, api) = shell("sleep 60").await;
    let as_function = async {
        let (id, next) = poll(&api).await;
        let mut second = Box::pin(poll(&api));
        // The other one is not handed out before this one is answered.
        let early = tokio::time::timeout(Duration::from_millis(50), &mut second).await;
        assert!(early.is_err());
        let url = format!("{api}/invocation/{id}/response");
        request("POST", url, next.body()).await;
        let (id, next) = second.await;
        let url = format!("{api}/invocation/{id}/response");
        request("POST", url, next.body()).await;
    };
    let (one, two, ()) = tokio::join!(function.invoke("1"), function.invoke("2"), as_function);
    assert_eq!(one.unwrap(), Answer::Response(json!(1)));
    assert_eq!(two.unwrap(), Answer::Response(json!(2)));
}

#[tokio::test]
async fn a_death_ends_the_invocation_with_the_last_words() {
    let (function, _) = shell("echo oops >&2; exit 3").await;
    let error = function.invoke("{}").await.unwrap_err().to_string();
    assert!(error.contains("died") && error.contains('3') && error.contains("oops"), "{error}");
}

#[tokio::test]
async fn a_failed_start_is_told() {
    let (function, api) = shell("sleep 60").await;
    request("POST", format!("{api}/init/error"), "{\"errorMessage\":\"no table\"}").await;
    let error = function.invoke("{}").await.unwrap_err().to_string();
    assert!(error.contains("no table"), "{error}");
}

#[tokio::test]
async fn a_kill_ends_the_invocation_under_way() {
    let (function, api) = shell("exec sleep 60").await;
    let kill = async {
        poll(&api).await;
        function.kill().await;
    };
    let (answer, ()) = tokio::join!(function.invoke("{}"), kill);
    assert!(answer.unwrap_err().to_string().contains("died"));
    function.kill().await; // of a dead one returns
}
