/* Tickets, contacts, codes, safety numbers, passcodes, the lobby, and stores: what two people do to know each other. */
#include "check.h"

/* ---- a store in this program's memory ---- */

struct memory {
    uint8_t *bytes[4];
    size_t lengths[4];
    atomic_int saves, drops;
};

static int32_t load(void *user_data, uint32_t item, uint8_t *buffer, size_t capacity, size_t *length)
{
    struct memory *memory = user_data;
    CHECK(item < 4);
    if (memory->bytes[item] == NULL)
        return KRING_ERROR_NOT_FOUND;
    CHECK(memory->lengths[item] <= capacity);
    memcpy(buffer, memory->bytes[item], memory->lengths[item]);
    *length = memory->lengths[item];
    return KRING_OK;
}

static int32_t save(void *user_data, uint32_t item, const uint8_t *bytes, size_t length)
{
    struct memory *memory = user_data;
    CHECK(item < 4);
    uint8_t *copy = malloc(length + 1);
    if (copy == NULL)
        return KRING_ERROR_INTERNAL;
    memcpy(copy, bytes, length);
    free(memory->bytes[item]);
    memory->bytes[item] = copy;
    memory->lengths[item] = length;
    atomic_fetch_add(&memory->saves, 1);
    return KRING_OK;
}

static void dropped(void *user_data)
{
    atomic_fetch_add(&((struct memory *)user_data)->drops, 1);
}

static kring_store store_in(struct memory *memory)
{
    kring_store store = 0;
    SIZED(kring_store_callbacks, callbacks);
    callbacks.user_data = memory;
    callbacks.load = load;
    callbacks.save = save;
    callbacks.drop_fn = dropped;
    WELL(kring_store_new(&callbacks, &store));
    return store;
}

static kring_endpoint endpoint_with(kring_store store, uint32_t flags)
{
    kring_endpoint endpoint = 0;
    SIZED(kring_endpoint_options, options);
    options.bind = "127.0.0.1:0";
    options.store = store;
    options.flags = flags;
    options.vanished_ms = 120000;
    WELL(kring_endpoint_new(&options, &endpoint));
    return endpoint;
}

/* Reads events until one of that kind comes. */
static kring_event event_of(kring_call call, uint32_t kind)
{
    SIZED(kring_event, event);
    do {
        event.struct_size = sizeof event;
        GIVES(KRING_OK, kring_call_next_event(call, 60000, &event));
    } while (event.kind != kind);
    return event;
}

