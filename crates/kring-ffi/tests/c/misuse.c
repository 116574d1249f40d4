/* Everything that a program can do wrong short of pointers into nowhere: an error code comes back, never a crash. */
#include "check.h"

/* ---- nothing there ---- */

static void null_everywhere(void)
{
    kring_endpoint endpoint = new_endpoint();
    kring_media media = quiet();
    kring_home home = 0;
    kring_store store = 0;
    kring_call call = 0;
    kring_list list = 0;
    size_t length = 0;
    char text[8];

    GIVES(KRING_ERROR_NULL, kring_endpoint_new(NULL, NULL));
    GIVES(KRING_ERROR_NULL, kring_endpoint_identity(endpoint, NULL));
    GIVES(KRING_ERROR_NULL, kring_endpoint_local_address(endpoint, NULL, 8, NULL));
    GIVES(KRING_ERROR_BUFFER, kring_endpoint_local_address(endpoint, NULL, 0, &length));
    CHECK(length > 8);
    GIVES(KRING_ERROR_BUFFER, kring_endpoint_local_address(endpoint, text, sizeof text, NULL));
    GIVES(KRING_ERROR_NULL, kring_endpoint_addresses(endpoint, NULL));
    GIVES(KRING_ERROR_NULL, kring_endpoint_ticket(endpoint, NULL, NULL, KRING_TICKET_SIZE, NULL));
    GIVES(KRING_ERROR_BUFFER, kring_endpoint_ticket(endpoint, NULL, text, sizeof text, &length));
    CHECK(length == KRING_TICKET_SIZE - 1);
    GIVES(KRING_ERROR_NULL, kring_endpoint_home(endpoint, NULL));
    GIVES(KRING_ERROR_NULL, kring_endpoint_keep(endpoint, NULL, "Ben"));
    GIVES(KRING_ERROR_NULL, kring_endpoint_keep(endpoint, (const uint8_t *)"0123456789abcdef0123456789abcdef", NULL));
    GIVES(KRING_ERROR_NULL, kring_endpoint_next_incoming(endpoint, 0, NULL));
    GIVES(KRING_ERROR_NULL, kring_endpoint_next_knock(endpoint, 0, NULL));
    GIVES(KRING_ERROR_NULL, kring_endpoint_on_incoming(endpoint, NULL, NULL, NULL));
    GIVES(KRING_ERROR_NULL, kring_endpoint_on_knock(endpoint, NULL, NULL, NULL));
    GIVES(KRING_ERROR_NULL, kring_endpoint_counters(endpoint, NULL));
    GIVES(KRING_ERROR_NULL, kring_log(KRING_LOG_WARN, NULL, NULL, NULL));
    GIVES(KRING_ERROR_NULL, kring_picture_to_rgba(NULL, KRING_PIXELS_RGBA, NULL, 0, 0));
    GIVES(KRING_ERROR_NULL, kring_picture_fill(NULL, NULL));
    GIVES(KRING_ERROR_NULL, kring_ticket_read(NULL, NULL));
    GIVES(KRING_ERROR_NULL, kring_ticket_qr(NULL, NULL, 0, NULL));

    GIVES(KRING_ERROR_NULL, kring_media_new(0, NULL));
    GIVES(KRING_ERROR_NULL, kring_media_name(media, NULL));
    GIVES(KRING_ERROR_NULL, kring_media_microphone_wav(media, NULL, 0));
    GIVES(KRING_ERROR_NULL, kring_media_camera_y4m(media, NULL, 0));
    GIVES(KRING_ERROR_NULL, kring_media_speaker_wav(media, NULL));
    GIVES(KRING_ERROR_NULL, kring_media_view_y4m(media, NULL, 64, 64, 30.0f));
    GIVES(KRING_ERROR_NULL, kring_media_microphone_source(media, NULL));
    GIVES(KRING_ERROR_NULL, kring_media_camera_source(media, NULL));
    GIVES(KRING_ERROR_NULL, kring_media_speaker_sink(media, NULL));
    GIVES(KRING_ERROR_NULL, kring_media_view_sink(media, NULL));
    GIVES(KRING_ERROR_NULL, kring_audio_input_new(0, NULL));
    GIVES(KRING_ERROR_NULL, kring_video_input_new(0, 64, 64, 30.0f, NULL));
    GIVES(KRING_ERROR_NULL, kring_devices(KRING_DEVICE_MICROPHONE, NULL));

    GIVES(KRING_ERROR_NULL, kring_store_files(NULL, NULL));
    GIVES(KRING_ERROR_NULL, kring_store_files(NULL, &store));
    GIVES(KRING_ERROR_NULL, kring_store_best(NULL, &store));
    GIVES(KRING_ERROR_NULL, kring_store_system(NULL, &store));
    GIVES(KRING_ERROR_NULL, kring_store_new(NULL, &store));
    GIVES(KRING_ERROR_NULL, kring_home_open(0, NULL));
    WELL(kring_home_open(0, &home));
    GIVES(KRING_ERROR_NULL, kring_home_contacts(home, NULL));
    GIVES(KRING_ERROR_NULL, kring_home_contact(home, NULL, NULL));
    GIVES(KRING_ERROR_NULL, kring_home_contact_of(home, NULL, NULL));
    GIVES(KRING_ERROR_NULL, kring_home_tickets(home, NULL));
    GIVES(KRING_ERROR_NULL, kring_home_blocked(home, NULL));
    GIVES(KRING_ERROR_NULL, kring_check_contact_name(NULL));
    GIVES(KRING_ERROR_NULL, kring_home_add_contact(home, NULL, NULL));
    GIVES(KRING_ERROR_NULL, kring_home_rename_contact(home, "a", NULL));
    GIVES(KRING_ERROR_NULL, kring_home_set_verified(home, NULL, 1));
    GIVES(KRING_ERROR_NULL, kring_home_remove_contact(home, NULL));
    GIVES(KRING_ERROR_NULL, kring_home_block(home, NULL));
    GIVES(KRING_ERROR_NULL, kring_home_unblock(home, NULL));
    GIVES(KRING_ERROR_NULL, kring_home_revoke(home, NULL));
    GIVES(KRING_ERROR_NULL, kring_home_set_passcode(home, NULL, NULL));
    WELL(kring_home_contacts(home, &list));
    GIVES(KRING_ERROR_NULL, kring_list_count(list, NULL));
    GIVES(KRING_ERROR_NOT_FOUND, kring_list_contact(list, 0, NULL));
    GIVES(KRING_ERROR_ARGUMENT, kring_list_track(list, 0, NULL));
    WELL(kring_list_free(list));
    WELL(kring_home_free(home));

    /* What would be used up is used up, whatever comes of it. */
    GIVES(KRING_ERROR_NULL, kring_endpoint_dial(endpoint, NULL, media, &call));
    GIVES(KRING_ERROR_HANDLE, kring_media_free(media));
    media = quiet();
    GIVES(KRING_ERROR_NULL, kring_endpoint_dial(endpoint, "kring1", media, NULL));
    GIVES(KRING_ERROR_HANDLE, kring_media_free(media));
    media = quiet();
    GIVES(KRING_ERROR_TICKET, kring_endpoint_dial(endpoint, "no ticket", media, &call));
    GIVES(KRING_ERROR_HANDLE, kring_media_free(media));
    GIVES(KRING_ERROR_NULL, kring_endpoint_dial_contact(endpoint, NULL, quiet(), &call));
    GIVES(KRING_ERROR_NOT_FOUND, kring_endpoint_dial_contact(endpoint, "nobody", quiet(), &call));
    GIVES(KRING_ERROR_NULL, kring_endpoint_answer_next(endpoint, quiet(), NULL));
    CHECK(call == 0);
    WELL(kring_endpoint_free(endpoint));
}

