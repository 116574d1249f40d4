"""Calls whoever gave out a ticket, or waits to be called: a tone out, what comes into a WAV file.

    python3 examples/python/call.py [TICKET]

crates/kring-ffi/python has to be in PYTHONPATH, libkring where the system finds it or in KRING_LIBRARY (docs/python.md).
"""

import sys

import kring

media = kring.Media(name="Python", recording=True).microphone_tone(600).speaker_wav("heard.wav")
with kring.Endpoint() as endpoint:
    if len(sys.argv) > 1:
        call = endpoint.dial(sys.argv[1], media)
    else:
        print("call me by", endpoint.ticket(), flush=True)
        call = endpoint.incoming().answer(media)
    for event in call:
        print(event.kind.name.lower().replace("_", " "), event.text, flush=True)
