/* A call whose microphones, speakers, cameras and views are this program's: by functions one way, pushed the other way. */
#include "check.h"

#include <math.h>

enum { WIDTH = 320, HEIGHT = 180 };

/* What one side hears and sees, and how often its functions were called. */
struct side {
    double hertz;
    uint64_t sample;
    /* The picture that is shown, in colours. */
    uint8_t rgba[WIDTH * HEIGHT * 4];
    atomic_int reads, plays, heard, frames_read, frames_shown, bright, starts, stops, drops;
};

static float tone(struct side *side)
{
    return (float)(0.2 * sin(2.0 * 3.14159265358979 * side->hertz * (double)side->sample++ / 48000.0));
}

static int32_t start(void *user_data)
{
    atomic_fetch_add(&((struct side *)user_data)->starts, 1);
    return KRING_OK;
}

static void stop(void *user_data)
{
    atomic_fetch_add(&((struct side *)user_data)->stops, 1);
}

static void dropped(void *user_data)
{
    atomic_fetch_add(&((struct side *)user_data)->drops, 1);
}

static int32_t read_sound(void *user_data, float *samples, size_t count, uint64_t *age_us)
{
    struct side *side = user_data;
    CHECK(count > 0 && *age_us == count * 1000000 / 48000);
    for (size_t i = 0; i < count; i++) {
        CHECK(samples[i] == 0.0f);
        samples[i] = tone(side);
    }
    atomic_fetch_add(&side->reads, 1);
    return KRING_OK;
}

static int32_t play(void *user_data, const float *samples, size_t count, uint32_t what, uint64_t *delay_us)
{
    struct side *side = user_data;
    double power = 0.0;
    for (size_t i = 0; i < count; i++)
        power += (double)samples[i] * samples[i];
    if (what == KRING_PLAYED_DECODED && power / (double)count > 0.005)
        atomic_fetch_add(&side->heard, 1);
    *delay_us = 1000;
    atomic_fetch_add(&side->plays, 1);
    return KRING_OK;
}

static int32_t read_picture(void *user_data, const kring_picture_buffer *picture, uint64_t *age_us)
{
    struct side *side = user_data;
    CHECK(picture->struct_size >= sizeof *picture && picture->pixels == KRING_PIXELS_I420);
    CHECK(picture->width == WIDTH && picture->height == HEIGHT && *age_us == 0);
    /* In colours, where the library wants luma: (200 - 16) * 255 / 219 is 214. */
    static uint8_t rgba[WIDTH * HEIGHT * 4];
    SIZED(kring_picture, grey);
    memset(rgba, 214, sizeof rgba);
    grey.pixels = KRING_PIXELS_RGBA;
    grey.width = WIDTH;
    grey.height = HEIGHT;
    grey.y = rgba;
    grey.y_stride = WIDTH * 4;
    WELL(kring_picture_fill(picture, &grey));
    atomic_fetch_add(&side->frames_read, 1);
    return KRING_OK;
}

static int32_t show(void *user_data, const kring_picture *picture)
{
    struct side *side = user_data;
    const uint8_t *middle = picture->y + picture->y_stride * (picture->height / 2) + picture->width / 2;
    const uint8_t *shown = side->rgba + picture->width * 4 * (picture->height / 2) + picture->width / 2 * 4;
    CHECK(picture->width > 0 && picture->height > 0 && picture->y_stride >= picture->width);
    atomic_fetch_add(&side->frames_shown, 1);
    WELL(kring_picture_to_rgba(picture, KRING_PIXELS_BGRA, side->rgba, picture->width * 4,
                               sizeof side->rgba));
    if (*middle > 190 && *middle < 210 && shown[0] > 200 && shown[0] < 228 && shown[3] == 255)
        atomic_fetch_add(&side->bright, 1);
    return KRING_OK;
}

static void sinks(kring_media media, struct side *side)
{
    SIZED(kring_audio_sink, speaker);
    SIZED(kring_video_sink, view);
    speaker.flags = KRING_PACED;
    speaker.user_data = view.user_data = side;
    speaker.start = start;
    speaker.play = play;
    speaker.stop = view.stop = stop;
    speaker.drop_fn = view.drop_fn = dropped;
    view.show = show;
    WELL(kring_media_speaker_sink(media, &speaker));
    WELL(kring_media_view_sink(media, &view));
}

