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

Functions of yours (own sources and sinks) are called on threads of the library's. If one raises, that source or sink stops, and
the call goes on; `Kind.MEDIA_STOPPED` tells so.

The library is found by the environment variable KRING_LIBRARY, beside this module, or where the system has its libraries.
"""

from __future__ import annotations

import ctypes
import json
import sys
import threading
import time
import traceback
from typing import Any, Callable, Iterator, Optional, Sequence

from . import _abi
from ._values import By, Consent, Contact, Device, End, Event, Kind, Peer, Picture, Played, Reason, Track, TrackState, Trust

_lib = _abi.load()

#: How long a wait in the library takes at most before Python looks for Ctrl-C, in ms.
_SLICE = 200


class Error(Exception):
    """Something that the library refused; `code` is one of kring.h's KRING_ERROR_ values."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Ended(Error):
    """It is over: the call has ended, or the endpoint is closed."""


class NotFound(Error):
    """There is nothing of that name or identity."""


class Timeout(Error, TimeoutError):
    """What was waited for did not come in time."""


_ENDED, _TIMEOUT, _NOT_FOUND, _BUFFER = -8, -7, -12, -6
_ERRORS = {_ENDED: Ended, _TIMEOUT: Timeout, _NOT_FOUND: NotFound}


def _check(code: int) -> None:
    if code:
        raise _ERRORS.get(code, Error)(code, (_lib.kring_last_error() or b"").decode("utf-8", "replace"))


def _text(function: Callable[..., int], *arguments: Any) -> str:
    """What a function writes into a buffer of whatever length."""
    length = ctypes.c_size_t()
    capacity = 1025
    while True:
        buffer = ctypes.create_string_buffer(capacity)
        code = function(*arguments, buffer, capacity, ctypes.byref(length))
        if code != _BUFFER:
            _check(code)
            return buffer.value.decode()
        capacity = length.value + 1


def _bytes32(identity: bytes) -> Any:
    if len(identity) != 32:
        raise ValueError(f"expected an identity of 32 bytes, got {len(identity)}")
    return (ctypes.c_uint8 * 32)(*identity)


class _Owned:
    """An object of the library's, freed once."""

    _free: str

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._lock = threading.Lock()

    def _take(self) -> int:
        """Uses the handle up; 0 if that was done already."""
        with self._lock:
            handle, self._handle = self._handle, 0
            return handle

    def close(self) -> None:
        """Lets go of it. Harmless when that was done already."""
        handle = self._take()
        if handle:
            getattr(_lib, self._free)(handle)

    def _wait(self, function: Callable[..., int], timeout: Optional[float], *out: Any) -> None:
        """Calls what waits so many ms, in slices, so that Ctrl-C gets through."""
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            left = _SLICE if until is None else max(0, min(_SLICE, round((until - time.monotonic()) * 1000)))
            handle = self._handle
            if not handle:
                raise Ended(_ENDED, "it was closed")
            code = function(handle, left, *out)
            if code != _TIMEOUT or (until is not None and time.monotonic() >= until):
                return _check(code)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_lock"):
            self.close()


def _peer(function: Callable[..., int], handle: int) -> Peer:
    raw = _abi.Peer()
    _check(function(handle, ctypes.byref(raw)))
    contact = raw.text("contact") if raw.is_contact else None
    return Peer(
        bytes(raw.identity), raw.text("fingerprint"), raw.text("name"), Trust(raw.trust), contact, raw.text("address")
    )


def _list(function: Callable[..., int], argument: int, item: Callable[..., int], kind: Any) -> list[Any]:
    handle, count = _abi.Handle(), ctypes.c_size_t()
    _check(function(argument, ctypes.byref(handle)))
    try:
        _check(_lib.kring_list_count(handle, ctypes.byref(count)))
        items = [kind() for _ in range(count.value)]
        for index, raw in enumerate(items):
            _check(item(handle, index, ctypes.byref(raw)))
        return items
    finally:
        _lib.kring_list_free(handle)


def _tracks(function: Callable[..., int], handle: int) -> list[Track]:
    raw = _list(function, handle, _lib.kring_list_track, _abi.Track)
    return [
        Track(
            t.id, t.text("codec"), TrackState(t.state), (t.width, t.height) if t.width else None, t.frame_rate_milli / 1000
        )
        for t in raw
    ]


