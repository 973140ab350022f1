//! A file that is synced 200 times over a connection that is cut at random places, on the node: it
//! arrives each time, and a reader finds either the old content or the new.

use std::{
    collections::VecDeque,
    env,
    ffi::OsString,
    fs,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use openssl::sha::sha256;
use serde_json::json;

use super::rig::{Node, Workspace, program};

pub(crate) mod cutter;
mod plain;

use cutter::{Cut, Cutter, End};

const SYNCS: usize = 200;
/// Long enough for a writer thread.
const LENGTH: usize = 6 << 20;
/// About what goes over the wire, both ways, before the first answer, and after it until the last.
const EARLY: u64 = 20_000;
const USUAL: u64 = 50_000;

/// `xorshift64*`: a seed gives the same places again.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.chunks_mut(8).for_each(|some| {
            some.copy_from_slice(&self.next().to_le_bytes()[..some.len()]);
        });
    }

    /// A few bytes in a few places, now and then something put in or a whole half.
    fn change(&mut self, content: &mut Vec<u8>) {
        for _ in 0..=self.below(3) {
            let at = self.below(content.len() - 64);
            self.fill(&mut content[at..at + 64]);
        }
        match self.below(10) {
            0 => {
                let half = content.len() / 2;
                self.fill(&mut content[half..]);
            }
            1 => {
                let at = self.below(content.len());
                content.splice(at..at, *b"put in");
            }
            2 => content.truncate(content.len() - 100),
            _ => {}
        }
    }

    /// Where the connections of one sync are cut.
    fn cuts(&mut self, change: u64) -> VecDeque<Cut> {
        let end = |random: &mut Self| if random.below(2) == 0 { End::Closed } else { End::Reset };
        let mut cuts = VecDeque::new();
        for _ in 0..=self.below(2) {
            // Some early, where a handshake or a question is on its way.
            let early = self.below(8) == 0;
            let after =
                if early { self.next() % EARLY } else { EARLY + self.next() % (USUAL + change) };
            cuts.push_back(Cut { after, end: end(self) });
        }
        cuts
    }
}

/// `DIYADM_TEST_SEED`, else one of its own for each run.
fn seed() -> u64 {
    let given = env::var("DIYADM_TEST_SEED").ok().map(|seed| seed.parse().expect("a number"));
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    // A generator of this kind stays at 0.
    given.unwrap_or_else(now).max(1)
}

/// A Pod of the empty container, with a folder of this machine.
fn pod(node: &Node, namespace: &str, folder: &Path) {
    node.load(&["empty-container"]);
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": "cut", "namespace": namespace },
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{
                "name": "cut",
                "image": "empty-container:latest",
                "imagePullPolicy": "IfNotPresent",
                "volumeMounts": [{ "name": "data", "mountPath": "/data" }],
            }],
            "volumes": [{ "name": "data", "hostPath": { "path": folder } }],
        },
    });
    node.kubectl(&["create", "-f", "-"], &pod.to_string());
    node.wait(namespace, "pod/cut", "condition=Ready");
}

/// Reads the target over and over: each time it is what it was last, or what is being sent.
fn watch(target: &Path, known: &Mutex<Vec<[u8; 32]>>, ends: &AtomicBool) -> Result<usize, String> {
    let (mut reads, mut newest) = (0, 0);
    while !ends.load(SeqCst) {
        let before = known.lock().unwrap().len();
        let content = fs::read(target).map_err(|error| format!("the target is gone: {error}"))?;
        let hash = sha256(&content);
        let at = known.lock().unwrap().iter().rposition(|one| *one == hash);
        let at = at.ok_or_else(|| format!("{} bytes that nobody ever sent", content.len()))?;
        if at + 2 < before || at < newest {
            return Err(format!("content {at} came back, after {newest}, at {before}"));
        }
        newest = at;
        reads += 1;
        thread::sleep(Duration::from_millis(2));
    }
    Ok(reads)
}

/// Ends the watching, also where the test fails: its threads are waited for.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// Syncs a changing file so many times to the Pod `cut`, which has `there` as /data, and until a
/// connection was cut. `places` gets how many bytes have changed. Returns how often the target was
/// read meanwhile, or what was wrong with it.
fn sync_and_cut(
    (node, namespace): (&Node, &str),
    there: &Path,
    syncs: usize,
    places: impl Fn(&mut Random, u64) -> VecDeque<Cut>,
) -> Result<usize, String> {
    let seed = seed();
    eprintln!("DIYADM_TEST_SEED={seed} cuts at the same places again");
    let mut random = Random(seed);
    let folder = tempfile::tempdir().unwrap();
    let cutter = Cutter::start(node.kubeconfig(), folder.path());
    let file = folder.path().join("app.jar");
    let target = there.join("app.jar");
    let mut content = vec![0; LENGTH];
    random.fill(&mut content);
    let sync = |cuts| {
        cutter.cut(cuts);
        let mut command = program(folder.path());
        command.arg("--kubeconfig").arg(&cutter.kubeconfig);
        command.args(["sync", "--live", "-n", namespace, "app.jar", "cut:/data/app.jar"]);
        command.output().unwrap()
    };
    fs::write(&file, &content).unwrap();
    let first = sync(VecDeque::new());
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));

    let known = Mutex::new(vec![sha256(&content)]);
    let ends = AtomicBool::new(false);
    let (mut cuts, mut anew) = (0, 0);
    let reads = thread::scope(|scope| {
        let watching = scope.spawn(|| watch(&target, &known, &ends));
        let end = Ending(&ends);
        for at in 0.. {
            if watching.is_finished() || (at >= syncs && cuts > 0) {
                break;
            }
            let before = content.clone();
            random.change(&mut content);
            let changed = before.iter().zip(&content).filter(|(a, b)| a != b).count() as u64;
            known.lock().unwrap().push(sha256(&content));
            fs::write(&file, &content).unwrap();
            let mut run = sync(places(&mut random, changed));
            cuts += cutter.made();
            if !run.status.success() && cutter.made() > 0 {
                // An API server that has not answered once is not waited for long.
                let said = String::from_utf8_lossy(&run.stderr);
                assert_eq!(run.status.code(), Some(3), "sync {at}: {said}");
                anew += 1;
                run = sync(VecDeque::new());
            }
            assert!(run.status.success(), "sync {at}: {}", String::from_utf8_lossy(&run.stderr));
            let now = fs::read(&target).unwrap();
            assert!(now == content, "sync {at}: another content is there");
        }
        drop(end);
        watching.join().unwrap()
    });
    eprintln!("{cuts} cuts, {anew} syncs that were typed anew, {reads:?} reads");
    reads
}

/// The names in a folder.
fn names(folder: &Path) -> Vec<OsString> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect()
}

#[test]
fn synced_file_is_whole_after_each_of_200_cut_connections() {
    let node = require!(Workspace::on_node("cut"));
    let name = node.name;
    let there = tempfile::tempdir().unwrap();
    pod(&node, name, there.path());
    let reads = sync_and_cut((&node, name), there.path(), SYNCS, Random::cuts);
    reads.unwrap();
    assert_eq!(names(there.path()), ["app.jar"]);
}
