"""What the library tells, as values: enums and frozen dataclasses, without a handle among them."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Optional


class Consent(enum.IntFlag):
    """A person's leave to open devices, given for one call."""

    NOTHING = 0
    MICROPHONE = 1
    CAMERA = 2
    SCREEN = 4


class Kind(enum.IntEnum):
    """What happened in a call. A kind that this module does not know is `OTHER`."""

    OTHER = 0
    PASSCODE_WANTED = 1
    WAITING = 2
    RINGING = 3
    ANSWERED_AHEAD = 4
    ANSWERED = 5
    CONNECTED = 6
    CODE = 7
    CODE_FAILED = 8
    KEY_CHANGED = 9
    PEER_TRACKS = 10
    PEER_TRACK_STATE = 11
    ACQUAINTED = 12
    PEER_RECORDING = 13
    INTERRUPTED = 14
    RESUMED = 15
    MEDIA_STOPPED = 16
    ENDED = 17

    @classmethod
    def _missing_(cls, value: object) -> Kind:
        return cls.OTHER


class Reason(enum.IntEnum):
    """How a call ended. A reason that this module does not know is `OTHER`."""

    OTHER = 0
    HUNG_UP = 1
    DECLINED = 2
    BUSY = 3
    NOT_ADMITTED = 4
    NOT_ANSWERED = 5
    GOING_AWAY = 6
    VANISHED = 7
    BOTH_DIALLED = 8
    UNREACHABLE = 9
    REFUSED = 10
    CLOCK_OFF = 11
    NOTHING_IN_COMMON = 12
    HANDSHAKE = 13
    PROTOCOL_ERROR = 14

    @classmethod
    def _missing_(cls, value: object) -> Reason:
        return cls.OTHER


class By(enum.IntEnum):
    """Who ended a call."""

    NOBODY = 0
    LOCAL = 1
    PEER = 2
    NETWORK = 3


class TrackState(enum.IntEnum):
    """Whether a track is sent."""

    LIVE = 0
    MUTED = 1
    ENDED = 2
    OTHER = 255

    @classmethod
    def _missing_(cls, value: object) -> TrackState:
        return cls.OTHER


class Trust(enum.IntEnum):
    """What is known about whose identity it is."""

    UNVERIFIED = 1
    VERIFIED = 2
    KEY_CHANGED = 3


class Played(enum.IntEnum):
    """What a block of sound is made of."""

    WAITING = 0
    DECODED = 1
    CONCEALED = 2


@dataclass(frozen=True)
class Event:
    """What happened; which of the rest means something, kring.h says with each kind."""

    kind: Kind
    text: str = ""
    detail: str = ""
    track: int = 0
    state: int = 0


@dataclass(frozen=True)
class End:
    """How a call ended; `str` says it for people."""

    reason: Reason
    by: By
    text: str
    code: int = 0

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Peer:
    """Somebody who has proven an identity."""

    identity: bytes
    fingerprint: str
    name: str
    trust: Trust
    contact: Optional[str]
    address: str


@dataclass(frozen=True)
class Contact:
    """A contact, without its secrets. Times are in seconds since 1970; 0 for never."""

    name: str
    fingerprint: str
    identity: Optional[bytes]
    verified: bool
    callable: bool
    blocked: bool
    since: int
    last_call: int


@dataclass(frozen=True)
class Track:
    """A track as its sender announces it."""

    id: int
    codec: str
    state: TrackState
    size: Optional[tuple[int, int]]
    frames_per_second: float


@dataclass(frozen=True)
class Device:
    """A device of this machine; name or id serve wherever one is named."""

    name: str
    id: str
    is_default: bool


@dataclass(frozen=True)
class Picture:
    """A picture in I420, video range. The planes are good until the function that was given it returns: copy what is to last."""

    width: int
    height: int
    y: memoryview
    u: memoryview
    v: memoryview
