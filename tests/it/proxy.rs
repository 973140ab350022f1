//! A proxy on loopback before the API server, with a kubeconfig of its own: it counts requests,
//! and loses, refuses or cuts those that a test chooses.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use openssl::{
    pkey::PKey,
    ssl::{SslConnector, SslMethod, SslStream},
    x509::X509,
};

use rustix::event::{PollFd, PollFlags, poll};

use super::rig::{Run, program};

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The API server answers.
    Pass,
    /// The API server does the work, and the connection ends without an answer.
    Lose,
    /// The API server does the work, and the client is killed before the answer.
    Kill,
    /// The API server never sees it: this status instead, with a Retry-After of so many seconds.
    Refuse(u16, Option<u32>),
    /// Nobody answers, as long as this is its fate; then the connection ends.
    Hold,
    /// The API server never sees it: this JSON instead.
    Answer(&'static str),
    /// The API server answers, and is offered `v4.channel.k8s.io` alone where it is a WebSocket.
    Version4,
    /// The API server answers, and never sees that an upgrade was asked for.
    NoUpgrade,
    /// The API server answers, and an agent behind a WebSocket says nothing of leases, as an earlier one.
    NoLeases,
}

/// Where the requests go, and as whom.
struct Upstream {
    address: String,
    connector: SslConnector,
}

/// Which request of a run, from 1, and `GET /path`.
type Judge = dyn Fn(usize, &str) -> Fate + Send + Sync;

struct Shared {
    upstream: Upstream,
    judge: Mutex<Box<Judge>>,
    count: AtomicUsize,
    seen: Mutex<Vec<String>>,
    victim: Mutex<Option<u32>>,
    ends: AtomicBool,
}

/// Ends when dropped.
pub(crate) struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
    kubeconfig: PathBuf,
}

impl Proxy {
    /// Stands before the API server of a kubeconfig with a client certificate; `folder` gets the
    /// one that leads to the proxy.
    pub(crate) fn start(kubeconfig: &Path, folder: &Path) -> Self {
        let text = fs::read_to_string(kubeconfig).unwrap();
        let fields: BTreeMap<_, _> =
            text.lines().filter_map(|l| l.trim().split_once(": ")).collect();
        let pem = |field: &str| STANDARD.decode(fields[field]).unwrap();
        let mut builder = SslConnector::builder(SslMethod::tls_client()).unwrap();
        let ca = X509::from_pem(&pem("certificate-authority-data")).unwrap();
        builder.cert_store_mut().add_cert(ca).unwrap();
        let certificate = X509::from_pem(&pem("client-certificate-data")).unwrap();
        builder.set_certificate(&certificate).unwrap();
        let key = PKey::private_key_from_pem(&pem("client-key-data")).unwrap();
        builder.set_private_key(&key).unwrap();
        let address = fields["server"].strip_prefix("https://").unwrap().to_owned();
        let upstream = Upstream { address, connector: builder.build() };

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            upstream,
            judge: Mutex::new(Box::new(|_, _| Fate::Pass)),
            count: AtomicUsize::new(0),
            seen: Mutex::default(),
            victim: Mutex::default(),
            ends: AtomicBool::new(false),
        });
        let kubeconfig = folder.join(format!("proxy-{}.kubeconfig", address.port()));
        let config = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: proxy\n\
             clusters: [{{name: proxy, cluster: {{server: 'http://{address}'}}}}]\n\
             users: [{{name: proxy, user: {{}}}}]\n\
             contexts: [{{name: proxy, context: {{cluster: proxy, user: proxy}}}}]\n"
        );
        fs::write(&kubeconfig, config).unwrap();
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.ends.load(SeqCst) {
                    break;
                }
                let shared = Arc::clone(&accepting);
                // Whoever is cut off in the middle is no failure of the proxy.
                thread::spawn(move || stream.and_then(|stream| serve(&shared, stream)));
            }
        });
        Self { shared, address, kubeconfig }
    }

    /// Runs the program through the proxy, each request with the fate that `judge` says; what it
    /// left behind, and the requests that were seen.
    pub(crate) fn run(
        &self,
        folder: &Path,
        args: &[&str],
        judge: impl Fn(usize, &str) -> Fate + Send + Sync + 'static,
    ) -> (Run, Vec<String>) {
        self.judge(judge);
        self.shared.count.store(0, SeqCst);
        self.shared.seen.lock().unwrap().clear();
        let child = self.spawn(folder, args);
        *self.shared.victim.lock().unwrap() = Some(child.id());
        let output = child.wait_with_output().unwrap();
        *self.shared.victim.lock().unwrap() = None;
        let run = Run {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        (run, self.shared.seen.lock().unwrap().clone())
    }

    /// What becomes of each request from now on, and of those that are held.
    pub(crate) fn judge(&self, judge: impl Fn(usize, &str) -> Fate + Send + Sync + 'static) {
        *self.shared.judge.lock().unwrap() = Box::new(judge);
    }

    /// How many requests had this in their path so far.
    pub(crate) fn seen(&self, part: &str) -> usize {
        self.shared.seen.lock().unwrap().iter().filter(|request| request.contains(part)).count()
    }

    /// The program, to be run on this proxy.
    pub(crate) fn program(&self, folder: &Path, args: &[&str]) -> Command {
        let mut command = program(folder);
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(args);
        command
    }

    /// The program, started, on this proxy.
    pub(crate) fn spawn(&self, folder: &Path, args: &[&str]) -> Child {
        let mut command = self.program(folder, args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ends.store(true, SeqCst);
        // It may be waiting for one more.
        drop(TcpStream::connect(self.address));
    }
}

/// One request of a connection, then the next.
fn serve(shared: &Shared, stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    loop {
        let (mut head, mut length, mut upgrades) = (String::new(), 0, false);
        let mut first = String::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if first.is_empty() {
                first.clone_from(&line);
            }
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            if line == "\r\n" {
                break;
            }
            upgrades |= lower.starts_with("upgrade:");
            // The one to the API server ends with its answer.
            if !lower.starts_with("connection:") {
                head.push_str(&line);
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let mut words = first.split(' ');
        let (verb, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let request = format!("{verb} {path}");
        let number = shared.count.fetch_add(1, SeqCst) + 1;
        shared.seen.lock().unwrap().push(request.clone());
        let fate = shared.judge.lock().unwrap()(number, &request);
        if let Fate::Refuse(code, after) = fate {
            let after = after.map(|after| format!("Retry-After: {after}\r\n")).unwrap_or_default();
            let answer = format!("HTTP/1.1 {code} Refused\r\n{after}Content-Length: 3\r\n\r\nno\n");
            stream.write_all(answer.as_bytes())?;
            continue;
        }
        if let Fate::Answer(json) = fate {
            let kind = "Content-Type: application/json";
            let length = json.len();
            let answer =
                format!("HTTP/1.1 200 OK\r\n{kind}\r\nContent-Length: {length}\r\n\r\n{json}");
            stream.write_all(answer.as_bytes())?;
            continue;
        }
        if fate == Fate::Hold {
            return hold(shared, &stream, || {
                shared.judge.lock().unwrap()(number, &request) == Fate::Hold
            });
        }
        if upgrades && fate == Fate::Version4 {
            head = head.replace("v5.channel.k8s.io, ", "");
            assert!(head.contains("v4.channel.k8s.io") && !head.contains("v5.channel.k8s.io"));
        }
        if upgrades && fate == Fate::NoUpgrade {
            let is_kept = |line: &&str| !line.to_ascii_lowercase().starts_with("upgrade:");
            head = head.split_inclusive('\n').filter(is_kept).collect();
        } else if upgrades {
            return pass(&shared.upstream, &head, stream, fate);
        }
        let answer = ask(&shared.upstream, &head, &body)?;
        match fate {
            Fate::Kill => {
                let victim = shared.victim.lock().unwrap().expect("no client runs");
                let killed = Command::new("kill").args(["-KILL", &victim.to_string()]).status()?;
                assert!(killed.success());
                return Ok(());
            }
            Fate::Lose => return Ok(()),
            Fate::Pass
            | Fate::Refuse(..)
            | Fate::Hold
            | Fate::Answer(_)
            | Fate::Version4
            | Fate::NoUpgrade
            | Fate::NoLeases => {
                stream.write_all(&answer)?;
                return stream.shutdown(std::net::Shutdown::Both);
            }
        }
    }
}

/// Answers nothing until the client has had enough.
fn hold(
    shared: &Shared,
    mut stream: &TcpStream,
    is_held: impl Fn() -> bool,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_millis(50)))?;
    while is_held() && !shared.ends.load(SeqCst) {
        match stream.read(&mut [0]) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            _ => break,
        }
    }
    Ok(())
}

