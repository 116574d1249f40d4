//! What takes minutes and more: keys that turn over by the clock, and what ends when something does not come. docs/protocol.md,
//! sections 5, 6, 6.1 and 8.
//!
//! Guarantee: times are judged with [`SLACK`] to spare; nothing here hurries the other side's clock.

use crate::answer::{Invitation, taken};
use crate::dial::answered;
use crate::good::{Good, breathe};
use crate::hello::{Dialling, connect, greeted, half, wall};
use crate::link::Came;
use crate::log::{Fault, Log};
use crate::messages as m;
use crate::refusals::{self, NO_TICKET};
use crate::side::{Message, Side};
use crate::{By, Options};
use kring_core::ticket::Ticket;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How far off what is due by the clock may be.
const SLACK: Duration = Duration::from_secs(15);
const ROTATION: Duration = Duration::from_secs(5 * 60);
const HANDSHAKE: Duration = Duration::from_secs(60 * 60);
const LATEST_HANDSHAKE: Duration = Duration::from_secs(90 * 60);
const PATIENCE: Duration = Duration::from_secs(60);
const MESSAGE: Duration = Duration::from_secs(10);
/// Tickets that end later are not waited for.
const LONGEST: u64 = 3 * 60 * 60;

/// What the other side does that this one stays for.
enum Stayed {
    /// A message that was not given to the call.
    Message(Message),
    /// The end of the call, with reason 6, after so long.
    Refused(Duration),
}

/// Somebody who stays in a call, and measures.
struct Stay {
    good: Good,
    side: Side,
    begun: Instant,
    /// When the other side's newest key was announced, and how long after the one before.
    announced: Instant,
    intervals: Vec<Duration>,
}

impl Stay {
    fn new(good: Good, mut side: Side) -> Stay {
        side.talks = false;
        let now = Instant::now();
        Stay { good, side, begun: now, announced: now, intervals: Vec::new() }
    }

    /// Does what a good peer does, but for messages that `withholds`, until such a one or the end.
    async fn until(
        &mut self,
        log: &mut Log,
        (section, what, expected): (&'static str, &'static str, &str),
        most: Duration,
        withholds: impl Fn(&Message) -> bool,
    ) -> Result<Stayed, Fault> {
        let since = Instant::now();
        let fault = |came: String| Fault::new(section, what, expected, came);
        loop {
            let message = match self.side.next_until(since + most).await {
                Ok(message) => message,
                Err(Ok(Came::Close(m::PROTOCOL_ERROR))) => return Ok(Stayed::Refused(since.elapsed())),
                Err(Ok(Came::Nothing(_))) => return Err(fault(format!("nothing in {} s", most.as_secs()))),
                Err(Ok(came)) => return Err(fault(format!("{came} after {} s", since.elapsed().as_secs()))),
                Err(Err(fault)) => return Err(fault),
            };
            if message.kind == m::HANG_UP {
                self.side.link.connection.close(0);
                return match message.number(1) {
                    Some(m::PROTOCOL_ERROR) => Ok(Stayed::Refused(since.elapsed())),
                    reason => {
                        Err(fault(format!("hang-up with {reason:?} after {} s", since.elapsed().as_secs())))
                    }
                };
            }
            if message.kind == m::SENDER_KEY && self.good.has_key() {
                self.intervals.push(self.announced.elapsed());
                self.announced = Instant::now();
            }
            if withholds(&message) {
                return Ok(Stayed::Message(message));
            }
            self.good.on(&mut self.side, log, &message).await?;
        }
    }

    /// Waits for the end of the call with reason 6, `after` from now.
    async fn is_refused(
        &mut self,
        log: &mut Log,
        (section, what): (&'static str, &'static str),
        after: Duration,
    ) -> Result<(), Fault> {
        let expected = format!("the end with reason 6 after {} s", after.as_secs());
        // Keys still turn over meanwhile.
        match self.until(log, (section, what, &expected), after + SLACK, |_| false).await? {
            Stayed::Refused(came) => {
                log.check(
                    section,
                    what,
                    is_near(came, after),
                    &expected,
                    format!("it after {} s", came.as_secs()),
                );
            }
            Stayed::Message(_) => unreachable!("nothing is withheld"),
        }
        Ok(())
    }

