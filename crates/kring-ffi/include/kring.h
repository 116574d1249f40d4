/*
 * Kring: end-to-end encrypted calls. The guide is docs/c.md.
 *
 * RESULTS. Every function that can fail gives KRING_OK (0) or a negative KRING_ERROR_ code; kring_last_error() then has a sentence
 * for the log. Codes are frozen. Constants and functions are only ever added: pass over an event, an end or a state that you do not know.
 *
 * HANDLES are numbers; 0 is never one. Each is freed by the function of its kind that ends in _free, once. What says that it uses a handle
 * up has freed it, also where it fails. A handle that is none (freed, used up, of another kind) gives KRING_ERROR_HANDLE, never a crash. A
 * handle may be used by several threads at once, and freed while others wait with it: they get KRING_ERROR_ENDED.
 *
 * STRUCTS begin with struct_size: set it to sizeof the struct before each call, also of those that are written to, and all else that
 * you do not set to zero. So programs that were built with an older header go on to work.
 *
 * TEXTS are UTF-8 and end with NUL. What comes in is copied. What goes out goes into your buffer: `capacity` is its size, `length` (may be
 * NULL) gets the length without the NUL. If it does not fit: KRING_ERROR_BUFFER, and `length` says what is needed, without the NUL; to ask for
 * that only, give NULL and 0. Members of structs are cut at a whole character where they do not fit. So there is no memory of the
 * library that you would have to free.
 *
 * POINTERS that may be NULL are said to be so; others give KRING_ERROR_NULL. What pointers point to is used until the function returns, unless
 * a callback is kept.
 *
 * CALLBACKS come with user_data and a function that drops it, which is called exactly once, last of all, also if the function that they are
 * handed to fails; only structs that cannot be read (KRING_ERROR_NULL, KRING_ERROR_STRUCT_SIZE) leave it with you. Which thread calls, and what may
 * be done there, stands with each. Callbacks must return: no exception, no longjmp.
 *
 * WAITING. Functions with timeout_ms wait so long at most; negative is for ever, 0 looks only. All others return at once, but for the time of a
 * disk where it is said.
 *
 * THREADS. Every function may be called from any thread. The library starts its own when they are first needed; kring_shutdown ends them. Do not
 * call it after fork() in the child.
 */


#ifndef KRING_H
#define KRING_H

/* Made by `cargo xtask header` from crates/kring-ffi/src; change it there. */

#include <stddef.h>
#include <stdint.h>

/**
 * The ABI that this header describes: 65536 × major + minor. Of one major version, functions, constants and fields at the end of
 * structs are only ever added, each with a higher minor version.
 */
#define KRING_ABI_VERSION ((1 << 16) + 1)

/**
 * The library has Opus, for sound.
 */
#define KRING_FEATURE_OPUS 1

/**
 * The library has H.264, for pictures.
 */
#define KRING_FEATURE_H264 2

/**
 * The library has the machine's microphones and speakers.
 */
#define KRING_FEATURE_AUDIO_IO 4

/**
 * The library has the machine's cameras.
 */
#define KRING_FEATURE_CAMERA 8

/**
 * The library can seal secrets with a key of the system's key store.
 */
#define KRING_FEATURE_OS_KEY_STORE 16

/**
 * It is done.
 */
#define KRING_OK 0

/**
 * A pointer that has to point somewhere is NULL.
 */
#define KRING_ERROR_NULL -1

/**
 * The handle is none: never given out, freed, used up, or of another kind.
 */
#define KRING_ERROR_HANDLE -2

/**
 * A struct's struct_size is smaller than any version of it, or it holds something that this version does not know.
 */
#define KRING_ERROR_STRUCT_SIZE -3

/**
 * A value is out of its range, or a text is not what it should be.
 */
#define KRING_ERROR_ARGUMENT -4

/**
 * A text is no UTF-8.
 */
#define KRING_ERROR_UTF8 -5

/**
 * The buffer is too small; the length that is needed was written.
 */
#define KRING_ERROR_BUFFER -6

/**
 * What was waited for did not come in time.
 */
#define KRING_ERROR_TIMEOUT -7

/**
 * It is over: the call has ended, or the endpoint is closed. Nothing more comes.
 */
#define KRING_ERROR_ENDED -8

/**
 * Not in this state, or not from this thread.
 */
#define KRING_ERROR_STATE -9

/**
 * A fault of this library. The call that it happened in may be broken; report it.
 */
#define KRING_ERROR_INTERNAL -10

/**
 * This build of the library was made without it.
 */
#define KRING_ERROR_UNSUPPORTED -11

/**
 * There is nothing of that name, number or identity.
 */
#define KRING_ERROR_NOT_FOUND -12

/**
 * The address cannot be had, or there is no randomness.
 */
#define KRING_ERROR_BIND -13

/**
 * It could not be loaded or saved.
 */
#define KRING_ERROR_STORE -14

/**
 * The ticket is damaged, has ended, or cannot be made.
 */
#define KRING_ERROR_TICKET -15

/**
 * The contact's name cannot be had, or they are blocked.
 */
#define KRING_ERROR_CONTACT -16

/**
 * There is no secret to call that contact with.
 */
#define KRING_ERROR_NO_SECRET -17

/**
 * A device, file or other source cannot be had.
 */
#define KRING_ERROR_SOURCE -18

/**
 * A device, file or other sink cannot be had.
 */
#define KRING_ERROR_SINK -19

/**
 * The passcode is too short or too long.
 */
#define KRING_ERROR_PASSCODE -20

/**
 * What was compared is not the same: somebody else is there.
 */
#define KRING_ERROR_MISMATCH -21

/**
 * The relay is not reached.
 */
#define KRING_ERROR_RELAY -22

/**
 * Nothing is logged.
 */
#define KRING_LOG_OFF 0

/**
 * Something is broken.
 */
#define KRING_LOG_ERROR 1

/**
 * Something was not done that somebody will miss.
 */
#define KRING_LOG_WARN 2

/**
 * What happens, rarely more than a line a minute.
 */
#define KRING_LOG_INFO 3

/**
 * What helps to find a mistake, such as why a stranger's packet was dropped.
 */
#define KRING_LOG_DEBUG 4

/**
 * The identity: a secret.
 */
#define KRING_ITEM_IDENTITY 0

/**
 * The tickets that were given out: secrets.
 */
#define KRING_ITEM_TICKETS 1

/**
 * The contacts: secrets.
 */
#define KRING_ITEM_CONTACTS 2

/**
 * The passcodes of tickets: secrets.
 */
#define KRING_ITEM_PASSCODES 3

/**
 * Nobody has compared anything for this identity. There is media, and a program shows that it may be somebody else's.
 */
#define KRING_TRUST_UNVERIFIED 1

/**
 * A person has compared the code or the safety number for this identity.
 */
#define KRING_TRUST_VERIFIED 2

/**
 * The identity is not the one that was expected: a new device of the person, or an impostor. There is no media until a person accepts
 * it.
 */
#define KRING_TRUST_KEY_CHANGED 3

/**
 * The length of an identity's public half in bytes: an Ed25519 key.
 */
#define KRING_IDENTITY_SIZE 32

/**
 * The call's code as four words, such as "acid bird cloth dune".
 */
#define KRING_CODE_WORDS 0

/**
 * The call's code as five emoji with blanks between.
 */
#define KRING_CODE_EMOJI 1

/**
 * The names of these emoji, a line each.
 */
#define KRING_CODE_EMOJI_NAMES 2

/**
 * Room for the text of any ticket, its NUL included.
 */
#define KRING_TICKET_SIZE 1025

/**
 * Lets nobody through but contacts, whatever ticket they hold.
 */
#define KRING_ENDPOINT_CONTACTS_ONLY 1

/**
 * Has everybody who comes by a ticket wait until they are admitted (kring_endpoint_next_knock). Contacts ring at once.
 */
#define KRING_ENDPOINT_LOBBY 2

/**
 * Takes from the store the identity only: tickets end with the endpoint, and there are no contacts.
 */
#define KRING_ENDPOINT_IDENTITY_ONLY 4

/**
 * Calls go through relays only: the other side does not learn this side's addresses, which stand in no ticket either, nor is anybody
 * called at an address. Without a relay in the options nobody can call here.
 */
#define KRING_ENDPOINT_RELAY_ONLY 8

/**
 * The ticket is good for one call: spent as soon as a caller with it has proven who that is.
 */
#define KRING_TICKET_ONE_CALL 1

/**
 * Something that this version of the library has no name for.
 */
#define KRING_EVENT_OTHER 0

/**
 * The callee wants a passcode: kring_call_enter_passcode. Not told if there is one already.
 */
#define KRING_EVENT_PASSCODE_WANTED 1

/**
 * Somebody at the other side has to let this one in.
 */
#define KRING_EVENT_WAITING 2

/**
 * The callee's device rings.
 */
#define KRING_EVENT_RINGING 3

/**
 * At a callee that answers the next caller whoever it is: somebody calls, devices are open, and what they take is on its way. Who it is
 * comes with KRING_EVENT_ANSWERED.
 */
#define KRING_EVENT_ANSWERED_AHEAD 4

/**
 * The callee answered.
 */
#define KRING_EVENT_ANSWERED 5

/**
 * Media flows. `text` is what protects it between the two devices, `detail` how media is sealed.
 */
#define KRING_EVENT_CONNECTED 6

/**
 * The call's code is there: both people read it to each other, and if the two differ, somebody is in between. `text` holds its four
 * words, `detail` its five emoji; either will do.
 */
#define KRING_EVENT_CODE 7

/**
 * This call has no code to compare; `state` is a KRING_CODE_FAILURE_ value, `text` says why.
 */
#define KRING_EVENT_CODE_FAILED 8

/**
 * The other side is not who was expected. There is no media, and the call not answered, until a person has accepted it:
 * kring_call_peer, kring_call_accept_changed_key. `text` is the fingerprint that came, `detail` the one that was expected.
 */
#define KRING_EVENT_KEY_CHANGED 9

/**
 * The peer's tracks are others now: kring_call_peer_tracks.
 */
#define KRING_EVENT_PEER_TRACKS 10

/**
 * The peer switched its track `track` on or off: `state` is a KRING_TRACK_STATE_ value.
 */
#define KRING_EVENT_PEER_TRACK_STATE 11

/**
 * The two sides can call each other again without a ticket: `text` is the contact's name, or "" for one who is none, who can be kept now
 * (kring_endpoint_keep).
 */
#define KRING_EVENT_ACQUAINTED 12

/**
 * The peer records this call (`state` is 1), or has stopped (0). A modified program can record without saying so.
 */
#define KRING_EVENT_PEER_RECORDING 13

/**
 * Nothing has been heard of the peer for 1.5 s; the call waits.
 */
#define KRING_EVENT_INTERRUPTED 14

/**
 * The peer is heard again.
 */
