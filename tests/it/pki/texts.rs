//! csr.conf as people write it, with traps, and at random.

use proptest::prelude::*;

const BLOG: &str = include_str!("../../../csr.conf");

/// Files that both take, each with a trait of its own.
pub(super) fn taken() -> Vec<String> {
    let subject = |rest: &str| format!("[req]\nprompt=no\ndistinguished_name=d\n{rest}");
    let v3 = |rest: &str| subject(&format!("[d]\nCN=c\n[v3_ext]\n{rest}"));
    vec![
        BLOG.to_owned(),
        BLOG.replace('\n', "\r\n"),
        format!("\u{feff}{BLOG}"),
        subject("default_md=SHA512\n[d]\nCN=a.b.svc\n[v3_ext]\n"),
        subject("default_md=sha384\nutf8=yes\nstring_mask=utf8only\n[d]\nO=Köln\nCN=c\n"),
        subject("[d]\nCN = \"quoted # not a comment\"\n"),
        subject("[d]\nCN = one \\\n two\n"),
        subject("[d]\nCN = a\\#b\n"),
        format!("base = cluster\n{}", subject("[d]\nCN = $base.${base}.$(base)\n")),
        subject("[d]\n0.OU = first\n1.OU = second\nCN = c\n"),
        subject(
            "[d]\nC=CN\nST=s\nL=l\nO=o\nOU=u\nCN=c\nemailAddress=a@b.c\nserialNumber=7\nDC=x\n",
        ),
        v3("subjectAltName=DNS:x.y,IP:10.0.0.1\n"),
        v3("keyUsage=critical,digitalSignature,keyEncipherment\n"),
        v3("keyUsage=critical, nonRepudiation ,keyAgreement,encipherOnly,decipherOnly\n"),
        v3("subjectAltName=@a\n[a]\nDNS.1=x\nIP.1=::1\nDNS.2=*.y.svc\n"),
        v3("subjectAltName=critical,@a\nbasicConstraints=critical,CA:false\n[a]\nDNS=x\n"),
        v3("extendedKeyUsage=critical,clientAuth,serverAuth,1.3.6.1.5.5.7.3.4,codeSigning\n"),
        v3("authorityKeyIdentifier=keyid:always,issuer\nsubjectKeyIdentifier=hash\n"),
        v3("authorityKeyIdentifier=issuer:always , keyid\n"),
        subject("req_extensions=req_ext\n[d]\nCN=c\n[req_ext]\nkeyUsage=keyEncipherment\n"),
        subject("[d]\ncommonName = 'single'\norganizationName = a  b\n"),
        format!("# a comment first\n\n{}", subject("[ d ]\nCN=c # and one behind\n")),
        // The default section speaks where another does not.
        "prompt=no\ndistinguished_name=d\ndefault_md=sha384\n[d]\nCN=c\n".to_owned(),
    ]
}

