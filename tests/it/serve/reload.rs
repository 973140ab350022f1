//! Certificates: loaded before the server listens, and reloaded while it does.

use std::{
    fs,
    io::Write,
    net::TcpListener,
    os::unix::fs::symlink,
    path::Path,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use openssl::{
    hash::MessageDigest,
    ssl::{SslConnector, SslMethod, SslStream},
    x509::{X509, store::X509StoreBuilder},
};

use super::client::{HOST, bytes, certificates, connect, get, head, metric, read, tcp};
use crate::rig::{Server, diyadm, wait_until};

const RELOADS: &str = "diyadm_certificate_reloads_total";
const REFUSED: &str = "diyadm_certificate_refused_total";

#[test]
fn server_loads_certificates_before_it_listens() {
    let certs = certificates("diyadmissionwebhook", "test");
    // Both the certificate and the port are bad: the first one is reported.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let serve = |cert: &str, key: &str| {
        let args = ["--listen", &listen, "--health-listen", "127.0.0.1:0"];
        let files = ["serve", "--cert", cert, "--key", key];
        diyadm(certs.path(), &[&files[..], &args].concat()).code(2)
    };
    for (cert, key, why) in [
        ("none", "server.key", "--cert none"),
        ("server.crt", "none", "--key none"),
        ("server.key", "server.key", "--cert server.key: "),
        ("server.crt", "server.crt", "--key server.crt: the key is not a PEM key"),
        ("ca.crt", "server.key", "the key does not belong to the certificate"),
    ] {
        let run = serve(cert, key).stderr_has(why);
        assert!(!run.stderr.contains("--listen"), "{}", run.stderr);
    }
    serve("server.crt", "server.key").stderr_has("--listen").stderr_has("use another");
}

/// Puts files where a Pod finds them, as the kubelet does with a Secret or a ConfigMap: into a new
/// folder, to which a symlink is then swapped (AtomicWriter of k8s.io/kubernetes, pkg/volume/util).
pub(super) fn mount(folder: &Path, files: &[(&str, Vec<u8>)], version: &str) {
    let new = folder.join(version);
    fs::create_dir(&new).unwrap();
    for (name, content) in files {
        fs::write(new.join(name), content).unwrap();
        if folder.join(name).symlink_metadata().is_err() {
            symlink(Path::new("..data").join(name), folder.join(name)).unwrap();
        }
    }
    let old = fs::read_link(folder.join("..data"));
    symlink(version, folder.join("..data_tmp")).unwrap();
    fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    if let Ok(old) = old {
        fs::remove_dir_all(folder.join(old)).unwrap();
    }
}

