//! `diyadm empty`: the webhook's change, made from here with nothing more than `get` and `patch`.

use anyhow::{Error, Result};

use self::decision::{Plan, Settled};
use super::{
    Done, Errand, Outcome,
    autoscalers::{Beside, Suspension},
    confirm,
    intercept::Webhooks,
    replace::PodMatch,
    restore, targets,
    wait::NotReady,
};
use crate::{
    exit::{self, Code, Failure},
    kubernetes::{
        AUTOSCALER, DryRun, JOB,
        targets::{Found, Unnamed},
    },
    operations::flags::EmptyArgs,
    rollout::{self, Form},
    workload::{self, Rules, Stamp},
};

pub(crate) mod decision;
mod pods;
mod template;

pub(crate) async fn empty(errand: &Errand<'_>, args: &EmptyArgs, rules: &Rules) -> Result<Code> {
    let (targets, files) = (&args.targets, &args.filename);
    let targeted = targets::find(errand.cluster, targets, files, Unnamed::Refused).await?;
    targeted.unseen.iter().for_each(|what| errand.terminal.warn(what));
    if targeted.found.is_empty() {
        errand.terminal.warn("there is no such workload, so nothing was emptied");
        return Ok(Code::Done);
    }
    let beside = errand.beside(&targeted.found).await;
    let stamp =
        Stamp { at: format!("{:.0}", jiff::Timestamp::now()), by: errand.cluster.whoami().await? };
    let plan = Plan {
        rules,
        wishes: decision::wishes(&args.ways, args.replicas, args.suspend_cronjobs),
        named: targeted.named,
        recreate: args.recreate,
        level: args.ways.level,
        stamp,
        flags: errand.cluster.flags(),
    };
    if confirm::is_wanted(errand, &targeted) {
        let changes = |found: &&Found| {
            !workload::is_emptied(&found.object.to_string()) && plan.settle(found, None).is_ok()
        };
        let meant = targeted.found.iter().filter(changes);
        let meant = meant.map(|found| (found.kind, found.namespace.as_str()));
        confirm::confirm(errand.terminal, "empty", meant).await?;
    }
    if !plan.wishes.is_empty() {
        let keys: Vec<_> = plan.wishes.iter().map(|wish| wish.key).collect();
        errand.terminal.say(&format!(
            "Each gets what the flags say as annotations too ({}); restoring takes them back.",
            keys.join(", ")
        ));
    }
    let webhooks = Webhooks::new(errand.is_real());
    let around = Around { beside, webhooks };
    let work = async |found| one(errand, args, &plan, &around, found).await;
    let mut done = errand.each("emptied", targeted.found, work).await;
    if args.work.wait && errand.is_real() {
        wait(errand, args, &mut done).await?;
    }
    let printed = errand.print(&done);
    let code = errand.end(done, "emptied")?;
    printed.map(|()| code)
}

/// What is beside the workloads.
struct Around {
    beside: Beside,
    webhooks: Webhooks,
}

/// Everything up to the wait, for one workload.
async fn one(
    errand: &Errand<'_>,
    args: &EmptyArgs,
    plan: &Plan<'_>,
    Around { beside, webhooks }: &Around,
    found: Found,
) -> Done {
    let scaled = beside.scaler(&found);
    let settled = plan.settle_there(errand.cluster, webhooks, &found, scaled.as_deref()).await;
    let shown = errand.shown(&found);
    if args.hold_autoscalers
        && found.kind.replicas
        && settled.is_ok()
        && let Some(why) = beside.unheld(&found.namespace)
    {
        let resource = AUTOSCALER.resource();
        let what =
            format!("{shown} stays as it is: {resource} {why}, so none can be held meanwhile.");
        let hint = format!(
            "Ask for that right (`kubectl -n {} auth can-i list {resource}`), or leave \
             --hold-autoscalers.",
            found.namespace
        );
        return Done::failed(found, Failure::no(what, hint));
    }
    let done = match settled {
        Ok(Settled::Patch) => {
            if args.recreate
                && let Err(error) = errand.unhold(&found).await
            {
                return Done::failed(found, error);
            }
            template::patch(errand, plan, found, scaled.as_deref()).await
        }
        Ok(Settled::Pods) => pods::empty(errand, args, webhooks, found).await,
        Ok(Settled::Recreate) => template::recreate(errand, plan, found).await,
        Err(decision::Refused { what, hint, soft }) if soft => {
            errand.terminal.warn(&format!("{shown} stays as it is: {what}. {hint}"));
            Done { found, patch: Vec::new(), outcome: Outcome::PassedOver(what) }
        }
        Err(decision::Refused { what, hint, .. }) => {
            return Done::failed(
                found,
                Failure::no(format!("{shown} stays as it is: {what}."), hint),
            );
        }
    };
    if !done.is_good() {
        return done;
    }
    let scalers: Vec<_> = beside.of(&done.found).collect();
    for (kind, object) in scalers {
        if !args.hold_autoscalers {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            errand.terminal.warn(&format!(
                "{shown} is scaled by {}/{name}, which an idle container misleads; \
                 --hold-autoscalers holds it meanwhile",
                kind.singular()
            ));
        } else if args.work.dry_run == Some(DryRun::Client) {
            errand.terminal.done(&format!("{} would be held (dry run)", kind.singular()), None);
        } else if let Err(error) = errand.scale(kind, object, Suspension::Suspend).await {
            return Done { outcome: Outcome::Failed(error), ..done };
        }
    }
    done
}

