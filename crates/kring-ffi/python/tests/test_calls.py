"""Real calls over loopback, between two endpoints of Python's and with the `kring` caller where KRING_CALLER names it.

KRING_LIBRARY=…/libkring.so python3 -m unittest discover -s crates/kring-ffi/python/tests
"""

import gc
import math
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import wave

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import kring  # noqa: E402
from kring import _abi  # noqa: E402


def share(hertz, samples):
    """How much of it is a sine of so many hertz: 0 to 1."""
    waves = [(x, math.tau * hertz * n / 48_000) for n, x in enumerate(samples)]
    re_, im = sum(x * math.cos(p) for x, p in waves), sum(x * math.sin(p) for x, p in waves)
    return 2 * (re_ * re_ + im * im) / (1e-12 + sum(x * x for x in samples) * len(samples))


def eventually(fits, what):
    until = time.monotonic() + 20
    while not fits():
        if time.monotonic() > until:
            raise AssertionError(what)
        time.sleep(0.02)


class Ear:
    """Remembers what came over the network."""

    def __init__(self):
        self.samples = []

    def __call__(self, block, played):
        if played == kring.Played.DECODED:
            self.samples.extend(block)

    def hears(self, hertz):
        return len(self.samples) > 24_000 and share(hertz, self.samples[-4800:]) > 0.9


def endpoint(**options):
    return kring.Endpoint(bind="127.0.0.1:0", **options)


def again(address, folder):
    """An endpoint where one was; its socket may take a moment to go."""
    for _ in range(500):
        try:
            return kring.Endpoint(bind=address, folder=folder)
        except kring.Error:
            time.sleep(0.02)
    raise AssertionError("the address does not get free")


def talk(one, other, *, to=None, of=None):
    """A call from one to the other, connected: both ends."""
    call = one.dial(other.ticket(), to or kring.Media(name="Anna"))
    answered = other.incoming(20).answer(of or kring.Media(name="Ben"))
    call.wait_connected(20)
    return call, answered


