//! Chains over several CAs, and what CAs allow.

use openssl::hash::MessageDigest;

use super::cases::{Cases, Keys};
use crate::pki::forge::{CONSTRAINTS, Template, USAGES, constraints, der, sequence, usages};

impl Cases {
    pub(super) fn chains(&mut self) {
        let leaf = || Template::leaf(&["DNS:web.test.svc"]);
        let between = || Template::ca("middle");
        self.middle("intermediate", true, &between());
        self.middle("expired intermediate", false, &between().days(-20, -10));
        self.middle("intermediate with CA:FALSE", false, &between().with_basic(false, None));
        self.middle("intermediate of version 1", false, &{
            Template { version: 0, extensions: vec![], ..between() }
        });
        self.middle("intermediate signed with SHA-1", false, &{
            Template { digest: MessageDigest::sha1, ..between() }
        });
        self.middle("intermediate for clients", false, &{
            between().with(USAGES, false, usages(&[2]))
        });
        self.middle("intermediate with pathlen 0", true, &between().with_basic(true, Some(0)));

        let Keys { ca, other, middle, low, server } = &self.keys;
        let (ca, other, middle, low) = (ca.clone(), other.clone(), middle.clone(), low.clone());
        let server = server.clone();
        let (root, crt) = (ca.root(), leaf().sign(&server, &middle));
        let by_ca = between().sign(&middle.key, &ca);
        self.add("intermediate is missing", false, &[&root], &[&crt]);
        self.add("intermediate is the root", true, &[&by_ca], &[&crt]);
        self.add("intermediate is the root, and sent", true, &[&by_ca], &[&crt, &by_ca]);
        self.add("intermediate in the bundle only", true, &[&root, &by_ca], &[&crt]);
        let expired = between().days(-20, -10).sign(&middle.key, &ca);
        self.add("expired intermediate as root", false, &[&expired], &[&crt]);
        self.add("a good intermediate beside an expired one", true, &[&root], &{
            [&crt, &expired, &by_ca]
        });
        let by_other = between().sign(&middle.key, &other);
        self.add("cross-signed, this root", true, &[&root], &[&crt, &by_other, &by_ca]);
        self.add("cross-signed, that root", true, &[&other.root()], &[&crt, &by_other, &by_ca]);
        let around = Template::ca("the CA").sign(&ca.key, &middle);
        self.add("signed in a circle", false, &[&other.root()], &[&crt, &by_ca, &around]);

        let lowest = leaf().sign(&server, &low);
        let lower = Template::ca("low").sign(&low.key, &middle);
        self.add("two intermediates", true, &[&root], &[&lowest, &lower, &by_ca]);
        self.add("two, in another order", true, &[&root], &[&lowest, &by_ca, &lower]);
        for (path, is_good) in [(2, true), (1, false)] {
            let short = Template::ca("the CA").with_basic(true, Some(path)).sign(&ca.key, &ca);
            let what = format!("two intermediates below pathlen {path}");
            self.add(&what, is_good, &[&short], &[&lowest, &lower, &by_ca]);
        }
        let short = between().with_basic(true, Some(0)).sign(&middle.key, &ca);
        self.add("an intermediate below pathlen 0", false, &[&root], &[&lowest, &lower, &short]);
    }

