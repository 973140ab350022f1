//! What `cargo xtask bench serve` measures against: actix and OpenSSL alone, as diyadm sets them
//! up, reading the whole body and answering with as many bytes as diyadm would.
//!
//! `echo CERT KEY ADDRESS:PORT ANSWER_BYTES`

use std::{env, time::Duration};

use actix_web::{App, HttpResponse, HttpServer, web};
use futures_util::StreamExt;
use openssl::ssl::{SslAcceptor, SslFiletype, SslMethod};

fn main() -> anyhow::Result<()> {
    actix_web::rt::System::new().block_on(serve())
}

async fn serve() -> anyhow::Result<()> {
    let args: Vec<String> = env::args().collect();
    let [_, cert, key, listen, bytes] = args.as_slice() else {
        anyhow::bail!("echo CERT KEY ADDRESS:PORT ANSWER_BYTES");
    };
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
    acceptor.set_certificate_chain_file(cert)?;
    acceptor.set_private_key_file(key, SslFiletype::PEM)?;
    let answer = web::Bytes::from(vec![b' '; bytes.parse()?]);
    let server = HttpServer::new(move || {
        let answer = answer.clone();
        App::new().default_service(web::post().to(move |mut payload: web::Payload| {
            let answer = answer.clone();
            async move {
                let mut body = Vec::new();
                while let Some(Ok(chunk)) = payload.next().await {
                    body.extend_from_slice(&chunk);
                }
                std::hint::black_box(&body);
                HttpResponse::Ok().content_type("application/json").body(answer)
            }
        }))
    });
    server
        .workers(1)
        .keep_alive(Duration::from_secs(120))
        .tcp_nodelay(true)
        .bind_openssl(listen, acceptor)?
        .run()
        .await?;
    Ok(())
}
