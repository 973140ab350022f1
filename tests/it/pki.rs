//! Our reading of csr.conf and our certificates, compared with the real `openssl` command field by
//! field: every csr.conf that diyadm accepts, openssl accepts with the same result.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use diyadm::pki::{self, KeyKind, Request, Terms};
use openssl::pkey::{PKey, Private};
use proptest::prelude::*;

use super::rig::{Run, skip};

pub(crate) mod forge;
mod judged;
mod keys;
mod refused;
mod texts;

use texts::{any_conf, taken, traps};

const BLOG: &str = include_str!("../../csr.conf");
const DAY: i64 = 24 * 60 * 60;

/// A certificate or a request as `openssl … -text` prints it.
#[derive(Debug)]
struct Text {
    /// Name: value, of the lines that have one.
    fields: BTreeMap<String, String>,
    /// Name: (whether critical, value).
    extensions: BTreeMap<String, (bool, String)>,
}

impl Text {
    fn parse(text: &str) -> Self {
        let mut parsed = Self { fields: BTreeMap::new(), extensions: BTreeMap::new() };
        let mut extension: Option<String> = None;
        for line in text.lines() {
            let line = line.trim();
            if let Some(name) = line.strip_prefix("X509v3 ")
                && let Some((name, rest)) = name.split_once(':')
                && name != "extensions"
            {
                extension = Some(name.to_owned());
                let critical = rest.trim() == "critical";
                parsed.extensions.insert(name.to_owned(), (critical, String::new()));
            } else if line.starts_with("Signature Algorithm") || line.starts_with("Requested") {
                extension = None;
            }
            if let Some((_, value)) = extension.as_ref().and_then(|e| parsed.extensions.get_mut(e))
            {
                if !line.starts_with("X509v3 ") {
                    value.push_str(line);
                    value.push('\n');
                }
            } else if let Some((name, value)) = line.split_once(':') {
                parsed.fields.insert(name.trim().to_owned(), value.trim().to_owned());
            }
        }
        parsed
    }

    fn words(&self, extension: &str) -> Vec<&str> {
        let found = self.extensions.get(extension).map_or("", |(_, value)| value);
        found.split([',', '\n']).map(str::trim).filter(|word| !word.is_empty()).collect()
    }

    fn critical(&self, extension: &str) -> Option<bool> {
        self.extensions.get(extension).map(|(critical, _)| *critical)
    }
}

/// A folder with a CA's key, a server's key, and openssl at work in it.
struct Bench {
    folder: tempfile::TempDir,
    ca_key: PKey<Private>,
    key: PKey<Private>,
}

const AS_TEXT: &str = "-noout -text -nameopt utf8,show_type,sep_comma_plus_space,sname";

impl Bench {
    /// `None` where there is no openssl.
    fn new() -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            skip("no openssl command: install the package openssl");
            return None;
        }
        let bench =
            Self { folder: tempfile::tempdir().unwrap(), ca_key: generate(), key: generate() };
        for (name, key) in [("ca.key", &bench.ca_key), ("k", &bench.key)] {
            let pem = key.private_key_to_pem_pkcs8().unwrap();
            bench.write(name, std::str::from_utf8(&pem).unwrap());
        }
        Some(bench)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn openssl(&self, args: &str) -> Result<String, String> {
        let mut command = Command::new("openssl");
        let run = Run::of(command.args(args.split(' ')).current_dir(self.path()), "");
        if run.code == Some(0) { Ok(run.stdout) } else { Err(run.stderr) }
    }

    /// The blog's commands on `text`: the request and, where something is asked for it, the
    /// certificate.
    fn theirs(&self, text: &str, digest: &str) -> Result<(Text, Option<Text>), String> {
        self.theirs_with(text, digest, "")
    }

    /// [`Bench::theirs`] with more flags of `openssl req`.
    fn theirs_with(
        &self,
        text: &str,
        digest: &str,
        flags: &str,
    ) -> Result<(Text, Option<Text>), String> {
        self.openssl(&format!("req -new -key k -config csr.conf -out theirs.csr{flags}"))?;
        let request = Text::parse(&self.openssl(&format!("req -in theirs.csr {AS_TEXT}"))?);
        let names =
            |name: &str| text.lines().any(|l| l.trim().trim_matches(['[', ']']).trim() == name);
        let Some(section) = ["v3_ext", "req_ext", "v3_req"].into_iter().find(|name| names(name))
        else {
            return Ok((request, None));
        };
        self.openssl(&format!(
            "x509 -req -in theirs.csr -CA ca.crt -CAkey ca.key -set_serial 1 -{digest} -days 365 \
             -extensions {section} -extfile csr.conf -out theirs.crt"
        ))?;
        let certificate = self.openssl(&format!("x509 -in theirs.crt {AS_TEXT}"))?;
        Ok((request, Some(Text::parse(&certificate))))
    }

    /// Whether both take `text` and make the same of it; `Err` tells of our refusal.
    fn judge(&self, text: &str) -> Result<(), String> {
        self.judge_with(text, "").map(drop)
    }

    /// [`Bench::judge`] with more flags of `openssl req`; our warnings.
    fn judge_with(&self, text: &str, flags: &str) -> Result<Vec<String>, String> {
        self.write("csr.conf", text);
        let request = match Request::parse("csr.conf", text) {
            Ok(request) => request,
            Err(error) => return Err(error.to_string()),
        };
        let bundle = pki::issue(&request, &terms(), &self.ca_key, &self.key).unwrap();
        self.write("ca.crt", &bundle.ca_crt);
        self.write("ours.crt", &bundle.server_crt);
        let ours = self.openssl(&format!("x509 -in ours.crt {AS_TEXT}")).unwrap();
        let ours = Text::parse(&ours);
        let algorithm = ours.fields["Signature Algorithm"].clone();
        let digest = algorithm.trim_end_matches("WithRSAEncryption");
        let (asked, theirs) = self
            .theirs_with(text, digest, flags)
            .unwrap_or_else(|why| panic!("we take what openssl refuses: {why}\n{text}"));
        assert_eq!(ours.fields["Subject"], asked.fields["Subject"], "{text}");
        // What the request is signed with is what openssl made of default_md.
        assert_eq!(algorithm, asked.fields["Signature Algorithm"], "{text}");
        if let Some(theirs) = theirs {
            compare(&ours, &theirs, text);
        }
        Ok(request.warnings)
    }
}