static void two_who_get_to_know_each_other(void)
{
    struct memory first, second;
    memset(&first, 0, sizeof first);
    memset(&second, 0, sizeof second);
    kring_store stores[2] = {store_in(&first), store_in(&second)};
    kring_endpoint anna = endpoint_with(stores[0], 0), ben = endpoint_with(stores[1], 0);
    kring_call dialled = 0, answered = 0;
    kring_incoming incoming = 0;
    kring_home home = 0;
    kring_list list = 0;
    size_t count = 0;
    char ticket[KRING_TICKET_SIZE], words[128], number[128], typed[128], qr[512];
    SIZED(kring_peer, peer);
    SIZED(kring_identity, own);
    SIZED(kring_identity, bens);
    SIZED(kring_ticket, about);
    SIZED(kring_contact, contact);
    SIZED(kring_safety, safety);

    WELL(kring_store_free(stores[0]));
    CHECK(atomic_load(&first.saves) > 0 && atomic_load(&first.drops) == 0);
    WELL(kring_endpoint_identity(anna, &own));
    WELL(kring_endpoint_identity(ben, &bens));
    WELL(kring_endpoint_ticket(ben, NULL, ticket, sizeof ticket, NULL));
    WELL(kring_ticket_read(ticket, &about));
    CHECK(strcmp(about.fingerprint, bens.fingerprint) == 0 && about.addresses == 1 && strlen(about.id) == 16);
    WELL(kring_ticket_qr(ticket, qr, sizeof qr, NULL));
    CHECK(strncmp(qr, "KRING1", 6) == 0);
    GIVES(KRING_ERROR_TICKET, kring_ticket_read("kring1aaaa", &about));

    /* The first call, by the ticket. */
    WELL(kring_endpoint_dial(anna, ticket, quiet(), &dialled));
    WELL(kring_endpoint_next_incoming(ben, 60000, &incoming));
    WELL(kring_incoming_peer(incoming, &peer));
    CHECK(memcmp(peer.identity, own.identity, 32) == 0 && strcmp(peer.ticket_id, about.id) == 0 && !peer.is_contact);
    GIVES(KRING_ERROR_TIMEOUT, kring_incoming_wait_given_up(incoming, 0, NULL));
    WELL(kring_incoming_answer(incoming, quiet(), &answered));
    GIVES(KRING_ERROR_STATE, kring_call_code(dialled, KRING_CODE_WORDS, words, sizeof words, NULL));

    kring_event code = event_of(dialled, KRING_EVENT_CODE), same = event_of(answered, KRING_EVENT_CODE);
    CHECK(strcmp(code.text, same.text) == 0 && strcmp(code.detail, same.detail) == 0);
    WELL(kring_call_code(dialled, KRING_CODE_WORDS, words, sizeof words, NULL));
    CHECK(strcmp(words, code.text) == 0);
    WELL(kring_call_code(dialled, KRING_CODE_EMOJI_NAMES, words, sizeof words, NULL));
    GIVES(KRING_ERROR_ARGUMENT, kring_call_code(dialled, 3, words, sizeof words, NULL));
    WELL(kring_call_wait_connected(dialled, 60000));
    WELL(kring_call_safety(dialled, &safety));
    CHECK(safety.post_quantum == 1 && strstr(safety.noise, "MLKEM768") != NULL);

    WELL(kring_call_safety_number(dialled, number, sizeof number, &count));
    CHECK(count == 71);
    WELL(kring_call_safety_number(answered, typed, sizeof typed, NULL));
    CHECK(strcmp(number, typed) == 0);
    WELL(kring_call_compare_safety_number(dialled, typed));
    typed[0] = typed[0] == '0' ? '1' : '0';
    GIVES(KRING_ERROR_MISMATCH, kring_call_compare_safety_number(dialled, typed));
    GIVES(KRING_ERROR_ARGUMENT, kring_call_compare_safety_number(dialled, "12345"));
    WELL(kring_call_safety_qr(answered, qr, sizeof qr, NULL));
    WELL(kring_call_compare_safety_qr(dialled, own.identity, qr));
    GIVES(KRING_ERROR_MISMATCH, kring_call_compare_safety_qr(dialled, bens.identity, qr));
    GIVES(KRING_ERROR_ARGUMENT, kring_call_compare_safety_qr(dialled, own.identity, ticket));

    WELL(kring_call_peer(dialled, &peer));
    CHECK(peer.trust == KRING_TRUST_UNVERIFIED && memcmp(peer.identity, bens.identity, 32) == 0);
    GIVES(KRING_ERROR_NOT_FOUND, kring_call_mark_verified(dialled, own.identity));
    GIVES(KRING_ERROR_NOT_FOUND, kring_call_accept_changed_key(dialled, own.identity));
    WELL(kring_call_mark_verified(dialled, peer.identity));
    WELL(kring_call_peer(dialled, &peer));
    CHECK(peer.trust == KRING_TRUST_VERIFIED);

    /* They keep each other. */
    event_of(dialled, KRING_EVENT_ACQUAINTED);
    event_of(answered, KRING_EVENT_ACQUAINTED);
    WELL(kring_endpoint_keep(anna, bens.identity, "Ben"));
    WELL(kring_endpoint_keep(ben, own.identity, "Anna"));
    GIVES(KRING_ERROR_CONTACT, kring_endpoint_keep(ben, bens.identity, "Anna"));
    WELL(kring_call_hang_up(dialled));
    WELL(kring_call_wait_ended(answered, 60000, NULL));
    WELL(kring_call_wait_ended(dialled, 60000, NULL));
    WELL(kring_call_free(dialled));
    WELL(kring_call_free(answered));

    WELL(kring_endpoint_home(anna, &home));
    WELL(kring_home_set_verified(home, "ben", 1));
    WELL(kring_home_contact(home, "Ben", &contact));
    CHECK(contact.verified && contact.callable && contact.has_identity && strcmp(contact.fingerprint, bens.fingerprint) == 0);
    WELL(kring_home_rename_contact(home, "Ben", "Benjamin"));
    GIVES(KRING_ERROR_NOT_FOUND, kring_home_contact(home, "Ben", &contact));
    WELL(kring_home_contact_of(home, bens.fingerprint, &contact));
    CHECK(strcmp(contact.name, "Benjamin") == 0);

    /* The second call, without a ticket. */
    WELL(kring_endpoint_dial_contact(anna, "Benjamin", quiet(), &dialled));
    WELL(kring_endpoint_next_incoming(ben, 60000, &incoming));
    WELL(kring_incoming_peer(incoming, &peer));
    CHECK(peer.is_contact && strcmp(peer.contact, "Anna") == 0 && peer.ticket_id[0] == 0);
    WELL(kring_incoming_answer(incoming, quiet(), &answered));
    WELL(kring_call_wait_connected(dialled, 60000));
    WELL(kring_call_peer(dialled, &peer));
    CHECK(peer.trust == KRING_TRUST_VERIFIED);
    WELL(kring_call_free(dialled));
    WELL(kring_call_wait_ended(answered, 60000, NULL));
    WELL(kring_call_free(answered));

    WELL(kring_home_contacts(home, &list));
    WELL(kring_list_count(list, &count));
    CHECK(count == 1);
    WELL(kring_list_free(list));
    WELL(kring_home_block(home, bens.fingerprint));
    GIVES(KRING_ERROR_CONTACT, kring_endpoint_dial_contact(anna, "Benjamin", quiet(), &dialled));
    WELL(kring_home_blocked(home, &list));
    SIZED(kring_blocked, blocked);
    WELL(kring_list_blocked(list, 0, &blocked));
    CHECK(strcmp(blocked.fingerprint, bens.fingerprint) == 0);
    WELL(kring_list_free(list));
    WELL(kring_home_unblock(home, bens.fingerprint));
    GIVES(KRING_ERROR_NOT_FOUND, kring_home_unblock(home, bens.fingerprint));
    GIVES(KRING_ERROR_ARGUMENT, kring_home_block(home, "nobody"));
    WELL(kring_home_remove_contact(home, "Benjamin"));
    WELL(kring_home_free(home));

    WELL(kring_endpoint_home(ben, &home));
    WELL(kring_home_tickets(home, &list));
    SIZED(kring_issued_ticket, issued);
    WELL(kring_list_ticket(list, 0, &issued));
    CHECK(strcmp(issued.id, about.id) == 0 && !issued.one_call && issued.expires > issued.issued);
    GIVES(KRING_ERROR_NOT_FOUND, kring_list_ticket(list, 1, &issued));
    WELL(kring_list_free(list));
    WELL(kring_home_revoke(home, about.id));
    GIVES(KRING_ERROR_NOT_FOUND, kring_home_revoke(home, about.id));
    WELL(kring_home_free(home));

    /* An identity lasts as long as the store. */
    WELL(kring_endpoint_close(ben));
    WELL(kring_endpoint_free(ben));
    ben = endpoint_with(stores[1], KRING_ENDPOINT_IDENTITY_ONLY);
    SIZED(kring_identity, again);
    WELL(kring_endpoint_identity(ben, &again));
    CHECK(memcmp(again.identity, bens.identity, 32) == 0);
    WELL(kring_store_free(stores[1]));
    WELL(kring_endpoint_free(anna));
    WELL(kring_endpoint_free(ben));
    WELL(kring_shutdown(60000));
    CHECK(atomic_load(&first.drops) == 1 && atomic_load(&second.drops) == 1);
    for (int i = 0; i < 4; i++) {
        free(first.bytes[i]);
        free(second.bytes[i]);
    }
}

