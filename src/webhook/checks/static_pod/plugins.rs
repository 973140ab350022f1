//! Names of admission plugins, existing and former, and likely typing errors.

/// Of kube-apiserver 1.10 to 1.36.
const KNOWN: [&str; 49] = [
    "AlwaysAdmit",
    "AlwaysDeny",
    "AlwaysPullImages",
    "CertificateApproval",
    "CertificateSigning",
    "CertificateSubjectRestriction",
    "ClusterTrustBundleAttest",
    "DefaultIngressClass",
    "DefaultStorageClass",
    "DefaultTolerationSeconds",
    "DenyEscalatingExec",
    "DenyExecOnPrivileged",
    "DenyServiceExternalIPs",
    "EventRateLimit",
    "ExtendedResourceToleration",
    "ImagePolicyWebhook",
    "InitialResources",
    "Initializers",
    "JobValidation",
    "LimitPodHardAntiAffinityTopology",
    "LimitRanger",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionWebhook",
    "NamespaceAutoProvision",
    "NamespaceExists",
    "NamespaceLifecycle",
    "NodeDeclaredFeatureValidator",
    "NodeRestriction",
    "OwnerReferencesPermissionEnforcement",
    "PersistentVolumeClaimResize",
    "PersistentVolumeLabel",
    "PodGroupProtection",
    "PodGroupWorkloadExists",
    "PodNodeSelector",
    "PodPreset",
    "PodResizeValidator",
    "PodSecurity",
    "PodSecurityPolicy",
    "PodTolerationRestriction",
    "PodTopologyLabels",
    "Priority",
    "ResourceQuota",
    "RuntimeClass",
    "SecurityContextDeny",
    "ServiceAccount",
    "StorageObjectInUseProtection",
    "TaintNodesByCondition",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionWebhook",
];

pub(super) fn is_known(name: &str) -> bool {
    KNOWN.contains(&name)
}

/// The intended names of a value with blanks, quotes, empty elements or wrong case.
pub(super) fn meant(value: &str) -> Vec<String> {
    let is_separator = |c: char| c == ',' || c.is_whitespace() || "\"'`;".contains(c);
    let words = value.split(is_separator).filter(|word| !word.is_empty());
    words.map(|word| spelled(word).unwrap_or(word).to_owned()).collect()
}

/// Whether an unknown element was intended as a plugin.
pub(super) fn is_misspelled(element: &str) -> bool {
    let meant = meant(element);
    meant.iter().all(|name| is_known(name)) && !is_known(element)
}

fn spelled(word: &str) -> Option<&'static str> {
    KNOWN.into_iter().find(|known| known.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_plugin_lists_are_recognized() {
        let both = ["MutatingAdmissionWebhook", "NodeRestriction"];
        for value in [
            "MutatingAdmissionWebhook, NodeRestriction",
            "\"MutatingAdmissionWebhook,NodeRestriction\"",
            "mutatingadmissionwebhook,noderestriction,",
            "'MutatingAdmissionWebhook' 'NodeRestriction'",
        ] {
            assert_eq!(meant(value), both, "{value}");
        }
        assert!(is_misspelled("") && is_misspelled(" NodeRestriction"));
        assert!(!is_misspelled("Own") && !is_misspelled("NodeRestriction"));
    }
}
