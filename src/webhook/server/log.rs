//! The log: an event is one JSON object on one line of stderr.
//!
//! The lines equal those of tracing-subscriber's JSON with `flatten_event`, byte for byte, which a
//! test checks. They are formatted here because tracing-subscriber's formatter takes three times as
//! long: a tenth of the time of a review (docs/bench-serve.md, "What was tried").

use std::{
    fmt::{self, Debug, Write},
    io,
};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use crate::json;

mod queue;

pub use queue::flush;
pub(super) use queue::lost;

/// Logs everything up to this level to stderr from now on, but only errors of actix.
///
/// # Errors
/// The thread that writes cannot be started.
pub fn start(level: LevelFilter) -> io::Result<()> {
    queue::start()?;
    let targets = Targets::new()
        .with_default(level)
        .with_target("actix_server", level.min(LevelFilter::WARN));
    tracing_subscriber::fmt()
        .event_format(Lines)
        .with_max_level(level)
        .with_writer(queue::Queued)
        .finish()
        .with(targets)
        .init();
    Ok(())
}

struct Lines;

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Line(String::with_capacity(512));
        line.0.push_str("{\"timestamp\":\"");
        SystemTime.format_time(&mut Writer::new(&mut line.0))?;
        line.0.push('"');
        line.text("level", event.metadata().level().as_str());
        event.record(&mut line);
        line.text("target", event.metadata().target());
        line.0.push_str("}\n");
        writer.write_str(&line.0)
    }
}

/// A line with its first member.
struct Line(String);

impl Line {
    fn name(&mut self, name: &str) {
        self.0.push(',');
        json::quote(name, &mut self.0);
        self.0.push(':');
    }

    fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        json::quote(text, &mut self.0);
    }

    fn plain(&mut self, field: &Field, value: impl fmt::Display) {
        self.name(field.name());
        // Writing to a String cannot fail.
        let _ = write!(self.0, "{value}");
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.text(field.name(), &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Kept {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    impl Kept {
        /// The written line, without the time.
        fn lines(&self) -> Vec<String> {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            let stamp = "{\"timestamp\":\"2026-11-24T22:05:35.123456Z\"".len();
            text.split_inclusive('\n')
                .map(|line| {
                    let (time, rest) = line.split_at(stamp);
                    assert!(time.starts_with("{\"timestamp\":\"20") && time.ends_with("Z\""));
                    rest.to_owned()
                })
                .collect()
        }
    }

    fn events() {
        tracing::info!(
            uid = "a\"b\\c\n\u{1}é",
            name = Some("x"),
            none = None::<&str>,
            dryRun = true,
            micros = 12_u64,
            less = -3,
            "review"
        );
        tracing::warn!(at = ?Some("a\"b"), "more than {}", 1);
        tracing::error!("");
    }

    #[test]
    fn log_line_equals_the_json_of_tracing_subscriber() {
        let (ours, theirs) = (Kept::default(), Kept::default());
        let subscriber = || tracing_subscriber::fmt().with_max_level(LevelFilter::INFO);
        let lines = subscriber().event_format(Lines).with_writer(ours.clone()).finish();
        tracing::subscriber::with_default(lines, events);
        let json = subscriber().json().flatten_event(true).with_writer(theirs.clone()).finish();
        tracing::subscriber::with_default(json, events);
        assert_eq!(ours.lines(), theirs.lines());
        assert_eq!(ours.lines().len(), 3);
    }
}
