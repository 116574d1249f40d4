//! Hours of calls in virtual time: keys turn over by the clock, what does not come ends a call, tickets end. And what fails of
//! each where one thing is wrong.

mod common;

use common::{NOTHING, Person, Sabotage, failed, kind_of, log};
use kring_conform::{Invitation, Options, answer, dial_over};
use kring_core::call::KeyLifetimes;
use kring_core::handshake::Role;
use kring_core::time::WallTime;
use kring_net::{Config, Endpoint};
use kring_sim::facade::net::{Net, address};
use kring_sim::link::Spec;
use std::sync::Arc;
use std::time::Duration;

/// What fails in walks with `only` in their names.
type Failed = Vec<(&'static str, &'static str)>;

/// All as it should be, but that it says little.
const HOURS: Sabotage = Sabotage {
    lifetimes: Some(KeyLifetimes {
        sender_key: Duration::from_secs(300),
        handshake: Duration::from_secs(3600),
    }),
    ..NOTHING
};
/// What should have ended the call does not.
const ENDURES: Sabotage = Sabotage {
    says: |plaintext, secret| (kind_of(plaintext) != 4).then(|| (plaintext.to_vec(), secret)),
    puts_up_with_everything: true,
    ..HOURS
};

fn in_virtual_time(walk: impl AsyncFnOnce([Endpoint; 2]) -> Failed) -> Failed {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let net = Net::new(1, &[Spec::default(), Spec::default()]);
        let ends = [Role::Callee, Role::Caller].map(|role| {
            let config = Config::new(address(role));
            Endpoint::simulated(&config, net.socket(role), [role.leaf(); 32]).unwrap()
        });
        tokio::spawn(async move { net.run(&Spec::default(), false).await });
        walk(ends).await
    })
}

fn options(only: &str) -> Options {
    Options { long: true, only: Some(only.into()), ..Options::default() }
}

fn callee(sabotage: Sabotage, only: &str) -> Failed {
    in_virtual_time(async |[theirs, ours]| {
        let person = Arc::new(Person::over(theirs, sabotage));
        let ticket = person.ticket();
        tokio::spawn(person.answer(ticket.clone()));
        let mut log = log();
        dial_over(ours, &ticket, &options(only), &mut log).await.unwrap();
        failed(&log)
    })
}

fn caller(sabotage: Sabotage, only: &str) -> Failed {
    in_virtual_time(async |[ours, theirs]| {
        let person = Arc::new(Person::over(theirs, sabotage));
        let options = options(only);
        let invitation = Invitation::over(ours, &options).unwrap();
        let ticket = invitation.ticket().clone();
        let mut log = log();
        answer(&invitation, &options, &mut log, |_, _, _| {
            drop(tokio::spawn(person.clone().dial(ticket.clone())));
        })
        .await;
        failed(&log)
    })
}

#[test]
fn a_callee_keeps_its_times() {
    let walks = [
        "a handshake that stops",
        "a proof that does not come",
        "half a message",
        "switched that does not come",
        "a sender key that nobody takes",
        "an hour and a half",
        "a ticket that has ended",
    ];
    for walk in walks {
        assert_eq!(callee(HOURS, walk), [], "{walk}");
    }
}

#[test]
fn a_caller_keeps_its_times() {
    for walk in
        ["message 2 that does not come", "a sender key that nobody takes", "an hour", "renewed that does not"]
    {
        assert_eq!(caller(HOURS, walk), [], "{walk}");
    }
}

#[track_caller]
fn is_about(failed: &Failed, section: &str, word: &str) {
    let right = |(s, what): &(&str, &str)| *s == section && what.contains(word);
    assert!(failed.first().is_some_and(right), "expected {section}, {word}; came {failed:?}");
}

#[test]
fn keys_that_turn_over_at_other_times() {
    let [key, hour] = [100, 3600].map(Duration::from_secs);
    let often = Sabotage { lifetimes: Some(KeyLifetimes { sender_key: key, handshake: hour }), ..HOURS };
    is_about(&callee(often, "an hour and a half"), "8", "5 min");
    is_about(&caller(often, "an hour"), "8", "5 min");
    let [key, half] = [300, 1800].map(Duration::from_secs);
    let often = Sabotage { lifetimes: Some(KeyLifetimes { sender_key: key, handshake: half }), ..HOURS };
    is_about(&caller(often, "an hour"), "6.1", "an hour after");
}

#[test]
fn what_does_not_come_and_is_put_up_with() {
    is_about(&callee(ENDURES, "a sender key that nobody takes"), "8", "not taken");
    is_about(&caller(ENDURES, "a sender key that nobody takes"), "8", "not taken");
    is_about(&callee(ENDURES, "half a message"), "6", "whole");
    is_about(&callee(ENDURES, "switched that does not come"), "6.1", "switched");
    is_about(&callee(ENDURES, "an hour and a half"), "6.1", "90 min");
    is_about(&caller(ENDURES, "renewed that does not come"), "6.1", "renewed");
    let waits = Sabotage { waits: Duration::from_secs(100), ..HOURS };
    is_about(&callee(waits, "a handshake that stops"), "5", "message 1");
    is_about(&callee(waits, "a proof that does not come"), "5", "confirm");
    is_about(&caller(waits, "message 2 that does not come"), "5", "message 2");
}

#[test]
fn a_ticket_that_never_ends() {
    // Its clock stands still.
    let still = Sabotage { wall: || WallTime(common::start().0 + 60), ..HOURS };
    is_about(&callee(still, "a ticket that has ended"), "3", "ended");
}
