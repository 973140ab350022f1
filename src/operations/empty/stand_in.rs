//! The command of a stand-in whose workload has none in its spec: that of a running, live container.
//!
//! This only looks. Nothing that it starts in the container stays or changes anything.

use std::borrow::Cow;

use anyhow::Result;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, copy, sink},
    time::{Duration, timeout},
};

use super::decision::{EmptyMethod, EmptyRequest, Refused};
use crate::{
    dev::pods::{PodRequest, all},
    kubernetes::{Cluster, ContainerRef, End, Input, POD, targets::LiveObject},
    ui::terminal::Terminal,
    workload::{
        RequestedAnnotation, STAND_IN_COMMAND, Warning,
        pods::{belongs_to, label_selector},
    },
};

/// Most bytes of a command line or an environment that are read.
const MOST: u64 = 128 << 10;
/// Timeout for one answer of a container.
const ANSWER: Duration = Duration::from_secs(10);

/// Completes a request whose stand-in lacks a command, if the workload is changed here.
pub(crate) async fn complete<'r, 'a>(
    cluster: &Cluster,
    terminal: &Terminal,
    request: &'r EmptyRequest<'a>,
    found: &LiveObject,
    method: Result<EmptyMethod, Refused>,
) -> (Cow<'r, EmptyRequest<'a>>, Result<EmptyMethod, Refused>) {
    let is_here = matches!(method, Ok(EmptyMethod::Patch | EmptyMethod::Recreate));
    let container = is_here.then(|| container_without_command(request, found)).flatten();
    let Some(container) = container else { return (Cow::Borrowed(request), method) };
    match read(cluster, terminal, found, &container).await {
        Ok(command) => {
            let mut request = request.clone();
            let value = Some(Value::from(command).to_string());
            let requested = RequestedAnnotation { key: STAND_IN_COMMAND, value, forget: false };
            request.requested_annotations.push(requested);
            (Cow::Owned(request), method)
        }
        Err(why) => {
            let what = format!("the spec of container {container} has no command, and {why}");
            let hint = "Say what it runs: `--command '[\"java\", \"-jar\", \"/app.jar\"]'`.";
            let refused = Refused { what, hint: hint.to_owned(), soft: request.is_soft() };
            (Cow::Borrowed(request), Err(refused))
        }
    }
}

/// The container of a stand-in whose command nothing says.
fn container_without_command(request: &EmptyRequest<'_>, found: &LiveObject) -> Option<String> {
    let (_, warnings) = request.operations(found, &found.object).ok()?;
    warnings.into_iter().find_map(|warning| match warning {
        Warning::NoStandInCommand(container) => Some(container),
        _ => None,
    })
}

/// The command line of PID 1; the error is the end of a sentence.
async fn read(
    cluster: &Cluster,
    terminal: &Terminal,
    found: &LiveObject,
    container: &str,
) -> Result<Vec<String>, String> {
    let object: &Value = &found.object;
    let pods = pods(cluster, found).await.map_err(|error| format!("{error:#}"))?;
    let owners = std::slice::from_ref(object);
    let request = PodRequest { named: Some(container), owners, ..PodRequest::default() };
    let picks = all(&pods, request).unwrap_or_default();
    let live = picks.into_iter().find(|pick| pick.live.is_some());
    let Some(pick) = live else { return Err("no Pod runs it to read that from".to_owned()) };
    let pod = pods.iter().find(|pod| pod["metadata"]["uid"] == pick.uid.as_str());
    let spec = pod.map_or(&Value::Null, |pod| &pod["spec"]);
    if spec["shareProcessNamespace"] == true || spec["hostPID"] == true {
        return Err("PID 1 is another container's".to_owned());
    }
    let place = pick.place();
    let shown = format!("Pod {}", pick.pod);
    let command = output(cluster, &place, &["cat", "/proc/1/cmdline"]).await;
    let command = command.map_err(|why| format!("that of {shown} could not be read: {why}"))?;
    let mut command = command_line(&command)
        .ok_or_else(|| format!("PID 1 of {shown} shows a title instead of its command line"))?;
    terminal.say(&format!("{}: its command was read in {shown}.", found.shown()));
    let folder = async |of: &'static str| {
        let said = output(cluster, &place, &["readlink", of]).await.ok()?;
        String::from_utf8(said).ok().map(|path| path.trim_end_matches('\n').to_owned())
    };
    if let (Some(own), Some(first)) = (folder("/proc/1/cwd").await, folder("/proc/self/cwd").await)
        && own != first
    {
        command = in_folder(own, command);
    }
    let environment = async |of: &'static str| output(cluster, &place, &["cat", of]).await;
    if let (Ok(own), Ok(first)) =
        (environment("/proc/1/environ").await, environment("/proc/self/environ").await)
    {
        let lost = lost_variables(&own, &first);
        if !lost.is_empty() {
            terminal.warn(&format!(
                "{}: something before its command sets {}: the stand-in starts without; --command \
                 can name the image's ENTRYPOINT",
                found.shown(),
                lost.join(", ")
            ));
        }
    }
    Ok(command)
}

