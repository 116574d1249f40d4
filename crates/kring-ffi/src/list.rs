//! Lists: what there was at one moment, to be gone through at leisure.

use crate::error::{Failure, KRING_ERROR_ARGUMENT, KRING_ERROR_NOT_FOUND, guard};
use crate::event::track_state;
use crate::home::{kring_blocked, kring_contact, kring_issued_ticket};
use crate::text::fixed;
use crate::{handle, sized, text};
use kring::{ContactInfo, Fingerprint, TicketInfo, TrackInfo, TrackSource};
use std::ffi::c_char;

/// A list of one kind of things; it does not change.
pub type kring_list = u64;

/// What a `kring_list` stands for.
pub(crate) enum List {
    Tracks(Vec<TrackInfo>),
    Devices(Vec<kring_device>),
    Contacts(Vec<ContactInfo>),
    Tickets(Vec<TicketInfo>),
    Blocked(Vec<(Fingerprint, u64)>),
    Texts(Vec<String>),
}

/// Sound of the room.
pub const KRING_SOURCE_MICROPHONE: u32 = 0;
/// Pictures of the room.
pub const KRING_SOURCE_CAMERA: u32 = 1;
/// What the screen or a window shows.
pub const KRING_SOURCE_SCREEN: u32 = 2;

/// A track as its sender announces it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kring_track {
    /// sizeof(kring_track), set before the call.
    pub struct_size: u32,
    /// 0 to 14, chosen by the sender.
    pub id: u32,
    /// A KRING_SOURCE_ value.
    pub source: u32,
    /// A KRING_TRACK_STATE_ value.
    pub state: u32,
    /// Pictures: the full width in pixels, which frames may go below; else 0.
    pub width: u32,
    /// Pictures: the full height.
    pub height: u32,
    /// Pictures a second × 1000; 0 for sound.
    pub frame_rate_milli: u32,
    /// 0.
    pub reserved: u32,
    /// "opus", "h264", or what both programs know.
    pub codec: [c_char; 24],
}

sized::versioned!(kring_track, size_of::<kring_track>());

/// A device of this machine.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kring_device {
    /// sizeof(kring_device), set before the call.
    pub struct_size: u32,
    /// 1 for the one that is used when none is named.
    pub is_default: u32,
    /// As people know it; two devices may have the same.
    pub name: [c_char; 256],
    /// As the system knows it; of one kind, no two have the same. May be given wherever a device is named.
    pub id: [c_char; 256],
}

sized::versioned!(kring_device, size_of::<kring_device>());

impl kring_track {
    fn new(track: &TrackInfo) -> kring_track {
        let (width, height) = track.size.unwrap_or_default();
        kring_track {
            struct_size: size_of::<kring_track>() as u32,
            id: track.id.into(),
            source: match track.source {
                TrackSource::Camera => KRING_SOURCE_CAMERA,
                TrackSource::Screen => KRING_SOURCE_SCREEN,
                _ => KRING_SOURCE_MICROPHONE,
            },
            state: track_state(track.state),
            width: width.into(),
            height: height.into(),
            frame_rate_milli: track.frame_rate_milli,
            reserved: 0,
            codec: fixed(&track.codec),
        }
    }
}

impl List {
    fn len(&self) -> usize {
        match self {
            List::Tracks(all) => all.len(),
            List::Devices(all) => all.len(),
            List::Contacts(all) => all.len(),
            List::Tickets(all) => all.len(),
            List::Blocked(all) => all.len(),
            List::Texts(all) => all.len(),
        }
    }
}

fn other_kind() -> Failure {
    Failure::new(
        KRING_ERROR_ARGUMENT,
        "the list holds things of another kind: ask for those of the function it came from",
    )
}

fn at<T>(all: &[T], index: usize) -> Result<&T, Failure> {
    let count = all.len();
    let missing =
        || Failure::new(KRING_ERROR_NOT_FOUND, format!("expected an index below {count}, got {index}"));
    all.get(index).ok_or_else(missing)
}

/// How many things it holds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_list_count(list: kring_list, count: *mut usize) -> i32 {
    guard(|| {
        let list = handle::get::<List>(list)?;
        if count.is_null() {
            return Err(Failure::null("a pointer to a size_t"));
        }
        // SAFETY: the caller's promise.
        unsafe { count.write_unaligned(list.len()) };
        Ok(())
    })
}

/// The track at `index`, from 0.
///
/// KRING_ERROR_NOT_FOUND behind the last.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_list_track(list: kring_list, index: usize, track: *mut kring_track) -> i32 {
    guard(|| match &*handle::get::<List>(list)? {
        // SAFETY: the caller's promise.
        List::Tracks(all) => unsafe { sized::write(track, &kring_track::new(at(all, index)?)) },
        _ => Err(other_kind()),
    })
}

/// The device at `index`, from 0.
///
/// KRING_ERROR_NOT_FOUND behind the last.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_list_device(list: kring_list, index: usize, device: *mut kring_device) -> i32 {
    guard(|| match &*handle::get::<List>(list)? {
        // SAFETY: the caller's promise.
        List::Devices(all) => unsafe { sized::write(device, at(all, index)?) },
        _ => Err(other_kind()),
    })
}

/// The contact at `index`, from 0.
///
/// KRING_ERROR_NOT_FOUND behind the last.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_list_contact(
    list: kring_list,
    index: usize,
    contact: *mut kring_contact,
) -> i32 {
    guard(|| match &*handle::get::<List>(list)? {
        // SAFETY: the caller's promise.
        List::Contacts(all) => unsafe { sized::write(contact, &kring_contact::new(at(all, index)?)) },
        _ => Err(other_kind()),
    })
}

/// The ticket at `index`, from 0.
///
/// KRING_ERROR_NOT_FOUND behind the last.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_list_ticket(
    list: kring_list,
    index: usize,
    ticket: *mut kring_issued_ticket,
) -> i32 {
    guard(|| match &*handle::get::<List>(list)? {
        // SAFETY: the caller's promise.
        List::Tickets(all) => unsafe { sized::write(ticket, &kring_issued_ticket::new(at(all, index)?)) },
        _ => Err(other_kind()),
    })
}

/// Who is blocked at `index`, from 0.
///
/// KRING_ERROR_NOT_FOUND behind the last.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_list_blocked(
    list: kring_list,
    index: usize,
    blocked: *mut kring_blocked,
) -> i32 {
    guard(|| match &*handle::get::<List>(list)? {
        // SAFETY: the caller's promise.
        List::Blocked(all) => unsafe { sized::write(blocked, &kring_blocked::new(at(all, index)?)) },
        _ => Err(other_kind()),
    })
}

/// The text at `index`, from 0.
///
/// KRING_ERROR_NOT_FOUND behind the last.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_list_text(
    list: kring_list,
    index: usize,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> i32 {
    guard(|| match &*handle::get::<List>(list)? {
        // SAFETY: the caller's promise.
        List::Texts(all) => unsafe { text::put(at(all, index)?, buffer, capacity, length) },
        _ => Err(other_kind()),
    })
}

/// Lets go of the list.
#[unsafe(no_mangle)]
pub extern "C" fn kring_list_free(list: kring_list) -> i32 {
    guard(|| handle::take::<List>(list).map(drop))
}
