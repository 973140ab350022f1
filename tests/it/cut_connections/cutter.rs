//! A proxy on loopback that passes every byte on, until it cuts all connections at the byte that a
//! test chose. What goes through is TLS to it: it reads nothing.

use std::{
    collections::VecDeque,
    fs,
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use socket2::SockRef;

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// As when a proxy is stopped: the end of what is read.
    Closed,
    /// As when one crashed.
    Reset,
}

/// When all connections end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    /// So many bytes after the cut before it, both ways together.
    pub(super) after: u64,
    pub(super) end: End,
}

#[derive(Default)]
struct State {
    cuts: VecDeque<Cut>,
    passed: u64,
    /// How many cuts were made.
    made: usize,
    open: Vec<TcpStream>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    away: AtomicBool,
    refused: AtomicUsize,
    ends: AtomicBool,
}

/// Ends when dropped.
pub(crate) struct Cutter {
    shared: Arc<Shared>,
    address: SocketAddr,
    pub(crate) kubeconfig: PathBuf,
}

impl Cutter {
    /// Stands before the API server of a kubeconfig; `folder` gets the one that leads here.
    pub(crate) fn start(kubeconfig: &Path, folder: &Path) -> Self {
        let text = fs::read_to_string(kubeconfig).unwrap();
        let server = text.split("server: https://").nth(1).unwrap();
        let upstream = server.split_whitespace().next().unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let kubeconfig = folder.join("cut.kubeconfig");
        fs::write(&kubeconfig, text.replace(&upstream, &address.to_string())).unwrap();
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.ends.load(SeqCst) {
                    break;
                }
                if accepting.away.load(SeqCst) {
                    accepting.refused.fetch_add(1, SeqCst);
                    continue;
                }
                let (Ok(client), Ok(server)) = (stream, TcpStream::connect(&upstream)) else {
                    continue;
                };
                pass(&accepting, &client, &server);
            }
        });
        Self { shared, address, kubeconfig }
    }

    /// Cuts from now on at these places, and at none after them.
    pub(super) fn cut(&self, cuts: VecDeque<Cut>) {
        let mut state = self.shared.state.lock().unwrap();
        (state.cuts, state.passed, state.made) = (cuts, 0, 0);
        state.open.clear();
    }

    /// Is away from now on, as an API server that restarts, or is there again.
    pub(crate) fn away(&self, away: bool) {
        self.shared.away.store(away, SeqCst);
        if away {
            let mut state = self.shared.state.lock().unwrap();
            state.made += 1;
            for stream in state.open.drain(..) {
                // It may have ended by itself.
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }

    /// How many connections came while it was away.
    pub(crate) fn refused(&self) -> usize {
        self.shared.refused.load(SeqCst)
    }

    /// How many cuts were made of them.
    pub(super) fn made(&self) -> usize {
        self.shared.state.lock().unwrap().made
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.shared.ends.store(true, SeqCst);
        // It may be waiting for one more.
        drop(TcpStream::connect(self.address));
    }
}

/// Both ways, each by a thread of its own.
fn pass(shared: &Arc<Shared>, client: &TcpStream, server: &TcpStream) {
    let both = [client, server].map(|stream| stream.try_clone().unwrap());
    shared.state.lock().unwrap().open.extend(both);
    for (from, to) in [(client, server), (server, client)] {
        let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        let shared = Arc::clone(shared);
        thread::spawn(move || flow(&shared, from, to));
    }
}

fn flow(shared: &Shared, mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = vec![0; 16 << 10];
    let made = shared.state.lock().unwrap().made;
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        let mut state = shared.state.lock().unwrap();
        if state.made != made {
            return;
        }
        let cut = state.cuts.front().copied().filter(|cut| state.passed + read as u64 > cut.after);
        let Some(cut) = cut else {
            state.passed += read as u64;
            drop(state);
            if to.write_all(&buffer[..read]).is_err() {
                break;
            }
            continue;
        };
        let some = usize::try_from(cut.after - state.passed).unwrap();
        // Gone already, perhaps.
        let _ = to.write_all(&buffer[..some]);
        state.cuts.pop_front();
        (state.passed, state.made) = (0, state.made + 1);
        for stream in state.open.drain(..) {
            // What is waiting in a read wakes up; with the last of them the connection is reset.
            let how = if cut.end == End::Reset { Shutdown::Read } else { Shutdown::Both };
            SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
            let _ = stream.shutdown(how);
        }
        return;
    }
    if shared.state.lock().unwrap().made == made {
        let _ = to.shutdown(Shutdown::Write);
    }
}
