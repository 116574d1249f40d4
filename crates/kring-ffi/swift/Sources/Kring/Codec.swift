import CKring

/// What pictures are like.
public enum Content: Sendable {
    /// People and rooms: motion and sharpness in balance.
    case camera
    /// Text and drawings: sharpness over motion.
    case screen
    /// Sign language: motion over sharpness.
    case sign

    var raw: UInt32 {
        switch self {
        case .camera: UInt32(KRING_CONTENT_CAMERA)
        case .screen: UInt32(KRING_CONTENT_SCREEN)
        case .sign: UInt32(KRING_CONTENT_SIGN)
        }
    }

    init(_ raw: UInt32) {
        self =
            switch Int32(raw) {
            case KRING_CONTENT_SCREEN: .screen
            case KRING_CONTENT_SIGN: .sign
            default: .camera
            }
    }
}

/// How sound is to be encoded.
public struct AudioSettings: Sendable, Equatable {
    /// Length of a frame in ms: 10, 20, 40, 60 or 120. It may change from one frame to the next.
    public let milliseconds: Int
    /// Payload bits a second.
    public let bitsPerSecond: Int
    /// How many packets get lost, in per cent.
    public let expectedLoss: Int

    init(_ raw: kring_audio_settings) {
        (milliseconds, bitsPerSecond) = (Int(raw.duration_ms), Int(raw.bits_per_second))
        expectedLoss = Int(raw.expected_loss)
    }
}

/// How pictures are to be encoded.
public struct VideoSettings: Sendable, Equatable {
    /// In pixels, even.
    public let width, height: Int
    /// Bits a second to aim for.
    public let bitsPerSecond: Int
    /// Pictures a second.
    public let framesPerSecond: Float
    /// What they are like.
    public let content: Content
    /// 1 to 3.
    public let temporalLayers: Int

    init(_ raw: kring_video_settings) {
        (width, height, bitsPerSecond) = (Int(raw.width), Int(raw.height), Int(raw.bits_per_second))
        (framesPerSecond, content) = (raw.frames_per_second, Content(raw.content))
        temporalLayers = Int(raw.temporal_layers)
    }
}

/// One encoded picture.
public struct EncodedPicture: Sendable {
    /// One access unit; H.264 as in Annex B.
    public var data: [UInt8]
    /// It decodes without any picture before it.
    public var isKeyframe: Bool
    /// No later picture builds on it.
    public var isDiscardable: Bool
    /// The number of the picture that it builds on, counted from 0 as they were put out; `nil` is the one before.
    public var refersTo: UInt32?
    /// 0 is the base.
    public var temporalLayer: UInt32

    public init(
        _ data: [UInt8], isKeyframe: Bool = false, isDiscardable: Bool = false, refersTo: UInt32? = nil,
        temporalLayer: UInt32 = 0
    ) {
        (self.data, self.isKeyframe, self.isDiscardable) = (data, isKeyframe, isDiscardable)
        (self.refersTo, self.temporalLayer) = (refersTo, temporalLayer)
    }
}

/// A picture that a decoder puts out: I420, rows without gaps.
public struct DecodedPicture: Sendable {
    public var width, height: Int
    public var y, u, v: [UInt8]

    public init(width: Int, height: Int, y: [UInt8], u: [UInt8], v: [UInt8]) {
        (self.width, self.height, self.y, self.u, self.v) = (width, height, y, u, v)
    }
}

/// Thrown by a decoder of pictures: one before it is missing, and only a keyframe helps.
public struct NeedsKeyframe: Error {
    public init() {}
}

/// Encodes sound; used by one thread at a time.
public protocol AudioEncoder: AnyObject {
    /// One frame, mono at 48 kHz, as a packet of at most 1,000 bytes. Packets are encrypted with their length in plain sight: where all are of one
    /// length, nothing is given away.
    func encode(_ samples: UnsafeBufferPointer<Float>, _ settings: AudioSettings) throws -> [UInt8]
}

/// Decodes sound; used by one thread at a time.
public protocol AudioDecoder: AnyObject {
    /// A packet, which may come from anyone on the other side, as at most 5,760 samples.
    func decode(_ packet: UnsafeBufferPointer<UInt8>) throws -> [Float]
    /// So many samples for a packet that is not there; silence unless it is written.
    func conceal(_ count: Int) throws -> [Float]
}

extension AudioDecoder {
    public func conceal(_ count: Int) throws -> [Float] { [Float](repeating: 0, count: count) }
}

