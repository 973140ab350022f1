//! What is refused in a csr.conf, by file, line and word.

use diyadm::pki::Request;

use super::{Bench, authority};

/// What openssl refuses; and, below, what it takes otherwise than it looks.
#[test]
fn csr_conf_refusal_names_line_and_word() {
    let d = "[req]\nprompt=no\ndistinguished_name=d\n[d]\nCN=c\n";
    let bench = Bench::new();
    for (text, error) in [
        (String::new(), "[ req ] is missing"),
        ("[req\n".to_owned(), "f:1: [req: the section lacks its closing bracket"),
        ("[req]\nwhat\n".to_owned(), "f:2: what: neither"),
        (".include /etc/passwd\n".to_owned(), "f:1:"),
        (
            "[req]\ndefault_md=md5\ndistinguished_name=d\nprompt=no\n".to_owned(),
            "f:2: default_md = md5",
        ),
        (
            "[req]\nprompt=no\ndistinguished_name=x\n".to_owned(),
            "f:3: distinguished_name = x: no such",
        ),
        (d.replace("CN=c", "XX=1"), "f:5: XX = 1"),
        (d.replace("CN=c", "C=China"), "f:5: C = China"),
        (d.replace("CN=c", "C=ö"), "f:5: C = ö"),
        (d.replace("CN=c", &format!("CN={}", "c".repeat(65))), "f:5: CN"),
        (d.replace("CN=c", "CN="), "f:5: CN"),
        (d.replace("CN=c", "CN=$none"), "f:5: CN=$none: the variable \"none\" has no value"),
        // Left by a heredoc whose end is quoted.
        (d.replace("CN=c", "CN=${service}.${namespace}.svc"), "a shell was to fill it in"),
        (d.replace("CN=c", "CN=$"), "f:5:"),
        (d.replace("CN=c", "CN=${a"), "f:5:"),
        (d.replace("CN=c", "CN=$e::f"), "f:5:"),
        (d.replace("CN=c", "Ü=c"), "f:5:"),
        (format!("{d}[v3_ext]\nkeyUsage=everything\n"), "f:7: keyUsage = everything"),
        (format!("{d}[v3_ext]\nkeyUsage=critical ,digitalSignature\n"), "f:7: keyUsage"),
        (format!("{d}[v3_ext]\nkeyUsage=digitalSignature,\n"), "f:7: keyUsage"),
        (format!("{d}[v3_ext]\nbasicConstraints=CA:maybe\n"), "f:7:"),
        (format!("{d}[v3_ext]\nsubjectAltName=XX:x\n"), "f:7:"),
        (format!("{d}[v3_ext]\nsubjectAltName=IP:1.2.3\n"), "f:7:"),
        (format!("{d}[v3_ext]\nsubjectAltName=DNS\n"), "f:7:"),
        (format!("{d}[v3_ext]\nsubjectAltName=@none\n"), "f:7:"),
        (format!("{d}[v3_ext]\nextendedKeyUsage=none\n"), "f:7:"),
        (format!("{d}[v3_ext]\nwhat=ever\n"), "f:7: what = ever"),
        (d.replace("[d]", "req_extensions=r\n[d]"), "f:4: req_extensions = r: no such section"),
        // A slip in the request's extensions, beside a v3_ext that is right.
        (
            format!(
                "{}[r]\nkeyUsage=everything\n[v3_ext]\n",
                d.replace("[d]", "req_extensions=r\n[d]")
            ),
            "f:8: keyUsage = everything",
        ),
        (
            format!(
                "{}[r]\nauthorityKeyIdentifier=keyid\n",
                d.replace("[d]", "req_extensions=r\n[d]")
            ),
            "f:8: authorityKeyIdentifier",
        ),
    ] {
        refused(&text, error);
        if let Some(bench) = &bench {
            bench.write("csr.conf", &text);
            bench.write("ca.crt", &authority(bench));
            assert!(bench.theirs(&text, "sha256").is_err(), "openssl takes this:\n{text}");
        }
    }
    for (text, error) in [
        // OpenSSL would ask, or pass over in silence, or mean something else.
        (d.replace("prompt=no\n", ""), "lacks `prompt = no`"),
        (d.replace("prompt=no", "prompt=yes"), "lacks `prompt = no`"),
        (d.replace("prompt=no", "prompt=no\ndefault_bots=1"), "f:3: default_bots = 1"),
        (d.replace("prompt=no", "prompt=no\ndefault_bits=1024"), "f:3: default_bits = 1024"),
        (d.replace("prompt=no", "prompt=no\ndefault_bits=2048x"), "f:3: default_bits = 2048x"),
        (d.replace("prompt=no", "prompt=maybe"), "f:2: prompt = maybe"),
        (d.replace("CN=c", "O=Köln\nCN=c"), "f:5: O = Köln: openssl reads this as Latin-1"),
        (d.replace("CN=c", "CN=\"c"), "f:5: CN=\"c: the quote \" is not closed"),
        (d.replace("CN=c", "CN=c\\ "), "f:5:"),
        (d.replace("CN=c", "CN=c\\\\\\"), "f:5:"),
        (d.replace("CN=c", "CN=c\rO=o"), "f:5: a control character"),
        (
            d.replace("CN=c", "CN=$ENV::HOME"),
            "f:5: CN=$ENV::HOME: the environment variable \"HOME\"",
        ),
        (d.replace("CN=c", "CN=c\n+O=o"), "f:6: +O = o"),
        (
            d.replace("[d]", "[d] x"),
            "f:4: [d] x: there is text after the bracket, which nothing \
                                     reads",
        ),
        (format!("x=1\n{d}"), "f:1: x = 1: [ default ] does not use this"),
        (format!("{d}[v3_exts]\nkeyUsage=keyEncipherment\n"), "f:7: keyUsage"),
        (format!("{d}[v3_ext]\nkeyUsage=keyCertSign\n"), "f:7: keyUsage = keyCertSign"),
        (format!("{d}[v3_ext]\nbasicConstraints=CA:TRUE\n"), "f:7:"),
        (format!("{d}[v3_ext]\nbasicConstraints=CA:FALSE,pathlen:1\n"), "f:7:"),
        (format!("{d}[v3_ext]\nsubjectAltName=URI:http://x\n"), "f:7:"),
        (format!("{d}[v3_ext]\nsubjectAltName=DNS:a b\n"), "f:7:"),
        (format!("{d}[v3_ext]\nsubjectAltName=DNS:a\\nDNS:b\n"), "f:7:"),
        (format!("{d}[v3_ext]\nextendedKeyUsage=clientAuth\n"), "f:7:"),
        (format!("{d}[v3_ext]\nsubjectKeyIdentifier=critical,hash\n"), "f:7:"),
        (format!("{d}[v3_ext]\nauthorityKeyIdentifier=issuer\n"), "f:7: authorityKeyIdentifier"),
        (format!("{d}[v3_ext]\nnsComment=server\n"), "f:7: nsComment"),
    ] {
        refused(&text, error);
    }
    let bomb: String = ('b'..='z').map(|c| format!("{c}=$a$a\n").replace('a', &prior(c))).collect();
    refused(&format!("a=aaaaaaaaaaaaaaaa\n{bomb}{d}"), "the value grows too long");
}

