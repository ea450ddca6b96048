//! The proxy between a plain HTTP client and a dummy upstream.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::Request as AxumRequest;
use futures::future::join_all;

use super::*;
use crate::call::Position;

/// An upstream that takes its time, a different one for each request, and counts what reached it.
struct Upstream {
    endpoint: String,
    seen: Arc<AtomicUsize>,
}

async fn upstream() -> Upstream {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = seen.clone();
    let answer = move |request: AxumRequest| async move {
        let nth = count.fetch_add(1, Ordering::SeqCst);
        // Longer than the hold, so that a proxy that only waited for silence would tear a round apart.
        tokio::time::sleep(Duration::from_millis(30 * nth as u64 % 240)).await;
        let host = request.headers()["host"].to_str().unwrap().to_owned();
        let path = request.uri().to_string();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let body = String::from_utf8_lossy(&body).into_owned();
        ([("x-seen", "yes"), ("connection", "close")], format!("{host} {path} {body}"))
    };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Upstream { endpoint, seen }
}

struct Answer {
    status: u16,
    body: String,
}

/// Sends an IAM call, as form; an error is a connection that ended.
async fn send(proxy: &Proxy, body: &str) -> Result<Answer> {
    let request = Request::post(format!("{}/path?a=b", proxy.endpoint()))
        .header("host", "iam.example")
        .header("user-agent", "test/1")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("authorization", "AWS4-HMAC-SHA256 Credential=AKIA/20250102/us-east-1/iam/aws4_request")
        .body(Full::new(Bytes::from(body.to_owned())))?;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.request(request).await?;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await?.to_bytes();
    let body = String::from_utf8_lossy(&body).into_owned();
    Ok(Answer { status, body })
}

fn fault(at: Match, when: When, how: How, lasting: Lasting) -> Fault {
    Fault { at, when, how, lasting }
}

#[tokio::test]
async fn requests_side_by_side_are_one_round_and_the_next_is_a_second() {
    let upstream = upstream().await;
    let proxy = Proxy::start(&upstream.endpoint).await.unwrap();
    let names: Vec<String> = (0..8).map(|n| format!("Action=TagUser&UserName=u{n}")).collect();
    let all = join_all(names.iter().map(|body| send(&proxy, body))).await;
    assert!(all.into_iter().all(|answer| answer.unwrap().status == 200));
    assert_eq!(proxy.rounds(), 1);
    send(&proxy, "Action=GetUser&UserName=u1").await.unwrap();
    assert_eq!(proxy.rounds(), 2);
    assert_eq!(proxy.calls().len(), 9);
    assert_eq!(proxy.mutations().len(), 8);
    assert_eq!(proxy.round_of(|call| call.mutating), Some(1));
    assert_eq!(proxy.round_of(|call| call.operation == "GetUser"), Some(2));
    assert_eq!(proxy.round_of(|call| call.operation == "GetRole"), None);

    proxy.clear();
    assert_eq!((proxy.rounds(), proxy.calls()), (0, vec![]));
    send(&proxy, "Action=TagUser&UserName=u1").await.unwrap();
    assert_eq!(proxy.rounds(), 1);
    assert_eq!(proxy.calls()[0].occurrence, 1);
}