/// Waits for those that are empty now; what cannot start is told, and restored where that was
/// asked for.
async fn wait(errand: &Errand<'_>, args: &EmptyArgs, done: &mut [Done]) -> Result<()> {
    let mut stuck = Vec::new();
    // At level pod each Pod that was replaced was waited for, and those of a Job stay as they are.
    let is_through = |one: &Done| {
        let object = &one.found.object;
        (rollout::is_by_hand(object) || one.found.kind == &JOB)
            && !workload::is_emptied(&object.to_string())
    };
    for (at, one) in done.iter().enumerate().filter(|(_, one)| one.is_good()) {
        if rollout::is_by_hand(&one.found.object)
            && !is_through(one)
            && let Err(error) = errand.replace(&one.found, &PodMatch::New).await
        {
            stuck.push((at, error));
        }
    }
    let is_stuck = |at: usize| stuck.iter().any(|(stuck, _)| *stuck == at);
    let is_left = |at: &usize| done[*at].is_good() && !is_stuck(*at) && !is_through(&done[*at]);
    let good: Vec<_> = (0..done.len()).filter(is_left).collect();
    let all: Vec<_> = good.iter().map(|at| &done[*at].found).collect();
    let waited = errand.wait(&all).await;
    for (at, waited) in good.into_iter().zip(waited) {
        let shown = errand.shown(&done[at].found);
        let is = if args.rollback { "was emptied" } else { "is empty" };
        let told = match waited.into_result(&format!("{shown} {is}"), Form::Emptied) {
            Ok(told) => told,
            Err(NotReady::Unknown(failure)) => {
                done[at].outcome = Outcome::NotReady(failure.into());
                continue;
            }
            Err(NotReady::Stuck(failure)) => {
                stuck.push((at, failure.into()));
                continue;
            }
        };
        // What its Pods are at level pod nobody has seen yet.
        let found = &done[at].found;
        let of_pods =
            rollout::wanted(&found.object) > 0 && !workload::is_emptied(&found.object.to_string());
        let judged = if of_pods { errand.check_pods(found, Form::Emptied).await } else { Ok(()) };
        match judged {
            Ok(()) => errand.terminal.done(&format!("{shown}: {told}"), None),
            Err(error) => stuck.push((at, error)),
        }
    }
    for (at, error) in stuck {
        // What was empty before is not this command's to give back.
        let back = args.rollback && matches!(done[at].outcome, Outcome::Changed);
        let error = give_back(errand, args, &done[at].found, back, error).await;
        done[at].outcome = if back { Outcome::Failed(error) } else { Outcome::NotReady(error) };
    }
    Ok(())
}

/// Gives `back` one whose Pods do not start, or says how: `error`, and what became of that.
async fn give_back(
    errand: &Errand<'_>,
    args: &EmptyArgs,
    found: &Found,
    back: bool,
    error: Error,
) -> Error {
    let hint = exit::hint(&error).unwrap_or_default();
    let mut failure =
        Failure { code: exit::code(&error), ..Failure::no(format!("{error:#}"), hint) };
    if !back {
        let offer = format!("Give it back with `diyadm restore {}`.", found.typed(errand.cluster));
        failure.hint = format!("{hint} {offer}").trim_start().to_owned();
        return failure.into();
    }
    match restore::roll_back(errand, found.clone(), args.recreate).await {
        Ok(true) => failure.what.push_str(" It was restored."),
        Ok(false) => failure.what.push_str(" It was not empty any more."),
        // What it came to follows, as a sentence of its own.
        Err(error) => {
            return error.context(format!("{} Giving it back came to this", failure.what));
        }
    }
    failure.into()
}