/* The same with a handle that was never given out. */
static void no_handle(uint64_t none)
{
    char text[64];
    size_t count;
    uint32_t muted;
    uint64_t out = 0;
    const uint8_t identity[32] = {0};
    SIZED(kring_event, event);
    SIZED(kring_end, end);
    SIZED(kring_peer, peer);
    SIZED(kring_stats, stats);
    SIZED(kring_safety, safety);
    SIZED(kring_identity, own);
    SIZED(kring_counters, counters);
    SIZED(kring_picture, picture);

    GIVES(KRING_ERROR_HANDLE, kring_endpoint_close(none));
    GIVES(KRING_ERROR_HANDLE, kring_endpoint_wait_relay(none, 0));
    GIVES(KRING_ERROR_HANDLE, kring_endpoint_network_changed(none));
    GIVES(KRING_ERROR_HANDLE, kring_call_is_microphone_muted(none, &muted));
    GIVES(KRING_ERROR_HANDLE, kring_call_is_camera_muted(none, &muted));
    GIVES(KRING_ERROR_HANDLE, kring_endpoint_free(none));
    GIVES(KRING_ERROR_HANDLE, kring_endpoint_identity(none, &own));
    GIVES(KRING_ERROR_HANDLE, kring_endpoint_local_address(none, text, sizeof text, NULL));
    GIVES(KRING_ERROR_HANDLE, kring_endpoint_addresses(none, &out));
    GIVES(KRING_ERROR_HANDLE, kring_endpoint_ticket(none, NULL, text, sizeof text, NULL));
    GIVES(KRING_ERROR_HANDLE, kring_endpoint_home(none, &out));
    GIVES(KRING_ERROR_HANDLE, kring_endpoint_keep(none, identity, "Ben"));
    GIVES(KRING_ERROR_HANDLE, kring_endpoint_dial(none, "kring1", none, &out));
    GIVES(KRING_ERROR_HANDLE, kring_endpoint_dial_expecting(none, "kring1", identity, 0, none, &out));
    GIVES(KRING_ERROR_HANDLE, kring_endpoint_dial_contact(none, "Ben", none, &out));
    GIVES(KRING_ERROR_HANDLE, kring_endpoint_answer_next(none, none, &out));
    GIVES(KRING_ERROR_HANDLE, kring_endpoint_next_incoming(none, 0, &out));
    GIVES(KRING_ERROR_HANDLE, kring_endpoint_on_incoming(none, NULL, NULL, NULL));
    GIVES(KRING_ERROR_HANDLE, kring_endpoint_next_knock(none, 0, &out));
    GIVES(KRING_ERROR_HANDLE, kring_endpoint_on_knock(none, NULL, NULL, NULL));
    GIVES(KRING_ERROR_HANDLE, kring_endpoint_counters(none, &counters));
    GIVES(KRING_ERROR_HANDLE, kring_incoming_peer(none, &peer));
    GIVES(KRING_ERROR_HANDLE, kring_incoming_tracks(none, &out));
    GIVES(KRING_ERROR_HANDLE, kring_incoming_expect(none, identity, 0));
    GIVES(KRING_ERROR_HANDLE, kring_incoming_wait_given_up(none, 0, &end));
    GIVES(KRING_ERROR_HANDLE, kring_incoming_answer(none, none, &out));
    GIVES(KRING_ERROR_HANDLE, kring_incoming_decline(none));
    GIVES(KRING_ERROR_HANDLE, kring_incoming_busy(none));
    GIVES(KRING_ERROR_HANDLE, kring_incoming_free(none));
    GIVES(KRING_ERROR_HANDLE, kring_knock_peer(none, &peer));
    GIVES(KRING_ERROR_HANDLE, kring_knock_wait_given_up(none, 0));
    GIVES(KRING_ERROR_HANDLE, kring_knock_admit(none));
    GIVES(KRING_ERROR_HANDLE, kring_knock_refuse(none));
    GIVES(KRING_ERROR_HANDLE, kring_knock_free(none));
    GIVES(KRING_ERROR_HANDLE, kring_call_next_event(none, 0, &event));
    GIVES(KRING_ERROR_HANDLE, kring_call_on_event(none, NULL, NULL, NULL));
    GIVES(KRING_ERROR_HANDLE, kring_call_wait_begun(none, 0));
    GIVES(KRING_ERROR_HANDLE, kring_call_wait_connected(none, 0));
    GIVES(KRING_ERROR_HANDLE, kring_call_wait_ended(none, 0, NULL));
    GIVES(KRING_ERROR_HANDLE, kring_call_hang_up(none));
    GIVES(KRING_ERROR_HANDLE, kring_call_going_away(none));
    GIVES(KRING_ERROR_HANDLE, kring_call_free(none));
    GIVES(KRING_ERROR_HANDLE, kring_call_mute_microphone(none, 1));
    GIVES(KRING_ERROR_HANDLE, kring_call_mute_camera(none, 1));
    GIVES(KRING_ERROR_HANDLE, kring_call_enter_passcode(none, "secret"));
    GIVES(KRING_ERROR_HANDLE, kring_call_peer(none, &peer));
    GIVES(KRING_ERROR_HANDLE, kring_call_peer_tracks(none, &out));
    GIVES(KRING_ERROR_HANDLE, kring_call_safety(none, &safety));
    GIVES(KRING_ERROR_HANDLE, kring_call_code(none, KRING_CODE_WORDS, text, sizeof text, NULL));
    GIVES(KRING_ERROR_HANDLE, kring_call_safety_number(none, text, sizeof text, NULL));
    GIVES(KRING_ERROR_HANDLE, kring_call_compare_safety_number(none, "1"));
    GIVES(KRING_ERROR_HANDLE, kring_call_safety_qr(none, text, sizeof text, NULL));
    GIVES(KRING_ERROR_HANDLE, kring_call_compare_safety_qr(none, identity, "1"));
    GIVES(KRING_ERROR_HANDLE, kring_call_mark_verified(none, identity));
    GIVES(KRING_ERROR_HANDLE, kring_call_accept_changed_key(none, identity));
    GIVES(KRING_ERROR_HANDLE, kring_call_stats(none, &stats));
    GIVES(KRING_ERROR_HANDLE, kring_call_stats_json(none, text, sizeof text, NULL));
    GIVES(KRING_ERROR_HANDLE, kring_media_free(none));
    GIVES(KRING_ERROR_HANDLE, kring_media_name(none, "Anna"));
    GIVES(KRING_ERROR_HANDLE, kring_media_max_rate(none, 100000));
    GIVES(KRING_ERROR_HANDLE, kring_media_frame_duration(none, 20));
    GIVES(KRING_ERROR_HANDLE, kring_media_content(none, KRING_CONTENT_SIGN));
    GIVES(KRING_ERROR_HANDLE, kring_media_recording(none, 1));
    GIVES(KRING_ERROR_HANDLE, kring_media_microphone_tone(none, 440.0, -20.0));
    GIVES(KRING_ERROR_HANDLE, kring_media_camera_test_card(none, 320, 180, 30.0f));
    GIVES(KRING_ERROR_HANDLE, kring_media_speaker_none(none));
    GIVES(KRING_ERROR_HANDLE, kring_media_speaker_wav(none, "never-made.wav"));
    GIVES(KRING_ERROR_HANDLE, kring_media_view_none(none));
    GIVES(KRING_ERROR_HANDLE, kring_media_view_y4m(none, "never-made.y4m", 64, 64, 30.0f));
    GIVES(KRING_ERROR_HANDLE, kring_media_microphone_input(none, none));
    GIVES(KRING_ERROR_HANDLE, kring_media_camera_input(none, none));
    GIVES(KRING_ERROR_HANDLE, kring_audio_input_push(none, NULL, 0));
    GIVES(KRING_ERROR_HANDLE, kring_audio_input_end(none));
    GIVES(KRING_ERROR_HANDLE, kring_audio_input_free(none));
    GIVES(KRING_ERROR_HANDLE, kring_video_input_push(none, &picture));
    GIVES(KRING_ERROR_HANDLE, kring_video_input_end(none));
    GIVES(KRING_ERROR_HANDLE, kring_video_input_free(none));
    GIVES(KRING_ERROR_HANDLE, kring_store_free(none));
    GIVES(KRING_ERROR_HANDLE, kring_home_free(none));
    GIVES(KRING_ERROR_HANDLE, kring_home_contacts(none, &out));
    GIVES(KRING_ERROR_HANDLE, kring_home_tickets(none, &out));
    GIVES(KRING_ERROR_HANDLE, kring_home_blocked(none, &out));
    GIVES(KRING_ERROR_HANDLE, kring_home_add_contact(none, "Ben", "kring1"));
    GIVES(KRING_ERROR_HANDLE, kring_home_remove_contact(none, "Ben"));
    GIVES(KRING_ERROR_HANDLE, kring_home_block(none, "0"));
    GIVES(KRING_ERROR_HANDLE, kring_home_revoke(none, "0"));
    GIVES(KRING_ERROR_HANDLE, kring_list_count(none, &count));
    GIVES(KRING_ERROR_HANDLE, kring_list_text(none, 0, text, sizeof text, NULL));
    GIVES(KRING_ERROR_HANDLE, kring_list_free(none));
    CHECK(out == 0);
}

