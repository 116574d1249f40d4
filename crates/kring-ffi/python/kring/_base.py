"""What all objects have in common: the library, its errors, and handles that are freed once. Nothing here is for users; `kring` is."""

from __future__ import annotations

import ctypes
import threading
import time
from typing import Any, Callable, Optional

from . import _abi
from ._values import Peer, Track, TrackState, Trust

lib = _abi.load()

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


ENDED, TIMEOUT, NOT_FOUND, BUFFER, STATE, ARGUMENT = -8, -7, -12, -6, -9, -4
_ERRORS = {ENDED: Ended, TIMEOUT: Timeout, NOT_FOUND: NotFound}


def check(code: int) -> None:
    if code:
        raise _ERRORS.get(code, Error)(code, (lib.kring_last_error() or b"").decode("utf-8", "replace"))


def text_of(function: Callable[..., int], *arguments: Any) -> str:
    """What a function writes into a buffer of whatever length."""
    length = ctypes.c_size_t()
    capacity = 1025
    while True:
        buffer = ctypes.create_string_buffer(capacity)
        code = function(*arguments, buffer, capacity, ctypes.byref(length))
        if code != BUFFER:
            check(code)
            return buffer.value.decode()
        capacity = length.value + 1


def bytes32(identity: bytes) -> Any:
    if len(identity) != 32:
        raise ValueError(f"expected an identity of 32 bytes, got {len(identity)}")
    return (ctypes.c_uint8 * 32)(*identity)


class Owned:
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
            getattr(lib, self._free)(handle)

    def _wait(self, function: Callable[..., int], timeout: Optional[float], *out: Any) -> None:
        """Calls what waits so many ms, in slices, so that Ctrl-C gets through."""
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            left = _SLICE if until is None else max(0, min(_SLICE, round((until - time.monotonic()) * 1000)))
            handle = self._handle
            if not handle:
                raise Ended(ENDED, "it was closed")
            code = function(handle, left, *out)
            if code != TIMEOUT or (until is not None and time.monotonic() >= until):
                return check(code)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_lock"):
            self.close()


def peer_of(function: Callable[..., int], handle: int) -> Peer:
    raw = _abi.Peer()
    check(function(handle, ctypes.byref(raw)))
    trust = Trust(raw.trust)
    return Peer(
        bytes(raw.identity),
        raw.text("fingerprint"),
        raw.text("name"),
        trust,
        raw.text("contact") if raw.is_contact else None,
        raw.text("address"),
        bytes(raw.expected) if trust == Trust.KEY_CHANGED else None,
    )


def list_of(function: Callable[..., int], argument: int, item: Callable[..., int], kind: Any) -> list[Any]:
    handle, count = _abi.Handle(), ctypes.c_size_t()
    check(function(argument, ctypes.byref(handle)))
    try:
        check(lib.kring_list_count(handle, ctypes.byref(count)))
        items = [kind() for _ in range(count.value)]
        for index, raw in enumerate(items):
            check(item(handle, index, ctypes.byref(raw)))
        return items
    finally:
        lib.kring_list_free(handle)


def tracks_of(function: Callable[..., int], handle: int) -> list[Track]:
    raw = list_of(function, handle, lib.kring_list_track, _abi.Track)
    return [
        Track(
            t.id, t.text("codec"), TrackState(t.state), (t.width, t.height) if t.width else None, t.frame_rate_milli / 1000
        )
        for t in raw
    ]