/// Encodes pictures; used by one thread at a time.
public protocol VideoEncoder: AnyObject {
    /// A picture that was captured so many seconds after the track's start; `nil` if it is skipped to hold the rate.
    func encode(_ picture: Picture, at seconds: Double, keyframe: Bool) throws -> EncodedPicture?
    /// Changes the rates from the next picture on, without a keyframe.
    func set(bitsPerSecond: Int, framesPerSecond: Float) throws
}

/// Decodes pictures; used by one thread at a time.
public protocol VideoDecoder: AnyObject {
    /// What an access unit, which may come from anyone on the other side, shows; `nil` if there is no picture yet.
    func decode(_ data: UnsafeBufferPointer<UInt8>) throws -> DecodedPicture?
}

/// An encoder or decoder as the library holds it, with what has to stay until the next call.
private final class Working<Part> {
    let part: Part
    var held: [UnsafeMutableBufferPointer<UInt8>] = []

    init(_ part: Part) { self.part = part }

    deinit { hold([]) }

    /// Copies bytes to where they stay.
    func hold(_ planes: [[UInt8]]) {
        held.forEach { $0.deallocate() }
        held = planes.map { plane in
            let copy = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: plane.count)
            _ = copy.initialize(from: plane)
            return copy
        }
    }

    func retained() -> UnsafeMutableRawPointer { Unmanaged.passRetained(self as AnyObject).toOpaque() }

    static func of(_ data: UnsafeMutableRawPointer?) -> Working<Part>? {
        data.flatMap { Unmanaged<AnyObject>.fromOpaque($0).takeUnretainedValue() as? Working<Part> }
    }
}

private struct AudioMakers: Sendable {
    let encoder: (@Sendable (AudioSettings) throws -> any AudioEncoder)?
    let decoder: (@Sendable () throws -> any AudioDecoder)?
}

private struct VideoMakers: Sendable {
    let encoder: (@Sendable (VideoSettings) throws -> any VideoEncoder)?
    let decoder: (@Sendable () throws -> any VideoDecoder)?
}

extension Media {
    /// Prefers a codec of the program's own for sound.
    ///
    /// - Parameters:
    ///   - name: The token by which ends agree on it: 1 to 16 of a-z, 0-9 and -. "opus" replaces the library's.
    ///   - encoder, decoder: Make one each. Without one the library's own of that name does its part, or nothing.
    public func audioCodec(
        _ name: String, encoder: (@Sendable (AudioSettings) throws -> any AudioEncoder)? = nil,
        decoder: (@Sendable () throws -> any AudioDecoder)? = nil
    ) throws {
        var codec = kring_audio_codec()
        codec.struct_size = size(of: kring_audio_codec.self)
        codec.user_data = Box(AudioMakers(encoder: encoder, decoder: decoder)).retained()
        codec.drop_fn = release
        if encoder != nil {
            codec.encoder_new = { data, settings, made in
                guard let make = Box<AudioMakers>.of(data)?.encoder, let settings, let made else { return KRING_ERROR_NULL }
                return guarded {
                    made.pointee = Working<any AudioEncoder>(try make(AudioSettings(settings.pointee))).retained()
                    return true
                }
            }
            codec.encode = { encoder, settings, samples, count, packet, capacity, length in
                guard let working = Working<any AudioEncoder>.of(encoder), let settings, let packet, let length else {
                    return KRING_ERROR_NULL
                }
                return guarded {
                    let samples = UnsafeBufferPointer(start: samples, count: count)
                    let bytes = try working.part.encode(samples, AudioSettings(settings.pointee))
                    guard bytes.count <= capacity else { throw tooLong("packet", bytes.count, capacity) }
                    packet.update(from: bytes, count: bytes.count)
                    length.pointee = bytes.count
                    return true
                }
            }
            codec.encoder_free = release
        }
        if decoder != nil {
            codec.decoder_new = { data, made in
                guard let make = Box<AudioMakers>.of(data)?.decoder, let made else { return KRING_ERROR_NULL }
                return guarded {
                    made.pointee = Working<any AudioDecoder>(try make()).retained()
                    return true
                }
            }
            codec.decode = { decoder, packet, bytes, samples, capacity, count in
                guard let working = Working<any AudioDecoder>.of(decoder), let samples, let count else {
                    return KRING_ERROR_NULL
                }
                return guarded {
                    let decoded = try working.part.decode(UnsafeBufferPointer(start: packet, count: bytes))
                    guard decoded.count <= capacity else { throw tooLong("sound", decoded.count, capacity) }
                    samples.update(from: decoded, count: decoded.count)
                    count.pointee = decoded.count
                    return true
                }
            }
            codec.conceal = { decoder, samples, count in
                guard let working = Working<any AudioDecoder>.of(decoder), let samples else { return KRING_ERROR_NULL }
                return guarded {
                    let madeUp = try working.part.conceal(count)
                    guard madeUp.count == count else { throw tooLong("sound", madeUp.count, count) }
                    samples.update(from: madeUp, count: count)
                    return true
                }
            }
            codec.decoder_free = release
        }
        try name.withCString {
            codec.name = $0
            try check(kring_media_audio_codec(handle, &codec))
        }
    }