/* ---- values that are none ---- */

static void wrong_sizes(void)
{
    kring_endpoint endpoint = new_endpoint();
    const uint32_t sizes[] = {0, 1, 3, 4, 8, 5000, UINT32_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        SIZED(kring_endpoint_options, options);
        SIZED(kring_ticket_options, ticket_options);
        SIZED(kring_identity, identity);
        SIZED(kring_counters, counters);
        SIZED(kring_audio_source, source);
        kring_endpoint other = 0;
        char ticket[KRING_TICKET_SIZE];
        options.struct_size = ticket_options.struct_size = identity.struct_size = sizes[i];
        counters.struct_size = source.struct_size = sizes[i];
        GIVES(KRING_ERROR_STRUCT_SIZE, kring_endpoint_new(&options, &other));
        GIVES(KRING_ERROR_STRUCT_SIZE, kring_endpoint_ticket(endpoint, &ticket_options, ticket, sizeof ticket, NULL));
        GIVES(KRING_ERROR_STRUCT_SIZE, kring_endpoint_identity(endpoint, &identity));
        GIVES(KRING_ERROR_STRUCT_SIZE, kring_endpoint_counters(endpoint, &counters));
        GIVES(KRING_ERROR_STRUCT_SIZE, kring_media_microphone_source(0, &source));
        CHECK(other == 0);
    }
    /* A newer program: what this library does not know must be zero. */
    struct {
        kring_endpoint_options known;
        uint64_t unknown;
    } newer;
    kring_endpoint made = 0;
    memset(&newer, 0, sizeof newer);
    newer.known.struct_size = sizeof newer;
    newer.unknown = 1;
    GIVES(KRING_ERROR_STRUCT_SIZE, kring_endpoint_new(&newer.known, &made));
    newer.unknown = 0;
    WELL(kring_endpoint_new(&newer.known, &made));
    WELL(kring_endpoint_free(made));
    WELL(kring_endpoint_free(endpoint));
}

