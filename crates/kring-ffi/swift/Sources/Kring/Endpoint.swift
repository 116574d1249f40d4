import CKring

/// One identity on one socket: gives out tickets, dials, and takes calls. When the last reference goes it takes no calls any more, while calls
/// that are under way go on.
public final class Endpoint: Sendable {
    /// Settings; each has a default.
    public struct Options: Sendable {
        /// Address and port to listen at, such as "0.0.0.0:4433". `nil`: every IPv4 address, at a port that the system chooses.
        public var bind: String?
        /// Where identity, tickets and contacts are kept, sealed with a key of the system's key store where the library has one. `nil`: all of
        /// that ends with the endpoint.
        public var folder: String?
        /// The same elsewhere; goes before `folder`.
        public var store: Store?
        /// Takes from there the identity only: tickets end with the endpoint, and there are no contacts.
        public var identityOnly = false
        /// A relay to listen at as well, as "HOST:PORT#PIN". It is trusted with nothing.
        public var relay: String?
        /// Calls go through relays only: the other side does not learn this side's addresses.
        public var relayOnly = false
        /// Lets nobody through but contacts.
        public var contactsOnly = false
        /// Has everybody who comes by a ticket wait for ``Endpoint/knocks``.
        public var lobby = false
        /// How long it rings, in s.
        public var ringing: Double = 60
        /// How long nothing may be heard of a peer, in s.
        public var vanished: Double = 30

        public init(bind: String? = nil, folder: String? = nil) {
            (self.bind, self.folder) = (bind, folder)
        }
    }

    let handle: kring_endpoint
    /// Those who call. For one reader: who is not taken out of it rings until they give up.
    public let incoming: AsyncStream<Incoming>
    /// Those who wait to be let in. For one reader.
    public let knocks: AsyncStream<Knock>

    /// Listens. With a folder this takes a disk's time.
    public init(_ options: Options = Options()) throws {
        var raw = kring_endpoint_options()
        raw.struct_size = size(of: kring_endpoint_options.self)
        let flags = [
            (options.contactsOnly, KRING_ENDPOINT_CONTACTS_ONLY), (options.lobby, KRING_ENDPOINT_LOBBY),
            (options.identityOnly, KRING_ENDPOINT_IDENTITY_ONLY), (options.relayOnly, KRING_ENDPOINT_RELAY_ONLY),
        ]
        raw.flags = flags.reduce(0) { $0 | ($1.0 ? UInt32($1.1) : 0) }
        (raw.ringing_ms, raw.vanished_ms) = (UInt32(options.ringing * 1000), UInt32(options.vanished * 1000))
        let store = try options.store ?? options.folder.map { try Store.best($0) }
        var handle: kring_endpoint = 0
        try withExtendedLifetime(store) {
            raw.store = store?.handle ?? 0
            try with(options.bind) { bind in
                try with(options.relay) { relay in
                    (raw.bind, raw.relay) = (bind, relay)
                    try check(kring_endpoint_new(&raw, &handle))
                }
            }
        }
        self.handle = handle
        let (incoming, calls) = AsyncStream.makeStream(of: Incoming.self)
        let (knocks, waiters) = AsyncStream.makeStream(of: Knock.self)
        (self.incoming, self.knocks) = (incoming, knocks)
        let called: kring_incoming_fn = { Box<AsyncStream<Incoming>.Continuation>.of($0)?.yield(Incoming($1)) }
        try check(kring_endpoint_on_incoming(handle, called, Box(calls).retained(), finish(Incoming.self)))
        let knocked: kring_knock_fn = { Box<AsyncStream<Knock>.Continuation>.of($0)?.yield(Knock($1)) }
        try check(kring_endpoint_on_knock(handle, knocked, Box(waiters).retained(), finish(Knock.self)))
    }

    deinit { kring_endpoint_free(handle) }

    /// Ends all its calls, tells the other sides, and waits (a second at most) until that is done.
    public func close() async throws {
        let handle = handle
        try await aside { try check(kring_endpoint_close(handle)) }
    }

    /// Who this is.
    public var identity: Identity {
        get throws {
            var raw = kring_identity()
            raw.struct_size = size(of: kring_identity.self)
            try check(kring_endpoint_identity(handle, &raw))
            return Identity(bytes: bytes(raw.identity), fingerprint: string(raw.fingerprint))
        }
    }

    /// Where it listens.
    public var address: String {
        get throws { try text { kring_endpoint_local_address(handle, $0, $1, $2) } }
    }

    /// The addresses under which others may reach it, as they go into tickets.
    public var addresses: [String] {
        get throws {
            try list({ kring_endpoint_addresses(handle, $0) }) { list, index in
                try text { kring_list_text(list, index, $0, $1, $2) }
            }
        }
    }

