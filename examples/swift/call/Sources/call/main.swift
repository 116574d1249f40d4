// Calls whoever gave out a ticket, or waits to be called: a tone out, what comes into a WAV file.
//
//     swift run --package-path examples/swift/call call [TICKET]
//
// pkg-config has to find libkring (docs/swift.md).
import Foundation
import Kring

/// A line at once, also into a pipe.
func say(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }

let endpoint = try Endpoint()
let media = try Media(name: "Swift", recording: true)
try media.microphone(tone: 600)
try media.speaker(wav: "heard.wav")

let call: Call
if let ticket = CommandLine.arguments.dropFirst().first {
    call = try endpoint.dial(ticket, media)
} else {
    say("call me by \(try await endpoint.ticket())")
    var callers = endpoint.incoming.makeAsyncIterator()
    guard let incoming = await callers.next() else { fatalError("the endpoint is closed") }
    say("\(try incoming.peer.name) calls")
    call = try incoming.answer(media)
}
for await event in call.events {
    switch event {
    case .code(let words, _): say("read this to each other: \(words)")
    case .ended(let end): say("\(end)")
    default: say("\(event)")
    }
}