#[tokio::test]
async fn a_late_request_joins_the_batch_that_is_in_flight() {
    let upstream = upstream().await;
    upstream.seen.store(7, Ordering::SeqCst); // the next answer takes 210 ms
    let proxy = Proxy::start(&upstream.endpoint).await.unwrap();
    let late = async {
        while upstream.seen.load(Ordering::SeqCst) == 7 {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(2 * HOLD).await;
        send(&proxy, "Action=GetUser&UserName=late").await
    };
    let (early, late) = tokio::join!(send(&proxy, "Action=GetUser&UserName=early"), late);
    assert!(early.is_ok() && late.is_ok());
    assert_eq!((proxy.calls().len(), proxy.rounds()), (2, 1));
}

#[tokio::test]
async fn a_request_passes_unchanged_and_is_recorded() {
    let upstream = upstream().await;
    let options = ProxyOptions { hold: None, ..ProxyOptions::default() };
    let proxy = Proxy::start_with(&upstream.endpoint, options).await.unwrap();
    let body = "Action=PutUserPolicy&UserName=alice&PolicyName=deny";
    let answer = send(&proxy, body).await.unwrap();
    assert_eq!(answer.body, format!("iam.example /path?a=b {body}"));
    let calls = proxy.calls();
    let expected = Call {
        service: "iam".into(),
        operation: "PutUserPolicy".into(),
        resource: "alice/deny".into(),
        occurrence: 1,
        round: 0,
        status: Some(200),
        answered: calls[0].answered,
        error: None,
        user_agent: "test/1".into(),
        mutating: true,
        fault: None,
    };
    assert!(calls[0].answered.is_some());
    assert_eq!(calls, [expected]);
    assert_eq!(calls[0].position().to_string(), "PutUserPolicy alice/deny #1");
    // Nothing was measured, and nothing pretends to be.
    assert_eq!((proxy.rounds(), proxy.round_of(|_| true)), (0, None));
}

#[tokio::test]
async fn latency_is_added_once_to_a_round() {
    let upstream = upstream().await;
    let latency = Duration::from_millis(500);
    let options = ProxyOptions { latency, ..ProxyOptions::default() };
    let proxy = Proxy::start_with(&upstream.endpoint, options).await.unwrap();
    let start = Instant::now();
    join_all((0..4).map(|_| send(&proxy, "Action=GetUser&UserName=u"))).await;
    assert!(start.elapsed() >= latency);
    assert!(start.elapsed() < 3 * latency);
}

#[tokio::test]
async fn a_fault_before_keeps_the_call_from_upstream_and_one_after_does_not() {
    let upstream = upstream().await;
    let proxy = Proxy::start(&upstream.endpoint).await.unwrap();
    for (when, seen) in [(When::Before, 0), (When::After, 1)] {
        proxy.fail(fault(Match::operation("TagUser"), when, How::Throttled, Lasting::Once));
        let failed = send(&proxy, "Action=TagUser&UserName=u").await.unwrap();
        assert_eq!(failed.status, 400);
        assert!(failed.body.contains("<Code>Throttling</Code>"), "{}", failed.body);
        assert_eq!(upstream.seen.load(Ordering::SeqCst), seen);
    }
    let call = proxy.calls().pop().unwrap();
    assert_eq!((call.status, call.error.as_deref()), (Some(400), Some("Throttling")));
    assert_eq!((call.fault, call.occurrence), (Some(How::Throttled), 2));
    let healed = send(&proxy, "Action=TagUser&UserName=u").await.unwrap();
    assert_eq!(healed.status, 200);
}

#[tokio::test]
async fn a_fault_throughout_lasts_from_its_position_until_healed() {
    let upstream = upstream().await;
    let proxy = Proxy::start(&upstream.endpoint).await.unwrap();
    let second = Position { operation: "TagUser".into(), resource: "u".into(), occurrence: 2 };
    proxy.fail(fault(second.into(), When::Before, How::Denied, Lasting::Throughout));
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let answer = send(&proxy, "Action=TagUser&UserName=u").await.unwrap();
        statuses.push(answer.status);
    }
    proxy.heal();
    let answer = send(&proxy, "Action=TagUser&UserName=u").await.unwrap();
    statuses.push(answer.status);
    assert_eq!(statuses, [200, 403, 403, 200]);
}

#[tokio::test]
async fn a_cut_ends_the_connection_without_an_answer() {
    let upstream = upstream().await;
    let proxy = Proxy::start(&upstream.endpoint).await.unwrap();
    proxy.fail(fault(Match::operation("TagUser"), When::After, How::Cut, Lasting::Once));
    assert!(send(&proxy, "Action=TagUser&UserName=u").await.is_err());
    let call = proxy.calls().pop().unwrap();
    assert_eq!((call.status, call.fault), (None, Some(How::Cut)));
    assert_eq!(upstream.seen.load(Ordering::SeqCst), 1);
    assert!(send(&proxy, "Action=TagUser&UserName=u").await.is_ok());
}

#[tokio::test]
async fn a_stopped_call_never_gets_an_answer_and_holds_up_nobody() {
    let upstream = upstream().await;
    let proxy = Proxy::start(&upstream.endpoint).await.unwrap();
    let reached = proxy.stop_at(Match::operation("TagUser"), When::After);
    tokio::select! {
        _ = send(&proxy, "Action=TagUser&UserName=u") => panic!("answered"),
        call = reached => assert_eq!(call.unwrap().resource, "u"),
    }
    assert_eq!(upstream.seen.load(Ordering::SeqCst), 1);
    assert!(send(&proxy, "Action=TagUser&UserName=u").await.is_ok());
}

#[tokio::test]
async fn what_was_forwarded_is_finished_even_if_the_client_leaves() {
    let upstream = upstream().await;
    upstream.seen.store(7, Ordering::SeqCst);
    let proxy = Proxy::start(&upstream.endpoint).await.unwrap();
    let forwarded = async {
        while upstream.seen.load(Ordering::SeqCst) == 7 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = send(&proxy, "Action=TagUser&UserName=u") => panic!("answered"),
        () = forwarded => {}
    }
    // A later call could not be answered if the first one were left in flight.
    assert!(send(&proxy, "Action=GetUser&UserName=u").await.is_ok());
    assert_eq!(proxy.calls()[0].status, Some(200));
}

#[tokio::test]
async fn an_upstream_that_is_gone_is_a_server_error() {
    let proxy = Proxy::start("http://127.0.0.1:1").await.unwrap();
    let answer = send(&proxy, "Action=TagUser&UserName=u").await.unwrap();
    assert_eq!(answer.status, 502);
    assert!(answer.body.starts_with("upstream: "), "{}", answer.body);
}
