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
        raw.flags = UInt32(
            (options.contactsOnly ? KRING_ENDPOINT_CONTACTS_ONLY : 0) | (options.lobby ? KRING_ENDPOINT_LOBBY : 0))
        (raw.ringing_ms, raw.vanished_ms) = (UInt32(options.ringing * 1000), UInt32(options.vanished * 1000))
        if let folder = options.folder {
            try check(kring_store_best(folder, &raw.store))
        }
        defer { if raw.store != 0 { kring_store_free(raw.store) } }
        var handle: kring_endpoint = 0
        try with(options.bind) {
            raw.bind = $0
            try check(kring_endpoint_new(&raw, &handle))
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

    /// Gives out a ticket: whoever has the text can call.
    ///
    /// - Parameters:
    ///   - lifetime: How long it holds, in s; `nil` is a day.
    ///   - forOneCall: It is spent by the first who calls with it.
    ///   - passcode: What a caller has to know beside it.
    public func ticket(lifetime: Double? = nil, forOneCall: Bool = false, passcode: String? = nil) async throws -> String {
        let handle = handle
        return try await aside {
            var options = kring_ticket_options()
            options.struct_size = size(of: kring_ticket_options.self)
            options.flags = forOneCall ? UInt32(KRING_TICKET_ONE_CALL) : 0
            options.lifetime_s = lifetime.map { UInt64(max(1, $0)) } ?? 0
            return try with(passcode) { passcode in
                options.passcode = passcode
                return try text { kring_endpoint_ticket(handle, &options, $0, $1, $2) }
            }
        }
    }

    /// Dials whoever gave out the ticket; uses up `media`. The call begins at once and tells by its events how it goes on.
    public func dial(_ ticket: String, _ media: Media) throws -> Call {
        var call: kring_call = 0
        try check(kring_endpoint_dial(handle, ticket, media.handle, &call))
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

    /// All contacts.
    public var contacts: [Contact] {
        get throws {
            var home: kring_home = 0
            try check(kring_endpoint_home(handle, &home))
            defer { kring_home_free(home) }
            return try list({ kring_home_contacts(home, $0) }) { handle, index in
                var raw = kring_contact()
                raw.struct_size = size(of: kring_contact.self)
                try check(kring_list_contact(handle, index, &raw))
                return Contact(
                    name: string(raw.name), fingerprint: string(raw.fingerprint), isVerified: raw.verified != 0,
                    isCallable: raw.callable != 0, isBlocked: raw.blocked != 0,
                    lastCall: raw.last_call == 0 ? nil : raw.last_call)
            }
        }
    }

    /// Says whether a person has made sure who this contact is.
    public func set(verified: Bool, contact name: String) async throws {
        try await withHome { kring_home_set_verified($0, name, verified ? 1 : 0) }
    }

    /// Forgets a contact and the secrets shared with them.
    public func remove(contact name: String) async throws {
        try await withHome { kring_home_remove_contact($0, name) }
    }

    private func withHome(_ body: @escaping @Sendable (kring_home) -> Int32) async throws {
        let handle = handle
        try await aside {
            var home: kring_home = 0
            try check(kring_endpoint_home(handle, &home))
            defer { kring_home_free(home) }
            try check(body(home))
        }
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
