"""Two who meet at the relay that KRING_RELAY names."""

import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import kring  # noqa: E402

relay = os.environ["KRING_RELAY"]
with kring.Endpoint(bind="127.0.0.1:0", relay=relay, relay_only=True) as ben:
    with kring.Endpoint(bind="127.0.0.1:0", relay=relay, relay_only=True) as anna:
        ben.wait_relay(20)
        ticket = ben.ticket()
        assert relay.startswith(kring.read_ticket(ticket).relay), kring.read_ticket(ticket)
        with anna.dial(ticket, kring.Media(name="Anna").microphone_tone()) as call:
            answered = ben.incoming(20).answer(kring.Media())
            call.wait_connected(20)
            anna.network_changed()
            assert call.stats()["transport"]["path"] == "relayed", call.stats()["transport"]
            call.hang_up()
            assert answered.wait_ended(20).reason == kring.Reason.HUNG_UP
