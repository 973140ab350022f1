//! A workload's own probe, run inside its container. Differences from the kubelet's probes: it tries
//! the Pod's address, then loopback; `grpc` only checks that the port accepts a connection, and
//! `httpGet` with `scheme: HTTPS` only checks that the server answers a TLS handshake.

use std::{
    fs,
    io::{self, BufRead as _, BufReader, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    os::unix::process::CommandExt as _,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;

use super::tls;

/// Bytes of an HTTP answer that are read: only the status line is used.
const MOST_STATUS_LINE: u64 = 4096;

/// The parts of a core/v1 Probe that define the check. Ports are numbers here; emptying resolves
/// port names.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Probe {
    http_get: Option<HttpGet>,
    tcp_socket: Option<Port>,
    grpc: Option<Port>,
    exec: Option<Exec>,
    timeout_seconds: Option<u32>,
    /// How long an application may take to start.
    pub(super) initial_delay_seconds: u32,
}

#[derive(Debug, Deserialize)]
struct Port {
    #[serde(default)]
    host: String,
    port: u16,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct HttpGet {
    #[serde(flatten)]
    port: Port,
    #[serde(default)]
    path: String,
    #[serde(default)]
    scheme: String,
    #[serde(default)]
    http_headers: Vec<Header>,
}

#[derive(Debug, Deserialize)]
struct Header {
    name: String,
    value: String,
}

#[derive(Debug, Deserialize)]
struct Exec {
    #[serde(default)]
    command: Vec<String>,
}

/// A probe from its JSON text; without one, a probe that always succeeds.
pub(super) fn parse(text: Option<&str>) -> Result<Probe> {
    let parsed = text.map(|text| serde_json::from_str(text).context("--probe is not a probe"));
    parsed.unwrap_or_else(|| Ok(Probe::default()))
}

/// Probes once, within the probe's timeout.
pub(super) fn run(probe: &Probe) -> Result<()> {
    let seconds = u64::from(probe.timeout_seconds.unwrap_or(1).max(1));
    check(probe, Instant::now() + Duration::from_secs(seconds))
}

fn check(probe: &Probe, deadline: Instant) -> Result<()> {
    match probe {
        Probe { http_get: Some(get), .. } => http(get, deadline),
        Probe { tcp_socket: Some(port), .. } | Probe { grpc: Some(port), .. } => {
            open(port, deadline).map(drop)
        }
        Probe { exec: Some(exec), .. } => execute(exec, deadline),
        _ => Ok(()),
    }
}

/// The remaining time, never zero, which would mean no timeout to the standard library.
fn left(deadline: Instant) -> Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    ensure!(!left.is_zero(), "it timed out");
    Ok(left)
}

/// A connection whose reads and writes time out at the deadline.
#[derive(Debug)]
struct Bounded {
    stream: TcpStream,
    deadline: Instant,
}

impl Bounded {
    fn left(&self) -> io::Result<Option<Duration>> {
        left(self.deadline).map(Some).map_err(|_| io::ErrorKind::TimedOut.into())
    }
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(buffer)
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Connects to the first address of the Pod that accepts.
fn open(port: &Port, deadline: Instant) -> Result<Bounded> {
    let mut failed = anyhow!("host {:?} has no address", port.host);
    for address in addresses(&port.host) {
        match TcpStream::connect_timeout(&SocketAddr::new(address, port.port), left(deadline)?) {
            Ok(stream) => return Ok(Bounded { stream, deadline }),
            Err(error) => failed = anyhow!("port {}: {error}", port.port),
        }
    }
    Err(failed)
}

/// The addresses of `host`; without a host, those of the Pod. A static program has no resolver, so
/// names are looked up in /etc/hosts, where the kubelet writes the Pod's own name.
fn addresses(host: &str) -> Vec<IpAddr> {
    if let Ok(address) = host.parse() {
        return vec![address];
    }
    let hosts = fs::read_to_string("/etc/hosts").unwrap_or_default();
    if !host.is_empty() {
        return in_hosts(&hosts, host);
    }
    let own = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let mut all = in_hosts(&hosts, own.trim());
    all.extend([IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]);
    all
}

fn in_hosts(hosts: &str, name: &str) -> Vec<IpAddr> {
    let line = |line: &str| {
        let mut words = line.split('#').next()?.split_whitespace();
        let address = words.next()?.parse().ok()?;
        words.any(|word| word == name).then_some(address)
    };
    hosts.lines().filter_map(line).collect()
}

fn http(get: &HttpGet, deadline: Instant) -> Result<()> {
    let stream = open(&get.port, deadline)?;
    if get.scheme.eq_ignore_ascii_case("https") {
        return tls::greet(stream);
    }
    let status = exchange(stream, &request(get))?;
    ensure!((200..400).contains(&status), "GET {} answered {status}", path(get));
    Ok(())
}

fn path(get: &HttpGet) -> &str {
    if get.path.is_empty() { "/" } else { &get.path }
}

fn request(get: &HttpGet) -> String {
    let has = |name: &str| get.http_headers.iter().any(|h| h.name.eq_ignore_ascii_case(name));
    let slash = if path(get).starts_with('/') { "" } else { "/" };
    let mut text = format!("GET {slash}{} HTTP/1.1\r\n", path(get));
    let host = if get.port.host.is_empty() { "localhost" } else { &get.port.host };
    let own = [
        ("Host", format!("{host}:{}", get.port.port)),
        ("User-Agent", "kube-probe/diyadm".to_owned()),
        ("Accept", "*/*".to_owned()),
    ];
    for (name, value) in own.iter().filter(|(name, _)| !has(name)) {
        text.extend([*name, ": ", value, "\r\n"]);
    }
    for Header { name, value } in &get.http_headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    text + "Connection: close\r\n\r\n"
}

/// Sends the request and reads the status.
fn exchange(mut stream: impl Read + Write, request: &str) -> Result<u16> {
    stream.write_all(request.as_bytes())?;
    let mut line = Vec::new();
    BufReader::new(stream).take(MOST_STATUS_LINE).read_until(b'\n', &mut line)?;
    let line = String::from_utf8_lossy(&line);
    let status = line.strip_prefix("HTTP/").and_then(|rest| rest.split(' ').nth(1));
    status.and_then(|status| status.trim().parse().ok()).context("the answer is not HTTP")
}

fn execute(exec: &Exec, deadline: Instant) -> Result<()> {
    let (program, args) = exec.command.split_first().context("the command is empty")?;
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        // Its own process group, so that a timeout also ends processes that it started.
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot run {program}"))?;
    loop {
        if let Some(status) = child.try_wait()? {
            ensure!(status.success(), "{program}: {status}");
            return Ok(());
        }
        if let Err(timeout) = left(deadline) {
            // An error means that it has already ended.
            let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
            child.wait()?;
            return Err(timeout);
        }
        thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, path::Path, process};

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    fn probe(text: &str) -> Result<()> {
        check(&serde_json::from_str(text).unwrap(), soon())
    }

    /// Answers one request with `answer`; returns the port, and later the request.
    fn server(answer: &'static str) -> (u16, thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let asked = lines.map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
            stream.write_all(answer.as_bytes()).unwrap();
            asked
        });
        (port, asked)
    }

    #[test]
    fn http_probe_succeeds_from_200_to_399() {
        for (answer, good) in [
            ("HTTP/1.1 200 OK\r\n\r\n", true),
            ("HTTP/1.1 302 Found\r\n\r\n", true),
            ("HTTP/1.1 503 Service Unavailable\r\n\r\n", false),
            ("SSH-2.0-x\r\n", false),
            ("", false),
        ] {
            let (port, asked) = server(answer);
            let text = format!(
                r#"{{"httpGet":{{"path":"/health?a=b","port":{port},"host":"127.0.0.1","httpHeaders":[{{"name":"host","value":"shop"}}]}}}}"#
            );
            assert_eq!(probe(&text).is_ok(), good, "{answer}");
            let asked = asked.join().unwrap();
            assert_eq!(asked[0], "GET /health?a=b HTTP/1.1");
            let hosts = asked.iter().filter(|line| line.to_lowercase().starts_with("host:"));
            assert_eq!(hosts.collect::<Vec<_>>(), ["host: shop"]);
        }
    }

    /// `openssl s_server` on a port that it chooses.
    struct TlsServer {
        port: u16,
        child: process::Child,
    }

    impl TlsServer {
        fn start(certificate: &Path, more: &[&str]) -> Self {
            let mut command = Command::new("openssl");
            command.args(["s_server", "-accept", "127.0.0.1:0", "-www", "-cert"]).arg(certificate);
            let mut child = command.args(more).stdout(Stdio::piped()).spawn().unwrap();
            let lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let port = lines
                .map(Result::unwrap)
                .find_map(|line| line.strip_prefix("ACCEPT ")?.rsplit_once(':')?.1.parse().ok());
            Self { port: port.unwrap(), child }
        }
    }

    impl Drop for TlsServer {
        fn drop(&mut self) {
            self.child.kill().and_then(|()| self.child.wait()).unwrap();
        }
    }

    #[test]
    fn https_probe_succeeds_where_a_server_speaks_tls() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("both.pem");
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x"]);
        openssl.arg("-keyout").arg(&file).arg("-out").arg(folder.path().join("cert.pem"));
        assert!(openssl.stderr(Stdio::null()).status().unwrap().success());
        let certificate = fs::read(folder.path().join("cert.pem")).unwrap();
        fs::OpenOptions::new().append(true).open(&file).unwrap().write_all(&certificate).unwrap();
        let text = |port| {
            format!(r#"{{"httpGet":{{"port":{port},"host":"127.0.0.1","scheme":"HTTPS"}}}}"#)
        };
        for more in [&["-tls1_3"][..], &["-tls1_2"], &["-groups", "P-384"]] {
            let server = TlsServer::start(&file, more);
            probe(&text(server.port)).unwrap_or_else(|error| panic!("{more:?}: {error:#}"));
        }
        let (port, _) = server("HTTP/1.1 400 Bad Request\r\n\r\n");
        let error = probe(&text(port)).unwrap_err();
        assert!(error.to_string().contains("does not speak TLS"), "{error:#}");
    }

    #[test]
    fn tcp_probe_succeeds_where_something_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let text = |kind: &str| format!(r#"{{"{kind}":{{"port":{port},"host":"127.0.0.1"}}}}"#);
        probe(&text("tcpSocket")).unwrap();
        probe(&text("grpc")).unwrap();
        drop(listener);
        probe(&text("tcpSocket")).unwrap_err();
    }

    #[test]
    fn exec_probe_is_judged_by_its_exit_code_and_ends_in_time() {
        probe(r#"{"exec":{"command":["true"]}}"#).unwrap();
        probe(r#"{"exec":{"command":["false"]}}"#).unwrap_err();
        probe(r#"{"exec":{"command":[]}}"#).unwrap_err();
        let endless = serde_json::from_str(r#"{"exec":{"command":["sleep","1000"]}}"#).unwrap();
        let error = check(&endless, Instant::now()).unwrap_err();
        assert_eq!(error.to_string(), "it timed out");
    }

    #[test]
    fn pod_address_is_read_from_the_hosts_file() {
        let hosts =
            "# Kubernetes\n127.0.0.1\tlocalhost\nfe00::0 ip6-x\n10.1.2.3\tweb-0 web # own\n";
        assert_eq!(in_hosts(hosts, "web-0"), ["10.1.2.3".parse::<IpAddr>().unwrap()]);
        assert_eq!(in_hosts(hosts, "own"), Vec::<IpAddr>::new());
    }
}
