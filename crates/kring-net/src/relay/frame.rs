//! How messages, and where UDP does not get through packets, stand on a stream.
//!
//! Guarantee: nothing is reserved before a frame's length has been checked, and then no more than that.
//!
//! A frame is length (2) ‖ class (1) ‖ body; the length counts class and body. Class 0 is a message, class 1 a packet of
//! [`shim`](super::shim), on TLS over TCP only; others are passed over.

use super::message::MAX_MESSAGE;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

/// The class of a message.
pub const MESSAGE: u8 = 0;
/// The class of a packet.
pub const PACKET: u8 = 1;
/// The longest body, in bytes.
pub const MAX_BODY: usize = MAX_MESSAGE;

/// Class and body of the next frame; `None` at the stream's end. Not cancel-safe.
///
/// # Errors
/// What the stream says; [`io::ErrorKind::InvalidData`] if a frame is empty or too long.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<(u8, Zeroizing<Vec<u8>>)>> {
    let mut length = [0; 2];
    if stream.read(&mut length[..1]).await? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut length[1..]).await?;
    let length = usize::from(u16::from_be_bytes(length));
    if !(1..=MAX_BODY + 1).contains(&length) {
        let error = format!("expected a frame of 1 to {} bytes, came {length}", MAX_BODY + 1);
        return Err(io::Error::new(io::ErrorKind::InvalidData, error));
    }
    let class = stream.read_u8().await?;
    let mut body = Zeroizing::new(vec![0; length - 1]);
    stream.read_exact(&mut body).await?;
    Ok(Some((class, body)))
}

/// Appends a frame to `out`; a body that is too long is left out.
pub fn put(class: u8, body: &[u8], out: &mut Vec<u8>) {
    if body.len() > MAX_BODY {
        return;
    }
    out.extend_from_slice(&(body.len() as u16 + 1).to_be_bytes());
    out.push(class);
    out.extend_from_slice(body);
}

/// Writes a frame.
///
/// # Errors
/// What the stream says.
pub async fn write(stream: &mut (impl AsyncWrite + Unpin), class: u8, body: &[u8]) -> io::Result<()> {
    let mut frame = Zeroizing::new(Vec::with_capacity(body.len() + 3));
    put(class, body, &mut frame);
    stream.write_all(&frame).await?;
    stream.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_come_back_and_bad_lengths_do_not() {
        let mut stream = Vec::new();
        put(MESSAGE, b"one", &mut stream);
        put(PACKET, &[7; MAX_BODY], &mut stream);
        put(PACKET, &[7; MAX_BODY + 1], &mut stream);
        let mut stream = &stream[..];
        assert_eq!(read(&mut stream).await.unwrap().unwrap(), (MESSAGE, Zeroizing::new(b"one".to_vec())));
        assert_eq!(read(&mut stream).await.unwrap().unwrap().1.len(), MAX_BODY);
        assert!(read(&mut stream).await.unwrap().is_none());

        for bad in [&[0, 0][..], &[0xff, 0xff, 0], &[0, 9, 0, 1], &[0]] {
            assert!(read(&mut &*bad).await.is_err(), "{bad:?}");
        }
    }
}
