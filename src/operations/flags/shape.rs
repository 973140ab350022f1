//! The flags about the shape of emptied Pods.

use clap::{Args, ValueEnum};

use crate::workload::{
    Resources, Shape,
    shape::{
        SecurityMembers, amount, cache, env, env_source, label, object_name, security, toleration,
    },
};

/// The shape of a workload's Pods while it is empty; restoring resets all of it.
#[derive(Args, Debug, Clone, Default, PartialEq, Eq)]
#[command(next_help_heading = "Pods of empty workloads")]
pub struct ShapeFlags {
    /// Remove the requests and limits of the empty container
    #[arg(long, value_enum, value_name = "none", conflicts_with_all = ["requests", "limits"])]
    pub resources: Option<NoResources>,
    /// Requests of the empty container, as in cpu=500m,memory=1Gi; others stay as they are
    #[arg(long, value_name = "NAME=AMOUNT,…", value_delimiter = ',', value_parser = amount)]
    pub requests: Vec<(String, String)>,
    /// Limits of the empty container, as in cpu=2,memory=4Gi; others stay as they are
    #[arg(long, value_name = "NAME=AMOUNT,…", value_delimiter = ',', value_parser = amount)]
    pub limits: Vec<(String, String)>,
    /// Environment variable of the empty container; can be repeated
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = env)]
    pub env: Vec<(String, String)>,
    /// ConfigMap or Secret whose entries are environment variables of the empty container; can be
    /// repeated
    #[arg(long, value_name = "configmap|secret/NAME", value_parser = env_source)]
    pub env_from: Vec<String>,
    /// Folder of the empty container that is in a volume: an emptyDir, or the PersistentVolumeClaim
    /// CLAIM, which outlives the Pod; can be repeated
    #[arg(long, value_name = "PATH[=CLAIM]", value_parser = cache)]
    pub cache: Vec<String>,
    /// Labels that the node needs besides the others
    #[arg(long, value_name = "KEY=VALUE,…", value_delimiter = ',', value_parser = label)]
    pub node_selector: Vec<(String, String)>,
    /// Taint of nodes that is tolerated; can be repeated
    #[arg(long, value_name = "KEY[=VALUE][:EFFECT]", value_parser = toleration)]
    pub toleration: Vec<String>,
    /// Another service account of the Pods
    #[arg(long, value_name = "NAME", value_parser = object_name)]
    pub service_account: Option<String>,
    /// Members of the securityContext of the empty container, as in
    /// runAsUser=0,readOnlyRootFilesystem=false; others stay as they are
    #[arg(long, value_name = "MEMBER=VALUE,…", value_parser = security)]
    pub security_context: Vec<SecurityMembers>,
    /// What a file says where no flag does
    #[arg(skip)]
    pub file: Shape,
}

/// The word for no requests and limits.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoResources {
    /// No requests and no limits
    None,
}

/// `None` for an empty list: the flag is absent.
fn some<T, C: FromIterator<T>>(all: &[T]) -> Option<C>
where
    T: Clone,
{
    (!all.is_empty()).then(|| all.iter().cloned().collect())
}

impl ShapeFlags {
    /// The shape.
    pub fn shape(&self) -> Shape {
        let amounts = || Resources::Some {
            requests: self.requests.iter().cloned().collect(),
            limits: self.limits.iter().cloned().collect(),
        };
        let flags = Shape {
            resources: match self.resources {
                Some(NoResources::None) => Some(Resources::None),
                None if self.requests.is_empty() && self.limits.is_empty() => None,
                None => Some(amounts()),
            },
            env: some(&self.env),
            env_from: some(&self.env_from),
            cache: some(&self.cache),
            node_selector: some(&self.node_selector),
            tolerations: some(&self.toleration),
            service_account_name: self.service_account.clone(),
            security_context: some(&self.security_context.concat()),
        };
        flags.or(self.file.clone())
    }

