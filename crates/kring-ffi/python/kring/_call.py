"""A call, and those who want one: from dialling or ringing to the end. Nothing here is for users; `kring` is."""

from __future__ import annotations

import ctypes
import json
from typing import Any, Callable, Iterator, Optional

from . import _abi
from ._base import Ended, Owned, bytes32, check, lib, peer_of, text_of, tracks_of
from ._media import Media
from ._values import By, End, Event, Kind, Peer, Reason, Safety, Track


def _flag(function: Callable[..., int], handle: int) -> bool:
    flag = ctypes.c_uint32()
    check(function(handle, ctypes.byref(flag)))
    return bool(flag.value)


def _end(raw: Any) -> End:
    return End(Reason(raw.end), By(raw.by), raw.text("text_"), raw.code)


class Call(Owned):
    """A call. Iterating over it gives its events until it is over; letting go of it hangs up."""

    _free = "kring_call_free"

    def next_event(self, timeout: Optional[float] = None) -> Event:
        """The next event. Raises `Ended` after the last, `Timeout`."""
        raw = _abi.Event()
        self._wait(lib.kring_call_next_event, timeout, ctypes.byref(raw))
        return Event(Kind(raw.kind), raw.text("text_"), raw.text("detail"), raw.track, raw.state)

    def __iter__(self) -> Iterator[Event]:
        while True:
            try:
                yield self.next_event()
            except Ended:
                return

    def wait_connected(self, timeout: Optional[float] = None) -> None:
        """Waits until the call is answered and media flows. Raises `Ended`, `Timeout`."""
        self._wait(lib.kring_call_wait_connected, timeout)

    def wait_ended(self, timeout: Optional[float] = None) -> End:
        """Waits until it is over: devices closed, files whole, the other side told. Raises `Timeout`."""
        raw = _abi.End()
        self._wait(lib.kring_call_wait_ended, timeout, ctypes.byref(raw))
        return _end(raw)

    def wait_begun(self, timeout: Optional[float] = None) -> None:
        """Waits until there is a connection with the other side, or the call is over; after `answer_next`: until somebody calls."""
        self._wait(lib.kring_call_wait_begun, timeout)

    def hang_up(self) -> None:
        """Begins to hang up; `wait_ended` waits until that is done."""
        check(lib.kring_call_hang_up(self._handle))

    def going_away(self) -> None:
        """Begins to hang up, saying that the program is ending."""
        check(lib.kring_call_going_away(self._handle))

    def is_microphone_muted(self) -> bool:
        """Whether this side's microphone is muted."""
        return _flag(lib.kring_call_is_microphone_muted, self._handle)

    def is_camera_muted(self) -> bool:
        """Whether this side's pictures are off."""
        return _flag(lib.kring_call_is_camera_muted, self._handle)

    def mute_microphone(self, muted: bool = True) -> None:
        """Mutes or unmutes this side; the other is told."""
        check(lib.kring_call_mute_microphone(self._handle, muted))

    def mute_camera(self, muted: bool = True) -> None:
        """Switches this side's pictures off or on; the other is told."""
        check(lib.kring_call_mute_camera(self._handle, muted))

    def switch(self, media: Media) -> None:
        """Takes over each source and sink that `media` has, in place of the one before, with the consent of `media`; uses it up."""
        check(lib.kring_call_switch(self._handle, media._take()))

    def enter_passcode(self, passcode: str) -> None:
        """Gives the passcode that goes with the ticket."""
        check(lib.kring_call_enter_passcode(self._handle, passcode.encode()))

    def peer(self) -> Peer:
        """Who is on the other side; an `Error` until that is proven."""
        return peer_of(lib.kring_call_peer, self._handle)

    def peer_tracks(self) -> list[Track]:
        """What the other side sends."""
        return tracks_of(lib.kring_call_peer_tracks, self._handle)

    def code(self, emoji: bool = False) -> str:
        """The call's four words, or five emoji, to be read to each other; an `Error` before `Kind.CODE`."""
        return text_of(lib.kring_call_code, self._handle, 1 if emoji else 0)

    def safety(self) -> Safety:
        """What protects the call; an `Error` before it is connected."""
        raw = _abi.Safety()
        check(lib.kring_call_safety(self._handle, ctypes.byref(raw)))
        names = "noise", "media", "tls_group", "tls_cipher"
        return Safety(bool(raw.post_quantum), *(raw.text(name) for name in names))

    def safety_number(self) -> str:
        """Sixty digits that are the same in every call of these two."""
        return text_of(lib.kring_call_safety_number, self._handle)

    def compare_safety_number(self, typed: str) -> None:
        """Compares the other side's safety number, as a person has typed it; an `Error` if it differs."""
        check(lib.kring_call_compare_safety_number(self._handle, typed.encode()))

    def safety_qr(self) -> str:
        """This side's part of what is compared by scanning, as text for a QR code."""
        return text_of(lib.kring_call_safety_qr, self._handle)

    def compare_safety_qr(self, own: bytes, scanned: str) -> None:
        """Compares what was scanned at the other side; `own` is this side's identity (`Endpoint.identity`). An `Error` if it differs."""
        check(lib.kring_call_compare_safety_qr(self._handle, bytes32(own), scanned.encode()))

    def mark_verified(self, peer: Peer) -> None:
        """A person has compared, and it is the same."""
        check(lib.kring_call_mark_verified(self._handle, bytes32(peer.identity)))

    def accept_changed_key(self, peer: Peer) -> None:
        """A person accepts that this is another identity than was expected."""
        check(lib.kring_call_accept_changed_key(self._handle, bytes32(peer.identity)))

    def stats(self) -> dict[str, Any]:
        """What was counted so far, in the names and units of the W3C's webrtc-stats."""
        return json.loads(text_of(lib.kring_call_stats_json, self._handle))


