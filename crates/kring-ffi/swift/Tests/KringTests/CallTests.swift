import Foundation
import Kring
import XCTest

/// Real calls over loopback: between two endpoints of Swift's, and with the `kring` caller where KRING_CALLER names it.
final class CallTests: XCTestCase {
    private func endpoint() throws -> Endpoint { try Endpoint(.init(bind: "127.0.0.1:0")) }

    private func first<Element: Sendable>(_ stream: AsyncStream<Element>) async throws -> Element {
        for await element in stream { return element }
        throw XCTSkip("the stream is over")
    }

    func testTwoEndpointsHearAndSeeEachOther() async throws {
        let (anna, ben) = (try endpoint(), try endpoint())
        let out = try Media(name: "Anna")
        try out.microphone(tone: 600)
        try out.camera(testCard: 320, 180)
        let call = try anna.dial(try await ben.ticket(), out)

        let incoming = try await first(ben.incoming)
        XCTAssertEqual(try incoming.peer.name, "Anna")
        XCTAssertEqual(try incoming.peer.identity, try anna.identity)
        XCTAssertEqual(try incoming.tracks.map(\.codec), ["opus", "h264"])
        let (heard, seen) = (Gathered<Float>(), Gathered<Int>())
        let answer = try Media(name: "Ben")
        try answer.speaker { samples, played in if played == .decoded { heard.add(samples) } }
        try answer.view { picture in seen.add([picture.width]) }
        let answered = try incoming.answer(answer)

        try await call.connected()
        var (words, other) = ("", "")
        for await event in call.events {
            if case .code(let code, _) = event { words = code; break }
        }
        for await event in answered.events {
            if case .code(let code, _) = event { other = code; break }
        }
        XCTAssertEqual(words.split(separator: " ").count, 4)
        XCTAssertEqual(words, other)
        XCTAssertEqual(try call.safetyNumber, try answered.safetyNumber)

        try await eventually { heard.count > 48_000 && seen.count > 10 }
        XCTAssertGreaterThan(share(of: 600, heard.last(4800)), 0.9)
        let higher = try Media()
        try higher.microphone(tone: 900)
        try call.switch(to: higher)
        try await eventually { share(of: 900, heard.last(4800)) > 0.9 }
        XCTAssertTrue(try call.statistics.contains("\"bytesSent\""))
        let own = try await call.hangUp()
        XCTAssertEqual(own.by, .thisSide)
        let end = try await answered.ended()
        XCTAssertEqual(end.reason, .hungUp)
        XCTAssertEqual(end.by, .otherSide)
    }

    func testOwnSoundIsHeardAndItsErrorEndsOnlyTheTrack() async throws {
        let (anna, ben) = (try endpoint(), try endpoint())
        let out = try Media()
        let phase = Gathered<Double>()
        try out.microphone { samples in
            if phase.count > 100 { throw CancellationError() }
            for i in samples.indices {
                samples[i] = Float(sin(2 * .pi * 500 * Double(phase.count * samples.count + i) / 48_000) * 0.3)
            }
            phase.add([0])
            return true
        }
        let call = try anna.dial(try await ben.ticket(), out)
        let heard = Gathered<Float>()
        let media = try Media()
        try media.speaker { samples, played in if played == .decoded { heard.add(samples) } }
        let answered = try await first(ben.incoming).answer(media)
        var stopped = false
        for await event in call.events {
            if case .mediaStopped(let what, _) = event {
                stopped = what == "microphone"
                break
            }
        }
        XCTAssertTrue(stopped)
        XCTAssertGreaterThan(heard.count, 4800)
        try await call.hangUp()
        _ = try await answered.ended()
    }

    func testOwnPicturesAreSeenInTheirColours() async throws {
        let (anna, ben) = (try endpoint(), try endpoint())
        let red = [[UInt8]](repeating: [255, 0, 0, 255], count: 64 * 32).flatMap { $0 }
        let out = try Media()
        try out.camera(width: 64, height: 32) { picture in
            try picture.fill(.rgba, red)
            return true
        }
        let seen = Gathered<[UInt8]>()
        let answer = try Media()
        try answer.view { picture in seen.add([Array(try picture.colours().prefix(4))]) }
        let call = try anna.dial(try await ben.ticket(), out)
        let answered = try await first(ben.incoming).answer(answer)
        try await eventually { seen.last(1).first.map { $0[0] > 220 && $0[1] < 40 && $0[3] == 255 } ?? false }

        let pushed = try VideoInput(width: 64, height: 32)
        let other = try Media()
        try other.camera(pushed)
        try call.switch(to: other)
        let grey = [UInt8](repeating: 128, count: 64 * 32)
        try await eventually {
            try? pushed.push(.nv12, grey, [UInt8](repeating: 128, count: 64 * 16))
            return seen.last(1).first.map { $0[0].distance(to: $0[2]).magnitude < 20 } ?? false
        }
        XCTAssertThrowsError(try pushed.push(.rgba, grey))
        try await call.hangUp()
        _ = try await answered.ended()
    }

