use crate::soon;
use axum::Router;
use axum::body::Body;
use http::{Request, Response};
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tower::ServiceExt;

/// How a request reaches an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Over a connection of its own, through `axum::serve`, which layers a router without state anew for each.
    Connection,
    /// By a call of the router itself, which layers anew for each request.
    Call,
}

/// An app that can be asked.
#[derive(Clone, Debug)]
pub enum Reached {
    /// Where it is served.
    Connection(String),
    /// The app itself.
    Call(Router),
}

impl Reach {
    /// Both ways.
    pub const ALL: [Self; 2] = [Self::Connection, Self::Call];

    /// Serves the app if that is asked for.
    pub async fn reach(self, app: Router) -> Reached {
        match self {
            Self::Connection => Reached::Connection(serve(app).await),
            Self::Call => Reached::Call(app),
        }
    }
}

impl Reached {
    /// Asks for a path and query, and returns the answer once its head is there.
    pub async fn ask(&self, path: &str) -> Response<Body> {
        self.send(Request::get(path).body(()).unwrap()).await
    }

    /// Sends a request without a body.
    pub async fn send(&self, request: Request<()>) -> Response<Body> {
        match self {
            Self::Connection(base) => {
                let (head, ()) = request.into_parts();
                let url = format!("{base}{}", head.uri);
                let sent = client().request(head.method, url).headers(head.headers).send();
                Response::from(soon(sent).await.unwrap()).map(Body::new)
            }
            Self::Call(app) => {
                let answer = soon(app.clone().oneshot(request.map(|()| Body::empty()))).await;
                answer.unwrap()
            }
        }
    }
}

/// Asks over a connection of its own.
pub async fn ask(url: &str) -> Response<Body> {
    let answer = soon(client().get(url).send()).await.unwrap();
    Response::from(answer).map(Body::new)
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// Serves an app on loopback, and returns its base url.
pub async fn serve(app: Router) -> String {
    let (listener, address) = listen().await;
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}

/// Takes a free port of loopback.
pub async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}
