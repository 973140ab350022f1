//! Our reading of csr.conf and our certificates, held against the real `openssl` command.

use std::{fs, process::Command};

use diyadm::pki::{self, KeyKind, Request, Terms};

use super::rig::{Run, skip};

const BLOG: &str = include_str!("../../csr.conf");

/// Files that both take, each with a trait of its own.
fn taken() -> Vec<String> {
    let subject = |rest: &str| format!("[req]\nprompt=no\ndistinguished_name=d\n{rest}");
    vec![
        BLOG.to_owned(),
        BLOG.replace('\n', "\r\n"),
        subject("default_md=sha512\n[d]\nCN=a.b.svc\n"),
        subject("[d]\nCN = \"quoted # not a comment\"\n"),
        subject("[d]\nCN = one \\\n two\n"),
        subject("[d]\nname = x\nCN = a\\#b\n").replace("name = x\n", ""),
        format!("base = cluster\n{}", subject("[d]\nCN = $base.${base}.$(base)\n")),
        subject("[d]\n0.OU = first\n1.OU = second\nCN = c\n"),
        subject("[d]\nCN=c\n[v3_ext]\nsubjectAltName=DNS:x.y,IP:10.0.0.1\n"),
        subject("[d]\nCN=c\n[v3_ext]\nkeyUsage=critical,digitalSignature,keyEncipherment\n"),
        subject("[d]\nCN=c\n[v3_ext]\nsubjectAltName=@a\n[a]\nDNS.1=x\nIP.1=::1\nDNS.2=y\n"),
        subject("[d]\ncommonName = 'single'\norganizationName = Köln\nutf8=x\n")
            .replace("utf8=x\n", ""),
        format!("# a comment first\n\n{}", subject("[ d ]\nCN=c # and one behind\n")),
    ]
}

#[test]
fn what_openssl_reads_we_read_alike() {
    if Command::new("openssl").arg("version").output().is_err() {
        return skip("no openssl command: install the package openssl");
    }
    let (ca_key, key) = (generate(), generate());
    for (at, text) in taken().into_iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("csr.conf", &text);
        let pem = ca_key.private_key_to_pem_pkcs8().unwrap();
        write("ca.key", std::str::from_utf8(&pem).unwrap());
        let request = Request::parse("csr.conf", &text).unwrap_or_else(|e| panic!("{at}: {e}"));
        let bundle = pki::issue(&request, &terms(), &ca_key, &key).unwrap();
        for (name, text) in [
            ("ca.crt", &bundle.ca_crt),
            ("ours.crt", &bundle.server_crt),
            ("k", &bundle.server_key),
        ] {
            write(name, text);
        }
        let openssl = |args: &str| {
            let mut command = Command::new("openssl");
            let run = Run::of(command.args(args.split(' ')).current_dir(folder.path()), "");
            assert_eq!(run.code, Some(0), "{at}: openssl {args}: {}\n{text}", run.stderr);
            run.stdout
        };
        openssl("req -new -utf8 -key k -config csr.conf -out theirs.csr");
        let subject = "-noout -subject -nameopt utf8,sep_comma_plus_space,sname";
        assert_eq!(
            openssl(&format!("req -in theirs.csr {subject}")),
            openssl(&format!("x509 -in ours.crt {subject}")),
            "{at}: {text}"
        );
        openssl("verify -x509_strict -purpose sslserver -CAfile ca.crt ours.crt");
        if text.contains("v3_ext") {
            openssl(
                "x509 -req -in theirs.csr -CA ca.crt -CAkey ca.key -set_serial 1 -extensions v3_ext \
                 -extfile csr.conf -out theirs.crt -days 1",
            );
            // Ours has every name and usage of theirs, and the Service's names beside them.
            let words = |file: &str, extension: &str| -> Vec<String> {
                let text = openssl(&format!("x509 -in {file} -noout -ext {extension}"));
                let value = text.lines().nth(1).unwrap_or_default();
                value.split(',').map(|w| w.trim().to_owned()).filter(|w| !w.is_empty()).collect()
            };
            for extension in ["subjectAltName", "keyUsage"] {
                let ours = words("ours.crt", extension);
                for word in words("theirs.crt", extension) {
                    assert!(ours.contains(&word), "{at}: {extension}: {word} not in {ours:?}");
                }
            }
        }
    }
}

fn generate() -> openssl::pkey::PKey<openssl::pkey::Private> {
    pki::generate_key(KeyKind::Rsa(2048)).unwrap()
}

fn terms() -> Terms {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Terms {
        now: i64::try_from(now.as_secs()).unwrap(),
        days: 365,
        ca_days: 3650,
        service: "s".to_owned(),
        namespace: "n".to_owned(),
    }
}

#[test]
fn what_is_not_understood_is_named_by_line_and_word() {
    let d = "[req]\nprompt=no\ndistinguished_name=d\n[d]\nCN=c\n";
    for (text, error) in [
        ("", "[ req ] is missing"),
        ("[req\n", "f:1: the section \"[req\" lacks"),
        ("[req]\nwhat\n", "f:2: \"what\" is neither"),
        (".include /etc/passwd\n", "f:1:"),
        ("[req]\nprompt=yes\n", "f:2: prompt = yes"),
        ("[req]\ndefault_bits=1024\n", "f:2: default_bits = 1024"),
        ("[req]\ndefault_md=md5\n", "f:2: default_md = md5"),
        ("[req]\ndistinguished_name=x\n", "f:2: distinguished_name = x: no such section"),
        ("[req]\ndistinguished_name=d\n[d]\nXX=1\n", "f:4: XX = 1"),
        ("[req]\ndistinguished_name=d\n[d]\nC=China\n", "f:4: C = China"),
        ("[req]\ndistinguished_name=\"d\n", "f:2: the value \"\\\"d\" lacks"),
        ("[req]\ndistinguished_name=$none\n", "f:2: the variable \"none\""),
        (&format!("{d}[v3_ext]\nkeyUsage=keyCertSign\n"), "f:7: keyUsage = keyCertSign"),
        (&format!("{d}[v3_ext]\nbasicConstraints=CA:TRUE\n"), "f:7:"),
        (&format!("{d}[v3_ext]\nsubjectAltName=URI:x\n"), "f:7:"),
        (&format!("{d}[v3_ext]\nsubjectAltName=@none\n"), "f:7:"),
        (&format!("{d}[v3_ext]\nextendedKeyUsage=clientAuth\n"), "f:7:"),
        (&format!("{d}[v3_ext]\nnsCertType=server\n"), "f:7: nsCertType"),
    ] {
        let found = Request::parse("f", text).map(|_| ()).unwrap_err().to_string();
        assert!(found.contains(error), "{text:?}: {found}");
    }
}
