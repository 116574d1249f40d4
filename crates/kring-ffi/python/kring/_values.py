"""What the library tells, as values: enums and frozen dataclasses, without a handle among them."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Optional, Union

#: Bytes in memory.
Buffer = Union[bytes, bytearray, memoryview]


class _Growing(enum.IntEnum):
    """An enum that later libraries may know more values of: those are its `OTHER`, or its first."""

    @classmethod
    def _missing_(cls, value: object) -> _Growing:
        return cls.__members__.get("OTHER", next(iter(cls)))


class Consent(enum.IntFlag):
    """A person's leave to open devices, given for one call."""

    NOTHING = 0
    MICROPHONE = 1
    CAMERA = 2
    SCREEN = 4


class Kind(_Growing):
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
    PATH = 18


class Reason(_Growing):
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


class By(_Growing):
    """Who ended a call."""

    NOBODY = 0
    LOCAL = 1
    PEER = 2
    NETWORK = 3


class Path(_Growing):
    """How packets get to the other side: the `state` of `Kind.PATH`."""

    DIRECT = 0
    RELAYED = 1


class Content(_Growing):
    """What pictures are like: people, text and drawings, or sign language."""

    CAMERA = 0
    SCREEN = 1
    SIGN = 2


class Pixels(_Growing):
    """How the pixels of a picture lie: I420 in three planes, NV12 in two, RGBA and BGRA in one of four bytes a pixel."""

    I420 = 0
    NV12 = 1
    RGBA = 2
    BGRA = 3


class Item(_Growing):
    """What a store keeps: each is a secret."""

    IDENTITY = 0
    TICKETS = 1
    CONTACTS = 2
    PASSCODES = 3


class LogLevel(_Growing):
    """How much is logged."""

    OFF = 0
    ERROR = 1
    WARN = 2
    INFO = 3
    DEBUG = 4


class Features(enum.IntFlag):
    """What a build of the library has."""

    OPUS = 1
    H264 = 2
    AUDIO_IO = 4
    CAMERA = 8
    OS_KEY_STORE = 16


class NeedsKeyframe(Exception):
    """Raised by a decoder of pictures: one before it is missing, and only a keyframe helps."""


class TrackState(_Growing):
    """Whether a track is sent."""

    LIVE = 0
    MUTED = 1
    ENDED = 2
    OTHER = 255


class Trust(_Growing):
    """What is known about whose identity it is."""

    UNVERIFIED = 1
    VERIFIED = 2
    KEY_CHANGED = 3


class Played(_Growing):
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
    """Somebody who has proven an identity; `expected` is the one that was expected, with `Trust.KEY_CHANGED`."""

    identity: bytes
    fingerprint: str
    name: str
    trust: Trust
    contact: Optional[str]
    address: str
    expected: Optional[bytes] = None


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
class Ticket:
    """What a ticket says. `expires` is in seconds since 1970."""

    id: str
    fingerprint: str
    expires: int
    addresses: int
    relay: Optional[str]


@dataclass(frozen=True)
class IssuedTicket:
    """A ticket that was given out. Times are in seconds since 1970."""

    id: str
    issued: int
    expires: int
    one_call: bool
    passcode: bool


@dataclass(frozen=True)
class Safety:
    """What protects a call."""

    post_quantum: bool
    noise: str
    media: str
    tls_group: str
    tls_cipher: str


@dataclass(frozen=True)
class Counters:
    """How many handshakes came to what."""

    unknown_hint: int
    blocked: int
    replayed: int
    clock: int
    invalid: int
    completed: int


@dataclass(frozen=True)
class AudioSettings:
    """How sound is to be encoded; the loss is in per cent."""

    duration_ms: int
    bits_per_second: int
    expected_loss: int


@dataclass(frozen=True)
class VideoSettings:
    """How pictures are to be encoded."""

    width: int
    height: int
    bits_per_second: int
    frames_per_second: float
    content: Content
    temporal_layers: int


@dataclass(frozen=True)
class Encoded:
    """One encoded picture. Unless it is a keyframe it builds on the one before, or on the one of the number `refers_to`: what an encoder puts out is
    numbered from 0. A discardable one may be dropped without harm to others."""

    data: bytes
    keyframe: bool = False
    discardable: bool = False
    refers_to: Optional[int] = None
    temporal_layer: int = 0


@dataclass(frozen=True)
class Picture:
    """A picture in I420, video range, its planes without gaps. Those that the library gives are good until the function that was given them returns: copy what is to
    last."""

    width: int
    height: int
    y: Buffer
    u: Buffer
    v: Buffer

    def to_rgba(self, pixels: Pixels = Pixels.RGBA) -> bytearray:
        """The same as RGBA or BGRA, rows without gaps."""
        from . import _own

        return _own.to_rgba(self, pixels)

    def fill(self, pixels: Pixels, *planes: Buffer) -> None:
        """Takes over the pixels of a picture of this size, where this one is to be written."""
        from . import _own

        _own.fill(self, pixels, planes)
