//! The sessions: which token belongs to which side, where that side is, and where the other one is.
//!
//! Guarantee: a packet is forwarded only if it comes from where its side is bound, and only to where the other side is
//! bound; a side is bound to where its control connection came from, or to an address that it named under its secret
//! and at which it got a cookie. A counter keeps words that were overheard from being used again.

use crate::batch::ByToken;
use crate::limits::{Bucket, Origin};
use aws_lc_rs::hmac;
use kring_net::relay::message::Handle;
use kring_net::relay::shim::{self, BIND_LEN, Bind};
use kring_net::relay::{NoRandomness, Reason, Resume, SessionSecret, Token};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

/// A side that has sent nothing for so long ends the session; clients say every 15 s that they are there.
pub(crate) const SILENCE: Duration = Duration::from_secs(60);

/// Where a side is.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// At an address, which it reaches at this address of the relay.
    Udp(SocketAddr, Option<IpAddr>),
    /// At the end of a TCP connection: the client's number, and its queue.
    Tcp(u64, mpsc::Sender<Vec<u8>>),
}

impl Place {
    fn is(&self, other: &Place) -> bool {
        match (self, other) {
            (Place::Udp(here, _), Place::Udp(there, _)) => here == there,
            (Place::Tcp(here, _), Place::Tcp(there, _)) => here == there,
            _ => false,
        }
    }
}

/// Messages for a client, encoded.
pub(crate) type Replies = mpsc::Sender<Zeroizing<Vec<u8>>>;

/// Who begins a session, or is asked for one.
#[derive(Debug, Clone)]
pub(crate) struct Party {
    /// The client's number.
    pub(crate) client: u64,
    /// Where its packets come from.
    pub(crate) place: Place,
    /// How it is told.
    pub(crate) replies: Replies,
    /// Whose it is.
    pub(crate) origin: Origin,
}

struct Side {
    token: Token,
    secret: SessionSecret,
    client: u64,
    replies: Replies,
    now: Mutex<Now>,
}

/// What changes about a side.
struct Now {
    place: Place,
    counter: u64,
    bucket: Bucket,
    heard: Instant,
}

impl Side {
    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().expect("nothing panics with this lock held")
    }
}

/// A session of two sides; the first dialled.
pub(crate) struct Session {
    sides: [Side; 2],
    /// Whose the session is, for limits.
    pub(crate) dialler: Origin,
    /// At which mailbox it came about, if at one.
    pub(crate) mailbox: Option<kring_net::relay::Mailbox>,
}

impl Session {
    /// What both sides are told when it ends, each with its own handle.
    pub(crate) fn ends(&self) -> impl Iterator<Item = (&Replies, u64, Token)> {
        self.sides.iter().map(|side| (&side.replies, side.client, side.token))
    }
}

/// Why a packet goes nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dropped {
    /// No session has that token.
    UnknownToken,
    /// It comes from somewhere else than its side is bound to.
    WrongPlace,
    /// Its side sends too much.
    TooMuch,
}

/// The table, for as long as it is read: once for a batch of packets. Nobody may read it twice at a time: a change that
/// waits in between would never get its turn.
pub(crate) struct Table<'a> {
    by_token: RwLockReadGuard<'a, ByToken<(Arc<Session>, usize)>>,
    cookies: &'a hmac::Key,
}

impl Table<'_> {
    /// Where a packet of `token` from `from` goes, `bits` long, and under which token; a side may send `limit` bits a second.
    ///
    /// # Errors
    /// Why it goes nowhere.
    pub(crate) fn route(
        &self,
        token: Token,
        from: &Place,
        bits: usize,
        limit: f64,
        now: Instant,
    ) -> Result<(Token, Place), Dropped> {
        let (session, index) = self.by_token.get(&token.0).ok_or(Dropped::UnknownToken)?;
        {
            let mut side = session.sides[*index].now();
            if !side.place.is(from) {
                return Err(Dropped::WrongPlace);
            }
            side.heard = now;
            if !side.bucket.take(bits as f64, limit, burst(limit), now) {
                return Err(Dropped::TooMuch);
            }
        }
        let other = &session.sides[1 - index];
        let place = other.now().place.clone();
        Ok((other.token, place))
    }

    /// Does what a side asks for that says where it is; the answer goes back there, and is as long as what came.
    pub(crate) fn bind(&self, bind: &Bind<'_>, from: Place, now: Instant) -> Option<[u8; BIND_LEN]> {
        let (session, index) = self.by_token.get(&bind.token.0)?;
        let side = &session.sides[*index];
        if !bind.opens(&side.secret) {
            return None;
        }
        let mut now_ = side.now();
        if bind.counter <= now_.counter {
            return None;
        }
        (now_.counter, now_.heard) = (bind.counter, now);
        let (observed, cookie) = match &from {
            Place::Udp(address, _) => (*address, self.cookie(bind.token, *address)),
            // Whoever wrote on a TCP connection also reads from it.
            Place::Tcp(..) => (SocketAddr::from(([0; 4], 0)), bind.cookie),
        };
        let bound = now_.place.is(&from) || bind.cookie == cookie;
        if bound {
            now_.place = from;
        }
        Some(shim::bound(bind, &side.secret, cookie, bound, observed))
    }

    /// Shows that packets arrive at `address`. Nobody else can make one, and nobody can use it elsewhere.
    fn cookie(&self, token: Token, address: SocketAddr) -> u64 {
        let text = format!("{} {address}", token.0);
        let tag = hmac::sign(self.cookies, text.as_bytes());
        u64::from_be_bytes(tag.as_ref()[..8].try_into().expect("SHA-256 has 32 bytes"))
    }
}