def devices(what: str) -> list[Device]:
    """This machine's devices: "microphone", "speaker" or "camera"."""
    raw = _list(_lib.kring_devices, ["microphone", "speaker", "camera"].index(what), _lib.kring_list_device, _abi.Device)
    return [Device(d.text("name"), d.text("id"), bool(d.is_default)) for d in raw]


def version() -> str:
    """The library's version."""
    return _lib.kring_version().decode()


def shutdown(timeout: float = 2.0) -> None:
    """Ends the library's threads, for programs that want to see that nothing is left. All objects are to be closed before."""
    _check(_lib.kring_shutdown(round(timeout * 1000)))


#: What of a program's own is called by the library, by number: it lives until the library drops it.
_kept: dict[int, Any] = {}
_keeping = threading.Lock()


def _keep(thing: Any) -> int:
    with _keeping:
        number = max(_kept, default=0) + 1
        _kept[number] = thing
        return number


def _guarded(function: Callable[[], Any]) -> int:
    """Runs a program's own function for the library, which no exception may reach."""
    try:
        function()
        return 0
    except StopIteration:
        return _ENDED
    except BaseException:
        traceback.print_exc(file=sys.stderr)
        return -4


@_abi.Drop
def _drop(number: int) -> None:
    with _keeping:
        _kept.pop(number, None)


@_abi.Read
def _read(number: int, samples: Any, count: int, _age: Any) -> int:
    block = ctypes.cast(samples, ctypes.POINTER(ctypes.c_float * count)).contents
    return _guarded(lambda: _kept[number](memoryview(block).cast("B").cast("f")))


@_abi.Play
def _play(number: int, samples: Any, count: int, what: int, _delay: Any) -> int:
    block = ctypes.cast(samples, ctypes.POINTER(ctypes.c_float * count)).contents
    return _guarded(lambda: _kept[number](memoryview(block).cast("B").cast("f").toreadonly(), Played(what)))


@_abi.Show
def _show(number: int, picture: Any) -> int:
    raw = picture.contents

    def plane(at: int, size: int) -> memoryview:
        return memoryview((ctypes.c_uint8 * size).from_address(at)).cast("B").toreadonly()

    half = raw.width * raw.height // 4
    planes = plane(raw.y, 4 * half), plane(raw.u, half), plane(raw.v, half)
    return _guarded(lambda: _kept[number](Picture(raw.width, raw.height, *planes)))


