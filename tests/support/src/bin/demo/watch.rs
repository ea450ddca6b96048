//! Stands between proxy and moto, and keeps into which groups AWS put each interface, which no look afterwards can tell.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode, Uri, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

/// An interface was put into these groups, and no others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    pub interface: String,
    pub groups: Vec<String>,
}

/// Ends on drop.
pub struct Watch {
    endpoint: String,
    moves: Moves,
    task: AbortHandle,
}

type Moves = Arc<Mutex<Vec<Move>>>;

#[derive(Clone)]
struct Way {
    upstream: String,
    client: Client<HttpConnector, Body>,
    moves: Moves,
}

impl Watch {
    pub async fn start(upstream: &str) -> Result<Watch> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("listen before moto")?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let (client, moves) = (Client::builder(TokioExecutor::new()).build_http(), Moves::default());
        let way = Way { upstream: upstream.to_owned(), client, moves: moves.clone() };
        let router = Router::new().fallback(pass).with_state(way);
        let task = tokio::spawn(async move { axum::serve(listener, router).await }).abort_handle();
        Ok(Watch { endpoint, moves, task })
    }

    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// In the order in which they came.
    pub fn moves(&self) -> Vec<Move> {
        self.moves.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn clear(&self) {
        self.moves.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(State(way): State<Way>, request: Request) -> Response<Body> {
    way.pass(request).await.unwrap_or_else(|error| {
        let mut answer = Response::new(Body::from(format!("upstream: {error:#}")));
        *answer.status_mut() = StatusCode::BAD_GATEWAY;
        answer
    })
}

impl Way {
    async fn pass(&self, request: Request) -> Result<Response<Body>> {
        let (mut parts, body) = request.into_parts();
        let body = to_bytes(body, usize::MAX).await?;
        let moved = moved(&String::from_utf8_lossy(&body));
        parts.uri = format!("{}{}", self.upstream, parts.uri).parse::<Uri>()?;
        let mut answer = self.client.request(Request::from_parts(parts, Body::from(body))).await?;
        if answer.status().is_success() {
            self.moves.lock().unwrap_or_else(PoisonError::into_inner).extend(moved);
        }
        for of_this_hop in [header::CONNECTION, header::TRANSFER_ENCODING] {
            answer.headers_mut().remove(of_this_hop);
        }
        Ok(answer.map(Body::new))
    }
}

/// What a form asks of an interface's groups. Ids have nothing in them that forms encode.
fn moved(form: &str) -> Option<Move> {
    let fields: Vec<_> = form.split('&').filter_map(|field| field.split_once('=')).collect();
    let value = |wanted: &str| fields.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
    if value("Action") != Some("ModifyNetworkInterfaceAttribute") {
        return None;
    }
    let groups = fields.iter().filter(|(name, _)| name.starts_with("SecurityGroupId."));
    let groups: Vec<String> = groups.map(|(_, group)| (*group).to_owned()).collect();
    let interface = value("NetworkInterfaceId")?.to_owned();
    (!groups.is_empty()).then_some(Move { interface, groups })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_groups_of_an_interface_are_a_move() {
        let form =
            |rest: &str| moved(&format!("Action=ModifyNetworkInterfaceAttribute&NetworkInterfaceId=eni-1{rest}"));
        let groups = ["sg-1", "sg-2"].map(str::to_owned).to_vec();
        let expected = Move { interface: "eni-1".to_owned(), groups };
        assert_eq!(form("&SecurityGroupId.1=sg-1&SecurityGroupId.2=sg-2"), Some(expected));
        assert_eq!(form("&ConnectionTrackingSpecification.UdpTimeout=30"), None);
        assert_eq!(moved("Action=DescribeNetworkInterfaces&NetworkInterfaceId.1=eni-1"), None);
    }
}
