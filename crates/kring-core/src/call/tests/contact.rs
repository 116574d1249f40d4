//! Two who talk get a secret by which they can call again.

use super::*;
use crate::contact::{ContactKey, Contacts};
use crate::handshake::Pass;
use crate::issued::IssuedTickets;

impl Two {
    fn offer_contact(&mut self, role: Role) {
        let identity = self.identities[usize::from(role == Role::Callee)].clone();
        self.side(role).offer_contact(&identity).unwrap();
    }

    fn offered(roles: &[Role]) -> Two {
        let mut two = Two::talking();
        for role in roles {
            two.offer_contact(*role);
        }
        two.run(Duration::from_millis(40));
        two
    }

    fn keys(&mut self) -> [Option<ContactKey>; 2] {
        [self.caller.take_contact_key(), self.callee.take_contact_key()]
    }
}

const BOTH: [Role; 2] = [Role::Caller, Role::Callee];

#[test]
fn both_get_the_same_secret_and_the_call_goes_on() {
    let mut two = Two::offered(&BOTH);
    assert_eq!(
        (two.saw(Role::Caller, &Event::ContactKey), two.saw(Role::Callee, &Event::ContactKey)),
        (1, 1)
    );
    let [Some(a), Some(b)] = two.keys() else { panic!("no secret") };
    assert_eq!((a.id(), a.generation()), (b.id(), 1));
    assert_eq!((a.own_noise(), a.peer_noise()), (b.peer_noise(), b.own_noise()));
    assert!(two.caller.take_contact_key().is_none());
    assert_eq!(
        (*two.caller.line.by.psk0, *two.callee.line.by.psk0),
        ([0; 32], [0; 32]),
        "what it was made of is wiped"
    );
    // Both directions were rekeyed alike.
    two.caller.tell_addresses(&["192.0.2.9:1".parse().unwrap()]);
    two.callee.announce_recording(true);
    two.run(Duration::from_millis(40));
    assert_eq!(two.saw(Role::Callee, &Event::Reach(vec!["192.0.2.9:1".parse().unwrap()])), 1);
    assert_eq!(two.saw(Role::Caller, &Event::PeerRecording(true)), 1);
    assert!(two.caller.is_talking() && two.callee.is_talking());
}

#[test]
fn another_call_gives_another_secret() {
    let mut ids = Vec::new();
    for _ in 0..3 {
        let [Some(key), _] = Two::offered(&BOTH).keys() else { panic!("no secret") };
        assert!(!ids.contains(&key.id()));
        ids.push(key.id());
    }
}

#[test]
fn nothing_comes_of_it_unless_both_take_part() {
    for role in BOTH {
        let mut two = Two::offered(&[role]);
        assert!(two.keys().iter().all(Option::is_none));
        assert!(two.caller.is_talking() && two.callee.is_talking());
    }
}

#[test]
fn nothing_is_offered_or_told_before_the_answer() {
    let mut two = Two::new();
    for role in BOTH {
        two.offer_contact(role);
        two.side(role).tell_addresses(&["192.0.2.9:1".parse().unwrap()]);
    }
    two.run(Duration::from_millis(40));
    assert!(!two.caller.is_over() && !two.callee.is_over());
    let nothing = |e: &Event| matches!(e, Event::Ringing | Event::Code(_));
    assert!(two.seen.iter().all(|(_, e)| nothing(e)), "{:?}", two.seen);
}

#[test]
fn a_second_offer_or_one_by_somebody_else_ends_the_call() {
    let violation = Some((Reason::ProtocolError, EndedBy::Local));
    let mut two = Two::offered(&BOTH);
    two.caller.contact = Default::default();
    two.offer_contact(Role::Caller);
    two.run(Duration::from_millis(40));
    assert_eq!(two.ended(Role::Callee), violation);

    let mut two = Two::talking();
    let other = two.identities[1].clone();
    two.caller.offer_contact(&other).unwrap();
    two.run(Duration::from_millis(40));
    assert_eq!(two.ended(Role::Callee), violation);
}

/// The two dial again, the former callee first, without a ticket.
#[test]
fn contacts_dial_each_other_without_a_ticket_and_only_they() {
    let provider: Arc<dyn Provider> = Arc::new(AwsLc);
    let binding = Binding::Quic([8; 32]);
    let mut two = Two::offered(&BOTH);
    let [a, b] = two.identities.clone();
    let [Some(at_a), Some(at_b)] = two.keys() else { panic!("no secret") };
    let mut contacts = Contacts::default();
    contacts.keep("Ben", b.public(), Some(at_a), &[], NOW).unwrap();
    let mut acceptor = Acceptor::new(a.clone(), provider.clone());
    acceptor.admit(&IssuedTickets::default(), &contacts);

    let (mut dial, hello) = Dial::contact(&b, (a.public(), &at_b), binding, NOW, &provider).unwrap();
    let mut accept = Accept::new(binding);
    let Ok(Progress::Reply(second)) = accept.handle(&hello, &mut acceptor, NOW) else { panic!("no reply") };
    let (session, confirm) = dial.handle(&second, b"", NOW).unwrap().unwrap();
    assert_eq!(session.peer(), a.public());
    let Ok(Progress::Done(answered)) = accept.handle(&confirm, &mut acceptor, NOW) else {
        panic!("not confirmed")
    };
    assert_eq!((answered.peer(), answered.pass()), (b.public(), Pass::Contact(b.public(), at_b.id())));

    // Somebody else who has got hold of the secret proves to be somebody else.
    let thief = Identity::generate(&*provider, NOW).unwrap();
    let (mut dial, hello) = Dial::contact(&thief, (a.public(), &at_b), binding, NOW, &provider).unwrap();
    let mut accept = Accept::new(binding);
    let Ok(Progress::Reply(second)) = accept.handle(&hello, &mut acceptor, NOW) else { panic!("no reply") };
    let (_, confirm) = dial.handle(&second, b"", NOW).unwrap().unwrap();
    assert!(accept.handle(&confirm, &mut acceptor, NOW).is_err());
    assert_eq!((acceptor.counters().completed, acceptor.counters().invalid), (1, 1));
}
