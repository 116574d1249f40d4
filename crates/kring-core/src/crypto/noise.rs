//! snow's primitives, by Kring's provider, with every secret wiped on drop.

use super::{KEM_CIPHERTEXT_LEN, KEM_PUBLIC_LEN, KemKey, Provider};
use chacha20poly1305::aead::AeadInPlace;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use sha2::{Digest, Sha256};
use snow::Error;
use snow::params::{CipherChoice, DHChoice, HashChoice, KemChoice};
use snow::resolvers::CryptoResolver;
use snow::types::{Cipher, Dh, Hash, Kem, Random};
use std::sync::Arc;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

/// Gives snow its primitives for one handshake.
pub(crate) struct Resolver {
    pub(crate) provider: Arc<dyn Provider>,
    /// The initiator's side makes the ML-KEM key pair; the responder only encapsulates.
    pub(crate) initiator: bool,
}

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Rng(self.provider.clone())))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        matches!(choice, DHChoice::Curve25519).then(|| Box::<X25519>::default() as _)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        matches!(choice, HashChoice::SHA256).then(|| Box::<Sha2>::default() as _)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        matches!(choice, CipherChoice::ChaChaPoly).then(|| Box::<ChaChaPoly>::default() as _)
    }

    fn resolve_kem(&self, _placeholder: &KemChoice) -> Option<Box<dyn Kem>> {
        // A key that cannot be made must stop the handshake here: snow's `generate` cannot say so.
        let key = if self.initiator { Some(self.provider.kem_generate().ok()?) } else { None };
        Some(Box::new(MlKem { provider: self.provider.clone(), key }))
    }
}

struct Rng(Arc<dyn Provider>);

impl Random for Rng {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Error> {
        self.0.random(dest).map_err(|_| Error::Rng)
    }
}

#[derive(Default)]
pub(crate) struct X25519 {
    secret: Zeroizing<[u8; 32]>,
    public: [u8; 32],
}

impl X25519 {
    fn derive(&mut self) {
        #[cfg(test)]
        counted::add();
        self.public = PublicKey::from(&StaticSecret::from(*self.secret)).to_bytes();
    }
}

impl Dh for X25519 {
    fn name(&self) -> &'static str {
        "25519"
    }
    fn pub_len(&self) -> usize {
        32
    }
    fn priv_len(&self) -> usize {
        32
    }
    fn set(&mut self, secret: &[u8]) {
        self.secret.copy_from_slice(secret);
        self.derive();
    }
    fn generate(&mut self, rng: &mut dyn Random) -> Result<(), Error> {
        rng.try_fill_bytes(&mut *self.secret)?;
        self.derive();
        Ok(())
    }
    fn pubkey(&self) -> &[u8] {
        &self.public
    }
    fn privkey(&self) -> &[u8] {
        &*self.secret
    }
    fn dh(&self, public: &[u8], out: &mut [u8]) -> Result<(), Error> {
        #[cfg(test)]
        counted::add();
        let public: [u8; 32] = public.get(..32).and_then(|p| p.try_into().ok()).ok_or(Error::Dh)?;
        let shared = StaticSecret::from(*self.secret).diffie_hellman(&PublicKey::from(public));
        // A point of small order gives a result that everyone knows (RFC 7748, section 6.1).
        if !shared.was_contributory() {
            return Err(Error::Dh);
        }
        out.get_mut(..32).ok_or(Error::Dh)?.copy_from_slice(shared.as_bytes());
        Ok(())
    }
}

/// How many curve operations this thread has done, so that a test can tell that there were none.
#[cfg(test)]
pub(crate) mod counted {
    use std::cell::Cell;

    thread_local!(static DONE: Cell<u32> = const { Cell::new(0) });

    pub(super) fn add() {
        DONE.set(DONE.get() + 1);
    }

    pub(crate) fn during(what: impl FnOnce()) -> u32 {
        let before = DONE.get();
        what();
        DONE.get() - before
    }
}

#[derive(Default)]
struct Sha2(Sha256);

