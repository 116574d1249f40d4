import CKring

/// A call, from dialling or answering to its end. When the last reference goes, it hangs up.
public final class Call: Sendable {
    let handle: kring_call
    /// What happens, in order, ``Event/ended(_:)`` last. For one reader; at most 256 wait, then the oldest is dropped.
    public let events: AsyncStream<Event>

    init(_ handle: kring_call) throws {
        self.handle = handle
        let (events, continuation) = AsyncStream.makeStream(of: Event.self, bufferingPolicy: .bufferingNewest(256))
        self.events = events
        let take: kring_event_fn = { data, raw in
            guard let continuation = Box<AsyncStream<Event>.Continuation>.of(data), let raw else { return }
            let event = Event(raw.pointee)
            continuation.yield(event)
            if case .ended = event { continuation.finish() }
        }
        do {
            try check(kring_call_on_event(handle, take, Box(continuation).retained(), release))
        } catch {
            kring_call_free(handle)
            throw error
        }
    }

    deinit { kring_call_free(handle) }

    /// Waits until the call is answered and media flows.
    ///
    /// - Throws: A ``KringError`` whose `isEnded` is true if it ended before; ``ended()`` says how.
    public func connected() async throws {
        let handle = handle
        try await waiting { (kring_call_wait_connected(handle, $0), ()) }
    }

    /// Waits until the call is over (devices closed, files whole, the other side told) and says how it ended.
    public func ended() async throws -> End {
        let handle = handle
        return try await waiting { milliseconds in
            var end = kring_end()
            end.struct_size = size(of: kring_end.self)
            let code = kring_call_wait_ended(handle, milliseconds, &end)
            return (code, End(end: end.end, by: end.by, text: string(end.text)))
        }
    }

    /// Waits until there is a connection with the other side, or the call is over; after ``Endpoint/answerNext(_:)``: until somebody calls.
    public func begun() async throws {
        let handle = handle
        try await waiting { (kring_call_wait_begun(handle, $0), ()) }
    }

    /// Hangs up, saying that the program is ending, and waits until that is done.
    @discardableResult
    public func goAway() async throws -> End {
        try check(kring_call_going_away(handle))
        return try await ended()
    }

    /// Hangs up and waits until that is done.
    @discardableResult
    public func hangUp() async throws -> End {
        try check(kring_call_hang_up(handle))
        return try await ended()
    }

    /// Mutes or unmutes this side's microphone; the other side is told.
    public func mute(microphone muted: Bool) throws {
        try check(kring_call_mute_microphone(handle, muted ? 1 : 0))
    }

    /// Switches this side's pictures off or on; the other side is told.
    public func mute(camera muted: Bool) throws {
        try check(kring_call_mute_camera(handle, muted ? 1 : 0))
    }

    /// Whether this side's microphone is muted.
    public var isMicrophoneMuted: Bool {
        get throws { try flag { kring_call_is_microphone_muted(handle, $0) } }
    }

    /// Whether this side's pictures are off.
    public var isCameraMuted: Bool {
        get throws { try flag { kring_call_is_camera_muted(handle, $0) } }
    }

    /// Takes over each source and sink that `media` has, in place of the one before, with the consent of `media`, which is used up.
    public func `switch`(to media: Media) throws {
        try check(kring_call_switch(handle, media.handle))
    }

    /// Gives the passcode that goes with the ticket, at once or at ``Event/passcodeWanted``. There is one try in a call.
    public func enter(passcode: String) throws {
        try check(kring_call_enter_passcode(handle, passcode))
    }

    /// Who is on the other side.
    ///
    /// - Throws: Until that is proven.
    public var peer: Peer {
        get throws { try Peer { kring_call_peer(handle, $0) } }
    }

    /// What the other side sends.
    public var peerTracks: [Track] {
        get throws { try tracks { kring_call_peer_tracks(handle, $0) } }
    }

    /// The sixty digits that are the same in every call of these two.
    public var safetyNumber: String {
        get throws { try text { kring_call_safety_number(handle, $0, $1, $2) } }
    }

    /// The call's code once ``Event/code(words:emoji:)`` has come: four words, or the names of its five emoji, a line each.
    public func code(emojiNames: Bool = false) throws -> String {
        try text { kring_call_code(handle, UInt32(emojiNames ? KRING_CODE_EMOJI_NAMES : KRING_CODE_WORDS), $0, $1, $2) }
    }

    /// Compares the other side's safety number, as a person has typed it.
    ///
    /// - Throws: If it differs.
    public func compare(safetyNumber typed: String) throws {
        try check(kring_call_compare_safety_number(handle, typed))
    }

