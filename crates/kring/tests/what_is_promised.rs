//! What docs/stability.md promises of types and the compiler can check.

use kring::capture::{Consent, SinkError, SourceError, TestCard, Tone, WavSpeaker, Y4mView};
use kring::codec::{DecodeError, EncodeError, Picture};
use kring::{
    Call, End, Endpoint, EndpointBuilder, Event, Home, HomeError, Incoming, Knock, Media, Stats, SwitchError,
    Ticket, Who,
};

fn send<T: Send + 'static>() {}
fn sync<T: Send + Sync + 'static>() {}
fn is_send<T: Send>(of: T) -> T {
    of
}

#[test]
fn handles_may_go_to_any_thread_and_most_be_used_by_many() {
    sync::<Endpoint>();
    sync::<Call>();
    sync::<Incoming>();
    sync::<Knock>();
    sync::<Home>();
    sync::<Ticket>();
    sync::<Event>();
    sync::<End>();
    sync::<Stats>();
    sync::<Who>();
    sync::<Picture>();
    sync::<Consent>();
    send::<EndpointBuilder>();
    send::<Media>();
    send::<Tone>();
    send::<TestCard>();
    send::<WavSpeaker>();
    send::<Y4mView>();
}

#[test]
fn errors_are_errors_that_can_be_sent() {
    fn error<T: std::error::Error + Send + Sync + 'static>() {}
    error::<HomeError>();
    error::<End>();
    error::<SwitchError>();
    error::<kring::BindError>();
    error::<kring::TicketError>();
    error::<kring::HandshakeError>();
    error::<kring::PasscodeError>();
    error::<kring::ContactError>();
    error::<kring::store::StoreError>();
    error::<SourceError>();
    error::<SinkError>();
    error::<EncodeError>();
    error::<DecodeError>();
}

#[tokio::test]
async fn every_wait_can_be_spawned() {
    let endpoint = Endpoint::builder().bind("127.0.0.1:0".parse().unwrap()).build().unwrap();
    let ticket = endpoint.ticket(kring::DEFAULT_LIFETIME).unwrap();
    let call = endpoint.dial(&ticket, Media::new(Consent::to_nothing()));
    drop(is_send(call.next_event()));
    drop(is_send(call.connected()));
    drop(is_send(call.begun()));
    drop(is_send(call.ended()));
    drop(is_send(endpoint.incoming()));
    drop(is_send(endpoint.knock()));
    drop(is_send(endpoint.close()));
    drop(is_send(call.hang_up()));
}
