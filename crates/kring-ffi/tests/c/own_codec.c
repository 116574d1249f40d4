/* A call by codecs of this program's own: sound at a sixth of the rate in 8 bits, pictures as one shade of grey. */
#include "check.h"

#include <math.h>

enum { WIDTH = 320, HEIGHT = 180, STEP = 6 };

static atomic_int encoders, decoders, keyframes, acknowledged, concealed, dropped;
static atomic_int heard, grey;

/* ---- sound ---- */

static int32_t tin_encoder(void *user_data, const kring_audio_settings *settings, void **encoder)
{
    CHECK(user_data == &dropped && settings->struct_size >= sizeof *settings && settings->duration_ms >= 10);
    *encoder = calloc(1, 16);
    atomic_fetch_add(&encoders, 1);
    return *encoder ? KRING_OK : KRING_ERROR_INTERNAL;
}

static int32_t tin_encode(void *encoder, const kring_audio_settings *settings, const float *samples, size_t count,
                          uint8_t *packet, size_t capacity, size_t *length)
{
    CHECK(encoder != NULL && count == settings->duration_ms * 48 && count / STEP <= capacity);
    for (size_t i = 0; i < count / STEP; i++)
        packet[i] = (uint8_t)(int8_t)lrintf(samples[i * STEP] * 127.0f);
    *length = count / STEP;
    return KRING_OK;
}

static void encoder_free(void *encoder)
{
    free(encoder);
    atomic_fetch_sub(&encoders, 1);
}

static int32_t new_decoder(void *user_data, void **decoder)
{
    CHECK(user_data == &dropped);
    *decoder = calloc(1, WIDTH * HEIGHT * 3 / 2);
    atomic_fetch_add(&decoders, 1);
    return *decoder ? KRING_OK : KRING_ERROR_INTERNAL;
}

static int32_t tin_decode(void *decoder, const uint8_t *packet, size_t length, float *samples, size_t capacity, size_t *count)
{
    CHECK(decoder != NULL);
    if (length * STEP > capacity)
        return KRING_ERROR_ARGUMENT;
    for (size_t i = 0; i < length * STEP; i++)
        samples[i] = (float)(int8_t)packet[i / STEP] / 127.0f;
    *count = length * STEP;
    return KRING_OK;
}

static int32_t tin_conceal(void *decoder, float *samples, size_t count)
{
    CHECK(decoder != NULL && count > 0 && samples[0] == 0.0f);
    atomic_fetch_add(&concealed, 1);
    return KRING_OK;
}

static void decoder_free(void *decoder)
{
    free(decoder);
    atomic_fetch_sub(&decoders, 1);
}

/* ---- pictures ---- */

struct grey_encoder {
    uint32_t number;
    uint8_t bytes[5];
};

static int32_t grey_encoder(void *user_data, const kring_video_settings *settings, void **encoder)
{
    CHECK(user_data == &dropped && settings->struct_size >= sizeof *settings);
    CHECK(settings->width == WIDTH && settings->height == HEIGHT && settings->content == KRING_CONTENT_CAMERA);
    *encoder = calloc(1, sizeof(struct grey_encoder));
    atomic_fetch_add(&encoders, 1);
    return *encoder ? KRING_OK : KRING_ERROR_INTERNAL;
}

static int32_t grey_encode(void *encoder, const kring_picture *picture, uint64_t at_us, uint32_t keyframe, kring_encoded *encoded)
{
    struct grey_encoder *grey_encoder = encoder;
    (void)at_us;
    /* Every fourth picture is skipped. */
    if (!keyframe && encoded->number % 4 == 3 && grey_encoder->bytes[0] != 'S') {
        grey_encoder->bytes[0] = 'S';
        return KRING_OK;
    }
    CHECK(encoded->number == grey_encoder->number);
    grey_encoder->number++;
    grey_encoder->bytes[0] = keyframe ? 'K' : 'P';
    grey_encoder->bytes[1] = picture->y[0];
    grey_encoder->bytes[2] = (uint8_t)(picture->width / 2);
    grey_encoder->bytes[3] = (uint8_t)(picture->height / 2);
    encoded->flags = keyframe ? KRING_ENCODED_KEYFRAME : 0;
    encoded->data = grey_encoder->bytes;
    encoded->length = sizeof grey_encoder->bytes;
    atomic_fetch_add(&keyframes, keyframe != 0);
    return KRING_OK;
}

static int32_t grey_rate(void *encoder, uint32_t bits_per_second, float frames_per_second)
{
    CHECK(encoder != NULL && bits_per_second > 0 && frames_per_second > 0.0f);
    return KRING_OK;
}

static void grey_acknowledged(void *encoder, uint32_t number)
{
    CHECK(number < ((struct grey_encoder *)encoder)->number);
    atomic_fetch_add(&acknowledged, 1);
}

static uint32_t grey_lost(void *encoder, uint32_t any_good, uint32_t last_good)
{
    (void)encoder, (void)any_good, (void)last_good;
    return KRING_RECOVERY_KEYFRAME;
}