fn prior(c: char) -> String {
    char::from(c as u8 - 1).to_string()
}

#[track_caller]
fn refused(text: &str, error: &str) {
    let found = Request::parse("f", text).map(|_| ()).unwrap_err().to_string();
    assert!(found.contains(error), "{text:?}: {found}");
}

/// Errors quote the beginning of what they are about, without its control characters.
#[test]
fn rules_errors_quote_a_short_escaped_part() {
    let base = "[req]\nprompt=no\ndistinguished_name=d\n[d]\nCN=c\n[v3_ext]\n";
    let long = format!("\u{1b}[31m{}", "x".repeat(100_000));
    for text in [
        format!("{base}{long}\n"),
        format!("{base}{long}=y\n"),
        format!("{base}keyUsage={long}\n"),
        format!("{base}subjectAltName={}\n", &long[..30_000]),
        format!("{base}extendedKeyUsage={}\n", &long[..30_000]),
        format!("{base}[{}]\na=b\n", &long[5..]),
        base.replace("CN=c", &format!("CN=${{{}}}", &long[5..])),
        base.replace("CN=c", &format!("CN=${{{}", &long[5..])),
        base.replace("CN=c", &format!("CN=$ENV::{}", &long[5..])),
        base.replace("prompt=no", &format!("prompt={}", &long[..30_000])),
        base.replace("prompt=no", &format!("{}=no", &long[5..])),
        base.replace("name=d", &format!("name={}", &long[..30_000])),
    ] {
        let error = format!("{:#}", Request::parse("f", &text).unwrap_err());
        assert!(error.len() < 700 && error.contains('…'), "{} bytes: {error}", error.len());
        assert!(!error.contains(char::is_control), "{error:?}");
    }
}

/// Each is judged in a moment, however much of it there is.
#[test]
fn huge_csr_conf_is_read_or_refused_quickly() {
    let base = "[req]\nprompt=no\ndistinguished_name=d\n[d]\nCN=c\n[v3_ext]\n";
    let names = |count: usize| {
        let names = (0..count).map(|number| format!("DNS.{number} = n{number}.test.svc\n"));
        format!("{base}subjectAltName = @names\n[names]\n{}", names.collect::<String>())
    };
    let doubles = names(1000) + &"DNS.x = n1.test.svc\n".repeat(20_000);
    let unread: String = (0..60_000).map(|number| format!("x{number} = y\n")).collect();
    let bomb: String = (1..40).map(|n| format!("a{n} = $a{0}$a{0}\n", n - 1)).collect();
    let long = format!("a0 = {}\n", "x".repeat(30_000));
    let many = (0..400).map(|number| format!("b{number} = $a0\n")).collect::<String>();
    for (text, error) in [
        (names(1000), None),
        (doubles, None),
        (names(1001), Some("1001 names are too many (1000 at most)")),
        (names(30_000), Some("30000 names are too many")),
        (names(200_000), Some("too many for a csr.conf (1 MiB at most)")),
        (base.replace("[v3_ext]\n", &unread), Some("f:6: x0 = y")),
        (format!("a0 = xx\n{bomb}{base}"), Some("grows too long")),
        (format!("{long}{many}{base}"), Some("expand to more than 4 MiB")),
        ("\n".repeat(2 << 20), Some("1 MiB at most")),
    ] {
        let read = Request::parse("f", &text).map_err(|error| format!("{error:#}"));
        match (read, error) {
            (Ok(_), None) => {}
            (Err(why), Some(error)) => {
                assert!(why.contains(error), "{error}: {why}");
                assert!(why.len() < 400, "a message of {} bytes", why.len());
            }
            (read, error) => panic!("{error:?}: {:?}", read.err()),
        }
    }
}