static void wrong_values(void)
{
    kring_media media = quiet();
    kring_endpoint endpoint = 0;
    kring_list list = 0;
    kring_video_input input = 0;
    uint8_t pixels[64 * 64 * 2] = {0};
    SIZED(kring_endpoint_options, options);
    SIZED(kring_picture, picture);
    SIZED(kring_picture_buffer, buffer);

    GIVES(KRING_ERROR_ARGUMENT, kring_media_new(8, &media));
    GIVES(KRING_ERROR_ARGUMENT, kring_media_frame_duration(media, 21));
    GIVES(KRING_ERROR_ARGUMENT, kring_media_content(media, 99));
    GIVES(KRING_ERROR_ARGUMENT, kring_media_microphone_tone(media, 0.0 / 0.0 * 1.0, 0.0));
    GIVES(KRING_ERROR_SOURCE, kring_media_camera_test_card(media, 3, 3, 30.0f));
    GIVES(KRING_ERROR_SOURCE, kring_media_camera_test_card(media, 1u << 31, 2, 30.0f));
    GIVES(KRING_ERROR_SOURCE, kring_media_microphone_wav(media, "/nowhere/at/all.wav", 0));
    GIVES(KRING_ERROR_SOURCE, kring_media_camera_y4m(media, "/nowhere/at/all.y4m", 0));
    GIVES(KRING_ERROR_SINK, kring_media_speaker_wav(media, "/nowhere/at/all.wav"));
    GIVES(KRING_ERROR_SINK, kring_media_view_y4m(media, "/nowhere/at/all.y4m", 64, 64, 30.0f));
    GIVES(KRING_ERROR_ARGUMENT, kring_media_view_y4m(media, "never-made.y4m", 64, 64, 0.0f / 0.0f));
    GIVES(KRING_ERROR_UTF8, kring_media_name(media, "\xff\xfe"));
    GIVES(KRING_ERROR_ARGUMENT, kring_devices(3, &list));
    GIVES(KRING_ERROR_ARGUMENT, kring_audio_input_new(KRING_CONSENT_CAMERA, &list));
    GIVES(KRING_ERROR_CONTACT, kring_check_contact_name(""));

    options.bind = "here";
    GIVES(KRING_ERROR_ARGUMENT, kring_endpoint_new(&options, &endpoint));
    options.bind = "192.0.2.1:1";
    GIVES(KRING_ERROR_BIND, kring_endpoint_new(&options, &endpoint));
    options.bind = NULL;
    options.flags = 1u << 31;
    GIVES(KRING_ERROR_ARGUMENT, kring_endpoint_new(&options, &endpoint));
    options.flags = 0;
    options.relay = "no port";
    GIVES(KRING_ERROR_ARGUMENT, kring_endpoint_new(&options, &endpoint));
    options.relay = NULL;
    options.store = 77;
    GIVES(KRING_ERROR_HANDLE, kring_endpoint_new(&options, &endpoint));
    CHECK(endpoint == 0);

    WELL(kring_video_input_new(0, 64, 64, 30.0f, &input));
    picture.width = picture.height = 32;
    GIVES(KRING_ERROR_ARGUMENT, kring_video_input_push(input, &picture));
    picture.width = picture.height = 64;
    picture.y = pixels;
    /* Before the call is answered a picture is dropped unseen. */
    WELL(kring_video_input_push(input, &picture));
    WELL(kring_video_input_free(input));
    GIVES(KRING_ERROR_HANDLE, kring_video_input_push(input, &picture));

    picture.pixels = KRING_PIXELS_RGBA;
    picture.y_stride = 64 * 4 - 1;
    buffer.width = buffer.height = 64;
    buffer.y = buffer.u = buffer.v = pixels;
    GIVES(KRING_ERROR_ARGUMENT, kring_picture_fill(&buffer, &picture));
    picture.y_stride = SIZE_MAX / 2;
    GIVES(KRING_ERROR_ARGUMENT, kring_picture_fill(&buffer, &picture));
    picture.pixels = 99;
    GIVES(KRING_ERROR_ARGUMENT, kring_picture_fill(&buffer, &picture));
    picture.pixels = KRING_PIXELS_I420;
    picture.y_stride = picture.u_stride = picture.v_stride = 64;
    GIVES(KRING_ERROR_NULL, kring_picture_fill(&buffer, &picture));
    picture.u = picture.v = pixels;
    buffer.width = 32;
    GIVES(KRING_ERROR_ARGUMENT, kring_picture_fill(&buffer, &picture));
    GIVES(KRING_ERROR_NULL, kring_picture_to_rgba(&picture, KRING_PIXELS_RGBA, NULL, 256, 0));
    GIVES(KRING_ERROR_BUFFER, kring_picture_to_rgba(&picture, KRING_PIXELS_RGBA, pixels, 256, sizeof pixels));
    GIVES(KRING_ERROR_BUFFER, kring_picture_to_rgba(&picture, KRING_PIXELS_RGBA, pixels, SIZE_MAX, SIZE_MAX));
    GIVES(KRING_ERROR_ARGUMENT, kring_picture_to_rgba(&picture, KRING_PIXELS_NV12, pixels, 256, SIZE_MAX));
    GIVES(KRING_ERROR_ARGUMENT, kring_log(5, NULL, NULL, NULL));

    WELL(kring_media_free(media));
    CHECK(strcmp(kring_error_name(KRING_ERROR_TICKET), "KRING_ERROR_TICKET") == 0);
    CHECK(strcmp(kring_error_name(12345), "unknown") == 0);
}