#define KRING_EVENT_RESUMED 15

/**
 * A source or sink of this side failed or ended; the call goes on without it. `detail` is "microphone", "camera", "screen", "speaker" or
 * "view", `text` says how it ended.
 */
#define KRING_EVENT_MEDIA_STOPPED 16

/**
 * The call is over; no event follows. `end`, `by`, `code` and `text` say how.
 */
#define KRING_EVENT_ENDED 17

/**
 * Packets go another way from now on: `state` is a KRING_PATH_ value. The call goes on meanwhile.
 */
#define KRING_EVENT_PATH 18

/**
 * From address to address.
 */
#define KRING_PATH_DIRECT 0

/**
 * Through a relay, which sees how much and when, but not what.
 */
#define KRING_PATH_RELAYED 1

/**
 * The other side did not do its part in time. The call goes on without a code.
 */
#define KRING_CODE_FAILURE_NOT_IN_TIME 1

/**
 * The other side tried to choose the code. The call ends.
 */
#define KRING_CODE_FAILURE_FORGED 2

/**
 * The track is being sent.
 */
#define KRING_TRACK_STATE_LIVE 0

/**
 * Its user has switched it off.
 */
#define KRING_TRACK_STATE_MUTED 1

/**
 * It has ended, like a file that is over.
 */
#define KRING_TRACK_STATE_ENDED 2

/**
 * For a reason that this version of the header has no name for: `code` is the protocol's.
 */
#define KRING_END_OTHER 0

/**
 * Someone hung up.
 */
#define KRING_END_HUNG_UP 1

/**
 * The callee declined.
 */
#define KRING_END_DECLINED 2

/**
 * The callee is in another call.
 */
#define KRING_END_BUSY 3

/**
 * A passcode was wrong, or somebody said no at the door.
 */
#define KRING_END_NOT_ADMITTED 4

/**
 * Nobody answered in time.
 */
#define KRING_END_NOT_ANSWERED 5

/**
 * A program is ending.
 */
#define KRING_END_GOING_AWAY 6

/**
 * Nothing was heard of the peer for 30 s, or its connection broke.
 */
#define KRING_END_VANISHED 7

/**
 * Both dialled each other, and the other of the two calls goes on.
 */
#define KRING_END_BOTH_DIALLED 8

/**
 * No address answered; `text` says which were tried.
 */
#define KRING_END_UNREACHABLE 9

/**
 * The other side does not accept this ticket, or does not have this side as a contact.
 */
#define KRING_END_REFUSED 10

/**
 * The two clocks are more than ten minutes apart.
 */
#define KRING_END_CLOCK_OFF 11

/**
 * The two have no codec or version in common.
 */
#define KRING_END_NOTHING_IN_COMMON 12

/**
 * The handshake failed: the other side is not who the ticket names, or someone is in between.
 */
#define KRING_END_HANDSHAKE 13

/**
 * One side broke the protocol; `by` is who noticed.
 */
#define KRING_END_PROTOCOL_ERROR 14

/**
 * Nobody in particular.
 */
#define KRING_BY_NOBODY 0

/**
 * This side.
 */
#define KRING_BY_LOCAL 1

/**
 * The other side.
 */
#define KRING_BY_PEER 2

/**
 * The network between the two.
 */
#define KRING_BY_NETWORK 3

/**
 * Sound of the room.
 */
#define KRING_SOURCE_MICROPHONE 0

/**
 * Pictures of the room.
 */
#define KRING_SOURCE_CAMERA 1

/**
 * What the screen or a window shows.
 */
#define KRING_SOURCE_SCREEN 2

/**
 * What takes in sound.
 */
#define KRING_DEVICE_MICROPHONE 0

/**
 * What plays sound.
 */
#define KRING_DEVICE_SPEAKER 1

/**
 * What takes in pictures.
 */
#define KRING_DEVICE_CAMERA 2

/**
 * To no device: enough for files, tones and test cards.
 */
#define KRING_CONSENT_NOTHING 0

/**
 * To microphones.
 */
#define KRING_CONSENT_MICROPHONE 1

/**
 * To cameras.
 */
#define KRING_CONSENT_CAMERA 2

/**
 * To screens.
 */
#define KRING_CONSENT_SCREEN 4

/**
 * The id of the voice's track.
 */
#define KRING_TRACK_MICROPHONE 0

/**
 * The id of the track of pictures.
 */
#define KRING_TRACK_CAMERA 1

/**
 * People and rooms: motion and sharpness in balance.
 */
#define KRING_CONTENT_CAMERA 0

/**
 * Text and drawings: sharpness over motion.
 */
#define KRING_CONTENT_SCREEN 1

/**
 * Sign language: motion over sharpness.
 */
#define KRING_CONTENT_SIGN 2

/**
 * The library keeps the time: a block is asked for when its last sample is due, and shown or played when it is due. Without it the function
 * does: it returns when the block is full, or is done with it.
 */
#define KRING_PACED 1

/**
 * Three planes: luma, and blue and red difference halved both ways (also called YUV 4:2:0, YV12 with V before U).
 */
#define KRING_PIXELS_I420 0

/**
 * Two planes: luma, and both differences halved both ways, taking turns in `u`; `v` is NULL. What most cameras give.
 */
#define KRING_PIXELS_NV12 1

/**
 * One plane in `y`: red, green, blue and alpha of each pixel, a byte each; 256 shades, of which video has 220 (ITU-R BT.601). Alpha is passed over,
 * and 255 where the library writes it.
 */
#define KRING_PIXELS_RGBA 2

/**
 * The same as blue, green, red and alpha.
 */
#define KRING_PIXELS_BGRA 3

/**
 * Nothing has come yet, or nothing is to be heard: silence.
 */
#define KRING_PLAYED_WAITING 0

/**
 * Sound that came over the network.
 */
#define KRING_PLAYED_DECODED 1

/**
 * Sound made up for what is missing.
 */
#define KRING_PLAYED_CONCEALED 2

/**
 * The longest packet of sound, in bytes.
 */
#define KRING_AUDIO_PACKET_SIZE 1000

/**
 * The most samples that one packet may hold: 120 ms.
 */
#define KRING_AUDIO_PACKET_SAMPLES 5760

/**
 * The longest encoded picture, in bytes.
 */
#define KRING_ENCODED_SIZE (4 << 20)

/**
 * It decodes without any picture before it.
 */
#define KRING_ENCODED_KEYFRAME 1

/**
 * No later picture builds on it: it may be dropped without harm to others.
 */
#define KRING_ENCODED_DISCARDABLE 2

/**
 * The next picture has to be a keyframe.
 */
#define KRING_RECOVERY_KEYFRAME 0

/**
 * What comes next refers to pictures that the peer has.
 */
#define KRING_RECOVERY_REFERENCE 1

/**
 * Takes a line of the log: its level, the part of the library that it comes from, such as "kring_net::path", and a sentence. The texts are the
 * library's and good until it returns.
 *
 * Called on any thread, also on yours while they are in a function of this header, and on several at once. It must not call functions
 * of this header, and must not wait.
 */
typedef void (*kring_log_fn)(void *user_data, uint32_t level, const char *target, const char *message);

/**
 * Frees what user_data points to. Called exactly once, last of all, by whichever thread was the last to use it, which may be the one
 * that frees a handle. NULL if there is nothing to free.
 */
typedef void (*kring_drop_fn)(void *user_data);

/**
 * A place for an identity, tickets and contacts. It may be freed once it was used.
 */
typedef uint64_t kring_store;

/**
 * A store of the program's own. Its functions are called by any thread, one at a time for each item; they may block for a disk's time and
 * must not call functions of this header. Only one process may use what it keeps.
 */
typedef struct kring_store_callbacks {
    /**
     * sizeof(kring_store_callbacks).
     */
    uint32_t struct_size;
    /**
     * 0.
     */
    uint32_t reserved;
    /**
     * Given to each function.
     */
    void *user_data;
    /**
     * Writes what was saved last of a KRING_ITEM_ value to `buffer` and its length to `length`. KRING_OK; KRING_ERROR_NOT_FOUND if nothing
     * ever was; anything else if it cannot be read. The buffer holds whatever may be saved; it is wiped after use.
     */
    int32_t (*load)(void *user_data, uint32_t item, uint8_t *buffer, size_t capacity, size_t *length);
    /**
     * Replaces what was saved before, whole or not at all. KRING_OK once it would survive a crash; anything else if what was before is
     * still there.
     */
    int32_t (*save)(void *user_data, uint32_t item, const uint8_t *bytes, size_t length);
    /**
     * Frees user_data.
     */
    kring_drop_fn drop_fn;
} kring_store_callbacks;

/**
 * Tickets and contacts. Several handles may be of the same; endpoints that use it go on when it is freed.
 */
typedef uint64_t kring_home;

/**
 * A list of one kind of things; it does not change.
 */
typedef uint64_t kring_list;

/**
 * A contact, without its secrets.
 */
typedef struct kring_contact {
    /**
     * sizeof(kring_contact), set before the call.
     */
    uint32_t struct_size;
    /**
     * 1 if `identity` is known: not before the first call with somebody who was added by a ticket.
     */
    uint32_t has_identity;
    /**
     * 1 if a person has made sure who they are.
     */
    uint32_t verified;
    /**
     * 1 if they can be called: there is a secret, or a ticket that holds.
     */
    uint32_t callable;
    /**
     * 1 if they are blocked.
     */
    uint32_t blocked;
    /**
     * 0.
     */
    uint32_t reserved;
    /**
     * Since when they are a contact, in seconds since 1970.
     */
    uint64_t since;
    /**
     * When the last call with them was answered; 0 for never.
     */
    uint64_t last_call;
    /**
     * Their identity's public half.
     */
    uint8_t identity[KRING_IDENTITY_SIZE];
    /**
     * The same in short.
     */
    char fingerprint[64];
    /**
     * What this side calls them.
     */
    char name[264];
} kring_contact;

/**
 * A call. Freeing it hangs up.
 */
typedef uint64_t kring_call;

/**
 * Somebody who has proven an identity.
 */
typedef struct kring_peer {
    /**
     * sizeof(kring_peer), set before the call.
     */
    uint32_t struct_size;
    /**
     * A KRING_TRUST_ value.
     */
    uint32_t trust;
    /**
     * With KRING_TRUST_KEY_CHANGED: 1 if the expected identity had been verified.
     */
    uint32_t was_verified;
    /**
     * Incoming calls: 1 if this is a contact.
     */
    uint32_t is_contact;
    /**
     * Their identity's public half.
     */
    uint8_t identity[KRING_IDENTITY_SIZE];
    /**
     * With KRING_TRUST_KEY_CHANGED: the identity that was expected.
     */
    uint8_t expected[KRING_IDENTITY_SIZE];
    /**
     * Their identity in short, for people.
     */
    char fingerprint[64];
    /**
     * How they call themselves; nobody has checked it.
     */
    char name[264];
    /**
     * Incoming calls: what this side calls the contact.
     */
    char contact[264];
    /**
     * Incoming calls: the id of the ticket that let them through; "" if it was a contact's secret.
     */
    char ticket_id[24];
    /**
     * Where they are: address and port.
     */
    char address[64];
} kring_peer;