/// Hostile ones that both take: the traps of OpenSSL's syntax.
pub(super) fn traps() -> Vec<String> {
    let subject = |rest: &str| format!("[req]\nprompt=no\ndistinguished_name=d\n[d]\n{rest}");
    vec![
        // The last of a name wins, and stands where the last stood.
        subject("CN=a\nO=o\nCN=b\n"),
        subject("CN=a\n[x]\n").replace("[x]\n", "[d]\nCN=b\nO=o\n"),
        subject("CN=a\n[v3_ext]\nsubjectAltName=DNS:a\nsubjectAltName=DNS:b\n"),
        subject("CN=c\n[v3_ext]\nsubjectAltName=@a\n[a]\nDNS.1=x\nDNS.2=y\nDNS.1=z\n"),
        // Nothing is expanded within quotes, and a backslash takes the next as it is.
        subject("CN=\"a$b\"\n"),
        subject("CN='a${b}' `c$d`\n"),
        subject("CN=\"a\\nb\"\n"),
        subject("CN='a\\'b'\n"),
        subject("CN=a' 'b\" \"c\n"),
        subject("CN=a\\tb\n"),
        // A comment that ends in a backslash takes the next line along.
        subject("CN=a\n# gone: \\\nCN=b\n"),
        subject("CN=a # gone: \\\nCN=b\n"),
        // Two backslashes are none, and neither are three.
        subject("O=a\\\\\nCN=b\n"),
        subject("CN=b\\"),
        subject("CN=b\\\n"),
        subject("CN=a\\\n\nO=o\n"),
        // Variables end where letters do, and look into the default section.
        format!("h = host\n{}", subject("CN=$h:8080\nO=$d::h-$h.x\n")),
        format!("[v]\nh = host\n{}", subject("CN=$v::h$(v::h)${v::h}\n")),
        format!("a = x\nb = $a$a\nc = $b$b\n{}", subject("CN=$c\n")),
        format!("[v]\nCN=x\n{}", subject("d::CN=c\nO=$v::CN\n")),
        subject("CN=c\nd::O=o\n"),
        subject("\tCN\t=\tc\t\n  [ v3_ext ]  \n"),
        subject(&format!("CN=c\nO={}\n# {}\n", "o".repeat(64), "long ".repeat(400))),
        subject(&format!("L={}\nCN=c\n", "l".repeat(128))),
    ]
}

/// Lines that trip one over: quotes, escapes, comments, continuation, variables, doubles.
pub(super) fn any_conf() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        20 => "[a-z.]{1,4}",
        1 => Just("\"$v\\n#\"".to_owned()),
        1 => Just("'\\'a'".to_owned()),
        1 => Just("\\".to_owned()),
        1 => Just("\"".to_owned()),
        1 => Just("'".to_owned()),
        1 => Just(" ".to_owned()),
        1 => Just("#".to_owned()),
        1 => Just("\\\n".to_owned()),
        1 => Just("$v".to_owned()),
        1 => Just("${v}".to_owned()),
        1 => Just("$w::v".to_owned()),
        1 => Just("\t".to_owned()),
        1 => Just(",".to_owned()),
    ];
    let value = prop::collection::vec(piece, 1..5).prop_map(|pieces| pieces.concat());
    let usage = prop::sample::subsequence(
        vec!["critical", "digitalSignature", "keyEncipherment", " nonRepudiation", "keyAgreement "],
        1..4,
    );
    let usage = usage.prop_map(|words| format!("keyUsage={}", words.join(",")));
    let line = prop_oneof![
        4 => ("(CN|O|OU|0\\.OU|L)", "[ \t]{0,2}", value.clone()).prop_map(|(n, s, v)| format!("{n}{s}={s}{v}")),
        1 => value.clone().prop_map(|v| format!("# {v}")),
        1 => Just(String::new()),
    ];
    let extension = prop_oneof![
        usage,
        "subjectAltName=(DNS|IP|DNS\\.1): ?([a-z.]{1,5}|10\\.0\\.0\\.1|::1)(,DNS:[a-z]{1,3})?",
        "subjectAltName=(critical,)?@a",
        "extendedKeyUsage=(critical,)?serverAuth(, ?(clientAuth|emailProtection|1\\.2\\.3\\.4))?",
        "basicConstraints=(critical, ?)?CA:(FALSE|no|N)",
        "authorityKeyIdentifier=(keyid|keyid:always|issuer)(, ?issuer(:always)?)?",
    ];
    let ending = prop::sample::select(vec!["\n", "\r\n"]);
    (prop::collection::vec(line, 1..5), prop::collection::vec(extension, 0..5), ending).prop_map(
        |(lines, extensions, ending)| {
            let text = format!(
                "v=x\n[w]\nv=$v\n[req]\nprompt=no\ndistinguished_name=d\n[d]\nCN=c$w::v\n{}\n\
                 [v3_ext]\nsubjectAltName=@a\n{}\n[a]\nDNS.1=one\nDNS.2=two\n",
                lines.join("\n"),
                extensions.join("\n")
            );
            text.replace('\n', ending)
        },
    )
}
