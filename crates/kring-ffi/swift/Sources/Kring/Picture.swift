import CKring

/// How the pixels of a picture lie: in three planes, in two, or in one of four bytes a pixel.
public enum Pixels: Sendable {
    case i420, nv12, rgba, bgra

    var raw: UInt32 {
        switch self {
        case .i420: UInt32(KRING_PIXELS_I420)
        case .nv12: UInt32(KRING_PIXELS_NV12)
        case .rgba: UInt32(KRING_PIXELS_RGBA)
        case .bgra: UInt32(KRING_PIXELS_BGRA)
        }
    }

    /// How long each plane's rows are, without gaps, and how many rows there are.
    func planes(_ width: Int, _ height: Int) -> [(stride: Int, rows: Int)] {
        switch self {
        case .i420: [(width, height), (width / 2, height / 2), (width / 2, height / 2)]
        case .nv12: [(width, height), (width, height / 2)]
        case .rgba, .bgra: [(4 * width, height)]
        }
    }
}

/// A picture in I420, video range. Its planes are good until the function that was given it returns: copy what is to last.
public struct Picture {
    /// Width and height in pixels, even.
    public let width, height: Int
    /// Luma, and blue and red difference halved both ways; rows without gaps.
    public let y, u, v: UnsafeBufferPointer<UInt8>
    private let raw: kring_picture

    init(_ raw: kring_picture) {
        self.raw = raw
        (width, height) = (Int(raw.width), Int(raw.height))
        let quarter = width * height / 4
        y = UnsafeBufferPointer(start: raw.y, count: 4 * quarter)
        u = UnsafeBufferPointer(start: raw.u, count: quarter)
        v = UnsafeBufferPointer(start: raw.v, count: quarter)
    }

    /// The same in colours, rows without gaps.
    ///
    /// - Parameter pixels: ``Pixels/rgba`` or ``Pixels/bgra``.
    public func colours(_ pixels: Pixels = .rgba) throws -> [UInt8] {
        var out = [UInt8](repeating: 0, count: 4 * width * height)
        let count = out.count
        var raw = raw
        try check(kring_picture_to_rgba(&raw, pixels.raw, &out, 4 * width, count))
        return out
    }
}

/// A picture in I420 that is to be written, until the function that was given it returns.
public struct MutablePicture {
    /// Width and height in pixels, even.
    public let width, height: Int
    /// Luma, and blue and red difference halved both ways; rows without gaps.
    public let y, u, v: UnsafeMutableBufferPointer<UInt8>
    private let raw: kring_picture_buffer

    init(_ raw: kring_picture_buffer) {
        self.raw = raw
        (width, height) = (Int(raw.width), Int(raw.height))
        let quarter = width * height / 4
        y = UnsafeMutableBufferPointer(start: raw.y, count: 4 * quarter)
        u = UnsafeMutableBufferPointer(start: raw.u, count: quarter)
        v = UnsafeMutableBufferPointer(start: raw.v, count: quarter)
    }

    /// Takes over the pixels of a picture of this size: one plane, two or three, as `pixels` has it, rows without gaps.
    public func fill(_ pixels: Pixels, _ planes: [UInt8]...) throws {
        var raw = raw
        try lend(pixels, width, height, planes) { try check(kring_picture_fill(&raw, $0)) }
    }
}

/// Lends planes, rows without gaps, to a function of the C interface.
func lend<Result>(
    _ pixels: Pixels, _ width: Int, _ height: Int, _ planes: [[UInt8]],
    _ body: (UnsafePointer<kring_picture>) throws -> Result
) throws -> Result {
    let layout = pixels.planes(width, height)
    guard planes.map(\.count) == layout.map({ $0.stride * $0.rows }) else {
        throw KringError(
            code: KRING_ERROR_ARGUMENT, message: "expected planes of \(layout.map { $0.stride * $0.rows }) bytes")
    }
    var raw = kring_picture()
    raw.struct_size = size(of: kring_picture.self)
    raw.pixels = pixels.raw
    (raw.width, raw.height) = (UInt32(width), UInt32(height))
    raw.y_stride = layout[0].stride
    raw.u_stride = layout.count > 1 ? layout[1].stride : 0
    raw.v_stride = layout.count > 2 ? layout[2].stride : 0
    return try planes[0].withUnsafeBufferPointer { y in
        try (planes.count > 1 ? planes[1] : []).withUnsafeBufferPointer { u in
            try (planes.count > 2 ? planes[2] : []).withUnsafeBufferPointer { v in
                raw.y = y.baseAddress
                if planes.count > 1 { raw.u = u.baseAddress }
                if planes.count > 2 { raw.v = v.baseAddress }
                return try body(&raw)
            }
        }
    }
}
