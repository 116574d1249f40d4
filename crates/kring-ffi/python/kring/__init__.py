"""Kring: end-to-end encrypted calls between people's own machines, from Python.

    with kring.Endpoint() as endpoint:
        print("call me by", endpoint.ticket())
        for incoming in endpoint:
            with incoming.answer(kring.Media(name="Ben").microphone_tone()) as call:
                for event in call:
                    print(event)

Nothing here is asynchronous: what waits takes a `timeout` in seconds (None: for ever) and lets other threads run meanwhile; Ctrl-C ends
it. Every object may be used by several threads. `close` (or the end of a `with`) lets go of an object at once; without it that happens
when Python collects it. A call that is let go of hangs up.

Functions of yours (own sources, sinks, codecs) are called on threads of the library's. If one raises, that source or sink stops, and
the call goes on; `Kind.MEDIA_STOPPED` tells so.

The library is found by the environment variable KRING_LIBRARY, beside this module, or where the system has its libraries.
"""

from __future__ import annotations

import ctypes

from . import _abi
from ._base import Ended, Error, NotFound, Timeout, check, lib, list_of, text_of
from ._call import Call, Incoming, Knock
from ._endpoint import Endpoint, Store
from ._media import AudioDecoder, AudioEncoder, AudioInput, Media, VideoDecoder, VideoEncoder, VideoInput
from ._own import log
from ._values import (
    AudioSettings,
    By,
    Consent,
    Contact,
    Content,
    Counters,
    Device,
    Encoded,
    End,
    Event,
    Features,
    IssuedTicket,
    Item,
    Kind,
    LogLevel,
    NeedsKeyframe,
    Path,
    Peer,
    Picture,
    Pixels,
    Played,
    Reason,
    Safety,
    Ticket,
    Track,
    TrackState,
    Trust,
    VideoSettings,
)



def devices(what: str) -> list[Device]:
    """This machine's devices: "microphone", "speaker" or "camera"."""
    raw = list_of(lib.kring_devices, ["microphone", "speaker", "camera"].index(what), lib.kring_list_device, _abi.Device)
    return [Device(d.text("name"), d.text("id"), bool(d.is_default)) for d in raw]


def version() -> str:
    """The library's version."""
    return lib.kring_version().decode()


def features() -> Features:
    """What this build of the library has."""
    return Features(lib.kring_features())


def prepare() -> None:
    """Begins to collect the randomness of the first key, in the background; a program that calls this when it starts dials some 30 ms quicker."""
    check(lib.kring_prepare())


def read_ticket(ticket: str) -> Ticket:
    """What a ticket says."""
    raw = _abi.Ticket()
    check(lib.kring_ticket_read(ticket.encode(), ctypes.byref(raw)))
    return Ticket(raw.text("id"), raw.text("fingerprint"), raw.expires, raw.addresses, raw.text("relay") or None)


def ticket_qr(ticket: str) -> str:
    """A ticket's text as it is put into a QR code in alphanumeric mode."""
    return text_of(lib.kring_ticket_qr, ticket.encode())


def check_contact_name(name: str) -> None:
    """An `Error` if a contact cannot be called that."""
    check(lib.kring_check_contact_name(name.encode()))


def shutdown(timeout: float = 2.0) -> None:
    """Ends the library's threads, for programs that want to see that nothing is left. All objects are to be closed before."""
    check(lib.kring_shutdown(round(timeout * 1000)))