/// Both ways, until one side ends.
fn pass(upstream: &Upstream, head: &str, mut client: TcpStream, fate: Fate) -> std::io::Result<()> {
    let mut server = connect(upstream)?;
    server.write_all(head.as_bytes())?;
    server.write_all(b"Connection: Upgrade\r\n\r\n")?;
    let mut buffer = vec![0; 16 << 10];
    loop {
        let both = [client.as_fd(), server.get_ref().as_fd()];
        let mut both = both.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        poll(&mut both, None)?;
        let [typed, said] = both.map(|fd| !fd.revents().is_empty());
        if typed {
            match client.read(&mut buffer)? {
                0 => return Ok(()),
                read => server.write_all(&buffer[..read])?,
            }
        }
        if !said {
            continue;
        }
        // What came may be of TLS alone, and nothing for the client.
        server.get_ref().set_nonblocking(true)?;
        loop {
            match server.read(&mut buffer) {
                Ok(0) => return client.shutdown(std::net::Shutdown::Both),
                Ok(read) => {
                    let said = &mut buffer[..read];
                    if fate == Fate::NoLeases {
                        rename_lease(said);
                    }
                    client.write_all(said)?;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        server.get_ref().set_nonblocking(false)?;
    }
}

/// Gives the member `lease` of an agent's hello a name of the same length that no client knows.
fn rename_lease(said: &mut [u8]) {
    let member = br#""lease":true"#;
    if let Some(at) = said.windows(member.len()).position(|part| part == member) {
        said[at + 1..at + 6].copy_from_slice(b"other");
    }
}

fn connect(upstream: &Upstream) -> std::io::Result<SslStream<TcpStream>> {
    let stream = TcpStream::connect(&upstream.address)?;
    let stream = upstream.connector.connect("127.0.0.1", stream);
    stream.map_err(std::io::Error::other)
}

/// The API server's whole answer.
fn ask(upstream: &Upstream, head: &str, body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = connect(upstream)?;
    stream.write_all(head.as_bytes())?;
    stream.write_all(b"Connection: close\r\n\r\n")?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    // The API server may end without a word of TLS.
    match stream.read_to_end(&mut answer) {
        Err(error) if answer.is_empty() => Err(error),
        _ => Ok(answer),
    }
}
