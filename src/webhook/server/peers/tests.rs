//! Who gives way to whom.

use super::*;

const MIB: usize = 1024 * 1024;

fn connect(peers: &Arc<Peers>, last: u8) -> Arc<Connection> {
    peers.connect([10, 0, 0, last].into()).expect("a place")
}

fn chosen(connection: &Connection) -> bool {
    connection.slot.gives_way.load(Relaxed)
}

fn gives_way(connections: &[Arc<Connection>]) -> Vec<usize> {
    let all = connections.iter().enumerate();
    all.filter(|(_, connection)| chosen(connection)).map(|(at, _)| at).collect()
}

#[test]
fn idle_connections_of_the_largest_peer_give_way() {
    let peers = Peers::new(16, MIB, 8);
    let small: Vec<_> = (0..3).map(|_| connect(&peers, 1)).collect();
    let large: Vec<_> = (0..13).map(|_| connect(&peers, 2)).collect();
    small.iter().chain(&large).for_each(|connection| connection.enter(Stage::Idle));
    large[0].enter(Stage::Body);
    let newcomer = connect(&peers, 1);
    assert_eq!((gives_way(&small), gives_way(&large).len()), (vec![], 1));
    // The large peer's own newcomers take the place of its own idle connections.
    let more: Vec<_> = (0..3).map(|_| connect(&peers, 2)).collect();
    assert_eq!((gives_way(&small), gives_way(&large).len()), (vec![], 4));
    assert!(!chosen(&large[0]), "those that have nothing to do go first");
    large.iter().chain(&more).for_each(|connection| connection.enter(Stage::Review));
    assert!(peers.connect([10, 0, 0, 2].into()).is_none(), "all of its others are busy");
    assert!(!chosen(&newcomer));
    drop((large, more));
    assert_eq!(peers.held(Resource::Connections), 4);
}

#[test]
fn bodies_of_the_largest_peer_give_way() {
    let peers = Peers::new(100, 10 * MIB, 100);
    let large: Vec<_> = (0..3).map(|_| connect(&peers, 2)).collect();
    let mut held: Vec<_> =
        large.iter().map(|c| c.hold(Resource::Bytes, 3 * MIB).unwrap()).collect();
    large.iter().for_each(|connection| connection.enter(Stage::Body));
    assert!(!large[0].fits(2 * MIB) && !held[0].grow(2 * MIB), "it holds the most itself");
    let small = connect(&peers, 1);
    assert!(small.fits(2 * MIB));
    let mut body = small.hold(Resource::Bytes, 0).unwrap();
    assert!(body.grow(2 * MIB));
    assert_eq!(gives_way(&large).len(), 1);
    assert!(body.grow(MIB), "what is being given back counts as free");
    assert_eq!(gives_way(&large).len(), 1);
    drop((held, body));
    assert_eq!(peers.held(Resource::Bytes), 0);
}

#[test]
fn answers_of_the_largest_peer_give_way() {
    let peers = Peers::new(100, MIB, 3);
    let unread: Vec<_> = (0..3).map(|_| connect(&peers, 2)).collect();
    let _held: Vec<_> = unread.iter().map(|c| c.hold(Resource::Reviews, 1).unwrap()).collect();
    unread.iter().for_each(|connection| connection.enter(Stage::Answer));
    assert!(connect(&peers, 2).hold(Resource::Reviews, 1).is_none());
    let small = connect(&peers, 1);
    assert!(small.hold(Resource::Reviews, 1).is_some());
    assert_eq!(gives_way(&unread).len(), 1);
}

#[test]
fn peer_waits_for_its_turn_only_while_other_peers_wait() {
    let peers = Peers::new(100, MIB, 3);
    let busy = connect(&peers, 2);
    assert_eq!(busy.wait_for_turn(1), None);
    busy.spend(10_000_000_000, None);
    assert_eq!(busy.wait_for_turn(1), None, "it is alone");
    let other = connect(&peers, 1);
    assert_eq!(other.wait_for_turn(1), None);
    busy.spend(10_000_000_000, None);
    assert_eq!(time_between_turns(&busy), Duration::from_millis(SHARE));
    assert_eq!(other.wait_for_turn(1), None);
}

#[test]
fn waiting_peers_leave_a_share_to_other_peers() {
    let peers = Peers::new(100, MIB, 3);
    let busy: Vec<_> = (1..=30).map(|last| connect(&peers, last)).collect();
    for connection in &busy {
        assert_eq!(connection.wait_for_turn(1), None);
        connection.spend(10_000_000_000, None);
    }
    assert_eq!(time_between_turns(&busy[0]), Duration::from_millis(30 * SHARE / (SHARE - 1)));
}

/// Between two turns for a millisecond of work each.
fn time_between_turns(connection: &Connection) -> Duration {
    let [first, second] = [(); 2].map(|()| connection.wait_for_turn(1_000_000).expect("a turn"));
    second.at - first.at
}

#[test]
fn slow_connections_are_closed() {
    let peers = Peers::new(100, MIB, 3);
    let connections: Vec<_> = (1..3).map(|last| connect(&peers, last)).collect();
    connections[1].enter(Stage::Review);
    let longest = |stage| if stage == Stage::Review { Duration::MAX } else { Duration::ZERO };
    while gives_way(&connections).is_empty() {
        peers.sweep(longest);
    }
    assert_eq!((gives_way(&connections), peers.closed(Closed::TimedOut)), (vec![0], 1));
}

#[test]
fn ipv6_network_counts_as_one_peer() {
    let of = |text: &str| peer(text.parse().unwrap());
    assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
    assert_eq!(of("fd00::1"), of("fd00::2:3"));
    assert_ne!(of("fd00::1"), of("fd00:0:0:1::1"));
    assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
}
