//! Chains of certificates, judged by `pki::verify` as Go's TLS client judges them, which every API
//! server has: a Go program is asked about all of them.

use base64::{Engine, engine::general_purpose::STANDARD};
use diyadm::pki::{self, Fault, KeyKind};
use openssl::{
    bn::BigNum,
    dsa::Dsa,
    ec::{EcGroup, EcKey},
    hash::MessageDigest,
    nid::Nid,
    pkey::{Id, PKey, Private},
    rsa::Rsa,
    x509::X509,
};
use serde_json::{Value, json};

use super::forge::{
    CONSTRAINTS, Issuer, KEY_USAGE, NOW, SANS, Template, USAGES, constraints, der, name, pem,
    sequence, usages,
};
use crate::rig::oracle;

const HOST: &str = "web.test.svc";

/// A chain, and what it is meant to show.
struct Case {
    what: String,
    ca: String,
    crt: String,
    key: String,
    host: &'static str,
    /// Whether it is meant to be good; Go has the last word.
    is_good: bool,
}

/// The keys that all cases share: making one takes time.
struct Keys {
    server: PKey<Private>,
    ca: Issuer,
    other: Issuer,
    middle: Issuer,
    low: Issuer,
}

fn p256() -> PKey<Private> {
    pki::generate_key(KeyKind::P256).unwrap()
}

fn rsa(bits: u32) -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap()
}

