//! `diyadm ui`: follows the workloads, asks the agents in the rows that are shown, and runs the
//! commands of keys.

use std::{
    cell::RefCell,
    collections::HashSet,
    io::stdout,
    mem,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::Result;
use futures_util::{FutureExt, StreamExt, future::LocalBoxFuture, stream::FuturesUnordered};
use serde_json::Value;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    time::sleep,
};

use self::{input::Input, usage::usages};
use crate::{
    exit::{Code, Failure},
    kubernetes::{Cluster, targets::Selection},
    operations::{
        flags::ui::UiArgs,
        status::{
            applications::Agents,
            follow::{Follow, News},
            sources::StatusSources,
            surroundings::Surroundings,
        },
    },
    screen::{self, Item, ItemKey, KeyAction, Model, Palette, Place, Request, Usage},
    status::Row,
    ui::{
        self,
        full_screen::{self, FullScreen},
        terminal::{self, Terminal},
    },
    workload::pods::belongs_to,
};

mod child;
mod input;
mod rights;
mod usage;

/// How often the agents are asked, where nothing changes.
const OFTEN: Duration = Duration::from_secs(3);
/// Maximum age of what surrounds the workloads, as long as none of them lacks Pods.
const SELDOM: Duration = Duration::from_secs(60);
/// Between the two readings that show the processor's use with `--once`.
const BETWEEN: Duration = Duration::from_secs(1);
/// The width of text that is not for a terminal.
const WIDTH: usize = 80;

/// The workloads that the screen is drawn from, at one moment.
#[derive(Default)]
struct Seen {
    /// `None` where nothing has changed.
    items: Option<Vec<Item>>,
    /// Copies of what is on the screen: for its agents.
    rows: Vec<Row>,
    objects: Vec<Value>,
    pods: Vec<Value>,
}

/// The workloads on the screen, by the name and namespace that their Pods and owners have too.
#[derive(Default)]
struct Visible(RefCell<HashSet<ItemKey>>);

impl Visible {
    /// Copies of the rows on the screen that may have agents, their workloads and Pods.
    fn copy(&self, rows: &[Row], objects: &[Value], pods: &[Value]) -> Seen {
        let visible = self.0.borrow();
        let is_visible =
            |row: &&Row| visible.contains(&ItemKey::of_row(row)) && row.state.is_emptied();
        let rows: Vec<_> = rows.iter().filter(is_visible).cloned().collect();
        let of_rows = |object: &&Value| rows.iter().any(|row| row.is_of(object));
        let objects: Vec<_> = objects.iter().filter(of_rows).cloned().collect();
        let own = |pod: &&Value| objects.iter().any(|object| belongs_to(pod, object));
        let pods = pods.iter().filter(own).cloned().collect();
        Seen { items: None, rows, objects, pods }
    }
}

/// What arrives while the screen is shown.
enum Answer<'a> {
    /// The rights that an action lacks.
    Checked(KeyAction, ItemKey, Result<Vec<String>>),
    /// What the agents say.
    Usages(Agents<'a>, Vec<(ItemKey, Usage)>),
}

