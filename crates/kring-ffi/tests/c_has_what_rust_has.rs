//! What the facade has, C has, and what C has, Python and Swift have: lists are compared, so that nothing is forgotten when one grows.
//!
//! docs/public-api/kring.txt is the facade (`cargo xtask lint` compares it with the source), kring.h is C. What one has and the other has not is named
//! here, with the reason.

mod common;

use common::here;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Functions of the facade, and the one of the header that does the same.
const SAME: &[(&str, &str)] = &[
    ("prepare", "kring_prepare"),
    ("Call::accept_changed_key", "kring_call_accept_changed_key"),
    ("Call::begin_going_away", "kring_call_going_away"),
    ("Call::begin_hang_up", "kring_call_hang_up"),
    ("Call::begun", "kring_call_wait_begun"),
    ("Call::connected", "kring_call_wait_connected"),
    ("Call::ended", "kring_call_wait_ended"),
    ("Call::enter_passcode", "kring_call_enter_passcode"),
    ("Call::from", "kring_call_peer"),
    ("Call::is_camera_muted", "kring_call_is_camera_muted"),
    ("Call::is_microphone_muted", "kring_call_is_microphone_muted"),
    ("Call::mark_verified", "kring_call_mark_verified"),
    ("Call::mute_camera", "kring_call_mute_camera"),
    ("Call::mute_microphone", "kring_call_mute_microphone"),
    ("Call::next_event", "kring_call_next_event"),
    ("Call::peer", "kring_call_peer"),
    ("Call::peer_name", "kring_call_peer"),
    ("Call::peer_tracks", "kring_call_peer_tracks"),
    ("Call::safety_number", "kring_call_safety_number"),
    ("Call::safety_scan", "kring_call_safety_qr"),
    ("Call::stats", "kring_call_stats"),
    ("Call::switch", "kring_call_switch"),
    ("Call::who", "kring_call_peer"),
    ("Endpoint::addresses", "kring_endpoint_addresses"),
    ("Endpoint::answer_next", "kring_endpoint_answer_next"),
    ("Endpoint::close", "kring_endpoint_close"),
    ("Endpoint::counters", "kring_endpoint_counters"),
    ("Endpoint::dial", "kring_endpoint_dial"),
    ("Endpoint::dial_contact", "kring_endpoint_dial_contact"),
    ("Endpoint::dial_expecting", "kring_endpoint_dial_expecting"),
    ("Endpoint::home", "kring_endpoint_home"),
    ("Endpoint::identity", "kring_endpoint_identity"),
    ("Endpoint::incoming", "kring_endpoint_next_incoming"),
    ("Endpoint::keep", "kring_endpoint_keep"),
    ("Endpoint::knock", "kring_endpoint_next_knock"),
    ("Endpoint::local_addr", "kring_endpoint_local_address"),
    ("Endpoint::network_changed", "kring_endpoint_network_changed"),
    ("Endpoint::relay_reached", "kring_endpoint_wait_relay"),
    ("Endpoint::revoke", "kring_home_revoke"),
    ("Endpoint::ticket", "kring_endpoint_ticket"),
    ("EndpointBuilder::build", "kring_endpoint_new"),
    ("Home::add_contact", "kring_home_add_contact"),
    ("Home::block", "kring_home_block"),
    ("Home::blocked", "kring_home_blocked"),
    ("Home::contact", "kring_home_contact"),
    ("Home::contact_of", "kring_home_contact_of"),
    ("Home::contacts", "kring_home_contacts"),
    ("Home::open", "kring_home_open"),
    ("Home::remove_contact", "kring_home_remove_contact"),
    ("Home::rename_contact", "kring_home_rename_contact"),
    ("Home::revoke", "kring_home_revoke"),
    ("Home::set_passcode", "kring_home_set_passcode"),
    ("Home::set_verified", "kring_home_set_verified"),
    ("Home::tickets", "kring_home_tickets"),
    ("Home::unblock", "kring_home_unblock"),
    ("Incoming::answer", "kring_incoming_answer"),
    ("Incoming::busy", "kring_incoming_busy"),
    ("Incoming::contact", "kring_incoming_peer"),
    ("Incoming::decline", "kring_incoming_decline"),
    ("Incoming::expect", "kring_incoming_expect"),
    ("Incoming::from", "kring_incoming_peer"),
    ("Incoming::given_up", "kring_incoming_wait_given_up"),
    ("Incoming::name", "kring_incoming_peer"),
    ("Incoming::pass", "kring_incoming_peer"),
    ("Incoming::peer", "kring_incoming_peer"),
    ("Incoming::tracks", "kring_incoming_tracks"),
    ("Incoming::who", "kring_incoming_peer"),
    ("Knock::admit", "kring_knock_admit"),
    ("Knock::from", "kring_knock_peer"),
    ("Knock::given_up", "kring_knock_wait_given_up"),
    ("Knock::name", "kring_knock_peer"),
    ("Knock::peer", "kring_knock_peer"),
    ("Knock::refuse", "kring_knock_refuse"),
    ("Media::audio_codec", "kring_media_audio_codec"),
    ("Media::camera", "kring_media_camera_source"),
    ("Media::content", "kring_media_content"),
    ("Media::frame_duration", "kring_media_frame_duration"),
    ("Media::max_rate", "kring_media_max_rate"),
    ("Media::microphone", "kring_media_microphone_source"),
    ("Media::name", "kring_media_name"),
    ("Media::new", "kring_media_new"),
    ("Media::recording", "kring_media_recording"),
    ("Media::speaker", "kring_media_speaker_sink"),
    ("Media::video_codec", "kring_media_video_codec"),
    ("Media::view", "kring_media_view_sink"),
    ("store::FileStore::new", "kring_store_files"),
    ("store::best", "kring_store_best"),
];

