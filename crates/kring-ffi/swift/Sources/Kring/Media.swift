import CKring

/// What a block of sound is made of.
public enum Played: Sendable, Equatable {
    /// Nothing has come yet: silence.
    case waiting
    /// Sound that came over the network.
    case decoded
    /// Sound made up for what is missing.
    case concealed
}

/// A picture in I420, video range. Its planes are good until the function that was given it returns: copy what is to last.
public struct Picture {
    /// Width and height in pixels, even.
    public let width, height: Int
    /// Luma, and blue and red difference halved both ways; rows without gaps.
    public let y, u, v: UnsafeBufferPointer<UInt8>
}

/// What one side sends in a call and where it plays what comes. Everything is optional. Dialling or answering uses it up; after that its
/// functions throw.
public final class Media: Sendable {
    let handle: kring_media

    /// Begins with nothing.
    ///
    /// - Parameters:
    ///   - consent: The devices that a person lets this call open.
    ///   - name: How this side wants to be called; the other side sees it, and that nobody has checked it.
    ///   - maxRate: The most that sound and pictures may take, in bit/s.
    ///   - recording: Says that a sink records, so that the other side is told before the first sample.
    public init(consent: Consent = [], name: String = "", maxRate: UInt32? = nil, recording: Bool = false) throws {
        var handle: kring_media = 0
        try check(kring_media_new(consent.rawValue, &handle))
        self.handle = handle
        try check(kring_media_name(handle, name))
        try check(kring_media_recording(handle, recording ? 1 : 0))
        if let maxRate { try check(kring_media_max_rate(handle, maxRate)) }
    }

    deinit { kring_media_free(handle) }

    /// Sends a tone.
    public func microphone(tone hertz: Double, level dbfs: Double = -20) throws {
        try check(kring_media_microphone_tone(handle, hertz, dbfs))
    }

    /// Sends a WAV file, in real time.
    public func microphone(wav path: String, repeats: Bool = false) throws {
        try check(kring_media_microphone_wav(handle, path, repeats ? 1 : 0))
    }

    /// Sends what a microphone takes in; needs ``Consent/microphone``. `nil` is the system's default.
    public func microphone(device: String?) throws {
        try check(with(device) { kring_media_microphone_device(handle, $0) })
    }

    /// Sends what `read` writes: mono at 48 kHz, -1 to 1, zero at first. It is called on a thread of the library's, when the block is due;
    /// where it gives `false`, the sound ends with this block.
    public func microphone(
        consent: Consent = [], _ read: @escaping @Sendable (UnsafeMutableBufferPointer<Float>) throws -> Bool
    ) throws {
        var source = kring_audio_source()
        source.struct_size = size(of: kring_audio_source.self)
        source.flags = UInt32(KRING_PACED)
        source.consent = consent.rawValue
        source.user_data = Box(read).retained()
        source.read = { data, samples, count, _ in
            guard let read = Box<@Sendable (UnsafeMutableBufferPointer<Float>) throws -> Bool>.of(data) else {
                return KRING_ERROR_NULL
            }
            return guarded { try read(UnsafeMutableBufferPointer(start: samples, count: count)) }
        }
        source.drop_fn = release
        try check(kring_media_microphone_source(handle, &source))
    }

    /// Sends a test card.
    public func camera(testCard width: UInt32, _ height: UInt32, framesPerSecond: Float = 30) throws {
        try check(kring_media_camera_test_card(handle, width, height, framesPerSecond))
    }

    /// Sends a Y4M file, in real time.
    public func camera(y4m path: String, repeats: Bool = false) throws {
        try check(kring_media_camera_y4m(handle, path, repeats ? 1 : 0))
    }

    /// Sends what a camera takes in; needs ``Consent/camera``. `nil` is the system's default.
    public func camera(
        device: String?, width: UInt32 = 640, height: UInt32 = 360, framesPerSecond: Float = 30
    ) throws {
        try check(with(device) { kring_media_camera_device(handle, $0, width, height, framesPerSecond) })
    }

    /// Plays by a speaker. `nil` is the system's default.
    public func speaker(device: String?) throws {
        try check(with(device) { kring_media_speaker_device(handle, $0) })
    }

    /// Plays into a WAV file, in real time.
    public func speaker(wav path: String) throws {
        try check(kring_media_speaker_wav(handle, path))
    }

    /// Hands what is to be heard to `play`, in real time, on a thread of the library's. The samples are good until it returns.
    public func speaker(_ play: @escaping @Sendable (UnsafeBufferPointer<Float>, Played) throws -> Void) throws {
        var sink = kring_audio_sink()
        sink.struct_size = size(of: kring_audio_sink.self)
        sink.flags = UInt32(KRING_PACED)
        sink.user_data = Box(play).retained()
        sink.play = { data, samples, count, what, _ in
            guard let play = Box<@Sendable (UnsafeBufferPointer<Float>, Played) throws -> Void>.of(data) else {
                return KRING_ERROR_NULL
            }
            let played: Played =
                switch Int32(what) {
                case KRING_PLAYED_DECODED: .decoded
                case KRING_PLAYED_CONCEALED: .concealed
                default: .waiting
                }
            return guarded {
                try play(UnsafeBufferPointer(start: samples, count: count), played)
                return true
            }
        }
        sink.drop_fn = release
        try check(kring_media_speaker_sink(handle, &sink))
    }

    /// Shows to a Y4M file, scaled.
    public func view(y4m path: String, width: UInt32, height: UInt32, framesPerSecond: Float) throws {
        try check(kring_media_view_y4m(handle, path, width, height, framesPerSecond))
    }

    /// Hands each picture to `show` when it is to be seen, on a thread of the library's.
    public func view(_ show: @escaping @Sendable (Picture) throws -> Void) throws {
        var sink = kring_video_sink()
        sink.struct_size = size(of: kring_video_sink.self)
        sink.user_data = Box(show).retained()
        sink.show = { data, picture in
            guard let show = Box<@Sendable (Picture) throws -> Void>.of(data), let raw = picture?.pointee else {
                return KRING_ERROR_NULL
            }
            let (width, height) = (Int(raw.width), Int(raw.height))
            let quarter = width * height / 4
            return guarded {
                try show(
                    Picture(
                        width: width, height: height, y: UnsafeBufferPointer(start: raw.y, count: 4 * quarter),
                        u: UnsafeBufferPointer(start: raw.u, count: quarter),
                        v: UnsafeBufferPointer(start: raw.v, count: quarter)))
                return true
            }
        }
        sink.drop_fn = release
        try check(kring_media_view_sink(handle, &sink))
    }
}

/// Something of Swift's that the library holds on to until it drops it.
final class Box<Content: Sendable>: Sendable {
    let content: Content

    init(_ content: Content) { self.content = content }

    func retained() -> UnsafeMutableRawPointer { Unmanaged.passRetained(self as AnyObject).toOpaque() }

    static func of(_ data: UnsafeMutableRawPointer?) -> Content? {
        guard let data else { return nil }
        return (Unmanaged<AnyObject>.fromOpaque(data).takeUnretainedValue() as? Box<Content>)?.content
    }
}

/// What the library calls when it lets go of a ``Box``.
let release: @convention(c) (UnsafeMutableRawPointer?) -> Void = { data in
    if let data { Unmanaged<AnyObject>.fromOpaque(data).release() }
}

/// Runs a program's own function for the library, which no error may reach: one that throws stops its source or sink.
private func guarded(_ body: () throws -> Bool) -> Int32 {
    do {
        return try body() ? KRING_OK : KRING_ERROR_ENDED
    } catch {
        return KRING_ERROR_ARGUMENT
    }
}
