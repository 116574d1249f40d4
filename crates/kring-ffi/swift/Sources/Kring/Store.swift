import CKring

/// A place for an identity, tickets and contacts, which are secrets.
public final class Store: Sendable {
    /// What is kept.
    public enum Item: UInt32, Sendable, CaseIterable {
        case identity, tickets, contacts, passcodes
    }

    let handle: kring_store

    private init(_ make: (UnsafeMutablePointer<kring_store>) -> Int32) throws {
        var handle: kring_store = 0
        try check(make(&handle))
        self.handle = handle
    }

    deinit { kring_store_free(handle) }

    /// Plain files, for their owner only.
    public static func files(_ folder: String) throws -> Store { try Store { kring_store_files(folder, $0) } }

    /// Files, sealed with a key of the system's key store where the library knows one.
    public static func best(_ folder: String) throws -> Store { try Store { kring_store_best(folder, $0) } }

    /// Files, sealed with a key of the system's key store.
    public static func system(_ folder: String) throws -> Store { try Store { kring_store_system(folder, $0) } }

    /// A place of the program's own. The functions are called on any thread, one at a time for each item, and must not use this package.
    ///
    /// - Parameters:
    ///   - load: What was saved last of an item; `nil` if nothing was.
    ///   - save: Replaces it, whole or not at all, and returns once it would survive a crash.
    public convenience init(
        load: @escaping @Sendable (Item) throws -> [UInt8]?, save: @escaping @Sendable (Item, [UInt8]) throws -> Void
    ) throws {
        var functions = kring_store_callbacks()
        functions.struct_size = size(of: kring_store_callbacks.self)
        functions.user_data = Box(Functions(load: load, save: save)).retained()
        functions.load = { data, item, buffer, capacity, length in
            guard let own = Box<Functions>.of(data), let item = Item(rawValue: item), let buffer, let length else {
                return KRING_ERROR_NULL
            }
            do {
                guard let bytes = try own.load(item) else { return KRING_ERROR_NOT_FOUND }
                guard bytes.count <= capacity else { return KRING_ERROR_BUFFER }
                buffer.update(from: bytes, count: bytes.count)
                length.pointee = bytes.count
                return KRING_OK
            } catch {
                return KRING_ERROR_STORE
            }
        }
        functions.save = { data, item, bytes, length in
            guard let own = Box<Functions>.of(data), let item = Item(rawValue: item) else { return KRING_ERROR_NULL }
            return guarded {
                try own.save(item, Array(UnsafeBufferPointer(start: bytes, count: length)))
                return true
            }
        }
        functions.drop_fn = release
        try self.init { kring_store_new(&functions, $0) }
    }

    private struct Functions: Sendable {
        let load: @Sendable (Item) throws -> [UInt8]?
        let save: @Sendable (Item, [UInt8]) throws -> Void
    }
}
