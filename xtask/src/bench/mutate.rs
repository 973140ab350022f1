//! `cargo xtask bench mutate`: 10,000 documents emptied and restored, against kubectl reading them.
//!
//! `kubectl create --dry-run=client -o yaml` reads the same file and writes the same objects; it
//! asks an API server which kinds there are. Rounds alternate; what is printed is the median.

use std::{
    env,
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use super::median;
use crate::{
    cluster::{self, Cluster, Kind, Life},
    interrupt, paths,
};

const DOCUMENTS: usize = 10_000;
/// A tick of /proc's CPU times: USER_HZ is 100 on every Linux.
const TICK: f64 = 0.01;

/// How kubectl reads and writes the same.
const CREATE: [&str; 5] = ["create", "--dry-run=client", "--validate=false", "-o", "yaml"];

/// What a run took: seconds on the clock, seconds on processors, MB at its peak.
pub(super) struct Spent {
    pub(super) wall: f64,
    pub(super) cpu: f64,
    peak: f64,
}

/// A program under measurement.
struct Row {
    name: &'static str,
    command: Command,
    output: PathBuf,
    spent: Vec<Spent>,
}

pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let rounds = match args {
        [] => 5,
        [flag] if flag == "--quick" => 1,
        _ => bail!("`cargo xtask bench mutate [--quick]` takes no other argument"),
    };
    interrupt::watch()?;
    let target = super::release(&[])?;
    let folder = target.join("xtask-bench-mutate");
    fs::create_dir_all(&folder)?;
    let input = folder.join("input.yaml");
    let servers = Cluster::start(&folder.join("cluster"), Kind::Plain, Life::Held)?;
    let (from, bytes) = write_input(&input, &servers)?;

    let diyadm = target.join("diyadm");
    let emptied = folder.join("emptied.yaml");
    let row = |name, output: &str, program: &Path, args: &[&str], file: &Path| {
        let mut command = Command::new(program);
        command.args(args).arg("-f").arg(file);
        Row { name, command, output: folder.join(output), spent: Vec::new() }
    };
    let mut kubectl = row(
        "`kubectl create --dry-run=client -o yaml`",
        "kubectl.yaml",
        &cluster::kubectl()?,
        &CREATE,
        &input,
    );
    kubectl.command.arg("--kubeconfig").arg(servers.kubeconfig());
    let mut rows = [
        row("`diyadm mutate`", "emptied.yaml", &diyadm, &["mutate"], &input),
        row("`diyadm mutate -o json`", "emptied.json", &diyadm, &["mutate", "-o", "json"], &input),
        row("`diyadm mutate -o patch`", "patches", &diyadm, &["mutate", "-o", "patch"], &input),
        row("`diyadm mutate --restore`", "back.yaml", &diyadm, &["mutate", "--restore"], &emptied),
        kubectl,
    ];
    for round in 0..=rounds {
        for row in &mut rows {
            interrupt::check()?;
            let spent = measure(&mut row.command, &row.output)?;
            eprintln!("xtask: {} {:.2} s", row.name, spent.wall);
            // The first round warms up.
            if round > 0 {
                row.spent.push(spent);
            }
        }
    }
    let marked = |file: &str| -> Result<usize> {
        Ok(fs::read_to_string(folder.join(file))?.matches("\napiVersion:").count())
    };
    let (ours, theirs) = (marked("emptied.yaml")?, marked("kubectl.yaml")?);
    ensure!(ours.abs_diff(theirs) <= 1, "{ours} documents were written, {theirs} by kubectl");
    print(&rows, &from, bytes);
    Ok(ExitCode::SUCCESS)
}

/// The documents of `DIYADM_CORPUS`, else of the applications in tests/data/corpus, over and over;
/// where they are from, and their bytes.
fn write_input(path: &Path, servers: &Cluster) -> Result<(String, usize)> {
    let own = "tests/data/corpus/apps";
    let (from, folder) = match env::var_os("DIYADM_CORPUS") {
        Some(corpus) => ("`DIYADM_CORPUS`", PathBuf::from(corpus)),
        None => (own, paths::root().join(own)),
    };
    let mut files = Vec::new();
    collect(&folder, &mut files)?;
    files.sort();
    let mut documents = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let parts =
            text.split("\n---").map(|part| part.trim_start_matches("---").trim().to_owned());
        documents.extend(parts.filter(|part| part.contains("kind:")));
    }
    // The API server may not know every kind.
    let mut taken = Vec::new();
    for document in documents {
        fs::write(path, &document)?;
        let mut command = Command::new(cluster::kubectl()?);
        command.args(CREATE).arg("-f").arg(path).arg("--kubeconfig").arg(servers.kubeconfig());
        if command.stdout(Stdio::null()).stderr(Stdio::null()).status()?.success() {
            taken.push(document);
        }
    }
    let documents = taken;
    ensure!(!documents.is_empty(), "{} holds no manifest", folder.display());
    let mut out = BufWriter::new(File::create(path)?);
    let mut bytes = 0;
    for document in documents.iter().cycle().take(DOCUMENTS) {
        write!(out, "---\n{document}\n")?;
        bytes += document.len() + 5;
    }
    out.flush()?;
    Ok((from.to_owned(), bytes))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|e| e == "yaml") {
            files.push(path);
        }
    }
    Ok(())
}

pub(super) fn measure(command: &mut Command, output: &Path) -> Result<Spent> {
    let (before, began) = (children()?, Instant::now());
    let mut child = command.stdout(File::create(output)?).stderr(Stdio::null()).spawn()?;
    let mut peak: f64 = 0.0;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        peak = peak.max(super::memory(child.id()).unwrap_or_default());
        thread::sleep(Duration::from_millis(2));
    };
    let wall = began.elapsed().as_secs_f64();
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(Spent { wall, cpu: children()? - before, peak })
}

/// Seconds that children which have ended were on a processor: cutime and cstime.
fn children() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let after = stat.rsplit_once(')').context("no name in /proc/self/stat")?.1;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
    // Fields 16 and 17 of proc(5), which counts from 1 and the process id.
    let ticks = ticks(13).zip(ticks(14)).context("/proc/self/stat is short")?;
    Ok((ticks.0 + ticks.1) * TICK)
}

fn print(rows: &[Row], from: &str, bytes: usize) {
    println!("# `diyadm mutate` beside kubectl\n");
    println!("Made by `cargo xtask bench mutate > docs/bench-mutate.md`: {DOCUMENTS} documents of");
    println!(
        "{from}, {:.1} MB, written to a file; medians of {} rounds.\n",
        mb(bytes),
        rows[0].spent.len()
    );
    println!("| | seconds | CPU seconds | peak memory | documents a second | of kubectl's time |");
    println!("| --- | --- | --- | --- | --- | --- |");
    let mid = |row: &Row, pick: fn(&Spent) -> f64| {
        median(&mut row.spent.iter().map(pick).collect::<Vec<_>>())
    };
    let theirs = rows.last().map_or(1.0, |row| mid(row, |spent| spent.wall));
    for row in rows {
        let wall = mid(row, |spent| spent.wall);
        println!(
            "| {} | {wall:.2} | {:.2} | {:.0} MB | {:.0} | {:.2} |",
            row.name,
            mid(row, |spent| spent.cpu),
            mid(row, |spent| spent.peak),
            count(DOCUMENTS) / wall,
            wall / theirs,
        );
    }
}

#[expect(clippy::cast_precision_loss, reason = "thousands")]
pub(super) fn count(number: usize) -> f64 {
    number as f64
}

fn mb(bytes: usize) -> f64 {
    count(bytes) / 1e6
}
