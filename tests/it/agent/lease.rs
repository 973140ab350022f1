//! Two people and one container: who has it, who may start and stop what, and when that ends.

use std::fs;

use diyadm_agent::protocol::{
    Answer, App, Apps, By, Claim, EndedBy, Failed, Follow, Hash, Lease, Logs, Request, SentContent,
    Start, State,
};

use super::{
    super::rig::wait_until,
    client::{Client, Idle, Message, script},
    namespace::ShellContainer,
};

fn by(who: &str, claim: Claim, request: Request) -> Request {
    let (who, request, sent) = (who.to_owned(), Box::new(request), Vec::new());
    Request::By(By { who, claim, for_ms: None, sent, request })
}

/// A request that claims nothing.
fn of(who: &str, request: Request) -> Request {
    by(who, Claim::Free, request)
}

/// A start whose lease ends after this time.
fn timed(who: &str, for_ms: u64, start: Start) -> Request {
    let (who, request, sent) = (who.to_owned(), Box::new(Request::Start(start)), Vec::new());
    Request::By(By { who, claim: Claim::Free, for_ms: Some(for_ms), sent, request })
}

/// An application that prints its name and waits.
fn waits(name: &str) -> Start {
    script(name, &format!("echo {name}; exec sleep 1000"))
}

fn start(name: &str) -> Request {
    Request::Start(waits(name))
}

fn stop(name: &str) -> Request {
    Request::Stop { name: name.to_owned(), grace_ms: 60_000 }
}

fn wait(name: &str) -> Request {
    Request::Wait { name: name.to_owned() }
}

fn follow(name: &str) -> Request {
    Request::Logs(Logs { name: name.to_owned(), follow: Follow::Run, ..Logs::default() })
}

#[track_caller]
fn held(client: &mut Client, request: &Request) -> Lease {
    match client.failed(request) {
        Failed::Held(lease) => lease,
        other => panic!("{other:?}"),
    }
}

fn apps(client: &mut Client) -> Apps {
    match client.asked(&Request::List) {
        Answer::Apps(apps) => apps,
        other => panic!("{other:?}"),
    }
}

/// Who has which applications.
fn leases(client: &mut Client) -> Vec<(String, String)> {
    let leases = apps(client).leases.into_iter();
    leases.map(|lease| (lease.who, lease.apps.join(" "))).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(who, apps)| ((*who).to_owned(), (*apps).to_owned())).collect()
}

