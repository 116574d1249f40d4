//! The committed exchange by which two ends come to one code, as a value without a wire.
//!
//! ```text
//! caller → callee   commitment  H(h ‖ nA)
//! caller ← callee   nonce       nB
//! caller → callee   reveal      nA
//! ```
//!
//! Guarantee: neither side's nonce can depend on the other's, so that a machine in the middle, which has a handshake hash with each,
//! gets one guess at making two codes agree; there is one exchange in a call, and it is never begun again.

use super::Code;
use crate::crypto::{CryptoError, Provider, Secret32, kdf, random_secret};
use crate::handshake::Role;
use crate::wire::{self, Fields, Malformed};
use std::time::Duration;
use subtle::ConstantTimeEq;

/// How long after a call's beginning its code may take.
pub const CODE_DEADLINE: Duration = Duration::from_secs(20);

/// Why a call has no code to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum CodeFailure {
    /// The other side did not do its part within [`CODE_DEADLINE`]. The call goes on without a code.
    #[error("the other side did not do its part of the code in time, so this call has none")]
    NotInTime,
    /// The other side revealed something else than it had committed to: it tried to choose the code. The call ends.
    #[error("the other side tried to choose the code of this call")]
    Forged,
}

/// One of the three messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CodeMessage {
    Commitment([u8; 32]),
    Nonce([u8; 32]),
    Reveal([u8; 32]),
}

/// Kinds of control messages (docs/protocol.md, section 7.2).
const T_COMMITMENT: u64 = 10;
const T_NONCE: u64 = 11;
const T_REVEAL: u64 = 12;

impl CodeMessage {
    /// Appends the value; gives the kind.
    pub(crate) fn encode(&self, value: &mut Vec<u8>) -> u64 {
        let (kind, bytes) = match self {
            CodeMessage::Commitment(bytes) => (T_COMMITMENT, bytes),
            CodeMessage::Nonce(bytes) => (T_NONCE, bytes),
            CodeMessage::Reveal(bytes) => (T_REVEAL, bytes),
        };
        wire::put(1, bytes, value);
        kind
    }

    /// The message of that kind; `None` if it is none of the three.
    pub(crate) fn decode(kind: u64, value: &[u8]) -> Result<Option<CodeMessage>, Malformed> {
        let message = match kind {
            T_COMMITMENT => CodeMessage::Commitment,
            T_NONCE => CodeMessage::Nonce,
            T_REVEAL => CodeMessage::Reveal,
            _ => return Ok(None),
        };
        let mut bytes = None;
        for field in Fields(value) {
            if let (1, value) = field? {
                bytes = Some(value.try_into().map_err(|_| Malformed)?);
            }
        }
        Ok(Some(message(bytes.ok_or(Malformed)?)))
    }
}

/// Why a message was not taken.
#[derive(Debug)]
pub(crate) enum CodeError {
    /// From the wrong side, or at the wrong time.
    OutOfOrder,
    Forged,
    /// There is no randomness.
    Random,
}

impl From<CryptoError> for CodeError {
    fn from(_: CryptoError) -> CodeError {
        CodeError::Random
    }
}

enum State {
    /// Caller: has committed.
    Committed { nonce: Secret32 },
    /// Callee: waits for the commitment.
    Waiting,
    /// Callee: has sent its nonce.
    Answered { commitment: [u8; 32], nonce: [u8; 32] },
    /// Nothing more is taken.
    Over,
}

/// What follows from a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing: it came too late.
    Nothing,
    Send(CodeMessage),
    /// The caller reveals with the code in hand.
    Reveal(CodeMessage, Code),
    Code(Code),
}

/// The exchange of one call, at one end.
pub(crate) struct CodeExchange {
    handshake_hash: [u8; 32],
    state: State,
    late: bool,
}

impl CodeExchange {
    /// Begins; the caller has something to say at once.
    pub(crate) fn begin(
        role: Role,
        handshake_hash: [u8; 32],
        provider: &dyn Provider,
    ) -> Result<(CodeExchange, Option<CodeMessage>), CryptoError> {
        let (state, first) = match role {
            Role::Callee => (State::Waiting, None),
            Role::Caller => {
                let nonce = random_secret(provider)?;
                let commitment = commitment(&handshake_hash, &nonce);
                (State::Committed { nonce }, Some(CodeMessage::Commitment(commitment)))
            }
        };
        Ok((CodeExchange { handshake_hash, state, late: false }, first))
    }

    /// Takes what the other side sent.
    pub(crate) fn take(&mut self, message: CodeMessage, provider: &dyn Provider) -> Result<Step, CodeError> {
        let hash = &self.handshake_hash;
        let (next, step) = match (std::mem::replace(&mut self.state, State::Over), message) {
            (State::Committed { nonce }, CodeMessage::Nonce(theirs)) => {
                (State::Over, Step::Reveal(CodeMessage::Reveal(*nonce), Code::new(hash, &nonce, &theirs)))
            }
            // Nobody waits for what would follow.
            (State::Waiting, CodeMessage::Commitment(_)) if self.late => (State::Over, Step::Nothing),
            (State::Waiting, CodeMessage::Commitment(commitment)) => {
                let nonce = *random_secret(provider)?;
                (State::Answered { commitment, nonce }, Step::Send(CodeMessage::Nonce(nonce)))
            }
            (State::Answered { commitment: committed, nonce }, CodeMessage::Reveal(theirs)) => {
                if !bool::from(commitment(hash, &theirs).ct_eq(&committed)) {
                    return Err(CodeError::Forged);
                }
                (State::Over, Step::Code(Code::new(hash, &theirs, &nonce)))
            }
            _ => return Err(CodeError::OutOfOrder),
        };
        self.state = next;
        // An end that has shown that there is no code shows none later, and does not help the other to one.
        Ok(if self.late { Step::Nothing } else { step })
    }