    /// Tells of the times between sender keys.
    fn tell(&self, log: &mut Log) {
        let off = self.intervals.iter().find(|interval| !is_near(**interval, ROTATION));
        let what = "a fresh sender key is announced 5 min after the one before";
        match off {
            _ if self.intervals.is_empty() => {
                log.fault(Fault::new(
                    "8",
                    what,
                    "one each 5 min",
                    format!("none in {} s", self.begun.elapsed().as_secs()),
                ));
            }
            Some(off) => log.fault(Fault::new("8", what, "300 s", format!("{} s", off.as_secs()))),
            None => log.ok("8", what),
        }
    }
}

fn is_near(came: Duration, expected: Duration) -> bool {
    came.abs_diff(expected) <= SLACK
}

/// Waits for a sender key, and does not take it.
async fn takes_no_key(mut stay: Stay, log: &mut Log) -> Result<(), Fault> {
    let fresh = ("8", "a fresh sender key", "one 5 min after the one before");
    let key = |message: &Message| message.kind == m::SENDER_KEY;
    stay.until(log, fresh, ROTATION + SLACK, key).await?;
    let what = "a sender key that is not taken in 60 s ends the call";
    stay.is_refused(log, ("8", what), PATIENCE).await
}

/// Waits for `code` or, of a call that was answered ahead, the end with reason 6.
async fn closes(
    link: &crate::link::Link,
    (section, what): (&'static str, &'static str),
    after: Duration,
    log: &mut Log,
) -> Result<(), Fault> {
    let since = Instant::now();
    let came = link.closed(since + after + SLACK).await;
    let right = came == Came::Close(refusals::HANDSHAKE) && since.elapsed() + Duration::from_secs(1) >= after;
    let ahead = came == Came::Close(m::PROTOCOL_ERROR);
    let expected = format!("the connection's end with code 0x43 after {} s", after.as_secs());
    log.check(
        section,
        what,
        right || ahead,
        &expected,
        format!("{came} after {} s", since.elapsed().as_secs()),
    );
    Ok(())
}

/// Stays with a callee.
pub(crate) async fn of_a_callee(to: &Dialling, options: &Options, ticket: &Ticket, log: &mut Log) {
    let walks = [
        "a handshake that stops",
        "a proof that does not come",
        "half a message",
        "switched that does not come",
        "a sender key that nobody takes",
        "an hour and a half",
        "a ticket that has ended",
    ];
    for name in walks.into_iter().filter(|name| options.takes(name)) {
        log.begin(name);
        let result = Box::pin(stay_with(to, options, ticket, name, log)).await;
        log.end(result);
        breathe().await;
    }
}

async fn stay_with(
    to: &Dialling,
    options: &Options,
    ticket: &Ticket,
    name: &str,
    log: &mut Log,
) -> Result<(), Fault> {
    let mut unheard = Log::new(|_| {});
    match name {
        "a handshake that stops" => {
            let (link, _) = connect(to).await?;
            return closes(&link, ("5", "message 1 is waited for 10 s"), MESSAGE, log).await;
        }
        "a proof that does not come" => {
            let half = half(to, &mut unheard).await?;
            return closes(&half.link, ("5", "confirm is waited for 10 s"), MESSAGE, log).await;
        }
        "a ticket that has ended" => return ended(to, ticket, log).await,
        _ => {}
    }
    let (good, side) = answered(to, options, ticket, &mut unheard).await?;
    let mut stay = Stay::new(good, side);
    match name {
        "half a message" => {
            stay.side.link.write(&[0, 40, 7]).await;
            let what = "a message that does not become whole in 60 s ends the call";
            stay.is_refused(log, ("6", what), PATIENCE).await
        }
        "switched that does not come" => {
            stay.good.withholds_switched = true;
            stay.good.begin_renewal(&mut stay.side).await?;
            let renewed = ("6.1", "a handshake inside the session", "renewed");
            stay.good.until(&mut stay.side, log, renewed, |good, _| good.counter == 1).await?;
            let what = "switched that does not come in 60 s ends the call";
            stay.is_refused(log, ("6.1", what), PATIENCE).await
        }
        "a sender key that nobody takes" => Box::pin(takes_no_key(stay, log)).await,
        _ => {
            let what = "a caller that begins no other handshake for 90 min ends the call";
            let result = stay.is_refused(log, ("6.1", what), LATEST_HANDSHAKE).await;
            stay.tell(log);
            result
        }
    }
}

