"""The C ABI as ctypes knows it: kring.h, line by line. Nothing here is for users; `kring` is.

What is declared here and differs from the header would be a crash, so the test suite compares the two.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import sys
from ctypes import POINTER, Structure, c_char, c_char_p, c_double, c_float, c_int32, c_size_t, c_uint8, c_uint32
from ctypes import c_uint64, c_void_p
from typing import Any

#: The ABI that this module is written for: 65536 * major + minor.
ABI = (1 << 16) + 1

Handle = c_uint64
Drop = ctypes.CFUNCTYPE(None, c_void_p)


class Sized(Structure):
    """A struct that begins with its own size, which is set when it is made."""

    def __init__(self, **values: Any) -> None:
        super().__init__(struct_size=ctypes.sizeof(type(self)), **values)

    def text(self, name: str) -> str:
        return getattr(self, name).decode("utf-8", "replace")


class Event(Sized):
    _fields_ = [("struct_size", c_uint32), ("kind", c_uint32), ("track", c_uint32), ("state", c_uint32)]
    _fields_ += [("end", c_uint32), ("by", c_uint32), ("code", c_uint64)]
    _fields_ += [("text_", c_char * 512), ("detail", c_char * 128)]


class End(Sized):
    _fields_ = [("struct_size", c_uint32), ("end", c_uint32), ("by", c_uint32), ("reserved", c_uint32)]
    _fields_ += [("code", c_uint64), ("text_", c_char * 512)]


class EndpointOptions(Sized):
    _fields_ = [("struct_size", c_uint32), ("flags", c_uint32), ("bind", c_char_p), ("store", Handle)]
    _fields_ += [("home", Handle), ("ringing_ms", c_uint32), ("vanished_ms", c_uint32), ("relay", c_char_p)]


class Identity(Sized):
    _fields_ = [("struct_size", c_uint32), ("identity", c_uint8 * 32), ("fingerprint", c_char * 64)]


class TicketOptions(Sized):
    _fields_ = [("struct_size", c_uint32), ("flags", c_uint32), ("lifetime_s", c_uint64)]
    _fields_ += [("addresses", POINTER(c_char_p)), ("address_count", c_size_t), ("passcode", c_char_p)]


class Contact(Sized):
    _fields_ = [("struct_size", c_uint32), ("has_identity", c_uint32), ("verified", c_uint32)]
    _fields_ += [("callable", c_uint32), ("blocked", c_uint32), ("reserved", c_uint32), ("since", c_uint64)]
    _fields_ += [("last_call", c_uint64), ("identity", c_uint8 * 32), ("fingerprint", c_char * 64)]
    _fields_ += [("name", c_char * 264)]


class Peer(Sized):
    _fields_ = [("struct_size", c_uint32), ("trust", c_uint32), ("was_verified", c_uint32)]
    _fields_ += [("is_contact", c_uint32), ("identity", c_uint8 * 32), ("expected", c_uint8 * 32)]
    _fields_ += [("fingerprint", c_char * 64), ("name", c_char * 264), ("contact", c_char * 264)]
    _fields_ += [("ticket_id", c_char * 24), ("address", c_char * 64)]


class Track(Sized):
    _fields_ = [("struct_size", c_uint32), ("id", c_uint32), ("source", c_uint32), ("state", c_uint32)]
    _fields_ += [("width", c_uint32), ("height", c_uint32), ("frame_rate_milli", c_uint32)]
    _fields_ += [("reserved", c_uint32), ("codec", c_char * 24)]


class Device(Sized):
    _fields_ = [("struct_size", c_uint32), ("is_default", c_uint32), ("name", c_char * 256), ("id", c_char * 256)]


class Blocked(Sized):
    _fields_ = [("struct_size", c_uint32), ("reserved", c_uint32), ("since", c_uint64), ("fingerprint", c_char * 64)]


class IssuedTicket(Sized):
    _fields_ = [("struct_size", c_uint32), ("one_call", c_uint32), ("passcode", c_uint32), ("reserved", c_uint32)]
    _fields_ += [("issued", c_uint64), ("expires", c_uint64), ("id", c_char * 24)]


class Ticket(Sized):
    _fields_ = [("struct_size", c_uint32), ("addresses", c_uint32), ("expires", c_uint64), ("id", c_char * 24)]
    _fields_ += [("fingerprint", c_char * 64), ("relay", c_char * 272)]


class Safety(Sized):
    _fields_ = [("struct_size", c_uint32), ("post_quantum", c_uint32), ("noise", c_char * 96), ("media", c_char * 64)]
    _fields_ += [("tls_group", c_char * 32), ("tls_cipher", c_char * 64)]


class Counters(Sized):
    _fields_ = [("struct_size", c_uint32), ("reserved", c_uint32), ("unknown_hint", c_uint64), ("blocked", c_uint64)]
    _fields_ += [("replayed", c_uint64), ("clock", c_uint64), ("invalid", c_uint64), ("completed", c_uint64)]


class PictureBuffer(Sized):
    _fields_ = [("struct_size", c_uint32), ("pixels", c_uint32), ("width", c_uint32), ("height", c_uint32)]
    _fields_ += [("y", c_void_p), ("u", c_void_p), ("v", c_void_p)]


class Picture(Sized):
    _fields_ = [("struct_size", c_uint32), ("pixels", c_uint32), ("width", c_uint32), ("height", c_uint32)]
    _fields_ += [("y", c_void_p), ("u", c_void_p), ("v", c_void_p)]
    _fields_ += [("y_stride", c_size_t), ("u_stride", c_size_t), ("v_stride", c_size_t)]


Start = ctypes.CFUNCTYPE(c_int32, c_void_p)
Stop = ctypes.CFUNCTYPE(None, c_void_p)
Play = ctypes.CFUNCTYPE(c_int32, c_void_p, POINTER(c_float), c_size_t, c_uint32, POINTER(c_uint64))
Read = ctypes.CFUNCTYPE(c_int32, c_void_p, POINTER(c_float), c_size_t, POINTER(c_uint64))
Show = ctypes.CFUNCTYPE(c_int32, c_void_p, POINTER(Picture))


class AudioSink(Sized):
    _fields_ = [("struct_size", c_uint32), ("flags", c_uint32), ("user_data", c_void_p), ("start", Start)]
    _fields_ += [("play", Play), ("stop", Stop), ("drop_fn", Drop)]


class AudioSource(Sized):
    _fields_ = [("struct_size", c_uint32), ("flags", c_uint32), ("consent", c_uint32), ("reserved", c_uint32)]
    _fields_ += [("user_data", c_void_p), ("start", Start), ("read", Read), ("stop", Stop), ("drop_fn", Drop)]


class VideoSink(Sized):
    _fields_ = [("struct_size", c_uint32), ("reserved", c_uint32), ("user_data", c_void_p), ("show", Show)]
    _fields_ += [("stop", Stop), ("drop_fn", Drop)]


ReadPicture = ctypes.CFUNCTYPE(c_int32, c_void_p, POINTER(PictureBuffer), POINTER(c_uint64))


class VideoSource(Sized):
    _fields_ = [("struct_size", c_uint32), ("flags", c_uint32), ("consent", c_uint32), ("width", c_uint32)]
    _fields_ += [("height", c_uint32), ("frames_per_second", c_float), ("user_data", c_void_p), ("start", Start)]
    _fields_ += [("read", ReadPicture), ("stop", Stop), ("drop_fn", Drop)]


class AudioSettings(Sized):
    _fields_ = [("struct_size", c_uint32), ("duration_ms", c_uint32), ("bits_per_second", c_uint32)]
    _fields_ += [("expected_loss", c_uint32)]


class VideoSettings(Sized):
    _fields_ = [("struct_size", c_uint32), ("width", c_uint32), ("height", c_uint32), ("bits_per_second", c_uint32)]
    _fields_ += [("frames_per_second", c_float), ("content", c_uint32), ("temporal_layers", c_uint32)]
    _fields_ += [("reserved", c_uint32)]


class Encoded(Sized):
    _fields_ = [("struct_size", c_uint32), ("flags", c_uint32), ("number", c_uint32), ("refers_to", c_uint32)]
    _fields_ += [("temporal_layer", c_uint32), ("reserved", c_uint32), ("data", c_void_p), ("length", c_size_t)]


New = POINTER(c_void_p)
AudioEncoderNew = ctypes.CFUNCTYPE(c_int32, c_void_p, POINTER(AudioSettings), New)
AudioEncode = ctypes.CFUNCTYPE(
    c_int32, c_void_p, POINTER(AudioSettings), POINTER(c_float), c_size_t, c_void_p, c_size_t, POINTER(c_size_t)
)
DecoderNew = ctypes.CFUNCTYPE(c_int32, c_void_p, New)
AudioDecode = ctypes.CFUNCTYPE(
    c_int32, c_void_p, c_void_p, c_size_t, POINTER(c_float), c_size_t, POINTER(c_size_t)
)
Conceal = ctypes.CFUNCTYPE(c_int32, c_void_p, POINTER(c_float), c_size_t)
VideoEncoderNew = ctypes.CFUNCTYPE(c_int32, c_void_p, POINTER(VideoSettings), New)
VideoEncode = ctypes.CFUNCTYPE(c_int32, c_void_p, POINTER(Picture), c_uint64, c_uint32, POINTER(Encoded))
SetRate = ctypes.CFUNCTYPE(c_int32, c_void_p, c_uint32, c_float)
Acknowledged = ctypes.CFUNCTYPE(None, c_void_p, c_uint32)
Lost = ctypes.CFUNCTYPE(c_uint32, c_void_p, c_uint32, c_uint32)
VideoDecode = ctypes.CFUNCTYPE(c_int32, c_void_p, c_void_p, c_size_t, POINTER(Picture))


class AudioCodec(Sized):
    _fields_ = [("struct_size", c_uint32), ("reserved", c_uint32), ("user_data", c_void_p), ("name", c_char_p)]
    _fields_ += [("encoder_new", AudioEncoderNew), ("encode", AudioEncode), ("encoder_free", Drop)]
    _fields_ += [("decoder_new", DecoderNew), ("decode", AudioDecode), ("conceal", Conceal), ("decoder_free", Drop)]
    _fields_ += [("drop_fn", Drop)]


class VideoCodec(Sized):
    _fields_ = [("struct_size", c_uint32), ("reserved", c_uint32), ("user_data", c_void_p), ("name", c_char_p)]
    _fields_ += [("encoder_new", VideoEncoderNew), ("encode", VideoEncode), ("set_rate", SetRate)]
    _fields_ += [("acknowledged", Acknowledged), ("lost", Lost), ("encoder_free", Drop), ("decoder_new", DecoderNew)]
    _fields_ += [("decode", VideoDecode), ("decoder_free", Drop), ("drop_fn", Drop)]


Load = ctypes.CFUNCTYPE(c_int32, c_void_p, c_uint32, c_void_p, c_size_t, POINTER(c_size_t))
Save = ctypes.CFUNCTYPE(c_int32, c_void_p, c_uint32, c_void_p, c_size_t)
Log = ctypes.CFUNCTYPE(None, c_void_p, c_uint32, c_char_p, c_char_p)


class StoreCallbacks(Sized):
    _fields_ = [("struct_size", c_uint32), ("reserved", c_uint32), ("user_data", c_void_p), ("load", Load)]
    _fields_ += [("save", Save), ("drop_fn", Drop)]


def _prototypes() -> dict[str, list[Any]]:
    h, text, flag, number = Handle, c_char_p, c_uint32, c_uint32
    out, size = POINTER(Handle), POINTER(c_size_t)
    buffer = [c_char_p, c_size_t, size]
    peer, identity, end = POINTER(Peer), POINTER(c_uint8), POINTER(End)
    return {
        "kring_prepare": [],
        "kring_log": [number, Log, c_void_p, Drop],
        "kring_check_contact_name": [text],
        "kring_ticket_read": [text, POINTER(Ticket)],
        "kring_ticket_qr": [text, *buffer],
        "kring_store_files": [text, out],
        "kring_store_system": [text, out],
        "kring_store_new": [POINTER(StoreCallbacks), out],
        "kring_store_best": [text, out],
        "kring_store_free": [h],
        "kring_endpoint_new": [POINTER(EndpointOptions), out],
        "kring_endpoint_close": [h],
        "kring_endpoint_free": [h],
        "kring_endpoint_identity": [h, POINTER(Identity)],
        "kring_endpoint_local_address": [h, *buffer],
        "kring_endpoint_addresses": [h, out],
        "kring_endpoint_counters": [h, POINTER(Counters)],
        "kring_endpoint_wait_relay": [h, c_int32],
        "kring_endpoint_network_changed": [h],
        "kring_endpoint_dial_expecting": [h, text, identity, flag, h, out],
        "kring_endpoint_ticket": [h, POINTER(TicketOptions), *buffer],
        "kring_endpoint_home": [h, out],
        "kring_endpoint_keep": [h, identity, text],
        "kring_endpoint_dial": [h, text, h, out],
        "kring_endpoint_dial_contact": [h, text, h, out],
        "kring_endpoint_answer_next": [h, h, out],
        "kring_endpoint_next_incoming": [h, c_int32, out],
        "kring_endpoint_next_knock": [h, c_int32, out],
        "kring_home_free": [h],
        "kring_home_contacts": [h, out],
        "kring_home_set_verified": [h, text, flag],
        "kring_home_remove_contact": [h, text],
        "kring_home_block": [h, text],
        "kring_home_unblock": [h, text],
        "kring_home_revoke": [h, text],
        "kring_home_contact": [h, text, POINTER(Contact)],
        "kring_home_contact_of": [h, text, POINTER(Contact)],
        "kring_home_add_contact": [h, text, text],
        "kring_home_rename_contact": [h, text, text],
        "kring_home_blocked": [h, out],
        "kring_home_tickets": [h, out],
        "kring_home_set_passcode": [h, text, text],
        "kring_incoming_peer": [h, peer],
        "kring_incoming_tracks": [h, out],
        "kring_incoming_expect": [h, identity, flag],
        "kring_incoming_wait_given_up": [h, c_int32, end],
        "kring_incoming_answer": [h, h, out],
        "kring_incoming_decline": [h],
        "kring_incoming_busy": [h],
        "kring_incoming_free": [h],
        "kring_knock_peer": [h, peer],
        "kring_knock_wait_given_up": [h, c_int32],
        "kring_knock_admit": [h],
        "kring_knock_refuse": [h],
        "kring_knock_free": [h],
        "kring_list_count": [h, size],
        "kring_list_contact": [h, c_size_t, POINTER(Contact)],
        "kring_list_device": [h, c_size_t, POINTER(Device)],
        "kring_list_blocked": [h, c_size_t, POINTER(Blocked)],
        "kring_list_ticket": [h, c_size_t, POINTER(IssuedTicket)],
        "kring_list_text": [h, c_size_t, *buffer],
        "kring_list_track": [h, c_size_t, POINTER(Track)],
        "kring_list_free": [h],
        "kring_media_new": [number, out],
        "kring_media_free": [h],
        "kring_media_name": [h, text],
        "kring_media_max_rate": [h, number],
        "kring_media_content": [h, number],
        "kring_media_frame_duration": [h, number],
        "kring_media_audio_codec": [h, POINTER(AudioCodec)],
        "kring_media_video_codec": [h, POINTER(VideoCodec)],
        "kring_media_microphone_input": [h, h],
        "kring_media_camera_input": [h, h],
        "kring_media_camera_source": [h, POINTER(VideoSource)],
        "kring_media_speaker_none": [h],
        "kring_media_view_none": [h],
        "kring_media_recording": [h, flag],
        "kring_media_microphone_tone": [h, c_double, c_double],
        "kring_media_microphone_wav": [h, text, flag],
        "kring_media_microphone_device": [h, text],
        "kring_media_microphone_source": [h, POINTER(AudioSource)],
        "kring_media_camera_test_card": [h, number, number, c_float],
        "kring_media_camera_y4m": [h, text, flag],
        "kring_media_camera_device": [h, text, number, number, c_float],
        "kring_media_speaker_wav": [h, text],
        "kring_media_speaker_device": [h, text],
        "kring_media_speaker_sink": [h, POINTER(AudioSink)],
        "kring_media_view_y4m": [h, text, number, number, c_float],
        "kring_media_view_sink": [h, POINTER(VideoSink)],
        "kring_call_next_event": [h, c_int32, POINTER(Event)],
        "kring_call_wait_connected": [h, c_int32],
        "kring_call_wait_ended": [h, c_int32, end],
        "kring_call_hang_up": [h],
        "kring_call_free": [h],
        "kring_call_mute_microphone": [h, flag],
        "kring_call_mute_camera": [h, flag],
        "kring_call_switch": [h, h],
        "kring_call_enter_passcode": [h, text],
        "kring_call_peer": [h, peer],
        "kring_call_peer_tracks": [h, out],
        "kring_call_code": [h, number, *buffer],
        "kring_call_safety_number": [h, *buffer],
        "kring_call_mark_verified": [h, identity],
        "kring_call_accept_changed_key": [h, identity],
        "kring_call_stats_json": [h, *buffer],
        "kring_call_wait_begun": [h, c_int32],
        "kring_call_going_away": [h],
        "kring_call_is_microphone_muted": [h, POINTER(c_uint32)],
        "kring_call_is_camera_muted": [h, POINTER(c_uint32)],
        "kring_call_safety": [h, POINTER(Safety)],
        "kring_call_safety_qr": [h, *buffer],
        "kring_call_compare_safety_number": [h, text],
        "kring_call_compare_safety_qr": [h, identity, text],
        "kring_audio_input_new": [number, out],
        "kring_audio_input_push": [h, POINTER(c_float), c_size_t],
        "kring_audio_input_end": [h],
        "kring_audio_input_free": [h],
        "kring_video_input_new": [number, number, number, c_float, out],
        "kring_video_input_push": [h, POINTER(Picture)],
        "kring_video_input_end": [h],
        "kring_video_input_free": [h],
        "kring_picture_to_rgba": [POINTER(Picture), number, c_void_p, c_size_t, c_size_t],
        "kring_picture_fill": [POINTER(PictureBuffer), POINTER(Picture)],
        "kring_devices": [number, out],
        "kring_shutdown": [c_int32],
    }


def load() -> ctypes.CDLL:
    """The shared library: KRING_LIBRARY names it; else one beside this module, else the system's."""
    name = {"darwin": "libkring.dylib", "win32": "kring.dll"}.get(sys.platform, "libkring.so")
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), name)
    path = os.environ.get("KRING_LIBRARY") or (beside if os.path.exists(beside) else None)
    path = path or ctypes.util.find_library("kring") or name
    library = ctypes.CDLL(path)
    for function, arguments in _prototypes().items():
        prototype = getattr(library, function)
        prototype.argtypes, prototype.restype = arguments, c_int32
    library.kring_last_error.argtypes, library.kring_last_error.restype = [], c_char_p
    library.kring_version.argtypes, library.kring_version.restype = [], c_char_p
    library.kring_features.argtypes, library.kring_features.restype = [], c_uint32
    library.kring_abi_version.argtypes, library.kring_abi_version.restype = [], c_uint32
    found = library.kring_abi_version()
    if found >> 16 != ABI >> 16 or found < ABI:
        raise ImportError(f"{path} has ABI {found >> 16}.{found & 0xFFFF}, this module needs {ABI >> 16}.{ABI & 0xFFFF}")
    return library
