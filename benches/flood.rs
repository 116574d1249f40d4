//! A flood of strangers against a running call: what is concealed of the voice, and what memory it takes.
//!
//!     cargo run -p kring-benches --example flood [SECONDS]
//!
//! The call's two ends are one process, the strangers another, over loopback: 20,000 garbage datagrams a second, of kinds that
//! QUIC has to look into, and 500 handshakes a second that stop half way, in TLS or right behind it, to both ends in turn.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use kring::capture::{Consent, Kind, NullSpeaker, Tone};
use kring::{Call, Endpoint, Media};
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// A second.
const GARBAGE: u64 = 20_000;
const HANDSHAKES: u64 = 500;
const CALM: usize = 5;

/// What one second of the call came to.
#[derive(Clone, Copy, Default)]
struct Second {
    concealed_ms: u64,
    played_ms: u64,
    resident_kib: u64,
    /// Processor time so far.
    cpu_ms: u64,
}

fn main() -> Outcome<()> {
    match std::env::args().nth(1).as_deref() {
        Some("call") => tokio::runtime::Runtime::new()?.block_on(call()),
        seconds => flood(seconds.map_or(Ok(20), str::parse)?),
    }
}

fn media() -> Media {
    let consent = Consent::to([Kind::Microphone]);
    Media::new(consent).microphone(Tone::new().frequency(440.0)).speaker(NullSpeaker::default())
}

/// Both ends of a call; tells of each second.
async fn call() -> Outcome<()> {
    let endpoint = || Endpoint::builder().bind(SocketAddr::from(([127, 0, 0, 1], 0))).build();
    let (a, b) = (endpoint()?, endpoint()?);
    let dialled = a.dial(&b.ticket(Duration::from_secs(3600))?, media());
    let answered = b.incoming().await.ok_or("nobody calls")?.answer(media());
    dialled.connected().await?;
    answered.connected().await?;
    println!("{} {}", a.local_addr()?, b.local_addr()?);
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let sum = |f: fn(&Call) -> u64| f(&dialled) + f(&answered);
        let concealed = sum(|call| call.stats().audio.concealed_samples / 48);
        let played = sum(|call| call.stats().audio.total_samples_received / 48);
        let status = std::fs::read_to_string("/proc/self/status")?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        let stat = std::fs::read_to_string("/proc/self/stat")?;
        let times: Vec<u64> = stat.split(' ').skip(13).take(2).filter_map(|n| n.parse().ok()).collect();
        let cpu: u64 = times.iter().sum::<u64>() * 10;
        println!("{concealed} {played} {} {cpu}", resident.trim().trim_end_matches(" kB"));
        std::io::stdout().flush()?;
    }
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn flood(seconds: usize) -> Outcome<()> {
    let mut child = Command::new(std::env::current_exe()?).arg("call").stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
    let _running = Running(child);
    let mut line = || lines.next().ok_or("the call ended")?.map_err(Box::<dyn Error + Send + Sync>::from);
    let targets: Vec<SocketAddr> = line()?.split(' ').map(str::parse).collect::<Result<_, _>>()?;
    let mut second = || -> Outcome<Second> {
        let line = line()?;
        let numbers: Vec<u64> = line.split(' ').map(str::parse).collect::<Result<_, _>>()?;
        let [concealed_ms, played_ms, resident_kib, cpu_ms] = numbers[..] else { return Err(line.into()) };
        Ok(Second { concealed_ms, played_ms, resident_kib, cpu_ms })
    };
    let calm: Vec<Second> = (0..CALM).map(|_| second()).collect::<Result<_, _>>()?;
    let (first, calm) = (calm[0], calm[CALM - 1]);
    let (stop, sent, begun) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let began = Instant::now();
    let under = std::thread::scope(|scope| {
        scope.spawn(|| garbage(&targets, &stop, &sent));
        scope.spawn(|| handshakes(&targets, &stop, &begun));
        let under: Outcome<Vec<Second>> = (0..seconds).map(|_| second()).collect();
        stop.store(true, Ordering::Relaxed);
        under
    })?;
    let took = began.elapsed().as_secs_f64();
    let (last, most) = (under[under.len() - 1], under.iter().map(|s| s.resident_kib).max().unwrap_or(0));
    let each = |count: &AtomicU64| count.load(Ordering::Relaxed) as f64 / took;
    println!("garbage datagrams a second: {:.0}; half handshakes a second: {:.0}", each(&sent), each(&begun));
    let share = |from: Second, to: Second| {
        100.0 * (to.concealed_ms - from.concealed_ms) as f64 / (to.played_ms - from.played_ms).max(1) as f64
    };
    println!(
        "concealed: {:.2} % while calm, {:.2} % under it (both ends)",
        share(first, calm),
        share(calm, last)
    );
    let more = most.saturating_sub(calm.resident_kib) as f64 / 1024.0;
    println!(
        "resident: {:.1} MiB while calm, {more:.1} MiB more at most under it",
        calm.resident_kib as f64 / 1024.0
    );
    let share =
        |from: Second, to: Second, seconds: usize| (to.cpu_ms - from.cpu_ms) as f64 / (10 * seconds) as f64;
    println!(
        "processor: {:.0} % of a core while calm, {:.0} % under it (both ends)",
        share(first, calm, CALM - 1),
        share(calm, last, seconds)
    );
    Ok(())
}

