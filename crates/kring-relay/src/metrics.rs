//! What the relay counts, and how Prometheus reads it.
//!
//! Guarantee: numbers only, none that belongs to one client; reading them takes a request line of at most 1 KiB.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;

macro_rules! counters {
    ($($(#[doc = $help:literal])* $name:ident: $kind:literal,)*) => {
        /// What is counted since the start, and what there is now.
        #[derive(Debug, Default)]
        pub struct Metrics {
            $($(#[doc = $help])* pub $name: AtomicU64,)*
        }

        impl Metrics {
            /// In Prometheus' text format, version 0.0.4.
            #[must_use]
            pub fn text(&self) -> String {
                let mut out = String::new();
                $(
                    let help = concat!($($help),*).trim();
                    let name = concat!("kring_relay_", stringify!($name));
                    let value = self.$name.load(Ordering::Relaxed);
                    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {}\n{name} {value}", $kind);
                )*
                out
            }
        }
    };
}

counters! {
    /// Clients that are connected.
    clients: "gauge",
    /// Mailboxes at which somebody listens.
    mailboxes: "gauge",
    /// Sessions that are open.
    sessions: "gauge",
    /// Thousandths of the busiest forwarding thread's time that it was at work, over the last second.
    load_permille: "gauge",
    /// Bits that were forwarded in the last second.
    bits_per_second: "gauge",
    /// 1 while the relay is about to stop.
    draining: "gauge",
    /// Clients that have connected over QUIC.
    clients_quic_total: "counter",
    /// Clients that have connected over TCP.
    clients_tcp_total: "counter",
    /// Sessions that were opened.
    sessions_total: "counter",
    /// Packets that were forwarded.
    packets_total: "counter",
    /// Bytes of packets that were forwarded, without headers of IP and UDP.
    bytes_total: "counter",
    /// Packets dropped because no session has their token.
    dropped_token_total: "counter",
    /// Packets dropped because they came from elsewhere than their side is bound to.
    dropped_place_total: "counter",
    /// Packets dropped because their side sent too much.
    dropped_rate_total: "counter",
    /// Packets dropped because the system or a TCP connection did not take them.
    dropped_busy_total: "counter",
    /// Datagrams dropped because they are of no kind that is known here.
    dropped_garbage_total: "counter",
    /// Changes of address that were accepted.
    moves_total: "counter",
    /// Requests refused because the relay is full.
    refused_full_total: "counter",
    /// Requests refused because of a limit for one address, mailbox or client.
    refused_limit_total: "counter",
    /// Requests refused because the relay is about to stop.
    refused_draining_total: "counter",
    /// Requests refused because nobody listens there.
    refused_nobody_total: "counter",
    /// Requests to listen refused because their signature does not hold.
    refused_signature_total: "counter",
}

/// One more.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// How long a reader may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Answers `GET /metrics` (HTTP/1.1, RFC 9112), one reader at a time, for good.
pub(crate) async fn serve(listener: TcpListener, text: impl Fn() -> String) {
    loop {
        let Ok((mut stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let _ = timeout(PATIENCE, async {
            let mut request = Vec::new();
            let mut limited = (&mut stream).take(1024);
            while !request.windows(2).any(|w| w == b"\r\n") && limited.read_buf(&mut request).await? > 0 {}
            let (status, body) = match request.strip_prefix(b"GET /metrics") {
                Some([b' ' | b'?', ..]) => ("200 OK", text()),
                _ => ("404 Not Found", "expected GET /metrics\n".into()),
            };
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\n\
                 Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            stream.write_all(answer.as_bytes()).await?;
            stream.shutdown().await
        })
        .await;
    }
}
