//! Connects by TCP, and counts the bytes of the sockets.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use super::io::{Counted, Wire};
use super::resolver::Resolver;

/// Makes sockets. Clones count together.
#[derive(Clone)]
pub(super) struct Tcp {
    connector: HttpConnector<Resolver>,
    pub(super) wire: Arc<Wire>,
}

impl Tcp {
    pub(super) fn new(connector: HttpConnector<Resolver>) -> Self {
        Self {
            connector,
            wire: Arc::default(),
        }
    }
}

type Connector = HttpConnector<Resolver>;

impl Service<Uri> for Tcp {
    type Response = TokioIo<Counted<TcpStream>>;
    type Error = <Connector as Service<Uri>>::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.connector.poll_ready(cx)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let (connecting, wire) = (self.connector.call(to), Arc::clone(&self.wire));
        Box::pin(async move {
            let socket = connecting.await?.into_inner();
            Ok(TokioIo::new(Counted::new(socket, wire)))
        })
    }
}

impl Connection for Counted<TcpStream> {
    fn connected(&self) -> Connected {
        self.inner().connected()
    }
}
