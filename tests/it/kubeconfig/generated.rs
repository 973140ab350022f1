//! Generated kubeconfigs: their meaning compared with `kubectl config view`, and their requests
//! with those of kubectl.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use diyadm::kubernetes::kubeconfig::{Files, Kubeconfig};
use serde_json::{Value, json};

use super::{
    Lab,
    cases::{Case, Dice, generate},
};

/// How many are compared in a run of the tests, all of one seed. `DIYADM_CASES=1000` compares that many
/// of a new seed.
const CASES: u64 = 42;

#[test]
fn generated_kubeconfigs_are_read_as_kubectl_reads_them() {
    let lab = require!(Lab::new());
    let (first, cases) = match env::var("DIYADM_CASES") {
        Ok(cases) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            (now.as_secs() * 1000, cases.parse().unwrap())
        }
        Err(_) => (7000, CASES),
    };
    let (mut requests, mut views, mut wrong) = (0, 0, Vec::new());
    for seed in first..first + cases {
        let folder = tempfile::tempdir().unwrap();
        let case = generate(&mut Dice(seed), &lab, folder.path());
        for (count, compared) in [
            (&mut views, compare_views(&lab, folder.path(), &case)),
            (&mut requests, compare_requests(&lab, folder.path(), &case)),
        ] {
            match compared {
                Ok(had_any) => *count += u64::from(had_any),
                Err(what) => wrong.push(format!("seed {seed}: {what}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    // The generator must not drift into what both refuse.
    assert!(requests * 2 > cases && views * 2 > cases, "{requests} and {views} of {cases}");
}

/// Whether there was something to compare.
fn compare_views(lab: &Lab, folder: &Path, case: &Case) -> Result<bool, String> {
    let variable = case.variables.iter().find(|(name, _)| *name == "KUBECONFIG");
    let variable = variable.map(|(_, list)| {
        // Relative to the folder that kubectl runs in.
        let absolute = |file: &str| match file {
            "" => String::new(),
            file => folder.join(file).display().to_string(),
        };
        list.split(':').map(absolute).collect::<Vec<_>>().join(":").into()
    });
    let mut args = vec!["config", "view", "--raw", "--minify", "--flatten", "-o", "json"];
    args.extend(case.context.iter().flat_map(|context| ["--context", *context]));
    let theirs = lab.kubectl(folder, &case.variables, &args);
    if theirs.code != Some(0) {
        // kubectl views no context without a user, and uses it.
        return Ok(false);
    }
    let files = Files::new(None, variable, Some(folder.into()));
    let ours = Kubeconfig::load(&files).and_then(|config| config.select(case.context));
    let ours = match ours {
        Ok(Some(selected)) => selected.view(),
        Ok(None) => return Err(format!("no context, but kubectl has {}", theirs.stdout)),
        Err(error) => return Err(format!("{error:#}, but kubectl has {}", theirs.stdout)),
    };
    let theirs: Value = serde_json::from_str(&theirs.stdout).unwrap();
    for part in ["current-context", "contexts", "clusters", "users"] {
        let ours = relative(folder, plain(&ours[part]));
        let theirs = relative(folder, plain(&theirs[part]));
        if ours != theirs {
            return Err(format!("{part}\nkubectl: {theirs}\ndiyadm:  {ours}"));
        }
    }
    Ok(true)
}

/// Whether there were requests.
fn compare_requests(lab: &Lab, folder: &Path, case: &Case) -> Result<bool, String> {
    let context: Vec<_> = case.context.iter().flat_map(|context| ["--context", *context]).collect();
    let given_to_plugin = || {
        let take = |end: &str| {
            let file = folder.join(end);
            let text = fs::read_to_string(&file).ok();
            let _ = fs::remove_file(file);
            text
        };
        let info = take("info").map(|info| serde_json::from_str::<Value>(&info).unwrap());
        let info = info.map(|info| json!([info["kind"], info["apiVersion"], plain(&info["spec"])]));
        (info, take("info.runs"), take("info.stdin"))
    };
    let args = [&["get", "--raw", "/version"][..], &context].concat();
    let kubectl = lab.kubectl(folder, &case.variables, &args);
    let theirs = (lab.recorder.take().0, given_to_plugin());
    if kubectl.stdout.contains("Please enter Username") {
        // Where nothing says who asks, kubectl asks for a password; diyadm is anonymous.
        return Ok(false);
    }
    let run = Lab::diyadm(folder, &case.variables, &[&["status"][..], &context].concat());
    let mut ours = (lab.recorder.take().0, given_to_plugin());
    // kubectl asks a plugin for a certificate while it connects, diyadm before: for nothing, where the
    // server is not trusted and the user is in its URL.
    if kubectl.stderr.contains("failed to verify certificate") && theirs.1.1.is_none() {
        ours.1 = theirs.1.clone();
    }
    if ours != theirs {
        let said = format!("{}{}{}", kubectl.stderr, run.stdout, run.stderr);
        return Err(format!("\nkubectl: {theirs:?}\ndiyadm:  {ours:?}\n{said}"));
    }
    Ok(!theirs.0.is_empty())
}

/// With the paths of plugins and token files as the kubeconfig has them: `kubectl config view` leaves
/// them, and `kubectl get` resolves them.
fn relative(folder: &Path, mut users: Value) -> Value {
    for user in users.as_array_mut().into_iter().flatten() {
        for pointer in ["/user/tokenFile", "/user/exec/command"] {
            let Some(text) = user.pointer_mut(pointer) else { continue };
            let path = PathBuf::from(text.as_str().unwrap());
            let inside = path.strip_prefix(folder).ok().map(|path| path.iter().skip(1).collect());
            let path: PathBuf = inside.unwrap_or(path);
            *text = json!(path.strip_prefix(".").unwrap_or(&path));
        }
    }
    users
}

/// Without what is absent.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let each = object.iter().map(|(key, value)| (key.clone(), plain(value)));
            Value::Object(each.filter(|(_, value)| !value.is_null()).collect())
        }
        Value::Array(list) if list.is_empty() => Value::Null,
        Value::Array(list) => list.iter().map(plain).collect(),
        other => other.clone(),
    }
}