    /// Gives up waiting; says whether there was something to wait for.
    pub(crate) fn give_up(&mut self) -> bool {
        let waits = self.waits();
        self.late |= waits;
        waits
    }

    /// Whether something is still to come that would be of use.
    pub(crate) fn waits(&self) -> bool {
        !self.late && !matches!(self.state, State::Over)
    }
}

fn commitment(handshake_hash: &[u8; 32], nonce: &[u8; 32]) -> [u8; 32] {
    kdf::hash("kring code commitment", &[handshake_hash, nonce])
}

#[cfg(all(test, feature = "aws-lc"))]
mod tests {
    use super::*;
    use crate::crypto::aws_lc::AwsLc;

    const HASH: [u8; 32] = [7; 32];

    fn begin(role: Role, hash: [u8; 32]) -> (CodeExchange, Option<CodeMessage>) {
        CodeExchange::begin(role, hash, &AwsLc).unwrap()
    }

    /// Both ends, the second handshake hash being what the callee has.
    fn exchange(caller_hash: [u8; 32], callee_hash: [u8; 32]) -> (Code, Result<Step, CodeError>) {
        let (mut caller, first) = begin(Role::Caller, caller_hash);
        let (mut callee, nothing) = begin(Role::Callee, callee_hash);
        assert_eq!(nothing, None);
        let Ok(Step::Send(nonce)) = callee.take(first.unwrap(), &AwsLc) else { panic!("no nonce") };
        let Ok(Step::Reveal(reveal, code)) = caller.take(nonce, &AwsLc) else { panic!("no reveal") };
        assert!(!caller.waits());
        (code, callee.take(reveal, &AwsLc))
    }

    #[test]
    fn both_ends_come_to_one_code_and_each_call_to_another() {
        let (first, there) = exchange(HASH, HASH);
        assert_eq!(there.unwrap(), Step::Code(first));
        let (second, there) = exchange(HASH, HASH);
        assert_eq!(there.unwrap(), Step::Code(second));
        assert_ne!(first, second);
    }

    #[test]
    fn a_commitment_passed_on_between_two_handshakes_does_not_fit() {
        let (_, there) = exchange(HASH, [8; 32]);
        assert!(matches!(there, Err(CodeError::Forged)));
    }

    #[test]
    fn a_sabotaged_reveal_is_noticed() {
        let (mut caller, first) = begin(Role::Caller, HASH);
        let (mut callee, _) = begin(Role::Callee, HASH);
        let Ok(Step::Send(nonce)) = callee.take(first.unwrap(), &AwsLc) else { panic!("no nonce") };
        let Ok(Step::Reveal(CodeMessage::Reveal(mut nonce), _)) = caller.take(nonce, &AwsLc) else {
            panic!("no reveal")
        };
        nonce[31] ^= 1;
        assert!(matches!(callee.take(CodeMessage::Reveal(nonce), &AwsLc), Err(CodeError::Forged)));
        // And there is no second try, not even with the right one.
        nonce[31] ^= 1;
        assert!(matches!(callee.take(CodeMessage::Reveal(nonce), &AwsLc), Err(CodeError::OutOfOrder)));
    }

    #[test]
    fn each_message_is_taken_in_its_place_only() {
        let messages =
            [CodeMessage::Commitment([1; 32]), CodeMessage::Nonce([2; 32]), CodeMessage::Reveal([3; 32])];
        for (role, right) in [(Role::Caller, 1), (Role::Callee, 0)] {
            for (n, message) in messages.into_iter().enumerate() {
                let taken = begin(role, HASH).0.take(message, &AwsLc);
                assert_eq!(taken.is_ok(), n == right, "{message:?} at the {role:?}");
            }
        }
        let (mut callee, _) = begin(Role::Callee, HASH);
        callee.take(messages[0], &AwsLc).unwrap();
        assert!(matches!(callee.take(messages[0], &AwsLc), Err(CodeError::OutOfOrder)));
    }

    #[test]
    fn what_comes_after_giving_up_makes_no_code_and_is_not_answered() {
        let (mut caller, first) = begin(Role::Caller, HASH);
        let (mut callee, _) = begin(Role::Callee, HASH);
        let Ok(Step::Send(nonce)) = callee.take(first.unwrap(), &AwsLc) else { panic!("no nonce") };
        assert!(caller.give_up() && callee.give_up());
        assert!(!caller.give_up(), "once");
        assert_eq!(caller.take(nonce, &AwsLc).unwrap(), Step::Nothing);
        let (mut callee, _) = begin(Role::Callee, HASH);
        callee.give_up();
        assert_eq!(callee.take(first.unwrap(), &AwsLc).unwrap(), Step::Nothing);
        assert!(matches!(callee.take(CodeMessage::Reveal([0; 32]), &AwsLc), Err(CodeError::OutOfOrder)));
    }
}