static int32_t grey_decode(void *decoder, const uint8_t *data, size_t length, kring_picture *picture)
{
    uint8_t *planes = decoder;
    if (length != 5)
        return KRING_ERROR_ARGUMENT;
    picture->width = 2u * data[2];
    picture->height = 2u * data[3];
    if (picture->width > WIDTH || picture->height > HEIGHT)
        return KRING_ERROR_ARGUMENT;
    memset(planes, data[1], WIDTH * HEIGHT);
    memset(planes + WIDTH * HEIGHT, 128, WIDTH * HEIGHT / 2);
    picture->y = planes;
    picture->u = planes + WIDTH * HEIGHT;
    picture->v = picture->u + WIDTH * HEIGHT / 4;
    picture->y_stride = picture->width;
    picture->u_stride = picture->v_stride = picture->width / 2;
    return KRING_OK;
}

static void count_drop(void *user_data)
{
    atomic_fetch_add((atomic_int *)user_data, 1);
}

/* ---- what is sent and what comes ---- */

static int32_t read_picture(void *user_data, const kring_picture_buffer *picture, uint64_t *age_us)
{
    (void)user_data, (void)age_us;
    memset(picture->y, 77, WIDTH * HEIGHT);
    return KRING_OK;
}

static int32_t show(void *user_data, const kring_picture *picture)
{
    (void)user_data;
    if (picture->y[0] == 77)
        atomic_fetch_add(&grey, 1);
    return KRING_OK;
}

static int32_t play(void *user_data, const float *samples, size_t count, uint32_t what, uint64_t *delay_us)
{
    (void)user_data, (void)delay_us;
    for (size_t i = 0; i < count; i++) {
        if (what == KRING_PLAYED_DECODED && fabsf(samples[i]) > 0.05f) {
            atomic_fetch_add(&heard, 1);
            break;
        }
    }
    return KRING_OK;
}

static kring_media with_codecs(void)
{
    kring_media media = quiet();
    SIZED(kring_audio_codec, tin);
    SIZED(kring_video_codec, greys);
    tin.user_data = greys.user_data = &dropped;
    tin.name = "tin";
    tin.encoder_new = tin_encoder;
    tin.encode = tin_encode;
    tin.decoder_new = greys.decoder_new = new_decoder;
    tin.decode = tin_decode;
    tin.conceal = tin_conceal;
    tin.encoder_free = greys.encoder_free = encoder_free;
    tin.decoder_free = greys.decoder_free = decoder_free;
    tin.drop_fn = greys.drop_fn = count_drop;
    greys.name = "grey";
    greys.encoder_new = grey_encoder;
    greys.encode = grey_encode;
    greys.set_rate = grey_rate;
    greys.acknowledged = grey_acknowledged;
    greys.lost = grey_lost;
    greys.decode = grey_decode;
    WELL(kring_media_audio_codec(media, &tin));
    WELL(kring_media_video_codec(media, &greys));
    return media;
}

int main(void)
{
    kring_media sending = with_codecs(), receiving = with_codecs();
    SIZED(kring_video_source, camera);
    SIZED(kring_video_sink, view);
    SIZED(kring_audio_sink, speaker);
    SIZED(kring_audio_codec, broken);
    kring_list tracks = 0;
    SIZED(kring_track, track);
    size_t count = 0;

    broken.name = "Not a name";
    broken.user_data = &dropped;
    broken.drop_fn = count_drop;
    GIVES(KRING_ERROR_ARGUMENT, kring_media_audio_codec(sending, &broken));
    broken.name = "half";
    broken.encoder_new = tin_encoder;
    GIVES(KRING_ERROR_NULL, kring_media_audio_codec(sending, &broken));
    CHECK(atomic_exchange(&dropped, 0) == 2);

    camera.flags = speaker.flags = KRING_PACED;
    camera.width = WIDTH;
    camera.height = HEIGHT;
    camera.frames_per_second = 30.0f;
    camera.read = read_picture;
    WELL(kring_media_camera_source(sending, &camera));
    WELL(kring_media_microphone_tone(sending, 300.0, -6.0));
    view.show = show;
    speaker.play = play;
    WELL(kring_media_view_sink(receiving, &view));
    WELL(kring_media_speaker_sink(receiving, &speaker));

    struct pair pair = call_with(sending, receiving);
    CHECK(comes_to(&heard, 50) && comes_to(&grey, 5));
    CHECK(atomic_load(&keyframes) > 0 && comes_to(&acknowledged, 1));
    WELL(kring_call_peer_tracks(pair.answered, &tracks));
    WELL(kring_list_count(tracks, &count));
    CHECK(count == 2);
    WELL(kring_list_track(tracks, 0, &track));
    CHECK(track.id == KRING_TRACK_MICROPHONE && strcmp(track.codec, "tin") == 0);
    WELL(kring_list_track(tracks, 1, &track));
    CHECK(track.id == KRING_TRACK_CAMERA && strcmp(track.codec, "grey") == 0 && track.width == WIDTH);
    WELL(kring_list_free(tracks));
    WELL(kring_call_hang_up(pair.answered));
    WELL(kring_call_wait_ended(pair.answered, 60000, NULL));
    WELL(kring_call_wait_ended(pair.dialled, 60000, NULL));
    free_pair(&pair);
    WELL(kring_shutdown(60000));
    CHECK(atomic_load(&encoders) == 0 && atomic_load(&decoders) == 0 && atomic_load(&dropped) == 4);
    puts("well");
    return 0;
}
