//! Warnings that tell the user whose write empties a workload, which `kubectl apply` prints.

use super::{
    CONTAINERS, Change, Context, DISABLED, LABEL, Level, Rules, Subject, Warning, is_own,
    old_object::OldObject,
};

impl Subject<'_> {
    /// Warnings for the user whose write empties the workload by `change`: that it starts empty,
    /// how to check that, and how to opt out. None if it was already empty, and none for objects
    /// created by a controller.
    pub fn announcement(
        &self,
        rules: &Rules,
        context: &Context<'_>,
        change: &Change,
    ) -> Vec<Warning> {
        let Some(kind) = self.workload().filter(|_| !self.is_controlled() && !self.is_emptied())
        else {
            return Vec::new();
        };
        let of_pods = change.is_empty();
        if of_pods && !self.empties_pods(rules, context) {
            return Vec::new();
        }
        let old = OldObject::new(context.old);
        let was_empty = old
            .get()
            .is_some_and(|old| old.is_emptied() || (of_pods && old.empties_pods(rules, context)));
        if was_empty {
            return Vec::new();
        }
        let name = self.object.name().filter(|name| is_plain(name));
        let title = name.map(|name| format!("{}/{name}", kind.kind.to_lowercase()));
        let namespace = self.object.namespace().unwrap_or(context.namespace);
        let place = if namespace.is_empty() { String::new() } else { format!(" -n {namespace}") };
        let stands_in = self.decide(rules, context).is_ok_and(|found| found.way.stand_in.is_some());
        let empty = if stands_in { "with a stand-in" } else { "empty" };
        let (what, starts) = match (of_pods, stands_in) {
            (true, true) => ("what it starts", "runs"),
            (true, false) => ("what it starts", "is"),
            (false, _) => ("it", "starts"),
        };
        let choice = self.choice(rules, context);
        let shown = title.as_deref().map(|title| {
            let what = if of_pods { format!("what {title} starts") } else { title.to_owned() };
            Warning::Announcement(format!(
                "{what} {starts} {empty}; `diyadm status {title}{place}` shows it"
            ))
        });
        let bare =
            Warning::Announcement(format!("{what} {starts} {empty}; `diyadm status` shows it"));
        let annotate = title.filter(|_| kind.mutable).map(|title| {
            Warning::Announcement(format!(
                "to opt out: `kubectl annotate {title}{place} {LABEL}={DISABLED}`"
            ))
        });
        let opt_out = Warning::Announcement(format!(
            "to opt out, create it with the annotation {LABEL}: {DISABLED}"
        ));
        let said = [(shown, bare), (annotate, opt_out)];
        let said = said.map(|(long, short)| long.filter(Warning::fits).unwrap_or(short));
        said.into_iter().chain(choice).collect()
    }

    /// Which container is emptied among several candidates, and how to choose another.
    pub fn choice(&self, rules: &Rules, context: &Context<'_>) -> Option<Warning> {
        let candidates = self.candidates(rules, context);
        let (chosen, others) = candidates.split_first().filter(|(_, others)| !others.is_empty())?;
        let choose = format!("annotation {CONTAINERS} chooses");
        let long = Warning::Announcement(format!(
            "container {chosen} is emptied, {} not; {choose}",
            others.join(", ")
        ));
        let short = || {
            Warning::Announcement(format!(
                "one of {} containers is emptied; {choose}",
                candidates.len()
            ))
        };
        Some(if long.fits() { long } else { short() })
    }

    /// Whether its Pods are emptied, and it is itself unchanged.
    fn empties_pods(&self, rules: &Rules, context: &Context<'_>) -> bool {
        self.kind() != "Pod"
            && self.workload().is_some()
            && !self.declines()
            && !is_own(rules, &self.object, context.namespace)
            && self
                .decide(rules, context)
                .is_ok_and(|decision| decision.way.empty && decision.way.level == Level::Pod)
    }
}

/// Whether it is a valid name, which can be printed and typed.
fn is_plain(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.')
}
