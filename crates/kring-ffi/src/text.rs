//! Texts and bytes across the border.
//!
//! Guarantee: nothing is read beyond a text's NUL or a stated length, nothing written beyond a stated capacity. No memory of the
//! library is handed out to be freed.

use crate::error::{Failure, KRING_ERROR_BUFFER, KRING_ERROR_UTF8};
use std::ffi::{CStr, c_char};

/// A text that has to be there.
///
/// # Safety
/// `text` is NULL or points to a text that ends with NUL and lives for `'a`.
pub(crate) unsafe fn get<'a>(text: *const c_char, what: &str) -> Result<&'a str, Failure> {
    // SAFETY: the caller's promise.
    unsafe { get_optional(text, what) }?.ok_or_else(|| Failure::null(what))
}

/// A text that may be NULL.
///
/// # Safety
/// As for [`get`].
pub(crate) unsafe fn get_optional<'a>(text: *const c_char, what: &str) -> Result<Option<&'a str>, Failure> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    let text = unsafe { CStr::from_ptr(text) }.to_str();
    text.map(Some).map_err(|error| {
        let at = error.valid_up_to();
        Failure::new(KRING_ERROR_UTF8, format!("expected {what} in UTF-8, got something else at byte {at}"))
    })
}

/// Gives `text` out: into `buffer`, with a NUL behind it, if it fits, and its length without the NUL.
///
/// # Safety
/// `buffer` is NULL or has room for `capacity` bytes; `length` is NULL or points to a size_t.
pub(crate) unsafe fn put(
    text: &str,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> Result<(), Failure> {
    if !length.is_null() {
        // SAFETY: the caller's promise.
        unsafe { length.write_unaligned(text.len()) };
    }
    if buffer.is_null() && capacity > 0 {
        return Err(Failure::null("a buffer"));
    }
    if capacity <= text.len() {
        if capacity > 0 {
            // SAFETY: there is room for one byte at least.
            unsafe { buffer.write(0) };
        }
        let needed = text.len() + 1;
        return Err(Failure::new(
            KRING_ERROR_BUFFER,
            format!("expected room for {needed} bytes, got {capacity}"),
        ));
    }
    // SAFETY: there is room for the text and its NUL.
    unsafe {
        buffer.copy_from_nonoverlapping(text.as_ptr().cast(), text.len());
        buffer.add(text.len()).write(0);
    }
    Ok(())
}

/// As much of `text` as fits an array of a struct, never half a character, with a NUL behind it.
pub(crate) fn fixed<const N: usize>(text: &str) -> [c_char; N] {
    let mut out = [0; N];
    let end = text.floor_char_boundary(N - 1);
    for (to, from) in out.iter_mut().zip(text[..end].bytes().take_while(|byte| *byte != 0)) {
        *to = from as c_char;
    }
    out
}

/// Bytes of a stated length.
///
/// # Safety
/// `bytes` is NULL or points to `length` bytes that live for `'a`.
pub(crate) unsafe fn slice<'a, T>(items: *const T, length: usize, what: &str) -> Result<&'a [T], Failure> {
    if length == 0 {
        return Ok(&[]);
    }
    if items.is_null() {
        return Err(Failure::null(what));
    }
    if !items.is_aligned() || length > isize::MAX as usize / size_of::<T>().max(1) {
        return Err(Failure::argument(format!(
            "expected {what} at an aligned address and of a possible length"
        )));
    }
    // SAFETY: the caller's promise; the rest was checked.
    Ok(unsafe { std::slice::from_raw_parts(items, length) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::KRING_ERROR_NULL;

    #[test]
    fn a_text_that_does_not_fit_tells_its_length_and_writes_nothing_beyond() {
        let mut buffer = [0x55; 8];
        let mut length = 0;
        // SAFETY: seven of the eight bytes are given.
        let result = unsafe { put("kringel", buffer.as_mut_ptr(), 7, &mut length) };
        assert_eq!(result.expect_err("it does not fit").code, KRING_ERROR_BUFFER);
        assert_eq!((length, buffer[0], buffer[7]), (7, 0, 0x55));
        // SAFETY: all eight.
        unsafe { put("kringel", buffer.as_mut_ptr(), 8, std::ptr::null_mut()) }.expect("it fits");
        assert_eq!(buffer, *b"kringel\0".map(|b| b as c_char).as_slice());
        // SAFETY: NULL is allowed where nothing is to be written.
        let asked = unsafe { put("kringel", std::ptr::null_mut(), 0, &mut length) };
        assert_eq!(asked.expect_err("only the length").code, KRING_ERROR_BUFFER);
        // SAFETY: NULL is seen.
        let nowhere = unsafe { put("", std::ptr::null_mut(), 8, &mut length) };
        assert_eq!(nowhere.expect_err("nowhere to write").code, KRING_ERROR_NULL);
    }

    #[test]
    fn a_fixed_text_ends_at_a_whole_character() {
        assert_eq!(fixed::<4>("añb"), [b'a', 0xc3, 0xb1, 0].map(|b: u8| b as c_char));
        assert_eq!(fixed::<3>("añb"), [b'a', 0, 0].map(|b: u8| b as c_char));
    }
}
