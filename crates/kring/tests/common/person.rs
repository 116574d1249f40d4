//! Somebody with a folder of their own, who can end their program and start it again at the same address.

use super::{Endpoint, Media, quiet, rings, within};
use kring::{Event, Home, Identity};
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;

pub struct Person {
    pub name: &'static str,
    folder: tempfile::TempDir,
    address: SocketAddr,
    pub endpoint: Endpoint,
}

fn start(folder: &std::path::Path, address: SocketAddr, contacts_only: bool) -> Endpoint {
    let (identity, _) = kring::store::load_or_create(&folder.join("identity")).unwrap();
    let home = Home::in_folder(folder).unwrap();
    loop {
        // The socket of the run before may take a moment to go.
        let builder = Endpoint::builder().bind(address).home(home.clone()).contacts_only(contacts_only);
        let copy = Identity::decode(&identity.encode()).unwrap();
        match builder.identity(copy).build() {
            Ok(endpoint) => return endpoint,
            Err(_) => std::thread::sleep(std::time::Duration::from_millis(10)),
        }
    }
}

impl Person {
    pub fn new(name: &'static str) -> Person {
        let folder = tempfile::tempdir().unwrap();
        let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let endpoint = start(folder.path(), address, false);
        Person { name, folder, address, endpoint }
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Another process's view of the same folder.
    pub fn elsewhere(&self) -> Home {
        Home::in_folder(self.folder.path()).unwrap()
    }

    pub fn media(&self) -> Media {
        quiet().name(self.name)
    }

    /// Ends the program and starts it again; `between` may change files.
    pub async fn restart(&mut self, contacts_only: bool, between: impl FnOnce(&Person)) {
        self.endpoint.close().await;
        between(self);
        self.endpoint = Endpoint::builder().bind("127.0.0.1:0".parse().unwrap()).build().unwrap();
        self.endpoint = start(self.folder.path(), self.address, contacts_only);
    }

    /// Ends the program and starts it again somewhere else.
    pub async fn move_to(&mut self, address: SocketAddr) {
        self.address = address;
        self.restart(false, |_| {}).await;
    }

    pub fn knows(&self, other: &Person) -> bool {
        self.endpoint.home().contact_of(&other.endpoint.identity().fingerprint()).is_some_and(|c| c.callable)
    }
}

async fn acquainted(call: &kring::Call) -> Option<String> {
    let event = super::event(call, |e| matches!(e, Event::Acquainted { .. })).await;
    let Event::Acquainted { contact } = event else { unreachable!() };
    contact
}

/// A call by a ticket after which the two are each other's contacts, under their names.
pub async fn become_contacts(a: &Person, b: &Person) {
    let call = a.endpoint.dial(&super::ticket(&b.endpoint), a.media());
    let answered = rings(&b.endpoint).await.answer(b.media());
    within(10, call.connected()).await.unwrap();
    assert_eq!((acquainted(&call).await, acquainted(&answered).await), (None, None));
    a.endpoint.keep(&b.endpoint.identity(), b.name).unwrap();
    b.endpoint.keep(&a.endpoint.identity(), a.name).unwrap();
    call.hang_up().await;
    within(10, answered.ended()).await;
    assert!(a.knows(b) && b.knows(a));
}

/// A call from one contact to the other, by name; both have saved what comes of it.
pub async fn call_again(caller: &Person, callee: &Person) {
    let call = caller.endpoint.dial_contact(callee.name, caller.media()).unwrap();
    let incoming = rings(&callee.endpoint).await;
    assert_eq!(incoming.contact().map(|c| &*c.name), Some(caller.name));
    assert!(matches!(incoming.pass(), kring::Pass::Contact(..)));
    let answered = incoming.answer(callee.media());
    within(10, call.connected()).await.unwrap();
    assert_eq!(call.peer(), Some(callee.endpoint.identity()));
    assert_eq!(acquainted(&call).await.as_deref(), Some(callee.name));
    assert_eq!(acquainted(&answered).await.as_deref(), Some(caller.name));
    call.hang_up().await;
    within(10, answered.ended()).await;
}