async fn ended(to: &Dialling, ticket: &Ticket, log: &mut Log) -> Result<(), Fault> {
    let (what, left) = ("a ticket that has ended opens nothing", ticket.expires().0.saturating_sub(wall().0));
    if left > LONGEST {
        log.skip("3", what, format!("it ends in {} h only", left / 3600));
        return Ok(());
    }
    sleep(Duration::from_secs(left + 2)).await;
    let expected = "the connection's end with code 0x40";
    let mut unheard = Log::new(|_| {});
    match half(to, &mut unheard).await {
        Err(fault) if fault.came == Came::Close(NO_TICKET).to_string() => log.ok("3", what),
        Err(fault) => return Err(Fault::new("3", what, expected, fault.came)),
        Ok(_) => return Err(Fault::new("3", what, expected, "message 2")),
    }
    Ok(())
}

/// Stays with a caller; it has to dial once for each.
pub(crate) fn of_a_caller(options: &Options) -> Vec<&'static str> {
    let walks = [
        "message 2 that does not come",
        "a sender key that nobody takes",
        "an hour",
        "renewed that does not come",
    ];
    walks.into_iter().filter(|name| options.takes(name)).collect()
}

/// Is dialled, and stays.
pub(crate) async fn stay_called(
    invitation: &Invitation,
    options: &Options,
    log: &mut Log,
    mut again: impl FnMut(usize, By),
) {
    for (n, name) in of_a_caller(options).into_iter().enumerate() {
        again(n, By::Ticket);
        log.begin(name);
        let result = Box::pin(called(invitation, name, log)).await;
        log.end(result);
    }
}

async fn called(invitation: &Invitation, name: &str, log: &mut Log) -> Result<(), Fault> {
    let mut unheard = Log::new(|_| {});
    let connection = invitation.connection().await?;
    if name == "message 2 that does not come" {
        let greeted = greeted(&invitation.by, connection, &mut unheard).await?;
        return closes(&greeted.link, ("5", "message 2 is waited for 10 s"), MESSAGE, log).await;
    }
    let (good, side) = taken(&invitation.by, connection, &mut unheard).await?;
    let mut stay = Stay::new(good, side);
    if name == "a sender key that nobody takes" {
        return Box::pin(takes_no_key(stay, log)).await;
    }
    let (what, expected) =
        ("the caller begins another handshake an hour after the last", "renew after 3,600 s");
    let renew = ("6.1", what, expected);
    let came = stay.until(log, renew, HANDSHAKE + SLACK, |message| message.kind == m::RENEW).await?;
    let Stayed::Message(message) = came else {
        return Err(Fault::new("6.1", what, expected, "the end of the call"));
    };
    let after = stay.begun.elapsed();
    log.check("6.1", what, is_near(after, HANDSHAKE), expected, format!("renew after {} s", after.as_secs()));
    stay.tell(log);
    if name == "renewed that does not come" {
        let what = "renewed that does not come in 60 s ends the call";
        return stay.is_refused(log, ("6.1", what), PATIENCE).await;
    }
    stay.good.on(&mut stay.side, log, &message).await?;
    let switched = ("6.1", "a handshake inside the session", "switched, in answer to renewed");
    stay.good.until(&mut stay.side, log, switched, |_, side| !side.reads_old()).await?;
    let mut unheard = Log::new(|_| {});
    stay.good.hang_up(&mut stay.side, &mut unheard).await
}