    pub(super) fn constraints(&mut self) {
        let names = |names: &[&str]| Template::leaf(names);
        for (what, is_good, permitted, excluded, leaf) in [
            ("permitted", true, &["DNS:test.svc"][..], &[][..], &["DNS:web.test.svc"][..]),
            ("not permitted", false, &["DNS:other.svc"], &[], &["DNS:web.test.svc"]),
            ("permitted with a dot", true, &["DNS:.test.svc"], &[], &["DNS:web.test.svc"]),
            (
                "the name itself, with a dot",
                false,
                &["DNS:.web.test.svc"],
                &[],
                &["DNS:web.test.svc"],
            ),
            ("half a label", false, &["DNS:eb.test.svc"], &[], &["DNS:web.test.svc"]),
            ("upper case", true, &["DNS:TEST.svc"], &[], &["DNS:web.test.svc"]),
            ("one of two", false, &["DNS:test.svc"], &[], &["DNS:web.test.svc", "DNS:a.b"]),
            ("excluded", false, &[], &["DNS:test.svc"], &["DNS:web.test.svc"]),
            ("another is excluded", true, &[], &["DNS:other.svc"], &["DNS:web.test.svc"]),
            (
                "a wildcard over what is excluded",
                false,
                &[],
                &["DNS:a.test.svc"],
                &["DNS:*.test.svc"],
            ),
            ("all excluded", false, &[], &["DNS:"], &["DNS:web.test.svc"]),
            (
                "addresses do not matter",
                true,
                &["DNS:test.svc"],
                &[],
                &["DNS:web.test.svc", "IP:10.0.0.1"],
            ),
            (
                "network",
                true,
                &["IP:10.0.0.0/255.0.0.0"],
                &[],
                &["DNS:web.test.svc", "IP:10.1.1.1"],
            ),
            (
                "another network",
                false,
                &["IP:10.0.0.0/255.0.0.0"],
                &[],
                &["DNS:web.test.svc", "IP:11.1.1.1"],
            ),
            (
                "IPv6 in no network",
                false,
                &["IP:10.0.0.0/255.0.0.0"],
                &[],
                &["DNS:web.test.svc", "IP:fd00::1"],
            ),
            (
                "network that is excluded",
                false,
                &[],
                &["IP:10.0.0.0/255.0.0.0"],
                &["DNS:web.test.svc", "IP:10.1.1.1"],
            ),
            ("mask with a hole", false, &["IP:10.0.0.0/255.0.255.0"], &[], &["DNS:web.test.svc"]),
            (
                "e-mail domain",
                true,
                &["email:test.svc"],
                &[],
                &["DNS:web.test.svc", "email:a@test.svc"],
            ),
            (
                "e-mail host",
                false,
                &["email:test.svc"],
                &[],
                &["DNS:web.test.svc", "email:a@else.svc"],
            ),
            (
                "one mailbox",
                true,
                &["email:a@test.svc"],
                &[],
                &["DNS:web.test.svc", "email:a@TEST.svc"],
            ),
            (
                "another mailbox",
                false,
                &["email:a@test.svc"],
                &[],
                &["DNS:web.test.svc", "email:b@test.svc"],
            ),
            (
                "URI",
                true,
                &["URI:test.svc"],
                &[],
                &["DNS:web.test.svc", "URI:https://a.test.svc:1/"],
            ),
            (
                "URI elsewhere",
                false,
                &["URI:test.svc"],
                &[],
                &["DNS:web.test.svc", "URI:https://a.b/"],
            ),
            (
                "URI of an address",
                false,
                &["URI:test.svc"],
                &[],
                &["DNS:web.test.svc", "URI:https://10.0.0.1/"],
            ),
            ("no constraint", false, &[], &[], &["DNS:web.test.svc"]),
        ] {
            let value = constraints(permitted, excluded);
            let between = Template::ca("middle").with(CONSTRAINTS, true, value);
            self.middle_of(&format!("constraint: {what}"), is_good, &between, &names(leaf));
        }
        let partial = sequence(&[der(0xa0, &sequence(&[der(0x88, &[0x2a])]))]);
        for (critical, is_good) in [(true, false), (false, true)] {
            let between = Template::ca("middle").with(CONSTRAINTS, critical, partial.clone());
            let what = format!("a kind of constraint that Go lacks, critical: {critical}");
            self.middle_of(&what, is_good, &between, &names(&["DNS:web.test.svc"]));
        }
    }

    pub(super) fn policies(&mut self) {
        let policy = |last: u8| der(6, &[0x2a, 3, last]);
        let any = || der(6, &[0x55, 0x1d, 32, 0]);
        let list = |all: &[Vec<u8>]| {
            sequence(&all.iter().map(|one| sequence(std::slice::from_ref(one))).collect::<Vec<_>>())
        };
        let leaf = |policies: Option<Vec<u8>>| {
            let leaf = Template::leaf(&["DNS:web.test.svc"]);
            match policies {
                Some(policies) => leaf.with("2.5.29.32", false, list(&[policies])),
                None => leaf,
            }
        };
        let explicit = sequence(&[der(0x80, &[0])]);
        for (what, is_good, ca, of_leaf) in [
            ("the same", true, policy(1), Some(policy(1))),
            ("another", false, policy(1), Some(policy(2))),
            ("none", false, policy(1), None),
            ("any above", true, any(), Some(policy(2))),
            ("any below", true, policy(1), Some(any())),
        ] {
            let between = Template::ca("middle").with("2.5.29.36", true, explicit.clone()).with(
                "2.5.29.32",
                false,
                list(std::slice::from_ref(&ca)),
            );
            self.middle_of(&format!("policy: {what}"), is_good, &between, &leaf(of_leaf));
        }
        let mapped = sequence(&[sequence(&[policy(1), policy(2)])]);
        let between = Template::ca("middle")
            .with("2.5.29.36", true, explicit)
            .with("2.5.29.33", false, mapped)
            .with("2.5.29.32", false, list(&[policy(1)]));
        self.middle_of("policy: mapped", true, &between, &leaf(Some(policy(2))));
        self.middle_of("policy: mapped away", false, &between, &leaf(Some(policy(1))));
        let twice = Template::leaf(&["DNS:web.test.svc"]);
        let twice = twice.with("2.5.29.32", false, list(&[policy(1), policy(1)]));
        self.leaf("policy: twice", false, &twice);
    }
}
