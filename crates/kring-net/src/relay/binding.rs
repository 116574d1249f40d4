//! Keeps a session's side bound to the address that this side's packets come from: a value without socket or clock.
//!
//! Guarantee: while nothing answers, packets of 60 bytes ever further apart, from 100 ms to 2 s; when all is well, one in
//! 15 s, which also keeps NATs open; an answer that its MAC does not prove changes nothing.

use super::message::Handle;
use super::shim::{self, BIND_LEN, Bound};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::Instant;

/// How often a bound side says that it is still there; UDP mappings of NATs last 30 s and more (RFC 4787, section 4.3,
/// wants two minutes).
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long the first answer is waited for; twice that for the next, up to `MOST_WAIT`.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest wait for an answer.
const MOST_WAIT: Duration = Duration::from_secs(2);

/// One side's binding.
#[derive(Debug)]
pub struct Binding {
    handle: Handle,
    counter: u64,
    cookie: u64,
    /// The counter from which on an answer counts: of the last change of address.
    since: u64,
    bound: bool,
    unanswered: u32,
    due: Instant,
}

impl Binding {
    /// That of a session just told of, whose side is bound to where the control connection comes from.
    #[must_use]
    pub fn new(handle: Handle, now: Instant) -> Binding {
        let due = now + KEEP_ALIVE;
        Binding { handle, counter: 0, cookie: 0, since: 0, bound: true, unanswered: 0, due }
    }

    /// This side's end of the session.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Whether the relay is known to send to the current address.
    #[must_use]
    pub fn is_bound(&self) -> bool {
        self.bound
    }

    /// This side's address may have changed: tells the relay at once.
    pub fn moved(&mut self, now: Instant) {
        (self.bound, self.unanswered) = (false, 0);
        self.since = self.counter + 1;
        self.due = now;
    }

    /// When [`poll`](Binding::poll) is to be called next.
    #[must_use]
    pub fn due(&self) -> Instant {
        self.due
    }

    /// The packet that has to go to the relay now, if one has.
    pub fn poll(&mut self, now: Instant) -> Option<[u8; BIND_LEN]> {
        if now < self.due {
            return None;
        }
        self.counter += 1;
        self.due = now + FIRST_WAIT.saturating_mul(1 << self.unanswered.min(8)).min(MOST_WAIT);
        self.unanswered = self.unanswered.saturating_add(1);
        Some(shim::bind(self.handle.token, &self.handle.secret, self.counter, self.cookie))
    }

    /// The relay's answer. Where it sees this side, if the answer is one and new.
    pub fn handle_bound(&mut self, answer: &Bound<'_>, now: Instant) -> Option<SocketAddr> {
        let current = (self.since..=self.counter).contains(&answer.counter) && answer.counter > 0;
        if answer.token != self.handle.token || !current || !answer.opens(&self.handle.secret) {
            return None;
        }
        self.since = answer.counter + 1;
        self.cookie = answer.cookie;
        self.unanswered = 0;
        self.bound = answer.bound;
        self.due = if answer.bound { now + KEEP_ALIVE } else { now };
        Some(answer.observed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::shim::{Packet, bind, bound, parse};
    use crate::relay::{Resume, SessionSecret, Token};

    fn handle() -> Handle {
        Handle {
            token: Token(7),
            secret: SessionSecret::generate().unwrap(),
            resume: Resume::generate().unwrap(),
        }
    }

    /// What a relay answers to `sent`.
    fn answer(handle: &Handle, sent: &[u8], cookie: u64, is_bound: bool) -> [u8; BIND_LEN] {
        let Some(Packet::Bind(read)) = parse(sent) else { panic!("a bind") };
        bound(&read, &handle.secret, cookie, is_bound, "192.0.2.1:9".parse().unwrap())
    }

    fn told(binding: &mut Binding, answer: &[u8], now: Instant) -> bool {
        let Some(Packet::Bound(read)) = parse(answer) else { panic!("an answer") };
        binding.handle_bound(&read, now).is_some()
    }

    #[test]
    fn a_move_is_told_at_once_and_again_with_the_cookie_that_came_back() {
        let (handle, mut now) = (handle(), Instant::now());
        let mut binding = Binding::new(handle.clone(), now);
        assert!(binding.is_bound() && binding.poll(now).is_none());
        binding.moved(now);
        let first = binding.poll(now).expect("at once");
        assert!(!binding.is_bound() && binding.poll(now).is_none());
        assert!(told(&mut binding, &answer(&handle, &first, 77, false), now));
        let second = binding.poll(now).expect("at once");
        let Some(Packet::Bind(read)) = parse(&second) else { panic!("a bind") };
        assert_eq!((read.counter, read.cookie), (2, 77));
        assert!(told(&mut binding, &answer(&handle, &second, 77, true), now));
        assert!(binding.is_bound());
        now += KEEP_ALIVE;
        assert!(binding.poll(now).is_some());
    }

    #[test]
    fn forged_repeated_and_late_answers_change_nothing() {
        let (handle, now) = (handle(), Instant::now());
        let mut binding = Binding::new(handle.clone(), now);
        binding.moved(now);
        let first = binding.poll(now).unwrap();
        let other = Handle { secret: SessionSecret::generate().unwrap(), ..handle.clone() };
        assert!(!told(&mut binding, &answer(&other, &first, 1, true), now));
        let future = bind(handle.token, &handle.secret, 9, 0);
        assert!(!told(&mut binding, &answer(&handle, &future, 1, true), now));
        binding.moved(now);
        assert!(!told(&mut binding, &answer(&handle, &first, 1, true), now), "of before the move");
        let second = binding.poll(now).unwrap();
        let right = answer(&handle, &second, 1, true);
        assert!(told(&mut binding, &right, now) && !told(&mut binding, &right, now));
    }

    #[test]
    fn while_nothing_answers_packets_get_rarer() {
        let begin = Instant::now();
        let mut binding = Binding::new(handle(), begin);
        binding.moved(begin);
        let mut sent = 0;
        for ms in 0..20_000 {
            sent += u32::from(binding.poll(begin + Duration::from_millis(ms)).is_some());
        }
        assert!((10..16).contains(&sent), "{sent}");
    }
}
