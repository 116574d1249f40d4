"""What one side of a call brings: sources, sinks, codecs, and what is consented to. Nothing here is for users; `kring` is."""

from __future__ import annotations

import ctypes
from typing import Any, Callable, Iterable, Optional, Protocol

from . import _abi
from . import _own as own
from ._base import Owned, check, lib
from ._values import AudioSettings, Consent, Content, Encoded, Picture, Pixels, Played, VideoSettings


class AudioEncoder(Protocol):
    """Encodes sound; used by one thread at a time."""

    def encode(self, samples: memoryview, settings: AudioSettings) -> bytes:
        """One frame of floats, mono at 48 kHz, as a packet of at most 1,000 bytes. Packets are encrypted with their length in plain sight: where all
        are of one length, nothing is given away."""


class AudioDecoder(Protocol):
    """Decodes sound; used by one thread at a time. It may also have `conceal(count)`, which makes up so many samples for a packet that is
    not there."""

    def decode(self, packet: bytes) -> Iterable[float]:
        """A packet, which may come from anyone on the other side, as at most 5,760 samples. Raises if it is damaged."""


class VideoEncoder(Protocol):
    """Encodes pictures; used by one thread at a time. It may also have `set_rate(bits_per_second, frames_per_second)`."""

    def encode(self, picture: Picture, at: float, keyframe: bool) -> Optional[Encoded]:
        """A picture that was captured `at` seconds after the track's start; None if it is skipped to hold the rate."""


class VideoDecoder(Protocol):
    """Decodes pictures; used by one thread at a time."""

    def decode(self, data: bytes) -> Optional[Picture]:
        """What an access unit, which may come from anyone on the other side, shows: None if there is no picture yet. Raises `NeedsKeyframe` if one
        before it is missing, anything else if it is damaged."""


