//! `diyadm dev --debug`: a local debugger attaches to Java in the container.

use std::{
    fs,
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
};

use super::project::{Dev, Project};
use crate::rig::{Workspace, java, wait_until};

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
fn debugger_attaches_to_java_and_again_after_a_change() {
    let node = require!(Workspace::on_node("dev-debug"));
    require!(java());
    let (name, folder) = (node.name, node.folder());
    Project::deploy_image(&node, name, "jre");
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
    fs::write(folder.join("diyadm.yaml"), text).unwrap();
    let source = folder.join("Main.java");
    fs::write(&source, MAIN).unwrap();
    // The same port on both sides, as a debugger's configuration has it.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let debug = format!("--debug={port}");
    let mut dev = Dev::plain_with(&node, folder, &[&debug]);
    dev.until("version one");
    assert_eq!(greet(port).unwrap(), *HELLO);
    fs::write(&source, MAIN.replace("one", "two")).unwrap();
    dev.until("version two");
    wait_until("the debugger again", || greet(port).is_ok_and(|answer| answer == *HELLO));
}

/// Asks the JVM behind a debugger's port whether it has loaded a class: VirtualMachine,
/// `ClassesBySignature`, of the Java Debug Wire Protocol.
fn has_class(port: u16, signature: &str) -> io::Result<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(HELLO)?;
    stream.read_exact(&mut [0; 14])?;
    let length = u32::try_from(11 + 4 + signature.len()).unwrap();
    let text = u32::try_from(signature.len()).unwrap();
    let head = [&length.to_be_bytes()[..], &7_u32.to_be_bytes(), &[0, 1, 2]].concat();
    stream.write_all(&[&head[..], &text.to_be_bytes(), signature.as_bytes()].concat())?;
    loop {
        let mut head = [0; 11];
        stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
        let mut body = vec![0; length as usize - head.len()];
        stream.read_exact(&mut body)?;
        // An event may come before the reply.
        if head[8] == 0x80 {
            return Ok(body[..4] != [0; 4]);
        }
    }
}

/// A script's helper is a JVM too, and the container has options of its own.
#[test]
fn debugger_attaches_to_the_applications_jvm_among_several() {
    let node = require!(Workspace::on_node("dev-debug-two"));
    require!(java());
    let (name, folder) = (node.name, node.folder());
    Project::deploy_image(&node, name, "jre");
    let own = "JAVA_TOOL_OPTIONS=-Dfrom=container";
    node.kubectl(&["-n", name, "set", "env", "deploy/shop", own], "");
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
         \x20 command: [sh, -c, \"java -cp /tmp/app Helper & exec java -cp /tmp/app Main\"]\n\
         \x20 grace: 2\n"
    );
    fs::write(folder.join("diyadm.yaml"), text).unwrap();
    let class = |name: &str| {
        format!(
            "class {name} {{ public static void main(String[] args) throws Exception {{
                System.out.println(\"{name} of the \" + System.getProperty(\"from\"));
                Thread.sleep(Long.MAX_VALUE);
            }} }}\n"
        )
    };
    fs::write(folder.join("Main.java"), class("Main") + &class("Helper")).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut dev = Dev::plain_with(&node, folder, &[&format!("--debug={port}")]);
    dev.until_all(&["Main of the container", "Helper of the container"]);
    wait_until("the debugger", || has_class(port, "LMain;").unwrap_or_default());
    // It waits for the next debugger when the last one has gone.
    wait_until("the debugger again", || {
        let helper = has_class(port, "LHelper;");
        assert!(!helper.as_ref().is_ok_and(|has| *has), "it is the helper's");
        helper.is_ok()
    });
}
