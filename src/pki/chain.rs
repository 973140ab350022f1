//! Chains of certificates as Go's crypto/x509 builds and judges them (`Certificate.Verify`), and
//! with it every API server.
//!
//! Go differs from OpenSSL in what matters here: any certificate may be the root, whatever signs
//! it; of several CAs with one name each is tried; SHA-1 signs nothing; what a CA says about key
//! usage binds those below it; and no certificate is too odd in a field that Go does not read.

use super::{
    host, policies,
    refusal::ChainRefusal,
    x509::{Certificate, Usage},
};

/// Number of signatures that Go checks before it gives up.
const MOST_SIGNATURES: usize = 100;

/// Requirements for a chain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Purpose<'a> {
    /// A DNS name or an IP address; without it, any.
    pub(super) host: Option<&'a str>,
    /// Seconds since 1970; without it, any time.
    pub(super) now: Option<i64>,
    pub(super) usage: Option<Usage>,
}

/// Verifies the first certificate of `chain`; the others may be intermediates up to one of `roots`.
pub(super) fn judge(
    roots: &[Certificate],
    chain: &[Certificate],
    purpose: &Purpose<'_>,
) -> Result<(), ChainRefusal> {
    let (leaf, others) = chain.split_first().ok_or(ChainRefusal::Unknown(None))?;
    check(leaf, Role::Leaf, 0, purpose)?;
    if let Some(name) = purpose.host
        && !host::matches(&leaf.extensions.names, name)
    {
        return Err(ChainRefusal::WrongName);
    }
    let mut builder =
        Builder { roots, others, purpose, signatures: 0, chains: Vec::new(), hint: None };
    if roots.iter().any(|root| root.raw == leaf.raw) {
        builder.chains.push(vec![leaf]);
    } else {
        builder.extend(&[leaf]);
    }
    if builder.chains.is_empty() {
        return Err(ChainRefusal::Unknown(builder.hint));
    }
    // One valid chain is enough; a name error is more helpful than the others.
    let mut refusals = Vec::new();
    for chain in &builder.chains {
        match check_chain(chain, purpose) {
            Ok(()) => return Ok(()),
            Err(refusal) => refusals.push(refusal),
        }
    }
    let named = refusals.iter().position(|refusal| matches!(refusal, ChainRefusal::Other(_)));
    Err(refusals.swap_remove(named.unwrap_or_default()))
}

/// Checks a whole chain.
fn check_chain(chain: &[&Certificate], purpose: &Purpose<'_>) -> Result<(), ChainRefusal> {
    if !policies::are_valid(chain) {
        return Err(ChainRefusal::Other(
            "a CA asks for a certificate policy that is missing".to_owned(),
        ));
    }
    let allows = |certificate: &&&Certificate| {
        let usages = &certificate.extensions.usages;
        let wanted = |usage: &Usage| *usage == Usage::Any || Some(*usage) == purpose.usage;
        usages.is_empty() || usages.iter().any(wanted)
    };
    if purpose.usage.is_some() && !chain.iter().all(|certificate| allows(&certificate)) {
        return Err(ChainRefusal::NotForServers);
    }
    host::check_constraints(chain).map_err(ChainRefusal::Other)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Leaf,
    Between,
    Root,
}

/// Checks a certificate with `below` others between it and the leaf (`isValid`).
fn check(
    certificate: &Certificate,
    role: Role,
    below: u64,
    purpose: &Purpose<'_>,
) -> Result<(), ChainRefusal> {
    let extensions = &certificate.extensions;
    if let Some(oid) = extensions.unhandled.first() {
        return Err(ChainRefusal::Other(format!("it has an unhandled critical extension, {oid}")));
    }
    match purpose.now {
        Some(now) if now < certificate.not_before => return Err(ChainRefusal::NotYetValid),
        Some(now) if now > certificate.not_after => return Err(ChainRefusal::Expired),
        _ => {}
    }
    let basic = extensions.basic_constraints;
    if role == Role::Between && !basic.is_some_and(|basic| basic.is_ca) {
        return Err(ChainRefusal::Other("it is not a CA (basicConstraints)".to_owned()));
    }
    if basic.and_then(|basic| basic.max_path).is_some_and(|most| below > most) {
        return Err(ChainRefusal::Other(
            "it may not have so many CAs below it (pathlen)".to_owned(),
        ));
    }
    Ok(())
}

/// Every chain to a root (`buildChains`).
struct Builder<'a> {
    roots: &'a [Certificate],
    others: &'a [Certificate],
    purpose: &'a Purpose<'a>,
    signatures: usize,
    chains: Vec<Vec<&'a Certificate>>,
    /// Of the leaf's candidate issuers.
    hint: Option<(String, Box<ChainRefusal>)>,
}

impl<'a> Builder<'a> {
    fn extend(&mut self, chain: &[&'a Certificate]) {
        let (roots, others) = (self.roots, self.others);
        let Some(last) = chain.last() else { return };
        let between = parents(last, others).into_iter().map(|parent| (Role::Between, parent));
        let roots = parents(last, roots).into_iter().map(|parent| (Role::Root, parent));
        for (role, parent) in roots.chain(between) {
            self.signatures += 1;
            if self.signatures > MOST_SIGNATURES {
                return;
            }
            if parent.key.is_none() || chain.iter().any(|one| one.is_same_holder(parent)) {
                continue;
            }
            let below = (chain.len() - 1) as u64;
            let checked = last
                .check_signature(parent)
                .and_then(|()| check(parent, role, below, self.purpose));
            if let Err(refusal) = checked {
                self.hint.get_or_insert_with(|| (parent.name(), Box::new(refusal)));
                continue;
            }
            let longer = [chain, &[parent]].concat();
            match role {
                Role::Root => self.chains.push(longer),
                _ => self.extend(&longer),
            }
        }
    }
}

/// Candidate issuers of `certificate`, the most likely first.
fn parents<'a>(certificate: &Certificate, all: &'a [Certificate]) -> Vec<&'a Certificate> {
    let authority = &certificate.extensions.authority_key;
    let rank = |parent: &&Certificate| {
        let subject = &parent.extensions.subject_key;
        match (subject == authority, subject.is_empty() || authority.is_empty()) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => 2,
        }
    };
    let named = all.iter().enumerate().filter(|(at, parent)| {
        // A pool has each certificate once.
        let is_first = !all[..*at].iter().any(|other| other.raw == parent.raw);
        parent.subject == certificate.issuer && is_first
    });
    let mut parents: Vec<_> = named.map(|(_, parent)| parent).collect();
    parents.sort_by_key(rank);
    parents
}
