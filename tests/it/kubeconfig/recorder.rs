//! An API server and a proxy on loopback that record requests and refuse all of them.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use openssl::ssl::{NameType, Ssl, SslAcceptor, SslMethod, SslVerifyMode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};
use tokio_openssl::SslStream;

use super::certificates::Certificates;

/// What has come.
#[derive(Default)]
struct Seen {
    /// Who asked, and through which proxy; one that came twice stands here once.
    visitors: BTreeSet<String>,
    paths: Vec<String>,
}

#[derive(Clone)]
struct Shared {
    seen: Arc<Mutex<Seen>>,
    acceptor: SslAcceptor,
    api: SocketAddr,
}

/// Ends when dropped.
pub(super) struct Recorder {
    shared: Shared,
    proxy: SocketAddr,
    _runtime: Runtime,
}

impl Recorder {
    pub(super) fn start(certificates: &Certificates) -> Self {
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
        acceptor.set_certificate(&certificates.server.certificate).unwrap();
        acceptor.set_private_key(&certificates.server.key).unwrap();
        acceptor.set_verify_callback(SslVerifyMode::PEER, |_, _| true);
        acceptor.set_session_id_context(b"recorder").unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listen = || runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let (api, proxy) = (listen(), listen());
        let shared = Shared {
            seen: Arc::default(),
            acceptor: acceptor.build(),
            api: api.local_addr().unwrap(),
        };
        let address = proxy.local_addr().unwrap();
        runtime.spawn(accept(api, shared.clone(), Role::Api));
        runtime.spawn(accept(proxy, shared.clone(), Role::Proxy));
        Self { shared, proxy: address, _runtime: runtime }
    }

    /// `127.0.0.1:PORT` of the API server.
    pub(super) fn api(&self) -> SocketAddr {
        self.shared.api
    }

    /// `127.0.0.1:PORT` of the proxy: HTTP, HTTPS and SOCKS5, whatever the target a way to the API
    /// server.
    pub(super) fn proxy(&self) -> SocketAddr {
        self.proxy
    }

    /// Who has come since the last time, and the paths that were asked for.
    pub(super) fn take(&self) -> (BTreeSet<String>, Vec<String>) {
        let Seen { visitors, paths } = std::mem::take(&mut *self.shared.seen.lock().unwrap());
        (visitors, paths)
    }
}

#[derive(Clone, Copy)]
enum Role {
    Api,
    Proxy,
}

async fn accept(listener: TcpListener, shared: Shared, role: Role) {
    while let Ok((stream, _)) = listener.accept().await {
        // A client that hangs up is no failure of the recorder.
        tokio::spawn(welcome(stream, shared.clone(), role));
    }
}

async fn welcome(mut stream: TcpStream, shared: Shared, role: Role) -> Option<()> {
    let mut first = [0];
    stream.peek(&mut first).await.ok()?;
    match (first[0], role) {
        (0x16, _) => {
            let ssl = Ssl::new(shared.acceptor.context()).unwrap();
            let mut stream = SslStream::new(ssl, stream).unwrap();
            std::pin::Pin::new(&mut stream).accept().await.ok()?;
            let certificate = stream.ssl().peer_certificate().map(|certificate| {
                let name = certificate.subject_name().entries().next().unwrap();
                name.data().to_string().unwrap()
            });
            let name = stream.ssl().servername(NameType::HOST_NAME);
            let tls = json!({ "name": name, "certificate": certificate });
            serve(stream, &shared, role, tls).await
        }
        (0x05, Role::Proxy) => {
            let visitor = socks(&mut stream).await?;
            tunnel(stream, &shared, visitor).await
        }
        _ => serve(stream, &shared, role, Value::Null).await,
    }
}

/// Requests until the client is done, or has a tunnel.
async fn serve<S>(mut stream: S, shared: &Shared, role: Role, tls: Value) -> Option<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.ok()?);
        }
        let head = String::from_utf8_lossy(&head);
        let mut lines = head.lines();
        let mut words = lines.next()?.split(' ');
        let (verb, target) = (words.next()?, words.next()?);
        let named = lines.filter_map(|line| line.split_once(": "));
        let mut headers: Vec<_> = named
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .filter(|(name, _)| name.contains("authorization") || name.starts_with("impersonate"))
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        headers.sort();
        if verb == "CONNECT" {
            let visitor = json!({ "connect": target, "headers": headers, "tls": tls });
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok()?;
            return tunnel(stream, shared, visitor).await;
        }
        // A path below the server's own: what is asked for is each program's affair.
        let own = target.find("/version").or(target.find("/api")).unwrap_or(target.len());
        let is_proxy = matches!(role, Role::Proxy);
        {
            let mut seen = shared.seen.lock().unwrap();
            let base = &target[..own];
            let visitor =
                json!({ "base": base, "headers": headers, "tls": tls, "proxy": is_proxy });
            seen.visitors.insert(visitor.to_string());
            seen.paths.push(target[own..].to_owned());
        }
        let body = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","code":403}"#;
        let answer = format!(
            "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).await.ok()?;
    }
}

async fn tunnel<S>(mut stream: S, shared: &Shared, visitor: Value) -> Option<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    shared.seen.lock().unwrap().visitors.insert(visitor.to_string());
    let mut server = TcpStream::connect(shared.api).await.ok()?;
    copy_bidirectional(&mut stream, &mut server).await.ok()?;
    Some(())
}

/// The server's part of RFC 1928 and 1929; a password is asked for where one is offered.
async fn socks(stream: &mut TcpStream) -> Option<Value> {
    let _version = stream.read_u8().await.ok()?;
    let methods = texts(stream).await?;
    let mut user = Value::Null;
    if methods.contains(&2) {
        stream.write_all(&[5, 2]).await.ok()?;
        let _version = stream.read_u8().await.ok()?;
        let pair = [texts(stream).await?, texts(stream).await?];
        user = json!(pair.map(|part| STANDARD.encode(part)));
        stream.write_all(&[1, 0]).await.ok()?;
    } else {
        stream.write_all(&[5, 0]).await.ok()?;
    }
    let mut request = [0; 4];
    stream.read_exact(&mut request).await.ok()?;
    let host = match request[3] {
        1 => std::net::Ipv4Addr::from(stream.read_u32().await.ok()?).to_string(),
        _ => String::from_utf8_lossy(&texts(stream).await?).into_owned(),
    };
    let port = stream.read_u16().await.ok()?;
    stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.ok()?;
    Some(json!({ "socks": format!("{host}:{port}"), "user": user }))
}

/// Bytes after their number.
async fn texts(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = vec![0; stream.read_u8().await.ok()?.into()];
    stream.read_exact(&mut bytes).await.ok()?;
    Some(bytes)
}
