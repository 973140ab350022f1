//! `diyadm ui`: follows the workloads, asks the agents in the rows that are shown, and runs the
//! commands of keys.

use std::{
    cell::RefCell,
    collections::HashSet,
    io::stdout,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::Result;
use futures_util::{FutureExt, StreamExt, future::LocalBoxFuture, stream::FuturesUnordered};
use serde_json::Value;
use tokio::{sync::mpsc, time::sleep};

use self::usage::usages;
use crate::{
    exit::{Code, Failure, Topic},
    kubernetes::Cluster,
    operations::{
        flags::ui::UiArgs,
        status::{
            applications::Agents, follow::News, sources::StatusSources, surroundings::Surroundings,
            watched::Watched,
        },
    },
    platform::{
        process::terminate,
        signals::{Signal, SignalKind, signal},
        terminal::KeyInput,
    },
    screen::{self, Item, ItemKey, KeyAction, Model, Palette, Place, Request, Usage},
    status::Row,
    ui::{
        self,
        full_screen::{self, FullScreen},
        terminal::{self, Terminal},
    },
};

mod child;
mod rights;
mod usage;

/// How often the agents are asked, where nothing changes.
const OFTEN: Duration = Duration::from_secs(3);
/// Maximum age of what surrounds the workloads, as long as none of them lacks Pods.
const SELDOM: Duration = Duration::from_secs(60);
/// The number of rows whose agents are asked before any row is drawn.
const FIRST: usize = 50;
/// Between the two readings that show the processor's use with `--once`.
const BETWEEN: Duration = Duration::from_secs(1);
/// The width of text that is not for a terminal.
const WIDTH: usize = 80;

/// What has changed, at one moment.
#[derive(Default)]
struct Seen {
    /// The workloads; `None` where they are as before.
    items: Option<Vec<Item>>,
    /// What may not be read, where that is known for the first time.
    message: Option<String>,
    visible: VisibleRows,
}

/// The rows on the screen that may have agents, their workloads and Pods.
#[derive(Default)]
struct VisibleRows {
    rows: Vec<Row>,
    objects: Vec<Value>,
    pods: Vec<Value>,
}

impl VisibleRows {
    fn copy(rows: &[Row], watched: &Watched, is_visible: impl Fn(&Row) -> bool) -> Self {
        let emptied = rows.iter().filter(|row| row.state.is_emptied() && is_visible(row));
        let rows: Vec<_> = emptied.cloned().collect();
        if rows.is_empty() {
            return Self::default();
        }
        let (objects, pods) = watched.objects(&rows);
        Self { rows, objects, pods }
    }
}

/// The workloads on the screen; `None` before they are drawn.
type Visible = RefCell<Option<HashSet<ItemKey>>>;

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
        return Err(Failure::usage(Topic::CommandLine, what, hint).into());
    }
    let mut model = Model::new(Place {
        namespace: cluster.scope(&args.targets).namespace().map(ToOwned::to_owned),
        flags: cluster.flags().to_owned(),
        program: if ui::is_plugin() { "kubectl diyadm" } else { "diyadm" },
    });
    if args.once {
        let mut sources = StatusSources::read(cluster, &args.targets, true).await?;
        sources.unseen().iter().for_each(|what| terminal.warn(what));
        let rows = sources.rows().await;
        model.set_items(screen::items(sources.watched.items(), &rows));
        let all = VisibleRows::copy(&rows, &sources.watched, |_| true);
        return print(cluster, &all, &mut model).await;
    }
    // While a command has the terminal, nothing is read here, and nothing is prepared.
    let (sender, news) = mpsc::channel(1);
    let visible = Rc::new(Visible::default());
    let on_screen = Rc::clone(&visible);
    let follow = async {
        let sources = StatusSources::read(cluster, &args.targets, true).await?;
        let mut message = Some(sources.unseen().join("; "));
        let mut rows: Vec<Row> = Vec::new();
        let show = async |watched: &mut Watched, surroundings: &mut Surroundings<'_>, news| {
            let most = if rows.iter().any(Row::lacks_pods) { Surroundings::OFTEN } else { SELDOM };
            let mut items = None;
            if surroundings.read_again(most, watched).await || news == News::Changed {
                let new = surroundings.rows(watched).await;
                if new != rows || news == News::Changed {
                    items = Some(screen::items(watched.items(), &new));
                }
                rows = new;
            }
            let visible = match &*on_screen.borrow() {
                Some(keys) => {
                    VisibleRows::copy(&rows, watched, |row| keys.contains(&ItemKey::of_row(row)))
                }
                None => VisibleRows::copy(&rows[..rows.len().min(FIRST)], watched, |_| true),
            };
            // The screen ends together with this.
            let _ = sender.send(Seen { items, message: message.take(), visible }).await;
            Ok(())
        };
        sources.follow(OFTEN, show).await
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
        failed = follow => failed.map(|()| Code::Done),
    }
}

/// `--once`
async fn print(cluster: &Cluster, all: &VisibleRows, model: &mut Model) -> Result<Code> {
    let mut agents = Agents::new(cluster);
    let started = Instant::now();
    for reading in 0..2 {
        let read = usages(&mut agents, all, started).await;
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
    model.set_now(cluster.now());
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
    async fn run(mut self, mut news: mpsc::Receiver<Seen>) -> Result<Code> {
        let mut signals = Signals::new()?;
        let mut resize = signal(SignalKind::window_change())?;
        let mut screen = FullScreen::enter()?;
        let mut input = KeyInput::new()?;
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
                    is_current = seen.items.is_none() && seen.message.is_none();
                    if let Some(items) = seen.items.take() {
                        self.model.set_items(items);
                    }
                    if let Some(message) = seen.message.take() {
                        self.model.set_message(message);
                    }
                    is_current &= !self.model.set_now(self.cluster.now());
                    self.ask_agents(seen.visible);
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
        self.visible.replace(self.model.is_read().then(|| visible.collect()));
        Ok(())
    }

    /// Runs a command on the terminal. A result is the exit code of this program, which is to end.
    async fn run_command(
        &self,
        words: &[String],
        signals: &mut Signals,
        input: &mut KeyInput,
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
                        terminate(&mut child);
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
    fn ask_agents(&mut self, seen: VisibleRows) {
        let started = self.started;
        if let Some(mut agents) = self.agents.take_if(|_| !seen.rows.is_empty()) {
            let job = async move {
                let usages = usages(&mut agents, &seen, started).await;
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
