//! Frames between the local side and an agent, over any pair of streams.

use std::time::Duration;

use serde::Serialize;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

use super::trouble::Trouble;
use diyadm_agent::protocol::{
    Answer, Broken, Decoder, Frame, FrameKind, Hello, Line, PROTOCOL, Request, json,
};

/// Bytes to read at a time.
const PIECE: usize = 64 << 10;
/// How long an agent may take to send hello, on a busy node.
const PATIENCE: Duration = Duration::from_secs(30);

/// The messages of an agent.
pub struct Reader {
    from: Box<dyn AsyncRead + Send + Unpin>,
    decoder: Decoder,
    buffer: Vec<u8>,
    begin: usize,
    end: usize,
}

impl Reader {
    /// Nothing was read yet.
    pub fn new(from: impl AsyncRead + Send + Unpin + 'static) -> Self {
        let buffer = vec![0; PIECE];
        Self { from: Box::new(from), decoder: Decoder::default(), buffer, begin: 0, end: 0 }
    }

    /// The next frame. Cancel safe: nothing is lost if this is dropped before it is ready.
    pub async fn frame(&mut self) -> Result<Frame<'_>, Trouble> {
        loop {
            let mut input = &self.buffer[self.begin..self.end];
            let whole = self.decoder.next(&mut input).map(|frame| frame.is_some());
            self.begin = self.end - input.len();
            if whole.map_err(|broken| self.garbled(&broken))? {
                // Called again, since the borrow checker does not allow a loop to return a borrow.
                return self.decoder.current().ok_or_else(|| Trouble::Lost("no frame".to_owned()));
            }
            let read = self.from.read(&mut self.buffer).await;
            (self.begin, self.end) = (0, read.map_err(|error| Trouble::Lost(error.to_string()))?);
            if self.end == 0 {
                let cut = self.decoder.end().err().map(|broken| broken.to_string());
                return Err(Trouble::Lost(
                    cut.unwrap_or_else(|| "the agent closed the connection".to_owned()),
                ));
            }
        }
    }

    /// The next answer; a refusal is an error.
    pub async fn answer(&mut self) -> Result<Answer, Trouble> {
        let frame = self.frame().await?;
        match frame.parse(FrameKind::Answer)? {
            Answer::Failed(failed) => Err(failed.into()),
            answer => Ok(answer),
        }
    }

    /// The next answer or line of output; a refusal is an error.
    pub async fn next_message(&mut self) -> Result<Said<'_>, Trouble> {
        let frame = self.frame().await?;
        if frame.kind == FrameKind::Line {
            return Ok(Said::Line(Line::parse(frame.payload)?));
        }
        match frame.parse(FrameKind::Answer)? {
            Answer::Failed(failed) => Err(failed.into()),
            answer => Ok(Said::Answer(answer)),
        }
    }

    async fn hello(&mut self) -> Result<Hello, Trouble> {
        let hello: Hello = self.frame().await?.parse(FrameKind::Hello)?;
        if hello.protocol == PROTOCOL { Ok(hello) } else { Err(Trouble::Mismatch(hello)) }
    }

    /// Bytes that are not frames: perhaps the output of another program.
    fn garbled(&self, broken: &Broken) -> Trouble {
        let some = &self.buffer[..self.end.min(200)];
        let words = String::from_utf8_lossy(some).trim().to_owned();
        Trouble::NoAgent(format!("{broken}: {words:?}"))
    }
}

/// A message of a log.
#[derive(Debug)]
pub enum Said<'a> {
    /// An answer, never [`Answer::Failed`].
    Answer(Answer),
    /// A line of output.
    Line(Line<'a>),
}

/// The messages to an agent.
pub struct Writer {
    to: Box<dyn AsyncWrite + Send + Unpin>,
}

impl Writer {
    /// Nothing was written yet.
    pub fn new(to: impl AsyncWrite + Send + Unpin + 'static) -> Self {
        Self { to: Box::new(to) }
    }

    /// Sends a message.
    pub async fn send<T: Serialize>(
        &mut self,
        kind: FrameKind,
        message: &T,
    ) -> Result<(), Trouble> {
        let frame = json(kind, message).map_err(|broken| Trouble::too_long(&broken))?;
        self.bytes(&frame).await
    }

    /// Sends finished frames.
    pub async fn bytes(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        let sent = async {
            self.to.write_all(bytes).await?;
            self.to.flush().await
        };
        sent.await.map_err(|error: std::io::Error| Trouble::Lost(error.to_string()))
    }
}

/// A connection to an agent. It ends when dropped; requests are executed anyway.
pub struct Conversation {
    /// What comes.
    pub reader: Reader,
    /// What goes.
    pub writer: Writer,
    /// Who answers.
    pub agent: Hello,
}

impl Conversation {
    /// Waits for the agent's hello, then sends its own. In this order, since the program that
    /// starts an agent may read ahead of it.
    ///
    /// # Errors
    /// [`Trouble::NoAgent`] where it is none, [`Trouble::Mismatch`] where its version is another.
    pub async fn begin(mut reader: Reader, mut writer: Writer) -> Result<Self, Trouble> {
        let agent = timeout(PATIENCE, reader.hello()).await.unwrap_or_else(|_| {
            Err(Trouble::Lost(format!("no agent answered in {} s", PATIENCE.as_secs())))
        });
        if !matches!(agent, Err(Trouble::Lost(_) | Trouble::NoAgent(_))) {
            // Also to an agent with another version, which reports its version and ends.
            writer.send(FrameKind::Hello, &Hello::own()).await?;
        }
        Ok(Self { reader, writer, agent: agent? })
    }

    /// Sends a request.
    pub async fn send(&mut self, request: &Request) -> Result<(), Trouble> {
        self.writer.send(FrameKind::Request, request).await
    }

    /// Sends a request and waits for its one answer; a refusal is an error.
    pub async fn ask(&mut self, request: &Request) -> Result<Answer, Trouble> {
        self.send(request).await?;
        self.reader.answer().await
    }
}
