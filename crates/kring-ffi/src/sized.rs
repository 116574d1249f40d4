//! Structs that may grow: each begins with its size as the program was compiled with.
//!
//! Guarantee: of a struct that comes, only as many bytes are read as it says that it has; of one that goes out, only as many are
//! written. What an older program does not set is zero, which means the default.

use crate::error::{Failure, KRING_ERROR_STRUCT_SIZE};

/// The largest struct that is looked at; far beyond any.
const MOST: usize = 4096;

/// A struct of the header whose first member is `uint32_t struct_size`.
///
/// # Safety
/// `#[repr(C)]`, begins with that member, and every pattern of bits is a valid value of it but for functions, which C sets to NULL or
/// to functions; all zero is valid.
pub(crate) unsafe trait Versioned: Copy {
    /// Its size in the first version that had it.
    const FIRST: usize;
    /// Its name in the header.
    const NAME: &'static str;
}

macro_rules! versioned {
    ($type:ident, $first:expr) => {
        // SAFETY: repr(C) with struct_size first, and made of numbers, pointers, functions that may be NULL, and arrays of these.
        unsafe impl crate::sized::Versioned for $type {
            const FIRST: usize = $first;
            const NAME: &'static str = stringify!($type);
        }
    };
}
pub(crate) use versioned;

/// How large the struct there says that it is.
///
/// # Safety
/// `from` is NULL or points to as many bytes as its first four say.
unsafe fn size<T: Versioned>(from: *const T) -> Result<usize, Failure> {
    if from.is_null() {
        return Err(Failure::null(T::NAME));
    }
    // SAFETY: every such struct has these four bytes.
    let size = unsafe { from.cast::<u32>().read_unaligned() } as usize;
    if !(T::FIRST..=MOST).contains(&size) {
        let expected = size_of::<T>();
        return Err(Failure::new(
            KRING_ERROR_STRUCT_SIZE,
            format!(
                "expected {}.struct_size to be {expected} (sizeof), got {size}: set it before the call",
                T::NAME
            ),
        ));
    }
    Ok(size)
}

/// Takes a struct in.
///
/// # Safety
/// `from` is NULL or points to as many bytes as its first four say, and what it holds is as the header says.
pub(crate) unsafe fn read<T: Versioned>(from: *const T) -> Result<T, Failure> {
    // SAFETY: the caller's promise.
    let size = unsafe { size(from) }?;
    let known = size.min(size_of::<T>());
    // SAFETY: the trait's promise that zero is valid.
    let mut value: T = unsafe { std::mem::zeroed() };
    // SAFETY: so many bytes are there, on both sides.
    unsafe { std::ptr::from_mut(&mut value).cast::<u8>().copy_from_nonoverlapping(from.cast(), known) };
    // SAFETY: so many bytes are there.
    let unknown = (known..size).any(|at| unsafe { from.cast::<u8>().add(at).read() } != 0);
    if unknown {
        return Err(Failure::new(
            KRING_ERROR_STRUCT_SIZE,
            format!(
                "{} says something that this version of the library does not know: use a newer one",
                T::NAME
            ),
        ));
    }
    Ok(value)
}

/// Takes a struct in that may be NULL.
///
/// # Safety
/// As for [`read`].
pub(crate) unsafe fn read_optional<T: Versioned>(from: *const T) -> Result<Option<T>, Failure> {
    // SAFETY: the caller's promise.
    if from.is_null() { Ok(None) } else { unsafe { read(from) }.map(Some) }
}

/// Checks a struct that is going to be written, before anything is done.
///
/// # Safety
/// As for [`write`].
pub(crate) unsafe fn check<T: Versioned>(to: *const T) -> Result<(), Failure> {
    // SAFETY: the caller's promise.
    unsafe { size(to) }.map(drop)
}

/// Gives a struct out; its size stays as the program has set it.
///
/// # Safety
/// `to` is NULL or points to as many bytes as its first four say, which may be written.
pub(crate) unsafe fn write<T: Versioned>(to: *mut T, value: &T) -> Result<(), Failure> {
    // SAFETY: the caller's promise.
    let size = unsafe { size(to) }?;
    let known = size.min(size_of::<T>());
    let head = size_of::<u32>();
    // SAFETY: so many bytes are there, on both sides; what the program knows beyond is zero.
    unsafe {
        let (to, from) = (to.cast::<u8>(), std::ptr::from_ref(value).cast::<u8>());
        to.add(head).copy_from_nonoverlapping(from.add(head), known - head);
        to.add(known).write_bytes(0, size - known);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy)]
    struct old {
        struct_size: u32,
        first: u32,
    }

    #[repr(C)]
    #[derive(Clone, Copy)]
    struct new {
        struct_size: u32,
        first: u32,
        second: u64,
    }

    versioned!(old, 8);
    versioned!(new, 8);

    #[test]
    fn an_older_program_leaves_defaults_and_is_not_written_beyond() {
        let mut memory = [old { struct_size: 8, first: 1 }, old { struct_size: 77, first: 78 }];
        // SAFETY: the first says that it has eight bytes.
        let read = unsafe { read(memory.as_ptr().cast::<new>()) }.expect("a known size");
        assert_eq!((read.first, read.second), (1, 0));
        let value = new { struct_size: 16, first: 3, second: 4 };
        // SAFETY: as above.
        unsafe { write(memory.as_mut_ptr().cast::<new>(), &value) }.expect("a known size");
        assert_eq!((memory[0].struct_size, memory[0].first), (8, 3));
        assert_eq!((memory[1].struct_size, memory[1].first), (77, 78));
    }

    #[test]
    fn a_newer_program_is_refused_only_if_it_says_something_unknown() {
        let mut value = new { struct_size: 16, first: 1, second: 0 };
        // SAFETY: it has the sixteen bytes.
        unsafe { read(std::ptr::from_ref(&value).cast::<old>()) }.expect("nothing unknown is said");
        value.second = 1 << 63;
        // SAFETY: as above.
        let refused = unsafe { read(std::ptr::from_ref(&value).cast::<old>()) }.err().expect("unknown");
        assert_eq!(refused.code, KRING_ERROR_STRUCT_SIZE);
        // SAFETY: as above.
        unsafe { write(std::ptr::from_mut(&mut value).cast::<old>(), &old { struct_size: 8, first: 9 }) }
            .expect("a known size");
        assert_eq!((value.first, value.second), (9, 0));
    }

    #[test]
    fn impossible_sizes_are_refused() {
        for struct_size in [0, 4, 7, 5000, u32::MAX] {
            let value = new { struct_size, first: 0, second: 0 };
            // SAFETY: nothing beyond the first four bytes is read.
            let refused = unsafe { read(&value) }.err().expect("no such size");
            assert_eq!(refused.code, KRING_ERROR_STRUCT_SIZE);
        }
    }
}