/**
 * What a ticket says.
 */
typedef struct kring_ticket {
    /**
     * sizeof(kring_ticket), set before the call.
     */
    uint32_t struct_size;
    /**
     * How many addresses it holds.
     */
    uint32_t addresses;
    /**
     * When it ends, in seconds since 1970.
     */
    uint64_t expires;
    /**
     * Names it in lists, says nothing about its secret.
     */
    char id[24];
    /**
     * Whom one reaches with it.
     */
    char fingerprint[64];
    /**
     * The relay at which they are reached as well: host and port; "" for none.
     */
    char relay[272];
} kring_ticket;

/**
 * Settings of an endpoint; all zero is the default.
 */
typedef struct kring_endpoint_options {
    /**
     * sizeof(kring_endpoint_options).
     */
    uint32_t struct_size;
    /**
     * A sum of KRING_ENDPOINT_ values.
     */
    uint32_t flags;
    /**
     * Address and port to listen at, such as `0.0.0.0:4433` or `[::]:0`. NULL: every IPv4 address, at a port that the system chooses.
     */
    const char *bind;
    /**
     * Where the identity, tickets and contacts are kept; the identity is made if there is none. 0: an identity that lasts as long as the
     * endpoint.
     */
    kring_store store;
    /**
     * Where tickets and contacts are kept instead. 0: in the store; without one, tickets end with the endpoint, and there are no contacts.
     */
    kring_home home;
    /**
     * How long it rings, in ms. 0: 60,000.
     */
    uint32_t ringing_ms;
    /**
     * How long nothing may be heard of a peer, in ms. 0: 30,000.
     */
    uint32_t vanished_ms;
    /**
     * A relay to listen at as well, such as `relay.example:4433#` and its pin, as the one who runs it gives it out. Tickets name it, so
     * that calls come where no address of this machine is reached; it is trusted with nothing. NULL: none.
     */
    const char *relay;
} kring_endpoint_options;

/**
 * One identity on one socket. Freeing it stops taking calls; calls that are under way go on.
 */
typedef uint64_t kring_endpoint;

/**
 * Who somebody is.
 */
typedef struct kring_identity {
    /**
     * sizeof(kring_identity), set before the call.
     */
    uint32_t struct_size;
    /**
     * The identity's public half.
     */
    uint8_t identity[KRING_IDENTITY_SIZE];
    /**
     * The same in short, for people: ten groups of four digits.
     */
    char fingerprint[64];
} kring_identity;

/**
 * What ticket to give out; all zero is the default.
 */
typedef struct kring_ticket_options {
    /**
     * sizeof(kring_ticket_options).
     */
    uint32_t struct_size;
    /**
     * A sum of KRING_TICKET_ values.
     */
    uint32_t flags;
    /**
     * How long it holds, in s. 0: a day.
     */
    uint64_t lifetime_s;
    /**
     * Addresses with ports that the endpoint is reached at, say because a router forwards them. NULL: those of this machine.
     */
    const char *const *addresses;
    /**
     * How many there are.
     */
    size_t address_count;
    /**
     * What a caller has to know beside the ticket; it takes some tenths of a second to set. NULL: nothing.
     */
    const char *passcode;
} kring_ticket_options;

/**
 * What one side sends in a call and where it plays what comes. Everything is optional. Answering or dialling with it uses it up. One thread at a
 * time works with it, else KRING_ERROR_STATE.
 */
typedef uint64_t kring_media;

/**
 * How many handshakes came to what.
 */
typedef struct kring_counters {
    /**
     * sizeof(kring_counters), set before the call.
     */
    uint32_t struct_size;
    /**
     * 0.
     */
    uint32_t reserved;
    /**
     * First messages by no live ticket and no contact.
     */
    uint64_t unknown_hint;
    /**
     * Callers who have proven that they are somebody whom this side has blocked.
     */
    uint64_t blocked;
    /**
     * First messages seen before.
     */
    uint64_t replayed;
    /**
     * First messages from a clock that is off.
     */
    uint64_t clock;
    /**
     * Messages that did not open, were malformed or proved nothing.
     */
    uint64_t invalid;
    /**
     * Handshakes that came to a session.
     */
    uint64_t completed;
} kring_counters;

/**
 * Somebody calls. It rings for them until this is answered, declined or freed, which declines.
 */
typedef uint64_t kring_incoming;

/**
 * Takes an incoming call, which is the program's from now on.
 *
 * Called on a thread of the library's own for this endpoint, one at a time. It may call any function of this header but kring_shutdown;
 * while it takes its time, at most 8 further calls ring.
 */
typedef void (*kring_incoming_fn)(void *user_data, kring_incoming incoming);

/**
 * Somebody waits at the door. Freeing it lets them go.
 */
typedef uint64_t kring_knock;

/**
 * Takes somebody who waits to be let in, who is the program's from now on. Called as kring_incoming_fn is.
 */
typedef void (*kring_knock_fn)(void *user_data, kring_knock knock);

/**
 * How a call ended.
 */
typedef struct kring_end {
    /**
     * sizeof(kring_end), set before the call.
     */
    uint32_t struct_size;
    /**
     * A KRING_END_ value; an unknown one is as KRING_END_OTHER.
     */
    uint32_t end;
    /**
     * A KRING_BY_ value.
     */
    uint32_t by;
    /**
     * 0.
     */
    uint32_t reserved;
    /**
     * The protocol's number of a reason without a name.
     */
    uint64_t code;
    /**
     * For people. Cut at 511 bytes.
     */
    char text[512];
} kring_end;

/**
 * What happened in a call. Which members mean something depends on `kind`; the others are 0 and "".
 */
typedef struct kring_event {
    /**
     * sizeof(kring_event), set before the call.
     */
    uint32_t struct_size;
    /**
     * A KRING_EVENT_ value; an unknown one is to be passed over.
     */
    uint32_t kind;
    /**
     * The peer's track.
     */
    uint32_t track;
    /**
     * A KRING_TRACK_STATE_, KRING_CODE_FAILURE_ or KRING_PATH_ value, or 0 and 1.
     */
    uint32_t state;
    /**
     * A KRING_END_ value; an unknown one is as KRING_END_OTHER.
     */
    uint32_t end;
    /**
     * A KRING_BY_ value.
     */
    uint32_t by;
    /**
     * The protocol's number of a reason without a name.
     */
    uint64_t code;
    /**
     * For people, or a name. Cut at 511 bytes.
     */
    char text[512];
    /**
     * More of it.
     */
    char detail[128];
} kring_event;

/**
 * Takes an event, which is the library's and good until the function returns.
 *
 * Called on a thread of the library's own for this call: one event at a time, in order. It may take its time (up to 256 events wait),
 * and may call any function of this header but kring_shutdown, also the one that frees this call.
 */
typedef void (*kring_event_fn)(void *user_data, const struct kring_event *event);

/**
 * What protects a call that is connected.
 */
typedef struct kring_safety {
    /**
     * sizeof(kring_safety), set before the call.
     */
    uint32_t struct_size;
    /**
     * 1 if recorded content stays closed to a later quantum computer.
     */
    uint32_t post_quantum;
    /**
     * The Noise handshake between the two devices.
     */
    char noise[96];
    /**
     * How media is sealed, end to end.
     */
    char media[64];
    /**
     * TLS key exchange of the hop.
     */
    char tls_group[32];
    /**
     * TLS cipher suite of the hop.
     */
    char tls_cipher[64];
} kring_safety;

/**
 * What a call has counted so far, on this side, and what the other side tells of its own. Times in s, rates in bit/s.
 */
typedef struct kring_stats {
    /**
     * sizeof(kring_stats), set before the call.
     */
    uint32_t struct_size;
    /**
     * 1 if the other side has told something: the members that begin with remote_.
     */
    uint32_t has_remote;
    /**
     * Packets sent. Bytes are without the headers of QUIC, UDP and IP.
     */
    uint64_t packets_sent;
    /**
     * Bytes of these.
     */
    uint64_t bytes_sent;
    /**
     * Packets received.
     */
    uint64_t packets_received;
    /**
     * Bytes of these.
     */
    uint64_t bytes_received;
    /**
     * Packets of the other side that did not come.
     */
    uint64_t packets_lost;
    /**
     * Packets that were dropped: forged, repeated, or no packets at all.
     */
    uint64_t packets_discarded;
    /**
     * Interarrival jitter (RFC 3550, section 6.4.1).
     */
    double jitter;
    /**
     * The smoothed round trip; negative until measured.
     */
    double round_trip_time;
    /**
     * The share of this side's packets that get lost, 0 to 1, without what full queues drop.
     */
    double fraction_lost;
    /**
     * How long this side's packets wait in the network's queue.
     */
    double queue_delay;
    /**
     * What the way is thought to carry, headers of all layers included.
     */
    uint32_t available_outgoing_bitrate;
    /**
     * What may be sent now.
     */
    uint32_t target_bitrate;
    /**
     * What may be sent of voice, headers and copies included.
     */
    uint32_t audio_target_bitrate;
    /**
     * How many times each frame of voice is sent now, the first included.
     */
    uint32_t audio_transmissions;
    /**
     * How much sound goes into a packet now; 0 while nothing is sent.
     */
    double audio_packet_duration;
    /**
     * The other side's samples that were played here, at 48 kHz, made up ones included.
     */
    uint64_t audio_samples_received;
    /**
     * Of these, how many were made up for want of packets.
     */
    uint64_t audio_concealed_samples;
    /**
     * Samples that stretching added.
     */
    uint64_t audio_inserted_samples;
    /**
     * Samples that stretching left out.
     */
    uint64_t audio_removed_samples;
    /**
     * How long sound waits here before it is played, beyond the fastest packets.
     */
    double audio_playout_delay;
    /**
     * How long it has to, for all to come in time.
     */
    double audio_target_delay;
    /**
     * What the encoder of pictures may take; 0 is none.
     */
    uint32_t video_target_bitrate;
    /**
     * 1 if pictures are worse than they could be, because the network carries no more.
     */
    uint32_t video_limited_by_bandwidth;
    /**
     * Width of what is sent, in pixels; 0 before the first.
     */
    uint32_t video_sent_width;
    /**
     * Height of what is sent.
     */
    uint32_t video_sent_height;
    /**
     * Width of what came last.
     */
    uint32_t video_received_width;
    /**
     * Height of what came last.
     */
    uint32_t video_received_height;
    /**
     * Bytes that wait to be sent.
     */
    uint64_t video_queued_bytes;
    /**
     * Pictures encoded and sent.
     */
    uint64_t video_frames_encoded;
    /**
     * Of these, keyframes.
     */
    uint64_t video_key_frames_encoded;
    /**
     * Packets of pictures sent again because they were lost.
     */
    uint64_t video_retransmitted_packets;
    /**
     * Packets of parity sent.
     */
    uint64_t video_fec_packets_sent;
    /**
     * Packets of parity that came.
     */
    uint64_t video_fec_packets_received;
    /**
     * Frames that parity made whole.
     */
    uint64_t video_frames_repaired;
    /**
     * The other side's pictures that came whole.
     */
    uint64_t video_frames_received;
    /**
     * Of these, decoded.
     */
    uint64_t video_frames_decoded;
    /**
     * Of these, shown.
     */
    uint64_t video_frames_rendered;
    /**
     * Of those that came, not shown.
     */
    uint64_t video_frames_dropped;
    /**
     * Pictures shown a second, lately.
     */
    double video_frames_per_second;
    /**
     * How often a picture stood still for more than three times the usual, and 150 ms.
     */
    uint64_t video_freezes;
    /**
     * How long in all.
     */
    double video_freezes_duration;
    /**
     * How often the other side was told that this side cannot go on.
     */
    uint64_t video_picture_losses;
    /**
     * This side's packets that the other has received.
     */
    uint64_t remote_packets_received;
    /**
     * This side's packets that it lacks.
     */
    uint64_t remote_packets_lost;
    /**
     * Interarrival jitter there.
     */
    double remote_jitter;
    /**
     * This side's sound that it has played, made up sound included.
     */
    double remote_played;
    /**
     * Of this, how much was made up for want of packets.
     */
    double remote_concealed;
    /**
     * How long this side's sound waits there before it is played.
     */
    double remote_playout_delay;
    /**
     * This side's pictures that it has shown.
     */
    uint64_t remote_frames_rendered;
    /**
     * How long these stood still there.
     */
    double remote_freezes_duration;
    /**
     * How packets get to the other side: a KRING_PATH_ value.
     */
    uint32_t path;
    /**
     * 0.
     */
    uint32_t reserved;
} kring_stats;

