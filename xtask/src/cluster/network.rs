//! The addresses of a cluster with a node, and the pair of interfaces that leads to it.
//!
//! A cluster takes one of sixteen slots, so that several run side by side on one machine. All
//! addresses are of 198.19.0.0/16, half of the range that RFC 2544 keeps for tests: never a
//! network that the machine is really on. The node's network namespace has no route out, so
//! nothing in a Pod reaches anything but this machine.

use std::{fs, path::Path, process::Command, thread, time::Duration};

use anyhow::{Result, bail};

use crate::process::output;

const SLOTS: u8 = 16;

/// One cluster's share of addresses and names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network {
    slot: u8,
}

impl Network {
    /// The host's interface of the pair.
    pub(super) fn link(self) -> String {
        format!("diyadm-rig{}", self.slot)
    }

    /// The cgroup above all Pods, the same name in every hierarchy.
    pub(super) fn cgroup(self) -> String {
        self.link()
    }

    /// 1022 addresses for Services.
    pub(super) fn services(self) -> String {
        format!("{}/22", self.address(0, 0))
    }

    /// The `kubernetes` Service, and where the API server really listens: Pods reach it without
    /// a kube-proxy.
    pub(super) fn api(self) -> String {
        self.address(0, 1)
    }

    /// Where a cluster's DNS would be. None is: a lookup fails at once, as there is no route.
    pub(super) fn dns(self) -> String {
        self.address(0, 10)
    }

    /// 254 addresses for Pods.
    pub(super) fn pods(self) -> String {
        format!("{}/24", self.address(8, 0))
    }

    fn host(self) -> String {
        self.address(15, 1)
    }

    /// The node's own address.
    pub(super) fn node(self) -> String {
        self.address(15, 2)
    }

    fn address(self, third: u8, fourth: u8) -> String {
        format!("198.19.{}.{fourth}", self.slot * 16 + third)
    }

    /// Takes the first free slot by making its interfaces, the far one in the network namespace of
    /// process `node`. `api_on_node` puts the API server's address there, else it is the host's.
    /// All of it goes when that namespace does.
    pub(super) fn connect(node: u32, api_on_node: bool) -> Result<Self> {
        let network = Self::claim(node)?;
        let (link, near, far) = (network.link(), network.host(), network.node());
        let api = format!("{}/32", network.api());
        let inside = |args: &[&str]| {
            let pid = node.to_string();
            output(Command::new("nsenter").args(["--net", "--target", &pid, "ip"]).args(args))
        };
        let outside = |args: &[&str]| output(Command::new("ip").args(args));
        outside(&["addr", "add", &format!("{near}/30"), "dev", &link])?;
        outside(&["link", "set", &link, "up"])?;
        inside(&["addr", "add", &format!("{far}/30"), "dev", "eth0"])?;
        inside(&["link", "set", "eth0", "up"])?;
        inside(&["link", "set", "lo", "up"])?;
        outside(&["route", "add", &network.pods(), "via", &far])?;
        if api_on_node {
            inside(&["addr", "add", &api, "dev", "lo"])?;
            outside(&["route", "add", &api, "via", &far])?;
        } else {
            outside(&["addr", "add", &api, "dev", &link])?;
            inside(&["route", "add", &api, "via", &near])?;
        }
        Ok(network)
    }

    fn claim(node: u32) -> Result<Self> {
        let pid = node.to_string();
        let mut said = String::new();
        for slot in 0..SLOTS {
            let network = Self { slot };
            let link = network.link();
            if Path::new("/sys/class/net").join(&link).exists() {
                continue;
            }
            let pair =
                ["link", "add", &link, "type", "veth", "peer", "name", "eth0", "netns", &pid];
            match output(Command::new("ip").args(pair)) {
                Ok(_) => return Ok(network),
                // Another cluster may have been faster.
                Err(error) => said = format!(": {error:#}"),
            }
        }
        bail!("none of the {SLOTS} networks of the rig is free{said}")
    }
}

/// Waits until the interface of a node that ended is gone: the kernel takes it down a little
/// after the last process. Returns whether it went.
pub(super) fn wait_until_gone(link: &str) -> bool {
    let path = Path::new("/sys/class/net").join(link);
    for _ in 0..250 {
        if fs::symlink_metadata(&path).is_err() {
            return true;
        }
        thread::sleep(Duration::from_millis(20));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_slots_do_not_overlap() {
        for slot in 0..SLOTS {
            let network = Network { slot };
            let third = |text: &str| text.split('.').nth(2).unwrap().parse::<u8>().unwrap() / 16;
            for text in [network.services(), network.api(), network.pods(), network.node()] {
                assert_eq!(third(&text), slot, "{text}");
            }
            assert!(network.link().len() < 16, "the kernel's limit for an interface's name");
        }
    }
}
