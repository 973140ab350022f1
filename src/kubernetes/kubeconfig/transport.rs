//! The client's transport to the API server: proxy, TLS, credentials; the same for requests and
//! WebSockets.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use anyhow::Result;
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{
    HeaderValue, Request, Response, StatusCode, Uri,
    header::{AUTHORIZATION, PROXY_AUTHORIZATION, UPGRADE},
};
use hyper::{
    body::Incoming,
    rt::{Read, ReadBufCursor, Write},
};
use hyper_openssl::client::legacy::{HttpsConnector, MaybeHttpsStream};
use hyper_timeout::TimeoutConnector;
use hyper_util::{
    client::legacy::{
        Client as HyperClient,
        connect::{
            Connected, Connection, HttpConnector,
            proxy::{SocksV5, Tunnel},
        },
    },
    rt::{TokioExecutor, TokioIo},
};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder, ConfigExt as _},
};
use openssl::x509::X509;
use tokio::net::TcpStream;
use tower_service::Service;

use super::{
    address::Address,
    credentials::Credentials,
    issued::Current,
    trust::{self, Identity},
    unusable,
};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type BoxFuture<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;
type Hyper = HyperClient<TimeoutConnector<HttpsConnector<Route>>, Body>;

/// kube's client on this transport.
pub(super) fn client(
    config: Config,
    credentials: Credentials,
    authorization: Option<HeaderValue>,
) -> Result<Client> {
    let roots = trust::roots(&config)?;
    let shared = Shared { config, roots, credentials, authorization, connected: Mutex::default() };
    // Configuration errors are found here, not with the first request.
    shared.connect(None)?;
    let headers = shared.config.extra_headers_layer()?;
    let base = shared.config.base_uri_layer();
    let namespace = shared.config.default_namespace.clone();
    let transport = Transport(Arc::new(shared));
    Ok(ClientBuilder::new(transport, namespace).with_layer(&headers).with_layer(&base).build())
}

/// A proxy for [`Config::proxy_url`]: with user, password and an explicit port.
pub(super) fn proxy_uri(proxy: &Address) -> Option<Uri> {
    let uri = Address { port: Some(proxy.port()), path: String::new(), ..proxy.clone() }.uri()?;
    let Some(info) = &proxy.user_info else { return Some(uri) };
    let mut parts = uri.into_parts();
    let authority = format!("{info}@{}", parts.authority?);
    parts.authority = Some(authority.parse().ok()?);
    Uri::from_parts(parts).ok()
}

struct Shared {
    config: Config,
    roots: Vec<X509>,
    credentials: Credentials,
    authorization: Option<HeaderValue>,
    /// The connections of one client certificate; another certificate needs new ones.
    connected: Mutex<Option<(Option<Arc<Identity>>, Pools)>>,
}

/// Reusable connections.
#[derive(Clone)]
struct Pools {
    requests: Hyper,
    /// For a proxy that forwards requests, WebSockets need a tunnel.
    upgrades: Hyper,
    /// For a proxy that forwards requests.
    proxy_authorization: Option<HeaderValue>,
}

impl Shared {
    fn pools(&self, identity: Option<&Arc<Identity>>) -> Result<Pools> {
        let mut connected = self.connected.lock().unwrap_or_else(PoisonError::into_inner);
        match &*connected {
            Some((of, pools)) if of.as_ref().map(Arc::as_ptr) == identity.map(Arc::as_ptr) => {
                Ok(pools.clone())
            }
            _ => {
                let pools = self.connect(identity.map(Arc::as_ref))?;
                *connected = Some((identity.cloned(), pools.clone()));
                Ok(pools)
            }
        }
    }

    fn connect(&self, identity: Option<&Identity>) -> Result<Pools> {
        // A SOCKS proxy only has tunnels: its address does not belong in a request.
        let proxy = self.config.proxy_url.as_ref().filter(|proxy| !is_socks(proxy));
        let is_plain = self.config.cluster_url.scheme_str() == Some("http");
        let proxy = proxy.filter(|_| is_plain);
        let hyper = |forwards| {
            let route = Route::new(&self.config, &self.roots, identity, forwards)?;
            let https = trust::https(route, &self.config, &self.roots, identity)?;
            let mut connector = TimeoutConnector::new(https);
            connector.set_connect_timeout(self.config.connect_timeout);
            connector.set_read_timeout(self.config.read_timeout);
            connector.set_write_timeout(self.config.write_timeout);
            connector.set_reset_reader_on_write(self.config.reset_reader_on_write);
            Ok::<Hyper, anyhow::Error>(HyperClient::builder(TokioExecutor::new()).build(connector))
        };
        let requests = hyper(proxy.is_some())?;
        let upgrades = if proxy.is_some() { hyper(false)? } else { requests.clone() };
        let proxy_authorization = proxy.and_then(user).map(|user| basic(&user));
        Ok(Pools { requests, upgrades, proxy_authorization })
    }
}

