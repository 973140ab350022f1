//! Certificate policies (RFC 9618), which affect the validity of a chain only if a CA requires an
//! explicit policy.

use super::x509::Certificate;

const ANY: &[u8] = &[0x55, 0x1d, 32, 0];

/// A policy that is valid up to here, and the policies that the next certificate may name for it.
struct PolicyNode {
    policy: Vec<u8>,
    expected: Vec<Vec<u8>>,
}

impl PolicyNode {
    fn new(policy: &[u8]) -> Self {
        Self { policy: policy.to_vec(), expected: vec![policy.to_vec()] }
    }
}

/// Whether the policies of a chain (leaf first) allow at least one policy.
pub(super) fn are_valid(chain: &[&Certificate]) -> bool {
    let below = chain.len() - 1;
    let most = chain.len() as u64;
    let (mut explicit, mut mapping, mut any) = (most, most, most);
    // `None` after a certificate without policies.
    let mut level = Some(vec![PolicyNode::new(ANY)]);
    for (at, certificate) in chain[..below].iter().enumerate().rev() {
        let is_self_issued = certificate.issuer == certificate.subject;
        let policies = &certificate.extensions.policies;
        if policies.own.is_empty() {
            level = None;
        }
        if explicit == 0 && level.is_none() {
            return false;
        }
        if let Some(parents) = level.take() {
            let takes_any = any > 0 || at > 0 && is_self_issued;
            let mut nodes = next(&parents, &policies.own, takes_any);
            if at > 0 && !map(&mut nodes, &policies.mappings, mapping > 0) {
                return false;
            }
            level = Some(nodes);
        }
        if at > 0 {
            if !is_self_issued {
                for count in [&mut explicit, &mut mapping, &mut any] {
                    *count = count.saturating_sub(1);
                }
            }
            explicit = policies.require_explicit.map_or(explicit, |count| explicit.min(count));
            mapping = policies.inhibit_mapping.map_or(mapping, |count| mapping.min(count));
            any = policies.inhibit_any.map_or(any, |count| any.min(count));
        }
    }
    explicit = explicit.saturating_sub(1);
    if chain[0].extensions.policies.require_explicit == Some(0) {
        explicit = 0;
    }
    explicit > 0 || level.is_some_and(|nodes| !nodes.is_empty()) || below == 0
}

fn next(parents: &[PolicyNode], own: &[Vec<u8>], takes_any: bool) -> Vec<PolicyNode> {
    let has_any = parents.iter().any(|parent| parent.policy == ANY);
    let is_expected = |policy: &Vec<u8>| parents.iter().any(|p| p.expected.contains(policy));
    let named = own.iter().filter(|policy| *policy != ANY && (has_any || is_expected(policy)));
    let mut nodes: Vec<_> = named.map(|policy| PolicyNode::new(policy)).collect();
    if takes_any && own.iter().any(|policy| policy == ANY) {
        for expected in parents.iter().flat_map(|parent| &parent.expected) {
            if nodes.iter().all(|node| node.policy != *expected) {
                nodes.push(PolicyNode::new(expected));
            }
        }
    }
    nodes
}

/// Applies policy mappings; `false` for an invalid one.
fn map(nodes: &mut Vec<PolicyNode>, mappings: &[(Vec<u8>, Vec<u8>)], is_allowed: bool) -> bool {
    for (issuer, _) in mappings.iter().filter(|_| !is_allowed) {
        nodes.retain(|node| node.policy != *issuer);
    }
    if is_allowed {
        if mappings.iter().any(|(issuer, subject)| issuer == ANY || subject == ANY) {
            return false;
        }
        let has_any = nodes.iter().any(|node| node.policy == ANY);
        for (issuer, _) in mappings {
            let to = mappings.iter().filter(|(from, _)| from == issuer);
            let expected: Vec<_> = to.map(|(_, subject)| subject.clone()).collect();
            match nodes.iter_mut().find(|node| node.policy == *issuer) {
                Some(node) => node.expected = expected,
                None if has_any => nodes.push(PolicyNode { policy: issuer.clone(), expected }),
                None => {}
            }
        }
    }
    true
}
