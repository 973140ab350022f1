//! `diyadm restore`: the original back, in its newest form, and nothing left of the empty one.

use std::ops::ControlFlow;

use anyhow::Result;
use serde_json::Value;

pub(crate) use self::{from_manifest::Manifests, options::RestoreOptions};
use self::{leftovers::Leftovers, pods::Pods, template::NOT_EMPTY};
use super::{
    Done, Errand, Outcome,
    autoscalers::{Beside, Suspension},
    confirm,
    intercept::Webhooks,
    owner::owned,
    replace::PodMatch,
    targets,
    wait::NotReady,
};
use crate::{
    exit::{Code, Failure},
    kinds::CRON_JOB,
    kubernetes::{
        DryRun, POD,
        targets::{Found, Unnamed},
    },
    operations::flags::RestoreArgs,
    rollout::{self, Form},
    status,
    workload::{self, ORIGINAL, Refusal, Subject, autoscaler},
};

mod from_manifest;
mod leftovers;
mod options;
mod pods;
mod rollout_undo;
mod template;
mod trust;

/// Restores the workloads that `args` name.
pub(crate) async fn restore(
    errand: &Errand<'_>,
    args: &RestoreArgs,
    manifests: Option<&Manifests>,
) -> Result<Code> {
    let (targets, files) = (&args.targets, &args.filename);
    let targeted = targets::find(errand.cluster, targets, files, Unnamed::WithAll).await?;
    targeted.unseen.iter().for_each(|what| errand.terminal.warn(what));
    if confirm::is_wanted(errand, &targeted) {
        let meant = what_is_empty(errand, &targeted.found).await;
        let meant = meant.iter().map(|found| (found.kind, found.namespace.as_str()));
        confirm::confirm(errand.terminal, "restore", meant).await?;
    }
    let options = RestoreOptions {
        manifests,
        recreate: args.recreate,
        trust_original: args.trust_original,
        unlabelled: false,
    };
    let webhooks = Webhooks::new(errand.is_real());
    let done = settle(errand, &options, &webhooks, targeted.found, targeted.named).await;
    if targeted.everything {
        pods::tell_others(errand, &done).await;
    }
    let printed = errand.print(&done);
    let code = errand.end(done, "restored")?;
    printed.map(|()| code)
}

/// Those that are emptied, by their template or by their Pods as far as these may be seen.
async fn what_is_empty<'f>(errand: &Errand<'_>, all: &'f [Found]) -> Vec<&'f Found> {
    let scope = errand.cluster.scope(errand.targets);
    let pods = errand.cluster.list(&POD, scope, "").await.unwrap_or_default();
    let objects: Vec<_> = all.iter().map(|found| found.object.clone()).collect();
    let rows = status::rows(&objects, &pods, |_| None);
    let is_row = |found: &&Found| {
        let own = [found.kind.kind, &found.namespace, &found.name];
        rows.iter().any(|row| [&*row.kind, &*row.namespace, &*row.name] == own)
    };
    all.iter().filter(is_row).collect()
}

/// Restores all of them; where they were not named, those that are not empty are passed over.
pub(crate) async fn settle(
    errand: &Errand<'_>,
    options: &RestoreOptions<'_>,
    webhooks: &Webhooks,
    all: Vec<Found>,
    named: bool,
) -> Vec<Done> {
    let beside = errand.beside(&all).await;
    let pods = Pods::look(errand, &all).await;
    let work = async |found: Found| {
        let done = back(errand, webhooks, options, &pods, found, named).await;
        if matches!(done.outcome, Outcome::Failed(_)) {
            // It may still be empty, and its autoscaler is held as long as it is.
            return (done, false);
        }
        match release(errand, &beside, &done.found).await {
            Ok(released) => (done, released),
            Err(error) => (Done { outcome: Outcome::Failed(error), ..done }, false),
        }
    };
    let done = errand.each("restored", all, work).await;
    let (mut done, released): (Vec<_>, Vec<_>) = done.into_iter().unzip();

    if errand.is_real() {
        finish(errand, &pods, &mut done).await;
    }
    for (one, released) in done.iter_mut().zip(released) {
        if let Outcome::PassedOver(why) = &one.outcome {
            if released {
                one.outcome = Outcome::Unchanged;
            } else if named {
                let what = format!("{}: {why}.", errand.shown(&one.found));
                one.outcome = Outcome::Failed(Failure::no(what, NOT_EMPTY).into());
            }
        }
    }
    if done.iter().all(is_passed) {
        errand.terminal.say("Nothing to restore: none of these workloads is empty.");
    }
    done
}

/// Why what another workload owns stays as it is: a ReplicaSet carries what its Deployment says,
/// and comes and goes with it.
fn refused(errand: &Errand<'_>, found: &Found) -> Option<Failure> {
    let text = found.object.to_string();
    let owner = owned(&Subject::parse(&text)?)?.typed?;
    let what = format!("{} belongs to {owner}.", errand.shown(found));
    let flags = errand.cluster.flags();
    let hint = format!("`diyadm restore {owner} -n {}{flags}` restores that.", found.namespace);
    Some(Failure::no(what, hint))
}