static void freed_twice_and_confused(void)
{
    kring_endpoint endpoint = new_endpoint();
    kring_media media = quiet();
    kring_audio_input input = 0;
    SIZED(kring_identity, identity);

    WELL(kring_audio_input_new(0, &input));
    GIVES(KRING_ERROR_HANDLE, kring_media_free(endpoint));
    GIVES(KRING_ERROR_HANDLE, kring_endpoint_free(media));
    GIVES(KRING_ERROR_HANDLE, kring_call_hang_up(input));
    WELL(kring_media_free(media));
    GIVES(KRING_ERROR_HANDLE, kring_media_free(media));
    GIVES(KRING_ERROR_HANDLE, kring_media_name(media, "Anna"));
    /* The place is used again, the number is not. */
    kring_media another = quiet();
    CHECK(another != media);
    GIVES(KRING_ERROR_HANDLE, kring_media_free(media));
    WELL(kring_media_free(another));
    WELL(kring_audio_input_free(input));
    GIVES(KRING_ERROR_HANDLE, kring_audio_input_free(input));
    WELL(kring_endpoint_free(endpoint));
    GIVES(KRING_ERROR_HANDLE, kring_endpoint_free(endpoint));
    GIVES(KRING_ERROR_HANDLE, kring_endpoint_identity(endpoint, &identity));
}

