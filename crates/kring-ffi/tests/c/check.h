/* What the tests in C have in common: checks that say where they failed, and two endpoints that call each other. */
#ifndef CHECK_H
#define CHECK_H

#define _POSIX_C_SOURCE 200809L
#include <kring.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHECK(condition)                                                                             \
    do {                                                                                             \
        if (!(condition)) {                                                                          \
            fprintf(stderr, "%s:%d: expected %s; last error: %s\n", __FILE__, __LINE__, #condition,  \
                    kring_last_error());                                                             \
            exit(1);                                                                                 \
        }                                                                                            \
    } while (0)

/* A function of the library gave this. */
#define GIVES(expected, call)                                                                              \
    do {                                                                                                   \
        int32_t got_ = (call), expected_ = (expected);                                                     \
        if (got_ != expected_) {                                                                           \
            fprintf(stderr, "%s:%d: expected %s from %s, got %s: %s\n", __FILE__, __LINE__,                \
                    kring_error_name(expected_), #call, kring_error_name(got_), kring_last_error());       \
            exit(1);                                                                                       \
        }                                                                                                  \
    } while (0)

#define WELL(call) GIVES(KRING_OK, call)

/* A struct of the header, all zero but its size. */
#define SIZED(type, name) \
    type name;            \
    memset(&name, 0, sizeof name); \
    name.struct_size = sizeof name

static inline void wait_ms(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* Waits for an atomic counter to come to `value`, a minute at most: that is no measure of time but the end of a test that hangs. */
static inline int comes_to(atomic_int *counter, int value)
{
    for (int i = 0; i < 6000 && atomic_load(counter) < value; i++)
        wait_ms(10);
    return atomic_load(counter) >= value;
}

static inline kring_endpoint new_endpoint(void)
{
    kring_endpoint endpoint = 0;
    SIZED(kring_endpoint_options, options);
    options.bind = "127.0.0.1:0";
    /* Slow machines and valgrind. */
    options.vanished_ms = 120000;
    WELL(kring_endpoint_new(&options, &endpoint));
    return endpoint;
}

static inline kring_media quiet(void)
{
    kring_media media = 0;
    WELL(kring_media_new(KRING_CONSENT_NOTHING, &media));
    return media;
}

/* Two endpoints, and a call from `caller` to `callee`. */
struct pair {
    kring_endpoint caller, callee;
    kring_call dialled, answered;
};

static inline struct pair call_with(kring_media dialling, kring_media answering)
{
    struct pair pair = {0};
    char ticket[KRING_TICKET_SIZE];
    kring_incoming incoming = 0;
    pair.caller = new_endpoint();
    pair.callee = new_endpoint();
    WELL(kring_endpoint_ticket(pair.callee, NULL, ticket, sizeof ticket, NULL));
    WELL(kring_endpoint_dial(pair.caller, ticket, dialling, &pair.dialled));
    WELL(kring_endpoint_next_incoming(pair.callee, 60000, &incoming));
    WELL(kring_incoming_answer(incoming, answering, &pair.answered));
    WELL(kring_call_wait_connected(pair.dialled, 60000));
    WELL(kring_call_wait_connected(pair.answered, 60000));
    return pair;
}

static inline void free_pair(struct pair *pair)
{
    kring_call_free(pair->dialled);
    kring_call_free(pair->answered);
    WELL(kring_endpoint_free(pair->caller));
    WELL(kring_endpoint_free(pair->callee));
}

#endif