/// Shows the screen until the user quits.
pub(crate) async fn show(cluster: &Cluster, args: &UiArgs, terminal: &Terminal) -> Result<Code> {
    if !args.once && !full_screen::is_possible() {
        let what = "`diyadm ui` needs a terminal on stdin and stdout.";
        let hint = "Run `diyadm ui --once` for one screen as text, or `diyadm status --watch` to \
                    follow changes.";
        return Err(Failure::usage(what, hint).into());
    }
    let mut sources = StatusSources::read(cluster, &args.targets, true).await?;
    let found = match sources.targeted.selection {
        // Their names are needed.
        Selection::Named => sources.targeted.found.clone(),
        Selection::Together => mem::take(&mut sources.targeted.found),
    };
    let objects: Vec<_> = found.into_iter().map(|found| found.object.into_value()).collect();
    let sees_pods = sources.pods.is_some();
    let pods = sources.pods.take().unwrap_or_default();
    let mut rows = sources.around.rows(&objects, &pods).await;
    let mut model = Model::new(Place {
        namespace: sources.scope.namespace().map(ToOwned::to_owned),
        flags: cluster.flags().to_owned(),
        program: if ui::is_plugin() { "kubectl diyadm" } else { "diyadm" },
    });
    model.set_items(screen::items(&objects, &rows));
    if args.once {
        sources.unseen(sees_pods).iter().for_each(|what| terminal.warn(what));
        return print(cluster, &Seen { items: None, rows, objects, pods }, &mut model).await;
    }
    model.set_message(sources.unseen(sees_pods).join("; "));
    drop((objects, pods));
    let StatusSources { scope, targeted, mut around, .. } = sources;
    let follow = Follow { cluster, scope, targeted: &targeted, sees_pods };
    let (sender, news) = mpsc::unbounded_channel();
    let visible = Rc::new(Visible::default());
    let on_screen = Rc::clone(&visible);
    let show = async |objects: &[Value], pods: &[Value], news: News| {
        let most = if rows.iter().any(Row::lacks_pods) { Surroundings::OFTEN } else { SELDOM };
        let mut items = None;
        if around.look_again(most).await || news == News::Changed {
            rows = around.rows(objects, pods).await;
            items = Some(screen::items(objects, &rows));
        }
        // The screen ends together with this.
        let _ = sender.send(Seen { items, ..on_screen.copy(&rows, objects, pods) });
        Ok(())
    };
    let palette = if terminal.has_colour() { Palette::Colour } else { Palette::Plain };
    let screen = ScreenLoop {
        cluster,
        palette,
        model,
        visible,
        agents: Some(Agents::new(cluster)),
        jobs: FuturesUnordered::new(),
        started: Instant::now(),
    };
    tokio::select! {
        ended = screen.run(news) => ended,
        failed = follow.follow(&args.targets, OFTEN, show) => failed.map(|()| Code::Done),
    }
}

/// `--once`
async fn print(cluster: &Cluster, seen: &Seen, model: &mut Model) -> Result<Code> {
    let mut agents = Agents::new(cluster);
    let started = Instant::now();
    for reading in 0..2 {
        let read = usages(&mut agents, &seen.rows, &seen.objects, &seen.pods, started).await;
        let runs = read.iter().any(|(_, usage)| !usage.applications.is_empty());
        for (key, usage) in read {
            model.set_usage(key, usage);
        }
        if !runs {
            break;
        }
        if reading == 0 {
            sleep(BETWEEN).await;
        }
    }
    let width = ui::size(stdout()).map_or(WIDTH, |(columns, _)| columns);
    terminal::print_text(&screen::printed(model, width))?;
    Ok(Code::Done)
}

struct ScreenLoop<'a> {
    cluster: &'a Cluster,
    palette: Palette,
    model: Model,
    visible: Rc<Visible>,
    /// `None` while they are asked.
    agents: Option<Agents<'a>>,
    jobs: FuturesUnordered<LocalBoxFuture<'a, Answer<'a>>>,
    started: Instant,
}

