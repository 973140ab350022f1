//! The rows of the table of kinds: Kubernetes' own, and the custom resources that are built in.
//! CONTRIBUTING.md shows how to add one.

use super::{Controller, Count, Kind, Revisions, Rollout};

const NO_COUNT: Count = Count { wanted: None, total: "", updated: "", ready: "", available: "" };

/// The basis of the rows below.
pub(super) const ANY: Kind = Kind {
    group: "",
    version: "v1",
    kind: "",
    plural: "",
    short: &[],
    namespaced: true,
    pod: &[],
    mutable: false,
    replicas: false,
    own_fields: &[],
    count: NO_COUNT,
    controller: Controller::Workload,
    rollout: Rollout::Never,
    revisions: None,
};

/// A kind with `spec.replicas` and `spec.template`, whose controller creates its Pods.
pub(super) const REPLICATED: Kind = Kind {
    pod: &["spec", "template", "spec"],
    mutable: true,
    replicas: true,
    own_fields: &["replicas"],
    count: Count {
        wanted: Some(("/spec/replicas", 1)),
        total: "replicas",
        updated: "updatedReplicas",
        ready: "readyReplicas",
        available: "readyReplicas",
    },
    ..ANY
};

/// `apps/v1`
pub static DEPLOYMENT: Kind = Kind {
    group: "apps",
    kind: "Deployment",
    plural: "deployments",
    short: &["deploy"],
    own_fields: &["replicas", "strategy"],
    count: Count { available: "availableReplicas", ..REPLICATED.count },
    controller: Controller::ReplicaSets("pod-template-hash"),
    rollout: Rollout::Surge,
    revisions: Some(Revisions::ReplicaSets),
    ..REPLICATED
};

/// `apps/v1`
pub static STATEFUL_SET: Kind = Kind {
    group: "apps",
    kind: "StatefulSet",
    plural: "statefulsets",
    short: &["sts"],
    rollout: Rollout::InOrder,
    revisions: Some(Revisions::ControllerRevisions),
    ..REPLICATED
};

/// `apps/v1`
pub static DAEMON_SET: Kind = Kind {
    group: "apps",
    kind: "DaemonSet",
    plural: "daemonsets",
    short: &["ds"],
    replicas: false,
    own_fields: &["updateStrategy"],
    count: Count {
        wanted: Some(("/status/desiredNumberScheduled", 0)),
        // A node has one of these Pods, so there are no old Pods besides the updated ones.
        total: "updatedNumberScheduled",
        updated: "updatedNumberScheduled",
        ready: "numberReady",
        available: "numberAvailable",
    },
    rollout: Rollout::PerNode,
    revisions: Some(Revisions::ControllerRevisions),
    ..REPLICATED
};

/// `apps/v1`
pub static REPLICA_SET: Kind = Kind {
    group: "apps",
    kind: "ReplicaSet",
    plural: "replicasets",
    short: &["rs"],
    rollout: Rollout::ByHand,
    ..REPLICATED
};

/// `batch/v1`
pub static JOB: Kind = Kind {
    group: "batch",
    kind: "Job",
    plural: "jobs",
    short: &["job"],
    pod: &["spec", "template", "spec"],
    count: Count {
        wanted: Some(("/spec/parallelism", 1)),
        ready: "ready",
        available: "ready",
        ..NO_COUNT
    },
    ..ANY
};

/// `batch/v1`
pub static CRON_JOB: Kind = Kind {
    group: "batch",
    kind: "CronJob",
    plural: "cronjobs",
    short: &["cj"],
    pod: &["spec", "jobTemplate", "spec", "template", "spec"],
    mutable: true,
    own_fields: &["suspend"],
    controller: Controller::Jobs,
    rollout: Rollout::Next,
    ..ANY
};

/// `v1`
pub static POD: Kind = Kind {
    kind: "Pod",
    plural: "pods",
    short: &["po"],
    pod: &["spec"],
    // It is a single Pod without such a number.
    count: Count { wanted: Some(("/", 1)), ..NO_COUNT },
    controller: Controller::Itself,
    ..ANY
};

/// `argoproj.io/v1alpha1`, of Argo Rollouts
pub static ARGO_ROLLOUT: Kind = Kind {
    group: "argoproj.io",
    version: "v1alpha1",
    kind: "Rollout",
    plural: "rollouts",
    short: &["ro"],
    count: Count { available: "availableReplicas", ..REPLICATED.count },
    controller: Controller::ReplicaSets("rollouts-pod-template-hash"),
    rollout: Rollout::Surge,
    revisions: Some(Revisions::ReplicaSets),
    ..REPLICATED
};

/// `apps.kruise.io/v1alpha1`, of OpenKruise
pub static CLONE_SET: Kind = Kind {
    group: "apps.kruise.io",
    version: "v1alpha1",
    kind: "CloneSet",
    plural: "clonesets",
    short: &["clone"],
    count: Count { available: "availableReplicas", ..REPLICATED.count },
    rollout: Rollout::Surge,
    revisions: Some(Revisions::ControllerRevisions),
    ..REPLICATED
};

/// `apps.kruise.io/v1beta1`, of OpenKruise
pub static ADVANCED_STATEFUL_SET: Kind = Kind {
    group: "apps.kruise.io",
    version: "v1beta1",
    kind: "StatefulSet",
    plural: "statefulsets",
    short: &[],
    rollout: Rollout::InOrder,
    revisions: Some(Revisions::ControllerRevisions),
    ..REPLICATED
};

/// The built-in custom resource kinds; each exists if its CustomResourceDefinition is installed.
pub static CUSTOM: [&Kind; 3] = [&ARGO_ROLLOUT, &CLONE_SET, &ADVANCED_STATEFUL_SET];

/// `v1`: not a workload, but changed by the webhook.
pub static SERVICE: Kind = Kind::other("", "v1", "Service", "services");

/// Kubernetes' own workload kinds, in the order in which they are read and shown.
pub static WORKLOADS: [&Kind; 7] =
    [&DEPLOYMENT, &STATEFUL_SET, &DAEMON_SET, &REPLICA_SET, &JOB, &CRON_JOB, &POD];