impl Hash for Sha2 {
    fn name(&self) -> &'static str {
        "SHA256"
    }
    fn block_len(&self) -> usize {
        64
    }
    fn hash_len(&self) -> usize {
        32
    }
    fn reset(&mut self) {
        self.0.reset();
    }
    fn input(&mut self, data: &[u8]) {
        self.0.update(data);
    }
    fn result(&mut self, out: &mut [u8]) {
        out[..32].copy_from_slice(&self.0.finalize_reset());
    }
}

#[derive(Default)]
struct ChaChaPoly(Zeroizing<[u8; 32]>);

#[cfg(test)]
impl Drop for ChaChaPoly {
    fn drop(&mut self) {
        tapped::gone(&self.0);
    }
}

/// Noise, section 12.3: 32 zero bits, then the counter in little-endian order.
fn nonce(n: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&n.to_le_bytes());
    nonce
}

pub(crate) fn seal(key: &[u8; 32], nonce: [u8; 12], ad: &[u8], plaintext: &[u8], out: &mut [u8]) -> usize {
    let (data, rest) = out.split_at_mut(plaintext.len());
    data.copy_from_slice(plaintext);
    let tag = ChaCha20Poly1305::new(key.into())
        .encrypt_in_place_detached(&nonce.into(), ad, data)
        .expect("a Noise message is far below ChaCha20-Poly1305's limit");
    rest[..16].copy_from_slice(&tag);
    #[cfg(test)]
    tapped::sealed(key, nonce, ad, plaintext, &out[..plaintext.len() + 16]);
    plaintext.len() + 16
}

pub(crate) fn open(
    key: &[u8; 32],
    nonce: [u8; 12],
    ad: &[u8],
    ciphertext: &[u8],
    out: &mut [u8],
) -> Result<usize, Error> {
    let at = ciphertext.len().checked_sub(16).ok_or(Error::Decrypt)?;
    let (data, tag) = ciphertext.split_at(at);
    let out = out.get_mut(..at).ok_or(Error::Decrypt)?;
    out.copy_from_slice(data);
    let tag: [u8; 16] = tag.try_into().map_err(|_| Error::Decrypt)?;
    ChaCha20Poly1305::new(key.into())
        .decrypt_in_place_detached(&nonce.into(), ad, out, &tag.into())
        .map_err(|_| Error::Decrypt)?;
    Ok(at)
}

impl Cipher for ChaChaPoly {
    fn name(&self) -> &'static str {
        "ChaChaPoly"
    }
    fn set(&mut self, key: &[u8; 32]) {
        #[cfg(test)]
        tapped::replaced(&self.0, key);
        self.0.copy_from_slice(key);
    }
    fn encrypt(&self, n: u64, ad: &[u8], plaintext: &[u8], out: &mut [u8]) -> usize {
        seal(&self.0, nonce(n), ad, plaintext, out)
    }
    fn decrypt(&self, n: u64, ad: &[u8], ciphertext: &[u8], out: &mut [u8]) -> Result<usize, Error> {
        open(&self.0, nonce(n), ad, ciphertext, out)
    }
}

struct MlKem {
    provider: Arc<dyn Provider>,
    key: Option<Box<dyn KemKey>>,
}

impl Kem for MlKem {
    fn name(&self) -> &'static str {
        "MLKEM768"
    }
    fn pub_len(&self) -> usize {
        KEM_PUBLIC_LEN
    }
    fn ciphertext_len(&self) -> usize {
        KEM_CIPHERTEXT_LEN
    }
    fn shared_secret_len(&self) -> usize {
        32
    }
    /// The resolver made the key pair already, where it could still fail.
    fn generate(&mut self, _rng: &mut dyn Random) {}
    fn pubkey(&self) -> &[u8] {
        self.key.as_ref().map_or(&[], |k| k.public())
    }
    fn encapsulate(
        &self,
        public: &[u8],
        shared: &mut [u8],
        ciphertext: &mut [u8],
    ) -> Result<(usize, usize), Error> {
        let public = public.get(..KEM_PUBLIC_LEN).ok_or(Error::Kem)?;
        let ciphertext: &mut [u8; KEM_CIPHERTEXT_LEN] =
            ciphertext.get_mut(..KEM_CIPHERTEXT_LEN).and_then(|c| c.try_into().ok()).ok_or(Error::Kem)?;
        let secret = self.provider.kem_encapsulate(public, ciphertext).map_err(|_| Error::Kem)?;
        shared.get_mut(..32).ok_or(Error::Kem)?.copy_from_slice(&*secret);
        Ok((32, KEM_CIPHERTEXT_LEN))
    }
    fn decapsulate(&self, ciphertext: &[u8], shared: &mut [u8]) -> Result<usize, Error> {
        let ciphertext = ciphertext.get(..KEM_CIPHERTEXT_LEN).ok_or(Error::Kem)?;
        let key = self.key.as_ref().ok_or(Error::Kem)?;
        let secret = key.decapsulate(ciphertext).map_err(|_| Error::Kem)?;
        shared.get_mut(..32).ok_or(Error::Kem)?.copy_from_slice(&*secret);
        Ok(32)
    }
}