    /// Waits until its relay is reached; without one, that is at once.
    ///
    /// - Throws: If it is not, though it is tried again and again.
    public func relayReached() async throws {
        let handle = handle
        try await waiting { (kring_endpoint_wait_relay(handle, $0), ()) }
    }

    /// The network has changed, or the machine has slept: calls look for other ways at once. New addresses of this machine are noticed without it.
    public func networkChanged() throws { try check(kring_endpoint_network_changed(handle)) }

    /// How many strangers and broken handshakes were dropped.
    public var counters: Counters {
        get throws {
            var raw = kring_counters()
            raw.struct_size = size(of: kring_counters.self)
            try check(kring_endpoint_counters(handle, &raw))
            return Counters(
                unknownHint: raw.unknown_hint, blocked: raw.blocked, replayed: raw.replayed, clock: raw.clock,
                invalid: raw.invalid, completed: raw.completed)
        }
    }

    /// Gives out a ticket: whoever has the text can call.
    ///
    /// - Parameters:
    ///   - lifetime: How long it holds, in s; `nil` is a day.
    ///   - forOneCall: It is spent by the first who calls with it.
    ///   - passcode: What a caller has to know beside it.
    ///   - addresses: Where the endpoint is reached, say because a router forwards them; none: those of this machine.
    public func ticket(
        lifetime: Double? = nil, forOneCall: Bool = false, passcode: String? = nil, addresses: [String] = []
    ) async throws -> String {
        let handle = handle
        return try await aside {
            var options = kring_ticket_options()
            options.struct_size = size(of: kring_ticket_options.self)
            options.flags = forOneCall ? UInt32(KRING_TICKET_ONE_CALL) : 0
            options.lifetime_s = lifetime.map { UInt64(max(1, $0)) } ?? 0
            return try with(passcode) { passcode in
                options.passcode = passcode
                return try withAll(addresses) { named in
                    if !addresses.isEmpty { (options.addresses, options.address_count) = (named, addresses.count) }
                    return try text { kring_endpoint_ticket(handle, &options, $0, $1, $2) }
                }
            }
        }
    }

    /// Dials whoever gave out the ticket; uses up `media`. The call begins at once and tells by its events how it goes on.
    public func dial(_ ticket: String, _ media: Media) throws -> Call {
        var call: kring_call = 0
        try check(kring_endpoint_dial(handle, ticket, media.handle, &call))
        return try Call(call)
    }

    /// Dials somebody who is known: if another identity answers, the call has no media before a person accepts that.
    ///
    /// - Parameter verified: A person has compared it.
    public func dial(_ ticket: String, expecting identity: Identity, verified: Bool = false, _ media: Media) throws -> Call {
        var call: kring_call = 0
        try check(
            kring_endpoint_dial_expecting(handle, ticket, identity.bytes, verified ? 1 : 0, media.handle, &call))
        return try Call(call)
    }

    /// Consents to answer the next caller, whoever it is: see kring.h for what that gives away.
    public func answerNext(_ media: Media) throws -> Call {
        var call: kring_call = 0
        try check(kring_endpoint_answer_next(handle, media.handle, &call))
        return try Call(call)
    }

    /// Dials a contact by its name.
    public func dial(contact name: String, _ media: Media) throws -> Call {
        var call: kring_call = 0
        try check(kring_endpoint_dial_contact(handle, name, media.handle, &call))
        return try Call(call)
    }

    /// Keeps the other side of a call as a contact, to be dialled by that name.
    public func keep(_ peer: Peer, as name: String) async throws {
        let handle = handle
        try await aside { try check(kring_endpoint_keep(handle, peer.identity.bytes, name)) }
    }
}

/// What ends a stream when the library lets go of it.
private func finish(_: Incoming.Type) -> kring_drop_fn {
    { data in
        Box<AsyncStream<Incoming>.Continuation>.of(data)?.finish()
        release(data)
    }
}

private func finish(_: Knock.Type) -> kring_drop_fn {
    { data in
        Box<AsyncStream<Knock>.Continuation>.of(data)?.finish()
        release(data)
    }
}

/// Texts, for the length of a call.
private func withAll<Result>(
    _ texts: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>?) throws -> Result
) throws -> Result {
    func nested(_ rest: ArraySlice<String>, _ pointers: [UnsafePointer<CChar>?]) throws -> Result {
        guard let first = rest.first else { return try pointers.withUnsafeBufferPointer { try body($0.baseAddress) } }
        return try first.withCString { try nested(rest.dropFirst(), pointers + [$0]) }
    }
    return try nested(texts[...], [])
}
