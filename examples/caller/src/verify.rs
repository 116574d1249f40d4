//! Who is there, in words for people: the code to compare, the safety number, and a key that has changed.

use crate::output::Output;
use crate::qr;
use kring::{Call, Code, Who};
use serde_json::{Value, json};

/// A code as people read it to each other, and as JSON.
pub(crate) fn code(code: &Code) -> (Value, String) {
    let emoji = code.emoji().map(|emoji| emoji.to_string());
    let text = format!("code: {code} ({}); if the other person reads another, hang up", emoji.join(", "));
    (json!({"words": code.words(), "emoji": emoji}), text)
}

/// What is known about whose identity the other side has, in a word.
pub(crate) fn word(who: Option<&Who>) -> &'static str {
    match who {
        Some(Who::Verified(_)) => "verified",
        Some(Who::KeyChanged(_)) => "KEY CHANGED",
        Some(Who::Unverified(_)) | None => "unverified",
    }
}

/// Shows the safety number, and on a terminal its QR code, for the other person to scan.
pub(crate) fn show_number(call: &Call, output: &Output) {
    let (Some(number), Some(scan)) = (call.safety_number(), call.safety_scan()) else { return };
    let fields = json!({"number": number.to_string(), "scan": scan.to_string()});
    output.event("safety-number", fields, &format!("safety number: {number}"));
    if output.terminal() {
        qr::show(output, &scan.to_qr_text());
    }
}