class AudioInput(Owned):
    """Sound that is pushed in as it comes; it serves one call. `consent` says whether it comes from a microphone."""

    _free = "kring_audio_input_free"

    def __init__(self, consent: Consent = Consent.NOTHING) -> None:
        handle = _abi.Handle()
        check(lib.kring_audio_input_new(consent, ctypes.byref(handle)))
        super().__init__(handle.value)

    def push(self, samples: Any) -> None:
        """Takes samples, the last of which was captured just now: an array of floats, mono at 48 kHz. Does not wait; silence is sent where nothing
        comes in time."""
        view = memoryview(samples).cast("B")
        at, _held = own.address_of(view)
        check(lib.kring_audio_input_push(self._handle, ctypes.cast(at, ctypes.POINTER(ctypes.c_float)), len(view) // 4))

    def end(self) -> None:
        """Nothing more comes: the track ends after what waits."""
        check(lib.kring_audio_input_end(self._handle))


class VideoInput(Owned):
    """Pictures of one size that are pushed in as they come; it serves one call. `consent` says whether they come from a camera or a screen."""

    _free = "kring_video_input_free"

    def __init__(
        self, width: int, height: int, frames_per_second: float = 30.0, consent: Consent = Consent.NOTHING
    ) -> None:
        handle = _abi.Handle()
        check(lib.kring_video_input_new(consent, width, height, frames_per_second, ctypes.byref(handle)))
        super().__init__(handle.value)
        self.width, self.height = width, height

    def push(self, pixels: Pixels, *planes: Any) -> None:
        """Takes a picture that was captured just now: one plane, two or three, as `pixels` has it, rows without gaps. Does not wait."""
        raw, _held = own.raw_picture(pixels, self.width, self.height, *planes)
        check(lib.kring_video_input_push(self._handle, ctypes.byref(raw)))

    def end(self) -> None:
        """Nothing more comes: the track ends."""
        check(lib.kring_video_input_end(self._handle))


class Media(Owned):
    """What one side sends in a call and where it plays what comes. Each method gives the object back; dialling or answering uses
    it up. Everything is optional."""

    _free = "kring_media_free"

    def __init__(
        self, consent: Consent = Consent.NOTHING, name: str = "", max_rate: Optional[int] = None, recording: bool = False
    ) -> None:
        handle = _abi.Handle()
        check(lib.kring_media_new(consent, ctypes.byref(handle)))
        super().__init__(handle.value)
        self._set(lib.kring_media_name, name.encode())
        self._set(lib.kring_media_recording, recording)
        if max_rate is not None:
            self._set(lib.kring_media_max_rate, max_rate)

    def _set(self, function: Callable[..., int], *arguments: Any) -> Media:
        check(function(self._handle, *arguments))
        return self

    def content(self, content: Content) -> Media:
        """What the pictures are like."""
        return self._set(lib.kring_media_content, content)

    def frame_duration(self, milliseconds: int) -> Media:
        """How much sound goes into a packet, come what may: 10, 20, 40, 60 or 120 ms."""
        return self._set(lib.kring_media_frame_duration, milliseconds)

    def microphone_tone(self, hertz: float = 440.0, dbfs: float = -20.0) -> Media:
        """Sends a tone."""
        return self._set(lib.kring_media_microphone_tone, hertz, dbfs)

    def microphone_wav(self, path: str, repeat: bool = False) -> Media:
        """Sends a WAV file, in real time."""
        return self._set(lib.kring_media_microphone_wav, path.encode(), repeat)

    def microphone_device(self, name: Optional[str] = None) -> Media:
        """Sends what a microphone takes in; needs `Consent.MICROPHONE`."""
        return self._set(lib.kring_media_microphone_device, name and name.encode())

    def microphone(self, read: Callable[[memoryview], Any], consent: Consent = Consent.NOTHING) -> Media:
        """Sends what `read` writes into the floats it is given: mono at 48 kHz, -1 to 1, zero at first. It is called when its block is
        due; StopIteration ends the sound. `consent` says whether it opens a microphone."""
        source = _abi.AudioSource(flags=1, consent=consent, user_data=own.keep(read), read=own.read, drop_fn=own.drop)
        return self._set(lib.kring_media_microphone_source, ctypes.byref(source))

    def microphone_input(self, sound: AudioInput) -> Media:
        """Sends what is pushed into `sound`."""
        return self._set(lib.kring_media_microphone_input, sound._handle)

    def camera_test_card(self, width: int = 640, height: int = 360, frames_per_second: float = 30.0) -> Media:
        """Sends a test card."""
        return self._set(lib.kring_media_camera_test_card, width, height, frames_per_second)

    def camera_y4m(self, path: str, repeat: bool = False) -> Media:
        """Sends a Y4M file, in real time."""
        return self._set(lib.kring_media_camera_y4m, path.encode(), repeat)

    def camera_device(
        self, name: Optional[str] = None, width: int = 640, height: int = 360, frames_per_second: float = 30.0
    ) -> Media:
        """Sends what a camera takes in; needs `Consent.CAMERA`."""
        return self._set(lib.kring_media_camera_device, name and name.encode(), width, height, frames_per_second)

    def camera(
        self,
        read: Callable[[Picture], Any],
        width: int,
        height: int,
        frames_per_second: float = 30.0,
        consent: Consent = Consent.NOTHING,
    ) -> Media:
        """Sends what `read` writes into the picture it is given, which holds the one before (`Picture.fill` converts). It is called when a picture is
        due; StopIteration ends the pictures. `consent` says whether it opens a camera or a screen."""
        source = _abi.VideoSource(
            flags=1, consent=consent, width=width, height=height, frames_per_second=frames_per_second
        )
        source.user_data, source.read, source.drop_fn = own.keep(read), own.read_picture, own.drop
        return self._set(lib.kring_media_camera_source, ctypes.byref(source))

    def camera_input(self, pictures: VideoInput) -> Media:
        """Sends what is pushed into `pictures`."""
        return self._set(lib.kring_media_camera_input, pictures._handle)

    def audio_codec(
        self,
        name: str,
        encoder: Optional[Callable[[AudioSettings], AudioEncoder]] = None,
        decoder: Optional[Callable[[], AudioDecoder]] = None,
    ) -> Media:
        """Prefers a codec of the program's own for sound. `name` is the token by which ends agree on it, 1 to 16 of a-z, 0-9 and -; "opus"
        replaces the library's. `encoder` and `decoder` make one each; without one the library's own of that name does its part, or nothing."""
        codec = _abi.AudioCodec(name=name.encode(), user_data=own.keep((encoder, decoder)), drop_fn=own.drop)
        if encoder is not None:
            codec.encoder_new, codec.encode, codec.encoder_free = own.audio_encoder_new, own.audio_encode, own.drop
        if decoder is not None:
            codec.decoder_new, codec.decode, codec.decoder_free = own.decoder_new, own.audio_decode, own.drop
            codec.conceal = own.conceal
        return self._set(lib.kring_media_audio_codec, ctypes.byref(codec))

    def video_codec(
        self,
        name: str,
        encoder: Optional[Callable[[VideoSettings], VideoEncoder]] = None,
        decoder: Optional[Callable[[], VideoDecoder]] = None,
    ) -> Media:
        """Prefers a codec of the program's own for pictures, as `audio_codec` does for sound; "h264" replaces the library's."""
        codec = _abi.VideoCodec(name=name.encode(), user_data=own.keep((encoder, decoder)), drop_fn=own.drop)
        if encoder is not None:
            codec.encoder_new, codec.encode, codec.encoder_free = own.video_encoder_new, own.video_encode, own.drop
            codec.set_rate = own.set_rate
        if decoder is not None:
            codec.decoder_new, codec.decode, codec.decoder_free = own.decoder_new, own.video_decode, own.drop
        return self._set(lib.kring_media_video_codec, ctypes.byref(codec))

    def speaker_none(self) -> Media:
        """Plays into nothing, in real time."""
        return self._set(lib.kring_media_speaker_none)

    def speaker_wav(self, path: str) -> Media:
        """Plays into a WAV file, in real time. Say `recording=True` with it."""
        return self._set(lib.kring_media_speaker_wav, path.encode())

    def speaker_device(self, name: Optional[str] = None) -> Media:
        """Plays by a speaker."""
        return self._set(lib.kring_media_speaker_device, name and name.encode())

    def speaker(self, play: Callable[[memoryview, Played], Any]) -> Media:
        """Hands what is to be heard to `play`, in real time: floats, mono at 48 kHz, good until it returns."""
        sink = _abi.AudioSink(flags=1, user_data=own.keep(play), play=own.play, drop_fn=own.drop)
        return self._set(lib.kring_media_speaker_sink, ctypes.byref(sink))

    def view_none(self) -> Media:
        """Decodes the pictures and shows them to nobody."""
        return self._set(lib.kring_media_view_none)

    def view_y4m(self, path: str, width: int, height: int, frames_per_second: float) -> Media:
        """Shows to a Y4M file, scaled. Say `recording=True` with it."""
        return self._set(lib.kring_media_view_y4m, path.encode(), width, height, frames_per_second)

    def view(self, show: Callable[[Picture], Any]) -> Media:
        """Hands each picture to `show` when it is to be seen."""
        sink = _abi.VideoSink(user_data=own.keep(show), show=own.show, drop_fn=own.drop)
        return self._set(lib.kring_media_view_sink, ctypes.byref(sink))