fn pair(folder: &Path) -> [(&'static str, Vec<u8>); 2] {
    ["server.crt", "server.key"].map(|name| (name, fs::read(folder.join(name)).unwrap()))
}

/// A client that trusts several CAs, as an API server does while certificates rotate.
fn trusting(folders: &[&Path]) -> SslConnector {
    let mut store = X509StoreBuilder::new().unwrap();
    for folder in folders {
        let pem = fs::read(folder.join("ca.crt")).unwrap();
        store.add_cert(X509::from_pem(&pem).unwrap()).unwrap();
    }
    let mut connector = SslConnector::builder(SslMethod::tls_client()).unwrap();
    connector.set_cert_store(store.build());
    connector.build()
}

fn leaf<S>(tls: &SslStream<S>) -> Vec<u8> {
    tls.ssl().peer_certificate().unwrap().digest(MessageDigest::sha256()).unwrap().to_vec()
}

fn expiry(folder: &Path) -> u64 {
    let pem = fs::read(folder.join("server.crt")).unwrap();
    let facts = ::diyadm::pki::inspect(&pem, None).unwrap();
    u64::try_from(facts[0].not_after).unwrap()
}

#[test]
fn certificate_swap_drops_no_connection() {
    let old = certificates("diyadmissionwebhook", "test");
    let new = certificates("diyadmissionwebhook", "test");
    let more = ["init", "--out", ".", "--force", "--key", "p256", "--days", "99"];
    diyadm(new.path(), &more).code(0);
    let folder = tempfile::tempdir().unwrap();
    mount(folder.path(), &pair(old.path()), "..2026_1");
    let server = Server::start(folder.path(), &[]);
    assert_eq!(metric(&server, "diyadm_certificate_not_after_seconds"), expiry(old.path()));

    let both = trusting(&[old.path(), new.path()]);
    let body = bytes(|_| ());
    let ask = |tls: &mut SslStream<_>| {
        tls.write_all(head(body.len()).as_bytes()).unwrap();
        tls.write_all(&body).unwrap();
        let answer = read(tls).expect("the connection is not dropped");
        assert_eq!((answer.status, answer.closes()), (200, false));
    };
    let done = AtomicBool::new(false);
    let (asked, connected) = (AtomicUsize::new(0), AtomicUsize::new(0));
    // One request more on the old connection, and one new connection that began after this.
    let more = || {
        let counts = || [&asked, &connected].map(|count| count.load(Ordering::Relaxed));
        let [kept, fresh] = counts();
        wait_until("both clients go on", || {
            let now = counts();
            done.load(Ordering::Relaxed) || (now[0] > kept && now[1] > fresh + 1)
        });
    };
    thread::scope(|scope| {
        let kept = scope.spawn(|| {
            let mut tls = both.connect(HOST, tcp(&server)).unwrap();
            while !done.load(Ordering::Relaxed) {
                ask(&mut tls);
                asked.fetch_add(1, Ordering::Relaxed);
            }
            leaf(&tls)
        });
        // Every new connection is trusted, whichever certificate it gets.
        let fresh = scope.spawn(|| {
            let mut seen = Vec::new();
            while !done.load(Ordering::Relaxed) {
                let mut tls = both.connect(HOST, tcp(&server)).expect("one CA or the other");
                ask(&mut tls);
                seen.push(leaf(&tls));
                connected.fetch_add(1, Ordering::Relaxed);
            }
            seen.dedup();
            seen
        });
        let swapped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            more();
            mount(folder.path(), &pair(new.path()), "..2026_2");
            wait_until("the new certificate is taken", || metric(&server, RELOADS) == 1);
            more();
            trusting(&[new.path()]).connect(HOST, tcp(&server)).expect("the new one");
        }));
        done.store(true, Ordering::Relaxed);
        let first = kept.join().unwrap();
        let seen = fresh.join().unwrap();
        swapped.unwrap();
        assert!(seen[0] == first && seen.len() == 2, "old, then new: {}", seen.len());
    });
    assert_eq!(metric(&server, REFUSED), 0, "a swap is no mistake");
    assert_eq!(metric(&server, "diyadm_certificate_not_after_seconds"), expiry(new.path()));
    assert!(get(&server, "/metrics").contains("# TYPE diyadm_certificate_reloads_total counter\n"));
}

#[test]
fn mismatched_certificate_is_refused_and_the_old_one_kept() {
    let certs = certificates("diyadmissionwebhook", "test");
    let other = certificates("diyadmissionwebhook", "test");
    let server = Server::start(certs.path(), &[]);
    let first = leaf(&connect(&server, certs.path()));
    let mut refused = 0;
    let mut refuse = |name: &str, content: Option<&[u8]>| {
        let file = certs.path().join(name);
        let before = fs::read(&file).unwrap();
        match content {
            Some(content) => fs::write(&file, content).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        refused += 1;
        wait_until("it is refused", || metric(&server, REFUSED) == refused);
        assert_eq!(leaf(&connect(&server, certs.path())), first, "{name}");
        fs::write(&file, before).unwrap();
        wait_until("what is good again is taken", || metric(&server, RELOADS) == refused);
    };
    refuse("server.key", Some(b"no key"));
    refuse("server.crt", Some(&fs::read(other.path().join("server.crt")).unwrap()));
    refuse("server.crt", Some(b""));
    refuse("server.key", None);
    server.signal();
    let (code, log) = server.ended();
    assert_eq!(code, Some(0));
    let told = log.iter().filter(|line| line.contains("new certificate rejected")).count();
    assert_eq!(told as u64, refused, "{log:?}");
}