/**
 * A track as its sender announces it.
 */
typedef struct kring_track {
    /**
     * sizeof(kring_track), set before the call.
     */
    uint32_t struct_size;
    /**
     * 0 to 14, chosen by the sender.
     */
    uint32_t id;
    /**
     * A KRING_SOURCE_ value.
     */
    uint32_t source;
    /**
     * A KRING_TRACK_STATE_ value.
     */
    uint32_t state;
    /**
     * Pictures: the full width in pixels, which frames may go below; else 0.
     */
    uint32_t width;
    /**
     * Pictures: the full height.
     */
    uint32_t height;
    /**
     * Pictures a second × 1000; 0 for sound.
     */
    uint32_t frame_rate_milli;
    /**
     * 0.
     */
    uint32_t reserved;
    /**
     * "opus", "h264", or what both programs know.
     */
    char codec[24];
} kring_track;

/**
 * A device of this machine.
 */
typedef struct kring_device {
    /**
     * sizeof(kring_device), set before the call.
     */
    uint32_t struct_size;
    /**
     * 1 for the one that is used when none is named.
     */
    uint32_t is_default;
    /**
     * As people know it; two devices may have the same.
     */
    char name[256];
    /**
     * As the system knows it; of one kind, no two have the same. May be given wherever a device is named.
     */
    char id[256];
} kring_device;

/**
 * A ticket that was given out and still holds, without its secret.
 */
typedef struct kring_issued_ticket {
    /**
     * sizeof(kring_issued_ticket), set before the call.
     */
    uint32_t struct_size;
    /**
     * 1 if it is good for one call only.
     */
    uint32_t one_call;
    /**
     * 1 if it rings only for somebody who knows a passcode.
     */
    uint32_t passcode;
    /**
     * 0.
     */
    uint32_t reserved;
    /**
     * When it was given out, in seconds since 1970.
     */
    uint64_t issued;
    /**
     * When it ends.
     */
    uint64_t expires;
    /**
     * Its name.
     */
    char id[24];
} kring_issued_ticket;

/**
 * An identity that does not get through.
 */
typedef struct kring_blocked {
    /**
     * sizeof(kring_blocked), set before the call.
     */
    uint32_t struct_size;
    /**
     * 0.
     */
    uint32_t reserved;
    /**
     * Since when, in seconds since 1970.
     */
    uint64_t since;
    /**
     * Whose.
     */
    char fingerprint[64];
} kring_blocked;

/**
 * A source of sound. Sound is mono, float from -1 to 1, 48,000 samples a second.
 *
 * Its functions are called on one thread of the library's, one at a time, and may take 100 ms at most. They may call functions of this
 * header, but must not wait for the call to end.
 */
typedef struct kring_audio_source {
    /**
     * sizeof(kring_audio_source).
     */
    uint32_t struct_size;
    /**
     * KRING_PACED or 0.
     */
    uint32_t flags;
    /**
     * KRING_CONSENT_MICROPHONE if this opens a device that a person has to consent to; 0 for what is synthetic.
     */
    uint32_t consent;
    /**
     * 0.
     */
    uint32_t reserved;
    /**
     * Given to each function.
     */
    void *user_data;
    /**
     * The call is answered: capture begins. KRING_OK, or anything else if it cannot. May be NULL.
     */
    int32_t (*start)(void *user_data);
    /**
     * Writes the next `count` samples to `samples`, which are zero before. How long before its return the first of them was captured, in µs,
     * is in `age_us`: as much as the block is long, unless a source without KRING_PACED writes something else. KRING_OK;
     * KRING_ERROR_ENDED if the material ended in this block; anything else if it failed.
     */
    int32_t (*read)(void *user_data, float *samples, size_t count, uint64_t *age_us);
    /**
     * Capture ends; the device is to be closed. May be NULL.
     */
    void (*stop)(void *user_data);
    /**
     * Frees user_data.
     */
    kring_drop_fn drop_fn;
} kring_audio_source;

/**
 * Sound that is pushed in as it comes, say from a sound system's own callback.
 */
typedef uint64_t kring_audio_input;

/**
 * A picture that is read: 8 bits, with luma in video range (16 to 235). The pixels are whose function or callback it is given to, and good until that
 * returns.
 */
typedef struct kring_picture {
    /**
     * sizeof(kring_picture).
     */
    uint32_t struct_size;
    /**
     * A KRING_PIXELS_ value; what the library gives out is KRING_PIXELS_I420.
     */
    uint32_t pixels;
    /**
     * Width in pixels, even, 2 to 8192.
     */
    uint32_t width;
    /**
     * Height in pixels, even, 2 to 8192.
     */
    uint32_t height;
    /**
     * Luma, or the pixels of KRING_PIXELS_RGBA and KRING_PIXELS_BGRA.
     */
    const uint8_t *y;
    /**
     * Blue difference, or both; NULL where there is one plane.
     */
    const uint8_t *u;
    /**
     * Red difference.
     */
    const uint8_t *v;
    /**
     * Bytes from one row of `y` to the next: at least `width`, or four times that.
     */
    size_t y_stride;
    /**
     * The same of `u`, at least half of that, or all with KRING_PIXELS_NV12.
     */
    size_t u_stride;
    /**
     * The same of `v`.
     */
    size_t v_stride;
} kring_picture;

/**
 * A picture that is written: KRING_PIXELS_I420, rows without gaps, the library's and good until the callback returns.
 */
typedef struct kring_picture_buffer {
    /**
     * sizeof(kring_picture_buffer) of the library.
     */
    uint32_t struct_size;
    /**
     * KRING_PIXELS_I420.
     */
    uint32_t pixels;
    /**
     * Width in pixels, even.
     */
    uint32_t width;
    /**
     * Height in pixels, even.
     */
    uint32_t height;
    /**
     * Luma, `width` × `height` bytes.
     */
    uint8_t *y;
    /**
     * Blue difference, `width` / 2 × `height` / 2 bytes.
     */
    uint8_t *u;
    /**
     * Red difference, as much.
     */
    uint8_t *v;
} kring_picture_buffer;

/**
 * A source of pictures of one size.
 *
 * Its functions are called on one thread of the library's, one at a time, and may take 100 ms at most. They may call functions of this
 * header, but must not wait for the call to end.
 */
typedef struct kring_video_source {
    /**
     * sizeof(kring_video_source).
     */
    uint32_t struct_size;
    /**
     * KRING_PACED or 0.
     */
    uint32_t flags;
    /**
     * KRING_CONSENT_CAMERA or KRING_CONSENT_SCREEN if this opens what a person has to consent to; 0 for what is synthetic.
     */
    uint32_t consent;
    /**
     * Width in pixels, even, 2 to 8192.
     */
    uint32_t width;
    /**
     * Height in pixels, even, 2 to 8192.
     */
    uint32_t height;
    /**
     * Pictures a second, 1 to 240.
     */
    float frames_per_second;
    /**
     * Given to each function.
     */
    void *user_data;
    /**
     * The call is answered: capture begins. KRING_OK, or anything else if it cannot. May be NULL.
     */
    int32_t (*start)(void *user_data);
    /**
     * Writes the next picture, which holds the one before. How long before its return it was captured, in µs, goes to `age_us`, 0 unless it
     * is written. KRING_OK; KRING_ERROR_ENDED if there is no further one; anything else if it failed.
     */
    int32_t (*read)(void *user_data, const struct kring_picture_buffer *picture, uint64_t *age_us);
    /**
     * Capture ends; the device is to be closed. May be NULL.
     */
    void (*stop)(void *user_data);
    /**
     * Frees user_data.
     */
    kring_drop_fn drop_fn;
} kring_video_source;

/**
 * Pictures that are pushed in as they come, say from a camera's own callback.
 */
typedef uint64_t kring_video_input;

/**
 * A sink of sound. Sound is mono, float from -1 to 1, 48,000 samples a second, in blocks of some milliseconds.
 *
 * Its functions are called on one thread of the library's, one at a time. They may call functions of this header, but must not wait for the
 * call to end.
 */
typedef struct kring_audio_sink {
    /**
     * sizeof(kring_audio_sink).
     */
    uint32_t struct_size;
    /**
     * KRING_PACED or 0. Without it, `play` returns when the device has room for the next block, and so sets the pace.
     */
    uint32_t flags;
    /**
     * Given to each function.
     */
    void *user_data;
    /**
     * The call is answered: playing begins. KRING_OK, or anything else if it cannot. May be NULL.
     */
    int32_t (*start)(void *user_data);
    /**
     * Plays `count` samples, which are the library's and good until it returns; `what` is a KRING_PLAYED_ value. In how many µs the first of
     * them is heard goes to `delay_us`, 0 unless it is written. KRING_OK, or anything else if it failed.
     */
    int32_t (*play)(void *user_data, const float *samples, size_t count, uint32_t what, uint64_t *delay_us);
    /**
     * Playing ends; the device is to be closed. May be NULL.
     */
    void (*stop)(void *user_data);
    /**
     * Frees user_data.
     */
    kring_drop_fn drop_fn;
} kring_audio_sink;