static void thousands(void)
{
    for (int i = 0; i < 10000; i++) {
        kring_media media = quiet();
        kring_audio_input input = 0;
        kring_video_input pictures = 0;
        WELL(kring_audio_input_new(0, &input));
        WELL(kring_video_input_new(0, 16, 16, 30.0f, &pictures));
        WELL(kring_media_microphone_input(media, input));
        WELL(kring_media_camera_input(media, pictures));
        WELL(kring_video_input_free(pictures));
        WELL(kring_media_free(media));
        WELL(kring_audio_input_free(input));
    }
    for (int i = 0; i < 200; i++)
        WELL(kring_endpoint_free(new_endpoint()));
}

/* ---- callbacks ---- */

struct watcher {
    kring_call call;
    int what; /* 0 watches, 1 frees its own handle, 2 hangs up and waits, 3 is slow */
    atomic_int events, dropped, inside;
};

static void on_event(void *user_data, const kring_event *event)
{
    struct watcher *watcher = user_data;
    CHECK(atomic_load(&watcher->dropped) == 0);
    CHECK(event->struct_size == sizeof *event);
    atomic_store(&watcher->inside, 1);
    int seen = atomic_fetch_add(&watcher->events, 1);
    if (watcher->what == 1 && seen == 0) {
        WELL(kring_call_free(watcher->call));
        GIVES(KRING_ERROR_HANDLE, kring_call_free(watcher->call));
        GIVES(KRING_ERROR_HANDLE, kring_call_hang_up(watcher->call));
    } else if (watcher->what == 2 && seen == 0) {
        SIZED(kring_end, end);
        SIZED(kring_event, own);
        GIVES(KRING_ERROR_STATE, kring_call_next_event(watcher->call, 0, &own));
        GIVES(KRING_ERROR_STATE, kring_shutdown(-1));
        WELL(kring_call_hang_up(watcher->call));
        WELL(kring_call_wait_ended(watcher->call, 60000, &end));
        CHECK(end.end == KRING_END_HUNG_UP && end.by == KRING_BY_LOCAL);
    } else if (watcher->what == 3) {
        wait_ms(300);
    }
    atomic_store(&watcher->inside, 0);
}

