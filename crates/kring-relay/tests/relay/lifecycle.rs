use crate::hostile::eventually;
use crate::setting::{Caller, LONG, settings, sides, start};
use kring_net::relay::hop::IDLE;
use kring_net::relay::{Event, Keeper, Mailbox, MailboxKey, News, Reason, RequestError};
use kring_net::{Config as NetConfig, Endpoint};
use kring_relay::{Relay, doctor};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Instant;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;

#[tokio::test]
async fn a_draining_relay_takes_nothing_new_and_waits_for_its_sessions() {
    let mut config = settings();
    config.others = vec!["relay2.example:443".parse().unwrap()];
    let relay = Relay::start(config.clone()).await.unwrap();
    let (mut caller, _callee, near, far) = sides(&relay).await;
    let drained = tokio::spawn(relay.drain(LONG));
    match caller.event().await {
        Some(Event::Draining { others, .. }) => assert_eq!(others, config.others),
        other => panic!("expected to be told, came {other:?}"),
    }
    for result in [
        caller.client.dial(Mailbox([1; 32])).await.map(drop),
        caller.client.listen(&MailboxKey::generate().unwrap()).await,
    ] {
        match result {
            Err(RequestError::Refused(refused)) => assert_eq!(refused.reason, Reason::Draining),
            other => panic!("expected a refusal, came {other:?}"),
        }
    }
    near.send(b"goes on").await;
    assert_eq!(far.receive().await, b"goes on");
    assert!(!drained.is_finished());
    caller.client.close(near.session.handle.token).await.unwrap();
    timeout(LONG, drained).await.expect("it ends with its last session").unwrap();
    assert!(timeout(LONG, caller.events.next()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_relay_that_stops_tells_its_clients_and_leaves_its_port() {
    let relay = start().await;
    let mut caller = Caller::new(&relay).await;
    let address = relay.address();
    relay.stop().await;
    let over = async { while caller.events.next().await.is_some() {} };
    timeout(LONG, over).await.expect("the client learns of it");
    assert_eq!(caller.client.dial(Mailbox([1; 32])).await.unwrap_err(), RequestError::Lost);
    eventually(|| std::net::UdpSocket::bind(address).ok()).await;
}

/// A relay in a process of its own, at `bind`.
async fn process(bind: &str, key: &Path) -> (Child, SocketAddr) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_kring-relay"))
        .args(["--bind", bind, "--threads", "1", "--key-file"])
        .arg(key)
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = timeout(LONG, lines.next_line()).await.unwrap().unwrap().expect("it says where it listens");
    let address = line.strip_prefix("kring-relay: listening at ").expect(&line);
    let address = address.split(',').next().unwrap().parse().unwrap();
    (child, address)
}

#[tokio::test]
async fn a_client_learns_soon_that_a_relay_with_a_kept_key_has_crashed_and_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    let (mut first, address) = process("127.0.0.1:0", &key).await;
    let mut caller = Caller::at(address).await;
    caller.client.listen(&MailboxKey::generate().unwrap()).await.unwrap();
    // A process that is killed says nothing to anybody.
    first.kill().await.unwrap();
    let (_second, _) = process(&address.to_string(), &key).await;
    let over = async { while caller.events.next().await.is_some() {} };
    let begun = Instant::now();
    timeout(LONG, over).await.expect("the client learns of it");
    // By its next ping, and not by silence.
    assert!(begun.elapsed() < IDLE);
    assert_eq!(Caller::at(address).await.client.pin(), caller.client.pin());
}

#[tokio::test]
async fn whoever_keeps_to_a_relay_is_back_and_listens_after_it_restarted() {
    let relay = start().await;
    let address = relay.address();
    let endpoint = Endpoint::bind(&NetConfig::new("127.0.0.1:0".parse().unwrap())).unwrap();
    let (keeper, mut news) = Keeper::start(endpoint, address.to_string().parse().unwrap());
    let key = Arc::new(MailboxKey::generate().unwrap());
    keeper.listen(key.clone()).await;
    let until_up = async |news: &mut mpsc::Receiver<News>| loop {
        match timeout(LONG, news.recv()).await.expect("news in time") {
            Some(News::Up(client)) => return client,
            Some(News::Down { again_in, .. }) => {
                assert!(again_in <= LONG);
                // The wait is tested where it is made; this test does not take it.
                keeper.retry();
            }
            Some(_) => {}
            None => panic!("it gave up"),
        }
    };
    until_up(&mut news).await;
    relay.stop().await;
    let mut config = settings();
    config.bind = address;
    let relay = Relay::start(config).await.unwrap();
    until_up(&mut news).await;
    let caller = Caller::new(&relay).await;
    caller.client.dial(key.mailbox()).await.expect("it listens again");
    drop(keeper);
    let over = async { while news.recv().await.is_some() {} };
    timeout(LONG, over).await.expect("it ends with its keeper");
    relay.stop().await;
}

#[cfg(unix)]
#[tokio::test]
async fn sigterm_ends_an_idle_relay_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, address) = process("127.0.0.1:0", &folder.path().join("key")).await;
    let mut caller = Caller::at(address).await;
    caller.client.listen(&MailboxKey::generate().unwrap()).await.unwrap();
    let pid = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    assert!(timeout(LONG, child.wait()).await.expect("it ends").unwrap().success());
    assert!(matches!(caller.event().await, Some(Event::Draining { .. })));
    assert!(caller.event().await.is_none());
}

#[tokio::test]
async fn metrics_are_read_by_http() {
    let mut config = settings();
    config.metrics = Some("127.0.0.1:0".parse().unwrap());
    let relay = Relay::start(config).await.unwrap();
    let (_callee, _) = Caller::listening(&relay).await;
    let ask = async |request: &str| {
        let mut stream = tokio::net::TcpStream::connect(relay.metrics_address().unwrap()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answer = ask("GET /metrics HTTP/1.1\r\nHost: relay\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    for line in
        ["kring_relay_clients 1", "kring_relay_mailboxes 1", "# TYPE kring_relay_packets_total counter"]
    {
        assert!(answer.contains(line), "{line} in {answer}");
    }
    assert!(!answer.contains("127.0.0.1"), "no address is shown");
    assert!(ask("GET / HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 404"));
    relay.stop().await;
}

#[tokio::test]
async fn the_doctor_finds_a_well_relay_well_and_says_what_is_wrong_with_none() {
    let relay = start().await;
    let name = format!("{}#{}", relay.address(), relay.pin()).parse().unwrap();
    let ways = doctor::look(&name).await.unwrap();
    let found = ways[0].1.as_ref().unwrap();
    assert!(found.came_back > 0 && found.observed.is_some());
    assert!(doctor::look_tcp(&name).await.unwrap().came_back > 0);
    relay.stop().await;
    let trouble = doctor::look_tcp(&name).await.unwrap_err();
    assert!(trouble.to_string().contains("over TCP"), "{trouble}");
}
