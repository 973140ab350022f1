//! What an application is started with: variables and stdin.

use std::fs;

use diyadm_agent::protocol::{Follow, Logs, Request, Start, State, Termination};

use super::client::{Idle, Message, script};

#[test]
fn application_gets_added_variables_and_open_stdin() {
    let idle = Idle::start(&[]);
    let mut client = idle.client();
    let logs = Logs { name: "app".to_owned(), follow: Follow::Run, ..Logs::default() };
    let script = script("app", "echo \"$COLOUR|$NEW|$HOME\"; exec cat");
    let pairs = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    };
    let start = Start {
        env: pairs(&[("COLOUR", "a b")]),
        env_append: pairs(&[("COLOUR", "c"), ("NEW", "x"), ("HOME", "more")]),
        ..script
    };
    for stdin in [false, true] {
        let start = Start { stdin, replace: true, ..start.clone() };
        let app = client.started(&Request::Start(start));
        client.ask(&Request::Logs(logs.clone()));
        let Some(Message::Line { text, .. }) = client.next_message() else { panic!("no line") };
        let text = String::from_utf8(text).unwrap();
        assert!(text.starts_with("a b c|x|") && text.ends_with("more"), "{text}");
        if stdin {
            let input = format!("/proc/{}/fd/0", app.pid);
            let input = fs::read_link(input).unwrap();
            assert!(input.to_str().unwrap().starts_with("pipe:"), "{input:?}");
            client.ask(&Request::Cancel);
            client.until_end();
            let stop = Request::Stop { name: "app".to_owned(), grace_ms: 60_000 };
            let State::Ended(end) = client.ended(&stop).state else { panic!("it runs") };
            assert!(matches!(end.how, Termination::Signal { .. }), "{end:?}");
        } else {
            client.until_end();
        }
    }
}