    /// The equivalent flags for `diyadm serve`.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let pairs = |flag: &str, all: &[(String, String)]| {
            let pair = |(name, value): &(String, String)| format!("--{flag}={name}={value}");
            all.iter().map(pair).collect::<Vec<_>>()
        };
        let words = |flag: &str, all: &[String]| {
            all.iter().map(|word| format!("--{flag}={word}")).collect::<Vec<_>>()
        };
        let security = self.security_context.iter().map(|members| {
            let members = members.iter().map(|(member, value)| format!("{member}={value}"));
            format!("--security-context={}", members.collect::<Vec<_>>().join(","))
        });
        let none = self.resources.iter().map(|_| "--resources=none".to_owned());
        let account = self.service_account.iter().map(|name| format!("--service-account={name}"));
        let all = [
            none.collect(),
            pairs("requests", &self.requests),
            pairs("limits", &self.limits),
            pairs("env", &self.env),
            words("env-from", &self.env_from),
            words("cache", &self.cache),
            pairs("node-selector", &self.node_selector),
            words("toleration", &self.toleration),
            account.collect(),
            security.collect(),
        ];
        all.concat()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::{Value, json};

    use super::*;

    #[derive(Parser, Debug)]
    struct Flags {
        #[command(flatten)]
        shape: ShapeFlags,
    }

    fn parsed(args: &[&str]) -> ShapeFlags {
        Flags::try_parse_from([&["x"], args].concat()).unwrap().shape
    }

    /// `install` passes them to the server, and `rules explain` reads them there.
    #[test]
    fn flags_of_the_shape_are_written_as_they_are_read() {
        let flags = parsed(&[
            "--requests",
            "cpu=0.5",
            "--limits=cpu=2,memory=4096Mi",
            "--env",
            "A=1=2",
            "--env=B=",
            "--env-from",
            "secret/s",
            "--cache=/root/.m2",
            "--cache",
            "/var/x=claim",
            "--node-selector=disk=ssd,a.b/c=",
            "--toleration=dev=yes:NoSchedule",
            "--toleration",
            "x",
            "--service-account=builder",
            "--security-context=runAsUser=0,runAsNonRoot=false",
            "--security-context",
            r#"capabilities={"add":["SYS_PTRACE","NET_ADMIN"]},procMount=Default,a="0",b=1x,c=null"#,
        ]);
        let arguments = flags.arguments();
        let again: Vec<_> = arguments.iter().map(String::as_str).collect();
        assert_eq!(parsed(&again), flags);
        let text = flags.shape().annotation().unwrap().unwrap();
        assert_eq!(serde_json::from_str::<Shape>(&text).unwrap(), flags.shape());
        let security = flags.shape().security_context.unwrap();
        let expected = json!({
            "runAsUser": 0, "runAsNonRoot": false,
            "capabilities": { "add": ["SYS_PTRACE", "NET_ADMIN"] },
            "procMount": "Default", "a": "0", "b": "1x", "c": "null",
        });
        assert_eq!(Value::from(security), expected);
        let none = parsed(&["--resources", "none"]);
        assert_eq!(none.arguments(), ["--resources=none"]);
        assert_eq!(none.shape().annotation(), Ok(Some("{\"resources\":\"none\"}".to_owned())));
        assert_eq!(parsed(&[]).shape().annotation(), Ok(None));
    }

    #[test]
    fn invalid_flags_of_the_shape_are_refused() {
        for args in [
            ["--limits", "cpu"],
            ["--limits", "cpu=much"],
            ["--limits", "=1"],
            ["--env", "A"],
            ["--env", "=1"],
            ["--env-from", "pod/x"],
            ["--env-from", "secret/X"],
            ["--cache", "m2"],
            ["--cache", "/"],
            ["--cache", "/a/../b"],
            ["--cache", "/a=B"],
            ["--toleration", "a:Never"],
            ["--node-selector", "a"],
            ["--node-selector", "a b=c"],
            ["--service-account", "A"],
            ["--security-context", "runAsUser"],
            ["--security-context", "runAsUser=0,"],
            ["--security-context", "runAsUser=0,runAsGroup"],
            ["--resources", "some"],
        ] {
            let refused = Flags::try_parse_from([&["x"][..], &args].concat());
            assert!(refused.is_err(), "{args:?}: {refused:?}");
        }
    }
}
