//! What the user claims of a container, and leases as text.

use std::{cell::Cell, time::Duration};

use jiff::Timestamp;
use tokio::sync::OnceCell;

use super::{flags::LeaseFlags, table::span};
use diyadm_agent::protocol::{App, Claim, EndedBy, Lease};

/// What the user claims of a container.
#[derive(Debug, Default)]
pub(crate) struct UserClaim {
    pub(super) claim: Cell<Claim>,
    /// How long the lease of the next start lasts; `None` leaves its end as it is.
    pub(super) for_ms: Cell<Option<u64>>,
    /// When the lease ends that was asked for, by the API server's clock.
    ends: Cell<Option<Timestamp>>,
    /// Whether an application ended with its lease.
    pub(super) lease_ended: Cell<bool>,
    /// The user's name for the API server, asked when something is started or stopped; `None` if
    /// that is unknown.
    pub(super) who: OnceCell<Option<String>>,
}

impl UserClaim {
    /// As the flags say.
    pub(crate) fn from_flags(flags: &LeaseFlags) -> Self {
        let claim = match (flags.take_over, flags.share) {
            (true, _) => Claim::TakeOver,
            (_, true) => Claim::Share,
            _ => Claim::Free,
        };
        Self { claim: claim.into(), for_ms: flags.time.into(), ..Self::default() }
    }

    /// An application was started as claimed. This counts once: a person who takes over later keeps
    /// the container, and the end of the lease may be changed.
    pub(super) fn is_met(&self, now: Timestamp) {
        if self.claim.get() == Claim::TakeOver {
            self.claim.set(Claim::Free);
        }
        if let Some(ms) = self.for_ms.take() {
            self.ends.set(now.checked_add(Duration::from_millis(ms)).ok());
        }
    }

    /// Asks for the rest of the time in a new container, which has no lease yet.
    pub(super) fn renew(&self, now: Timestamp) {
        let left = self.ends.get().map(|end| end.duration_since(now).as_millis());
        let left = left.and_then(|left| u64::try_from(left).ok());
        self.for_ms.set(left.filter(|left| *left > 0));
    }
}

/// `ann has the container: app, for 2h, last seen 5m ago`
pub(crate) fn held(lease: &Lease) -> String {
    let Lease { who, apps, held_ms, unseen_ms, left_ms } = lease;
    let seen = match unseen_ms {
        0 => "connected now".to_owned(),
        ago => format!("last seen {} ago", span(*ago)),
    };
    let left = left_ms.map(|left| format!(", {} left", span(left))).unwrap_or_default();
    format!("{who} has the container: {}, for {}, {seen}{left}", apps.join(", "), span(*held_ms))
}

/// Who stopped an application, where its own user did not: `; ann took the container over`.
pub(crate) fn ended_by(app: &App) -> String {
    match &app.ended_by {
        None => String::new(),
        Some(EndedBy::TakeOver(who)) => format!("; {who} took the container over"),
        Some(EndedBy::Lease) => "; its lease ended".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_container_gets_the_rest_of_the_time() {
        let flags = LeaseFlags { take_over: true, share: false, time: Some(3_600_000) };
        let claim = UserClaim::from_flags(&flags);
        let at = |ms| Timestamp::from_millisecond(ms).unwrap();
        claim.is_met(at(1000));
        assert_eq!((claim.claim.get(), claim.for_ms.get()), (Claim::Free, None));
        claim.renew(at(2000));
        assert_eq!(claim.for_ms.get(), Some(3_599_000));
        claim.renew(at(3_601_000));
        assert_eq!(claim.for_ms.get(), None);
        let unlimited = UserClaim::default();
        unlimited.is_met(at(1000));
        unlimited.renew(at(2000));
        assert_eq!(unlimited.for_ms.get(), None);
    }

    #[test]
    fn lease_is_described_by_person_applications_and_times() {
        let lease = Lease {
            who: "ann".to_owned(),
            apps: vec!["web".to_owned(), "db".to_owned()],
            held_ms: 7_200_000,
            unseen_ms: 300_000,
            left_ms: None,
        };
        let text = "ann has the container: web, db, for 2h, last seen 5m ago";
        assert_eq!(held(&lease), text);
        let lease = Lease { unseen_ms: 0, left_ms: Some(3_600_000), ..lease };
        let text = "ann has the container: web, db, for 2h, connected now, 1h left";
        assert_eq!(held(&lease), text);
    }
}
