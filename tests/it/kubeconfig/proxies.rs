//! The rules for proxies, compared with Go's own.

use diyadm::kubernetes::kubeconfig::ProxyVariables;
use serde_json::{Value, json};

use super::Lab;
use crate::rig::oracle;

const PROXIES: [&str; 13] = [
    "",
    "http://proxy.corp:3128",
    "10.0.0.9:3128",
    "proxy.corp:3128",
    "proxy.corp",
    "https://user:p%40ss@proxy.corp",
    "socks5://127.0.0.1:1080",
    "SOCKS5://proxy",
    "http://[fe80::1]:8080/path?query",
    "http://bad host:1",
    "http:proxy",
    "://",
    "http://proxy:port",
];

const URLS: [&str; 14] = [
    "https://127.0.0.1:6443",
    "https://127.9.9.9",
    "https://[::1]:6443",
    "https://localhost:6443",
    "https://LOCALHOST",
    "https://api.corp.example:6443",
    "https://corp.example",
    "https://notcorp.example",
    "https://kubernetes.default.svc",
    "https://10.0.0.7:6443",
    "https://10.1.2.3",
    "https://[2001:db8::7]:6443",
    "https://[::ffff:10.0.0.7]:6443",
    "http://api.corp.example",
];

const EXCLUDED: [&str; 36] = [
    "",
    "*",
    " * ",
    "corp.example",
    ".corp.example",
    "*.corp.example",
    "CORP.EXAMPLE",
    "corp.example:6443",
    "corp.example:443",
    ".svc",
    "svc,.cluster.local",
    "10.0.0.7",
    "10.0.0.7:6443",
    "10.0.0.7:443",
    "10.0.0.0/8",
    "10.0.0.0/24,",
    "10.0.0.0/33",
    "10.0.0.0/",
    "10.0.0/8",
    "0.0.0.0/0",
    "::ffff:10.0.0.0/120",
    "2001:db8::/32",
    "2001:db8::7",
    "[2001:db8::7]",
    "[2001:db8::7]:6443",
    "[2001:db8::7]:443",
    "localhost,127.0.0.1,",
    "localhost 127.0.0.1",
    "<local>",
    "10.0.0.*",
    ":6443",
    "corp.example:",
    "a:b:c, corp.example",
    " , ,,\tcorp.example ",
    "example",
    "::/0",
];

#[test]
fn chooses_proxies_as_go_does() {
    let mut cases = Vec::new();
    for url in URLS {
        for no in EXCLUDED {
            cases.push(json!({ "https": PROXIES[1], "http": PROXIES[2], "no": no, "url": url }));
        }
        for proxy in PROXIES {
            cases.push(json!({ "https": proxy, "url": url }));
            cases.push(json!({ "http": proxy, "url": url, "cgi": proxy.len() % 2 == 0 }));
        }
    }
    let answers = require!(oracle("proxies", &json!(cases).to_string()));
    let answers: Vec<String> = serde_json::from_str(&answers).unwrap();
    assert_eq!(answers.len(), cases.len());
    assert!(["direct", "unusable"].iter().all(|kind| answers.iter().any(|a| a == kind)));
    for (case, answer) in cases.iter().zip(answers) {
        assert_eq!(ours(case), answer, "{case}");
    }
}

#[test]
fn takes_the_variable_that_kubectl_takes() {
    let lab = require!(Lab::new());
    let folder = tempfile::tempdir().unwrap();
    let cluster = json!({ "server": "https://kube.test", "certificate-authority-data": lab.ca() });
    let proxy = format!("http://{}", lab.recorder.proxy());
    let nowhere = "http://127.0.0.1:1".to_owned();
    let names = ["HTTPS_PROXY", "https_proxy"];
    let reached = [[&proxy, &nowhere], [&nowhere, &proxy]].map(|values| {
        let variables = [(names[0], values[0].clone()), (names[1], values[1].clone())];
        lab.both(folder.path(), &cluster, &json!({ "token": "abc" }), &variables).0
    });
    assert_ne!(reached[0], reached[1], "one of the two counts");
}

/// In the words of the Go program.
fn ours(case: &Value) -> String {
    let text = |name: &str| case[name].as_str().unwrap_or_default().to_owned();
    let variables = ProxyVariables {
        http: text("http"),
        https: text("https"),
        no: text("no"),
        cgi: case["cgi"] == true,
    };
    match variables.proxy_for(&text("url")) {
        Err(_) => "unusable".to_owned(),
        Ok(None) => "direct".to_owned(),
        Ok(Some(proxy)) => {
            let port = proxy.port();
            let user = proxy.user_info.unwrap_or_default();
            format!("{} {user} {} {port}", proxy.scheme, proxy.host)
        }
    }
}