/// Functions of the facade that C does otherwise, or has no use for: how, or why not.
const OTHERWISE: &[(&str, &str)] = &[
    ("Call::going_away", "kring_call_going_away, then kring_call_wait_ended"),
    ("Call::hang_up", "kring_call_hang_up, then kring_call_wait_ended"),
    ("Call::switch_camera", "kring_call_switch with media that has only that"),
    ("Call::switch_microphone", "the same"),
    ("Call::switch_speaker", "the same"),
    ("Call::switch_view", "the same"),
    ("Endpoint::builder", "kring_endpoint_options"),
    ("Endpoint::finds", "finding each other is not in C yet"),
    ("Endpoint::port_mapped", "the same"),
    ("Endpoint::ticket_for", "kring_ticket_options.addresses"),
    ("Endpoint::ticket_for_one_call", "KRING_TICKET_ONE_CALL"),
    ("EndpointBuilder::bind", "kring_endpoint_options.bind"),
    ("EndpointBuilder::contacts_only", "KRING_ENDPOINT_CONTACTS_ONLY"),
    ("EndpointBuilder::home", "kring_endpoint_options.home"),
    ("EndpointBuilder::identity", "kring_endpoint_options.store"),
    ("EndpointBuilder::lan", "finding each other is not in C yet"),
    ("EndpointBuilder::lobby", "KRING_ENDPOINT_LOBBY"),
    ("EndpointBuilder::port_mapping", "finding each other is not in C yet"),
    ("EndpointBuilder::relay", "kring_endpoint_options.relay"),
    ("EndpointBuilder::relay_only", "KRING_ENDPOINT_RELAY_ONLY"),
    ("EndpointBuilder::timeouts", "kring_endpoint_options.ringing_ms and vanished_ms"),
    ("Home::in_folder", "kring_store_files, then kring_home_open"),
    ("Home::in_memory", "kring_home_open without a store"),
    ("Peer<T>::identity", "kring_peer.identity"),
    ("Peer<kring::KeyChanged>::pinned", "kring_peer.expected"),
    ("Peer<kring::KeyChanged>::was_verified", "kring_peer.was_verified"),
    ("Who::identity", "kring_peer.identity"),
    ("Who::is_verified", "kring_peer.trust"),
    ("store::FileStore::folder", "the program gave it"),
    ("store::KeyStore::listen", "a store of the program's own serves one process"),
    ("store::Item::max_len", "the buffer that kring_store_callbacks.load is given"),
    ("store::Item::name", "names of files are the library's; a store of the program's own has numbers"),
    ("store::KeyStore::load", "kring_store_callbacks.load"),
    ("store::KeyStore::lock", "stores of the program's own are one process's"),
    ("store::KeyStore::place", "only for messages; the library makes one up"),
    ("store::KeyStore::save", "kring_store_callbacks.save"),
    ("store::KeyStore::stamp", "stores of the program's own are one process's"),
    ("store::Saving::wait", "of store::open"),
    (
        "store::SealedStore<S>::new",
        "kring_store_best and kring_store_system seal; a program that seals by itself has kring_store_new",
    ),
    ("store::StoreLock::new", "of KeyStore::lock"),
    ("store::load", "an endpoint loads from its store, or makes what is not there"),
    ("store::load_or_create", "the same"),
    ("store::load_or_create_in", "the same"),
    ("store::open", "the same, without waiting for the disk"),
];

