import CKring
import Dispatch
import Foundation

/// How long a wait in the library takes at most before it is asked whether the task was cancelled, in ms.
private let slice: Int32 = 100

private let queue = DispatchQueue(label: "kring.waiting", attributes: .concurrent)

private final class Flag: @unchecked Sendable {
    private let lock = NSLock()
    private var raised = false

    var isRaised: Bool {
        lock.lock()
        defer { lock.unlock() }
        return raised
    }

    func raise() {
        lock.lock()
        defer { lock.unlock() }
        raised = true
    }
}

/// Waits for what blocks on a thread outside of Swift's own few. `step` waits so many ms and gives a result of the C interface;
/// where that is "not in time", it is asked again, unless the task was cancelled.
func waiting<Value: Sendable>(
    _ step: @escaping @Sendable (Int32) -> (Int32, Value)
) async throws -> Value {
    let cancelled = Flag()
    return try await withTaskCancellationHandler {
        try await withCheckedThrowingContinuation { continuation in
            queue.async {
                while !cancelled.isRaised {
                    let (code, value) = step(slice)
                    if code == KRING_ERROR_TIMEOUT { continue }
                    do {
                        try check(code)
                        continuation.resume(returning: value)
                    } catch {
                        continuation.resume(throwing: error)
                    }
                    return
                }
                continuation.resume(throwing: CancellationError())
            }
        }
    } onCancel: {
        cancelled.raise()
    }
}

/// Does what takes a disk's time, or some tenths of a second, on a thread outside of Swift's own few.
func aside<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        queue.async { continuation.resume(with: Result(catching: work)) }
    }
}