/**
 * A sink of pictures.
 *
 * Its functions are called on one thread of the library's, one at a time, each picture when it is to be shown. They may call functions of
 * this header, but must not wait for the call to end, nor for the next picture.
 */
typedef struct kring_video_sink {
    /**
     * sizeof(kring_video_sink).
     */
    uint32_t struct_size;
    /**
     * 0.
     */
    uint32_t reserved;
    /**
     * Given to each function.
     */
    void *user_data;
    /**
     * Shows a picture, which is the library's and good until it returns; its size may change from one to the next. KRING_OK, or anything else
     * if it failed.
     */
    int32_t (*show)(void *user_data, const struct kring_picture *picture);
    /**
     * Showing ends; the window is to be closed. May be NULL.
     */
    void (*stop)(void *user_data);
    /**
     * Frees user_data.
     */
    kring_drop_fn drop_fn;
} kring_video_sink;

/**
 * How sound is to be encoded; the library's, and good until the function returns.
 */
typedef struct kring_audio_settings {
    /**
     * sizeof(kring_audio_settings) of the library.
     */
    uint32_t struct_size;
    /**
     * Length of a frame in ms: 10, 20, 40, 60 or 120. It may change from one frame to the next, as the network does.
     */
    uint32_t duration_ms;
    /**
     * Payload bits a second.
     */
    uint32_t bits_per_second;
    /**
     * How many packets get lost, in per cent, for codecs that can spend bits on recovery.
     */
    uint32_t expected_loss;
} kring_audio_settings;

/**
 * A codec for sound of the program's own. Sound is mono, float from -1 to 1, 48,000 samples a second.
 *
 * An encoder or decoder is used by one thread at a time; `user_data` by several at once. The functions may call functions of this header, but
 * must not wait for the call to end. Packets are encrypted with their length in plain sight: a codec whose packets have the same length
 * whatever is said gives nothing away.
 */
typedef struct kring_audio_codec {
    /**
     * sizeof(kring_audio_codec).
     */
    uint32_t struct_size;
    /**
     * 0.
     */
    uint32_t reserved;
    /**
     * Given to `encoder_new` and `decoder_new`.
     */
    void *user_data;
    /**
     * The token by which ends agree on the codec: 1 to 16 of a-z, 0-9 and -. "opus" replaces the library's own.
     */
    const char *name;
    /**
     * Makes an encoder. KRING_OK, or anything else if it cannot. NULL if the program only decodes with it: the library's own of that name
     * encodes, or nothing.
     */
    int32_t (*encoder_new)(void *user_data, const struct kring_audio_settings *settings, void **encoder);
    /**
     * Encodes one frame of `count` samples into `packet`, which has room for `capacity` bytes. KRING_OK, or anything else if it failed.
     */
    int32_t (*encode)(void *encoder,
                      const struct kring_audio_settings *settings,
                      const float *samples,
                      size_t count,
                      uint8_t *packet,
                      size_t capacity,
                      size_t *length);
    /**
     * Frees an encoder.
     */
    void (*encoder_free)(void *encoder);
    /**
     * Makes a decoder; as `encoder_new`.
     */
    int32_t (*decoder_new)(void *user_data, void **decoder);
    /**
     * Decodes a packet, which may come from anyone on the other side, into `samples`, which has room for `capacity`. KRING_OK, or anything else
     * if it is damaged.
     */
    int32_t (*decode)(void *decoder,
                      const uint8_t *packet,
                      size_t length,
                      float *samples,
                      size_t capacity,
                      size_t *count);
    /**
     * Makes up `count` samples from what came before, for a packet that is not there. NULL: silence.
     */
    int32_t (*conceal)(void *decoder, float *samples, size_t count);
    /**
     * Frees a decoder.
     */
    void (*decoder_free)(void *decoder);
    /**
     * Frees user_data.
     */
    kring_drop_fn drop_fn;
} kring_audio_codec;

/**
 * How pictures are to be encoded; the library's, and good until the function returns.
 */
typedef struct kring_video_settings {
    /**
     * sizeof(kring_video_settings) of the library.
     */
    uint32_t struct_size;
    /**
     * Width in pixels, even.
     */
    uint32_t width;
    /**
     * Height in pixels, even.
     */
    uint32_t height;
    /**
     * Bits a second to aim for.
     */
    uint32_t bits_per_second;
    /**
     * Pictures a second.
     */
    float frames_per_second;
    /**
     * A KRING_CONTENT_ value.
     */
    uint32_t content;
    /**
     * Temporal layers, 1 to 3.
     */
    uint32_t temporal_layers;
    /**
     * 0.
     */
    uint32_t reserved;
} kring_video_settings;

/**
 * One encoded picture, filled by the program; its bytes are the program's and stay until the next call with that encoder.
 */
typedef struct kring_encoded {
    /**
     * sizeof(kring_encoded) of the library.
     */
    uint32_t struct_size;
    /**
     * A sum of KRING_ENCODED_ values.
     */
    uint32_t flags;
    /**
     * The number that this picture has, by the library: it counts what the encoder put out, from 0.
     */
    uint32_t number;
    /**
     * The number of the picture that this one builds on, unless it is a keyframe: the one before, unless something else is written.
     */
    uint32_t refers_to;
    /**
     * Temporal layer, 0 being the base.
     */
    uint32_t temporal_layer;
    /**
     * 0.
     */
    uint32_t reserved;
    /**
     * One access unit; H.264 as in Annex B. NULL: the picture was skipped to hold the rate.
     */
    const uint8_t *data;
    /**
     * Its length, at most KRING_ENCODED_SIZE.
     */
    size_t length;
} kring_encoded;

/**
 * A codec for pictures of the program's own.
 *
 * An encoder or decoder is used by one thread at a time; `user_data` by several at once. The functions may call functions of this header, but
 * must not wait for the call to end.
 */
typedef struct kring_video_codec {
    /**
     * sizeof(kring_video_codec).
     */
    uint32_t struct_size;
    /**
     * 0.
     */
    uint32_t reserved;
    /**
     * Given to `encoder_new` and `decoder_new`.
     */
    void *user_data;
    /**
     * The token by which ends agree on the codec: 1 to 16 of a-z, 0-9 and -. "h264" replaces the library's own.
     */
    const char *name;
    /**
     * Makes an encoder. KRING_OK, or anything else if it cannot. NULL if the program only decodes with it: the library's own of that name
     * encodes, or nothing.
     */
    int32_t (*encoder_new)(void *user_data, const struct kring_video_settings *settings, void **encoder);
    /**
     * Encodes a picture that was captured `at_us` µs after the track's start; as a keyframe if `keyframe` is not 0. A picture of another size than
     * before begins anew with a keyframe. KRING_OK, or anything else if it failed. A program whose pictures are encoded elsewhere need not look at
     * `picture`: the source gives the beat.
     */
    int32_t (*encode)(void *encoder,
                      const struct kring_picture *picture,
                      uint64_t at_us,
                      uint32_t keyframe,
                      struct kring_encoded *encoded);
    /**
     * Changes the rates from the next picture on, without a keyframe. NULL: the rate cannot be changed.
     */
    int32_t (*set_rate)(void *encoder, uint32_t bits_per_second, float frames_per_second);
    /**
     * The peer has decoded the picture of that number. May be NULL.
     */
    void (*acknowledged)(void *encoder, uint32_t number);
    /**
     * The peer cannot decode what refers to pictures after `last_good` (if `any_good` is not 0; else to any). Gives a KRING_RECOVERY_ value. NULL:
     * the next picture is a keyframe.
     */
    uint32_t (*lost)(void *encoder, uint32_t any_good, uint32_t last_good);
    /**
     * Frees an encoder.
     */
    void (*encoder_free)(void *encoder);
    /**
     * Makes a decoder; as `encoder_new`.
     */
    int32_t (*decoder_new)(void *user_data, void **decoder);
    /**
     * Decodes an access unit, which may come from anyone on the other side. What it shows goes to `picture` (KRING_PIXELS_I420 or KRING_PIXELS_NV12),
     * whose pixels stay until the next call with that decoder; they are copied, once. KRING_OK, also with `y` left at NULL: there is no picture
     * yet. KRING_ERROR_STATE: one before it is missing, and only a keyframe helps. Anything else: it is damaged.
     */
    int32_t (*decode)(void *decoder, const uint8_t *data, size_t length, struct kring_picture *picture);
    /**
     * Frees a decoder.
     */
    void (*decoder_free)(void *decoder);
    /**
     * Frees user_data.
     */
    kring_drop_fn drop_fn;
} kring_video_codec;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The ABI that the library has. A program fits it if the major versions are the same and the library's minor version is not lower:
 * `kring_abi_version() >> 16 == KRING_ABI_VERSION >> 16 && kring_abi_version() >= KRING_ABI_VERSION`.
 */
uint32_t kring_abi_version(void);

/**
 * The library's version, such as "0.1.0". Good for ever.
 */
const char *kring_version(void);

/**
 * What this build of the library has: a sum of KRING_FEATURE_ values.
 */
uint32_t kring_features(void);

/**
 * What went wrong in the last call on this thread that failed: a sentence that says what was expected, what came and what to do.
 * "" before the first. Good until the next call on this thread; later successes leave it as it is.
 */
const char *kring_last_error(void);

/**
 * The name of a result, such as "KRING_ERROR_TIMEOUT". Never NULL, good for ever.
 */
const char *kring_error_name(int32_t code);

/**
 * Begins to collect the randomness of this process's first key, in the background. A program that calls this when it starts dials some 30 ms
 * quicker where that takes long; without it all works the same.
 */
int32_t kring_prepare(void);

/**
 * Ends everything: hangs up all calls and tells the other sides, closes all devices and endpoints, frees all handles, waits until
 * callbacks have returned and their data is dropped, and stops the library's threads; `timeout_ms` at most (negative: for ever).
 * For programs that unload the library, and for those who look for leaks. It must be the only call into the library at that time,
 * and not from a callback. Afterwards the
 * library may be used anew.
 *
 * KRING_ERROR_TIMEOUT if something was still running then; KRING_ERROR_STATE from a callback.
 */
int32_t kring_shutdown(int32_t timeout_ms);

/**
 * Has what the library logs, up to `level` (a KRING_LOG_ value), go to `callback` instead of to the one before, whose data is dropped.
 * KRING_LOG_OFF ends that, `callback` may be NULL then; kring_shutdown does as well. Lines hold no secrets: no keys, no tickets, nothing that
 * is said or shown; but addresses, and names of files.
 *
 * KRING_ERROR_STATE if a Rust part of this process takes the log already.
 */