static void on_drop(void *user_data)
{
    struct watcher *watcher = user_data;
    CHECK(atomic_load(&watcher->inside) == 0);
    CHECK(atomic_fetch_add(&watcher->dropped, 1) == 0);
}

static struct pair watched_pair(struct watcher *watcher, int what)
{
    struct pair pair = call_with(quiet(), quiet());
    memset(watcher, 0, sizeof *watcher);
    watcher->call = pair.dialled;
    watcher->what = what;
    WELL(kring_call_on_event(pair.dialled, on_event, watcher, on_drop));
    return pair;
}

static void a_callback_frees_its_own_handle(void)
{
    struct watcher watcher;
    struct pair pair = watched_pair(&watcher, 1);
    CHECK(comes_to(&watcher.dropped, 1));
    CHECK(atomic_load(&watcher.events) == 1);
    free_pair(&pair);
}

static void a_hang_up_inside_a_callback(void)
{
    struct watcher watcher;
    struct pair pair = watched_pair(&watcher, 2);
    CHECK(comes_to(&watcher.dropped, 1));
    CHECK(atomic_load(&watcher.events) > 1);
    free_pair(&pair);
}

static void freed_while_a_callback_runs(void)
{
    struct watcher watcher;
    struct pair pair = watched_pair(&watcher, 3);
    CHECK(comes_to(&watcher.events, 1));
    WELL(kring_call_free(pair.dialled));
    CHECK(comes_to(&watcher.dropped, 1));
    int events = atomic_load(&watcher.events);
    wait_ms(100);
    CHECK(atomic_load(&watcher.events) == events);
    free_pair(&pair);
}

static void a_callback_set_twice(void)
{
    struct watcher watcher, second;
    struct pair pair = watched_pair(&watcher, 0);
    memset(&second, 0, sizeof second);
    GIVES(KRING_ERROR_STATE, kring_call_on_event(pair.dialled, on_event, &second, on_drop));
    CHECK(atomic_load(&second.dropped) == 1);
    GIVES(KRING_ERROR_NULL, kring_call_on_event(pair.answered, NULL, &second, NULL));
    WELL(kring_call_hang_up(pair.answered));
    CHECK(comes_to(&watcher.dropped, 1));
    free_pair(&pair);
}

/* Another thread waits with a handle while it is freed. */
static void *waits_for_events(void *call)
{
    SIZED(kring_event, event);
    int32_t result;
    do
        result = kring_call_next_event(*(kring_call *)call, -1, &event);
    while (result == KRING_OK);
    return (void *)(intptr_t)result;
}

static void *waits_for_callers(void *endpoint)
{
    kring_incoming incoming = 0;
    return (void *)(intptr_t)kring_endpoint_next_incoming(*(kring_endpoint *)endpoint, -1, &incoming);
}

static void freed_while_others_wait(void)
{
    struct pair pair = call_with(quiet(), quiet());
    pthread_t events, callers;
    void *result = NULL;
    CHECK(pthread_create(&events, NULL, waits_for_events, &pair.dialled) == 0);
    CHECK(pthread_create(&callers, NULL, waits_for_callers, &pair.caller) == 0);
    wait_ms(100);
    WELL(kring_call_free(pair.dialled));
    WELL(kring_endpoint_free(pair.caller));
    CHECK(pthread_join(events, &result) == 0);
    CHECK((intptr_t)result == KRING_ERROR_ENDED || (intptr_t)result == KRING_ERROR_HANDLE);
    CHECK(pthread_join(callers, &result) == 0);
    CHECK((intptr_t)result == KRING_ERROR_ENDED || (intptr_t)result == KRING_ERROR_HANDLE);
    kring_call_free(pair.answered);
    WELL(kring_endpoint_free(pair.callee));
}

/* The callback of an endpoint frees the endpoint and declines. */
struct desk {
    kring_endpoint endpoint;
    atomic_int calls, dropped;
};

static void on_incoming(void *user_data, kring_incoming incoming)
{
    struct desk *desk = user_data;
    WELL(kring_endpoint_free(desk->endpoint));
    WELL(kring_incoming_busy(incoming));
    GIVES(KRING_ERROR_HANDLE, kring_incoming_decline(incoming));
    atomic_fetch_add(&desk->calls, 1);
}

static void on_desk_drop(void *user_data)
{
    atomic_fetch_add(&((struct desk *)user_data)->dropped, 1);
}