class Media(_Owned):
    """What one side sends in a call and where it plays what comes. Each method gives the object back; dialling or answering uses
    it up. Everything is optional."""

    _free = "kring_media_free"

    def __init__(
        self, consent: Consent = Consent.NOTHING, name: str = "", max_rate: Optional[int] = None, recording: bool = False
    ) -> None:
        handle = _abi.Handle()
        _check(_lib.kring_media_new(consent, ctypes.byref(handle)))
        super().__init__(handle.value)
        self._set(_lib.kring_media_name, name.encode())
        self._set(_lib.kring_media_recording, recording)
        if max_rate is not None:
            self._set(_lib.kring_media_max_rate, max_rate)

    def _set(self, function: Callable[..., int], *arguments: Any) -> Media:
        _check(function(self._handle, *arguments))
        return self

    def microphone_tone(self, hertz: float = 440.0, dbfs: float = -20.0) -> Media:
        """Sends a tone."""
        return self._set(_lib.kring_media_microphone_tone, hertz, dbfs)

    def microphone_wav(self, path: str, repeat: bool = False) -> Media:
        """Sends a WAV file, in real time."""
        return self._set(_lib.kring_media_microphone_wav, path.encode(), repeat)

    def microphone_device(self, name: Optional[str] = None) -> Media:
        """Sends what a microphone takes in; needs `Consent.MICROPHONE`."""
        return self._set(_lib.kring_media_microphone_device, name and name.encode())

    def microphone(self, read: Callable[[memoryview], Any], consent: Consent = Consent.NOTHING) -> Media:
        """Sends what `read` writes into the floats it is given: mono at 48 kHz, -1 to 1, zero at first. It is called when its block is
        due; StopIteration ends the sound. `consent` says whether it opens a microphone."""
        source = _abi.AudioSource(flags=1, consent=consent, user_data=_keep(read), read=_read, drop_fn=_drop)
        return self._set(_lib.kring_media_microphone_source, ctypes.byref(source))

    def camera_test_card(self, width: int = 640, height: int = 360, frames_per_second: float = 30.0) -> Media:
        """Sends a test card."""
        return self._set(_lib.kring_media_camera_test_card, width, height, frames_per_second)

    def camera_y4m(self, path: str, repeat: bool = False) -> Media:
        """Sends a Y4M file, in real time."""
        return self._set(_lib.kring_media_camera_y4m, path.encode(), repeat)

    def camera_device(
        self, name: Optional[str] = None, width: int = 640, height: int = 360, frames_per_second: float = 30.0
    ) -> Media:
        """Sends what a camera takes in; needs `Consent.CAMERA`."""
        return self._set(_lib.kring_media_camera_device, name and name.encode(), width, height, frames_per_second)

    def speaker_wav(self, path: str) -> Media:
        """Plays into a WAV file, in real time. Say `recording=True` with it."""
        return self._set(_lib.kring_media_speaker_wav, path.encode())

    def speaker_device(self, name: Optional[str] = None) -> Media:
        """Plays by a speaker."""
        return self._set(_lib.kring_media_speaker_device, name and name.encode())

    def speaker(self, play: Callable[[memoryview, Played], Any]) -> Media:
        """Hands what is to be heard to `play`, in real time: floats, mono at 48 kHz, good until it returns."""
        sink = _abi.AudioSink(flags=1, user_data=_keep(play), play=_play, drop_fn=_drop)
        return self._set(_lib.kring_media_speaker_sink, ctypes.byref(sink))

    def view_y4m(self, path: str, width: int, height: int, frames_per_second: float) -> Media:
        """Shows to a Y4M file, scaled. Say `recording=True` with it."""
        return self._set(_lib.kring_media_view_y4m, path.encode(), width, height, frames_per_second)

    def view(self, show: Callable[[Picture], Any]) -> Media:
        """Hands each picture to `show` when it is to be seen."""
        sink = _abi.VideoSink(user_data=_keep(show), show=_show, drop_fn=_drop)
        return self._set(_lib.kring_media_view_sink, ctypes.byref(sink))


class Call(_Owned):
    """A call. Iterating over it gives its events until it is over; letting go of it hangs up."""

    _free = "kring_call_free"

    def next_event(self, timeout: Optional[float] = None) -> Event:
        """The next event. Raises `Ended` after the last, `Timeout`."""
        raw = _abi.Event()
        self._wait(_lib.kring_call_next_event, timeout, ctypes.byref(raw))
        return Event(Kind(raw.kind), raw.text("text_"), raw.text("detail"), raw.track, raw.state)

    def __iter__(self) -> Iterator[Event]:
        while True:
            try:
                yield self.next_event()
            except Ended:
                return

    def wait_connected(self, timeout: Optional[float] = None) -> None:
        """Waits until the call is answered and media flows. Raises `Ended`, `Timeout`."""
        self._wait(_lib.kring_call_wait_connected, timeout)

    def wait_ended(self, timeout: Optional[float] = None) -> End:
        """Waits until it is over: devices closed, files whole, the other side told. Raises `Timeout`."""
        raw = _abi.End()
        self._wait(_lib.kring_call_wait_ended, timeout, ctypes.byref(raw))
        by = By(raw.by) if raw.by in By._value2member_map_ else By.NOBODY
        return End(Reason(raw.end), by, raw.text("text_"), raw.code)

    def hang_up(self) -> None:
        """Begins to hang up; `wait_ended` waits until that is done."""
        _check(_lib.kring_call_hang_up(self._handle))

    def mute_microphone(self, muted: bool = True) -> None:
        """Mutes or unmutes this side; the other is told."""
        _check(_lib.kring_call_mute_microphone(self._handle, muted))

    def mute_camera(self, muted: bool = True) -> None:
        """Switches this side's pictures off or on; the other is told."""
        _check(_lib.kring_call_mute_camera(self._handle, muted))

    def switch(self, media: Media) -> None:
        """Takes over each source and sink that `media` has, in place of the one before, with the consent of `media`; uses it up."""
        _check(_lib.kring_call_switch(self._handle, media._take()))

    def enter_passcode(self, passcode: str) -> None:
        """Gives the passcode that goes with the ticket."""
        _check(_lib.kring_call_enter_passcode(self._handle, passcode.encode()))

    def peer(self) -> Peer:
        """Who is on the other side; an `Error` until that is proven."""
        return _peer(_lib.kring_call_peer, self._handle)

    def peer_tracks(self) -> list[Track]:
        """What the other side sends."""
        return _tracks(_lib.kring_call_peer_tracks, self._handle)

    def code(self) -> str:
        """The call's four words, to be read to each other; an `Error` before `Kind.CODE`."""
        return _text(_lib.kring_call_code, self._handle, 0)

    def safety_number(self) -> str:
        """Sixty digits that are the same in every call of these two."""
        return _text(_lib.kring_call_safety_number, self._handle)

    def mark_verified(self, peer: Peer) -> None:
        """A person has compared, and it is the same."""
        _check(_lib.kring_call_mark_verified(self._handle, _bytes32(peer.identity)))

    def accept_changed_key(self, peer: Peer) -> None:
        """A person accepts that this is another identity than was expected."""
        _check(_lib.kring_call_accept_changed_key(self._handle, _bytes32(peer.identity)))

    def stats(self) -> dict[str, Any]:
        """What was counted so far, in the names and units of the W3C's webrtc-stats."""
        return json.loads(_text(_lib.kring_call_stats_json, self._handle))