int32_t kring_log(uint32_t level,
                  kring_log_fn callback,
                  void *user_data,
                  kring_drop_fn drop_fn);

/**
 * Plain files in `folder`, for their owner only. Nothing is made or opened yet.
 */
int32_t kring_store_files(const char *folder, kring_store *store);

/**
 * The best place that this build knows for the secrets of `folder`: files that are sealed with a key in the system's key store if it was
 * built with that and there is one, else plain files. May ask the person to unlock the key store.
 *
 * KRING_ERROR_STORE, say if files are sealed and the key store is not there.
 */
int32_t kring_store_best(const char *folder,
                         kring_store *store);

/**
 * Files in `folder`, sealed with a key in the system's key store. May ask the person to unlock it.
 *
 * KRING_ERROR_UNSUPPORTED; KRING_ERROR_STORE if there is no key store, or it does not let this program in.
 */
int32_t kring_store_system(const char *folder, kring_store *store);

/**
 * A store of the program's own. `drop_fn` is called when neither the handle nor an endpoint or home needs it any more, and also if this
 * fails, unless `callbacks` cannot be read.
 */
int32_t kring_store_new(const struct kring_store_callbacks *callbacks,
                        kring_store *store);

/**
 * Lets go of the store; endpoints and homes that use it go on.
 */
int32_t kring_store_free(kring_store store);

/**
 * Opens what is kept in `store`; 0 keeps everything in memory.
 *
 * KRING_ERROR_STORE if what is there cannot be read; it stays as it is.
 */
int32_t kring_home_open(kring_store store, kring_home *home);

/**
 * Lets go of it.
 */
int32_t kring_home_free(kring_home home);

/**
 * The contacts, in the order in which they were kept: a list for kring_list_contact.
 */
int32_t kring_home_contacts(kring_home home, kring_list *contacts);

/**
 * The contact with that name, in whatever case.
 *
 * KRING_ERROR_NOT_FOUND.
 */
int32_t kring_home_contact(kring_home home, const char *name, struct kring_contact *contact);

/**
 * The contact of that fingerprint.
 *
 * KRING_ERROR_NOT_FOUND.
 */
int32_t kring_home_contact_of(kring_home home, const char *fingerprint, struct kring_contact *contact);

/**
 * The tickets that hold: a list for kring_list_ticket.
 */
int32_t kring_home_tickets(kring_home home, kring_list *tickets);

/**
 * Who is blocked: a list for kring_list_blocked.
 */
int32_t kring_home_blocked(kring_home home, kring_list *blocked);

/**
 * Checks whether a contact may be called that: 1 to 64 characters, none that steers a terminal, nothing that looks like a ticket.
 *
 * KRING_ERROR_CONTACT if not.
 */
int32_t kring_check_contact_name(const char *name);

/**
 * Keeps the one who gave out `ticket`, to be called by it.
 *
 * KRING_ERROR_CONTACT if the name cannot be had or they are blocked; KRING_ERROR_TICKET; KRING_ERROR_STORE.
 */
int32_t kring_home_add_contact(kring_home home, const char *name, const char *ticket);

/**
 * Calls a contact something else.
 *
 * KRING_ERROR_NOT_FOUND; KRING_ERROR_CONTACT; KRING_ERROR_STORE.
 */
int32_t kring_home_rename_contact(kring_home home, const char *name, const char *new_name);

/**
 * Says whether (not 0) or not (0) a person has made sure that this contact is who they think.
 *
 * KRING_ERROR_NOT_FOUND; KRING_ERROR_STORE.
 */
int32_t kring_home_set_verified(kring_home home, const char *name, uint32_t verified);

/**
 * Forgets a contact and the secrets shared with them: without a ticket they do not get through any more, from now on.
 *
 * KRING_ERROR_NOT_FOUND; KRING_ERROR_STORE: they are gone until the end of the process only.
 */
int32_t kring_home_remove_contact(kring_home home, const char *name);

/**
 * Lets that identity not get through any more, by whatever ticket. A call that is under way goes on.
 *
 * KRING_ERROR_STORE: they are blocked until the end of the process only.
 */
int32_t kring_home_block(kring_home home, const char *fingerprint);

/**
 * Lets that identity get through again, with a ticket.
 *
 * KRING_ERROR_NOT_FOUND if it was not blocked; KRING_ERROR_STORE.
 */
int32_t kring_home_unblock(kring_home home, const char *fingerprint);

/**
 * Lets nobody through with the ticket of that id any more. Calls under way go on.
 *
 * KRING_ERROR_NOT_FOUND if it was not live; KRING_ERROR_STORE: it is revoked until the end of the process only.
 */
int32_t kring_home_revoke(kring_home home, const char *ticket_id);

/**
 * Has a live ticket ring only for those who know `passcode` from now on, with all guesses before it forgotten. Takes some tenths of a
 * second.
 *
 * KRING_ERROR_NOT_FOUND if the ticket has ended; KRING_ERROR_PASSCODE; KRING_ERROR_STORE: nothing has changed then.
 */
int32_t kring_home_set_passcode(kring_home home,
                                const char *ticket_id,
                                const char *passcode);

/**
 * Who is on the other side, proven by the handshake, and what is known about whose identity it is.
 *
 * KRING_ERROR_STATE until that is proven.
 */
int32_t kring_call_peer(kring_call call, struct kring_peer *peer);

/**
 * The call's code, for both people to read to each other, once KRING_EVENT_CODE was taken; `form` is KRING_CODE_WORDS, KRING_CODE_EMOJI
 * or KRING_CODE_EMOJI_NAMES.
 *
 * KRING_ERROR_STATE before.
 */
int32_t kring_call_code(kring_call call,
                        uint32_t form,
                        char *buffer,
                        size_t capacity,
                        size_t *length);

/**
 * The sixty digits that this side and the other have in common in every call, in twelve groups of five (71 characters). Takes some
 * milliseconds.
 *
 * KRING_ERROR_STATE until it is proven who is there.
 */
int32_t kring_call_safety_number(kring_call call,
                                 char *buffer,
                                 size_t capacity,
                                 size_t *length);

/**
 * Compares the safety number with what a person has typed or pasted; blanks and line breaks are passed over.
 *
 * KRING_ERROR_MISMATCH if it is another; KRING_ERROR_ARGUMENT if it has not sixty digits.
 */
int32_t kring_call_compare_safety_number(kring_call call, const char *typed);

/**
 * The safety number as a text in upper case for a QR code that the other person scans.
 */
int32_t kring_call_safety_qr(kring_call call, char *buffer, size_t capacity, size_t *length);

/**
 * Compares what was scanned from the other person's screen with the two who call each other; `own` is this side's identity
 * (kring_endpoint_identity), 32 bytes.
 *
 * KRING_ERROR_MISMATCH if somebody else is there; KRING_ERROR_ARGUMENT if it is no such code.
 */
int32_t kring_call_compare_safety_qr(kring_call call,
                                     const uint8_t *own,
                                     const char *scanned);

/**
 * A person has compared the call's code or the safety number with whoever has this identity (32 bytes, from kring_call_peer), and they
 * are the same. Holds for this call; for the next as well with kring_home_set_verified.
 *
 * KRING_ERROR_NOT_FOUND if that is not who is on the other side; KRING_ERROR_STATE if their key has changed and nobody has accepted it.
 */
int32_t kring_call_mark_verified(kring_call call,
                                 const uint8_t *identity);

/**
 * A person accepts that the other side has this identity (32 bytes, from kring_call_peer) and not the one that was expected: from now on
 * there is media, as with anybody unverified. Whoever calls this has asked somebody, and said what it may mean.
 *
 * KRING_ERROR_NOT_FOUND if that is not who is on the other side.
 */
int32_t kring_call_accept_changed_key(kring_call call,
                                      const uint8_t *identity);

/**
 * Reads a ticket; blanks and line breaks inside its text are passed over.
 *
 * KRING_ERROR_TICKET if it is none. One that has ended is one.
 */
int32_t kring_ticket_read(const char *ticket, struct kring_ticket *about);

/**
 * The ticket's text as it is put into a QR code in alphanumeric mode; at most KRING_TICKET_SIZE bytes.
 *
 * KRING_ERROR_TICKET if it is none.
 */
int32_t kring_ticket_qr(const char *ticket, char *buffer, size_t capacity, size_t *length);

/**
 * Listens. `options` may be NULL. With a store or home this may take a disk's time.
 *
 * KRING_ERROR_BIND if the address cannot be had; KRING_ERROR_STORE.
 */
int32_t kring_endpoint_new(const struct kring_endpoint_options *options, kring_endpoint *endpoint);

/**
 * Ends all calls of the endpoint, tells the other sides, and waits (a second at most) until that is done. The handle stays until it is
 * freed.
 */
int32_t kring_endpoint_close(kring_endpoint endpoint);

/**
 * Lets go of the endpoint: it takes no calls any more, while calls that are under way go on.
 */
int32_t kring_endpoint_free(kring_endpoint endpoint);

/**
 * Waits until the relay of the options is reached, `timeout_ms` at most: negative is for ever, 0 only looks. Without one, that is at once.
 *
 * KRING_ERROR_TIMEOUT; KRING_ERROR_RELAY if it is not reached, but is tried again and again all the same; KRING_ERROR_ENDED if the endpoint was
 * freed meanwhile.
 */
int32_t kring_endpoint_wait_relay(kring_endpoint endpoint,
                                  int32_t timeout_ms);

/**
 * Says that the network has changed, or that the machine has slept: calls look for other ways at once. What this machine's addresses tell
 * is noticed without it, within 200 ms.
 */
int32_t kring_endpoint_network_changed(kring_endpoint endpoint);

/**
 * Who this endpoint is.
 */
int32_t kring_endpoint_identity(kring_endpoint endpoint, struct kring_identity *identity);

/**
 * Where it listens: address and port.
 */
int32_t kring_endpoint_local_address(kring_endpoint endpoint, char *buffer, size_t capacity, size_t *length);

/**
 * The addresses under which others may reach it, as they go into tickets: a list for kring_list_text.
 */
int32_t kring_endpoint_addresses(kring_endpoint endpoint, kring_list *addresses);

/**
 * Gives out a ticket, by which whoever holds its text can call this endpoint. `options` may be NULL; `capacity` is KRING_TICKET_SIZE at
 * least. It is saved, which may take 0.1 s.
 *
 * KRING_ERROR_TICKET, say without any address; KRING_ERROR_STORE; KRING_ERROR_PASSCODE. Nothing is given out then.
 */
int32_t kring_endpoint_ticket(kring_endpoint endpoint,
                              const struct kring_ticket_options *options,
                              char *buffer,
                              size_t capacity,
                              size_t *length);

/**
 * Where this endpoint's tickets and contacts are kept.
 */
int32_t kring_endpoint_home(kring_endpoint endpoint, kring_home *home);

