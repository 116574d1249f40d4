//! iroh's side of `cargo xtask reach --iroh`: a relay, somebody who answers, and somebody who calls, each a process of its
//! own that tells by a JSON object a line what happens when, as Kring's caller does.
//!
//! Guarantee: nothing is asked of public servers: the relay is the one that is named, the address is handed over in a file.

use iroh::endpoint::{Connection, presets};
use iroh::tls::CaTlsConfig;
use iroh::{Endpoint, EndpointAddr, RelayConfig, RelayMap, RelayMode, RelayUrl, TransportAddr};
use iroh_relay::RelayQuicConfig;
use iroh_relay::server::testing::self_signed_tls_certs_and_config;
use iroh_relay::server::{CertConfig, QuicConfig, RelayConfig as Http, Server, ServerConfig, TlsConfig};
use serde_json::json;
use std::error::Error;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const ALPN: &[u8] = b"kring-reach/1";
/// Where the relay says what it sees of an address: as a service of its own, by QUIC.
const OBSERVES: u16 = 7842;
const HTTP: u16 = 80;
const HTTPS: u16 = 443;
/// How often something is sent, as a call does.
const FRAME: Duration = Duration::from_millis(20);
/// How often it is looked which way is taken.
const LOOK: Duration = Duration::from_millis(2);

type Outcome = Result<(), Box<dyn Error>>;

fn say(event: &str, more: serde_json::Value) {
    let t = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let mut line = json!({"ev": event, "t": t});
    if let (Some(line), Some(more)) = (line.as_object_mut(), more.as_object()) {
        line.extend(more.clone());
    }
    println!("{line}");
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["relay", ip] => relay(ip).await,
        ["answer", relay, file] => answer(relay, file).await,
        ["call", relay, file] => call(relay, file).await,
        _ => Err("expected relay IP | answer RELAY-IP FILE | call RELAY-IP FILE".into()),
    }
}

async fn relay(ip: &str) -> Outcome {
    let at = |port| -> Result<SocketAddr, Box<dyn Error>> { Ok(SocketAddr::new(ip.parse()?, port)) };
    let (_, server_config) = self_signed_tls_certs_and_config();
    let mut http = Http::new(at(HTTP)?);
    http.tls = Some(TlsConfig::new(at(HTTPS)?, CertConfig::Manual { server_config }));
    let mut config = ServerConfig::default();
    config.relay = Some(http);
    config.quic = Some(QuicConfig::new(at(OBSERVES)?));
    let _server = Server::spawn(config).await?;
    say("listening", json!({}));
    std::future::pending().await
}

async fn endpoint(relay: &str) -> Result<Endpoint, Box<dyn Error>> {
    let url: RelayUrl = format!("https://{}", SocketAddr::new(relay.parse()?, HTTPS)).parse()?;
    let map: RelayMap = RelayConfig::new(url, Some(RelayQuicConfig::new(OBSERVES))).into();
    let builder = Endpoint::builder(presets::Minimal)
        .alpns(vec![ALPN.to_vec()])
        .relay_mode(RelayMode::Custom(map))
        .ca_tls_config(CaTlsConfig::insecure_skip_verify());
    Ok(builder.bind().await?)
}

async fn answer(relay: &str, file: &str) -> Outcome {
    let endpoint = endpoint(relay).await?;
    endpoint.online().await;
    std::fs::write(file, serde_json::to_vec(&endpoint.addr())?)?;
    say("waiting", json!({}));
    let connection = endpoint.accept().await.ok_or("closed")?.await?;
    tokio::spawn(tell_ways(connection.clone()));
    let (mut send, mut recv) = connection.accept_bi().await?;
    let mut byte = [0; 1];
    recv.read_exact(&mut byte).await?;
    send.write_all(&byte).await?;
    talk(connection).await
}

async fn call(relay: &str, file: &str) -> Outcome {
    let address: EndpointAddr = serde_json::from_slice(&std::fs::read(file)?)?;
    say("dial", json!({}));
    let endpoint = endpoint(relay).await?;
    let connection = endpoint.connect(address, ALPN).await?;
    say("connected", json!({}));
    tokio::spawn(tell_ways(connection.clone()));
    let (mut send, mut recv) = connection.open_bi().await?;
    send.write_all(&[1]).await?;
    let mut byte = [0; 1];
    recv.read_exact(&mut byte).await?;
    say("first-byte", json!({}));
    talk(connection).await
}

/// Datagrams like sound's, both ways.
async fn talk(connection: Connection) -> Outcome {
    loop {
        connection.send_datagram(vec![0; 120].into())?;
        tokio::time::sleep(FRAME).await;
    }
}

async fn tell_ways(connection: Connection) {
    let mut shown = None;
    loop {
        let direct = {
            let paths = connection.paths();
            let selected = paths.iter().find(|path| path.is_selected());
            selected.map(|path| matches!(path.remote_addr(), TransportAddr::Ip(_)))
        };
        if direct.is_some() && direct != shown {
            shown = direct;
            say("path", json!({"path": if direct == Some(true) { "direct" } else { "relayed" }}));
        }
        tokio::time::sleep(LOOK).await;
    }
}