impl ScreenLoop<'_> {
    async fn run(mut self, mut news: mpsc::UnboundedReceiver<Seen>) -> Result<Code> {
        let mut signals = Signals::new()?;
        let mut resize = signal(SignalKind::window_change())?;
        let mut screen = FullScreen::enter()?;
        let mut input = Input::new()?;
        // Nothing is drawn, and so nothing computed, where nothing has changed.
        let mut is_current = false;
        loop {
            if !is_current {
                self.draw(&mut screen)?;
            }
            is_current = false;
            let request = tokio::select! {
                keys = input.keys() => {
                    // Without a terminal there is no one to show anything to.
                    let Some(keys) = keys else { return Ok(Code::Program(129)) };
                    keys.into_iter().find_map(|key| self.model.key(key))
                }
                Some(mut seen) = news.recv() => {
                    is_current = seen.items.is_none();
                    if let Some(items) = seen.items.take() {
                        self.model.set_items(items);
                    }
                    self.ask_agents(seen);
                    None
                }
                Some(answer) = self.jobs.next() => self.take(answer),
                code = signals.end() => return Ok(code),
                _ = resize.recv() => None,
            };
            match request {
                None => {}
                Some(Request::Quit) => return Ok(Code::Done),
                Some(Request::Interrupt) => return Ok(Code::Interrupted),
                Some(Request::Redraw) => screen.clear()?,
                Some(Request::Check(action, key)) => self.check(action, key),
                Some(Request::Run(words)) => {
                    full_screen::restore();
                    if let Some(code) = self.run_command(&words, &mut signals, &mut input).await? {
                        return Ok(code);
                    }
                    screen.resume()?;
                }
            }
        }
    }

    fn draw(&mut self, screen: &mut FullScreen) -> Result<()> {
        screen.draw(|frame| {
            let cursor = screen::draw(&mut self.model, frame.buffer_mut(), self.palette);
            if let Some(cursor) = cursor {
                frame.set_cursor_position(cursor);
            }
        })?;
        let visible = self.model.visible().into_iter().map(|item| item.key.clone());
        self.visible.0.replace(visible.collect());
        Ok(())
    }

    /// Runs a command on the terminal. A result is the exit code of this program, which is to end.
    async fn run_command(
        &self,
        words: &[String],
        signals: &mut Signals,
        input: &mut Input,
    ) -> Result<Option<Code>> {
        let typed = words.iter().map(|word| crate::exit::quoted(word)).collect::<Vec<_>>();
        ui::line(&format!("$ {} {}", self.model.place().program, typed.join(" ")));
        let mut child = child::start(words)?;
        let status = loop {
            tokio::select! {
                status = child.wait() => break status?,
                code = signals.end() => {
                    // Ctrl-C is for the command alone.
                    if code != Code::Interrupted {
                        child::terminate(&child);
                        return Ok(Some(code));
                    }
                }
            }
        };
        signals.forget_interrupts();
        if child::needs_no_look(words, status) {
            return Ok(None);
        }
        ui::line(&format!("[{}] Press any key to return to the screen.", child::shown(status)));
        let _raw = full_screen::RawKeys::enter()?;
        tokio::select! {
            keys = input.keys() => Ok(keys.is_none().then_some(Code::Program(129))),
            code = signals.end() => Ok(Some(code)),
        }
    }
}

impl<'a> ScreenLoop<'a> {
    fn take(&mut self, answer: Answer<'a>) -> Option<Request> {
        match answer {
            Answer::Usages(agents, usages) => {
                self.agents = Some(agents);
                for (key, usage) in usages {
                    self.model.set_usage(key, usage);
                }
                None
            }
            Answer::Checked(action, key, Ok(missing)) => self.model.checked(action, &key, &missing),
            Answer::Checked(_, _, Err(error)) => {
                self.model.set_message(format!("{error:#}"));
                None
            }
        }
    }

    /// Asks the agents in the rows that are shown, unless an answer is awaited.
    fn ask_agents(&mut self, seen: Seen) {
        let started = self.started;
        if let Some(mut agents) = self.agents.take_if(|_| !seen.rows.is_empty()) {
            let job = async move {
                let Seen { rows, objects, pods, .. } = &seen;
                let usages = usages(&mut agents, rows, objects, pods, started).await;
                Answer::Usages(agents, usages)
            };
            self.jobs.push(job.boxed_local());
        }
    }

    fn check(&mut self, action: KeyAction, key: ItemKey) {
        let cluster = self.cluster;
        let job = async move {
            let missing = rights::missing(cluster, action, &key).await;
            Answer::Checked(action, key, missing)
        };
        self.jobs.push(job.boxed_local());
    }
}

/// Signals that end the screen.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The exit code of the signal that arrives.
    async fn end(&mut self) -> Code {
        tokio::select! {
            _ = self.interrupt.recv() => Code::Interrupted,
            _ = self.terminate.recv() => Code::Program(143),
            _ = self.hangup.recv() => Code::Program(129),
        }
    }

    fn forget_interrupts(&mut self) {
        while self.interrupt.recv().now_or_never().is_some() {}
    }
}