/**
 * Keeps the other side of a call as a contact, during the call or after it; `identity` is 32 bytes from kring_call_peer. If they have kept
 * this side too, the two can call each other again without a ticket. Who is a contact already keeps the name.
 *
 * KRING_ERROR_CONTACT if the name cannot be had or they are blocked; KRING_ERROR_STORE.
 */
int32_t kring_endpoint_keep(kring_endpoint endpoint,
                            const uint8_t *identity,
                            const char *name);

/**
 * Dials the one who gave out `ticket`. The call begins at once and tells by its events how it goes on. `media` is used up, also if
 * this fails.
 *
 * KRING_ERROR_TICKET if that is no ticket. One that has ended makes the call end.
 */
int32_t kring_endpoint_dial(kring_endpoint endpoint,
                            const char *ticket,
                            kring_media media,
                            kring_call *call);

/**
 * As kring_endpoint_dial, for somebody who is known: `identity` is 32 bytes, `verified` not 0 if a person has compared it. If somebody
 * else answers, the call is KRING_TRUST_KEY_CHANGED and has no media before a person has accepted that.
 */
int32_t kring_endpoint_dial_expecting(kring_endpoint endpoint,
                                      const char *ticket,
                                      const uint8_t *identity,
                                      uint32_t verified,
                                      kring_media media,
                                      kring_call *call);

/**
 * Dials a contact by its name, where it was found last. `media` is used up, also if this fails.
 *
 * KRING_ERROR_NOT_FOUND if there is none of that name, KRING_ERROR_CONTACT if they are blocked, KRING_ERROR_NO_SECRET if there is nothing
 * to call them with.
 */
int32_t kring_endpoint_dial_contact(kring_endpoint endpoint,
                                    const char *name,
                                    kring_media media,
                                    kring_call *call);

/**
 * Consents to answer the next caller, whoever holds a live ticket, with `media`, which is used up, also if this fails. The call waits
 * until somebody calls; freeing it takes the consent back. Further callers ring as ever.
 *
 * That saves the caller a round trip: devices open, and what they take leaves, before it is proven who calls, readable for the device
 * that calls and nobody else. Do not use this where it matters who calls.
 */
int32_t kring_endpoint_answer_next(kring_endpoint endpoint,
                                   kring_media media,
                                   kring_call *call);

/**
 * How many strangers and broken handshakes were dropped.
 */
int32_t kring_endpoint_counters(kring_endpoint endpoint, struct kring_counters *counters);

/**
 * Waits for the next caller, `timeout_ms` at most: negative is for ever, 0 only looks.
 *
 * KRING_ERROR_TIMEOUT; KRING_ERROR_ENDED if the endpoint is closed or was freed meanwhile; KRING_ERROR_STATE if callers go to a callback.
 */
int32_t kring_endpoint_next_incoming(kring_endpoint endpoint,
                                     int32_t timeout_ms,
                                     kring_incoming *incoming);

/**
 * Has callers go to `callback` from now on. Nothing is called back once the endpoint is freed or closed, but for what is under way then.
 * `drop_fn` is called when nobody more comes, and also if this fails.
 *
 * KRING_ERROR_STATE if they go to a callback already.
 */
int32_t kring_endpoint_on_incoming(kring_endpoint endpoint,
                                   kring_incoming_fn callback,
                                   void *user_data,
                                   kring_drop_fn drop_fn);

/**
 * Waits for the next one who waits to be let in, `timeout_ms` at most: negative is for ever, 0 only looks. A program that never asks lets
 * nobody in.
 *
 * As kring_endpoint_next_incoming.
 */
int32_t kring_endpoint_next_knock(kring_endpoint endpoint,
                                  int32_t timeout_ms,
                                  kring_knock *knock);

/**
 * Has those who wait to be let in go to `callback` from now on, as kring_endpoint_on_incoming does with callers.
 */
int32_t kring_endpoint_on_knock(kring_endpoint endpoint,
                                kring_knock_fn callback,
                                void *user_data,
                                kring_drop_fn drop_fn);

/**
 * Who calls, as proven by the handshake.
 */
int32_t kring_incoming_peer(kring_incoming incoming, struct kring_peer *peer);

/**
 * What the caller wants to send: a list for kring_list_track.
 */
int32_t kring_incoming_tracks(kring_incoming incoming, kring_list *tracks);

/**
 * Says whom the program takes the caller for: `identity` is 32 bytes, `verified` not 0 if a person has compared it. If it is
 * somebody else, the call is KRING_TRUST_KEY_CHANGED and has no media before a person has accepted that.
 */
int32_t kring_incoming_expect(kring_incoming incoming,
                              const uint8_t *identity,
                              uint32_t verified);

/**
 * Waits until the caller has given up, `timeout_ms` at most (negative: for ever, 0: only looks), and says how. `end` may be NULL.
 *
 * KRING_ERROR_TIMEOUT; KRING_ERROR_ENDED if it was answered, declined or freed.
 */
int32_t kring_incoming_wait_given_up(kring_incoming incoming,
                                     int32_t timeout_ms,
                                     struct kring_end *end);

/**
 * Takes the call with `media`. Both `incoming` and `media` are used up, also if this fails.
 */
int32_t kring_incoming_answer(kring_incoming incoming, kring_media media, kring_call *call);

/**
 * Does not take the call. `incoming` is used up.
 */
int32_t kring_incoming_decline(kring_incoming incoming);

/**
 * Does not take the call because of another one. `incoming` is used up.
 */
int32_t kring_incoming_busy(kring_incoming incoming);

/**
 * Declines, and lets go of it.
 */
int32_t kring_incoming_free(kring_incoming incoming);

/**
 * Who waits, as proven by the handshake.
 */
int32_t kring_knock_peer(kring_knock knock, struct kring_peer *peer);

/**
 * Waits until they have given up, `timeout_ms` at most: negative is for ever, 0 only looks. One thread at a time.
 *
 * KRING_ERROR_TIMEOUT; KRING_ERROR_ENDED if it was decided or freed.
 */
int32_t kring_knock_wait_given_up(kring_knock knock, int32_t timeout_ms);

/**
 * Lets them in: from now on it rings, as with any caller. `knock` is used up.
 */
int32_t kring_knock_admit(kring_knock knock);

/**
 * Lets them go. `knock` is used up.
 */
int32_t kring_knock_refuse(kring_knock knock);

/**
 * Lets them go, as kring_knock_refuse does.
 */
int32_t kring_knock_free(kring_knock knock);

/**
 * Waits for the next event, `timeout_ms` at most: negative is for ever, 0 only looks. At most 256 events wait, then the oldest is
 * dropped, but never the last.
 *
 * KRING_ERROR_TIMEOUT; KRING_ERROR_ENDED after KRING_EVENT_ENDED, or if the call was freed meanwhile; KRING_ERROR_STATE if events go to a
 * callback.
 */
int32_t kring_call_next_event(kring_call call,
                              int32_t timeout_ms,
                              struct kring_event *event);

/**
 * Has events go to `callback` from now on, those that wait already included. Nothing is called back once the call is freed, but
 * for what is under way then. `drop_fn` is called when no more events come, and also if this fails.
 *
 * KRING_ERROR_STATE if events go to a callback already.
 */
int32_t kring_call_on_event(kring_call call,
                            kring_event_fn callback,
                            void *user_data,
                            kring_drop_fn drop_fn);

/**
 * Waits until there is a connection with the other side, or the call is over; at a call of kring_endpoint_answer_next: until somebody calls.
 * `timeout_ms` at most: negative is for ever, 0 only looks.
 *
 * KRING_ERROR_TIMEOUT; KRING_ERROR_ENDED if the call was freed meanwhile.
 */
int32_t kring_call_wait_begun(kring_call call,
                              int32_t timeout_ms);

/**
 * Waits until the call is answered and media flows, `timeout_ms` at most: negative is for ever, 0 only looks.
 *
 * KRING_ERROR_TIMEOUT; KRING_ERROR_ENDED if it ended before (kring_call_wait_ended says how).
 */
int32_t kring_call_wait_connected(kring_call call, int32_t timeout_ms);

/**
 * Waits until the call is over, `timeout_ms` at most (negative: for ever, 0: only looks), and says how it ended. By then devices are
 * closed, files are whole, and the other side was told. `end` may be NULL.
 *
 * KRING_ERROR_TIMEOUT.
 */
int32_t kring_call_wait_ended(kring_call call,
                              int32_t timeout_ms,
                              struct kring_end *end);

/**
 * Begins to hang up and does not wait: devices close at once, events go on until KRING_EVENT_ENDED. The handle stays until it is
 * freed.
 */
int32_t kring_call_hang_up(kring_call call);

/**
 * As kring_call_hang_up, saying that the program is ending.
 */
int32_t kring_call_going_away(kring_call call);

/**
 * Hangs up, if it is not over, and lets go of the call. Does not wait: the other side is told in the background.
 */
int32_t kring_call_free(kring_call call);

/**
 * Mutes (not 0) or unmutes (0) this side's microphone; the other side is told.
 */
int32_t kring_call_mute_microphone(kring_call call, uint32_t muted);

/**
 * Switches this side's camera off (not 0) or on (0); the other side is told.
 */
int32_t kring_call_mute_camera(kring_call call, uint32_t muted);

/**
 * Whether this side's microphone is muted: 1 or 0 goes to `muted`.
 */
int32_t kring_call_is_microphone_muted(kring_call call, uint32_t *muted);

/**
 * Whether this side's camera is off: 1 or 0 goes to `muted`.
 */
int32_t kring_call_is_camera_muted(kring_call call, uint32_t *muted);

/**
 * Takes over each source and sink that `media` has, in place of the one before, which is closed within 100 ms; also in place of one that
 * has stopped (KRING_EVENT_MEDIA_STOPPED). Sources open with the consent of `media`; what else is set on it means nothing here. `media` is
 * used up, also if this fails.
 *
 * KRING_ERROR_STATE if it has a source for a track that the call was begun without; nothing is switched then.
 */
int32_t kring_call_switch(kring_call call,
                          kring_media media);

/**
 * Gives the callee the passcode that goes with the ticket, at once or when it is asked for (KRING_EVENT_PASSCODE_WANTED). There is one try
 * in a call; whoever dials again has another.
 *
 * KRING_ERROR_PASSCODE if it cannot be one.
 */
int32_t kring_call_enter_passcode(kring_call call,
                                  const char *passcode);

/**
 * The other side's tracks as they are now: a list for kring_list_track.
 */
int32_t kring_call_peer_tracks(kring_call call, kring_list *tracks);

/**
 * What protects the call.
 *
 * KRING_ERROR_STATE before it is connected; KRING_ERROR_ENDED after it.
 */
int32_t kring_call_safety(kring_call call, struct kring_safety *safety);

/**
 * What was counted so far; cheap enough for once a frame.
 */
int32_t kring_call_stats(kring_call call, struct kring_stats *stats);

