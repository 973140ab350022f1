//! Fuzzing of everything that parses foreign bytes: valid inputs are mutated, and inputs with new
//! behavior are mutated further.
//!
//! As a test, each target runs a fixed number of inputs from a fixed seed. `cargo xtask fuzz` runs
//! longer with a new seed. A failing input is written to `target/fuzz`; a file in
//! `tests/data/fuzz/TARGET` is tried first from then on.

use std::{
    collections::HashSet,
    env, fs,
    hash::{DefaultHasher, Hash, Hasher},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use mutation::Random;

mod admission;
mod certificate;
mod csr_conf;
mod mutation;
mod original;
mod project;
mod protocol;
mod rules;

/// Number of inputs in a test run.
const CASES: usize = 2_000;
/// Its seed.
const SEED: u64 = 20_261_129;
/// Maximum length in bytes of inputs that are mutated further.
const MOST_INPUT: usize = 64 << 10;
/// Maximum number of inputs that are mutated further.
const MOST_SEEDS: usize = 5_000;
/// In a long run, an input that takes longer than this fails: work must be linear in the input.
const MOST_TIME: Duration = Duration::from_secs(10);

/// A fuzz target.
struct Target {
    name: &'static str,
    /// Valid inputs.
    seeds: Vec<Vec<u8>>,
    /// Words that are significant in inputs.
    words: &'static [&'static str],
}

/// The duration of a run.
enum Until {
    Cases(usize),
    Time(Instant),
}

impl Target {
    /// Calls `check` with one input after another. It panics for an input that shows a bug, and
    /// otherwise returns a value that distinguishes behaviors; see [`behaviour`].
    #[expect(clippy::print_stdout, reason = "a long run reports what it tried")]
    fn fuzz(mut self, check: impl Fn(&[u8]) -> u64) {
        let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
        let seconds = number("DIYADM_FUZZ_SECONDS");
        let until = match seconds {
            Some(seconds) => Until::Time(Instant::now() + Duration::from_secs(seconds)),
            None => Until::Cases(CASES),
        };
        let seed = number("DIYADM_FUZZ_SEED").unwrap_or(SEED).max(1);
        self.seeds.extend(kept(self.name));
        assert!(!self.seeds.is_empty());
        let mut known = HashSet::new();
        for input in &self.seeds {
            known.insert(self.check(&check, input));
        }
        let mut random = Random(seed);
        let (mut inputs, mut slowest) = (0_usize, (Duration::ZERO, 0));
        while match until {
            Until::Cases(cases) => inputs < cases,
            Until::Time(end) => Instant::now() < end,
        } {
            inputs += 1;
            let input = mutation::change(&mut random, &self.seeds, self.words);
            let began = Instant::now();
            let new = known.insert(self.check(&check, &input));
            let took = began.elapsed();
            slowest = slowest.max((took, input.len()));
            if seconds.is_some() && took > MOST_TIME {
                let path = self.write(&input);
                panic!("{}: {} bytes took {took:?}: {}", self.name, input.len(), path.display());
            }
            if new && input.len() <= MOST_INPUT && self.seeds.len() < MOST_SEEDS {
                self.seeds.push(input);
            }
        }
        let (time, length) = slowest;
        println!(
            "{}: {inputs} inputs, {} behaviours, slowest {time:.1?} for {length} bytes, \
             DIYADM_FUZZ_SEED={seed}",
            self.name,
            known.len()
        );
    }

    fn check(&self, check: &impl Fn(&[u8]) -> u64, input: &[u8]) -> u64 {
        let run = |input: &[u8]| catch_unwind(AssertUnwindSafe(|| check(input)));
        if let Ok(behaviour) = run(input) {
            return behaviour;
        }
        let small = mutation::shrink(input, |input| run(input).is_err());
        let path = self.write(&small);
        panic!(
            "{}: an input fails. Keep it: cp {} tests/data/fuzz/{}/",
            self.name,
            path.display(),
            self.name
        );
    }

    fn write(&self, input: &[u8]) -> PathBuf {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/fuzz").join(self.name);
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("{:016x}", behaviour(&[&input])));
        fs::write(&path, input).unwrap();
        path
    }
}

/// Inputs that failed once.
fn kept(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fuzz").join(target);
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| fs::read(path).unwrap()).collect()
}

/// A number for the behavior of an input.
fn behaviour(parts: &[&dyn AsRef<[u8]>]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for part in parts {
        // Different numbers, such as positions, are not different behavior.
        let text = part.as_ref().iter().filter(|byte| !byte.is_ascii_digit()).take(80);
        text.copied().collect::<Vec<_>>().hash(&mut hasher);
    }
    hasher.finish()
}

/// A message quotes the input at most once. Control characters are escaped, and long text is cut,
/// when it is printed.
#[track_caller]
fn is_bounded(message: &str, input: &[u8]) {
    // Each invalid UTF-8 byte takes three.
    let most = 2_000 + 4 * input.len();
    assert!(message.len() < most, "{} bytes of message: {message}", message.len());
}

/// The files of a folder of the repository and of its subfolders.
fn files(folder: &str) -> Vec<Vec<u8>> {
    let (mut found, mut folders) =
        (Vec::new(), vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)]);
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push((path.clone(), fs::read(path).unwrap()));
            }
        }
    }
    found.sort();
    found.into_iter().map(|(_, content)| content).collect()
}