fn ec(curve: Nid) -> PKey<Private> {
    let group = EcGroup::from_curve_name(curve).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

struct Cases {
    keys: Keys,
    all: Vec<Case>,
}

impl Cases {
    fn new() -> Self {
        let issuer = |subject: &str| Issuer::new(subject, &p256());
        let keys = Keys {
            server: p256(),
            ca: issuer("the CA"),
            other: issuer("the CA"),
            middle: issuer("middle"),
            low: issuer("low"),
        };
        Self { keys, all: Vec::new() }
    }

    fn add(&mut self, what: &str, is_good: bool, roots: &[&X509], chain: &[&X509]) {
        let key = self.keys.server.clone();
        self.add_as(what, is_good, (roots, chain, &key), HOST);
    }

    fn add_as(
        &mut self,
        what: &str,
        is_good: bool,
        (roots, chain, key): (&[&X509], &[&X509], &PKey<Private>),
        host: &'static str,
    ) {
        let key = String::from_utf8(key.private_key_to_pem_pkcs8().unwrap()).unwrap();
        let (ca, crt, what) = (pem(roots), pem(chain), what.to_owned());
        self.all.push(Case { what, ca, crt, key, host, is_good });
    }

    /// A server's certificate that the CA signs, and nothing else odd about it.
    fn leaf(&mut self, what: &str, is_good: bool, leaf: &Template) {
        let (root, crt) = (self.keys.ca.root(), leaf.sign(&self.keys.server, &self.keys.ca));
        self.add(what, is_good, &[&root], &[&crt]);
    }

    /// A server's certificate below another CA's, which has `template`.
    fn middle(&mut self, what: &str, is_good: bool, template: &Template) {
        self.middle_of(what, is_good, template, &Template::leaf(&["DNS:web.test.svc"]));
    }

    fn middle_of(&mut self, what: &str, is_good: bool, template: &Template, leaf: &Template) {
        let Keys { ca, middle, server, .. } = &self.keys;
        let (root, crt) = (ca.root(), leaf.sign(server, middle));
        let between = template.sign(&middle.key, ca);
        self.add(what, is_good, &[&root], &[&crt, &between]);
    }

    /// A server's certificate right below a root, which has `template`.
    fn root(&mut self, what: &str, is_good: bool, template: &Template) {
        let Keys { ca, server, .. } = &self.keys;
        let crt = Template::leaf(&["DNS:web.test.svc"]).sign(server, ca);
        let root = template.sign(&ca.key, ca);
        self.add(what, is_good, &[&root], &[&crt]);
    }

    fn leaves(&mut self) {
        let leaf = || Template::leaf(&["DNS:web.test.svc"]);
        let named = |names: &[&str]| Template::leaf(names);
        self.leaf("plain", true, &leaf());
        self.leaf("expired", false, &leaf().days(-20, -10));
        self.leaf("not yet valid", false, &leaf().days(10, 20));
        self.leaf("ends this second", true, &leaf().days(-10, 0));
        self.leaf("begins this second", true, &leaf().days(0, 10));
        self.leaf("another name", false, &named(&["DNS:else.test.svc"]));
        self.leaf("upper case", true, &named(&["DNS:WEB.Test.svc"]));
        self.leaf("wildcard", true, &named(&["DNS:*.test.svc"]));
        self.leaf("part of a label as wildcard", false, &named(&["DNS:we*.test.svc"]));
        self.leaf("wildcard over two labels", false, &named(&["DNS:*.svc"]));
        self.leaf("wildcard in the middle", false, &named(&["DNS:web.*.svc"]));
        self.leaf("nothing but a wildcard", false, &named(&["DNS:*"]));
        self.leaf("dot at the end", false, &named(&["DNS:web.test.svc."]));
        self.leaf("name as an e-mail address", false, &named(&["email:a@web.test.svc"]));
        self.leaf("odd name beside the right one", true, &named(&["DNS:a b", "DNS:web.test.svc"]));
        self.leaf("common name only", false, &{
            Template { subject: HOST.to_owned(), ..leaf().without(SANS) }
        });
        self.leaf("empty alternative names", false, &leaf().with(SANS, false, sequence(&[])));
        self.leaf("empty alternative names, critical", false, &{
            leaf().with(SANS, true, sequence(&[]))
        });
        for (what, is_good, value) in [
            ("client only", false, usages(&[2])),
            ("client and server", true, usages(&[2, 1])),
            ("any usage", true, usages(&[0])),
            ("no usage in the list", true, usages(&[])),
            ("code signing only", false, usages(&[3])),
        ] {
            self.leaf(what, is_good, &leaf().with(USAGES, false, value));
        }
        self.leaf("no extended usage", true, &leaf().without(USAGES));
        self.leaf("key usage of a CA", true, &leaf().with(KEY_USAGE, true, der(3, &[1, 0x06])));
        self.leaf("no key usage", true, &leaf().without(KEY_USAGE));
        self.leaf("key usage that is no bit string", false, &{
            leaf().with(KEY_USAGE, true, der(4, &[7, 0x80]))
        });
        self.leaf("a CA's certificate serves", true, &leaf().with_basic(true, None));
        self.leaf("pathlen in a leaf", true, &leaf().with_basic(false, Some(0)));
        self.leaf("negative serial", false, &Template { serial: -5, ..leaf() });
        self.leaf("serial 0", true, &Template { serial: 0, ..leaf() });
        self.leaf("version 1", false, &Template { version: 0, extensions: vec![], ..leaf() });
        let digest = |digest: fn() -> MessageDigest| Template { digest, ..leaf() };
        self.leaf("SHA-1", false, &digest(MessageDigest::sha1));
        self.leaf("SHA-224", false, &digest(MessageDigest::sha224));
        self.leaf("SHA-512", true, &digest(MessageDigest::sha512));
        self.leaf("unknown extension", true, &leaf().with("1.2.3.4", false, der(5, &[])));
        self.leaf("unknown critical extension", false, &{
            leaf().with("1.2.3.4", true, der(5, &[]))
        });
        let mut twice = leaf();
        twice.extensions.push(twice.extensions[0].clone());
        self.leaf("an extension twice", false, &twice);
        let identifier = |critical| leaf().with("2.5.29.14", critical, der(4, &[1, 2, 3]));
        self.leaf("key identifier", true, &identifier(false));
        self.leaf("critical key identifier", false, &identifier(true));
        self.leaf("SPIFFE", true, &named(&["DNS:web.test.svc", "URI:spiffe://test/ns/a/sa/b"]));
        self.leaf("a URI that is none", false, &named(&["DNS:web.test.svc", "URI:http://a b/%zz"]));
        let seven = sequence(&[name("DNS:web.test.svc"), der(0x87, &[1; 7])]);
        self.leaf("an address of seven bytes", false, &leaf().with(SANS, false, seven));

        let (root, key) = (self.keys.ca.root(), self.keys.server.clone());
        for (host, names, is_good) in [
            ("10.0.0.1", &["IP:10.0.0.1"][..], true),
            ("10.0.0.1", &["IP:10.0.0.2"], false),
            ("10.0.0.1", &["DNS:10.0.0.1"], false),
            ("fd00::1", &["IP:fd00::1"], true),
            ("10.0.0.1", &["IP:::ffff:10.0.0.1"], true),
            ("web.test.svc.cluster.local", &["DNS:web.test.svc"], false),
            ("web_1.test.svc", &["DNS:*.test.svc"], true),
        ] {
            let crt = named(names).sign(&key, &self.keys.ca);
            let what = format!("{host} of {names:?}");
            self.add_as(&what, is_good, (&[&root], &[&crt], &key), host);
        }
    }

    fn kinds_of_keys(&mut self) {
        let leaf = || Template::leaf(&["DNS:web.test.svc"]);
        let root = self.keys.ca.root();
        for (what, is_good, key) in [
            ("RSA-2048", true, rsa(2048)),
            ("RSA-1024", true, rsa(1024)),
            ("RSA-512", false, rsa(512)),
            ("P-384", true, ec(Nid::SECP384R1)),
            ("P-521", true, ec(Nid::SECP521R1)),
            ("P-224", false, ec(Nid::SECP224R1)),
            ("secp256k1", false, ec(Nid::SECP256K1)),
            ("Ed25519", true, PKey::generate_ed25519().unwrap()),
            ("Ed448", false, PKey::generate_ed448().unwrap()),
        ] {
            let crt = leaf().sign(&key, &self.keys.ca);
            self.add_as(what, is_good, (&[&root], &[&crt], &key), HOST);
        }
        for (what, is_good, key) in [
            ("CA with RSA-1024", true, rsa(1024)),
            ("CA with RSA-1000", false, rsa(1000)),
            ("CA with P-224", true, ec(Nid::SECP224R1)),
            ("CA with Ed25519", true, PKey::generate_ed25519().unwrap()),
            ("CA with DSA", false, PKey::from_dsa(Dsa::generate(1024).unwrap()).unwrap()),
        ] {
            let ca = Issuer::new("the CA", &key);
            let crt = leaf().sign(&self.keys.server, &ca);
            self.add(what, is_good, &[&ca.root()], &[&crt]);
        }
    }

    fn authorities(&mut self) {
        let leaf = || Template::leaf(&["DNS:web.test.svc"]);
        let ca = || Template::ca("the CA");
        self.root("expired CA", false, &ca().days(-20, -10));
        self.root("CA that is not valid yet", false, &ca().days(10, 20));
        self.root("CA:FALSE", false, &ca().with_basic(false, None));
        self.root("CA without basicConstraints", false, &ca().without_basic());
        self.root("CA of version 1", true, &{
            Template { version: 0, extensions: vec![], ..ca() }
        });
        self.root("CA without keyCertSign", false, &{
            ca().with(KEY_USAGE, true, der(3, &[1, 0x02]))
        });
        self.root("CA without key usage", true, &ca().without(KEY_USAGE));
        self.root("CA for clients only", false, &ca().with(USAGES, false, usages(&[2])));
        self.root("CA for any usage", true, &ca().with(USAGES, false, usages(&[0])));
        self.root("pathlen 0, nothing between", true, &ca().with_basic(true, Some(0)));
        self.root("CA signed with SHA-1", true, &Template { digest: MessageDigest::sha1, ..ca() });
        self.root("CA with a negative serial", false, &Template { serial: -1, ..ca() });
        self.root("CA with an unknown critical extension", false, &{
            ca().with("1.2.3.4", true, der(5, &[]))
        });

        let Keys { ca, other, server, .. } = &self.keys;
        let (ca, other, server) = (ca.clone(), other.clone(), server.clone());
        let (root, others) = (ca.root(), other.root());
        let crt = leaf().sign(&server, &ca);
        self.add("another CA of the name", false, &[&others], &[&crt]);
        self.add("two CAs of one name, the old one first", true, &[&others, &root], &[&crt]);
        self.add("two CAs of one name, the new one first", true, &[&root, &others], &[&crt]);
        self.add("the leaf is the root", true, &[&crt], &[&crt]);
        let expired = leaf().days(-20, -10).sign(&server, &ca);
        self.add("the leaf is the root, and expired", false, &[&expired], &[&expired]);
        let own = Issuer::new("server", &server);
        let itself = leaf().sign(&server, &own);
        self.add("self-signed, and trusted", true, &[&itself], &[&itself]);
        self.add("self-signed", false, &[&root], &[&itself]);
        let sha1 = Template { digest: MessageDigest::sha1, ..leaf() }.sign(&server, &own);
        self.add("self-signed with SHA-1, and trusted", true, &[&sha1], &[&sha1]);
        self.add("the same root twice", true, &[&root, &root], &[&crt]);
        self.add("the root is sent along", true, &[&root], &[&crt, &root]);
        self.add("junk is sent along", true, &[&root], &[&crt, &others]);
        let negative = Template { serial: -1, ..Template::ca("else") }.sign(&other.key, &other);
        self.add("what is sent along cannot be parsed", false, &[&root], &[&crt, &negative]);
        self.add("a CA beside it cannot be parsed", true, &[&negative, &root], &[&crt]);
        let identified = |id: u8| {
            let id = der(4, &[id; 4]);
            Template::ca("the CA").with("2.5.29.14", false, id).sign(&ca.key, &ca)
        };
        let asking = leaf().with("2.5.29.35", false, sequence(&[der(0x80, &[1; 4])]));
        let asking = asking.sign(&server, &ca);
        self.add("key identifiers match", true, &[&identified(1)], &[&asking]);
        self.add("key identifiers differ", true, &[&identified(2)], &[&asking]);
    }

    fn chains(&mut self) {
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

    fn constraints(&mut self) {
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

    fn policies(&mut self) {
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
                list(&[ca.clone()]),
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

/// Go's errors for the cases, and for the certificates that are to be parsed.
fn ask_go(cases: &[Case], certificates: &[Vec<u8>]) -> Option<(Vec<String>, Vec<String>)> {
    let chains = cases.iter().map(|case| {
        json!({ "CA": case.ca, "Crt": case.crt, "Key": case.key, "Host": case.host, "Now": NOW })
    });
    let chains: Vec<_> = chains.collect();
    let certificates: Vec<_> = certificates.iter().map(|der| STANDARD.encode(der)).collect();
    let input = json!({ "Chains": chains, "Certificates": certificates }).to_string();
    let output = oracle("certificates", &input)?;
    let answer: Value = serde_json::from_str(&output).unwrap();
    let texts = |field: &str| serde_json::from_value(answer[field].clone()).unwrap();
    Some((texts("Chains"), texts("Certificates")))
}

#[test]
fn chains_are_judged_as_go_judges_them() {
    let mut cases = Cases::new();
    cases.leaves();
    cases.kinds_of_keys();
    cases.authorities();
    cases.chains();
    cases.constraints();
    cases.policies();
    let cases = cases.all;
    let mutated = mutated();
    let Some((chains, certificates)) = ask_go(&cases, &mutated) else { return };
    let mut wrong = Vec::new();
    for (case, theirs) in cases.iter().zip(&chains) {
        let Case { what, ca, crt, key, host, is_good } = case;
        let key = Some(key.as_bytes());
        let ours = pki::verify(ca.as_bytes(), crt.as_bytes(), key, host, NOW);
        if ours.is_ok() != theirs.is_empty() || *is_good != theirs.is_empty() {
            wrong.push(format!("{what}: meant to be good: {is_good}; Go: {theirs:?}; {ours:?}"));
        }
        if let Err(fault) = ours {
            let text = fault.to_string();
            assert!(!text.contains('\n') && text.len() > 20, "{what}: {text}");
        }
    }
    let good = &cases[0];
    for (der, theirs) in mutated.iter().zip(&certificates) {
        let body = STANDARD.encode(der);
        let ca = format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
        let ours = pki::verify(ca.as_bytes(), good.crt.as_bytes(), None, HOST, NOW);
        let refused = matches!(ours, Err(Fault::Unreadable("ca.crt", _)));
        if refused == theirs.is_empty() {
            wrong.push(format!("{body}: Go: {theirs:?}; ours: {ours:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
    assert!(cases.len() > 100);
}

/// Certificates with one byte changed, each place in its turn. The keys are always the same, and
/// Ed25519 signs the same twice, so that nothing here is left to chance.
fn mutated() -> Vec<Vec<u8>> {
    let ed25519 = |byte: u8| PKey::private_key_from_raw_bytes(&[byte; 32], Id::ED25519).unwrap();
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let (one, point) = (BigNum::from_u32(1).unwrap(), group.generator_opt().unwrap());
    let p256 = EcKey::from_private_components(&group, &one, point).unwrap();
    let p256 = PKey::from_ec_key(p256).unwrap();
    let ca = Issuer::new("the CA", &ed25519(1));
    let policies = sequence(&[sequence(&[der(6, &[0x2a, 3, 4])])]);
    let names = Template::leaf(&["DNS:web.test.svc", "IP:10.0.0.1", "IP:fd00::1", "email:a@b.c"])
        .with("2.5.29.14", false, der(4, &[1; 4]))
        .with("2.5.29.35", false, sequence(&[der(0x80, &[2; 4])]))
        .with("2.5.29.32", false, policies.clone());
    let both = constraints(&["DNS:test.svc", "IP:10.0.0.0/255.0.0.0"], &["email:a@b.c"]);
    let mapping = sequence(&[sequence(&[der(6, &[0x2a, 3, 4]), der(6, &[0x2a, 3, 5])])]);
    let point = sequence(&[der(0xa0, &der(0xa0, &der(0x86, b"http://a/b")))]);
    let access = sequence(&[der(6, &[0x2b, 6, 1, 5, 5, 7, 48, 1]), der(0x86, b"http://a/b")]);
    let authority = Template::ca("the CA")
        .with_basic(true, Some(3))
        .with(CONSTRAINTS, true, both)
        .with("2.5.29.36", true, sequence(&[der(0x80, &[1]), der(0x81, &[2])]))
        .with("2.5.29.33", false, mapping)
        .with("2.5.29.54", true, der(2, &[1]))
        .with("2.5.29.31", false, sequence(&[point]))
        .with("1.3.6.1.5.5.7.1.1", false, sequence(&[access]))
        .with("2.5.29.32", false, policies);
    let mut all = Vec::new();
    for (template, key) in [(&names, &p256), (&names, &ed25519(2)), (&authority, &ed25519(1))] {
        let good = template.sign(key, &ca).to_der().unwrap();
        for place in 0..good.len() {
            for changed in [good[place].wrapping_add(1), good[place] ^ 0x80, 0, 0xff] {
                let mut bad = good.clone();
                bad[place] = changed;
                all.push(bad);
            }
        }
    }
    all
}
