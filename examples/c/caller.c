/*
 * A caller in C: dials a ticket or waits for a call, speaks from a WAV file or a microphone, plays into a WAV file or a speaker, and
 * prints what happens.
 *
 *     caller answer --mic greeting.wav --speaker heard.wav
 *     caller call kring1... --mic device --speaker device
 *
 * Without options it sends a tone and plays into nothing.
 */
#include <kring.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct options {
    const char *ticket; /* NULL: waits for a call */
    const char *ticket_file;
    const char *name;
    const char *mic;
    const char *speaker;
    const char *camera;
    const char *view;
    const char *bind;
    const char *home;
    int accept_all;
    int seconds; /* 0: until somebody hangs up */
};

static const char HELP[] =
    "usage: caller answer [options] | caller call TICKET [options]\n"
    "  --mic FILE.wav|tone|device|none       --speaker FILE.wav|device|none\n"
    "  --camera FILE.y4m|testcard|device|none  --view FILE.y4m|none\n"
    "  --name NAME   --home DIR   --bind ADDRESS:PORT   --ticket-file FILE\n"
    "  --accept all  answers without asking; consents to the devices that are named here\n"
    "  --for SECONDS hangs up then, counted from the answer\n";

/* Says what went wrong and ends: every function of the library leaves a sentence. */
static void must(int32_t result, const char *doing)
{
    if (result != KRING_OK) {
        fprintf(stderr, "caller: %s: %s (%s)\n", doing, kring_last_error(), kring_error_name(result));
        exit(1);
    }
}

static int is(const char *given, const char *expected)
{
    return strcmp(given, expected) == 0;
}

static struct options parse(int argc, char **argv)
{
    struct options o = {0};
    int at = 2;
    o.mic = "tone";
    o.speaker = o.camera = o.view = "none";
    if (argc >= 3 && is(argv[1], "call")) {
        o.ticket = argv[2];
        at = 3;
    } else if (argc < 2 || !is(argv[1], "answer")) {
        fputs(HELP, stderr);
        exit(2);
    }
    for (; at < argc; at += 2) {
        const char *option = argv[at], *value = at + 1 < argc ? argv[at + 1] : NULL;
        if (value == NULL) {
            fprintf(stderr, "caller: expected a value after %s\n", option);
            exit(2);
        } else if (is(option, "--mic")) {
            o.mic = value;
        } else if (is(option, "--speaker")) {
            o.speaker = value;
        } else if (is(option, "--camera")) {
            o.camera = value;
        } else if (is(option, "--view")) {
            o.view = value;
        } else if (is(option, "--name")) {
            o.name = value;
        } else if (is(option, "--home")) {
            o.home = value;
        } else if (is(option, "--bind")) {
            o.bind = value;
        } else if (is(option, "--ticket-file")) {
            o.ticket_file = value;
        } else if (is(option, "--accept")) {
            o.accept_all = is(value, "all");
        } else if (is(option, "--for")) {
            o.seconds = atoi(value);
        } else {
            fprintf(stderr, "caller: unknown option %s\n%s", option, HELP);
            exit(2);
        }
    }
    return o;
}

/* What this side sends and where it plays what comes. Who names a device on the command line consents to it. */
static kring_media media(const struct options *o)
{
    kring_media media = 0;
    uint32_t consent = KRING_CONSENT_NOTHING;
    if (is(o->mic, "device"))
        consent |= KRING_CONSENT_MICROPHONE;
    if (is(o->camera, "device"))
        consent |= KRING_CONSENT_CAMERA;
    must(kring_media_new(consent, &media), "media");

    if (o->name != NULL)
        must(kring_media_name(media, o->name), "name");

    if (is(o->mic, "tone"))
        must(kring_media_microphone_tone(media, 440.0, -20.0), "tone");
    else if (is(o->mic, "device"))
        must(kring_media_microphone_device(media, NULL), "microphone");
    else if (!is(o->mic, "none"))
        must(kring_media_microphone_wav(media, o->mic, 0), "microphone");

    if (is(o->speaker, "device"))
        must(kring_media_speaker_device(media, NULL), "speaker");
    else if (is(o->speaker, "none"))
        must(kring_media_speaker_none(media), "speaker");
    else
        must(kring_media_speaker_wav(media, o->speaker), "speaker");

    if (is(o->camera, "testcard"))
        must(kring_media_camera_test_card(media, 640, 360, 30.0f), "test card");
    else if (is(o->camera, "device"))
        must(kring_media_camera_device(media, NULL, 640, 360, 30.0f), "camera");
    else if (!is(o->camera, "none"))
        must(kring_media_camera_y4m(media, o->camera, 1), "camera");

    if (!is(o->view, "none"))
        must(kring_media_view_y4m(media, o->view, 640, 360, 30.0f), "view");
    return media;
}

static kring_endpoint listen_at(const struct options *o)
{
    kring_endpoint endpoint = 0;
    kring_store store = 0;
    kring_endpoint_options options = {0};
    options.struct_size = sizeof options;
    options.bind = o->bind;
    if (o->home != NULL) {
        must(kring_store_best(o->home, &store), "home");
        options.store = store;
    }
    must(kring_endpoint_new(&options, &endpoint), "endpoint");
    if (store != 0)
        must(kring_store_free(store), "home");
    return endpoint;
}