class Incoming(Owned):
    """Somebody calls. Letting go of it declines."""

    _free = "kring_incoming_free"

    def peer(self) -> Peer:
        """Who calls."""
        return peer_of(lib.kring_incoming_peer, self._handle)

    def tracks(self) -> list[Track]:
        """What they want to send."""
        return tracks_of(lib.kring_incoming_tracks, self._handle)

    def expect(self, identity: bytes, verified: bool = False) -> None:
        """Says whom the program takes the caller for: if it is somebody else, the call has no media before a person accepts that."""
        check(lib.kring_incoming_expect(self._handle, bytes32(identity), verified))

    def wait_given_up(self, timeout: Optional[float] = None) -> End:
        """Waits until the caller has given up. Raises `Timeout`; `Ended` if it was answered or declined."""
        raw = _abi.End()
        self._wait(lib.kring_incoming_wait_given_up, timeout, ctypes.byref(raw))
        return _end(raw)

    def answer(self, media: Media) -> Call:
        """Takes the call; uses up both."""
        call = _abi.Handle()
        check(lib.kring_incoming_answer(self._take(), media._take(), ctypes.byref(call)))
        return Call(call.value)

    def decline(self) -> None:
        """Does not take the call."""
        check(lib.kring_incoming_decline(self._take()))

    def busy(self) -> None:
        """Does not take the call because of another one."""
        check(lib.kring_incoming_busy(self._take()))


class Knock(Owned):
    """Somebody waits to be let in. Letting go of it lets them go."""

    _free = "kring_knock_free"

    def peer(self) -> Peer:
        """Who waits."""
        return peer_of(lib.kring_knock_peer, self._handle)

    def wait_given_up(self, timeout: Optional[float] = None) -> None:
        """Waits until they have given up. Raises `Timeout`; `Ended` if it was decided."""
        self._wait(lib.kring_knock_wait_given_up, timeout)

    def admit(self) -> None:
        """Lets them in: now it rings."""
        check(lib.kring_knock_admit(self._take()))

    def refuse(self) -> None:
        """Lets them go."""
        check(lib.kring_knock_refuse(self._take()))