static void another_than_expected(void)
{
    kring_endpoint anna = new_endpoint(), ben = new_endpoint();
    kring_call dialled = 0, answered = 0;
    kring_incoming incoming = 0;
    char ticket[KRING_TICKET_SIZE];
    uint8_t other[32];
    SIZED(kring_peer, peer);
    memset(other, 7, sizeof other);
    WELL(kring_endpoint_ticket(ben, NULL, ticket, sizeof ticket, NULL));
    WELL(kring_endpoint_dial_expecting(anna, ticket, other, 1, quiet(), &dialled));
    WELL(kring_endpoint_next_incoming(ben, 60000, &incoming));
    WELL(kring_incoming_answer(incoming, quiet(), &answered));
    event_of(dialled, KRING_EVENT_KEY_CHANGED);
    WELL(kring_call_peer(dialled, &peer));
    CHECK(peer.trust == KRING_TRUST_KEY_CHANGED && peer.was_verified && memcmp(peer.expected, other, 32) == 0);
    GIVES(KRING_ERROR_STATE, kring_call_mark_verified(dialled, peer.identity));
    WELL(kring_call_accept_changed_key(dialled, peer.identity));
    WELL(kring_call_wait_connected(dialled, 60000));
    WELL(kring_call_peer(dialled, &peer));
    CHECK(peer.trust == KRING_TRUST_UNVERIFIED);
    WELL(kring_call_free(dialled));
    WELL(kring_call_free(answered));
    WELL(kring_endpoint_free(anna));
    WELL(kring_endpoint_free(ben));
}

