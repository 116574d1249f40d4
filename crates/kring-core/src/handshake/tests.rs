mod admission;

use super::*;
use crate::crypto::aws_lc::AwsLc;
use crate::identity::Identity;
use crate::ticket::Ticket;
use crate::time::WallTime;
use snow::params::CipherChoice;
use snow::resolvers::CryptoResolver;
use snow::types::{Cipher, Dh, Hash, Kem, Random};
use x25519_dalek::{PublicKey, StaticSecret};

const NOW: WallTime = WallTime(1_800_000_000);
const WIRE: Binding = Binding::Quic([7; 32]);

struct Pair {
    provider: Arc<dyn Provider>,
    caller: Identity,
    callee: Arc<Identity>,
    acceptor: Acceptor,
    ticket: Ticket,
}

fn pair() -> Pair {
    let provider: Arc<dyn Provider> = Arc::new(AwsLc);
    let caller = Identity::generate(&*provider, NOW).unwrap();
    let callee = Arc::new(Identity::generate(&*provider, NOW).unwrap());
    let ticket =
        Ticket::issue(&callee, &["192.0.2.1:9".parse().unwrap()], WallTime(NOW.0 + 3600), &*provider)
            .unwrap();
    let mut acceptor = Acceptor::new(callee.clone(), provider.clone());
    acceptor.add(&ticket);
    Pair { provider, caller, callee, acceptor, ticket }
}

impl Pair {
    fn dial(&self) -> (Dial, Vec<u8>) {
        Dial::new(&self.caller, &self.ticket, WIRE, NOW, &self.provider).unwrap()
    }
}

fn reply(progress: Progress) -> Vec<u8> {
    match progress {
        Progress::Reply(bytes) => bytes,
        Progress::Waiting => panic!("waits for more"),
        Progress::Done(_) => panic!("done before confirm"),
    }
}

fn done(progress: Progress) -> Box<Session> {
    match progress {
        Progress::Done(session) => session,
        _ => panic!("not done"),
    }
}

#[test]
fn both_sides_prove_themselves_and_share_a_channel() {
    let mut p = pair();
    let (mut dial, hello) = p.dial();
    let mut accept = Accept::new(WIRE);
    let second = reply(accept.handle(&hello, &mut p.acceptor, NOW).unwrap());
    let (mut caller, confirm) = dial.handle(&second, b"offer", NOW).unwrap().unwrap();
    let mut callee = done(accept.handle(&confirm, &mut p.acceptor, NOW).unwrap());
    assert_eq!(caller.peer, p.callee.public());
    assert_eq!(callee.peer, p.caller.public());
    assert_eq!(callee.offer, b"offer");
    assert_eq!(caller.line.handshake_hash, callee.line.handshake_hash);
    assert_eq!(caller.line.call_id, callee.line.call_id);
    assert_eq!(p.acceptor.counters().completed, 1);

    // The channel rekeys one direction after a secret, and only that one.
    let mut wire = Vec::new();
    caller.line.channel.seal(b"secret", true, &mut wire).unwrap();
    caller.line.channel.seal(b"after", false, &mut wire).unwrap();
    callee.line.reader.push(&wire);
    let frame = callee.line.reader.next(1000).unwrap().unwrap().to_vec();
    assert_eq!(&callee.line.channel.open(&frame).unwrap()[..], b"secret");
    callee.line.channel.rekey_incoming();
    let frame = callee.line.reader.next(1000).unwrap().unwrap().to_vec();
    assert_eq!(&callee.line.channel.open(&frame).unwrap()[..], b"after");
}

#[test]
fn bytes_may_come_one_by_one() {
    let mut p = pair();
    let (mut dial, hello) = p.dial();
    let mut accept = Accept::new(WIRE);
    let mut second = Vec::new();
    for byte in hello {
        if let Progress::Reply(r) = accept.handle(&[byte], &mut p.acceptor, NOW).unwrap() {
            second = r;
        }
    }
    let mut confirm = Vec::new();
    for byte in second {
        if let Some((_, c)) = dial.handle(&[byte], b"", NOW).unwrap() {
            confirm = c;
        }
    }
    let (last, first) = confirm.split_last().unwrap();
    assert!(matches!(accept.handle(first, &mut p.acceptor, NOW), Ok(Progress::Waiting)));
    done(accept.handle(&[*last], &mut p.acceptor, NOW).unwrap());
}

#[test]
fn a_replayed_first_message_is_dropped() {
    let mut p = pair();
    let (_, hello) = p.dial();
    reply(Accept::new(WIRE).handle(&hello, &mut p.acceptor, NOW).unwrap());
    let again = Accept::new(WIRE).handle(&hello, &mut p.acceptor, NOW);
    assert_eq!(again.err(), Some(HandshakeError::Replayed));
    assert_eq!(p.acceptor.counters().replayed, 1);
}