    /// Prefers a codec of the program's own for pictures, as ``audioCodec(_:encoder:decoder:)`` does for sound; "h264" replaces the library's.
    public func videoCodec(
        _ name: String, encoder: (@Sendable (VideoSettings) throws -> any VideoEncoder)? = nil,
        decoder: (@Sendable () throws -> any VideoDecoder)? = nil
    ) throws {
        var codec = kring_video_codec()
        codec.struct_size = size(of: kring_video_codec.self)
        codec.user_data = Box(VideoMakers(encoder: encoder, decoder: decoder)).retained()
        codec.drop_fn = release
        if encoder != nil {
            codec.encoder_new = { data, settings, made in
                guard let make = Box<VideoMakers>.of(data)?.encoder, let settings, let made else { return KRING_ERROR_NULL }
                return guarded {
                    made.pointee = Working<any VideoEncoder>(try make(VideoSettings(settings.pointee))).retained()
                    return true
                }
            }
            codec.encode = { encoder, picture, at, keyframe, encoded in
                guard let working = Working<any VideoEncoder>.of(encoder), let picture, let encoded else {
                    return KRING_ERROR_NULL
                }
                return guarded {
                    let seconds = Double(at) / 1e6
                    let put = try working.part.encode(Picture(picture.pointee), at: seconds, keyframe: keyframe != 0)
                    guard let put else { return true }
                    working.hold([put.data])
                    encoded.pointee.flags =
                        (put.isKeyframe ? UInt32(KRING_ENCODED_KEYFRAME) : 0)
                        | (put.isDiscardable ? UInt32(KRING_ENCODED_DISCARDABLE) : 0)
                    if let number = put.refersTo { encoded.pointee.refers_to = number }
                    encoded.pointee.temporal_layer = put.temporalLayer
                    encoded.pointee.data = UnsafePointer(working.held[0].baseAddress)
                    encoded.pointee.length = put.data.count
                    return true
                }
            }
            codec.set_rate = { encoder, bits, frames in
                guard let working = Working<any VideoEncoder>.of(encoder) else { return KRING_ERROR_NULL }
                return guarded {
                    try working.part.set(bitsPerSecond: Int(bits), framesPerSecond: frames)
                    return true
                }
            }
            codec.encoder_free = release
        }
        if decoder != nil {
            codec.decoder_new = { data, made in
                guard let make = Box<VideoMakers>.of(data)?.decoder, let made else { return KRING_ERROR_NULL }
                return guarded {
                    made.pointee = Working<any VideoDecoder>(try make()).retained()
                    return true
                }
            }
            codec.decode = { decoder, data, length, picture in
                guard let working = Working<any VideoDecoder>.of(decoder), let picture else { return KRING_ERROR_NULL }
                do {
                    let shown = try working.part.decode(UnsafeBufferPointer(start: data, count: length))
                    guard let shown else { return KRING_OK }
                    let planes = [shown.y, shown.u, shown.v]
                    working.hold(planes)
                    let size = picture.pointee.struct_size
                    try lend(.i420, shown.width, shown.height, planes) { picture.pointee = $0.pointee }
                    picture.pointee.struct_size = size
                    picture.pointee.y = UnsafePointer(working.held[0].baseAddress)
                    picture.pointee.u = UnsafePointer(working.held[1].baseAddress)
                    picture.pointee.v = UnsafePointer(working.held[2].baseAddress)
                    return KRING_OK
                } catch is NeedsKeyframe {
                    return KRING_ERROR_STATE
                } catch {
                    return KRING_ERROR_ARGUMENT
                }
            }
            codec.decoder_free = release
        }
        try name.withCString {
            codec.name = $0
            try check(kring_media_video_codec(handle, &codec))
        }
    }
}

private func tooLong(_ what: String, _ count: Int, _ capacity: Int) -> KringError {
    KringError(code: KRING_ERROR_ARGUMENT, message: "expected \(what) of at most \(capacity), got \(count)")
}
