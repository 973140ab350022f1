//! A generator of kubeconfigs: several files, empty values, relative paths, YAML and JSON, every kind
//! of user, proxies.

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use diyadm::yaml;
use serde_json::{Map, Value, json};

use super::{Lab, PLUGIN, write_plugin};

const FOLDERS: [&str; 3] = ["a", "b", "c"];
const NAMES: [&str; 2] = ["one", "two"];

/// splitmix64.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(sides).unwrap()).unwrap()
    }

    fn one_in(&mut self, sides: usize) -> bool {
        self.roll(sides) == 0
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len())].clone()
    }
}

/// A generated case: the variables of both programs, and a context that is named.
pub(super) struct Case {
    pub(super) variables: Vec<(&'static str, String)>,
    pub(super) context: Option<&'static str>,
}

pub(super) fn generate(dice: &mut Dice, lab: &Lab, folder: &Path) -> Case {
    let mut files = Vec::new();
    for name in FOLDERS {
        let home = folder.join(name);
        fs::create_dir(&home).unwrap();
        fs::write(home.join("ca.pem"), lab.certificates.intermediate.pem()).unwrap();
        fs::write(home.join("client.pem"), lab.certificates.client.pem()).unwrap();
        fs::write(home.join("client.key"), lab.certificates.client.key_pem()).unwrap();
        fs::write(home.join("token"), format!("file-{name}\n")).unwrap();
        write_plugin(&home);
    }
    for name in &FOLDERS[..=dice.roll(3)] {
        let file = folder.join(name).join("config");
        let config = config(dice, lab, folder);
        let text = match dice.roll(4) {
            0 => config.to_string(),
            1 => serde_json::to_string_pretty(&config).unwrap(),
            2 => {
                format!("# c\nkind: Nothing\n{}\n---\nkind: Other\n", yaml::write(&config).unwrap())
            }
            _ => format!("---\n{}\n", yaml::write(&config).unwrap()),
        };
        fs::write(&file, text).unwrap();
        files.push(file);
    }
    let mut variables = Vec::new();
    if files.len() == 1 && dice.one_in(2) {
        fs::create_dir(folder.join(".kube")).unwrap();
        // Its paths are those of its own folder.
        for name in ["ca.pem", "client.pem", "client.key", "token", PLUGIN] {
            fs::copy(folder.join("a").join(name), folder.join(".kube").join(name)).unwrap();
        }
        fs::rename(&files[0], folder.join(".kube/config")).unwrap();
        if dice.one_in(2) {
            variables.push(("KUBECONFIG", String::new()));
        }
    } else {
        variables.push(("KUBECONFIG", list(dice, folder, &files)));
    }
    if dice.one_in(3) {
        let name = dice.pick(&["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"]);
        let proxy = lab.recorder.proxy();
        let forms = [
            format!("{proxy}"),
            format!("http://{proxy}"),
            format!("http://me:p%40ss@{proxy}"),
            format!("socks5://{proxy}"),
            format!("https://localhost:{}", proxy.port()),
        ];
        variables.push((name, dice.pick(&forms)));
        variables
            .push(("NO_PROXY", dice.pick(&["", "other.test,", "<local>,10.0.0.*,a b"]).to_owned()));
    }
    let context = dice.one_in(4).then(|| dice.pick(&NAMES));
    Case { variables, context }
}

/// A value of `$KUBECONFIG`: relative paths, paths that are missing, empty or twice there.
fn list(dice: &mut Dice, folder: &Path, files: &[PathBuf]) -> String {
    let mut list = Vec::new();
    for file in files {
        if dice.one_in(4) {
            list.push(dice.pick(&["", "/missing/config", "missing"]).to_owned());
        }
        let relative = file.strip_prefix(folder).unwrap();
        list.push(if dice.one_in(3) { relative } else { file }.display().to_string());
    }
    if dice.one_in(4) {
        list.push(list[0].clone());
    }
    list.join(":")
}

/// One file.
fn config(dice: &mut Dice, lab: &Lab, folder: &Path) -> Value {
    let mut config = json!({ "apiVersion": "v1", "kind": "Config", "preferences": {} });
    let named = |name: &str, field: &str, value: Value| json!({ "name": name, field: value });
    let some = |dice: &mut Dice| NAMES.into_iter().filter(|_| !dice.one_in(5)).collect::<Vec<_>>();
    let names = some(dice);
    let clusters: Vec<_> =
        names.iter().map(|name| named(name, "cluster", cluster(dice, lab))).collect();
    let names = some(dice);
    let users: Vec<_> =
        names.iter().map(|name| named(name, "user", user(dice, lab, folder))).collect();
    let names = some(dice);
    let contexts: Vec<_> = names.iter().map(|name| named(name, "context", context(dice))).collect();
    for (key, list) in [("clusters", clusters), ("users", users), ("contexts", contexts)] {
        config[key] =
            if list.is_empty() { dice.pick(&[Value::Null, json!([])]) } else { json!(list) };
    }
    match dice.roll(6) {
        0 => {}
        1 => config["current-context"] = json!(""),
        _ => config["current-context"] = json!(dice.pick(&NAMES)),
    }
    config
}

fn context(dice: &mut Dice) -> Value {
    let mut context = json!({ "cluster": dice.pick(&NAMES) });
    match dice.roll(8) {
        0 => {}
        1 => context["user"] = json!("nobody"),
        _ => context["user"] = json!(dice.pick(&NAMES)),
    }
    maybe(dice, &mut context, "namespace", &json!("team"));
    context
}

/// Sets it, or leaves it out, or empties it.
fn maybe(dice: &mut Dice, object: &mut Value, name: &str, value: &Value) {
    match dice.roll(4) {
        0 => object[name] = value.clone(),
        1 if value.is_string() => object[name] = json!(""),
        2 => object[name] = Value::Null,
        _ => {}
    }
}

fn cluster(dice: &mut Dice, lab: &Lab) -> Value {
    let (api, proxy) = (lab.recorder.api(), lab.recorder.proxy());
    let port = api.port();
    let far = dice.one_in(3);
    let server = if far {
        dice.pick(&[
            "https://kube.test:6443",
            "https://kube.test",
            "http://kube.test/x",
            "https://192.0.2.1:1/",
        ])
        .to_owned()
    } else {
        dice.pick(&[
            format!("https://{api}"),
            format!("https://{api}/"),
            format!("https://localhost:{port}/k8s/clusters/c1"),
            format!("HTTPS://me:p%40ss@{api}/own/?a=b#c"),
            format!("http://{api}"),
            format!("{api}"),
            format!("localhost:{port}"),
        ])
    };
    let mut cluster = json!({ "server": server });
    match dice.roll(4) {
        0 => cluster["insecure-skip-tls-verify"] = json!(true),
        1 => cluster["certificate-authority"] = json!("ca.pem"),
        _ => {
            let pem = dice.pick(&[
                lab.certificates.intermediate.pem(),
                lab.certificates.server.pem(),
                lab.certificates.root.pem(),
                format!(
                    "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\nx\n{}",
                    lab.certificates.intermediate.pem()
                ),
            ]);
            cluster["certificate-authority-data"] = json!(STANDARD.encode(pem));
            maybe_empty(dice, &mut cluster, "certificate-authority");
        }
    }
    match dice.roll(3) {
        0 => cluster["tls-server-name"] = json!("kube.test"),
        1 => cluster["tls-server-name"] = json!(""),
        _ => {}
    }
    // Nobody's name service is asked.
    if far || dice.one_in(4) {
        cluster["proxy-url"] = json!(dice.pick(&[
            format!("http://{proxy}"),
            format!("http://me:p%40ss@{proxy}/"),
            format!("https://localhost:{}", proxy.port()),
            format!("socks5://{proxy}"),
            format!("socks5://me:p%40ss@{proxy}"),
        ]));
    }
    maybe(dice, &mut cluster, "disable-compression", &json!(true));
    let extension = json!([
        { "name": "other", "extension": { "x": [1, null] } },
        { "name": "client.authentication.k8s.io/exec", "extension": { "audience": "a", "n": null } },
    ]);
    maybe(dice, &mut cluster, "extensions", &extension);
    cluster
}

fn maybe_empty(dice: &mut Dice, object: &mut Value, name: &str) {
    if dice.one_in(2) {
        object[name] = dice.pick(&[json!(""), Value::Null]);
    }
}

fn user(dice: &mut Dice, lab: &Lab, folder: &Path) -> Value {
    let mut user = Value::Object(Map::new());
    let kind = dice.roll(10);
    match kind {
        0 => {}
        1 => user["token"] = json!("abc"),
        2 => user["tokenFile"] = json!("token"),
        3 => {
            user["token"] = json!("abc");
            user["tokenFile"] = json!(dice.pick(&["token", "missing", "/missing"]));
        }
        4 => {
            user["username"] = json!("me");
            user["password"] = json!(dice.pick(&["", "p:ä"]));
        }
        5 => {
            user["client-certificate"] = json!("client.pem");
            user["client-key"] = json!("../c/client.key");
        }
        6 => {
            user["client-certificate-data"] = json!(STANDARD.encode(lab.certificates.client.pem()));
            user["client-key-data"] = json!(STANDARD.encode(lab.certificates.client.key_pem()));
            maybe_empty(dice, &mut user, "client-certificate");
            if dice.one_in(2) {
                user["token"] = json!("abc");
            }
        }
        _ => {
            let version = dice.pick(&["v1", "v1beta1"]);
            let api_version = format!("client.authentication.k8s.io/{version}");
            user["exec"] = json!({
                "apiVersion": api_version,
                "command": format!("./{PLUGIN}"),
                "args": dice.pick(&[json!(["token"]), json!(["certificate"]), json!(["token", "x"])]),
                "env": [
                    { "name": "INFO", "value": folder.join("info") },
                    { "name": "VERSION", "value": api_version },
                    { "name": "EMPTY" },
                ],
            });
            let modes = dice.pick(&["Never", "IfAvailable"]);
            if version == "v1" || dice.one_in(2) {
                user["exec"]["interactiveMode"] = json!(modes);
            }
            maybe(dice, &mut user["exec"], "provideClusterInfo", &json!(true));
            maybe(dice, &mut user["exec"], "installHint", &json!("install it\nso"));
        }
    }
    for name in ["token", "tokenFile", "client-key-data", "as", "as-uid"] {
        if user.get(name).is_none() && dice.one_in(4) {
            user[name] = dice.pick(&[json!(""), Value::Null]);
        }
    }
    if dice.one_in(3) {
        user["as"] = json!(dice.pick(&["bob", "system:serviceaccount:a:b", "jürgen"]));
        maybe(dice, &mut user, "as-uid", &json!("0-1"));
        maybe(dice, &mut user, "as-groups", &json!(["b", "a b", "a"]));
        let extra = json!({ "example.com/Scope%": ["x", "y"], "plain": ["z"], "none": [] });
        maybe(dice, &mut user, "as-user-extra", &extra);
    }
    user
}
