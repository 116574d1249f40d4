/* Two who meet at a relay: argv[1]. First they may find a direct way, then they may not. */
#include "check.h"

static kring_endpoint at_relay(const char *relay, uint32_t flags)
{
    kring_endpoint endpoint = 0;
    SIZED(kring_endpoint_options, options);
    options.bind = "127.0.0.1:0";
    options.vanished_ms = 120000;
    options.relay = relay;
    options.flags = flags;
    WELL(kring_endpoint_new(&options, &endpoint));
    WELL(kring_endpoint_wait_relay(endpoint, 60000));
    return endpoint;
}

/* A ticket by which nobody is reached but through the relay: nothing listens at the discard port. */
static void relayed_ticket(kring_endpoint endpoint, const char *relay, int hidden, char *ticket)
{
    const char *nowhere[] = {"127.0.0.1:9"};
    SIZED(kring_ticket_options, options);
    SIZED(kring_ticket, about);
    options.addresses = nowhere;
    options.address_count = 1;
    WELL(kring_endpoint_ticket(endpoint, hidden ? NULL : &options, ticket, KRING_TICKET_SIZE, NULL));
    WELL(kring_ticket_read(ticket, &about));
    CHECK(*about.relay && strncmp(about.relay, relay, strlen(about.relay)) == 0);
    CHECK(about.addresses == (hidden ? 0 : 1));
}

static kring_media with_tone(void)
{
    kring_media media = quiet();
    WELL(kring_media_microphone_tone(media, 440.0, -20.0));
    WELL(kring_media_speaker_none(media));
    return media;
}

static void heard(kring_call call, uint32_t path)
{
    SIZED(kring_stats, stats);
    for (int i = 0; i < 6000; i++) {
        WELL(kring_call_stats(call, &stats));
        if (stats.audio_samples_received > stats.audio_concealed_samples + 9600 && stats.path == path)
            return;
        wait_ms(10);
    }
    CHECK(!"heard, and on that path");
}

static void call(const char *relay, uint32_t flags)
{
    int hidden = flags != 0;
    kring_endpoint callee = at_relay(relay, flags);
    kring_endpoint caller = hidden ? at_relay(relay, flags) : new_endpoint();
    kring_incoming incoming = 0;
    kring_call dialled = 0, answered = 0;
    char ticket[KRING_TICKET_SIZE];
    SIZED(kring_event, event);
    relayed_ticket(callee, relay, hidden, ticket);
    WELL(kring_endpoint_dial(caller, ticket, with_tone(), &dialled));
    WELL(kring_endpoint_next_incoming(callee, 60000, &incoming));
    WELL(kring_incoming_answer(incoming, with_tone(), &answered));
    WELL(kring_call_wait_connected(dialled, 60000));
    WELL(kring_endpoint_network_changed(caller));
    if (!hidden)
        do
            WELL(kring_call_next_event(dialled, 60000, &event));
        while (event.kind != KRING_EVENT_PATH || event.state != KRING_PATH_DIRECT);
    heard(dialled, hidden ? KRING_PATH_RELAYED : KRING_PATH_DIRECT);
    heard(answered, hidden ? KRING_PATH_RELAYED : KRING_PATH_DIRECT);
    WELL(kring_call_free(dialled));
    WELL(kring_call_wait_ended(answered, 60000, NULL));
    WELL(kring_call_free(answered));
    WELL(kring_endpoint_free(caller));
    WELL(kring_endpoint_free(callee));
}

int main(int argc, char **argv)
{
    kring_endpoint lost = 0;
    SIZED(kring_endpoint_options, options);
    CHECK(argc == 2);
    call(argv[1], 0);
    call(argv[1], KRING_ENDPOINT_RELAY_ONLY);

    /* Nobody listens there. */
    options.bind = "127.0.0.1:0";
    options.relay = "127.0.0.1:9";
    WELL(kring_endpoint_new(&options, &lost));
    GIVES(KRING_ERROR_RELAY, kring_endpoint_wait_relay(lost, 60000));
    WELL(kring_endpoint_free(lost));
    WELL(kring_shutdown(60000));
    puts("well");
    return 0;
}