/// Sends by the clock, in bursts of a millisecond's.
fn garbage(targets: &[SocketAddr], stop: &AtomicBool, sent: &AtomicU64) {
    let sockets: Vec<UdpSocket> = (0..8).filter_map(|_| UdpSocket::bind("127.0.0.1:0").ok()).collect();
    let (began, mut chance) = (Instant::now(), fastrand::Rng::with_seed(1));
    let mut done = 0;
    while !stop.load(Ordering::Relaxed) {
        while done < began.elapsed().as_micros() as u64 * GARBAGE / 1_000_000 {
            let mut bytes = vec![0; chance.usize(1..1400)];
            chance.fill(&mut bytes);
            match chance.u8(0..6) {
                // A short header; Initial, 0-RTT, Handshake or Retry of version 1; a version that there is not.
                0 => bytes[0] = 0x40 | bytes[0] & 0x3f,
                1..=3 => {
                    bytes.resize(1200, 0);
                    bytes[0] |= 0xc0;
                    bytes[1..5].copy_from_slice(&[0, 0, 0, 1]);
                    (bytes[5], bytes[14]) = (8, 8);
                }
                4 => bytes[0] |= 0xc0,
                _ => {}
            }
            let _ = sockets[done as usize % sockets.len()]
                .send_to(&bytes, targets[done as usize % targets.len()]);
            done += 1;
            sent.store(done, Ordering::Relaxed);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Begins handshakes by the clock; half are given up in TLS, half behind it, before a word is said.
fn handshakes(targets: &[SocketAddr], stop: &AtomicBool, begun: &AtomicU64) {
    let Ok(runtime) = tokio::runtime::Runtime::new() else { return };
    runtime.block_on(async {
        let bind =
            || kring_net::Endpoint::bind(&kring_net::Config::new(SocketAddr::from(([127, 0, 0, 1], 0))));
        let strangers: Vec<_> = (0..8).filter_map(|_| bind().ok()).collect();
        let (began, mut done) = (Instant::now(), 0);
        while !stop.load(Ordering::Relaxed) {
            while done < began.elapsed().as_micros() as u64 * HANDSHAKES / 1_000_000 {
                let net = strangers[done as usize % strangers.len()].clone();
                let (to, patience) =
                    (targets[done as usize % targets.len()], if done % 4 < 2 { 1 } else { 3000 });
                tokio::spawn(async move {
                    let connecting = tokio::time::timeout(Duration::from_millis(patience), net.connect(to));
                    if let Ok(Ok(connection)) = connecting.await {
                        tokio::time::sleep(Duration::from_secs(3)).await;
                        drop(connection);
                    }
                });
                done += 1;
                begun.store(done, Ordering::Relaxed);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    runtime.shutdown_background();
}