static void a_passcode(void)
{
    kring_endpoint anna = new_endpoint(), ben = new_endpoint();
    kring_call call = 0, answered = 0;
    kring_incoming incoming = 0;
    char ticket[KRING_TICKET_SIZE];
    SIZED(kring_ticket_options, options);
    SIZED(kring_end, end);
    options.passcode = "x";
    GIVES(KRING_ERROR_PASSCODE, kring_endpoint_ticket(ben, &options, ticket, sizeof ticket, NULL));
    options.passcode = "violet harbour";
    WELL(kring_endpoint_ticket(ben, &options, ticket, sizeof ticket, NULL));
    WELL(kring_endpoint_dial(anna, ticket, quiet(), &call));
    event_of(call, KRING_EVENT_PASSCODE_WANTED);
    GIVES(KRING_ERROR_PASSCODE, kring_call_enter_passcode(call, "y"));
    WELL(kring_call_enter_passcode(call, "violet harbor"));
    WELL(kring_call_wait_ended(call, 60000, &end));
    CHECK(end.end == KRING_END_NOT_ADMITTED);
    GIVES(KRING_ERROR_ENDED, kring_call_wait_connected(call, 0));
    WELL(kring_call_free(call));
    WELL(kring_endpoint_dial(anna, ticket, quiet(), &call));
    WELL(kring_call_enter_passcode(call, "violet harbour"));
    WELL(kring_endpoint_next_incoming(ben, 60000, &incoming));
    WELL(kring_incoming_answer(incoming, quiet(), &answered));
    WELL(kring_call_wait_connected(call, 60000));
    WELL(kring_call_free(call));
    WELL(kring_call_free(answered));
    WELL(kring_endpoint_free(anna));
    WELL(kring_endpoint_free(ben));
}

static void on_knock(void *user_data, kring_knock knock)
{
    SIZED(kring_peer, peer);
    WELL(kring_knock_peer(knock, &peer));
    GIVES(KRING_ERROR_TIMEOUT, kring_knock_wait_given_up(knock, 0));
    if (atomic_fetch_add((atomic_int *)user_data, 1) == 0) {
        WELL(kring_knock_refuse(knock));
        GIVES(KRING_ERROR_HANDLE, kring_knock_admit(knock));
    } else {
        WELL(kring_knock_admit(knock));
    }
}