/// What diyadm adds to a certificate that openssl made.
const SERVICE: [&str; 4] = ["DNS:s.n.svc", "DNS:s", "DNS:s.n", "DNS:s.n.svc.cluster.local"];

#[track_caller]
fn compare(ours: &Text, theirs: &Text, text: &str) {
    assert_eq!(ours.fields["Version"], "3 (0x2)", "whatever is asked for: {text}");
    for field in ["Signature Algorithm", "Issuer", "Subject", "Public-Key", "Exponent"] {
        assert_eq!(ours.fields[field], theirs.fields[field], "{field}\n{text}");
    }
    let known = [
        "Authority Key Identifier",
        "Basic Constraints",
        "Extended Key Usage",
        "Key Usage",
        "Subject Alternative Name",
        "Subject Key Identifier",
    ];
    for extension in theirs.extensions.keys().chain(ours.extensions.keys()) {
        assert!(known.contains(&extension.as_str()), "{extension}\n{text}");
    }
    // Those that we always write say what theirs say, where theirs say anything.
    for extension in known {
        let (our_words, their_words) = (ours.words(extension), theirs.words(extension));
        let Some(critical) = theirs.critical(extension) else {
            let default: &[&str] = match extension {
                "Basic Constraints" => &["CA:FALSE"],
                "Extended Key Usage" => &["TLS Web Server Authentication"],
                "Key Usage" => &["Digital Signature"],
                "Subject Alternative Name" => &SERVICE,
                _ => &our_words,
            };
            assert_eq!(our_words, default, "{extension}\n{text}");
            continue;
        };
        assert_eq!(ours.critical(extension), Some(critical), "{extension}\n{text}");
        let added: &[&str] = match extension {
            "Subject Alternative Name" => &SERVICE,
            "Key Usage" => &["Digital Signature"],
            _ => &[],
        };
        for word in &their_words {
            assert!(
                our_words.contains(word),
                "{extension}: {word} is not in {our_words:?}\n{text}"
            );
        }
        for word in our_words {
            let known = their_words.contains(&word) || added.contains(&word);
            assert!(known, "{extension}: nobody asked for {word}\n{text}");
        }
    }
}

#[test]
fn csr_conf_is_read_as_openssl_reads_it() {
    let bench = require!(Bench::new());
    for text in taken().into_iter().chain(traps()) {
        if let Err(why) = bench.judge(&text) {
            panic!("{why}\n{text}");
        }
        let strictly = "verify -x509_strict -purpose sslserver -CAfile ca.crt ours.crt";
        bench.openssl(strictly).unwrap_or_else(|why| panic!("{why}\n{text}"));
    }
}