int main(int argc, char **argv)
{
    static struct side one, two;
    kring_media first = quiet(), second = quiet();
    kring_audio_input sound = 0;
    kring_video_input pictures = 0;
    static uint8_t luma[(WIDTH + 16) * HEIGHT], chroma[WIDTH * HEIGHT / 2];
    SIZED(kring_audio_source, microphone);
    SIZED(kring_video_source, camera);
    SIZED(kring_picture, picture);
    SIZED(kring_stats, stats);
    char json[8192];
    int waited = 0;
    /* Where a program runs a hundred times slower, sound comes through at times, and pictures are asked for and often too late. */
    int slow = argc > 1 && strcmp(argv[1], "slow") == 0, blocks = slow ? 1 : 50, shown = slow ? 0 : 5;

    memset(&one, 0, sizeof one);
    memset(&two, 0, sizeof two);
    one.hertz = 440.0;
    two.hertz = 880.0;

    /* The first side is asked. */
    microphone.flags = camera.flags = KRING_PACED;
    microphone.user_data = camera.user_data = &one;
    microphone.start = camera.start = start;
    microphone.read = read_sound;
    microphone.stop = camera.stop = stop;
    microphone.drop_fn = camera.drop_fn = dropped;
    camera.read = read_picture;
    camera.width = WIDTH;
    camera.height = HEIGHT;
    camera.frames_per_second = 30.0f;
    WELL(kring_media_microphone_source(first, &microphone));
    WELL(kring_media_camera_source(first, &camera));
    sinks(first, &one);

    /* The second side pushes, rows with a gap, both differences in one plane. */
    WELL(kring_audio_input_new(0, &sound));
    WELL(kring_video_input_new(0, WIDTH, HEIGHT, 30.0f, &pictures));
    WELL(kring_media_microphone_input(second, sound));
    WELL(kring_media_camera_input(second, pictures));
    sinks(second, &two);
    memset(luma, 200, sizeof luma);
    memset(chroma, 128, sizeof chroma);
    picture.pixels = KRING_PIXELS_NV12;
    picture.width = WIDTH;
    picture.height = HEIGHT;
    picture.y = luma;
    picture.u = chroma;
    picture.y_stride = WIDTH + 16;
    picture.u_stride = WIDTH;

    struct pair pair = call_with(first, second);
    while (atomic_load(&one.heard) < blocks || atomic_load(&two.heard) < blocks || atomic_load(&one.bright) < shown ||
           atomic_load(&two.bright) < shown || atomic_load(&one.frames_read) < 1) {
        float block[960];
        for (size_t i = 0; i < 960; i++)
            block[i] = tone(&two);
        WELL(kring_audio_input_push(sound, block, 960));
        if (waited % 2 == 0)
            WELL(kring_video_input_push(pictures, &picture));
        wait_ms(20);
        CHECK(++waited < 3000);
    }
    WELL(kring_call_stats(pair.dialled, &stats));
    CHECK(stats.packets_sent > 0 && stats.audio_samples_received > 0 && atomic_load(&one.frames_read) > 0);
    CHECK(slow || stats.video_frames_rendered > 0);
    WELL(kring_call_stats_json(pair.dialled, json, sizeof json, NULL));
    CHECK(strstr(json, "\"totalSamplesReceived\":") != NULL);

    WELL(kring_call_hang_up(pair.dialled));
    WELL(kring_call_wait_ended(pair.dialled, 60000, NULL));
    WELL(kring_call_wait_ended(pair.answered, 60000, NULL));
    /* Devices are closed by then: a microphone, a speaker and a camera that started, and a view. */
    CHECK(atomic_load(&one.starts) == 3 && atomic_load(&one.stops) == 4);
    CHECK(atomic_load(&two.starts) == 1 && atomic_load(&two.stops) == 2);
    CHECK(comes_to(&one.drops, 4) && comes_to(&two.drops, 2));
    free_pair(&pair);
    WELL(kring_audio_input_free(sound));
    WELL(kring_video_input_free(pictures));
    WELL(kring_shutdown(60000));
    CHECK(atomic_load(&one.drops) == 4 && atomic_load(&two.drops) == 2);
    puts("well");
    return 0;
}