/// A quarter of a second's worth, at least a large picture.
fn burst(limit: f64) -> f64 {
    (limit / 4.0).max(256_000.0)
}

/// All sessions.
pub(crate) struct Sessions {
    by_token: RwLock<ByToken<(Arc<Session>, usize)>>,
    cookies: hmac::Key,
}

impl Sessions {
    /// None yet. `cookie_key` is the relay's alone.
    #[must_use]
    pub(crate) fn new(cookie_key: &[u8; 32]) -> Sessions {
        let cookies = hmac::Key::new(hmac::HMAC_SHA256, cookie_key);
        Sessions { by_token: RwLock::default(), cookies }
    }

    /// The table as it is now.
    pub(crate) fn table(&self) -> Table<'_> {
        let by_token = self.by_token.read().expect("nothing panics with this lock held");
        Table { by_token, cookies: &self.cookies }
    }

    fn change(&self) -> RwLockWriteGuard<'_, ByToken<(Arc<Session>, usize)>> {
        self.by_token.write().expect("nothing panics with this lock held")
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.table().by_token.len() / 2
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A new session, and each side's end of it.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub(crate) fn open(
        &self,
        parties: [Party; 2],
        mailbox: Option<kring_net::relay::Mailbox>,
        limit: f64,
        now: Instant,
    ) -> Result<[Handle; 2], NoRandomness> {
        let resume = Resume::generate()?;
        let handle = || {
            let (token, secret) = (Token::generate()?, SessionSecret::generate()?);
            Ok(Handle { token, secret, resume: resume.clone() })
        };
        let handles = [handle()?, handle()?];
        let side = |party: &Party, handle: &Handle| Side {
            token: handle.token,
            secret: handle.secret.clone(),
            client: party.client,
            replies: party.replies.clone(),
            now: Mutex::new(Now {
                place: party.place.clone(),
                counter: 0,
                bucket: Bucket::full(burst(limit), now),
                heard: now,
            }),
        };
        let sides = [side(&parties[0], &handles[0]), side(&parties[1], &handles[1])];
        let session = Arc::new(Session { sides, dialler: parties[0].origin, mailbox });
        let mut table = self.change();
        for (index, handle) in handles.iter().enumerate() {
            table.insert(handle.token.0, (session.clone(), index));
        }
        Ok(handles)
    }

    /// Ends the session of which `client` has the side `token`.
    pub(crate) fn close(&self, token: Token, client: u64) -> Option<Arc<Session>> {
        let mut table = self.change();
        let (session, index) = table.get(&token.0)?.clone();
        if session.sides[index].client != client {
            return None;
        }
        for side in &session.sides {
            table.remove(&side.token.0);
        }
        Some(session)
    }

    /// Ends the sessions of which a side has been silent for too long.
    pub(crate) fn expire(&self, now: Instant) -> Vec<(Arc<Session>, Reason)> {
        let silent = |session: &Session| {
            let silence = |side: &Side| now.saturating_duration_since(side.now().heard);
            session.sides.iter().any(|side| silence(side) > SILENCE)
        };
        let mut over = Vec::new();
        self.change().retain(|_, (session, index)| {
            let silent = silent(session);
            if silent && *index == 0 {
                over.push((session.clone(), Reason::Silent));
            }
            !silent
        });
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kring_net::relay::shim::{Packet, parse};

    const LIMIT: f64 = 1e6;

    fn udp(text: &str) -> Place {
        Place::Udp(text.parse().unwrap(), None)
    }

    fn party(client: u64, place: Place) -> (Party, mpsc::Receiver<Zeroizing<Vec<u8>>>) {
        let (replies, told) = mpsc::channel(4);
        let origin = Origin::from(IpAddr::from([192, 0, 2, client as u8]));
        (Party { client, place, replies, origin }, told)
    }

    struct Pair {
        sessions: Sessions,
        handles: [Handle; 2],
        now: Instant,
    }

    impl Pair {
        fn new() -> Pair {
            let (sessions, now) = (Sessions::new(&[1; 32]), Instant::now());
            let parties = [party(1, udp("192.0.2.1:1")).0, party(2, udp("192.0.2.2:2")).0];
            let handles = sessions.open(parties, None, LIMIT, now).unwrap();
            Pair { sessions, handles, now }
        }

        fn route(&self, token: Token, from: &Place) -> Result<(Token, String), Dropped> {
            let routed = self.sessions.table().route(token, from, 1000, LIMIT, self.now);
            routed.map(|(token, place)| (token, format!("{place:?}")))
        }

        /// Whether the relay took it, with the cookie it gave; `None` if it did not answer.
        fn bind(&self, side: usize, counter: u64, cookie: u64, from: &Place) -> Option<(bool, u64)> {
            let Handle { token, secret, .. } = &self.handles[side];
            let sent = shim::bind(*token, secret, counter, cookie);
            let Some(Packet::Bind(read)) = parse(&sent) else { panic!("a bind") };
            let answer = self.sessions.table().bind(&read, from.clone(), self.now)?;
            let Some(Packet::Bound(answer)) = parse(&answer) else { panic!("an answer") };
            assert!(answer.opens(secret));
            Some((answer.bound, answer.cookie))
        }
    }

    #[test]
    fn packets_go_from_one_side_to_the_other_under_its_token() {
        let pair = Pair::new();
        let [a, b] = [pair.handles[0].token, pair.handles[1].token];
        let (there, back) = (pair.route(a, &udp("192.0.2.1:1")), pair.route(b, &udp("192.0.2.2:2")));
        assert_eq!(there, Ok((b, format!("{:?}", udp("192.0.2.2:2")))));
        assert_eq!(back, Ok((a, format!("{:?}", udp("192.0.2.1:1")))));
    }

    #[test]
    fn a_guessed_or_overheard_token_is_of_no_use_elsewhere() {
        let pair = Pair::new();
        let token = pair.handles[0].token;
        assert_eq!(pair.route(token, &udp("192.0.2.9:1")), Err(Dropped::WrongPlace));
        assert_eq!(pair.route(token, &udp("192.0.2.1:9")), Err(Dropped::WrongPlace));
        assert_eq!(pair.route(Token(token.0 ^ 1), &udp("192.0.2.1:1")), Err(Dropped::UnknownToken));
    }

    #[test]
    fn a_new_address_counts_after_a_mac_and_a_cookie_received_there() {
        let pair = Pair::new();
        let (new, token) = (udp("198.51.100.1:7"), pair.handles[0].token);
        let (bound, cookie) = pair.bind(0, 1, 0, &new).unwrap();
        assert!(!bound && pair.route(token, &new).is_err());
        let elsewhere = udp("198.51.100.2:7");
        assert!(!pair.bind(0, 2, cookie, &elsewhere).unwrap().0, "a cookie is for one address");
        assert!(pair.bind(0, 3, cookie, &new).unwrap().0);
        assert!(pair.route(token, &new).is_ok());
        assert!(pair.route(token, &udp("192.0.2.1:1")).is_err(), "the old address is over");
    }

    #[test]
    fn a_replayed_or_forged_bind_is_not_answered() {
        let pair = Pair::new();
        let new = udp("198.51.100.1:7");
        assert!(pair.bind(0, 5, 0, &new).is_some());
        assert!(pair.bind(0, 5, 0, &new).is_none() && pair.bind(0, 4, 0, &new).is_none());
        let forged = shim::bind(pair.handles[0].token, &pair.handles[1].secret, 6, 0);
        let Some(Packet::Bind(read)) = parse(&forged) else { panic!("a bind") };
        assert!(pair.sessions.table().bind(&read, new, pair.now).is_none());
    }

    #[test]
    fn a_side_that_sends_too_much_is_cut() {
        let pair = Pair::new();
        let from = udp("192.0.2.1:1");
        let token = pair.handles[0].token;
        let through = (0..1000).filter(|_| pair.route(token, &from).is_ok()).count();
        assert_eq!(through, 256);
        assert_eq!(pair.route(token, &from), Err(Dropped::TooMuch));
    }

    #[test]
    fn only_its_own_client_closes_a_session_and_silence_ends_it() {
        let pair = Pair::new();
        assert!(pair.sessions.close(pair.handles[0].token, 2).is_none());
        assert_eq!(pair.sessions.len(), 1);
        assert!(pair.sessions.expire(pair.now + SILENCE).is_empty());
        let later = pair.now + SILENCE + Duration::from_secs(1);
        assert_eq!(pair.sessions.expire(later).len(), 1);
        assert!(pair.sessions.is_empty());

        let pair = Pair::new();
        assert!(pair.sessions.close(pair.handles[1].token, 2).is_some());
        assert!(pair.sessions.is_empty());
    }
}