class Calls(unittest.TestCase):
    def test_two_hear_and_see_each_other(self):
        with endpoint() as anna, endpoint() as ben:
            ear, pictures = Ear(), []

            def show(picture):
                assert len(picture.y) == picture.width * picture.height == 4 * len(picture.v)
                pictures.append(bytes(picture.y[:8]))

            to = kring.Media(name="Anna").microphone_tone(600).camera_test_card(320, 180)
            with anna.dial(ben.ticket(), to) as call:
                incoming = ben.incoming(20)
                self.assertEqual(incoming.peer().name, "Anna")
                self.assertEqual(incoming.peer().fingerprint, anna.fingerprint())
                answered = incoming.answer(kring.Media(name="Ben").speaker(ear).view(show))
                call.wait_connected(20)
                kinds = []
                for event in call:
                    kinds.append(event.kind)
                    if event.kind == kring.Kind.CODE:
                        break
                self.assertIn(kring.Kind.RINGING, kinds)
                self.assertRegex(call.code(), r"^\w+ \w+ \w+ \w+$")
                eventually(lambda: ear.hears(600) and len(pictures) > 10, "heard and seen")
                while answered.next_event(20).kind != kring.Kind.CODE:
                    pass
                self.assertEqual(call.code(), answered.code())
                self.assertEqual(call.safety_number(), answered.safety_number())
                self.assertEqual([track.codec for track in answered.peer_tracks()], ["opus", "h264"])
                self.assertGreater(call.stats()["transport"]["bytesSent"], 10_000)
                call.mute_microphone()
                while answered.next_event(20) != kring.Event(kring.Kind.PEER_TRACK_STATE, state=kring.TrackState.MUTED):
                    pass
                call.hang_up()
                self.assertEqual(call.wait_ended(20).by, kring.By.LOCAL)
                end = answered.wait_ended(20)
                self.assertEqual((end.reason, end.by), (kring.Reason.HUNG_UP, kring.By.PEER))
                self.assertEqual([event.kind for event in answered][-1], kring.Kind.ENDED)

    def test_own_sound_is_heard_and_its_exception_ends_only_the_track(self):
        played = [0]

        def read(block):
            if played[0] > 48_000:
                raise StopIteration
            for i in range(len(block)):
                block[i] = 0.3 * math.sin(math.tau * 500 * (played[0] + i) / 48_000)
            played[0] += len(block)

        with endpoint() as anna, endpoint() as ben:
            ear = Ear()
            call, answered = talk(anna, ben, to=kring.Media().microphone(read), of=kring.Media().speaker(ear))
            eventually(lambda: ear.hears(500), "heard")
            while (event := call.next_event(20)).kind != kring.Kind.MEDIA_STOPPED:
                pass
            self.assertEqual(event.detail, "microphone")
            call.close()
            self.assertEqual(answered.wait_ended(20).reason, kring.Reason.HUNG_UP)
        eventually(lambda: not kring._own.kept, "the library lets go of what was called")

    def test_own_pictures_are_seen_in_their_colours(self):
        red = bytes((255, 0, 0, 255)) * (320 * 180)
        seen = []

        def show(picture):
            seen.append((picture.width, bytes(picture.to_rgba()[-4:])))

        with endpoint() as anna, endpoint() as ben:
            to = kring.Media().camera(lambda picture: picture.fill(kring.Pixels.RGBA, red), 320, 180)
            call, answered = talk(anna, ben, to=to, of=kring.Media().view(show))

            def looks_red():
                r, g, b, a = seen[-1][1]
                return seen[-1][0] == 320 and r > 220 and g < 40 and b < 40 and a == 255

            eventually(lambda: seen and looks_red(), "a red picture")
            pushed = kring.VideoInput(320, 180)
            call.switch(kring.Media().camera_input(pushed))

            def looks_grey():
                pushed.push(kring.Pixels.NV12, bytes((128,)) * (320 * 180), bytes((128,)) * (320 * 90))
                return max(seen[-1][1][:3]) - min(seen[-1][1][:3]) < 20

            eventually(looks_grey, "a grey picture")
            with self.assertRaises(ValueError):
                pushed.push(kring.Pixels.RGBA, b"too short")
            call.close()
            answered.wait_ended(20)
        eventually(lambda: not kring._own.kept, "the library lets go of what was called")

    def test_own_codecs_encode_and_decode(self):
        class Sound:
            def encode(self, samples, settings):
                assert len(samples) == 48 * settings.duration_ms
                # A hundredth of the samples, in eight bits.
                return bytes(int(128 + 120 * x) for x in samples[::10])

            def decode(self, packet):
                return [(byte - 128) / 120 for byte in packet for _ in range(10)]

            def conceal(self, count):
                return [0.0] * count

        class Pictures:
            def encode(self, picture, at, keyframe):
                assert at >= 0 and picture.width == 64
                return kring.Encoded(bytes(picture.y[:1]), keyframe=True)

            def decode(self, data):
                return kring.Picture(64, 32, data * 2048, bytes((128,)) * 512, bytes((128,)) * 512)

        def media():
            sound, pictures = (lambda _settings: Sound(), Sound), (lambda _settings: Pictures(), Pictures)
            return kring.Media().audio_codec("py-8bit", *sound).video_codec("py-grey", *pictures)

        with endpoint() as anna, endpoint() as ben:
            ear, seen = Ear(), []
            paint = lambda picture: picture.fill(  # noqa: E731
                kring.Pixels.I420, bytes((77,)) * 2048, bytes((128,)) * 512, bytes((128,)) * 512
            )
            to = media().microphone_tone(300).camera(paint, 64, 32)
            of = media().speaker(ear).view(lambda picture: seen.append(picture.y[5]))
            call, answered = talk(anna, ben, to=to, of=of)
            self.assertEqual([track.codec for track in answered.peer_tracks()], ["py-8bit", "py-grey"])
            eventually(lambda: ear.hears(300) and 77 in seen, "heard and seen")
            call.close()
            answered.wait_ended(20)
        eventually(lambda: not kring._own.kept, "the library lets go of what was called")

    def test_an_own_store_keeps_and_who_is_not_expected_has_no_media(self):
        kept = {}
        store = kring.Store.own(kept.get, kept.__setitem__)
        with endpoint(store=store) as anna:
            identity = anna.identity()
            (ticket,) = (anna.ticket(), anna.tickets())[1]
            anna.revoke(ticket.id)
            self.assertEqual(anna.tickets(), [])
        self.assertIn(kring.Item.IDENTITY, kept)
        with endpoint(store=store) as anna, endpoint() as ben:
            self.assertEqual(anna.identity(), identity)
            known = ben.dial_expecting(anna.ticket(), identity, kring.Media(), verified=True)
            answered = anna.incoming(20).answer(kring.Media())
            known.wait_connected(20)
            self.assertEqual(known.peer().trust, kring.Trust.VERIFIED)
            self.assertTrue(known.safety().post_quantum)
            known.mute_microphone()
            self.assertTrue(known.is_microphone_muted() and not known.is_camera_muted())
            known.close()
            answered.wait_ended(20)
            call = ben.dial_expecting(anna.ticket(), bytes(32), kring.Media())
            while (event := call.next_event(20)).kind != kring.Kind.KEY_CHANGED:
                pass
            self.assertEqual(event.text, anna.fingerprint())
            self.assertEqual((call.peer().trust, call.peer().expected), (kring.Trust.KEY_CHANGED, bytes(32)))
            call.close()
        store.close()
        eventually(lambda: not kring._own.kept, "the library lets go of what was called")

    def test_the_log_has_lines_of_kring_only(self):
        lines = []
        kring.log(kring.LogLevel.DEBUG, lambda level, part, text: lines.append((level, part, text)))
        try:
            with endpoint() as anna, endpoint() as ben:
                ticket = anna.ticket()
                anna.revoke(anna.tickets()[0].id)
                call = ben.dial(ticket, kring.Media())
                eventually(lambda: any("dropped an incoming handshake" in line[2] for line in lines), "a line")
                call.close()
        finally:
            kring.log(kring.LogLevel.OFF, print)
        self.assertTrue(all(part.startswith("kring") for _, part, _ in lines), lines)
        self.assertFalse(any(ticket[:20] in text for _, _, text in lines))
        eventually(lambda: not kring._own.kept, "the library lets go of what was called")

    def test_another_microphone_is_heard(self):
        with endpoint() as anna, endpoint() as ben:
            ear = Ear()
            call, _answered = talk(anna, ben, to=kring.Media().microphone_tone(600), of=kring.Media().speaker(ear))
            eventually(lambda: ear.hears(600), "the first is heard")
            call.switch(kring.Media().microphone_tone(900))
            eventually(lambda: ear.hears(900), "the second is heard")
            with self.assertRaises(kring.Error):
                call.switch(kring.Media().camera_test_card())

    def test_contacts_call_again_by_name_after_a_restart(self):
        with tempfile.TemporaryDirectory() as folder:
            homes = [os.path.join(folder, name) for name in ("anna", "ben")]
            with endpoint(folder=homes[0]) as anna, endpoint(folder=homes[1]) as ben:
                address = ben.address()
                call, answered = talk(anna, ben)
                for side in call, answered:
                    while side.next_event(20).kind != kring.Kind.ACQUAINTED:
                        pass
                anna.keep(call.peer(), "Ben")
                ben.keep(answered.peer(), "Anna")
                anna.set_verified("ben")
                call.hang_up()
                call.wait_ended(20)
                answered.wait_ended(20)
                for side in call, answered:
                    side.close()
            with endpoint(folder=homes[0]) as anna, again(address, homes[1]) as ben:
                (contact,) = anna.contacts()
                self.assertEqual((contact.name, contact.verified, contact.callable), ("Ben", True, True))
                call = anna.dial_contact("ben", kring.Media())
                incoming = ben.incoming(20)
                self.assertEqual(incoming.peer().contact, "Anna")
                incoming.decline()
                self.assertEqual(call.wait_ended(20).reason, kring.Reason.DECLINED)
                with self.assertRaises(kring.NotFound):
                    anna.dial_contact("Carla", kring.Media())

    def test_a_passcode_is_asked_for_and_a_lobby_lets_in(self):
        with endpoint() as anna, endpoint(lobby=True) as ben:
            call = anna.dial(ben.ticket(), kring.Media(name="Anna"))
            knock = ben.knock(20)
            self.assertEqual(knock.peer().name, "Anna")
            knock.admit()
            ben.incoming(20).decline()
            self.assertEqual(call.wait_ended(20).reason, kring.Reason.DECLINED)
            call = anna.dial(ben.ticket(passcode="open sesame"), kring.Media())
            while call.next_event(20).kind != kring.Kind.PASSCODE_WANTED:
                pass
            call.enter_passcode("open sesame")
            ben.incoming(20).busy()
            self.assertEqual(call.wait_ended(20).reason, kring.Reason.BUSY)

    def test_misuse_raises(self):
        with self.assertRaises(kring.Error) as raised:
            endpoint().dial("kring1nonsense", kring.Media())
        self.assertTrue(str(raised.exception))
        media = kring.Media()
        with endpoint() as anna, endpoint() as ben:
            anna.dial(ben.ticket(), media).close()
            with self.assertRaises(kring.Error):
                media.microphone_tone()
            with self.assertRaises(kring.Timeout):
                anna.incoming(0.01)
            waiting = threading.Thread(target=lambda: list(anna))
            waiting.start()
            anna.close()
            waiting.join(20)
            self.assertFalse(waiting.is_alive(), "a wait ends with what it waits for")
            with self.assertRaises(kring.Ended):
                anna.incoming()

    def test_what_is_not_held_any_more_hangs_up(self):
        with endpoint() as anna, endpoint() as ben:
            call, answered = talk(anna, ben)
            del call
            gc.collect()
            self.assertEqual(answered.wait_ended(20).reason, kring.Reason.HUNG_UP)

    @unittest.skipUnless(os.environ.get("KRING_CALLER"), "KRING_CALLER does not name the kring caller")
    def test_a_call_with_the_caller_is_recorded(self):
        with endpoint() as ben, tempfile.TemporaryDirectory() as folder:
            heard = os.path.join(folder, "heard.wav")
            options = "--mic tone --speaker none --camera none --for 4 --home".split() + [folder]
            command = [os.environ["KRING_CALLER"], "call", ben.ticket(), *options]
            with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL):
                media = kring.Media(name="Python", recording=True).microphone_tone(600).speaker_wav(heard)
                call = ben.incoming(20).answer(media)
                call.wait_connected(20)
                self.assertEqual(call.wait_ended(30).by, kring.By.PEER)
            with wave.open(heard) as file:
                frames = file.readframes(file.getnframes())
            samples = [int.from_bytes(frames[i : i + 2], "little", signed=True) / 32768 for i in range(0, len(frames), 2)]
            best = max(share(440, samples[i : i + 4800]) for i in range(0, len(samples) - 4800, 4800))
            self.assertGreater(best, 0.9)