async fn pods(cluster: &Cluster, found: &LiveObject) -> Result<Vec<Value>> {
    let object: &Value = &found.object;
    if object["kind"] == "Pod" {
        return Ok(vec![object.clone()]);
    }
    let selector = label_selector(&object["spec"]["selector"]);
    let mut pods = cluster.list(&POD, &found.namespace, &selector).await?;
    pods.retain(|pod| belongs_to(pod, object));
    Ok(pods)
}

/// The standard output of a command that succeeds.
async fn output(
    cluster: &Cluster,
    place: &ContainerRef,
    command: &[&str],
) -> Result<Vec<u8>, String> {
    let run = async {
        let mut exec = cluster.exec(place, command, Input::None).await?;
        let mut bytes = Vec::new();
        let mut stdout = (&mut exec.stdout).take(MOST);
        let errors = async { copy(&mut exec.stderr, &mut sink()).await };
        let (read, _) = tokio::join!(stdout.read_to_end(&mut bytes), errors);
        read?;
        Ok::<_, anyhow::Error>((exec.end.wait().await, bytes))
    };
    match timeout(ANSWER, run).await {
        Err(_) => Err("there is no answer".to_owned()),
        Ok(Err(error)) => Err(format!("{error:#}").trim_end_matches('.').to_owned()),
        Ok(Ok((End::Exit(0), bytes))) => Ok(bytes),
        Ok(Ok((End::Exit(code), _))) => Err(format!("`{}` exits with {code}", command.join(" "))),
        Ok(Ok((End::Failed(_), _))) => Err(format!("the image has no `{}`", command[0])),
        Ok(Ok((End::Lost(why), _))) => Err(why),
    }
}

/// The words of `/proc/1/cmdline`; `None` for a title that the program has set instead, like
/// `nginx: master process nginx`.
fn command_line(text: &[u8]) -> Option<Vec<String>> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('\0')?;
    let words: Vec<String> = text.split('\0').map(ToOwned::to_owned).collect();
    let program = &words[0];
    let is_title = program.is_empty()
        || program.contains(": ")
        || program.ends_with(':')
        || (words[1..].iter().all(String::is_empty) && program.contains(' '));
    (!is_title).then_some(words)
}

/// The command, run in another folder than the container's.
fn in_folder(folder: String, command: Vec<String>) -> Vec<String> {
    let shell = ["sh", "-c", "cd \"$0\" && exec \"$@\""].map(ToOwned::to_owned);
    shell.into_iter().chain([folder]).chain(command).collect()
}

/// Names of variables of PID 1 that the container does not have, or has with another value.
fn lost_variables(own: &[u8], first: &[u8]) -> Vec<String> {
    // A shell sets these itself.
    const OF_SHELLS: [&str; 4] = ["PWD", "OLDPWD", "SHLVL", "_"];
    let all = |text: &[u8]| -> Vec<String> {
        let text = String::from_utf8_lossy(text).into_owned();
        text.split('\0').filter(|one| !one.is_empty()).map(ToOwned::to_owned).collect()
    };
    let first = all(first);
    let lost = all(own).into_iter().filter(|variable| !first.contains(variable));
    let names = lost.filter_map(|variable| Some(variable.split_once('=')?.0.to_owned()));
    names.filter(|name| !OF_SHELLS.contains(&name.as_str()) && name != "HOME").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_is_told_from_a_title() {
        let words = |text: &str| command_line(text.as_bytes());
        assert_eq!(words("java\0-jar\0/a b.jar\0").unwrap(), ["java", "-jar", "/a b.jar"]);
        assert_eq!(words("serve\0\0x\0").unwrap(), ["serve", "", "x"]);
        for title in [
            "",
            "\0",
            "nginx: master process nginx -g daemon off;\0",
            "redis-server *:6379\0\0\0\0",
            "postgres: \0",
        ] {
            assert_eq!(words(title), None, "{title:?}");
        }
    }

    #[test]
    fn variables_set_by_an_entrypoint_are_named() {
        let lost = lost_variables(b"A=1\0B=2\0PWD=/x\0C=3\0", b"A=1\0B=1\0HOME=/\0");
        assert_eq!(lost, ["B", "C"]);
    }
}
