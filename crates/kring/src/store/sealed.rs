//! A store whose contents are sealed with a key from elsewhere, such as the operating system's key store.
//!
//! Guarantee: what is saved can be read and changed with the key only, and in its own place only. What an unsealed store
//! left there is read, and sealed when it is saved next.
//!
//! Content: `"kring sl"` ‖ version (1) ‖ nonce (24, random) ‖ XChaCha20-Poly1305 of it, the item's name authenticated with it.

use super::{Item, KeyStore, StoreError, StoreLock, StoreStamp};
use chacha20poly1305::aead::AeadInPlace;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use kring_core::crypto::{Secret32, default_provider};
use std::path::PathBuf;
use zeroize::Zeroizing;

const MAGIC: &[u8] = b"kring sl\x01";
const NONCE: usize = 24;

/// Seals what `S` keeps.
pub struct SealedStore<S> {
    inner: S,
    key: Secret32,
}

impl<S: KeyStore> SealedStore<S> {
    /// Seals with `key`, which has to be the same every time, and kept where nobody else gets at it.
    pub fn new(inner: S, key: Secret32) -> SealedStore<S> {
        SealedStore { inner, key }
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.key).into())
    }
}

/// Whether `bytes` need a key to be read.
#[cfg(feature = "os-key-store")]
pub(super) fn is_sealed(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

impl<S: KeyStore> KeyStore for SealedStore<S> {
    fn load(&self, item: Item) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let Some(mut bytes) = self.inner.load(item)? else { return Ok(None) };
        let Some(sealed) = bytes.strip_prefix(MAGIC) else { return Ok(Some(bytes)) };
        let other = || StoreError::OtherKey { path: self.place(item) };
        let (nonce, _) = sealed.split_first_chunk::<NONCE>().ok_or_else(other)?;
        let nonce = *XNonce::from_slice(nonce);
        bytes.drain(..MAGIC.len() + NONCE);
        let opened = self.cipher().decrypt_in_place(&nonce, item.name().as_bytes(), &mut *bytes);
        opened.map_err(|_| other())?;
        Ok(Some(bytes))
    }

    fn save(&self, item: Item, bytes: &[u8]) -> Result<(), StoreError> {
        let mut nonce = [0; NONCE];
        default_provider().random(&mut nonce)?;
        // Only sealed bytes ever stand in what may grow.
        let mut sealed = Zeroizing::new(Vec::with_capacity(bytes.len() + MAGIC.len() + NONCE + 16));
        sealed.extend_from_slice(MAGIC);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(bytes);
        let from = MAGIC.len() + NONCE;
        let cipher = self.cipher();
        let tag = cipher.encrypt_in_place_detached(
            XNonce::from_slice(&nonce),
            item.name().as_bytes(),
            &mut sealed[from..],
        );
        let tag = tag.expect("what is kept is far below the cipher's limit");
        sealed.extend_from_slice(&tag);
        self.inner.save(item, &sealed)
    }

    fn place(&self, item: Item) -> PathBuf {
        self.inner.place(item)
    }

    fn lock(&self) -> Result<StoreLock, StoreError> {
        self.inner.lock()
    }

    fn listen(&self) -> Result<StoreLock, StoreError> {
        self.inner.listen()
    }

    fn stamp(&self, item: Item) -> Option<StoreStamp> {
        self.inner.stamp(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::FileStore;

    fn sealed(folder: &std::path::Path, key: u8) -> SealedStore<FileStore> {
        SealedStore::new(FileStore::new(folder), Zeroizing::new([key; 32]))
    }

    #[test]
    fn what_is_sealed_opens_with_its_key_and_in_its_place_only() {
        let folder = tempfile::tempdir().unwrap();
        let store = sealed(folder.path(), 1);
        assert!(store.load(Item::Contacts).unwrap().is_none());
        store.save(Item::Contacts, b"who is known to whom").unwrap();
        let on_disk = std::fs::read(store.place(Item::Contacts)).unwrap();
        assert!(!on_disk.windows(5).any(|w| w == b"known"));
        assert_eq!(&**store.load(Item::Contacts).unwrap().unwrap(), b"who is known to whom");
        let error = sealed(folder.path(), 2).load(Item::Contacts).err().unwrap();
        assert!(error.to_string().contains("another key"), "{error}");
        std::fs::rename(store.place(Item::Contacts), store.place(Item::Tickets)).unwrap();
        assert!(store.load(Item::Tickets).is_err());
    }

    #[test]
    fn any_changed_or_missing_byte_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let store = sealed(folder.path(), 1);
        store.save(Item::Tickets, b"some").unwrap();
        let good = std::fs::read(store.place(Item::Tickets)).unwrap();
        for at in MAGIC.len()..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            for bytes in [&bad[..], &good[..at]] {
                store.inner.save(Item::Tickets, bytes).unwrap();
                assert!(store.load(Item::Tickets).is_err(), "byte {at}");
            }
        }
    }

    #[test]
    fn what_was_not_sealed_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let store = sealed(folder.path(), 1);
        store.inner.save(Item::Tickets, b"of before").unwrap();
        let bytes = store.load(Item::Tickets).unwrap().unwrap();
        store.save(Item::Tickets, &bytes).unwrap();
        assert!(std::fs::read(store.place(Item::Tickets)).unwrap().starts_with(MAGIC));
        assert_eq!(&**store.load(Item::Tickets).unwrap().unwrap(), b"of before");
    }
}
