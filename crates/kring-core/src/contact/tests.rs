use super::*;
use crate::crypto::aws_lc::AwsLc;
use crate::identity::Identity;
use crate::kept::KeptError;
use zeroize::Zeroizing;

const NOW: WallTime = WallTime(1_800_000_000);

fn identity(n: u8) -> PublicIdentity {
    PublicIdentity::from([n; 32])
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

/// The key that both sides make of `old`, which are told apart by `n`.
fn after(old: (&Zeroizing<[u8; 32]>, u64), n: u32) -> ContactKey {
    let mut random = Zeroizing::new([0; 32]);
    random[..4].copy_from_slice(&n.to_be_bytes());
    ContactKey::derive(old, &[1; 32], (&random, &random), ([2; 32], [3; 32]))
}

fn first(n: u32) -> ContactKey {
    after((&Zeroizing::new([9; 32]), 0), n)
}

fn ticket_of(identity: &Identity) -> Ticket {
    Ticket::issue(identity, &[address(9), address(9)], WallTime(NOW.0 + 60), &AwsLc).unwrap()
}

fn a_few() -> Contacts {
    let mut all = Contacts::default();
    all.keep("Anna", identity(1), Some(first(1)), &[address(1), address(2)], NOW).unwrap();
    all.renewed(&identity(1), Some(first(2)), &[address(2)], NOW);
    all.add("Ben", ticket_of(&Identity::generate(&AwsLc, NOW).unwrap()), NOW).unwrap();
    all.keep("Çem Öz", identity(3), None, &["[2001:db8::1]:7".parse().unwrap()], NOW).unwrap();
    all.set_verified("Çem Öz", true).unwrap();
    all.block(identity(3).fingerprint(), NOW);
    all.block(identity(4).fingerprint(), NOW);
    all
}

#[test]
fn contacts_survive_being_kept() {
    let all = a_few();
    let back = Contacts::decode(&all.encode()).unwrap();
    assert_eq!(back.encode(), all.encode());
    let [anna, ben, cem] = &back.list[..] else { panic!("three contacts") };
    assert_eq!((anna.name(), anna.identity(), anna.last_call()), ("Anna", Some(identity(1)), Some(NOW)));
    assert_eq!(anna.keys().map(ContactKey::id).collect::<Vec<_>>(), [first(2).id(), first(1).id()]);
    assert_eq!(anna.addresses(), [address(2), address(1)]);
    assert!(ben.ticket().is_some() && ben.identity().is_none());
    assert!(cem.verified() && !anna.verified() && cem.keys().next().is_none());
    assert_eq!(back.blocked().len(), 2);
}

#[test]
fn no_damage_of_the_file_goes_unseen() {
    let good = a_few().encode();
    for n in 8..good.len() {
        assert_eq!(Contacts::decode(&good[..n]).err(), Some(KeptError::Checksum), "{n} bytes");
    }
    for at in 9..good.len() {
        let mut bad = good.to_vec();
        bad[at] ^= 0x20;
        assert_eq!(Contacts::decode(&bad).err(), Some(KeptError::Checksum), "byte {at}");
    }
    assert!(matches!(Contacts::decode(b"hello there"), Err(KeptError::Other { .. })));
}

#[test]
fn a_file_that_breaks_a_promise_is_refused_though_its_checksum_fits() {
    let malformed = |change: fn(&mut Contacts)| {
        let mut all = a_few();
        change(&mut all);
        assert_eq!(Contacts::decode(&all.encode()).err(), Some(KeptError::Malformed));
    };
    malformed(|all| all.list[1].name = "ANNA".into());
    malformed(|all| all.list[1].name = "a\u{1b}[2J".into());
    malformed(|all| all.list[0].fingerprint = identity(9).fingerprint());
    malformed(|all| all.list[0].identity = None);
    malformed(|all| all.list[0].addresses.push(address(0)));
    malformed(|all| all.list[0].addresses.push(address(1)));
    malformed(|all| all.list[0].keys.push(after((&Zeroizing::new([0; 32]), 7), 1)));
    malformed(|all| all.list[2].keys.push(first(1)));
    malformed(|all| all.list.push(all.list[1].clone()));
    malformed(|all| all.blocked.push(all.blocked[0]));
}

#[test]
fn nobody_takes_a_contacts_name_or_place() {
    let mut all = a_few();
    for name in ["Anna", "anna", "ÇEM öz"] {
        let taken = all.keep(name, identity(8), None, &[], NOW);
        assert!(matches!(taken, Err(ContactError::Taken { .. })), "{name}: {taken:?}");
    }
    // Whoever is a contact already stays what they are called.
    all.keep("Eve", identity(1), None, &[], NOW).unwrap();
    assert_eq!(all.of(&identity(1).fingerprint()).unwrap().name(), "Anna");
    assert_eq!(all.rename("anna", "ben").err().map(|e| e.to_string().contains("\"ben\"")), Some(true));
    all.rename("anna", "ANNA").unwrap();
    all.rename("ANNA", "Zoe").unwrap();
    assert!(all.named("anna").is_err() && all.named("zoe").is_ok());
}

#[test]
fn what_cannot_be_a_name_is_refused() {
    let long = "x".repeat(65);
    for name in ["", " a", "a ", "a\nb", "\u{202e}x", "@file", "-h", "kring1abc", "KRING2", &long] {
        assert!(matches!(check_name(name), Err(ContactError::Name { .. })), "{name:?}");
    }
    for name in ["kring", "Kringle", "x", "Anna-Marie 2", "安娜", &"ü".repeat(64)] {
        assert_eq!(check_name(name), Ok(()), "{name:?}");
    }
}

#[test]
fn who_is_blocked_or_removed_has_no_secret_any_more() {
    let mut all = a_few();
    all.block(identity(1).fingerprint(), NOW);
    assert!(all.named("Anna").unwrap().keys().next().is_none());
    assert!(matches!(
        all.keep("Anna", identity(1), Some(first(5)), &[], NOW),
        Err(ContactError::Blocked { .. })
    ));
    assert!(all.unblock(&identity(1).fingerprint()) && !all.unblock(&identity(1).fingerprint()));
    all.remove("Anna").unwrap();
    assert!(all.of(&identity(1).fingerprint()).is_none());
    assert!(!all.renewed(&identity(1), Some(first(6)), &[], NOW));
    assert!(Contacts::decode(&all.encode()).is_ok());
}

#[test]
fn a_blocked_contact_gets_no_secret_by_a_call_that_is_under_way() {
    let mut all = a_few();
    all.block(identity(1).fingerprint(), NOW);
    all.renewed(&identity(1), Some(first(5)), &[], NOW);
    assert!(all.named("Anna").unwrap().keys().next().is_none());
    assert!(Contacts::decode(&all.encode()).is_ok());
}

#[test]
fn there_are_bounds() {
    let mut all = Contacts::default();
    let nth = |n: usize| {
        let mut bytes = [7; 32];
        bytes[..8].copy_from_slice(&(n as u64).to_be_bytes());
        PublicIdentity::from(bytes)
    };
    for n in 0..MAX_CONTACTS {
        all.keep(&format!("c{n}"), nth(n), None, &[], NOW).unwrap();
    }
    assert_eq!(all.keep("more", nth(MAX_CONTACTS), None, &[], NOW), Err(ContactError::Full));
    let ports: Vec<_> = (1..50).map(address).collect();
    all.reached(&nth(0), &ports);
    assert_eq!(all.named("c0").unwrap().addresses().len(), MAX_ADDRESSES);
    for n in 0..20 {
        all.renewed(&nth(0), Some(first(n)), &[], NOW);
    }
    assert_eq!(all.named("c0").unwrap().keys().count(), MAX_KEYS);
    for n in 0..MAX_BLOCKED + 5 {
        all.block(nth(n + 10_000).fingerprint(), NOW);
    }
    assert_eq!(all.blocked().len(), MAX_BLOCKED);
    assert!(Contacts::decode(&all.encode()).is_ok());
}

/// One of two contacts: what it has in memory, and what is on its disk.
struct Side {
    contacts: Contacts,
    disk: Vec<u8>,
    peer: PublicIdentity,
}

impl Side {
    fn new(peer: PublicIdentity) -> Side {
        let mut contacts = Contacts::default();
        contacts.keep("the other", peer, Some(first(0)), &[], NOW).unwrap();
        let disk = contacts.encode().to_vec();
        Side { contacts, disk, peer }
    }

    fn save(&mut self) {
        self.disk = self.contacts.encode().to_vec();
    }

    fn crash(&mut self) {
        self.contacts = Contacts::decode(&self.disk).unwrap();
    }

    fn keys(&self) -> impl Iterator<Item = &ContactKey> {
        self.contacts.of(&self.peer.fingerprint()).unwrap().keys()
    }

    fn used(&mut self, key: ContactKeyId) {
        self.contacts.used(&self.peer, key);
    }

    fn renewed(&mut self, key: &ContactKey) {
        self.contacts.renewed(&self.peer, Some(key.clone()), &[], NOW);
    }
}

/// The first secret that the other side has too, as dialling finds it.
fn in_common(caller: &Side, callee: &Side) -> Option<ContactKey> {
    caller.keys().find(|key| callee.keys().any(|k| k.id() == key.id())).cloned()
}

fn two() -> [Side; 2] {
    [Side::new(identity(2)), Side::new(identity(1))]
}

/// A call after which of each side's two writes so many are on its disk, then both crash.
fn call(sides: &mut [Side; 2], caller: usize, writes: [usize; 2], n: u32) {
    let key = in_common(&sides[caller], &sides[1 - caller]).expect("the two can call each other");
    let new = after((key.psk0(), key.generation()), n);
    for (side, writes) in sides.iter_mut().zip(writes) {
        side.used(key.id());
        if writes > 0 {
            side.save();
        }
        side.renewed(&new);
        if writes > 1 {
            side.save();
        }
        side.crash();
    }
}

#[test]
fn whatever_the_two_had_written_when_they_crashed_they_can_call_each_other_again() {
    // Every combination, four calls in a row.
    let combinations = 2 * 3 * 3;
    for story in 0..u32::pow(combinations, 4) {
        let mut sides = two();
        let mut rest = story;
        for n in 0..4 {
            let now = rest % combinations;
            rest /= combinations;
            call(&mut sides, (now % 2) as usize, [(now / 2 % 3) as usize, (now / 6) as usize], n + 1);
        }
        let [a, b] = &sides;
        assert!(in_common(a, b).is_some() && in_common(b, a).is_some(), "story {story}");
    }
}

#[test]
fn without_crashes_one_secret_is_used_and_one_waits() {
    let mut sides = two();
    let old = sides[0].keys().next().unwrap().id();
    for n in 0..10 {
        call(&mut sides, n as usize % 2, [2, 2], n + 1);
        assert_eq!(sides[0].keys().count(), 2);
    }
    assert!(sides.iter().all(|side| side.keys().all(|key| key.id() != old)));
}

/// A call under way: who dialled, with what, what it makes, and which of its steps each side has done.
struct Session {
    caller: usize,
    key: ContactKey,
    new: ContactKey,
    used: [bool; 2],
    renewed: [bool; 2],
}

#[test]
fn calls_that_cross_and_crash_leave_a_secret_in_common() {
    for seed in 1..3000_u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut draw = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let mut sides = two();
        let mut sessions: Vec<Session> = Vec::new();
        for n in 0..80 {
            let side = draw(2) as usize;
            match draw(12) {
                0..=2 if sessions.len() < 2 => {
                    let found = in_common(&sides[side], &sides[1 - side]);
                    let key = found.unwrap_or_else(|| panic!("seed {seed}, step {n}: nothing in common"));
                    let new = after((key.psk0(), key.generation()), n + 1);
                    sessions.push(Session { caller: side, key, new, used: [false; 2], renewed: [false; 2] });
                }
                // A crash ends all calls.
                3 => {
                    sides[side].crash();
                    sessions.clear();
                }
                4 if !sessions.is_empty() => {
                    sessions.swap_remove(draw(sessions.len() as u64) as usize);
                }
                _ if !sessions.is_empty() => {
                    let at = draw(sessions.len() as u64) as usize;
                    let session = &mut sessions[at];
                    // The caller knows by message 2, the callee by `confirm`; random values follow that.
                    if !session.used[session.caller] || !session.used[1 - session.caller] {
                        let who =
                            if session.used[session.caller] { 1 - session.caller } else { session.caller };
                        session.used[who] = true;
                        sides[who].used(session.key.id());
                        if draw(2) == 0 {
                            sides[who].save();
                        }
                    } else if !session.renewed[side] {
                        session.renewed[side] = true;
                        sides[side].renewed(&session.new);
                        sides[side].save();
                    }
                }
                _ => {}
            }
        }
        assert!(in_common(&sides[0], &sides[1]).is_some(), "seed {seed}");
    }
}