static void the_lobby(void)
{
    kring_endpoint anna = new_endpoint(), ben = endpoint_with(0, KRING_ENDPOINT_LOBBY);
    kring_call call = 0;
    kring_incoming incoming = 0;
    kring_knock knock = 0;
    atomic_int knocks = 0;
    char ticket[KRING_TICKET_SIZE];
    SIZED(kring_end, end);
    GIVES(KRING_ERROR_TIMEOUT, kring_endpoint_next_knock(ben, 0, &knock));
    WELL(kring_endpoint_on_knock(ben, on_knock, &knocks, NULL));
    GIVES(KRING_ERROR_STATE, kring_endpoint_on_knock(ben, on_knock, &knocks, NULL));
    WELL(kring_endpoint_ticket(ben, NULL, ticket, sizeof ticket, NULL));
    WELL(kring_endpoint_dial(anna, ticket, quiet(), &call));
    WELL(kring_call_wait_ended(call, 60000, &end));
    CHECK(end.end == KRING_END_DECLINED);
    WELL(kring_call_free(call));
    WELL(kring_endpoint_dial(anna, ticket, quiet(), &call));
    event_of(call, KRING_EVENT_WAITING);
    WELL(kring_endpoint_next_incoming(ben, 60000, &incoming));
    WELL(kring_incoming_decline(incoming));
    WELL(kring_call_wait_ended(call, 60000, &end));
    CHECK(end.end == KRING_END_DECLINED);
    WELL(kring_call_free(call));
    WELL(kring_endpoint_free(anna));
    WELL(kring_endpoint_free(ben));
    /* Whose callback uses this function's variable. */
    WELL(kring_shutdown(60000));
}

static void a_ticket_for_one_call(void)
{
    kring_endpoint anna = new_endpoint(), ben = new_endpoint();
    kring_call call = 0, waiting = 0;
    char ticket[KRING_TICKET_SIZE];
    const char *elsewhere[] = {"192.0.2.7:4433", "[2001:db8::7]:4433"};
    SIZED(kring_ticket_options, options);
    SIZED(kring_ticket, about);
    SIZED(kring_end, end);
    SIZED(kring_counters, counters);
    options.flags = KRING_TICKET_ONE_CALL;
    options.lifetime_s = 600;
    WELL(kring_endpoint_ticket(ben, &options, ticket, sizeof ticket, NULL));
    WELL(kring_endpoint_answer_next(ben, quiet(), &waiting));
    GIVES(KRING_ERROR_TIMEOUT, kring_call_wait_begun(waiting, 0));
    WELL(kring_endpoint_dial(anna, ticket, quiet(), &call));
    WELL(kring_call_wait_connected(call, 60000));
    WELL(kring_call_wait_begun(waiting, 0));
    WELL(kring_call_wait_connected(waiting, 60000));
    WELL(kring_call_free(call));
    WELL(kring_call_wait_ended(waiting, 60000, NULL));
    WELL(kring_call_free(waiting));
    WELL(kring_endpoint_dial(anna, ticket, quiet(), &call));
    WELL(kring_call_wait_ended(call, 60000, &end));
    CHECK(end.end == KRING_END_REFUSED);
    WELL(kring_call_free(call));
    WELL(kring_endpoint_counters(ben, &counters));
    CHECK(counters.completed == 1 && counters.unknown_hint == 1);

    options.addresses = elsewhere;
    options.address_count = 2;
    GIVES(KRING_ERROR_ARGUMENT, kring_endpoint_ticket(ben, &options, ticket, sizeof ticket, NULL));
    options.flags = 0;
    WELL(kring_endpoint_ticket(ben, &options, ticket, sizeof ticket, NULL));
    WELL(kring_ticket_read(ticket, &about));
    CHECK(about.addresses == 2);
    WELL(kring_endpoint_free(anna));
    WELL(kring_endpoint_free(ben));
}

int main(void)
{
    WELL(kring_prepare());
    two_who_get_to_know_each_other();
    another_than_expected();
    a_passcode();
    the_lobby();
    a_ticket_for_one_call();
    WELL(kring_shutdown(60000));
    puts("well");
    return 0;
}
