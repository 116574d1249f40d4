"""What a program brings itself, as the library calls it: sources, sinks, codecs, stores and a place for the log.

Each is kept by a number, which is what the library knows of it, until the library drops it. No exception gets into the library: it is printed, and
what raised has failed. Nothing here is for users; `kring` is.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import traceback
from typing import Any, Callable

from . import _abi
from ._base import ARGUMENT, ENDED, NOT_FOUND, STATE, check, lib
from ._values import AudioSettings, Content, Item, LogLevel, NeedsKeyframe, Picture, Pixels, Played, VideoSettings

#: By number, until the library drops it.
kept: dict[int, Any] = {}
_keeping = threading.Lock()


def keep(thing: Any) -> int:
    with _keeping:
        number = max(kept, default=0) + 1
        kept[number] = thing
        return number


def _guarded(function: Callable[[], Any]) -> int:
    """Runs a program's own function for the library, which no exception may reach."""
    try:
        return function() or 0
    except StopIteration:
        return ENDED
    except NeedsKeyframe:
        return STATE
    except BaseException:
        traceback.print_exc(file=sys.stderr)
        return ARGUMENT


def _done(function: Callable[[], Any]) -> int:
    """The same, whatever it gives."""
    return _guarded(lambda: function() and 0)


def floats(samples: Any, count: int) -> memoryview:
    """So many samples where they are."""
    return memoryview(ctypes.cast(samples, ctypes.POINTER(ctypes.c_float * count)).contents).cast("B").cast("f")


def plane(at: int, size: int) -> memoryview:
    """So many bytes where they are."""
    return memoryview((ctypes.c_uint8 * size).from_address(at)).cast("B")


def picture_of(raw: Any) -> Picture:
    """A picture of the library's, without gaps, where it is: to be read if it is a `_abi.Picture`, else to be written."""
    quarter = raw.width * raw.height // 4
    planes = plane(raw.y, 4 * quarter), plane(raw.u, quarter), plane(raw.v, quarter)
    if isinstance(raw, _abi.Picture):
        planes = tuple(each.toreadonly() for each in planes)
    return Picture(raw.width, raw.height, *planes)


def address_of(data: Any) -> tuple[int, Any]:
    """Where bytes are, and what has to be held for them to stay; what is read-only is copied."""
    view = memoryview(data).cast("B")
    raw = (ctypes.c_uint8 * len(view)).from_buffer_copy(view) if view.readonly else (ctypes.c_uint8 * len(view)).from_buffer(view)
    return ctypes.addressof(raw), raw


