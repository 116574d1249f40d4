import CKring

/// Sound that is pushed in as it comes, say from a sound system's callback. It serves one call.
public final class AudioInput: Sendable {
    let handle: kring_audio_input

    /// - Parameter consent: ``Consent/microphone`` if what is pushed comes from one.
    public init(consent: Consent = []) throws {
        var handle: kring_audio_input = 0
        try check(kring_audio_input_new(consent.rawValue, &handle))
        self.handle = handle
    }

    deinit { kring_audio_input_free(handle) }

    /// Takes samples, mono at 48 kHz, the last of which was captured just now. Does not wait; silence is sent where nothing comes in time.
    public func push(_ samples: UnsafeBufferPointer<Float>) throws {
        try check(kring_audio_input_push(handle, samples.baseAddress, samples.count))
    }

    /// Nothing more comes: the track ends after what waits.
    public func end() throws { try check(kring_audio_input_end(handle)) }
}

/// Pictures of one size that are pushed in as they come, say from a camera's callback. It serves one call.
public final class VideoInput: Sendable {
    let handle: kring_video_input
    /// Width and height in pixels.
    public let width, height: Int

    /// - Parameter consent: ``Consent/camera`` or ``Consent/screen`` if what is pushed comes from one.
    public init(width: Int, height: Int, framesPerSecond: Float = 30, consent: Consent = []) throws {
        var handle: kring_video_input = 0
        try check(kring_video_input_new(consent.rawValue, UInt32(width), UInt32(height), framesPerSecond, &handle))
        (self.handle, self.width, self.height) = (handle, width, height)
    }

    deinit { kring_video_input_free(handle) }

    /// Takes a picture that was captured just now: one plane, two or three, as `pixels` has it, rows without gaps. Does not wait.
    public func push(_ pixels: Pixels, _ planes: [UInt8]...) throws {
        try lend(pixels, width, height, planes) { try check(kring_video_input_push(handle, $0)) }
    }

    /// Nothing more comes: the track ends.
    public func end() throws { try check(kring_video_input_end(handle)) }
}