static void an_endpoint_freed_by_its_callback(void)
{
    struct desk desk;
    char ticket[KRING_TICKET_SIZE];
    kring_endpoint caller = new_endpoint();
    kring_call call = 0;
    SIZED(kring_end, end);
    memset(&desk, 0, sizeof desk);
    desk.endpoint = new_endpoint();
    WELL(kring_endpoint_on_incoming(desk.endpoint, on_incoming, &desk, on_desk_drop));
    WELL(kring_endpoint_ticket(desk.endpoint, NULL, ticket, sizeof ticket, NULL));
    WELL(kring_endpoint_dial(caller, ticket, quiet(), &call));
    WELL(kring_call_wait_ended(call, 60000, &end));
    CHECK(comes_to(&desk.dropped, 1));
    CHECK(atomic_load(&desk.calls) == 1);
    WELL(kring_call_free(call));
    WELL(kring_endpoint_free(caller));
}

/* Data of callbacks that are never called is dropped all the same. */
static int32_t never_read(void *user_data, float *samples, size_t count, uint64_t *age_us)
{
    (void)user_data, (void)samples, (void)count, (void)age_us;
    return KRING_OK;
}

static void count_drop(void *user_data)
{
    atomic_fetch_add((atomic_int *)user_data, 1);
}

static void dropped_whatever_comes(void)
{
    atomic_int dropped = 0;
    SIZED(kring_audio_source, source);
    kring_media media = quiet();
    source.user_data = &dropped;
    source.read = never_read;
    source.drop_fn = count_drop;
    GIVES(KRING_ERROR_HANDLE, kring_media_microphone_source(0, &source));
    CHECK(atomic_load(&dropped) == 1);
    WELL(kring_media_microphone_source(media, &source));
    /* Another takes its place. */
    WELL(kring_media_microphone_source(media, &source));
    CHECK(atomic_load(&dropped) == 2);
    WELL(kring_media_free(media));
    CHECK(atomic_load(&dropped) == 3);
    source.read = NULL;
    GIVES(KRING_ERROR_NULL, kring_media_microphone_source(media, &source));
    CHECK(atomic_load(&dropped) == 4);
}

/* Only lines of Kring's come, up to the level, and none once it is off. */
static void take_line(void *user_data, uint32_t level, const char *target, const char *message)
{
    (void)user_data;
    CHECK(level >= KRING_LOG_ERROR && level <= KRING_LOG_DEBUG);
    CHECK(strncmp(target, "kring", 5) == 0 && *message);
}

static void logged(void)
{
    static atomic_int dropped;
    WELL(kring_log(KRING_LOG_WARN, take_line, &dropped, count_drop));
    WELL(kring_log(KRING_LOG_DEBUG, take_line, &dropped, count_drop));
    CHECK(comes_to(&dropped, 1));
    WELL(kring_endpoint_free(new_endpoint()));
    GIVES(KRING_ERROR_ARGUMENT, kring_log(99, take_line, &dropped, count_drop));
    CHECK(atomic_load(&dropped) == 2);
    WELL(kring_log(KRING_LOG_OFF, NULL, NULL, NULL));
    CHECK(comes_to(&dropped, 3));
    /* kring_shutdown lets go of this one. */
    WELL(kring_log(KRING_LOG_DEBUG, take_line, &dropped, count_drop));
}

/* A drop function calls back into what drops it. */
static kring_media dropping;

static void drop_calls_back(void *user_data)
{
    int32_t result = kring_media_name(dropping, "Anna");
    CHECK(result == KRING_ERROR_STATE || result == KRING_ERROR_HANDLE);
    count_drop(user_data);
}

static void a_drop_function_calls_back(void)
{
    atomic_int dropped = 0;
    SIZED(kring_audio_source, source);
    dropping = quiet();
    source.user_data = &dropped;
    source.read = never_read;
    source.drop_fn = drop_calls_back;
    WELL(kring_media_microphone_source(dropping, &source));
    WELL(kring_media_microphone_tone(dropping, 440.0, -20.0));
    CHECK(atomic_load(&dropped) == 1);
    WELL(kring_media_microphone_source(dropping, &source));
    WELL(kring_media_free(dropping));
    CHECK(atomic_load(&dropped) == 2);
}

int main(void)
{
    const uint64_t never[] = {0, 1, 1u << 31, (uint64_t)1 << 32, ((uint64_t)3 << 32) + 5, UINT64_MAX};
    null_everywhere();
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        no_handle(never[i]);
    wrong_sizes();
    wrong_values();
    freed_twice_and_confused();
    thousands();
    dropped_whatever_comes();
    logged();
    a_drop_function_calls_back();
    a_callback_frees_its_own_handle();
    a_hang_up_inside_a_callback();
    freed_while_a_callback_runs();
    a_callback_set_twice();
    freed_while_others_wait();
    an_endpoint_freed_by_its_callback();
    WELL(kring_shutdown(60000));
    /* And anew. */
    WELL(kring_endpoint_free(new_endpoint()));
    WELL(kring_shutdown(60000));
    puts("well");
    return 0;
}