    func testOwnCodecsEncodeAndDecode() async throws {
        let (anna, ben) = (try endpoint(), try endpoint())
        let media: @Sendable () throws -> Media = {
            let media = try Media()
            try media.audioCodec("swift-8bit", encoder: { _ in Sound() }, decoder: { Sound() })
            try media.videoCodec("swift-grey", encoder: { _ in Grey() }, decoder: { Grey() })
            return media
        }
        let out = try media()
        try out.microphone(tone: 300)
        try out.camera(width: 64, height: 32) { picture in
            picture.y.update(repeating: 77)
            return true
        }
        let (heard, seen) = (Gathered<Float>(), Gathered<UInt8>())
        let answer = try media()
        try answer.speaker { samples, played in if played == .decoded { heard.add(samples) } }
        try answer.view { picture in seen.add([picture.y[5]]) }
        let call = try anna.dial(try await ben.ticket(), out)
        let answered = try await first(ben.incoming).answer(answer)
        try await call.connected()
        XCTAssertEqual(try answered.peerTracks.map(\.codec), ["swift-8bit", "swift-grey"])
        try await eventually { heard.count > 24_000 && share(of: 300, heard.last(4800)) > 0.9 && seen.last(1) == [77] }
        try await call.hangUp()
        _ = try await answered.ended()
    }

    func testAnOwnStoreKeepsAndWhoIsNotExpectedHasNoMedia() async throws {
        let kept = Shelf()
        let store = try Store(load: { kept[$0] }, save: { kept[$0] = $1 })
        var options = Endpoint.Options(bind: "127.0.0.1:0")
        options.store = store
        let identity = try Endpoint(options).identity
        let (anna, ben) = (try Endpoint(options), try endpoint())
        XCTAssertEqual(try anna.identity, identity)
        _ = try await anna.ticket()
        let issued = try XCTUnwrap(try anna.tickets.first)
        try await anna.revoke(ticket: issued.id)
        XCTAssertEqual(try anna.tickets, [])

        let known = try ben.dial(try await anna.ticket(), expecting: identity, verified: true, try Media())
        let answered = try await first(anna.incoming).answer(try Media())
        try await known.connected()
        guard case .verified = try known.peer.trust else { return XCTFail("it was compared") }
        XCTAssertTrue(try known.safety.isPostQuantum)
        try known.mute(microphone: true)
        XCTAssertTrue(try known.isMicrophoneMuted)
        try await known.hangUp()
        _ = try await answered.ended()

        let stranger = try ben.dial(try await anna.ticket(), expecting: try ben.identity, try Media())
        var changed = false
        for await event in stranger.events {
            if case .keyChanged(let came, _) = event {
                changed = came == identity.fingerprint
                break
            }
        }
        XCTAssertTrue(changed)
    }

    func testTheLogHasLinesOfKringOnly() async throws {
        let lines = Gathered<String>()
        try Library.log(.debug) { _, part, text in lines.add([part + ": " + text]) }
        defer { try? Library.log(.off) { _, _, _ in } }
        let (anna, ben) = (try endpoint(), try endpoint())
        let ticket = try await anna.ticket()
        try await anna.revoke(ticket: try XCTUnwrap(try anna.tickets.first).id)
        let call = try ben.dial(ticket, try Media())
        try await eventually { lines.last(100).contains { $0.contains("dropped an incoming handshake") } }
        XCTAssertTrue(lines.last(1000).allSatisfy { $0.hasPrefix("kring") && !$0.contains(ticket) })
        _ = call
    }

    func testWhatIsNoLongerHeldHangsUpAndWhatIsUsedUpThrows() async throws {
        let (anna, ben) = (try endpoint(), try endpoint())
        let media = try Media()
        var call: Call? = try anna.dial(try await ben.ticket(), media)
        XCTAssertThrowsError(try media.microphone(tone: 440))
        let answered = try await first(ben.incoming).answer(try Media())
        try await call?.connected()
        call = nil
        let end = try await answered.ended()
        XCTAssertEqual(end.reason, .hungUp)
        XCTAssertThrowsError(try anna.dial("kring1nonsense", try Media()))
        try await ben.close()
        for await _ in ben.incoming { XCTFail("nobody calls one who is gone") }
    }