/// Functions of the header that a module does without, and why.
const WITHOUT: &[(&str, &[&str], &str)] = &[
    (
        "Python and Swift",
        &["kring_error_name", "kring_abi_version"],
        "errors have sentences; the module or linker looks at the version",
    ),
    ("Python and Swift", &["kring_call_stats"], "kring_call_stats_json has the same in the W3C's names"),
    ("Python and Swift", &["kring_home_open"], "contacts and tickets are reached through the endpoint"),
    (
        "Python",
        &["kring_call_on_event", "kring_endpoint_on_incoming", "kring_endpoint_on_knock"],
        "one waits, or iterates",
    ),
    (
        "Swift",
        &["kring_call_next_event", "kring_endpoint_next_incoming", "kring_endpoint_next_knock"],
        "there are streams",
    ),
];

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The functions that the facade defines itself.
fn of_the_facade() -> BTreeSet<String> {
    let listing = read(&here("../../docs/public-api/kring.txt"));
    // What a trait asks for is listed with the type that fulfils it, behind the line that says so.
    let mut fulfilling = None;
    let mut all = BTreeSet::new();
    for line in listing.lines() {
        if line.starts_with("impl") {
            fulfilling = line.rsplit_once(" for ").map(|(_, kind)| kind.trim_start_matches("kring::"));
        } else if let Some(named) = line.split("fn kring::").nth(1)
            && !fulfilling.is_some_and(|kind| named.starts_with(kind))
        {
            all.insert(named.split('(').next().unwrap_or_default().to_owned());
        }
    }
    all
}

/// The functions of the header.
fn of_the_header() -> BTreeSet<String> {
    let header = read(&here("include/kring.h"));
    let starts = ["int32_t kring_", "uint32_t kring_", "const char *kring_"];
    let declared = header.lines().filter(|line| starts.iter().any(|start| line.starts_with(start)));
    declared.filter_map(|line| Some(line[line.find("kring_")?..line.find('(')?].to_owned())).collect()
}

/// All names of C functions in the files of a folder.
fn named_in(folder: &Path, ending: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == ending) {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let text = read(&path);
            all.extend(
                text.split(|c| !is_name(c)).filter(|word| word.starts_with("kring_")).map(str::to_owned),
            );
        }
    }
    all
}

#[test]
fn each_function_of_the_facade_has_one_in_c_or_a_reason() {
    let (facade, header) = (of_the_facade(), of_the_header());
    assert!(facade.len() > 100 && header.len() > 120, "{} and {}", facade.len(), header.len());
    let mut told = BTreeMap::new();
    for (rust, c) in SAME {
        assert!(header.contains(*c), "{rust} is said to be {c}, which the header lacks");
        assert!(told.insert(*rust, *c).is_none(), "{rust} is named twice");
    }
    for (rust, how) in OTHERWISE {
        assert!(told.insert(*rust, *how).is_none(), "{rust} is named twice");
    }
    let missing: Vec<_> = facade.iter().filter(|name| !told.contains_key(name.as_str())).collect();
    assert!(missing.is_empty(), "kring has {missing:?}: C needs the same, or a reason here");
    let gone: Vec<_> = told.keys().filter(|name| !facade.contains(**name)).collect();
    assert!(gone.is_empty(), "kring has no {gone:?} any more: take them out here, and out of C");
}

#[test]
fn each_function_of_c_is_used_by_python_and_by_swift_or_there_is_a_reason() {
    let header = of_the_header();
    for (language, folder, ending) in
        [("Python", "python/kring", "py"), ("Swift", "swift/Sources/Kring", "swift")]
    {
        let used = named_in(&here(folder), ending);
        let without = WITHOUT.iter().filter(|(languages, _, _)| languages.contains(language));
        let without: BTreeSet<&str> = without.flat_map(|(_, functions, _)| *functions).copied().collect();
        let missing: Vec<_> =
            header.iter().filter(|name| !used.contains(*name) && !without.contains(name.as_str())).collect();
        assert!(missing.is_empty(), "{language} does not call {missing:?}: it needs to, or a reason here");
    }
}
