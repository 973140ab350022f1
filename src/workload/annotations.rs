//! The labels and annotations that diyadm uses: one list for the code and the docs.

/// The label of a namespace that turns emptying on, and the label or annotation of a workload that
/// opts it out.
pub const LABEL: &str = "inject-empty-container";
/// The value of [`LABEL`] that turns emptying on. Any other value, including an empty one, opts
/// out.
pub const ENABLED: &str = "enabled";
/// The value of [`LABEL`] that diyadm writes to opt out.
pub const DISABLED: &str = "disabled";
/// The original of the fields that emptying changed.
pub const ORIGINAL: &str = "diyadm.io/original";
/// Who emptied a Pod without an original: `policy`.
pub const EMPTIED_BY: &str = "diyadm.io/emptied-by";
/// What the value of [`EMPTIED_BY`] begins with; the image that the policy chose follows.
pub const BY_POLICY: &str = "policy ";
/// The containers to empty: `a,b`, or `*` for all.
pub const CONTAINERS: &str = "diyadm.io/containers";
/// The image to empty to, or `keep`.
pub const IMAGE: &str = "diyadm.io/image";
/// How the container idles: `entrypoint`, `shell` or `agent`.
pub const IDLE: &str = "diyadm.io/idle";
/// The level of emptying: `workload` or `pod`.
pub const LEVEL: &str = "diyadm.io/level";
/// The replicas of the empty workload.
pub const REPLICAS: &str = "diyadm.io/replicas";
/// When an emptied Pod is Ready: `container` or `app`.
pub const READY: &str = "diyadm.io/ready";
/// Whether the workload's own command runs while no other application does: `true`.
pub const STAND_IN: &str = "diyadm.io/stand-in";
/// The command line of the stand-in, a JSON list, where the container's spec has no command.
pub const STAND_IN_COMMAND: &str = "diyadm.io/stand-in-command";
/// Whether a CronJob starts no Jobs while it is empty: `true`.
pub const SUSPEND: &str = "diyadm.io/suspend";
/// Until when it stays empty, by the API server's clock: RFC 3339.
pub const EXPIRES: &str = "diyadm.io/expires";
/// The Pod's shape while it is empty: a JSON object with parts of a rule.
pub const SHAPE: &str = "diyadm.io/shape";
/// The port, named `debug`, that a Service gets.
pub const DEBUG_PORT: &str = "diyadm.io/debug-port";
/// The name of that port.
pub(super) const DEBUG_PORT_NAME: &str = "debug";
/// The type that a Service gets, one of [`SERVICE_TYPES`].
pub const SERVICE_TYPE: &str = "diyadm.io/service-type";
/// The types of Services that have an address.
pub(super) const SERVICE_TYPES: [&str; 3] = ["ClusterIP", "NodePort", "LoadBalancer"];

/// diyadm's name in `managedFields`.
pub const FIELD_MANAGER: &str = "diyadm";
/// The namespace from which a policy, or a webhook with a URL, was installed. Other webhooks name a
/// Service's namespace.
pub const WEBHOOK_NAMESPACE: &str = "diyadm.io/webhook-namespace";

/// The name for which an object with this annotation is a placeholder.
pub const HOLDS: &str = "diyadm.io/holds";

/// The label of a copy and of its Pods: the name that `empty --copy` gave it.
pub const COPY: &str = "diyadm.io/copy";
/// The name of a copy's original as a label, and with its kind as an annotation.
pub const COPY_OF: &str = "diyadm.io/copy-of";

/// An annotation in the docs.
pub struct Annotation {
    /// Its key.
    pub name: &'static str,
    /// The objects that have it.
    pub on: &'static str,
    /// Its values.
    pub values: &'static str,
    /// Its effect.
    pub meaning: &'static str,
}

const fn annotation(
    name: &'static str,
    on: &'static str,
    values: &'static str,
    meaning: &'static str,
) -> Annotation {
    Annotation { name, on, values, meaning }
}

