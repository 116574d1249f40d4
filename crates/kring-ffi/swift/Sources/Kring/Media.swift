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

    /// What the pictures are like.
    public func content(_ content: Content) throws {
        try check(kring_media_content(handle, content.raw))
    }

    /// How much sound goes into a packet, come what may: 10, 20, 40, 60 or 120 ms.
    public func frameDuration(milliseconds: UInt32) throws {
        try check(kring_media_frame_duration(handle, milliseconds))
    }

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

    /// Sends what is pushed into `input`.
    public func microphone(_ input: AudioInput) throws {
        try check(kring_media_microphone_input(handle, input.handle))
    }

    /// Sends what `read` writes into the picture it is given, which holds the one before (``MutablePicture/fill(_:_:)`` converts). It is called on a thread of the
    /// library's, when a picture is due; where it gives `false`, the pictures end with this one.
    public func camera(
        width: UInt32, height: UInt32, framesPerSecond: Float = 30, consent: Consent = [],
        _ read: @escaping @Sendable (MutablePicture) throws -> Bool
    ) throws {
        var source = kring_video_source()
        source.struct_size = size(of: kring_video_source.self)
        source.flags = UInt32(KRING_PACED)
        source.consent = consent.rawValue
        (source.width, source.height, source.frames_per_second) = (width, height, framesPerSecond)
        source.user_data = Box(read).retained()
        source.read = { data, picture, _ in
            guard let read = Box<@Sendable (MutablePicture) throws -> Bool>.of(data), let raw = picture?.pointee else {
                return KRING_ERROR_NULL
            }
            return guarded { try read(MutablePicture(raw)) }
        }
        source.drop_fn = release
        try check(kring_media_camera_source(handle, &source))
    }

    /// Sends what is pushed into `input`.
    public func camera(_ input: VideoInput) throws {
        try check(kring_media_camera_input(handle, input.handle))
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

    /// Plays into nothing, in real time.
    public func speakerNone() throws { try check(kring_media_speaker_none(handle)) }

    /// Decodes the pictures and shows them to nobody.
    public func viewNone() throws { try check(kring_media_view_none(handle)) }

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
            return guarded {
                try show(Picture(raw))
                return true
            }
        }
        sink.drop_fn = release
        try check(kring_media_view_sink(handle, &sink))
    }
}