/* Gives out a ticket, to be sent to whoever may call. */
static void give_out_ticket(kring_endpoint endpoint, const char *file)
{
    char ticket[KRING_TICKET_SIZE];
    must(kring_endpoint_ticket(endpoint, NULL, ticket, sizeof ticket, NULL), "ticket");
    printf("ticket: %s\n", ticket);
    fflush(stdout);
    if (file != NULL) {
        /* Whole or not at all: whoever waits for the file must not read half of it. */
        char temporary[4096];
        FILE *out;
        snprintf(temporary, sizeof temporary, "%s.new", file);
        out = fopen(temporary, "w");
        if (out == NULL || fprintf(out, "%s\n", ticket) < 0 || fclose(out) != 0 || rename(temporary, file) != 0) {
            perror(file);
            exit(1);
        }
    }
}

static int says_yes(void)
{
    char line[16];
    printf("answer? [y/N] ");
    fflush(stdout);
    return fgets(line, sizeof line, stdin) != NULL && (line[0] == 'y' || line[0] == 'Y');
}

static kring_call wait_for_call(kring_endpoint endpoint, const struct options *o)
{
    for (;;) {
        kring_incoming incoming = 0;
        kring_call call = 0;
        kring_peer peer = {0};
        peer.struct_size = sizeof peer;
        must(kring_endpoint_next_incoming(endpoint, -1, &incoming), "waiting");
        must(kring_incoming_peer(incoming, &peer), "caller");
        printf("calls: \"%s\" (nobody has checked that), %s\n", peer.name, peer.fingerprint);
        if (o->accept_all || says_yes()) {
            must(kring_incoming_answer(incoming, media(o), &call), "answering");
            return call;
        }
        must(kring_incoming_decline(incoming), "declining");
    }
}

static void print_event(const kring_event *event)
{
    switch (event->kind) {
    case KRING_EVENT_RINGING:
        puts("ringing");
        break;
    case KRING_EVENT_ANSWERED:
        puts("answered");
        break;
    case KRING_EVENT_CONNECTED:
        printf("connected: %s, %s\n", event->text, event->detail);
        break;
    case KRING_EVENT_CODE:
        printf("read this to each other: %s (or %s)\n", event->text, event->detail);
        break;
    case KRING_EVENT_CODE_FAILED:
        printf("no code to compare: %s\n", event->text);
        break;
    case KRING_EVENT_KEY_CHANGED:
        printf("NOT who was expected: %s instead of %s\n", event->text, event->detail);
        break;
    case KRING_EVENT_PEER_RECORDING:
        puts(event->state ? "the other side records this call" : "the other side has stopped recording");
        break;
    case KRING_EVENT_PEER_TRACK_STATE:
        printf("their track %u is %s\n", (unsigned)event->track,
               event->state == KRING_TRACK_STATE_LIVE ? "live" : event->state == KRING_TRACK_STATE_MUTED ? "muted" : "over");
        break;
    case KRING_EVENT_INTERRUPTED:
        puts("nothing is heard of the other side");
        break;
    case KRING_EVENT_RESUMED:
        puts("the other side is heard again");
        break;
    case KRING_EVENT_MEDIA_STOPPED:
        printf("%s stopped: %s\n", event->detail, event->text);
        break;
    case KRING_EVENT_ENDED:
        printf("ended: %s\n", event->text);
        break;
    default: /* Later versions have more. */
        break;
    }
    fflush(stdout);
}

/* Prints what happens until the call is over. */
static uint32_t follow(kring_call call, int seconds)
{
    time_t hang_up_at = 0;
    for (;;) {
        kring_event event = {0};
        int32_t result;
        event.struct_size = sizeof event;
        result = kring_call_next_event(call, 200, &event);
        if (result == KRING_OK) {
            print_event(&event);
            if (event.kind == KRING_EVENT_CONNECTED && seconds > 0)
                hang_up_at = time(NULL) + seconds;
            if (event.kind == KRING_EVENT_ENDED)
                return event.end;
        } else if (result != KRING_ERROR_TIMEOUT) {
            must(result, "events");
        }
        if (hang_up_at != 0 && time(NULL) >= hang_up_at) {
            hang_up_at = 0;
            must(kring_call_hang_up(call), "hanging up");
        }
    }
}

int main(int argc, char **argv)
{
    struct options o = parse(argc, argv);
    kring_endpoint endpoint;
    kring_call call = 0;
    kring_stats stats = {0};
    uint32_t end;

    if (kring_abi_version() >> 16 != KRING_ABI_VERSION >> 16 || kring_abi_version() < KRING_ABI_VERSION) {
        fputs("caller: built for another version of the library\n", stderr);
        return 1;
    }
    endpoint = listen_at(&o);
    if (o.ticket != NULL) {
        must(kring_endpoint_dial(endpoint, o.ticket, media(&o), &call), "dialling");
    } else {
        give_out_ticket(endpoint, o.ticket_file);
        call = wait_for_call(endpoint, &o);
    }
    end = follow(call, o.seconds);

    stats.struct_size = sizeof stats;
    must(kring_call_stats(call, &stats), "statistics");
    printf("heard %.1f s, of which %.1f %% made up; saw %llu pictures; round trip %.0f ms\n",
           (double)stats.audio_samples_received / 48000.0,
           stats.audio_samples_received ? 100.0 * (double)stats.audio_concealed_samples / (double)stats.audio_samples_received : 0.0,
           (unsigned long long)stats.video_frames_rendered, 1000.0 * stats.round_trip_time);
    must(kring_call_free(call), "call");
    must(kring_endpoint_free(endpoint), "endpoint");
    must(kring_shutdown(5000), "the end");
    return end == KRING_END_HUNG_UP || end == KRING_END_GOING_AWAY ? 0 : 1;
}