    /// This side's part of what is compared by scanning, as text for a QR code.
    public var safetyQR: String {
        get throws { try text { kring_call_safety_qr(handle, $0, $1, $2) } }
    }

    /// Compares what was scanned at the other side; `own` is ``Endpoint/identity``.
    ///
    /// - Throws: If it differs.
    public func compare(safetyQR scanned: String, own: Identity) throws {
        try check(kring_call_compare_safety_qr(handle, own.bytes, scanned))
    }

    /// What protects the call.
    ///
    /// - Throws: Before it is connected.
    public var safety: Safety {
        get throws {
            var raw = kring_safety()
            raw.struct_size = size(of: kring_safety.self)
            try check(kring_call_safety(handle, &raw))
            return Safety(
                isPostQuantum: raw.post_quantum != 0, handshake: string(raw.noise), media: string(raw.media),
                tlsGroup: string(raw.tls_group), tlsCipher: string(raw.tls_cipher))
        }
    }

    /// A person has compared code or safety number with `peer`, and they are the same.
    public func mark(verified peer: Peer) throws {
        try check(kring_call_mark_verified(handle, peer.identity.bytes))
    }

    /// A person accepts that `peer` is another identity than was expected.
    public func accept(changedKey peer: Peer) throws {
        try check(kring_call_accept_changed_key(handle, peer.identity.bytes))
    }

    /// What was counted so far, as JSON in the names and units of the W3C's webrtc-stats.
    public var statistics: String {
        get throws { try text { kring_call_stats_json(handle, $0, $1, $2) } }
    }
}

/// Somebody calls. It rings for them until this is answered or declined, or its last reference goes, which declines.
public final class Incoming: Sendable {
    let handle: kring_incoming

    init(_ handle: kring_incoming) { self.handle = handle }

    deinit { kring_incoming_free(handle) }

    /// Who calls.
    public var peer: Peer {
        get throws { try Peer { kring_incoming_peer(handle, $0) } }
    }

    /// What they want to send.
    public var tracks: [Track] {
        get throws { try Kring.tracks { kring_incoming_tracks(handle, $0) } }
    }

    /// Says whom the program takes the caller for: if it is somebody else, the call has no media before a person accepts that.
    ///
    /// - Parameter verified: A person has compared it.
    public func expect(_ identity: Identity, verified: Bool = false) throws {
        try check(kring_incoming_expect(handle, identity.bytes, verified ? 1 : 0))
    }

    /// Waits until the caller has given up.
    ///
    /// - Throws: A ``KringError`` whose `isEnded` is true if it was answered or declined.
    public func givenUp() async throws -> End {
        let handle = handle
        return try await waiting { milliseconds in
            var end = kring_end()
            end.struct_size = size(of: kring_end.self)
            let code = kring_incoming_wait_given_up(handle, milliseconds, &end)
            return (code, End(end: end.end, by: end.by, text: string(end.text)))
        }
    }

    /// Takes the call; uses up both.
    public func answer(_ media: Media) throws -> Call {
        var call: kring_call = 0
        try check(kring_incoming_answer(handle, media.handle, &call))
        return try Call(call)
    }

    /// Does not take the call.
    public func decline() throws { try check(kring_incoming_decline(handle)) }

    /// Does not take the call because of another one.
    public func busy() throws { try check(kring_incoming_busy(handle)) }
}

/// Somebody waits to be let in. When the last reference goes, they are refused.
public final class Knock: Sendable {
    let handle: kring_knock

    init(_ handle: kring_knock) { self.handle = handle }

    deinit { kring_knock_free(handle) }

    /// Who waits.
    public var peer: Peer {
        get throws { try Peer { kring_knock_peer(handle, $0) } }
    }

    /// Waits until they have given up.
    ///
    /// - Throws: A ``KringError`` whose `isEnded` is true if it was decided.
    public func givenUp() async throws {
        let handle = handle
        try await waiting { (kring_knock_wait_given_up(handle, $0), ()) }
    }

    /// Lets them in: now it rings.
    public func admit() throws { try check(kring_knock_admit(handle)) }

    /// Lets them go.
    public func refuse() throws { try check(kring_knock_refuse(handle)) }
}

/// A number of the C interface that is 1 or 0.
private func flag(_ read: (UnsafeMutablePointer<UInt32>) -> Int32) throws -> Bool {
    var flag: UInt32 = 0
    try check(read(&flag))
    return flag != 0
}
