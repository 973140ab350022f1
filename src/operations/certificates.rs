//! Creates certificates from the flags: reads csr.conf, generates keys, and issues.

use std::{ops::RangeInclusive, path::Path};

use anyhow::Result;
use clap::ValueEnum;

use crate::{
    exit::{Failure, Topic, quoted},
    operations::{
        files,
        flags::init::{CertificateFlags, KeyType},
        webhook_names::WebhookNames,
    },
    pki::{self, Bundle, KeyKind, Request, RequestedTerms, Terms},
    ui::terminal::Terminal,
    webhook::manifests,
};

pub(crate) mod folder;
pub(crate) mod inspect;
pub(crate) mod rotate;
pub(crate) mod secret;

/// The default.
const DAYS: u32 = 365;
const CA_DAYS: u32 = 3650;

/// The requested properties of certificates, read once, since `--csr-conf -` cannot be read again.
pub(crate) struct RequestedCertificates<'a> {
    terminal: &'a Terminal,
    names: &'a WebhookNames,
    flags: &'a CertificateFlags,
    /// The content of `--csr-conf`, if given.
    request: Option<Request>,
}

impl<'a> RequestedCertificates<'a> {
    /// # Errors
    /// Flags that do not go together, and a `--csr-conf` that makes no sense.
    pub(crate) fn from_flags(
        terminal: &'a Terminal,
        names: &'a WebhookNames,
        flags: &'a CertificateFlags,
    ) -> Result<Self> {
        let (days, ca_days) = (flags.days.unwrap_or(DAYS), flags.ca_days.unwrap_or(CA_DAYS));
        if days > ca_days {
            let what =
                format!("A certificate of {days} days would outlive its CA of {ca_days} days.");
            return Err(Failure::usage(
                Topic::Certificates,
                what,
                format!("Use `--ca-days {days}` or more."),
            )
            .into());
        }
        let request = match flags.csr_conf {
            Some(_) => Some(request(terminal, names, flags)?),
            None => None,
        };
        Ok(Self { terminal, names, flags, request })
    }

    /// Creates new certificates: from `--csr-conf`, else ./csr.conf, else the built-in one. The
    /// CA's key is dropped when this returns.
    pub(crate) fn issue(&self) -> Result<Bundle> {
        let request = match &self.request {
            Some(request) => request.clone(),
            None => request(self.terminal, self.names, self.flags)?,
        };
        let kind = self.key().unwrap_or(request.key_kind());
        let terms = Terms {
            now: now()?,
            days: self.flags.days.unwrap_or(DAYS),
            ca_days: self.flags.ca_days.unwrap_or(CA_DAYS),
            service: self.names.service.clone(),
            namespace: self.names.webhook_namespace().to_owned(),
        };
        pki::issue(&request, &terms, &pki::generate_key(kind)?, &pki::generate_key(kind)?)
    }

