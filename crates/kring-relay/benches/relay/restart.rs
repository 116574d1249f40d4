//! A relay that is killed and started again, and its clients, who come back by themselves.
//!
//! The relay keeps its key, so that a client learns of it by its next packet. Clients are [`Station`]s, as an app's endpoint has one,
//! and each listens at a mailbox; groups of them share sockets, since a machine has only so many. Reported is when how many
//! listen again, which the relay's metrics tell, and what that costs.

use crate::{Server, endpoint, start};
use kring_net::path::Station;
use kring_net::relay::RelayAddress;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

const SOCKETS: usize = 16;
/// More is given up.
const PATIENCE: Duration = Duration::from_secs(120);

/// A relay at `address` that shows its metrics, with the default limits, but for those that count by address.
fn relay(folder: &Path, address: SocketAddr, metrics: SocketAddr) -> (Server, SocketAddr) {
    let config = folder.join("relay.toml");
    let text = format!(
        "bind = \"{address}\"\nkey-file = \"{}\"\nmetrics = \"{metrics}\"\n[limits]\nclients-per-address = 1000000\n\
         client-rate-per-address = 1e6\n",
        folder.join("key").display()
    );
    std::fs::write(&config, text).expect("a file");
    let mut program = Command::new(env!("CARGO_BIN_EXE_kring-relay"));
    program.arg("--config").arg(&config);
    start(program)
}

/// What the relay's metrics say about `name`; 0 if it does not answer.
fn metric(metrics: SocketAddr, name: &str) -> usize {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(metrics)?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = ask().unwrap_or_default();
    let line = answer.lines().find_map(|line| line.strip_prefix(&format!("kring_relay_{name} ")));
    line.and_then(|value| value.parse().ok()).unwrap_or(0)
}

/// Waits until `count` listen; after which time half did, 99 % did, and all.
async fn listening(metrics: SocketAddr, count: usize) -> [f64; 3] {
    let (begun, mut times) = (Instant::now(), [f64::NAN; 3]);
    let wanted = [count / 2, count * 99 / 100, count];
    while times[2].is_nan() && begun.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = metric(metrics, "mailboxes");
        for (time, wanted) in times.iter_mut().zip(wanted) {
            if time.is_nan() && now >= wanted {
                *time = begun.elapsed().as_secs_f64();
            }
        }
    }
    times
}

/// Measures.
pub(crate) async fn run(count: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let any = "127.0.0.1:0".parse().expect("an address");
    let free = std::net::TcpListener::bind(any).and_then(|socket| socket.local_addr()).expect("a port");
    let (server, address) = relay(folder.path(), any, free);
    let name: RelayAddress = address.to_string().parse().expect("a name");
    let endpoints: Vec<_> = (0..SOCKETS).map(|_| endpoint()).collect();
    let begun = Instant::now();
    let mut stations: Vec<Station> = Vec::new();
    while stations.len() < count {
        let new: Vec<_> = (0..64.min(count - stations.len()))
            .map(|n| endpoints[n % SOCKETS].station(name.clone()))
            .collect();
        for (n, station) in new.iter().enumerate() {
            let mut seed = [0; 32];
            seed[..8].copy_from_slice(&((stations.len() + n) as u64).to_be_bytes());
            station.listen(vec![Zeroizing::new(seed)]);
        }
        for station in &new {
            station.reached().await.expect("the relay is there");
        }
        stations.extend(new);
    }
    listening(free, count).await;
    let each = server.cpu() * 1e3 / count as f64;
    println!(
        "{count} clients listen after {:.1} s; {each:.2} ms of the relay's processor time for each",
        begun.elapsed().as_secs_f64()
    );
    // A round of pings, so that theirs are spread as they are later.
    tokio::time::sleep(Duration::from_secs(10)).await;
    drop(server);
    let (server, _) = relay(folder.path(), address, free);
    let [half, most, all] = listening(free, count).await;
    println!(
        "killed and started again: half listen after {half:.1} s, 99 % after {most:.1} s, all after {all:.1} s"
    );
    let each = server.cpu() * 1e3 / count as f64;
    let (quic, tcp) = (metric(free, "clients_quic_total"), metric(free, "clients_tcp_total"));
    println!(
        "{each:.2} ms of the relay's processor time for each; {quic} connected over QUIC, {tcp} over TCP"
    );
    drop(stations);
}
