//! A network namespace for a server, with an address of its own, as a Pod has.

use std::{
    fs::File,
    net::{IpAddr, Ipv4Addr},
    os::fd::AsFd,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::{cluster_with, skip};

/// A network namespace with one address, reached from the host through a pair of interfaces, as
/// a Pod's is. Gone when dropped; `cargo xtask test` takes away what a test that was killed left.
pub(crate) struct Net {
    pub(crate) name: String,
    /// IPv4, not loopback: an EndpointSlice may not hold that.
    pub(crate) address: String,
}

/// 198.18.0.0/15 is kept free for tests (RFC 2544): so many networks of four addresses.
const NETWORKS: u32 = 1 << 15;
/// Of a process; another process has others.
const OWN: u32 = 64;

impl Net {
    /// `None` where this user may not make one.
    pub(crate) fn new() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let pid = std::process::id();
        // Another process may have the same networks: its name says whose it is.
        for _ in 0..OWN {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let network = pid.wrapping_mul(OWN).wrapping_add(number % OWN) % NETWORKS;
            let base = u32::from(Ipv4Addr::new(198, 18, 0, 0)) + network * 4;
            let at = |n: u32| Ipv4Addr::from(base + n).to_string();
            let taken = ip(&["-o", "-4", "addr", "show", "to", &format!("{}/30", at(0))]);
            if taken.is_ok_and(|shown| !shown.is_empty()) {
                continue;
            }
            let name = format!("diyadm-test-{pid}-{number}");
            if let Err(why) = ip(&["netns", "add", &name]) {
                skip(&format!("no network namespace, it takes root and iproute2: {why}"));
                return None;
            }
            let net = Self { address: at(2), name };
            net.join(&format!("dy{pid}-{number}"), &at(1)).unwrap();
            return Some(net);
        }
        panic!("no network of 198.18.0.0/15 is free: `ip addr` shows whose they are");
    }

    /// One for a server behind a Service, which the API server finds by an EndpointSlice.
    pub(crate) fn of_service() -> Option<Self> {
        cluster_with("EndpointSlices in the API server's routing (Endpoints before)", 33)?;
        Self::new()
    }

    /// The address of the machine as this namespace sees it.
    pub(crate) fn gateway(&self) -> IpAddr {
        let address: Ipv4Addr = self.address.parse().unwrap();
        Ipv4Addr::from(u32::from(address) - 1).into()
    }

    /// Moves this thread into the namespace, for as long as it lives.
    pub(crate) fn enter(&self) {
        let namespace = File::open(format!("/run/netns/{}", self.name)).unwrap();
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
    }

    /// A pair of interfaces: one here at `gateway`, one in the namespace.
    fn join(&self, link: &str, gateway: &str) -> Result<(), String> {
        let Self { name, address } = self;
        ip(&["link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name])?;
        ip(&["addr", "add", &format!("{gateway}/30"), "dev", link])?;
        ip(&["link", "set", link, "up"])?;
        ip(&["-n", name, "addr", "add", &format!("{address}/30"), "dev", "eth0"])?;
        ip(&["-n", name, "link", "set", "eth0", "up"])?;
        ip(&["-n", name, "link", "set", "lo", "up"])?;
        Ok(())
    }

    /// The EndpointSlice that puts it behind a Service.
    pub(crate) fn slice(&self, namespace: &str, service: &str) -> String {
        slice(namespace, service, &[(self, true)])
    }
}

fn ip(args: &[&str]) -> Result<String, String> {
    let output = Command::new("ip").args(args).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("ip {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}

/// The EndpointSlice of several; the ones that are not ready are being ended.
pub(crate) fn slice(namespace: &str, service: &str, of: &[(&Net, bool)]) -> String {
    let endpoint = |(net, ready): &(&Net, bool)| {
        serde_json::json!({
            "addresses": [net.address],
            "conditions": { "ready": ready, "serving": true, "terminating": !ready },
        })
    };
    serde_json::json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": format!("{service}-test"),
            "namespace": namespace,
            "labels": { "kubernetes.io/service-name": service },
        },
        "addressType": "IPv4",
        "ports": [{ "name": "webhook", "port": 8443, "protocol": "TCP" }],
        "endpoints": of.iter().map(endpoint).collect::<Vec<_>>(),
    })
    .to_string()
}

impl Drop for Net {
    fn drop(&mut self) {
        // Its interface goes with it, and the peer with that.
        let _ = Command::new("ip").args(["netns", "del", &self.name]).output();
    }
}
