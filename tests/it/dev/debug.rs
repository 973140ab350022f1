//! `diyadm dev --debug`: a debugger on this side reaches Java's in the container.

use std::{
    fs,
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
};

use super::project::{Dev, Project};
use crate::rig::{java, node, wait_until};

/// It says which version it is, and stays.
const MAIN: &str = "public class Main {
    public static void main(String[] args) throws Exception {
        System.out.println(\"version one\");
        Thread.sleep(Long.MAX_VALUE);
    }
}
";
/// What either side of a debugger's connection says first.
const HELLO: &[u8; 14] = b"JDWP-Handshake";

/// Greets Java's debugger; its greeting.
fn greet(port: u16) -> io::Result<[u8; 14]> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(HELLO)?;
    let mut answer = [0; 14];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

#[test]
fn a_debugger_reaches_java_and_again_after_a_change() {
    let Some(node) = node() else { return };
    if !java() {
        return;
    }
    let name = node.name("dev-debug");
    let _namespace = node.namespace(name);
    Project::deploy_image(&node, name, "jre");
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "workload: deploy/shop\n\
         namespace: {name}\n\
         empty: {{image: keep, idle: agent}}\n\
         build: javac -d out Main.java\n\
         watch: [Main.java]\n\
         sync:\n\
         - from: out\n\
         \x20 to: /tmp/app\n\
         run:\n\
         \x20 command: java -cp /tmp/app Main\n\
         \x20 grace: 2\n"
    );
    fs::write(folder.path().join("diyadm.yaml"), text).unwrap();
    let source = folder.path().join("Main.java");
    fs::write(&source, MAIN).unwrap();
    // The same port on both sides, as a debugger's configuration has it.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let debug = format!("--debug={port}");
    let mut dev = Dev::plain_with(&node, folder.path(), &[&debug]);
    dev.until("version one");
    assert_eq!(greet(port).unwrap(), *HELLO);
    fs::write(&source, MAIN.replace("one", "two")).unwrap();
    dev.until("version two");
    wait_until("the debugger again", || greet(port).is_ok_and(|answer| answer == *HELLO));
}
