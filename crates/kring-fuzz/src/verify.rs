//! What people compare: the exchange that gives a call its code, and scanned safety codes.

use kring_core::fuzzing::CodeEnd;
use kring_core::handshake::Role;
use kring_core::verify::{Code, SafetyNumber, SafetyScan};

use crate::input::{Input, damage};
use crate::world::provider;

/// Most messages of one run.
const MAX_STEPS: usize = 64;

/// Both ends of an exchange; what one says reaches the other whole, damaged, more than once, late or not at all, and
/// other things do.
pub fn code(data: &[u8]) {
    let mut input = Input(data);
    let provider = provider(5);
    let same_session = !input.flag();
    let hash = |role| if same_session || role == Role::Caller { [7; 32] } else { [8; 32] };
    let roles = [Role::Caller, Role::Callee];
    let begun = roles.map(|role| CodeEnd::begin(role, hash(role), &*provider).expect("seeded randomness"));
    let [(caller, first), (callee, nothing)] = begun;
    assert!(nothing.is_none(), "the callee waits for the commitment");
    let mut ends = [caller, callee];
    // What is on its way to each.
    let mut wire = [Vec::new(), Vec::from_iter(first)];
    let mut codes: [Option<Code>; 2] = [None, None];
    let (mut honest, mut gave_up) = (true, [false; 2]);
    for _ in 0..MAX_STEPS {
        if input.is_empty() {
            break;
        }
        let op = input.u8();
        let to = usize::from(op >> 7);
        let message = match op & 7 {
            0 | 1 => match wire[to].pop() {
                Some(message) => message,
                None => continue,
            },
            2 => match wire[to].last() {
                Some(message) => message.clone(),
                None => continue,
            },
            3 => {
                let mut message = wire[to].pop().unwrap_or_default();
                honest &= !damage(&mut input, &mut message);
                message
            }
            4 => {
                gave_up[to] |= ends[to].give_up();
                continue;
            }
            // A message of the right form, with a value of its own.
            5 => {
                honest = false;
                [&[10 + input.u8() % 3, 34, 1, 32][..], &[input.u8(); 32]].concat()
            }
            _ => {
                honest = false;
                input.short().to_vec()
            }
        };
        let taken = ends[to].take(&message, &*provider);
        assert!(!(taken.refused && (taken.answer.is_some() || taken.code.is_some())));
        wire[1 - to].extend(taken.answer);
        if let Some(code) = taken.code {
            assert!(codes[to].is_none(), "a second code in one call");
            assert!(!gave_up[to], "a code after it was said that there is none");
            codes[to] = Some(code);
        }
    }
    if let [Some(caller), Some(callee)] = codes {
        assert!(same_session || caller != callee, "two sessions, one code");
        assert!(!honest || caller == callee, "one session, two codes");
    }
    // A machine in the middle with a session of its own on either side passes nothing on unnoticed.
    assert!(same_session || !honest || codes[1].is_none(), "a commitment of another session holds");
}

/// A scanned or typed text.
pub fn scan(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(number) = SafetyNumber::read(text) {
        assert_eq!(SafetyNumber::read(&number.to_string()), Some(number));
    }
    let Ok(scan) = text.parse::<SafetyScan>() else { return };
    assert_eq!(scan.to_qr_text().parse(), Ok(scan));
    assert_eq!(scan.to_string(), text.trim().to_ascii_lowercase(), "one text for each but for case");
    let (own, peer) = ([1; 32].into(), [2; 32].into());
    assert_eq!(scan.check(&own, &peer).is_ok(), scan == SafetyScan::new(peer, own));
}
