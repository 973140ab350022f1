//! One client of the supervisor: reads its requests and writes the answers. Never blocks: data that
//! a client does not read waits in bounded memory, and lines of output wait in the ring until they
//! are overwritten.

use std::{
    io::{ErrorKind, Read, Write},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
};

use rustix::{event::PollFlags, process::Signal};

use super::{
    protocol::{Answer, Broken, By, Decoder, Failed, FrameKind, Hello, PROTOCOL, Request, json},
    supervisor::{Begun, Supervisor},
};

mod reader;
#[cfg(test)]
mod tests;

use reader::Reader;

/// Longest request, in bytes: a start with its environment.
const MOST_REQUEST: usize = 256 << 10;
/// Bytes of unread answers above which a client gets no more lines, and no more requests are read
/// from it.
const FULL: usize = 128 << 10;

/// A client.
#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    decoder: Decoder,
    /// Received bytes that are not processed yet, because the client has too much to read.
    rest: Vec<u8>,
    greeted: bool,
    /// No more input is read; the bytes in `out` are still written.
    ended: bool,
    out: Vec<u8>,
    written: usize,
    pending: Pending,
    /// Whose it is, once a request said so.
    who: Option<String>,
}

/// What a client waits for.
#[derive(Debug)]
enum Pending {
    Nothing,
    Start { name: String, ticket: u64 },
    Stop { name: String },
    Wait { name: String },
    Logs(Reader),
    StopAll { exit: bool },
}

impl Connection {
    /// Greets the client.
    pub(super) fn new(stream: UnixStream) -> Self {
        // Our hello is short.
        let out = json(FrameKind::Hello, &Hello::own()).unwrap_or_default();
        Self {
            stream,
            decoder: Decoder::new(MOST_REQUEST),
            rest: Vec::new(),
            greeted: false,
            ended: false,
            out,
            written: 0,
            pending: Pending::Nothing,
            who: None,
        }
    }

    /// Sends hello and the error that there are too many clients, and closes.
    pub(super) fn refused(stream: UnixStream, clients: usize) -> Self {
        let mut connection = Self::new(stream);
        let why = format!("{clients} clients already wait for an answer");
        connection.fail(Failed::Busy { why });
        connection.ended = true;
        connection.write();
        connection
    }

    /// Whether it has sent hello.
    pub(super) fn is_greeted(&self) -> bool {
        self.greeted
    }

    /// Whether it waits for no answer.
    pub(super) fn is_silent(&self) -> bool {
        matches!(self.pending, Pending::Nothing)
    }

    /// Whether it can be removed, after [`Connection::leave`].
    pub(super) fn is_over(&self) -> bool {
        self.ended && self.written == self.out.len()
    }

    /// Its person is no longer connected by it.
    pub(super) fn leave(&mut self, supervisor: &mut Supervisor) {
        if let Some(who) = self.who.take() {
            supervisor.leases.leave(&who);
        }
    }

    /// What to poll.
    pub(super) fn wants(&self) -> (BorrowedFd<'_>, PollFlags) {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, !self.ended && !self.is_full() && self.rest.is_empty());
        flags.set(PollFlags::OUT, self.written < self.out.len());
        (self.stream.as_fd(), flags)
    }

