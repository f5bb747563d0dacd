//! Connections whose other end must fetch what it asked for.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// A reader who does not fetch this much ([`PACE_BYTES`]) in this time is cut off: the worst lines are
/// faster, and the system lets several hundred KiB pile up before it says that any was fetched.
pub(super) const PACE_SPAN: Duration = Duration::from_secs(120);
/// See [`PACE_SPAN`].
const PACE_BYTES: usize = 64 * 1024;

/// A stream that ends when its reader is too slow.
#[derive(Debug)]
pub(super) struct Patience<S> {
    stream: S,
    span: Duration,
    /// Since a write had to wait: how long it may, and what was fetched since.
    slow: Option<(Pin<Box<Sleep>>, usize)>,
}

impl<S> Patience<S> {
    pub(super) fn new(stream: S, span: Duration) -> Self {
        let slow = None;
        Self { stream, span, slow }
    }

    fn judge(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(bytes)) => {
                let fetched = self.slow.take().map(|(until, sum)| (until, sum + bytes));
                self.slow = fetched.filter(|(_, sum)| *sum < PACE_BYTES);
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                let span = self.span;
                let slow = self.slow.get_or_insert_with(|| (Box::pin(sleep(span)), 0));
                if slow.0.as_mut().poll(context).is_ready() {
                    let why = "the reader is too slow";
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, why)));
                }
            }
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patience<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patience<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judge(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.judge(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Asked for when everything has been written: the next answer begins anew.
        self.slow = None;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    /// A reader fetches `bytes` every 10 ms; the writer is judged over spans of 200 ms.
    async fn writes(bytes: usize) -> io::Result<()> {
        let (mut reader, writer) = duplex(4_096);
        let reading = tokio::spawn(async move {
            let mut part = vec![0; bytes];
            while reader.read_exact(&mut part).await.is_ok() {
                sleep(Duration::from_millis(10)).await;
            }
        });
        let mut writer = Patience::new(writer, Duration::from_millis(200));
        let written = writer.write_all(&vec![0; 512 * 1024]).await;
        reading.abort();
        written
    }

    #[tokio::test]
    async fn who_fetches_drop_by_drop_is_cut_off() {
        let cut = writes(16).await.expect_err("16 bytes in 10 ms");
        assert_eq!(cut.kind(), io::ErrorKind::TimedOut);
        writes(64 * 1024).await.expect("64 KiB in 10 ms");
    }
}