/**
 * The same as JSON, with the names of the W3C's webrtc-stats; some 2,000 bytes.
 */
int32_t kring_call_stats_json(kring_call call, char *buffer, size_t capacity, size_t *length);

/**
 * How many things it holds.
 */
int32_t kring_list_count(kring_list list, size_t *count);

/**
 * The track at `index`, from 0.
 *
 * KRING_ERROR_NOT_FOUND behind the last.
 */
int32_t kring_list_track(kring_list list, size_t index, struct kring_track *track);

/**
 * The device at `index`, from 0.
 *
 * KRING_ERROR_NOT_FOUND behind the last.
 */
int32_t kring_list_device(kring_list list, size_t index, struct kring_device *device);

/**
 * The contact at `index`, from 0.
 *
 * KRING_ERROR_NOT_FOUND behind the last.
 */
int32_t kring_list_contact(kring_list list, size_t index, struct kring_contact *contact);

/**
 * The ticket at `index`, from 0.
 *
 * KRING_ERROR_NOT_FOUND behind the last.
 */
int32_t kring_list_ticket(kring_list list, size_t index, struct kring_issued_ticket *ticket);

/**
 * Who is blocked at `index`, from 0.
 *
 * KRING_ERROR_NOT_FOUND behind the last.
 */
int32_t kring_list_blocked(kring_list list, size_t index, struct kring_blocked *blocked);

/**
 * The text at `index`, from 0.
 *
 * KRING_ERROR_NOT_FOUND behind the last.
 */
int32_t kring_list_text(kring_list list, size_t index, char *buffer, size_t capacity, size_t *length);

/**
 * Lets go of the list.
 */
int32_t kring_list_free(kring_list list);

/**
 * The devices of that kind, a KRING_DEVICE_ value: a list for kring_list_device, empty where the library was built without. Takes some
 * milliseconds, and up to 2 s when a sound server does not answer.
 *
 * KRING_ERROR_SOURCE when the system does not tell.
 */
int32_t kring_devices(uint32_t kind,
                      kring_list *devices);

/**
 * What a person has consented to, before the call or in it: `consent` is a sum of KRING_CONSENT_ values. A source that needs a device
 * that is not among them does not start. Nothing that comes over the network can consent.
 */
int32_t kring_media_new(uint32_t consent,
                        kring_media *media);

/**
 * Lets go of media that was not used.
 */
int32_t kring_media_free(kring_media media);

/**
 * How this side wants to be called, at most 64 characters. The other side sees it, and that nobody has checked it.
 */
int32_t kring_media_name(kring_media media, const char *name);

/**
 * The most that sound and pictures together may take, in bit/s, 24,000 to 20,000,000. Default 2,000,000.
 */
int32_t kring_media_max_rate(kring_media media, uint32_t bits_per_second);

/**
 * How much sound goes into a packet, come what may: 10, 20, 40, 60 or 120 ms. By default it follows the network.
 */
int32_t kring_media_frame_duration(kring_media media, uint32_t milliseconds);

/**
 * What the pictures are like: a KRING_CONTENT_ value.
 */
int32_t kring_media_content(kring_media media, uint32_t content);

/**
 * Says (not 0) that a sink records, so that the other side is told before the first sample is kept.
 */
int32_t kring_media_recording(kring_media media, uint32_t on);

/**
 * Sends a steady tone: 20 to 20,000 Hz, -120 to 0 dB of full scale.
 */
int32_t kring_media_microphone_tone(kring_media media, double hertz, double dbfs);

/**
 * Sends a WAV file, from its beginning when the call connects, again and again if `repeat` is not 0.
 *
 * KRING_ERROR_SOURCE if it cannot be played.
 */
int32_t kring_media_microphone_wav(kring_media media, const char *path, uint32_t repeat);

/**
 * Sends what a microphone of this machine takes in: by its name, a part of its name or its id; NULL for the default one. Opened when the
 * call is answered, by KRING_CONSENT_MICROPHONE only.
 *
 * KRING_ERROR_SOURCE if there is none; KRING_ERROR_UNSUPPORTED.
 */
int32_t kring_media_microphone_device(kring_media media,
                                      const char *name);

/**
 * Sends a test card of that size (even, 2 to 8192) and rate, which counts its pictures.
 *
 * KRING_ERROR_SOURCE if it cannot be drawn.
 */
int32_t kring_media_camera_test_card(kring_media media, uint32_t width, uint32_t height, float frames_per_second);

/**
 * Sends a Y4M file, as kring_media_microphone_wav does a WAV file.
 *
 * KRING_ERROR_SOURCE if it cannot be shown.
 */
int32_t kring_media_camera_y4m(kring_media media, const char *path, uint32_t repeat);

/**
 * Sends what a camera of this machine takes in, in that size and rate or a lower rate: by its number, its name or a part of its name; NULL
 * for the first. Opened when the call is answered, by KRING_CONSENT_CAMERA only.
 *
 * KRING_ERROR_SOURCE if there is none; KRING_ERROR_UNSUPPORTED.
 */
int32_t kring_media_camera_device(kring_media media,
                                  const char *name,
                                  uint32_t width,
                                  uint32_t height,
                                  float frames_per_second);

/**
 * Plays the other side's sound into nothing, in real time.
 */
int32_t kring_media_speaker_none(kring_media media);

/**
 * Plays the other side's sound into a WAV file (48 kHz, mono, 16 bit), in real time. The other side is told that it is recorded.
 *
 * KRING_ERROR_SINK if it cannot be written.
 */
int32_t kring_media_speaker_wav(kring_media media,
                                const char *path);

/**
 * Plays the other side's sound by a speaker of this machine: by its name, a part of its name or its id; NULL for the default one. Opened
 * when the call is answered.
 *
 * KRING_ERROR_SOURCE if there is none; KRING_ERROR_UNSUPPORTED.
 */
int32_t kring_media_speaker_device(kring_media media,
                                   const char *name);

/**
 * Decodes the other side's pictures and shows them to nobody.
 */
int32_t kring_media_view_none(kring_media media);

/**
 * Writes the other side's pictures to a Y4M file of that size and rate as they are shown; those of another size are scaled. The other side
 * is told that it is recorded.
 *
 * KRING_ERROR_SINK if it cannot be written.
 */
int32_t kring_media_view_y4m(kring_media media,
                             const char *path,
                             uint32_t width,
                             uint32_t height,
                             float frames_per_second);

/**
 * Sends sound that the program is asked for. `drop_fn` is called when the call is over, and also if this fails, unless `source` cannot be
 * read.
 */
int32_t kring_media_microphone_source(kring_media media,
                                      const struct kring_audio_source *source);

/**
 * Makes an input; `consent` is KRING_CONSENT_MICROPHONE if what is pushed comes from a device that a person has to consent to, else 0.
 */
int32_t kring_audio_input_new(uint32_t consent,
                              kring_audio_input *input);

/**
 * Sends what is pushed into `input`. An input serves one call; the handle stays the program's.
 */
int32_t kring_media_microphone_input(kring_media media, kring_audio_input input);

/**
 * Pushes `count` samples, the last of which was captured just now. Does not wait. Before the call is answered they are dropped; so are the
 * oldest of more than a second that waits. Where nothing is pushed in time, silence is sent.
 */
int32_t kring_audio_input_push(kring_audio_input input,
                               const float *samples,
                               size_t count);

/**
 * Says that nothing more comes: the track ends after what waits.
 */
int32_t kring_audio_input_end(kring_audio_input input);

/**
 * Lets go of the input; the track ends after what waits.
 */
int32_t kring_audio_input_free(kring_audio_input input);

/**
 * Converts a picture, say one that a kring_video_sink is shown, to KRING_PIXELS_RGBA or KRING_PIXELS_BGRA, as `pixels` says: into `to`, which has room
 * for `capacity` bytes, `stride` bytes from one row to the next (at least four times the width). `picture` is KRING_PIXELS_I420.
 *
 * KRING_ERROR_BUFFER if there is not room for all rows; nothing is written then.
 */
int32_t kring_picture_to_rgba(const struct kring_picture *picture,
                              uint32_t pixels,
                              uint8_t *to,
                              size_t stride,
                              size_t capacity);

/**
 * Writes a picture of whatever KRING_PIXELS_ to a buffer of the same size, such as the one that a kring_video_source has to fill.
 *
 * KRING_ERROR_ARGUMENT if the sizes differ.
 */
int32_t kring_picture_fill(const struct kring_picture_buffer *buffer,
                           const struct kring_picture *picture);

/**
 * Sends pictures that the program is asked for. `drop_fn` is called when the call is over, and also if this fails, unless `source` cannot
 * be read.
 */
int32_t kring_media_camera_source(kring_media media,
                                  const struct kring_video_source *source);

/**
 * Makes an input for pictures of that size (even, 2 to 8192) that come about so often a second; `consent` is KRING_CONSENT_CAMERA or
 * KRING_CONSENT_SCREEN if they come from what a person has to consent to, else 0.
 */
int32_t kring_video_input_new(uint32_t consent,
                              uint32_t width,
                              uint32_t height,
                              float frames_per_second,
                              kring_video_input *input);

/**
 * Sends what is pushed into `input`. An input serves one call; the handle stays the program's.
 */
int32_t kring_media_camera_input(kring_media media, kring_video_input input);

/**
 * Pushes a picture that was captured just now; its pixels are copied, once. Does not wait. Before the call is answered it is dropped; of
 * several that come while one is encoded the newest is sent.
 *
 * KRING_ERROR_ARGUMENT if it has another size than the input.
 */
int32_t kring_video_input_push(kring_video_input input,
                               const struct kring_picture *picture);

/**
 * Says that nothing more comes: the track ends.
 */
int32_t kring_video_input_end(kring_video_input input);

/**
 * Lets go of the input; the track ends.
 */
int32_t kring_video_input_free(kring_video_input input);

/**
 * Plays the other side's sound by the program's functions. `drop_fn` is called when the call is over, and also if this fails, unless
 * `sink` cannot be read.
 */
int32_t kring_media_speaker_sink(kring_media media,
                                 const struct kring_audio_sink *sink);

/**
 * Shows the other side's pictures by the program's functions. `drop_fn` is called when the call is over, and also if this fails, unless
 * `sink` cannot be read.
 */
int32_t kring_media_view_sink(kring_media media,
                              const struct kring_video_sink *sink);

/**
 * Prefers this codec for sound over those set before. `drop_fn` is called when the call is over, and also if this fails, unless `codec` cannot
 * be read.
 */
int32_t kring_media_audio_codec(kring_media media,
                                const struct kring_audio_codec *codec);

/**
 * Prefers this codec for pictures over those set before. `drop_fn` is called when the call is over, and also if this fails, unless `codec` cannot
 * be read.
 */
int32_t kring_media_video_codec(kring_media media,
                                const struct kring_video_codec *codec);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* KRING_H */