#[test]
fn a_replayed_first_message_and_an_emptied_cache_ring_nothing() {
    let mut p = pair();
    let (_, hello) = p.dial();
    reply(Accept::new(WIRE).handle(&hello, &mut p.acceptor, NOW).unwrap());
    p.acceptor.forget_first_messages();
    let mut accept = Accept::new(WIRE);
    // It is answered, since nothing in it is wrong; but whoever replays it cannot make a confirm.
    reply(accept.handle(&hello, &mut p.acceptor, NOW).unwrap());
    let mut forged = vec![0, 80];
    forged.extend_from_slice(&[0x55; 80]);
    assert_eq!(accept.handle(&forged, &mut p.acceptor, NOW).err(), Some(HandshakeError::Noise));
    assert_eq!(accept.handle(&forged, &mut p.acceptor, NOW).err(), Some(HandshakeError::Failed));
    assert_eq!(p.acceptor.counters().completed, 0);
}

/// X25519 for a thief: claims the victim's public key, and computes `ss` from the callee's stolen secret instead.
struct Forger {
    stolen: [u8; 32],
    victim: [u8; 32],
    callee: [u8; 32],
}

impl Dh for Forger {
    fn name(&self) -> &'static str {
        "25519"
    }
    fn pub_len(&self) -> usize {
        32
    }
    fn priv_len(&self) -> usize {
        32
    }
    fn set(&mut self, _: &[u8]) {}
    fn generate(&mut self, _: &mut dyn Random) -> Result<(), snow::Error> {
        unreachable!("the static key is set")
    }
    fn pubkey(&self) -> &[u8] {
        &self.victim
    }
    fn privkey(&self) -> &[u8] {
        &[0; 32]
    }
    fn dh(&self, public: &[u8], out: &mut [u8]) -> Result<(), snow::Error> {
        // ss is at hand; se would need the victim's own secret, so take what the thief can compute.
        let with = if public[..32] == self.callee { self.victim } else { public[..32].try_into().unwrap() };
        let shared = StaticSecret::from(self.stolen).diffie_hellman(&PublicKey::from(with));
        out[..32].copy_from_slice(shared.as_bytes());
        Ok(())
    }
}

struct ForgingResolver(Resolver, std::sync::Mutex<Option<Forger>>);

impl CryptoResolver for ForgingResolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        self.0.resolve_rng()
    }
    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        // snow asks for the static key's first.
        match self.1.lock().unwrap().take() {
            Some(forger) => Some(Box::new(forger)),
            None => self.0.resolve_dh(choice),
        }
    }
    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        self.0.resolve_hash(choice)
    }
    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        self.0.resolve_cipher(choice)
    }
    fn resolve_kem(&self, choice: &KemChoice) -> Option<Box<dyn Kem>> {
        self.0.resolve_kem(choice)
    }
}

#[test]
fn a_thief_of_the_callees_static_key_cannot_ring_as_someone_else() {
    let mut p = pair();
    let victim = p.caller.noise_key();
    let forger = Forger {
        stolen: *p.callee.noise_key().secret(),
        victim: victim.public,
        callee: p.callee.noise_key().public,
    };
    let resolver = ForgingResolver(
        Resolver { provider: p.provider.clone(), initiator: true },
        std::sync::Mutex::new(Some(forger)),
    );
    let psk0 = p.ticket.psk0();
    let mut thief = snow::Builder::with_resolver(params(), Box::new(resolver))
        .local_private_key(&[1; 32])
        .unwrap()
        .remote_public_key(p.ticket.noise())
        .unwrap()
        .prologue(&WIRE.prologue())
        .unwrap()
        .psk(0, &psk0)
        .unwrap()
        .build_initiator()
        .unwrap();
    let mut payload = Vec::new();
    crate::wire::put(F_CALL_ID, &[9; 16], &mut payload);
    crate::wire::put_number(F_TIME, NOW.0, &mut payload);
    crate::wire::put_number(F_VERSION, VERSION, &mut payload);
    let mut message = vec![0; MAX_HANDSHAKE_FRAME];
    let len = thief.write_message(&payload, &mut message).unwrap();
    let mut hello = Vec::new();
    channel::put_frame(&[&WIRE.hint(&psk0)[..], &message[..len]].concat(), &mut hello);

    let mut accept = Accept::new(WIRE);
    // The forged message 1 is answered: that is the weakness, and why it may not ring.
    let second = reply(accept.handle(&hello, &mut p.acceptor, NOW).unwrap());
    let mut read = vec![0; second.len()];
    assert!(thief.read_message(&second[2..], &mut read).is_err(), "message 2 opens for the victim alone");
    let mut forged = vec![0, 64];
    forged.extend_from_slice(&[0; 64]);
    assert_eq!(accept.handle(&forged, &mut p.acceptor, NOW).err(), Some(HandshakeError::Noise));
    assert_eq!(p.acceptor.counters().completed, 0);
}