    /// The differences of existing certificates (PEM) from the flags; `None` if there are none.
    pub(crate) fn difference(&self, ca: &[u8], crt: &[u8]) -> Option<String> {
        let wanted = RequestedTerms {
            request: self.request.as_ref(),
            key: self.key(),
            days: self.flags.days,
            ca_days: self.flags.ca_days,
            service: &self.names.service,
            namespace: self.names.webhook_namespace(),
        };
        let all = pki::differences(ca, crt, &wanted);
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// The flags for a command line, each after a blank.
    pub(crate) fn typed(&self) -> String {
        let CertificateFlags { csr_conf, days, ca_days, key } = self.flags;
        let key = key.and_then(|key| key.to_possible_value());
        let all = [
            ("--csr-conf", csr_conf.as_ref().map(|file| quoted(&file.display().to_string()))),
            ("--days", days.map(|days| days.to_string())),
            ("--ca-days", ca_days.map(|days| days.to_string())),
            ("--key", key.map(|key| key.get_name().to_owned())),
        ];
        let typed = all.into_iter().filter_map(|(flag, value)| Some(format!(" {flag} {}", value?)));
        typed.collect()
    }

    fn key(&self) -> Option<KeyKind> {
        self.flags.key.map(|key| match key {
            KeyType::Rsa2048 => KeyKind::Rsa(2048),
            KeyType::Rsa4096 => KeyKind::Rsa(4096),
            KeyType::P256 => KeyKind::P256,
        })
    }
}

/// The result of [`RequestedCertificates::issue`] for the flags.
pub(crate) fn issue(
    terminal: &Terminal,
    names: &WebhookNames,
    flags: &CertificateFlags,
) -> Result<Bundle> {
    RequestedCertificates::from_flags(terminal, names, flags)?.issue()
}

/// A description of the used csr.conf: the file, or that it is built in.
pub(crate) fn source(flags: &CertificateFlags) -> String {
    match &flags.csr_conf {
        Some(file) => format!("read {}", file.display()),
        None if Path::new(HERE).exists() => format!("read {HERE}"),
        None => format!("used {BUILT_IN}"),
    }
}

/// The default csr.conf.
const HERE: &str = "csr.conf";
const BUILT_IN: &str = "the built-in csr.conf";

fn request(terminal: &Terminal, names: &WebhookNames, flags: &CertificateFlags) -> Result<Request> {
    let (file, text) = csr_conf(names, flags)?;
    let request = Request::parse(&file, &text).map_err(|error| {
        let hint = format!("Fix {file}, or use another: `--csr-conf FILE`.");
        Failure::usage(Topic::Certificates, format!("{error:#}"), hint)
    })?;
    request.warnings.iter().for_each(|warning| terminal.warn(warning));
    Ok(request)
}

/// The name and text of the used csr.conf.
fn csr_conf(names: &WebhookNames, flags: &CertificateFlags) -> Result<(String, String)> {
    let here = Path::new(HERE);
    let file = match &flags.csr_conf {
        Some(file) => file.as_path(),
        None if here.exists() => here,
        None => {
            let text = manifests::csr_conf(&names.service, names.webhook_namespace());
            return Ok((BUILT_IN.to_owned(), text));
        }
    };
    let text = files::text_up_to(file, pki::LONGEST_FILE).map_err(|error| {
        Failure::usage(
            Topic::Certificates,
            format!("{} could not be read: {error}.", file.display()),
            "Use a readable file, or - for the standard input: `--csr-conf FILE`.",
        )
    })?;
    Ok((file.display().to_string(), text))
}

/// Reports the use of a csr.conf that no flag named.
pub(crate) fn print_source(terminal: &Terminal, flags: &CertificateFlags) {
    if flags.csr_conf.is_none() && Path::new(HERE).exists() {
        terminal.say("The certificates are created from csr.conf in this folder.");
    }
}

/// Seconds since 1970.
///
/// # Errors
/// This machine's clock is so wrong that nothing could be said about a certificate.
pub(crate) fn now() -> Result<i64> {
    Ok(plausible(jiff::Timestamp::now().as_second())?)
}

/// From one year before diyadm to the latest time that Linux allows.
const YEARS: RangeInclusive<i16> = 2020..=2232;

fn plausible(now: i64) -> Result<i64, Failure> {
    let time = jiff::Timestamp::from_second(now);
    let year = time.map(|time| time.to_zoned(jiff::tz::TimeZone::UTC).year());
    if year.is_ok_and(|year| YEARS.contains(&year)) {
        return Ok(now);
    }
    let what = format!("The clock of this machine is wrong: it says {}.", pki::rfc3339(now));
    let hint = "Set the clock (`timedatectl set-ntp true`), then run the command again.";
    Err(Failure::no(Topic::Certificates, what, hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn implausible_clock_is_an_error() {
        assert_eq!(plausible(1_800_000_000).unwrap(), 1_800_000_000);
        for (now, shown) in [
            (-86_400, "1969-12-31T00:00:00Z"),
            (0, "1970-01-01T00:00:00Z"),
            (253_402_207_200, "9999-12-30T22:00:00Z"),
            (i64::MAX, "9223372036854775807"),
        ] {
            let failure = plausible(now).unwrap_err();
            assert!(failure.what.contains("clock of this machine"), "{}", failure.what);
            assert!(failure.what.contains(shown), "{}", failure.what);
            assert!(failure.hint.contains("timedatectl"), "{}", failure.hint);
        }
    }
}