/// The end of what a client follows.
fn end(client: &mut Client) -> App {
    loop {
        match client.next_message().expect("an end") {
            Message::Answer(Answer::Ended(app)) => return app,
            Message::Answer(Answer::Started(_)) | Message::Line { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn second_person_is_refused_until_the_first_one_stops() {
    let idle = Idle::start(&[]);
    let (mut ann, mut ben) = (idle.client(), idle.client());
    ann.started(&of("ann", start("web")));
    let requests = [
        start("web"),
        start("other"),
        stop("web"),
        Request::Restart { name: "web".into(), grace_ms: 0 },
        Request::Remove { name: "web".into() },
        Request::Signal { name: "web".into(), signal: 9 },
        Request::Extend { for_ms: 1 },
    ];
    for request in requests {
        let lease = held(&mut ben, &of("ben", request));
        assert_eq!((&lease.who[..], &lease.apps[..]), ("ann", &["web".to_owned()][..]));
        assert_eq!((lease.unseen_ms, lease.left_ms), (0, None), "she is connected");
    }
    // Everybody may look, and a lost connection loses nothing.
    drop(ann);
    wait_until("her connection is seen to be lost", || apps(&mut ben).leases[0].unseen_ms > 0);
    assert_eq!(leases(&mut ben), pairs(&[("ann", "web")]));
    let mut ann = idle.client();
    ann.started(&of("ann", start("worker")));
    assert_eq!(apps(&mut ben).leases[0].unseen_ms, 0);
    ann.ended(&of("ann", stop("web")));
    held(&mut ben, &of("ben", start("web")));
    ann.ended(&of("ann", stop("worker")));
    assert_eq!(leases(&mut ben), []);
    ben.started(&of("ben", start("web")));
    assert_eq!(leases(&mut ben), pairs(&[("ben", "web")]));
}

#[test]
fn take_over_stops_in_order_and_tells_the_first_person() {
    let idle = Idle::start(&[]);
    let (mut ann, mut anns_log, mut ben) = (idle.client(), idle.client(), idle.client());
    let polite = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done";
    ann.started(&of("ann", Request::Start(script("app", polite))));
    ann.started(&of("ann", start("worker")));
    ann.ask(&follow("app"));
    anns_log.ask(&follow("worker"));
    assert!(matches!(ann.next_message(), Some(Message::Line { .. })));

    // The same name, as it is the default one.
    let app = ben.started(&by("ben", Claim::TakeOver, start("app")));
    assert_eq!(app.restarts, 1);
    let Some(Message::Line { text, .. }) = ann.next_message() else { panic!("its last line") };
    assert_eq!(text, b"bye");
    let taken = Some(EndedBy::TakeOver("ben".to_owned()));
    for client in [&mut ann, &mut anns_log] {
        let app = end(client);
        assert!(matches!(&app.state, State::Ended(end) if end.asked), "{app:?}");
        assert_eq!(app.ended_by, taken);
        assert_eq!(client.answer(), Answer::End, "she does not follow his run");
    }
    assert_eq!(leases(&mut ben), pairs(&[("ben", "app")]));
    held(&mut ann, &of("ann", start("app")));
    // She stops his, which is not hers then.
    ann.ended(&by("ann", Claim::TakeOver, stop("app")));
    assert_eq!(leases(&mut ben), []);
}

#[test]
fn take_over_at_the_same_moment_has_one_winner() {
    let idle = Idle::start(&[]);
    let (mut ann, mut ben, mut eve) = (idle.client(), idle.client(), idle.client());
    let go = idle.folder.path().join("go");
    let slow = format!(
        "trap 'echo stopping; until [ -e {} ]; do sleep 0.05; done; exit 0' TERM; echo up; \
         while :; do sleep 0.05; done",
        go.display()
    );
    ann.started(&of("ann", Request::Start(script("app", &slow))));
    assert_eq!(idle.shown.recv().unwrap(), "up");
    ben.ask(&by(
        "ben",
        Claim::TakeOver,
        Request::Start(Start { grace_ms: 900_000, ..waits("ben") }),
    ));
    assert_eq!(idle.shown.recv().unwrap(), "stopping");
    let lease = held(&mut eve, &by("eve", Claim::TakeOver, start("eve")));
    assert_eq!(lease.who, "ben");
    fs::write(go, "").unwrap();
    assert!(matches!(ben.answer(), Answer::Started(_)));
    assert_eq!(leases(&mut eve), pairs(&[("ben", "ben")]));
    eve.started(&by("eve", Claim::TakeOver, start("eve")));
    assert_eq!(leases(&mut eve), pairs(&[("eve", "eve")]));
}

#[test]
fn two_people_share_where_they_say_so() {
    let idle = Idle::start(&[]);
    let (mut ann, mut ben) = (idle.client(), idle.client());
    ann.started(&of("ann", start("web")));
    held(&mut ben, &by("ben", Claim::Share, start("web")));
    ben.started(&by("ben", Claim::Share, start("db")));
    assert_eq!(leases(&mut ben), pairs(&[("ann", "web"), ("ben", "db")]));
    // Each has what is theirs, now without saying so.
    ben.started(&of("ben", Request::Restart { name: "db".into(), grace_ms: 60_000 }));
    held(&mut ben, &of("ben", stop("web")));
    held(&mut ann, &of("ann", stop("db")));
    ben.ended(&of("ben", stop("db")));
    assert_eq!(leases(&mut ben), pairs(&[("ann", "web")]));
    // Someone without a name, as an earlier diyadm, is not refused.
    ben.ended(&stop("web"));
    assert_eq!(leases(&mut ben), []);
}

#[test]
fn lease_ends_at_its_time_and_the_stand_in_comes_back() {
    let idle = Idle::start(&["--stand-in", "--", "sh", "-c", "echo stand-in; exec sleep 1000"]);
    let (mut ann, mut ben) = (idle.client(), idle.client());
    let shows = |line: &str| assert_eq!(idle.shown.recv().unwrap(), line);
    shows("stand-in");
    let hour = 3_600_000;
    ann.started(&timed("ann", hour, waits("web")));
    shows("web");
    ann.ask(&follow("web"));
    let now = of("ann", Request::Extend { for_ms: 0 });
    assert!(matches!(idle.client().asked(&now), Answer::Apps(_)));
    let app = end(&mut ann);
    assert_eq!(app.ended_by, Some(EndedBy::Lease));
    assert_eq!(ann.answer(), Answer::End);
    shows("stand-in");
    assert_eq!(leases(&mut ben), []);

    // It keeps the container for an application that ended by itself, and can be set anew.
    ann.started(&timed("ann", hour, script("web", "exit 1")));
    ann.ended(&wait("web"));
    let lease = held(&mut ben, &of("ben", start("web")));
    assert!(lease.left_ms.is_some_and(|left| left <= hour && left > hour / 2), "{lease:?}");
    let Answer::Apps(extended) = ann.asked(&of("ann", Request::Extend { for_ms: 3 * hour })) else {
        panic!("a list");
    };
    assert!(extended.leases[0].left_ms.is_some_and(|left| left > 2 * hour));
    ann.asked(&now);
    wait_until("its end", || apps(&mut ben).leases.is_empty());
    ben.started(&of("ben", start("web")));
    let failed = ann.failed(&of("eve", Request::Extend { for_ms: hour }));
    assert!(matches!(failed, Failed::Held(lease) if lease.who == "ben"));
}

/// Where PID 1 is a shell, the supervisor can be killed without the container.
#[test]
fn lease_outlives_a_killed_supervisor() {
    let container = require!(ShellContainer::start());
    let mut ann = container.client();
    // Nobody reads its output after the kill.
    let quiet = script("web", "exec sleep 1000 >/dev/null 2>&1");
    let app = ann.started(&timed("ann", 3_600_000, quiet));
    container.kill_supervisor(&mut ann);

    let mut ben = container.client();
    let lease = held(&mut ben, &of("ben", start("db")));
    assert_eq!((&lease.who[..], &lease.apps[..]), ("ann", &["web".to_owned()][..]));
    assert!(lease.left_ms.is_some_and(|left| left <= 3_600_000), "{lease:?}");
    let [web] = &apps(&mut ben).apps[..] else { panic!("what runs") };
    assert_eq!((&web.state, web.pid), (&State::Running, app.pid));
    ben.started(&by("ben", Claim::TakeOver, start("db")));
    assert_eq!(leases(&mut ben), pairs(&[("ben", "db")]));
    let names: Vec<_> = apps(&mut ben).apps.into_iter().map(|app| app.name).collect();
    assert_eq!(names, ["db"], "hers has ended");
}

/// What was sent: a path, of which nothing else is told apart here.
fn content(path: &str, byte: u8) -> SentContent {
    SentContent {
        path: path.into(),
        hash: Hash([byte; 32]),
        files: None,
        revision: Some("8e7b834".to_owned()),
        dirty: true,
        who: "somebody else".to_owned(),
        at_ms: 0,
    }
}

#[test]
fn application_has_what_its_user_sent_before_it_started() {
    let idle = Idle::start(&[]);
    let (mut ann, mut ben) = (idle.client(), idle.client());
    let sends = |who: &str, sent: &[SentContent], request: Request| {
        let (who, request, sent) = (who.to_owned(), Box::new(request), sent.to_vec());
        Request::By(By { who, claim: Claim::Share, for_ms: None, sent, request })
    };
    let hashes = |sent: &[SentContent]| sent.iter().map(|one| one.hash.0[0]).collect::<Vec<_>>();
    let sent = |client: &mut Client, request: &Request| match client.asked(request) {
        Answer::Apps(apps) => hashes(&apps.sent),
        other => panic!("{other:?}"),
    };
    // `sync`, then `run`.
    let jar = [content("/app.jar", 1)];
    assert_eq!(sent(&mut ann, &sends("ann", &jar, Request::List)), [1]);
    assert_eq!(sent(&mut ben, &sends("ben", &[content("/db", 2)], Request::List)), [1, 2]);
    let app = ann.started(&of("ann", start("web")));
    let [kept] = &app.content[..] else { panic!("{app:?}") };
    assert_eq!(
        (&kept.who[..], kept.dirty, kept.revision.as_deref()),
        ("ann", true, Some("8e7b834"))
    );
    assert!(kept.at_ms > 0 && kept.at_ms <= app.since_ms, "{app:?}");
    // A newer one is that of the container, and of the application after its restart.
    assert_eq!(sent(&mut ann, &sends("ann", &[content("/app.jar", 3)], Request::List)), [2, 3]);
    assert_eq!(hashes(&apps(&mut ann).apps[0].content), [1]);
    let again = Request::Restart { name: "web".into(), grace_ms: 60_000 };
    assert_eq!(hashes(&ann.started(&of("ann", again)).content), [3]);
    // `dev` says what it has sent when it starts the application.
    let dev = sends("ben", &[content("/b", 4)], start("db"));
    assert_eq!(hashes(&ben.started(&dev).content), [4]);
    // The newest are kept, and nothing that is too long.
    let many: Vec<_> = (10..30).map(|at| content(&format!("/{at}"), at)).collect();
    for one in many {
        sent(&mut ann, &sends("ann", &[one], Request::List));
    }
    let long = content(&"x".repeat(513), 99);
    assert_eq!(
        sent(&mut ann, &sends("ann", &[long], Request::List)),
        [22, 23, 24, 25, 26, 27, 28, 29]
    );
    // Somebody without a name has sent nothing.
    assert_eq!(ben.started(&start("plain")).content, []);
}
