//! The extensions of a certificate, parsed like `processExtensions` of Go's crypto/x509.

use super::general::{Constraints, Names};
use crate::pki::der::{
    self, BOOLEAN, DerReader, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE,
};

/// keyCertSign among the bits of keyUsage.
pub(super) const CERT_SIGN: u16 = 1 << 5;

/// What a certificate may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pki) enum Usage {
    Any,
    Server,
    Other,
}

/// Whether a certificate may sign others, and the maximum number of CAs below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pki) struct BasicConstraints {
    pub(in crate::pki) is_ca: bool,
    pub(in crate::pki) max_path: Option<u64>,
}

/// The certificate policies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::pki) struct Policies {
    pub(in crate::pki) own: Vec<Vec<u8>>,
    /// From the issuer's domain to the subject's.
    pub(in crate::pki) mappings: Vec<(Vec<u8>, Vec<u8>)>,
    pub(in crate::pki) require_explicit: Option<u64>,
    pub(in crate::pki) inhibit_mapping: Option<u64>,
    pub(in crate::pki) inhibit_any: Option<u64>,
}

/// Select all.
#[derive(Clone, Debug, Default)]
pub(in crate::pki) struct Extensions {
    /// Bits; 0 if absent.
    pub(in crate::pki) key_usage: u16,
    pub(in crate::pki) basic_constraints: Option<BasicConstraints>,
    pub(in crate::pki) usages: Vec<Usage>,
    /// The bytes of the extension, if present.
    pub(in crate::pki) alternative_names: Option<Vec<u8>>,
    pub(in crate::pki) names: Names,
    pub(in crate::pki) constraints: Option<Constraints>,
    pub(in crate::pki) subject_key: Vec<u8>,
    pub(in crate::pki) authority_key: Vec<u8>,
    pub(in crate::pki) policies: Policies,
    /// OIDs of unsupported critical extensions.
    pub(in crate::pki) unhandled: Vec<String>,
}

impl Extensions {
    /// `all` is the content of their SEQUENCE.
    pub(super) fn parse(mut all: DerReader<'_>) -> Result<Self, String> {
        let mut list: Vec<(&[u8], bool, &[u8])> = Vec::new();
        while !all.is_empty() {
            let mut extension = all.content(SEQUENCE).ok_or("malformed extension")?;
            let oid = extension.oid().ok_or("malformed extension OID field")?;
            let is_critical = if extension.is_next(BOOLEAN) {
                extension.boolean().ok_or("malformed extension critical field")?
            } else {
                false
            };
            let value = extension.content(OCTET_STRING).ok_or("malformed extension value field")?;
            if list.iter().any(|(other, ..)| *other == oid) {
                let oid = der::dotted(oid);
                return Err(format!("certificate contains duplicate extension with OID {oid:?}"));
            }
            list.push((oid, is_critical, value.0));
        }
        let mut extensions = Self::default();
        for (oid, is_critical, value) in list {
            if !extensions.process(oid, is_critical, value)? && is_critical {
                extensions.unhandled.push(der::dotted(oid));
            }
        }
        Ok(extensions)
    }

