//! A proxy on loopback that counts the bytes to and from the API server. What it passes on is TLS
//! to it.

use std::{
    fs,
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread,
};

use anyhow::{Context, Result};

#[derive(Default)]
struct Shared {
    passed: AtomicU64,
    ends: AtomicBool,
}

/// Ends when dropped.
pub(super) struct Counter {
    shared: Arc<Shared>,
    address: SocketAddr,
    pub(super) kubeconfig: PathBuf,
}

impl Counter {
    /// Stands before the API server of a kubeconfig; `folder` gets the one that leads here.
    pub(super) fn start(kubeconfig: &Path, folder: &Path) -> Result<Self> {
        let text = fs::read_to_string(kubeconfig)?;
        let server = text.split_once("server: https://").context("no server is named")?.1;
        let upstream = server.split_whitespace().next().unwrap_or_default();
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let counted = folder.join("counted.kubeconfig");
        fs::write(&counted, text.replacen(upstream, &address.to_string(), 1))?;
        let upstream = upstream.to_owned();
        let shared = Arc::new(Shared::default());
        let counting = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if counting.ends.load(SeqCst) {
                    break;
                }
                // Whoever is not connected sees it.
                let _ = stream.and_then(|client| pass(&counting, &client, &upstream));
            }
        });
        Ok(Self { shared, address, kubeconfig: counted })
    }

    /// Bytes so far, both ways.
    pub(super) fn passed(&self) -> u64 {
        self.shared.passed.load(SeqCst)
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.shared.ends.store(true, SeqCst);
        // It may be waiting for one more.
        drop(TcpStream::connect(self.address));
    }
}

fn pass(shared: &Arc<Shared>, client: &TcpStream, upstream: &str) -> std::io::Result<()> {
    let server = TcpStream::connect(upstream)?;
    for (from, to) in [(client, &server), (&server, client)] {
        let (mut from, mut to) = (from.try_clone()?, to.try_clone()?);
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            let mut buffer = vec![0; 64 << 10];
            while let Ok(read @ 1..) = from.read(&mut buffer) {
                shared.passed.fetch_add(read as u64, SeqCst);
                if to.write_all(&buffer[..read]).is_err() {
                    break;
                }
            }
            // Gone already, perhaps.
            let _ = to.shutdown(Shutdown::Write);
        });
    }
    Ok(())
}
