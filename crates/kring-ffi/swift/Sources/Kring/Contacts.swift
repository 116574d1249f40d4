import CKring

/// Contacts, those who are blocked, and the tickets that were given out.
extension Endpoint {
    /// All contacts.
    public var contacts: [Contact] {
        get throws {
            try withHome { home in
                try list({ kring_home_contacts(home, $0) }) { list, index in
                    try Contact { kring_list_contact(list, index, $0) }
                }
            }
        }
    }

    /// A contact by its name.
    public func contact(named name: String) throws -> Contact {
        try withHome { home in try Contact { kring_home_contact(home, name, $0) } }
    }

    /// A contact by its fingerprint.
    public func contact(of fingerprint: String) throws -> Contact {
        try withHome { home in try Contact { kring_home_contact_of(home, fingerprint, $0) } }
    }

    /// Keeps whoever gave out the ticket as a contact, before any call.
    public func add(contact name: String, ticket: String) async throws {
        try await changeHome { kring_home_add_contact($0, name, ticket) }
    }

    /// Gives a contact another name.
    public func rename(contact name: String, to newName: String) async throws {
        try await changeHome { kring_home_rename_contact($0, name, newName) }
    }

    /// Says whether a person has made sure who this contact is.
    public func set(verified: Bool, contact name: String) async throws {
        try await changeHome { kring_home_set_verified($0, name, verified ? 1 : 0) }
    }

    /// Forgets a contact and the secrets shared with them.
    public func remove(contact name: String) async throws {
        try await changeHome { kring_home_remove_contact($0, name) }
    }

    /// Lets that identity not get through any more.
    public func block(_ fingerprint: String) async throws {
        try await changeHome { kring_home_block($0, fingerprint) }
    }

    /// Lets it through again.
    public func unblock(_ fingerprint: String) async throws {
        try await changeHome { kring_home_unblock($0, fingerprint) }
    }

    /// The fingerprints of those who are blocked, and since when, in seconds since 1970.
    public var blocked: [String: UInt64] {
        get throws {
            let all = try withHome { home in
                try list({ kring_home_blocked(home, $0) }) { list, index in
                    var raw = kring_blocked()
                    raw.struct_size = size(of: kring_blocked.self)
                    try check(kring_list_blocked(list, index, &raw))
                    return (string(raw.fingerprint), raw.since)
                }
            }
            return Dictionary(all) { first, _ in first }
        }
    }

    /// The tickets that were given out and still hold.
    public var tickets: [IssuedTicket] {
        get throws {
            try withHome { home in
                try list({ kring_home_tickets(home, $0) }) { list, index in
                    var raw = kring_issued_ticket()
                    raw.struct_size = size(of: kring_issued_ticket.self)
                    try check(kring_list_ticket(list, index, &raw))
                    return IssuedTicket(
                        id: string(raw.id), issued: raw.issued, expires: raw.expires, isForOneCall: raw.one_call != 0,
                        hasPasscode: raw.passcode != 0)
                }
            }
        }
    }

    /// Ends a ticket.
    public func revoke(ticket id: String) async throws {
        try await changeHome { kring_home_revoke($0, id) }
    }

    /// What callers have to know beside the ticket from now on.
    public func set(passcode: String, ticket id: String) async throws {
        try await changeHome { kring_home_set_passcode($0, id, passcode) }
    }

    private func withHome<Value>(_ body: (kring_home) throws -> Value) throws -> Value {
        var home: kring_home = 0
        try check(kring_endpoint_home(handle, &home))
        defer { kring_home_free(home) }
        return try body(home)
    }

    /// With a disk's time.
    private func changeHome(_ body: @escaping @Sendable (kring_home) -> Int32) async throws {
        try await aside { try self.withHome { try check(body($0)) } }
    }
}

extension Contact {
    /// Throws if a contact cannot be called that.
    public static func checkName(_ name: String) throws {
        try check(kring_check_contact_name(name))
    }

    init(_ fill: (UnsafeMutablePointer<kring_contact>) -> Int32) throws {
        var raw = kring_contact()
        raw.struct_size = size(of: kring_contact.self)
        try check(fill(&raw))
        (name, fingerprint) = (string(raw.name), string(raw.fingerprint))
        (isVerified, isCallable, isBlocked) = (raw.verified != 0, raw.callable != 0, raw.blocked != 0)
        lastCall = raw.last_call == 0 ? nil : raw.last_call
    }
}