    /// Handles the events that poll reported.
    pub(super) fn ready(
        &mut self,
        found: PollFlags,
        supervisor: &mut Supervisor,
        buffer: &mut [u8],
    ) {
        // Input that was read before comes first.
        let is_idle = !self.ended && self.rest.is_empty();
        if found.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) && is_idle {
            self.read_requests(supervisor, buffer);
        }
        self.write();
    }

    fn is_full(&self) -> bool {
        self.out.len() - self.written >= FULL
    }

    fn read_requests(&mut self, supervisor: &mut Supervisor, buffer: &mut [u8]) {
        match self.stream.read(buffer) {
            // The client closed the connection: nobody waits for the pending answer.
            Ok(0) => (self.ended, self.pending) = (true, Pending::Nothing),
            Ok(read) => self.feed(&buffer[..read], supervisor),
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => self.hang_up(),
        }
    }

    /// Handles the client's requests as long as it reads the answers.
    fn feed(&mut self, mut input: &[u8], supervisor: &mut Supervisor) {
        let mut decoder = std::mem::take(&mut self.decoder);
        while !self.ended && !self.is_full() {
            match decoder.next(&mut input) {
                Ok(Some(frame)) if !self.greeted => match frame.parse(FrameKind::Hello) {
                    Ok(hello) => self.greet(&hello),
                    Err(broken) => self.give_up(&broken),
                },
                Ok(Some(frame)) => match frame.parse(FrameKind::Request) {
                    Ok(request) => self.request(request, supervisor),
                    Err(broken) => self.give_up(&broken),
                },
                Ok(None) => break,
                Err(broken) => self.give_up(&broken),
            }
        }
        self.decoder = decoder;
        self.rest = input.to_vec();
    }

    /// Writes as much as the client accepts now.
    fn write(&mut self) {
        while self.written < self.out.len() {
            match self.stream.write(&self.out[self.written..]) {
                Ok(written) => self.written += written,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => return self.hang_up(),
            }
        }
        (self.out, self.written) = (Vec::new(), 0);
    }

    fn hang_up(&mut self) {
        (self.ended, self.pending) = (true, Pending::Nothing);
        (self.out, self.written) = (Vec::new(), 0);
    }

    fn give_up(&mut self, broken: &Broken) {
        self.fail(Failed::Malformed { what: broken.to_string() });
        (self.ended, self.pending) = (true, Pending::Nothing);
    }

    fn greet(&mut self, hello: &Hello) {
        self.greeted = true;
        if hello.protocol != PROTOCOL {
            self.fail(Failed::Mismatch(Hello::own()));
            self.ended = true;
        }
    }

    fn answer(&mut self, answer: &Answer) {
        self.out.extend(answer.frame());
    }

    fn fail(&mut self, failed: Failed) {
        self.answer(&Answer::Failed(failed));
    }

    fn request(&mut self, request: Request, supervisor: &mut Supervisor) {
        if let Request::Cancel = request {
            // There is nothing to cancel: the request was answered while the cancellation was on
            // its way.
            if matches!(self.pending, Pending::Logs(_) | Pending::Wait { .. }) {
                self.pending = Pending::Nothing;
                self.answer(&Answer::End);
            }
            return;
        }
        if !matches!(self.pending, Pending::Nothing) {
            let why = "this connection already waits for an answer".to_owned();
            return self.fail(Failed::Busy { why });
        }
        match self.begin(request, supervisor) {
            Ok(pending) => self.pending = pending,
            Err(failed) => self.fail(failed),
        }
    }

    fn begin(&mut self, request: Request, supervisor: &mut Supervisor) -> Result<Pending, Failed> {
        match request {
            Request::List => self.answer(&Answer::Apps(supervisor.list())),
            Request::Start(start) => {
                let name = start.name.clone();
                let begun = supervisor.start(start)?;
                return self.begun(name, &begun, supervisor);
            }
            Request::Restart { name, grace_ms } => {
                let begun = supervisor.restart(&name, grace_ms)?;
                return self.begun(name, &begun, supervisor);
            }
            Request::Stop { name, grace_ms } => {
                supervisor.stop(&name, grace_ms)?;
                return Ok(Pending::Stop { name });
            }
            Request::Remove { name } => {
                supervisor.remove(&name)?;
                self.answer(&Answer::Sent);
            }
            Request::Signal { name, signal } => {
                supervisor.signal(&name, signal)?;
                self.answer(&Answer::Sent);
            }
            Request::Wait { name } => {
                supervisor.app(&name)?;
                return Ok(Pending::Wait { name });
            }
            Request::Logs(logs) => return Reader::new(logs, supervisor).map(Pending::Logs),
            Request::StopAll { grace_ms, exit } => {
                let exit = exit && supervisor.adopted;
                if exit {
                    supervisor.stop_for_good(Signal::TERM, grace_ms);
                } else {
                    supervisor.stop_all(grace_ms);
                }
                return Ok(Pending::StopAll { exit });
            }
            Request::By(by) => return self.begin_by(by, supervisor),
            Request::Extend { for_ms } => {
                let who = self.who.as_deref().unwrap_or_default();
                supervisor.extend(who, for_ms)?;
                self.answer(&Answer::Apps(supervisor.list()));
            }
            Request::Cancel => {}
            Request::Receive(_) | Request::Step { .. } => {
                let what = "files are received by the relay, not by the supervisor".to_owned();
                return Err(Failed::Malformed { what });
            }
        }
        Ok(Pending::Nothing)
    }

    /// A request of a named person.
    fn begin_by(&mut self, mut by: By, supervisor: &mut Supervisor) -> Result<Pending, Failed> {
        if matches!(*by.request, Request::By(_)) {
            return Err(Failed::Malformed { what: "a request of two persons".to_owned() });
        }
        supervisor.permit(&mut by)?;
        if self.who.is_none() {
            supervisor.leases.enter(&by.who);
            self.who = Some(by.who.clone());
        }
        let pending = self.begin((*by.request).clone(), supervisor)?;
        supervisor.hold(&by);
        Ok(pending)
    }

    fn begun(
        &mut self,
        name: String,
        begun: &Begun,
        supervisor: &mut Supervisor,
    ) -> Result<Pending, Failed> {
        match *begun {
            Begun::Now => {
                self.answer(&Answer::Started(supervisor.view(&name)?));
                Ok(Pending::Nothing)
            }
            Begun::Later(ticket) => Ok(Pending::Start { name, ticket }),
        }
    }

    /// Answers every request that can be answered now. Returns whether the supervisor was asked to
    /// exit and may do so.
    pub(super) fn go_on(&mut self, supervisor: &mut Supervisor) -> bool {
        let pending = std::mem::replace(&mut self.pending, Pending::Nothing);
        match self.advance(pending, supervisor) {
            Ok(pending) => self.pending = pending,
            Err(failed) => self.fail(failed),
        }
        self.write();
        // Repeats until nothing is left or the client has to read, since poll does not report data
        // that is already here.
        while !self.ended && !self.rest.is_empty() && !self.is_full() {
            let rest = std::mem::take(&mut self.rest);
            self.feed(&rest, supervisor);
            self.write();
        }
        matches!(self.pending, Pending::StopAll { exit: true }) && supervisor.is_idle()
    }

    fn advance(
        &mut self,
        pending: Pending,
        supervisor: &mut Supervisor,
    ) -> Result<Pending, Failed> {
        match &pending {
            Pending::Start { name, ticket } => {
                let app = supervisor.app(name)?;
                let waits = app.then.as_ref().is_some_and(|later| later.ticket == *ticket);
                match app.outcome.take_if(|(of, _)| of == ticket) {
                    Some((_, outcome)) => outcome?,
                    None if waits => return Ok(pending),
                    None => {
                        let why = format!("{name} was stopped by another request");
                        return Err(Failed::Busy { why });
                    }
                }
                self.answer(&Answer::Started(supervisor.view(name)?));
            }
            Pending::Stop { name } if !supervisor.app(name)?.is_alive() => {
                self.answer(&Answer::Ended(supervisor.view(name)?));
            }
            Pending::Wait { name } if supervisor.app(name)?.has_ended() => {
                self.answer(&Answer::Ended(supervisor.view(name)?));
            }
            Pending::StopAll { exit: false } if !supervisor.is_taken() => {
                self.answer(&Answer::Sent);
            }
            Pending::StopAll { exit: true } if supervisor.is_idle() => {
                self.answer(&Answer::Sent);
                return Ok(pending);
            }
            Pending::Logs(_) => {
                let Pending::Logs(mut reader) = pending else { return Ok(pending) };
                let more = self.lines(&mut reader, supervisor)?;
                return Ok(if more { Pending::Logs(reader) } else { Pending::Nothing });
            }
            _ => return Ok(pending),
        }
        Ok(Pending::Nothing)
    }
}