/// Every label and annotation that diyadm uses. The table in the docs is generated from it.
pub const ANNOTATIONS: [Annotation; 20] = [
    annotation(
        LABEL,
        "label of a namespace; label or annotation of a workload or pod template",
        "`enabled`, on a namespace also NAME of `install --service NAME`; any other value opts out",
        "turns emptying on in the namespace, or off for the workload, which is restored if it is \
         empty",
    ),
    annotation(
        CONTAINERS,
        "workload or pod template",
        "`a,b` or `*`",
        "which containers are emptied (default: the one that \
         `kubectl.kubernetes.io/default-container` names, else the first that is not a known \
         sidecar)",
    ),
    annotation(
        IMAGE,
        "workload or pod template",
        "an image, or `keep`",
        "what they are emptied to",
    ),
    annotation(
        IDLE,
        "workload or pod template",
        "`entrypoint`, `shell`, `agent`",
        "how the container idles (default: `entrypoint`; with `keep` `shell`)",
    ),
    annotation(
        LEVEL,
        "workload or pod template",
        "`workload`, `pod`",
        "whether the workload's own spec changes, or only its Pods",
    ),
    annotation(
        REPLICAS,
        "Deployment, StatefulSet, ReplicaSet",
        "a number",
        "how many replicas it has while it is empty",
    ),
    annotation(
        READY,
        "workload or pod template",
        "`container`, `app`",
        "when its Pods are Ready while it is empty: as soon as the container runs, or only while an \
         application runs and the workload's own readiness probe succeeds (default: `container`)",
    ),
    annotation(
        STAND_IN,
        "workload or pod template",
        "`true`, `false`",
        "whether the workload's own command runs while no other application does (default: \
         `false`); implies `keep` and `agent`",
    ),
    annotation(
        STAND_IN_COMMAND,
        "workload or pod template",
        "a JSON list of strings",
        "the whole command line of the stand-in, for a container whose spec has no `command`",
    ),
    annotation(
        SUSPEND,
        "CronJob",
        "`true`, `false`",
        "whether it is suspended while it is empty, so that it starts no Jobs (default: `false`)",
    ),
    annotation(
        SHAPE,
        "workload or pod template",
        "JSON like `{\"resources\": \"none\"}`",
        "the Pod's shape while it is empty: `resources`, `env`, `cache` and the others, as in a rule",
    ),
    annotation(
        EXPIRES,
        "emptied workload",
        "a time like `2026-12-01T18:00:00Z`; written by `empty --for`, `extend` and a rule's `for`",
        "`diyadm expire` restores the workload after it",
    ),
    annotation(
        DEBUG_PORT,
        "Service",
        "a port",
        "the Service gets that port under the name `debug`",
    ),
    annotation(
        SERVICE_TYPE,
        "Service",
        "`ClusterIP`, `NodePort`, `LoadBalancer`",
        "the Service gets that type",
    ),
    annotation(
        ORIGINAL,
        "emptied object",
        "written by diyadm",
        "the fields before emptying, which restoring reads",
    ),
    annotation(
        EMPTIED_BY,
        "Pod",
        "`policy IMAGE`; written by `render --mode policy`'s policy",
        "emptied without an original, which its owner still has; a Pod without an owner is left \
         alone, unless it has `inject-empty-container: enabled`",
    ),
    annotation(
        WEBHOOK_NAMESPACE,
        "policy, or configuration with a URL",
        "a namespace; written by `render`",
        "`install` and `uninstall` change it from that namespace; from other namespaces they only \
         set and remove the label",
    ),
    annotation(
        HOLDS,
        "Pod or Job `NAME-diyadm`",
        "NAME; written by `--recreate`",
        "its environment contains the object to create under NAME once the old one is deleted",
    ),
    annotation(
        COPY,
        "label of a copy and of its Pods",
        "NAME; written by `empty --copy NAME`",
        "the Deployment is a copy, which `restore` deletes; its selector has the label, too",
    ),
    annotation(
        COPY_OF,
        "label and annotation of a copy, label of its Pods",
        "the original's name; as annotation `KIND/NAME`; written by `empty --copy NAME`",
        "the workload of which it is a copy",
    ),
];

/// The keys that a client may set or remove together with emptying, so that the webhook does the
/// same; restoring undoes that.
pub const REQUESTABLE_ANNOTATIONS: [&str; 12] = [
    LABEL,
    CONTAINERS,
    IMAGE,
    IDLE,
    LEVEL,
    REPLICAS,
    READY,
    STAND_IN,
    STAND_IN_COMMAND,
    SUSPEND,
    SHAPE,
    EXPIRES,
];