    func testAWaitEndsWithItsTask() async throws {
        let (anna, ben) = (try endpoint(), try endpoint())
        let call = try anna.dial(try await ben.ticket(), try Media())
        let waiting = Task { try await call.connected() }
        waiting.cancel()
        do {
            try await waiting.value
            XCTFail("nobody answers")
        } catch is CancellationError {}
    }

    func testACallWithTheCaller() async throws {
        guard let caller = ProcessInfo.processInfo.environment["KRING_CALLER"] else {
            throw XCTSkip("KRING_CALLER does not name the kring caller")
        }
        let ben = try endpoint()
        let program = Process()
        program.executableURL = URL(fileURLWithPath: caller)
        program.arguments = [
            "call", try await ben.ticket(), "--mic", "tone", "--speaker", "none", "--camera", "none", "--for", "4",
            "--home", NSTemporaryDirectory() + "kring-swift-\(ProcessInfo.processInfo.processIdentifier)",
        ]
        program.standardInput = FileHandle.nullDevice
        try program.run()
        let heard = Gathered<Float>()
        let media = try Media(name: "Swift")
        try media.microphone(tone: 600)
        try media.speaker { samples, played in if played == .decoded { heard.add(samples) } }
        let call = try await first(ben.incoming).answer(media)
        try await call.connected()
        let end = try await call.ended()
        program.waitUntilExit()
        XCTAssertEqual(end.by, .otherSide)
        XCTAssertGreaterThan(heard.count, 48_000)
        XCTAssertGreaterThan(share(of: 440, heard.last(4800)), 0.9)
    }
}

/// What threads of the library's have brought.
private final class Gathered<Element: Sendable>: @unchecked Sendable {
    private let lock = NSLock()
    private var elements: [Element] = []

    func add(_ more: some Sequence<Element>) { lock.withLock { elements.append(contentsOf: more) } }

    var count: Int { lock.withLock { elements.count } }

    func last(_ count: Int) -> [Element] { lock.withLock { elements.suffix(count) } }
}

/// What a store of the program's own keeps.
private final class Shelf: @unchecked Sendable {
    private let lock = NSLock()
    private var items: [Store.Item: [UInt8]] = [:]

    subscript(item: Store.Item) -> [UInt8]? {
        get { lock.withLock { items[item] } }
        set { lock.withLock { items[item] = newValue } }
    }
}

/// Each tenth sample in eight bits.
private final class Sound: AudioEncoder, AudioDecoder {
    func encode(_ samples: UnsafeBufferPointer<Float>, _ settings: AudioSettings) -> [UInt8] {
        stride(from: 0, to: samples.count, by: 10).map { UInt8(128 + 120 * samples[$0]) }
    }

    func decode(_ packet: UnsafeBufferPointer<UInt8>) -> [Float] {
        packet.flatMap { [Float](repeating: (Float($0) - 128) / 120, count: 10) }
    }
}

/// The shade of the first pixel.
private final class Grey: VideoEncoder, VideoDecoder {
    func encode(_ picture: Picture, at seconds: Double, keyframe: Bool) -> EncodedPicture? {
        EncodedPicture([picture.y[0]], isKeyframe: true)
    }

    func set(bitsPerSecond: Int, framesPerSecond: Float) {}

    func decode(_ data: UnsafeBufferPointer<UInt8>) -> DecodedPicture? {
        let chroma = [UInt8](repeating: 128, count: 512)
        let luma = [UInt8](repeating: data[0], count: 2048)
        return DecodedPicture(width: 64, height: 32, y: luma, u: chroma, v: chroma)
    }
}

private func eventually(_ fits: () -> Bool) async throws {
    for _ in 0..<500 {
        if fits() { return }
        try await Task.sleep(nanoseconds: 20_000_000)
    }
    XCTFail("takes too long")
}

/// How much of it is a sine of so many hertz: 0 to 1.
private func share(of hertz: Double, _ samples: [Float]) -> Double {
    var (re, im, all) = (0.0, 0.0, 1e-12)
    for (n, x) in samples.enumerated() {
        let phase = 2 * Double.pi * hertz * Double(n) / 48_000
        re += Double(x) * cos(phase)
        im += Double(x) * sin(phase)
        all += Double(x * x)
    }
    return 2 * (re * re + im * im) / (all * Double(max(1, samples.count)))
}
