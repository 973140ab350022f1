//! The same without an agent: what was cut is sent anew, and nobody ever sees a part of it.

use super::{
    super::{
        plain::{of_host, pod},
        rig::wait_until,
    },
    *,
};

const SYNCS: usize = 16;

#[test]
fn a_file_is_whole_though_the_connection_is_cut_and_there_is_no_agent() {
    let Some(node) = node() else { return };
    let seed = seed();
    eprintln!("DIYADM_TEST_SEED={seed} cuts at the same places again");
    let mut random = Random(seed);
    let name = node.name("cut-plain");
    let _namespace = node.namespace(name);
    let folder = tempfile::tempdir().unwrap();
    let there = folder.path().join("there");
    fs::create_dir(&there).unwrap();
    pod(&node, name, "cut", &of_host(&there));
    let cutter = Cutter::start(node.kubeconfig(), folder.path());
    let file = folder.path().join("app.jar");
    let target = there.join("app.jar");
    let mut content = vec![0; LENGTH];
    random.fill(&mut content);
    let sync = |cuts| {
        cutter.cut(cuts);
        let mut command = program(folder.path());
        command.arg("--kubeconfig").arg(&cutter.kubeconfig);
        command.args(["sync", "-n", name, "app.jar", "cut:/data/app.jar"]);
        command.output().unwrap()
    };
    fs::write(&file, &content).unwrap();
    let first = sync(VecDeque::new());
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));

    let known = Mutex::new(vec![sha256(&content)]);
    let ends = AtomicBool::new(false);
    let mut cut = 0;
    thread::scope(|scope| {
        let watching = scope.spawn(|| watch(&target, &known, &ends));
        let end = Ending(&ends);
        for at in 0..SYNCS {
            random.change(&mut content);
            known.lock().unwrap().push(sha256(&content));
            fs::write(&file, &content).unwrap();
            // All of it goes, and a cut may be anywhere in that.
            let mut run = sync(random.cuts(LENGTH as u64));
            cut += cutter.made();
            if !run.status.success() && cutter.made() > 0 {
                let said = String::from_utf8_lossy(&run.stderr);
                assert_eq!(run.status.code(), Some(3), "sync {at}: {said}");
                run = sync(VecDeque::new());
            }
            assert!(run.status.success(), "sync {at}: {}", String::from_utf8_lossy(&run.stderr));
            assert!(fs::read(&target).unwrap() == content, "sync {at}: another content is there");
        }
        drop(end);
        watching.join().unwrap().unwrap();
    });
    assert!(cut > SYNCS / 2, "{cut} cuts");
    // The far end of a connection that was cut clears up when it notices.
    let left = || -> Vec<_> {
        fs::read_dir(&there).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    };
    wait_until("what is left is the file alone", || left() == ["app.jar"]);
}
