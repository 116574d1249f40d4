//! Calls leave nothing behind: no thread, no descriptor, no memory.
#![cfg(target_os = "linux")]
mod common;
use common::*;
use std::fs;

/// Threads, open descriptors, and resident memory in KiB of this process.
fn held() -> (usize, usize, usize) {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let number = |name: &str| {
        let line = status.lines().find(|l| l.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap()
    };
    (number("Threads:"), fs::read_dir("/proc/self/fd").unwrap().count(), number("VmRSS:"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_calls_leave_no_thread_no_descriptor_and_no_memory_behind() {
    let (a, b) = (endpoint(), endpoint());
    let ticket = ticket(&b);
    let mut before = (0, 0, 0);
    for n in 0..1000 {
        let dialled = a.dial(&ticket, quiet());
        let answered = rings(&b).await.answer(quiet());
        within(10, dialled.connected()).await.unwrap();
        // Every way of ending takes its turn.
        match n % 3 {
            0 => dialled.hang_up().await,
            1 => answered.hang_up().await,
            _ => drop(dialled),
        }
        if n == 200 {
            before = held();
        }
    }
    eventually("threads of ended calls are gone", || held().0 <= before.0 + 4).await;
    let after = held();
    assert!(after.1 <= before.1 + 2, "descriptors: {before:?}, {after:?}");
    assert!(after.2 < before.2 + 16 * 1024, "memory in KiB: {before:?}, {after:?}");
}
