//! A MutatingAdmissionPolicy and its binding: Pods are emptied by the API server itself.
//!
//! Its CEL is generated from the same rules as the webhook's. It saves no original, since CEL
//! cannot serialize a field as text. So it is for level `pod`, where the owner has the original.

use anyhow::Result;
use k8s_openapi::api::admissionregistration::v1::{
    JSONPatch, MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, Mutation, Variable,
};
use serde_json::Value;

use super::{Settings, next, object, rename};
use crate::workload::{Choice, Level, Ready, Rules, WEBHOOK_NAMESPACE};

mod cel;
mod decide;
mod mutate;
mod stand_in;

const POLICY: &str = include_str!("../../../templates/policy.yaml");

/// The policy's objects in the order in which they are applied.
///
/// # Errors
/// A sentence where the rules want what a policy cannot do.
pub fn policy(settings: &Settings, rules: &Rules) -> Result<Vec<Value>, String> {
    if rules.flags.level == Some(Level::Workload) {
        return Err("a policy cannot save the original, so it empties Pods and not their \
                    workloads: level workload needs the webhook"
            .to_owned());
    }
    if !rules.pull_secrets.is_empty() {
        return Err("a policy cannot add the Secrets of --image-pull-secret to Pods".to_owned());
    }
    let is_app = |choice: &Choice| choice.ready == Some(Ready::App);
    if is_app(&rules.flags) || rules.list.iter().any(|rule| is_app(&rule.choice)) {
        return Err(
            "a policy cannot pass the readiness probe of a Pod on to the agent: ready app needs \
             the webhook, or `diyadm empty`"
                .to_owned(),
        );
    }
    let shaped = |choice: &Choice| choice.shape.parts().first().map(|(name, _)| *name);
    let mut all = std::iter::once(&rules.flags).chain(rules.list.iter().map(|rule| &rule.choice));
    if let Some(name) = all.find_map(shaped) {
        return Err(format!(
            "a policy cannot merge a Pod's own {name} with others: that needs the webhook, or \
             `diyadm empty`"
        ));
    }
    let replicas = rules.list.iter().position(|rule| rule.choice.replicas.is_some());
    if let Some(at) = replicas {
        return Err(format!(
            "rule {} sets replicas of the workload, and a policy sees only Pods",
            at + 1
        ));
    }
    if let Some(at) = rules.list.iter().position(|rule| rule.choice.time.is_some()) {
        let number = at + 1;
        return Err(format!("rule {number} has `for`, and a policy changes no workloads"));
    }
    let (mut policy, mut binding) = templates().map_err(|error| format!("{error:#}"))?;
    for meta in [&mut policy.metadata, &mut binding.metadata] {
        rename(meta, settings);
    }
    let home = (WEBHOOK_NAMESPACE.to_owned(), settings.namespace.clone());
    policy.metadata.annotations.get_or_insert_default().extend([home]);
    let spec = binding.spec.get_or_insert_default();
    spec.policy_name = Some(settings.service.clone());
    let spec = policy.spec.get_or_insert_default();
    spec.failure_policy = Some(settings.failure_policy.clone());
    let constraints = spec.match_constraints.get_or_insert_default();
    let selector = constraints.namespace_selector.get_or_insert_default();
    selector.match_labels = Some([settings.label.clone()].into());
    let own = constraints.object_selector.get_or_insert_default();
    for expression in own.match_expressions.iter_mut().flatten() {
        expression.values = Some(vec![settings.service.clone()]);
    }
    let variables = decide::variables(rules).into_iter();
    let variable =
        |(name, expression): (&str, String)| Variable { name: name.to_owned(), expression };
    spec.variables = Some(variables.map(variable).collect());
    spec.mutations = Some(vec![Mutation {
        patch_type: "JSONPatch".to_owned(),
        json_patch: Some(JSONPatch { expression: Some(mutate::expression(&rules.agent_image)) }),
        apply_configuration: None,
    }]);
    let objects = [object(&policy), object(&binding)];
    objects.into_iter().collect::<Result<_>>().map_err(|error| format!("{error:#}"))
}

fn templates() -> Result<(MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding)> {
    let mut documents = serde_yaml::Deserializer::from_str(POLICY);
    Ok((next(documents.next())?, next(documents.next())?))
}