/// The keys of this thread's Noise ciphers, for tests of what a thief of them can open.
#[cfg(test)]
pub(crate) mod tapped {
    use super::{nonce, seal};
    use std::cell::RefCell;

    /// One use of a cipher.
    pub(crate) struct Sealed {
        pub(crate) key: [u8; 32],
        pub(crate) nonce: [u8; 12],
        pub(crate) ad: Vec<u8>,
        pub(crate) plaintext: Vec<u8>,
        pub(crate) ciphertext: Vec<u8>,
    }

    thread_local! {
        static SEALED: RefCell<Option<Vec<Sealed>>> = const { RefCell::new(None) };
        /// Every key that a cipher was given, and how many ciphers hold it still.
        static KEYS: RefCell<Vec<([u8; 32], u32)>> = const { RefCell::new(Vec::new()) };
    }

    pub(super) fn sealed(key: &[u8; 32], nonce: [u8; 12], ad: &[u8], plaintext: &[u8], ciphertext: &[u8]) {
        SEALED.with_borrow_mut(|log| {
            if let Some(log) = log {
                let (ad, plaintext, ciphertext) = (ad.to_vec(), plaintext.to_vec(), ciphertext.to_vec());
                log.push(Sealed { key: *key, nonce, ad, plaintext, ciphertext });
            }
        });
    }

    /// What this thread's ciphers have sealed since the last call; the first call begins the list.
    pub(crate) fn since() -> Vec<Sealed> {
        SEALED.with_borrow_mut(|log| log.replace(Vec::new())).unwrap_or_default()
    }

    /// A cipher's key `old` is replaced by `new`.
    pub(super) fn replaced(old: &[u8; 32], new: &[u8; 32]) {
        gone(old);
        KEYS.with_borrow_mut(|keys| match keys.iter_mut().find(|(key, _)| key == new) {
            Some((_, holders)) => *holders += 1,
            None => keys.push((*new, 1)),
        });
    }

    /// A cipher forgets its key.
    pub(super) fn gone(old: &[u8; 32]) {
        KEYS.with_borrow_mut(|keys| {
            if let Some((_, holders)) = keys.iter_mut().find(|(key, _)| key == old) {
                *holders -= 1;
            }
        });
    }

    /// Every key so far.
    pub(crate) fn keys() -> Vec<[u8; 32]> {
        KEYS.with_borrow(|keys| keys.iter().map(|(key, _)| *key).collect())
    }

    /// The keys that ciphers hold now.
    pub(crate) fn alive() -> Vec<[u8; 32]> {
        KEYS.with_borrow(|keys| {
            keys.iter().filter(|(_, holders)| *holders > 0).map(|(key, _)| *key).collect()
        })
    }

    /// What a key becomes by Noise's REKEY (section 4.2 of its paper).
    pub(crate) fn rekeyed(key: &[u8; 32]) -> [u8; 32] {
        let mut out = [0; 48];
        seal(key, nonce(u64::MAX), &[], &[0; 32], &mut out);
        out[..32].try_into().expect("32 of 48 bytes")
    }

    /// The transport message that was sealed with `key` as the `n`th.
    pub(crate) fn open(key: &[u8; 32], n: u64, frame: &[u8]) -> Option<Vec<u8>> {
        let mut out = vec![0; frame.len()];
        let len = super::open(key, nonce(n), &[], frame, &mut out).ok()?;
        out.truncate(len);
        Some(out)
    }
}
