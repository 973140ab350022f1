//! The one program of the image `bare`, which has no shell, no library and no other file: it
//! answers HTTP on port 8080 (or the one named as its argument) and says each path that it is
//! asked for. Compiled by `cargo xtask image bare` with rustc alone.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    process, thread,
};

fn main() {
    let port = env::args().nth(1).unwrap_or_else(|| "8080".to_owned());
    let listener = match TcpListener::bind(format!("0.0.0.0:{port}")) {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("cannot listen on port {port}: {error}");
            process::exit(1);
        }
    };
    println!("listening on port {port}");
    for stream in listener.incoming().flatten() {
        thread::spawn(|| answer(stream));
    }
}

/// One request, one answer, the end.
fn answer(mut stream: TcpStream) {
    let mut lines = BufReader::new(&stream).lines();
    let Some(Ok(first)) = lines.next() else { return };
    println!("{first}");
    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
    let body = "ok\n";
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close", body.len());
    // A client that is gone wants no answer.
    let _ = write!(stream, "{head}\r\n\r\n{body}");
}
