//! Titles of the types of findings, for reports.

/// Ids and their titles. The documentation has an anchor for each.
pub const TITLES: [(&str, &str); 46] = [
    ("version", "version of the API server"),
    ("registration", "admissionregistration.k8s.io/v1"),
    ("admission-plugin", "admission plugins"),
    ("fix", "changes by --fix"),
    ("policy", "MutatingAdmissionPolicy"),
    ("proxy", "proxy of the API server"),
    ("binding", "MutatingAdmissionPolicyBinding"),
    ("namespace", "namespace and its label"),
    ("secret", "Secret"),
    ("certificate", "certificate in the Secret"),
    ("configuration", "MutatingWebhookConfiguration"),
    ("ca-bundle", "caBundle"),
    ("client", "target of the webhook"),
    ("rules", "rules for workloads"),
    ("rules-services", "rules for Services"),
    ("side-effects", "sideEffects"),
    ("other-webhooks", "other webhooks"),
    ("service", "Service"),
    ("endpoints", "endpoints of the Service"),
    ("connection", "fresh TLS connection"),
    ("dry-run", "dry-run create"),
    ("missed", "workloads older than the webhook"),
    ("events", "events"),
    ("image", "image of templates/test.yaml"),
    ("certificates", "csr.conf and certificates"),
    ("render", "webhook.yaml"),
    ("serve", "server"),
    ("trust", "trust in the caBundle"),
    ("empty", "emptying"),
    ("restore", "restoring"),
    ("autoscaler", "HorizontalPodAutoscaler"),
    ("scaled-object", "KEDA's ScaledObject"),
    ("vertical-autoscaler", "VerticalPodAutoscaler"),
    ("budget", "PodDisruptionBudget"),
    ("keeper", "GitOps owner of the workload"),
    ("idle", "whether the image can idle"),
    ("stand-in", "what a stand-in keeps of its container"),
    ("user", "user of the container"),
    ("windows", "operating system"),
    ("injected", "injected containers"),
    ("sidecar", "sidecar containers"),
    ("denied", "policies of the cluster"),
    ("cronjob", "schedule of the CronJob"),
    ("deadline", "activeDeadlineSeconds"),
    ("choice", "choice of the container"),
    ("around", "objects that conflict with the workload"),
];

/// The title of an id. Unlisted ids are causes of failed calls.
pub(super) fn title(id: &str) -> &'static str {
    let found = TITLES.iter().find(|(known, _)| *known == id);
    found.map_or("call of the webhook", |(_, title)| title)
}