/// Restores one workload, at whichever level it is empty, and does not wait for it.
async fn back(
    errand: &Errand<'_>,
    webhooks: &Webhooks,
    options: &RestoreOptions<'_>,
    pods: &Pods,
    found: Found,
    named: bool,
) -> Done {
    if let Some(failure) = refused(errand, &found) {
        return Done::failed(found, failure);
    }
    let found = match rollout_undo::recall(errand, options, found, named).await {
        ControlFlow::Continue(found) => found,
        ControlFlow::Break(done) => return done,
    };
    let at_pods = pods.are_empty(errand, webhooks, &found, named).await;
    let goes_back = || matches!(at_pods, Ok(true)) || template::goes_back(options, &found);
    if errand.is_real() && goes_back() {
        errand.stop_applications(&found.object, &pods.running(&found)).await;
    }
    match at_pods {
        Ok(true) => pods::restore(errand, webhooks, options, pods, found).await,
        Ok(false) if found.kind == &CRON_JOB => {
            let before = found.clone();
            let done = template::restore(errand, webhooks, options, found).await;
            if !matches!(done.outcome, Outcome::Failed(_)) {
                pods.tell_jobs(errand, &before);
            }
            done
        }
        Ok(false) => template::restore(errand, webhooks, options, found).await,
        Err(error) => Done::failed(found, error),
    }
}

/// Restores one workload and waits for it; whether it was empty still.
pub(crate) async fn roll_back(errand: &Errand<'_>, found: Found, recreate: bool) -> Result<bool> {
    let webhooks = Webhooks::new(true);
    let object = errand.cluster.get(found.kind, &found.namespace, &found.name).await?;
    let original = |object: &Value| object["metadata"]["annotations"][ORIGINAL].clone();
    let object = object.unwrap_or_default();
    // This command has written it.
    let trust_original = original(&object) == original(&found.object);
    let found = Found { object, ..found };
    let options = RestoreOptions { manifests: None, recreate, trust_original, unlabelled: false };
    let beside = errand.beside(std::slice::from_ref(&found)).await;
    let pods = Pods::look(errand, std::slice::from_ref(&found)).await;
    let mut done = vec![back(errand, &webhooks, &options, &pods, found, false).await];
    let was_empty = done[0].is_good();
    if !matches!(done[0].outcome, Outcome::Failed(_)) {
        release(errand, &beside, &done[0].found).await?;
    }
    finish(errand, &pods, &mut done).await;
    match done.remove(0).outcome {
        Outcome::Failed(error) | Outcome::NotReady(error) => Err(error),
        _ => Ok(was_empty),
    }
}

/// Lets the workload's autoscalers go; whether one was held.
async fn release(errand: &Errand<'_>, beside: &Beside, found: &Found) -> Result<bool> {
    let mut released = false;
    for (kind, object) in beside.of(found).filter(|(_, object)| autoscaler::is_held(object)) {
        if errand.work.dry_run == Some(DryRun::Client) {
            errand.terminal.done(&format!("{} would be let go (dry run)", kind.singular()), None);
        } else {
            released |= errand.scale(kind, object, Suspension::Resume).await?;
        }
    }
    Ok(released)
}

