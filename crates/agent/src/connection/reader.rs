//! Reads an application's output for a client, at the client's own speed.

use super::{
    super::{
        protocol::{Answer, Failed, Follow, Logs},
        supervisor::Supervisor,
    },
    Connection,
};

/// The position of a reader of an application's output.
#[derive(Debug)]
pub(super) struct Reader {
    name: String,
    /// Number of the next line.
    next: u64,
    follow: Follow,
    /// The newest run that was reported to it.
    run: u32,
    /// The end of this run was reported to it.
    end_reported: bool,
}

impl Connection {
    /// Copies lines from the ring to the client, with ends and starts of runs in between. Returns
    /// whether more lines are waiting.
    pub(super) fn lines(
        &mut self,
        reader: &mut Reader,
        supervisor: &mut Supervisor,
    ) -> Result<bool, Failed> {
        loop {
            // After a write the client may accept more at once.
            self.write();
            if self.ended || self.is_full() {
                return Ok(!self.ended);
            }
            let app = supervisor.app(&reader.name)?;
            let lost = app.ring.oldest().saturating_sub(reader.next);
            if lost > 0 {
                reader.next += lost;
                self.answer(&Answer::Lost { lines: lost });
            }
            let is_all_read = reader.next >= app.first;
            let replaced = app.replaced.as_ref().filter(|old| old.run == reader.run);
            if let Some(replaced) = replaced
                .filter(|_| is_all_read && !reader.end_reported && reader.follow != Follow::No)
            {
                // The next run is another person's.
                reader.end_reported = true;
                self.answer(&Answer::Ended(replaced.view.clone()));
                if reader.follow == Follow::Run {
                    self.answer(&Answer::End);
                    return Ok(false);
                }
            }
            let goes_on = is_all_read || reader.follow != Follow::Always && replaced.is_none();
            if reader.run < app.run && goes_on {
                (reader.run, reader.end_reported) = (app.run, false);
                if reader.follow == Follow::Always {
                    self.answer(&Answer::Started(supervisor.view(&reader.name)?));
                }
                continue;
            }
            if let Some(line) = app.ring.get(reader.next) {
                reader.next += 1;
                line.append(&mut self.out);
                continue;
            }
            if reader.follow != Follow::No && app.has_ended() && !reader.end_reported {
                reader.end_reported = true;
                self.answer(&Answer::Ended(supervisor.view(&reader.name)?));
                continue;
            }
            let over = match reader.follow {
                Follow::No => true,
                Follow::Run => reader.end_reported,
                Follow::Always => false,
            };
            if over {
                self.answer(&Answer::End);
            }
            return Ok(!over);
        }
    }
}

impl Reader {
    pub(super) fn new(logs: Logs, supervisor: &mut Supervisor) -> Result<Self, Failed> {
        let app = supervisor.app(&logs.name)?;
        let (next, run) = (app.ring.begin(&logs), app.run);
        Ok(Self { name: logs.name, next, follow: logs.follow, run, end_reported: false })
    }
}