/// The files of scripts that give openssl the subject by `-subj`, and more than a request needs.
#[test]
fn csr_conf_without_subject_is_read() {
    let bench = require!(Bench::new());
    let script = "[req]\nreq_extensions = v3_req\ndistinguished_name = req_distinguished_name\n\
                  [req_distinguished_name]\n[ v3_req ]\nbasicConstraints = CA:FALSE\n\
                  keyUsage = nonRepudiation, digitalSignature, keyEncipherment\n\
                  extendedKeyUsage = clientAuth, serverAuth\nsubjectAltName = @alt_names\n\
                  [alt_names]\nDNS.1 = s\nDNS.2 = s.n\nDNS.3 = s.n.svc\n";
    let more = "default_keyfile = server.key\nencrypt_key = yes\nx509_extensions = v3_ca\n\
                string_mask = utf8only\ndefault_days = 365\n[v3_ca]\nbasicConstraints = CA:TRUE\n\
                subjectKeyIdentifier = hash\n[req]\n";
    for (text, ignored) in [
        (script.to_owned(), &[][..]),
        (script.replace("[req]\n", "[req]\nprompt = no\n"), &[]),
        (
            script.replace("[req]\n", &format!("[req]\n{more}")),
            &[
                "default_keyfile (line 2)",
                "encrypt_key (line 3)",
                "x509_extensions (line 4)",
                "string_mask (line 5)",
                "default_days (line 6)",
            ],
        ),
    ] {
        let warnings = bench.judge_with(&text, " -subj /CN=s.n.svc").unwrap();
        assert_eq!(warnings.len(), usize::from(!ignored.is_empty()), "{warnings:?}");
        assert!(ignored.iter().all(|word| warnings[0].contains(word)), "{warnings:?}");
    }
    // What openssl refuses for its length alone: the names that count are there all the same.
    let host = format!("{}.{}.svc", "s".repeat(40), "n".repeat(40));
    let text = format!("[req]\nprompt=no\ndistinguished_name=d\n[d]\nO=o\nCN={host}\n");
    let request = Request::parse("csr.conf", &text).unwrap();
    assert!(request.warnings[0].contains("csr.conf:6: the common name"), "{:?}", request.warnings);
    let bundle = pki::issue(&request, &terms(), &bench.ca_key, &bench.key).unwrap();
    let facts = pki::inspect(bundle.server_crt.as_bytes(), None).unwrap().swap_remove(0);
    assert_eq!(facts.subject, "O = o");
    assert!(facts.sans.contains(&"DNS:s.n.svc".to_owned()), "{:?}", facts.sans);
}

fn authority(bench: &Bench) -> String {
    let request = Request::parse("csr.conf", BLOG).unwrap();
    pki::issue(&request, &terms(), &bench.ca_key, &bench.key).unwrap().ca_crt
}

#[test]
fn certificates_have_requested_key_size_validity_and_serials() {
    let bench = require!(Bench::new());
    for bits in [2048, 3072] {
        let text = BLOG.replace("2048", &bits.to_string());
        bench.write("csr.conf", &text);
        bench
            .openssl("req -new -newkey rsa -nodes -keyout new -config csr.conf -out new.csr")
            .unwrap();
        let theirs = Text::parse(&bench.openssl(&format!("req -in new.csr {AS_TEXT}")).unwrap());
        assert_eq!(theirs.fields["Public-Key"], format!("({bits} bit)"));
        let request = Request::parse("csr.conf", &text).unwrap();
        assert_eq!(request.key_kind(), KeyKind::Rsa(bits));
    }
    let request = Request::parse("csr.conf", BLOG).unwrap();
    let made = || pki::issue(&request, &terms(), &bench.ca_key, &bench.key).unwrap();
    let (first, second) = (made(), made());
    let mut serials = Vec::new();
    for (name, pem, days) in [
        ("a.crt", &first.server_crt, 365),
        ("b.crt", &first.ca_crt, 3650),
        ("c.crt", &second.server_crt, 365),
        ("d.crt", &second.ca_crt, 3650),
    ] {
        let facts = &pki::inspect(pem.as_bytes(), None).unwrap()[0];
        assert_eq!(facts.not_before, terms().now - 300, "five minutes for clocks that differ");
        assert_eq!(facts.not_after, terms().now + days * DAY);
        bench.write(name, pem);
        let serial = bench.openssl(&format!("x509 -in {name} -noout -serial")).unwrap();
        let serial = serial.trim().trim_start_matches("serial=").to_owned();
        // Positive, 20 octets at most (RFC 5280, 4.1.2.2), 64 random bits at least.
        assert!((16..=40).contains(&serial.len()) && !serial.starts_with('-'), "{serial}");
        serials.push(serial);
    }
    serials.sort();
    serials.dedup();
    assert_eq!(serials.len(), 4, "no two alike");
    let dates = bench.openssl("x509 -in a.crt -noout -startdate -dateopt iso_8601").unwrap();
    let ours = pki::rfc3339(terms().now - 300).replace('T', " ");
    assert_eq!(dates.trim().trim_start_matches("notBefore="), ours);
}

#[test]
fn generated_csr_conf_is_read_as_openssl_reads_it_or_refused() {
    let bench = require!(Bench::new());
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    // What we take is compared in `judge`. That enough is taken is shown by the files that
    // `csr_conf_is_read_as_openssl_reads_it` has, not by what chance brings here.
    runner
        .run(&any_conf(), |text| {
            if let Err(why) = bench.judge(&text) {
                prop_assert!(why.starts_with("csr.conf:"), "{why}\n{text}");
            }
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
}

fn generate() -> PKey<Private> {
    pki::generate_key(KeyKind::Rsa(2048)).unwrap()
}

/// A whole second, the same for a test's whole life.
fn terms() -> Terms {
    static NOW: std::sync::LazyLock<i64> = std::sync::LazyLock::new(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        i64::try_from(now.as_secs()).unwrap()
    });
    Terms {
        now: *NOW,
        days: 365,
        ca_days: 3650,
        service: "s".to_owned(),
        namespace: "n".to_owned(),
    }
}
