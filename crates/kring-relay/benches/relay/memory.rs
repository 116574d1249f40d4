//! Memory for each client, and for each token.

use crate::{client, endpoint, relay};
use kring_net::relay::MailboxKey;
use std::time::{Duration, Instant};

/// Memory for each idle client on QUIC that listens at a mailbox.
pub(crate) async fn clients(count: usize) {
    let (server, address) = relay(1.0, &[]);
    let endpoints: Vec<_> = (0..16).map(|_| endpoint()).collect();
    // What the first ones make it take for good.
    let mut all = vec![client(&endpoints[0], address).await];
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (before, begun) = (server.memory(), Instant::now());
    for chunk in (0..count).collect::<Vec<_>>().chunks(32) {
        let mut joining = tokio::task::JoinSet::new();
        for n in chunk {
            let endpoint = endpoints[n % endpoints.len()].clone();
            joining.spawn(async move {
                let connected = client(&endpoint, address).await;
                connected.0.listen(&MailboxKey::generate().expect("randomness")).await.expect("it listens");
                connected
            });
        }
        all.extend(joining.join_all().await);
    }
    let connecting = begun.elapsed();
    // Idle for longer than a round of pings.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let each = (server.memory() - before) / count as f64;
    println!("{count} clients connected in {:.1} s: {each:.1} KiB each", connecting.as_secs_f64());
    let cpu = server.cpu();
    tokio::time::sleep(Duration::from_secs(10)).await;
    println!("idle, they take {:.1} % of a core", (server.cpu() - cpu) * 10.0);
}

/// Memory for each token of a session.
pub(crate) async fn tokens(count: usize) {
    const CALLERS: usize = 64;
    let (server, address) = relay(1.0, &[]);
    let endpoint = endpoint();
    let (callee, mut events) = client(&endpoint, address).await;
    tokio::spawn(async move { while events.next().await.is_some() {} });
    let key = MailboxKey::generate().expect("randomness");
    callee.listen(&key).await.expect("it listens");
    let mut callers = Vec::new();
    for _ in 0..CALLERS {
        let caller = client(&endpoint, address).await;
        caller.0.dial(key.mailbox()).await.expect("a session");
        callers.push(caller);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = server.memory();
    let mut opened = 0;
    // One caller after the other: each may ask some hundred times at once, and the callee has to keep up.
    'all: for (caller, _) in callers.iter().cycle() {
        for _ in 0..4 {
            if opened * 2 >= count {
                break 'all;
            }
            match caller.dial(key.mailbox()).await {
                Ok(_) => opened += 1,
                Err(_) => break 'all,
            }
        }
    }
    let each = (server.memory() - before) / (opened * 2) as f64;
    println!("{} tokens: {each:.2} KiB each", opened * 2);
}