def raw_picture(pixels: Pixels, width: int, height: int, *planes: Any) -> tuple[Any, Any]:
    """A picture of a program's own, as the library reads it, and what has to be held meanwhile."""
    sizes = {
        Pixels.I420: [width * height, width * height // 4, width * height // 4],
        Pixels.NV12: [width * height, width * height // 2],
    }.get(pixels, [4 * width * height])
    if [len(memoryview(each).cast("B")) for each in planes] != sizes:
        raise ValueError(f"expected planes of {sizes} bytes for {width}x{height} in {pixels.name}")
    raw = _abi.Picture(pixels=pixels, width=width, height=height)
    held = []
    strides = {Pixels.I420: [width, width // 2, width // 2], Pixels.NV12: [width, width]}.get(pixels, [4 * width])
    for name, data, stride in zip("yuv", planes, strides):
        at, holding = address_of(data)
        setattr(raw, name, at)
        setattr(raw, f"{name}_stride", stride)
        held.append(holding)
    return raw, held


def to_rgba(picture: Picture, pixels: Pixels) -> bytearray:
    raw, _held = raw_picture(Pixels.I420, picture.width, picture.height, picture.y, picture.u, picture.v)
    out = bytearray(4 * picture.width * picture.height)
    at, _holding = address_of(out)
    check(lib.kring_picture_to_rgba(ctypes.byref(raw), pixels, at, 4 * picture.width, len(out)))
    return out


def fill(picture: Picture, pixels: Pixels, planes: Any) -> None:
    raw, _held = raw_picture(pixels, picture.width, picture.height, *planes)
    buffer = _abi.PictureBuffer(width=picture.width, height=picture.height)
    own = [memoryview(each).cast("B") for each in (picture.y, picture.u, picture.v)]
    if any(each.readonly for each in own):
        raise ValueError("expected a picture that is to be written")
    (buffer.y, _y), (buffer.u, _u), (buffer.v, _v) = (address_of(each) for each in own)
    check(lib.kring_picture_fill(ctypes.byref(buffer), ctypes.byref(raw)))


@_abi.Drop
def drop(number: int) -> None:
    with _keeping:
        kept.pop(number, None)


@_abi.Read
def read(number: int, samples: Any, count: int, _age: Any) -> int:
    return _done(lambda: kept[number](floats(samples, count)))


@_abi.Play
def play(number: int, samples: Any, count: int, what: int, _delay: Any) -> int:
    return _done(lambda: kept[number](floats(samples, count).toreadonly(), Played(what)))


@_abi.ReadPicture
def read_picture(number: int, picture: Any, _age: Any) -> int:
    return _done(lambda: kept[number](picture_of(picture.contents)))


@_abi.Show
def show(number: int, picture: Any) -> int:
    return _done(lambda: kept[number](picture_of(picture.contents)))


def _made(number: int, half: int, out: Any, *arguments: Any) -> int:
    """Makes an encoder or a decoder of the codec of that number."""

    def make() -> None:
        out[0] = keep(kept[number][half](*arguments))

    return _guarded(make)


def _audio_settings(raw: Any) -> AudioSettings:
    return AudioSettings(raw.contents.duration_ms, raw.contents.bits_per_second, raw.contents.expected_loss)


@_abi.AudioEncoderNew
def audio_encoder_new(number: int, settings: Any, out: Any) -> int:
    return _made(number, 0, out, _audio_settings(settings))


@_abi.AudioEncode
def audio_encode(encoder: int, settings: Any, samples: Any, count: int, packet: int, capacity: int, length: Any) -> int:
    def encode() -> None:
        data = bytes(kept[encoder].encode(floats(samples, count).toreadonly(), _audio_settings(settings)))
        if len(data) > capacity:
            raise ValueError(f"expected a packet of at most {capacity} bytes, got {len(data)}")
        ctypes.memmove(packet, data, len(data))
        length[0] = len(data)

    return _guarded(encode)


@_abi.DecoderNew
def decoder_new(number: int, out: Any) -> int:
    return _made(number, 1, out)


def _put(samples: Any, capacity: int, given: Any) -> int:
    """Writes what is given, floats or numbers, and gives how many."""
    given = given if isinstance(given, memoryview) else list(given)
    if len(given) > capacity:
        raise ValueError(f"expected at most {capacity} samples, got {len(given)}")
    ctypes.memmove(samples, (ctypes.c_float * len(given))(*given), 4 * len(given))
    return len(given)


@_abi.AudioDecode
def audio_decode(decoder: int, packet: int, length: int, samples: Any, capacity: int, count: Any) -> int:
    def decode() -> None:
        count[0] = _put(samples, capacity, kept[decoder].decode(ctypes.string_at(packet, length)))

    return _guarded(decode)


@_abi.Conceal
def conceal(decoder: int, samples: Any, count: int) -> int:
    def made_up() -> None:
        function = getattr(kept[decoder], "conceal", None)
        if function is not None and _put(samples, count, function(count)) != count:
            raise ValueError(f"expected {count} samples")

    return _guarded(made_up)


@_abi.VideoEncoderNew
def video_encoder_new(number: int, settings: Any, out: Any) -> int:
    raw = settings.contents
    asked = VideoSettings(
        raw.width, raw.height, raw.bits_per_second, raw.frames_per_second, Content(raw.content), raw.temporal_layers
    )
    return _made(number, 0, out, asked)


@_abi.VideoEncode
def video_encode(encoder: int, picture: Any, at_us: int, keyframe: int, encoded: Any) -> int:
    def encode() -> None:
        own, raw = kept[encoder], encoded.contents
        given = own.encode(picture_of(picture.contents), at_us / 1e6, bool(keyframe))
        if given is None:
            return
        # They stay until the next call.
        own._kring_held = (ctypes.c_uint8 * len(given.data)).from_buffer_copy(given.data)
        raw.flags = given.keyframe + 2 * given.discardable
        raw.temporal_layer = given.temporal_layer
        if given.refers_to is not None:
            raw.refers_to = given.refers_to
        raw.data, raw.length = ctypes.addressof(own._kring_held), len(given.data)

    return _guarded(encode)


@_abi.SetRate
def set_rate(encoder: int, bits_per_second: int, frames_per_second: float) -> int:
    def change() -> None:
        function = getattr(kept[encoder], "set_rate", None)
        if function is not None:
            function(bits_per_second, frames_per_second)

    return _guarded(change)


@_abi.VideoDecode
def video_decode(decoder: int, data: int, length: int, picture: Any) -> int:
    def decode() -> None:
        own = kept[decoder]
        shown = own.decode(ctypes.string_at(data, length))
        if shown is None:
            return
        raw, own._kring_held = raw_picture(Pixels.I420, shown.width, shown.height, shown.y, shown.u, shown.v)
        for name, _kind in raw._fields_[1:]:
            setattr(picture.contents, name, getattr(raw, name))

    return _guarded(decode)


@_abi.Load
def load(number: int, item: int, buffer: int, capacity: int, length: Any) -> int:
    def found() -> int:
        data = kept[number][0](Item(item))
        if data is None:
            return NOT_FOUND
        if len(data) > capacity:
            raise ValueError(f"expected at most {capacity} bytes, got {len(data)}")
        ctypes.memmove(buffer, bytes(data), len(data))
        length[0] = len(data)
        return 0

    return _guarded(found)


@_abi.Save
def save(number: int, item: int, data: int, length: int) -> int:
    return _done(lambda: kept[number][1](Item(item), ctypes.string_at(data, length)))


@_abi.Log
def _log(number: int, level: int, target: bytes, message: bytes) -> None:
    _done(lambda: kept[number](LogLevel(level), target.decode(), message.decode("utf-8", "replace")))


def log(level: LogLevel, take: Callable[[LogLevel, str, str], Any]) -> None:
    """Hands what the library logs, up to that level, to `take`: level, part of the library, sentence. `LogLevel.OFF` ends that. The lines hold
    no secrets, but addresses and names of files. `take` is called on any thread and must not call functions of this module."""
    check(lib.kring_log(level, _log, keep(take), drop))
