//! `remove` of ended applications.

use diyadm_agent::protocol::{Answer, Failed, Request};

use super::client::{Idle, script};

#[test]
fn remove_forgets_ended_applications_only() {
    let idle = Idle::start(&[]);
    let mut client = idle.client();
    let remove = Request::Remove { name: "app".to_owned() };
    client.started(&Request::Start(script("app", "exec sleep 1000")));
    assert!(matches!(client.failed(&remove), Failed::Runs(_)));
    client.ended(&Request::Stop { name: "app".to_owned(), grace_ms: 60_000 });
    assert_eq!(client.asked(&remove), Answer::Sent);
    assert!(client.apps().is_empty());
    assert!(matches!(client.failed(&remove), Failed::Unknown { .. }));
    client.started(&Request::Start(script("app", "exit 3")));
    assert_eq!(client.apps()[0].restarts, 0, "it is a new one");
}