class Incoming(_Owned):
    """Somebody calls. Letting go of it declines."""

    _free = "kring_incoming_free"

    def peer(self) -> Peer:
        """Who calls."""
        return _peer(_lib.kring_incoming_peer, self._handle)

    def answer(self, media: Media) -> Call:
        """Takes the call; uses up both."""
        call = _abi.Handle()
        _check(_lib.kring_incoming_answer(self._take(), media._take(), ctypes.byref(call)))
        return Call(call.value)

    def decline(self) -> None:
        """Does not take the call."""
        _check(_lib.kring_incoming_decline(self._take()))

    def busy(self) -> None:
        """Does not take the call because of another one."""
        _check(_lib.kring_incoming_busy(self._take()))


class Knock(_Owned):
    """Somebody waits to be let in. Letting go of it lets them go."""

    _free = "kring_knock_free"

    def peer(self) -> Peer:
        """Who waits."""
        return _peer(_lib.kring_knock_peer, self._handle)

    def admit(self) -> None:
        """Lets them in: now it rings."""
        _check(_lib.kring_knock_admit(self._take()))

    def refuse(self) -> None:
        """Lets them go."""
        _check(_lib.kring_knock_refuse(self._take()))


class Endpoint(_Owned):
    """One identity on one socket. Iterating over it gives those who call, until it is closed.

    `folder` keeps identity, tickets and contacts, sealed with a key of the system's key store where the library has one; without it all
    end with the object. `bind` is an address with a port. `ringing` and `vanished` are seconds."""

    _free = "kring_endpoint_free"

    def __init__(
        self,
        bind: Optional[str] = None,
        folder: Optional[str] = None,
        contacts_only: bool = False,
        lobby: bool = False,
        ringing: float = 60.0,
        vanished: float = 30.0,
    ) -> None:
        store, handle = _abi.Handle(), _abi.Handle()
        if folder is not None:
            _check(_lib.kring_store_best(folder.encode(), ctypes.byref(store)))
        options = _abi.EndpointOptions(
            flags=contacts_only + 2 * lobby,
            bind=bind and bind.encode(),
            store=store.value,
            ringing_ms=round(ringing * 1000),
            vanished_ms=round(vanished * 1000),
        )
        code = _lib.kring_endpoint_new(ctypes.byref(options), ctypes.byref(handle))
        if folder is not None:
            _lib.kring_store_free(store)
        _check(code)
        super().__init__(handle.value)

    def close(self) -> None:
        """Ends all its calls, tells the other sides (a second at most), and lets go of it."""
        if self._handle:
            _lib.kring_endpoint_close(self._handle)
        super().close()

    def fingerprint(self) -> str:
        """Who this is, for people."""
        raw = _abi.Identity()
        _check(_lib.kring_endpoint_identity(self._handle, ctypes.byref(raw)))
        return raw.text("fingerprint")

    def address(self) -> str:
        """Where it listens."""
        return _text(_lib.kring_endpoint_local_address, self._handle)

    def ticket(
        self,
        lifetime: Optional[float] = None,
        one_call: bool = False,
        passcode: Optional[str] = None,
        addresses: Sequence[str] = (),
    ) -> str:
        """Gives out a ticket: whoever has the text can call, for so many seconds (None: a day)."""
        named = (ctypes.c_char_p * len(addresses))(*[address.encode() for address in addresses])
        options = _abi.TicketOptions(
            flags=one_call,
            lifetime_s=0 if lifetime is None else max(1, round(lifetime)),
            addresses=named if addresses else None,
            address_count=len(addresses),
            passcode=passcode and passcode.encode(),
        )
        return _text(_lib.kring_endpoint_ticket, self._handle, ctypes.byref(options))

    def dial(self, ticket: str, media: Media) -> Call:
        """Dials whoever gave out the ticket; uses up `media`. The call begins at once and tells by its events how it goes on."""
        call = _abi.Handle()
        _check(_lib.kring_endpoint_dial(self._handle, ticket.encode(), media._take(), ctypes.byref(call)))
        return Call(call.value)

    def dial_contact(self, name: str, media: Media) -> Call:
        """Dials a contact."""
        call = _abi.Handle()
        _check(_lib.kring_endpoint_dial_contact(self._handle, name.encode(), media._take(), ctypes.byref(call)))
        return Call(call.value)

    def answer_next(self, media: Media) -> Call:
        """Consents to answer the next caller, whoever it is: see kring.h for what that gives away."""
        call = _abi.Handle()
        _check(_lib.kring_endpoint_answer_next(self._handle, media._take(), ctypes.byref(call)))
        return Call(call.value)

    def incoming(self, timeout: Optional[float] = None) -> Incoming:
        """The next caller. Raises `Ended` once it is closed, `Timeout`."""
        raw = _abi.Handle()
        self._wait(_lib.kring_endpoint_next_incoming, timeout, ctypes.byref(raw))
        return Incoming(raw.value)

    def __iter__(self) -> Iterator[Incoming]:
        while True:
            try:
                yield self.incoming()
            except Ended:
                return

    def knock(self, timeout: Optional[float] = None) -> Knock:
        """The next one who waits to be let in. Raises `Ended`, `Timeout`."""
        raw = _abi.Handle()
        self._wait(_lib.kring_endpoint_next_knock, timeout, ctypes.byref(raw))
        return Knock(raw.value)

    def keep(self, peer: Peer, name: str) -> None:
        """Keeps the other side of a call as a contact."""
        _check(_lib.kring_endpoint_keep(self._handle, _bytes32(peer.identity), name.encode()))

    def _home(self, function: Callable[..., Any], *arguments: Any) -> Any:
        home = _abi.Handle()
        _check(_lib.kring_endpoint_home(self._handle, ctypes.byref(home)))
        try:
            return function(home, *arguments)
        finally:
            _lib.kring_home_free(home)

    def contacts(self) -> list[Contact]:
        """All contacts."""
        raw = self._home(lambda home: _list(_lib.kring_home_contacts, home, _lib.kring_list_contact, _abi.Contact))
        return [
            Contact(
                c.text("name"),
                c.text("fingerprint"),
                bytes(c.identity) if c.has_identity else None,
                bool(c.verified),
                bool(c.callable),
                bool(c.blocked),
                c.since,
                c.last_call,
            )
            for c in raw
        ]

    def set_verified(self, name: str, verified: bool = True) -> None:
        """Says whether a person has made sure who this contact is."""
        _check(self._home(_lib.kring_home_set_verified, name.encode(), verified))

    def remove_contact(self, name: str) -> None:
        """Forgets a contact and the secrets shared with them."""
        _check(self._home(_lib.kring_home_remove_contact, name.encode()))

    def block(self, fingerprint: str, blocked: bool = True) -> None:
        """Lets that identity not get through any more, or again."""
        function = _lib.kring_home_block if blocked else _lib.kring_home_unblock
        _check(self._home(function, fingerprint.encode()))