class TheHeader(unittest.TestCase):
    """What _abi.py declares is what kring.h says."""

    @classmethod
    def setUpClass(cls):
        path = pathlib.Path(__file__).resolve().parents[2] / "include" / "kring.h"
        cls.header = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.S)

    def test_functions_take_what_they_are_given(self):
        for name, arguments in _abi._prototypes().items():
            declared = re.search(rf"int32_t {name}\(([^;]*)\);", self.header)
            self.assertIsNotNone(declared, name)
            parts = [] if declared[1] == "void" else declared[1].split(",")
            kinds = [re.sub(r"\s*\w+$", "", part.strip()) for part in parts]
            self.assertEqual(len(kinds), len(arguments), name)
            for kind, argument in zip(kinds, arguments):
                pointer = "*" in kind
                is_pointer = argument in (_abi.c_char_p, _abi.c_void_p) or hasattr(argument, "contents")
                self.assertEqual(pointer, is_pointer, f"{name}: {kind}")
                size = {"uint32_t": 4, "int32_t": 4, "float": 4, "size_t": 8, "double": 8}.get(kind, 8)
                if not pointer:
                    self.assertEqual(_abi.ctypes.sizeof(argument), size, f"{name}: {kind}")

    def test_structs_have_its_members(self):
        names = {_abi.Event: "event", _abi.End: "end", _abi.EndpointOptions: "endpoint_options"}
        names |= {_abi.Identity: "identity", _abi.TicketOptions: "ticket_options", _abi.Contact: "contact"}
        names |= {_abi.Peer: "peer", _abi.Track: "track", _abi.Device: "device", _abi.Picture: "picture"}
        names |= {_abi.Blocked: "blocked", _abi.IssuedTicket: "issued_ticket", _abi.Ticket: "ticket"}
        names |= {_abi.Safety: "safety", _abi.Counters: "counters", _abi.PictureBuffer: "picture_buffer"}
        names |= {_abi.VideoSource: "video_source", _abi.AudioSettings: "audio_settings"}
        names |= {_abi.VideoSettings: "video_settings", _abi.Encoded: "encoded", _abi.AudioCodec: "audio_codec"}
        names |= {_abi.VideoCodec: "video_codec", _abi.StoreCallbacks: "store_callbacks"}
        names |= {_abi.AudioSink: "audio_sink", _abi.AudioSource: "audio_source", _abi.VideoSink: "video_sink"}
        for struct, name in names.items():
            body = re.search(rf"typedef struct kring_{name} \{{(.*?)\}} kring_{name};", self.header, flags=re.S)[1]
            members = [line.strip() for line in body.split(";") if line.strip()]
            declared = [re.sub(r"^.*?(\(\*)?(\w+)(\[\w+\]|\)\(.*\))?$", r"\2", m, flags=re.S) for m in members]
            self.assertEqual([field[0].rstrip("_") for field in struct._fields_], declared, name)
            lengths = [re.search(r"\[(\w+)\]", m) for m in members]
            for field, length in zip(struct._fields_, lengths):
                if length:
                    count = 32 if length[1] == "KRING_IDENTITY_SIZE" else int(length[1])
                    self.assertEqual(_abi.ctypes.sizeof(field[1]), count, f"{name}.{field[0]}")

    def test_values_have_its_numbers(self):
        found = dict(re.findall(r"#define (KRING_\w+) (-?\d+)\n", self.header))
        enums = {kring.Kind: "EVENT", kring.Reason: "END", kring.By: "BY", kring.Played: "PLAYED", kring.Trust: "TRUST"}
        enums |= {kring.Path: "PATH", kring.Content: "CONTENT", kring.Pixels: "PIXELS", kring.Item: "ITEM"}
        enums |= {kring.LogLevel: "LOG", kring.Features: "FEATURE"}
        for enum, prefix in enums.items():
            of_enum = {member.name: member.value for member in enum}
            of_header = {n[len(f"KRING_{prefix}_") :]: int(v) for n, v in found.items() if n.startswith(f"KRING_{prefix}_")}
            self.assertEqual(of_enum, of_header)
        for name in "ENDED", "TIMEOUT", "NOT_FOUND", "BUFFER", "STATE", "ARGUMENT":
            self.assertEqual(getattr(kring._base, name), int(found[f"KRING_ERROR_{name}"]))


if __name__ == "__main__":
    unittest.main()