#[test]
fn a_machine_in_the_middle_of_tls_is_noticed() {
    let mut p = pair();
    let (_, hello) = p.dial();
    let mut accept = Accept::new(Binding::Quic([8; 32]));
    let result = accept.handle(&hello, &mut p.acceptor, NOW);
    assert_eq!(result.err(), Some(HandshakeError::UnknownHint));
    assert_eq!(p.acceptor.counters().unknown_hint, 1);
}

#[test]
fn nobody_gets_through_with_an_ended_or_revoked_ticket() {
    let mut p = pair();
    let (_, hello) = p.dial();
    let late = WallTime(p.ticket.expires().0);
    assert_eq!(
        Accept::new(WIRE).handle(&hello, &mut p.acceptor, late).err(),
        Some(HandshakeError::UnknownHint)
    );
    let mut p = pair();
    let (_, hello) = p.dial();
    assert!(p.acceptor.revoke(p.ticket.id()));
    assert!(!p.acceptor.revoke(p.ticket.id()));
    assert_eq!(
        Accept::new(WIRE).handle(&hello, &mut p.acceptor, NOW).err(),
        Some(HandshakeError::UnknownHint)
    );
    assert!(matches!(
        Dial::new(&p.caller, &p.ticket, WIRE, late, &p.provider).err(),
        Some(HandshakeError::Ticket(_))
    ));
}

#[test]
fn a_caller_whose_clock_is_far_off_is_told_apart() {
    let mut p = pair();
    let early = WallTime(NOW.0 - 700);
    let (_, hello) = Dial::new(&p.caller, &p.ticket, WIRE, early, &p.provider).unwrap();
    let result = Accept::new(WIRE).handle(&hello, &mut p.acceptor, NOW);
    assert_eq!(result.err(), Some(HandshakeError::Clock { off_by: 700 }));
}

#[test]
fn any_changed_byte_of_any_message_ends_the_handshake() {
    for step in 0..3 {
        for at in (2..1200).step_by(97) {
            let mut p = pair();
            let flip = |bytes: &mut Vec<u8>, this: usize| {
                if this == step {
                    let at = 2 + at % (bytes.len() - 2);
                    bytes[at] ^= 1;
                }
            };
            let (mut dial, mut hello) = p.dial();
            let mut accept = Accept::new(WIRE);
            flip(&mut hello, 0);
            let Ok(progress) = accept.handle(&hello, &mut p.acceptor, NOW) else { continue };
            let mut second = reply(progress);
            flip(&mut second, 1);
            let Ok(Some((_, mut confirm))) = dial.handle(&second, b"", NOW) else { continue };
            flip(&mut confirm, 2);
            assert!(accept.handle(&confirm, &mut p.acceptor, NOW).is_err(), "step {step}, byte {at}");
        }
    }
}

#[test]
fn a_handshake_that_failed_reads_nothing_more() {
    let mut p = pair();
    let (mut dial, _) = p.dial();
    let mut accept = Accept::new(WIRE);
    assert_eq!(dial.handle(&[0xff; 40], b"", NOW).err(), Some(HandshakeError::Malformed));
    assert_eq!(accept.handle(&[0xff; 40], &mut p.acceptor, NOW).err(), Some(HandshakeError::Malformed));
    for _ in 0..100 {
        assert_eq!(dial.handle(&[0; 1000], b"", NOW).err(), Some(HandshakeError::Failed));
        assert_eq!(accept.handle(&[0; 1000], &mut p.acceptor, NOW).err(), Some(HandshakeError::Failed));
    }
}

#[test]
fn an_overlong_frame_is_refused_before_it_is_buffered() {
    let mut p = pair();
    let result = Accept::new(WIRE).handle(&[0xff, 0xff, 0], &mut p.acceptor, NOW);
    assert_eq!(result.err(), Some(HandshakeError::Malformed));
}

#[cfg(feature = "pure-rust")]
#[test]
fn the_two_providers_talk_to_each_other_and_hold_frames_alike() {
    use crate::crypto::pure::Pure;
    let mut p = pair();
    let pure: Arc<dyn Provider> = Arc::new(Pure::system());
    let (mut dial, hello) = Dial::new(&p.caller, &p.ticket, WIRE, NOW, &pure).unwrap();
    let mut accept = Accept::new(WIRE);
    let second = reply(accept.handle(&hello, &mut p.acceptor, NOW).unwrap());
    let (_, confirm) = dial.handle(&second, b"", NOW).unwrap().unwrap();
    done(accept.handle(&confirm, &mut p.acceptor, NOW).unwrap());

    let base = zeroize::Zeroizing::new([3; 32]);
    let (mut sealed, mut plain) = (Vec::new(), Vec::new());
    pure.sealer(129, &base).seal(b"meta", b"voice", &mut sealed).unwrap();
    AwsLc.opener(129, &base).open(b"meta", &sealed[4..], &mut plain).unwrap();
    assert_eq!(plain, b"voice");
    AwsLc.sealer(129, &base).seal(b"meta", b"voice", &mut sealed).unwrap();
    pure.opener(129, &base).open(b"meta", &sealed[4..], &mut plain).unwrap();
    assert_eq!(plain, b"voice");
}
