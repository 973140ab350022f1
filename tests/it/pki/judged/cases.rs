//! Certificates of servers and of the CAs right above them, good and bad.

use diyadm::pki::{self, KeyKind};
use openssl::{
    dsa::Dsa,
    ec::{EcGroup, EcKey},
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    rsa::Rsa,
    x509::X509,
};

use super::HOST;
use crate::pki::forge::{
    Issuer, KEY_USAGE, SANS, Template, USAGES, der, name, pem, sequence, usages,
};

/// A chain, and what it is meant to show.
pub(super) struct Case {
    pub(super) what: String,
    pub(super) ca: String,
    pub(super) crt: String,
    pub(super) key: String,
    pub(super) host: &'static str,
    /// Whether it is meant to be good; Go has the last word.
    pub(super) is_good: bool,
}

/// The keys that all cases share: making one takes time.
pub(super) struct Keys {
    pub(super) server: PKey<Private>,
    pub(super) ca: Issuer,
    pub(super) other: Issuer,
    pub(super) middle: Issuer,
    pub(super) low: Issuer,
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

pub(super) struct Cases {
    pub(super) keys: Keys,
    pub(super) all: Vec<Case>,
}

impl Cases {
    pub(super) fn new() -> Self {
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

    pub(super) fn add(&mut self, what: &str, is_good: bool, roots: &[&X509], chain: &[&X509]) {
        let key = self.keys.server.clone();
        self.add_as(what, is_good, (roots, chain, &key), HOST);
    }

    pub(super) fn add_as(
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
    pub(super) fn leaf(&mut self, what: &str, is_good: bool, leaf: &Template) {
        let (root, crt) = (self.keys.ca.root(), leaf.sign(&self.keys.server, &self.keys.ca));
        self.add(what, is_good, &[&root], &[&crt]);
    }

    /// A server's certificate below another CA's, which has `template`.
    pub(super) fn middle(&mut self, what: &str, is_good: bool, template: &Template) {
        self.middle_of(what, is_good, template, &Template::leaf(&["DNS:web.test.svc"]));
    }

    pub(super) fn middle_of(
        &mut self,
        what: &str,
        is_good: bool,
        template: &Template,
        leaf: &Template,
    ) {
        let Keys { ca, middle, server, .. } = &self.keys;
        let (root, crt) = (ca.root(), leaf.sign(server, middle));
        let between = template.sign(&middle.key, ca);
        self.add(what, is_good, &[&root], &[&crt, &between]);
    }

    /// A server's certificate right below a root, which has `template`.
    pub(super) fn root(&mut self, what: &str, is_good: bool, template: &Template) {
        let Keys { ca, server, .. } = &self.keys;
        let crt = Template::leaf(&["DNS:web.test.svc"]).sign(server, ca);
        let root = template.sign(&ca.key, ca);
        self.add(what, is_good, &[&root], &[&crt]);
    }

    pub(super) fn leaves(&mut self) {
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

    pub(super) fn kinds_of_keys(&mut self) {
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

    pub(super) fn authorities(&mut self) {
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
}