/// Waits for what was restored now or by a command that was cut off, then takes away the
/// revisions of the empty form, which `kubectl rollout undo` could bring back.
async fn finish(errand: &Errand<'_>, pods: &Pods, done: &mut [Done]) {
    let leftovers = Leftovers::look(errand, done.iter().map(|one| &one.found)).await;
    let is_open =
        |one: &Done| one.is_good() || (is_passed(one) && !leftovers.of(&one.found).is_empty());
    let open: Vec<_> = (0..done.len()).filter(|at| is_open(&done[*at])).collect();
    for one in done.iter_mut().filter(|one| is_passed(one) && !is_open(one)) {
        go_on(errand, pods, one).await;
    }
    if !errand.work.wait {
        if open.iter().any(|at| done[*at].is_good()) {
            errand.terminal.say(
                "Revisions of the empty form may stay behind, which `kubectl rollout undo` could \
                 bring back: `diyadm restore` without --wait=false takes them away.",
            );
        }
        for one in done.iter().filter(|one| one.is_good() && rollout::is_by_hand(&one.found.object))
        {
            let left = pods.left(&one.found).len();
            if left > 0 {
                errand.terminal.say(&format!(
                    "  {left} Pods of {} stay empty until `diyadm restore {}` replaces them",
                    errand.shown(&one.found),
                    one.found.typed(errand.cluster)
                ));
            }
        }
        return;
    }
    for at in &open {
        template::unstick(errand, &done[*at].found, &leftovers.of(&done[*at].found)).await;
        if rollout::is_by_hand(&done[*at].found.object)
            && let Err(error) = errand.replace(&done[*at].found, &PodMatch::New).await
        {
            done[*at].outcome = Outcome::NotReady(error);
        }
    }
    let all: Vec<_> = open.iter().map(|at| &done[*at].found).collect();
    let waited = errand.wait(&all).await;
    for (at, waited) in open.into_iter().zip(waited) {
        let shown = errand.shown(&done[at].found);
        let one = &mut done[at];
        if !one.is_good() && !is_passed(one) {
            continue;
        }
        let told = match waited.into_result(&format!("{shown} is restored"), Form::Original) {
            Ok(told) => told,
            Err(NotReady::Stuck(failure) | NotReady::Unknown(failure)) => {
                one.outcome = Outcome::NotReady(failure.into());
                continue;
            }
        };
        // What we install obeys the opt-out in the template; other webhooks may not.
        let text = one.found.object.to_string();
        let refusals = Subject::parse(&text).map(|subject| subject.refusals());
        let of_pods = rollout::wanted(&one.found.object) > 0
            && refusals.is_some_and(|all| all.contains(&Refusal::PodAnnotation));
        let judged = if of_pods { check_pods(errand, &one.found).await } else { Ok(()) };
        if let Err(error) = judged {
            one.outcome = Outcome::Failed(error);
            continue;
        }
        errand.terminal.done(&format!("{shown}: {told}"), None);
        if is_passed(one) {
            one.outcome = Outcome::Unchanged;
        }
    }
    let has = |one: &Done| one.is_good() && leftovers::may_have(&one.found);
    let good: Vec<_> = (0..done.len()).filter(|at| has(&done[*at])).collect();
    let now = errand.each("looked at", good, async |at: usize| {
        // What it says of its revisions has changed while it was waited for.
        let found = &done[at].found;
        let object = errand.cluster.get(found.kind, &found.namespace, &found.name).await;
        object.ok().flatten().map(|object| (at, Found { object, ..found.clone() }))
    });
    let now: Vec<_> = now.await.into_iter().flatten().collect();
    let found: Vec<_> = now.iter().map(|(_, found)| found).collect();
    let leftovers = Leftovers::look(errand, found.iter().copied()).await;
    leftovers.sweep(errand, &found).await;
    for (at, found) in &now {
        if let Some(partition) = leftovers::kept(found, &leftovers.of(found)) {
            done[*at].outcome = Outcome::NotReady(below(errand, found, partition).into());
        }
    }
}

/// Goes on with what a command left that was cut off when its workload was given back: nobody else
/// replaces the Pods that are still empty.
async fn go_on(errand: &Errand<'_>, pods: &Pods, one: &mut Done) {
    let left = pods.left(&one.found);
    if left.is_empty() || !rollout::is_by_hand(&one.found.object) {
        return;
    }
    one.outcome = Outcome::Unchanged;
    if !errand.work.wait {
        return;
    }
    errand.stop_applications(&one.found.object, &left).await;
    match errand.replace(&one.found, &PodMatch::NotLeft).await {
        Ok(count) => {
            let shown = errand.shown(&one.found);
            let what = format!("{shown}: {count} Pods that were still empty were replaced");
            errand.terminal.done(&what, None);
        }
        Err(error) => one.outcome = Outcome::NotReady(error),
    }
}

/// Sees whether a rollout has given back what was empty at level pod.
async fn check_pods(errand: &Errand<'_>, found: &Found) -> Result<()> {
    errand.check_pods(found, Form::Original).await?;
    let partition = leftovers::partition(found);
    let Some(partition) = partition.filter(|partition| *partition > 0) else { return Ok(()) };
    // Those that the rollout has not reached.
    let pods = errand.pods(&found.object).await.unwrap_or_default();
    if pods.iter().any(|pod| workload::is_emptied_pod(&pod.to_string())) {
        return Err(below(errand, found, partition).into());
    }
    Ok(())
}

/// Pods that an update does not reach, which were emptied before there was such a partition.
fn below(errand: &Errand<'_>, found: &Found, partition: i64) -> Failure {
    let shown = errand.shown(found);
    let what =
        format!("{shown} is restored, and its Pods below partition {partition} are still empty.");
    let patch = r#"{"spec":{"updateStrategy":{"rollingUpdate":{"partition":0}}}}"#;
    let hint = format!(
        "The partition keeps updates from them: let this one through with `kubectl -n {} patch {} \
         -p '{patch}'`, then `diyadm restore {}` again, which takes the empty revision away.",
        found.namespace,
        found.shown(),
        found.typed(errand.cluster)
    );
    Failure::no(what, hint)
}

fn is_passed(one: &Done) -> bool {
    matches!(one.outcome, Outcome::PassedOver(_))
}