/// The service below kube's client.
#[derive(Clone)]
struct Transport(Arc<Shared>);

impl Service<Request<Body>> for Transport {
    type Response = Response<Incoming>;
    type Error = BoxError;
    type Future = BoxFuture<Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            let current = shared.credentials.current().await?;
            let Current { authorization, identity } = &*current;
            if let Some(value) = shared.authorization.as_ref().or(authorization.as_ref()) {
                request.headers_mut().insert(AUTHORIZATION, value.clone());
            }
            let pools = shared.pools(identity.as_ref())?;
            let response = if request.headers().contains_key(UPGRADE) {
                pools.upgrades.request(request)
            } else {
                if let Some(value) = pools.proxy_authorization {
                    request.headers_mut().insert(PROXY_AUTHORIZATION, value);
                }
                pools.requests.request(request)
            };
            let response = response.await?;
            if response.status() == StatusCode::UNAUTHORIZED {
                shared.credentials.expire(&current).await;
            }
            Ok(response)
        })
    }
}

/// How to open a TCP connection.
#[derive(Clone)]
enum Route {
    Direct(HttpConnector),
    /// To the proxy, which gets the whole URL.
    Forward(HttpsConnector<HttpConnector>, Uri),
    Tunnel(Tunnel<HttpsConnector<HttpConnector>>),
    Socks(SocksV5<HttpConnector>),
}

impl Route {
    fn new(
        config: &Config,
        roots: &[X509],
        identity: Option<&Identity>,
        forwards: bool,
    ) -> Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let Some(proxy) = &config.proxy_url else { return Ok(Self::Direct(tcp)) };
        let user = user(proxy);
        if is_socks(proxy) {
            let socks = SocksV5::new(proxy.clone(), tcp);
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            return Ok(Self::Socks(match user {
                Some((user, password)) => socks.with_auth(text(&user), text(&password)),
                None => socks,
            }));
        }
        // As in Go, the same CAs are trusted for the proxy and the server.
        let https = trust::https(tcp, config, roots, identity)?;
        if forwards {
            return Ok(Self::Forward(https, proxy.clone()));
        }
        let tunnel = Tunnel::new(proxy.clone(), https);
        Ok(Self::Tunnel(match user {
            Some(user) => tunnel.with_auth(basic(&user)),
            None => tunnel,
        }))
    }
}

fn is_socks(proxy: &Uri) -> bool {
    proxy.scheme_str().is_some_and(|scheme| scheme.starts_with("socks5"))
}

fn user(proxy: &Uri) -> Option<(Vec<u8>, Vec<u8>)> {
    Address::parse(&proxy.to_string())?.user()
}

/// The value of an `Authorization` header.
pub(super) fn basic((user, password): &(Vec<u8>, Vec<u8>)) -> HeaderValue {
    let mut pair = user.clone();
    pair.push(b':');
    pair.extend_from_slice(password);
    let text = format!("Basic {}", STANDARD.encode(pair));
    let mut value = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

impl Service<Uri> for Route {
    type Response = Stream;
    type Error = BoxError;
    type Future = BoxFuture<Stream>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        // None of these waits.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let mut route = self.clone();
        Box::pin(async move {
            let is_forwarded = matches!(route, Self::Forward(..));
            let stream = match &mut route {
                Self::Direct(tcp) => MaybeHttpsStream::Http(tcp.call(target).await?),
                Self::Forward(https, proxy) => https.call(proxy.clone()).await?,
                Self::Tunnel(tunnel) => tunnel.call(with_port(&target)?).await?,
                Self::Socks(socks) => {
                    MaybeHttpsStream::Http(socks.call(with_port(&target)?).await?)
                }
            };
            Ok(Stream { stream, is_forwarded })
        })
    }
}

/// Tunnels use port 443 for every URL without a port.
fn with_port(target: &Uri) -> Result<Uri> {
    let address = Address::parse(&target.to_string());
    let address = address.map(|address| Address { port: Some(address.port()), ..address });
    address.and_then(|address| address.uri()).ok_or_else(|| unusable("the server has no host"))
}

/// A connection, with TLS to the proxy if configured.
struct Stream {
    stream: MaybeHttpsStream<TokioIo<TcpStream>>,
    is_forwarded: bool,
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        self.stream.connected().proxy(self.is_forwarded)
    }
}
