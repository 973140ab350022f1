//! The streams and `TERM` of `diyadm shell`, compared with `kubectl exec`.

use std::{
    fs::File,
    io::{Read, Write},
    path::Path,
    process::Command,
};

use serde_json::json;

use crate::rig::{Node, Run, Workspace, on_terminal};

/// A script in which `TOOL` stands for `kubectl exec` or `diyadm shell`, and `out` is what it may
/// write.
fn script(tool: &str, script: &str) -> Command {
    let mut bash = Command::new("bash");
    bash.args(["-c", &script.replace("TOOL", tool)]);
    bash
}

fn tools(node: &Node, namespace: &str) -> [String; 2] {
    let words = |command: &Command, more: &str| {
        let program = command.get_program().to_str().unwrap();
        let args = command.get_args().map(|arg| arg.to_str().unwrap()).collect::<Vec<_>>();
        format!("{program} {} {more} -n {namespace}", args.join(" "))
    };
    let kubectl = words(&node.kubectl_command(&[]), "exec");
    [kubectl, words(&node.program(Path::new("/")), "shell --live")]
}

fn pod(node: &Node, namespace: &str) {
    node.load(&["busybox"]);
    let command = ["/bin/busybox", "tail", "-f", "/dev/null"];
    node.pod(namespace, "web", &json!({ "image": "busybox:rig", "command": command }));
}

#[test]
fn shell_connects_streams_as_kubectl_exec_does() {
    let node = require!(Workspace::on_node("dev-streams"));
    let name = node.name;
    pod(&node, name);
    let tools = tools(&node, name);
    for what in [
        // Without -i a loop's list is the loop's.
        "printf 'a\\nb\\n' | while read p; do TOOL web -- cat; echo got $p; done",
        "echo hello | TOOL web -- cat",
        "echo hello | TOOL -i web -- cat",
        "echo hello | TOOL -i web -- sh",
        "echo 'echo in; exit 5' | TOOL -i web -- sh; echo $?",
        "head -c 300000 /dev/zero | TOOL -i web -- wc -c",
        "TOOL web -- sh -c 'cat; echo end' </dev/null",
        "echo x | TOOL -it web -- tty; echo $?",
        "TOOL web -- printf 'a\\nb\\n' | od -c",
    ] {
        let [kubectl, own] = tools.each_ref().map(|tool| Run::of(&mut script(tool, what), "typed"));
        assert_eq!(own.stdout, kubectl.stdout, "{what}: {} {}", own.stderr, kubectl.stderr);
        let refused = "Unable to use a TTY - input is not a terminal";
        let both = [&own, &kubectl].map(|run| run.stderr.contains(refused));
        assert_eq!(both, [what.contains("-it"); 2], "{what}: {} {}", own.stderr, kubectl.stderr);
    }
    let nothing = Run::of(&mut script(&tools[1], "TOOL web </dev/null"), "").code(2);
    assert!(nothing.stderr.contains("`-- COMMAND`"), "{}", nothing.stderr);
}

/// Everything that is shown on a terminal until its program ends.
fn shown(mut terminal: File) -> String {
    let mut all = Vec::new();
    // A terminal whose program has ended is an error to read.
    let _ = terminal.read_to_end(&mut all);
    String::from_utf8_lossy(&all).into_owned()
}

#[test]
fn shell_writes_raw_bytes_to_files_and_sets_a_known_term() {
    let node = require!(Workspace::on_node("dev-kinds"));
    let (name, folder) = (node.name, node.folder());
    pod(&node, name);
    let [_, own] = tools(&node, name);
    let out = folder.join("out");
    let what = format!("TOOL web -- printf 'a\\nb\\n' > {}", out.display());
    let (mut child, terminal) = on_terminal(&script(&own, &what));
    let said = shown(terminal);
    assert!(child.wait().unwrap().success(), "{said}");
    assert_eq!(std::fs::read(&out).unwrap(), b"a\nb\n", "{said}");

    let shell = |term: &str| {
        let mut command = script(&own, "exec TOOL web");
        command.env("TERM", term);
        let (mut child, mut terminal) = on_terminal(&command);
        terminal.write_all(b"echo kind-$TERM-end; exit\n").unwrap();
        let said = shown(terminal);
        child.wait().unwrap();
        // What was typed comes back too.
        let kinds = said.split("kind-").skip(1).filter_map(|rest| rest.split("-end").next());
        kinds.filter(|kind| *kind != "$TERM").last().unwrap_or_else(|| panic!("{said}")).to_owned()
    };
    for odd in ["xterm-kitty", "", "two words", "../x"] {
        assert_eq!(shell(odd), "xterm", "{odd:?}");
    }
    let known = "mkdir -p $HOME/.terminfo/x && touch $HOME/.terminfo/x/xterm-kitty";
    node.kubectl(&["-n", name, "exec", "web", "--", "sh", "-c", known], "");
    assert_eq!(shell("xterm-kitty"), "xterm-kitty");
}