    /// Whether the extension is supported.
    fn process(&mut self, oid: &[u8], is_critical: bool, bytes: &[u8]) -> Result<bool, String> {
        let mut value = DerReader(bytes);
        let number = match oid {
            [0x55, 0x1d, number] => *number,
            // authorityInfoAccess
            [0x2b, 6, 1, 5, 5, 7, 1, 1] => {
                let invalid = "invalid authority info access";
                if is_critical {
                    return Err("authority info access incorrectly marked critical".to_owned());
                }
                let mut all = value.content(SEQUENCE).ok_or(invalid)?;
                while !all.is_empty() {
                    let mut access = all.content(SEQUENCE).ok_or(invalid)?;
                    access.oid().ok_or(invalid)?;
                    access.optional(der::context(6)).ok_or(invalid)?;
                }
                return Ok(true);
            }
            _ => return Ok(false),
        };
        match number {
            14 | 35 if is_critical => {
                return Err("a key identifier is incorrectly marked critical".to_owned());
            }
            14 => {
                let id = value.content(OCTET_STRING).ok_or("invalid subject key identifier")?;
                self.subject_key = id.0.to_vec();
            }
            15 => self.key_usage = key_usage(value)?,
            17 => {
                self.names = Names::parse(value)?;
                self.alternative_names = Some(bytes.to_vec());
                return Ok(!self.names.is_empty());
            }
            19 => self.basic_constraints = Some(basic_constraints(value)?),
            30 => {
                let (constraints, is_partial) = Constraints::parse(value)?;
                self.constraints = Some(constraints);
                return Ok(!is_partial);
            }
            31 => distribution_points(value).ok_or("invalid CRL distribution points")?,
            32 => self.policies.own = policies(value).ok_or("invalid certificate policies")?,
            33 => {
                let mappings = mappings(value).ok_or("invalid policy mappings extension")?;
                self.policies.mappings = mappings;
            }
            35 => {
                let invalid = "invalid authority key identifier";
                let mut all = value.content(SEQUENCE).ok_or(invalid)?;
                let id = all.optional(der::context(0)).ok_or(invalid)?;
                self.authority_key = id.map(|id| id.0.to_vec()).unwrap_or_default();
            }
            36 => {
                let invalid = "invalid policy constraints extension";
                let mut all = value.content(SEQUENCE).ok_or(invalid)?;
                self.policies.require_explicit = count(&mut all, 0).ok_or(invalid)?;
                self.policies.inhibit_mapping = count(&mut all, 1).ok_or(invalid)?;
            }
            37 => self.usages = usages(value).ok_or("invalid extended key usages")?,
            54 => {
                let count = value.integer().filter(|count| count.len() <= 8);
                let count = count.ok_or("invalid inhibit any policy extension")?;
                self.policies.inhibit_any = unsigned(count);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// `None` for a negative number, which is ignored.
fn unsigned(bytes: &[u8]) -> Option<u64> {
    let value = bytes.iter().fold(0, |all, byte| all << 8 | u64::from(*byte));
    (bytes[0] & 0x80 == 0).then_some(value)
}

fn key_usage(mut value: DerReader<'_>) -> Result<u16, String> {
    let (bytes, _) = value.bits().ok_or("invalid key usage")?;
    let is_set = |bit: usize| bytes.get(bit / 8).is_some_and(|byte| byte & 0x80 >> (bit % 8) != 0);
    Ok((0..9).filter(|bit| is_set(*bit)).map(|bit| 1 << bit).sum())
}

fn basic_constraints(mut value: DerReader<'_>) -> Result<BasicConstraints, String> {
    let mut read = || {
        let mut all = value.content(SEQUENCE)?;
        let is_ca = if all.is_next(BOOLEAN) { all.boolean()? } else { false };
        let max_path = if all.is_next(INTEGER) {
            Some(all.unsigned().filter(|count| i64::try_from(*count).is_ok())?)
        } else {
            None
        };
        Some(BasicConstraints { is_ca, max_path })
    };
    read().ok_or_else(|| "invalid basic constraints".to_owned())
}

fn usages(mut value: DerReader<'_>) -> Option<Vec<Usage>> {
    let mut all = value.content(SEQUENCE)?;
    let mut usages = Vec::new();
    while !all.is_empty() {
        usages.push(match all.oid()? {
            [0x55, 0x1d, 37, 0] => Usage::Any,
            [0x2b, 6, 1, 5, 5, 7, 3, 1] => Usage::Server,
            _ => Usage::Other,
        });
    }
    Some(usages)
}

/// Parses and ignores them.
fn distribution_points(mut value: DerReader<'_>) -> Option<()> {
    let mut all = value.content(SEQUENCE)?;
    while !all.is_empty() {
        let mut point = all.content(SEQUENCE)?;
        if let Some(mut name) = point.optional(der::constructed(0))? {
            let mut names = name.content(der::constructed(0))?;
            while names.is_next(der::context(6)) {
                names.any()?;
            }
        }
    }
    Some(())
}

fn policies(mut value: DerReader<'_>) -> Option<Vec<Vec<u8>>> {
    let mut all = value.content(SEQUENCE)?;
    let mut policies: Vec<Vec<u8>> = Vec::new();
    while !all.is_empty() {
        let policy = all.content(SEQUENCE)?.content(OBJECT_IDENTIFIER)?.0.to_vec();
        // Each number is complete, and none has a leading zero.
        let mut starts = true;
        let valid = policy.iter().all(|byte| {
            let is_padded = starts && *byte == 0x80;
            starts = byte & 0x80 == 0;
            !is_padded
        });
        if policy.is_empty() || !valid || !starts || policies.contains(&policy) {
            return None;
        }
        policies.push(policy);
    }
    Some(policies)
}

fn mappings(mut value: DerReader<'_>) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut all = value.content(SEQUENCE)?;
    let mut mappings = Vec::new();
    while !all.is_empty() {
        let mut mapping = all.content(SEQUENCE)?;
        let mut policy = || Some(mapping.content(OBJECT_IDENTIFIER)?.0.to_vec());
        mappings.push((policy()?, policy()?));
    }
    Some(mappings)
}

/// An optional `[n] INTEGER`.
#[expect(clippy::option_option, reason = "malformed, absent and present")]
fn count(all: &mut DerReader<'_>, n: u8) -> Option<Option<u64>> {
    match all.optional(der::context(n))? {
        None => Some(None),
        Some(count) if count.0.len() <= 8 && der::is_shortest_integer(count.0) => {
            Some(unsigned(count.0))
        }
        Some(_) => None,
    }
}
