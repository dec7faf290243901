//! Whether the memory has room for what a file asks for: the end of the memory is no error that could be told.

use std::io;

/// An error unless `count` elements of `bytes` each can be had. Nothing is kept.
pub(crate) fn refuse_without_room(count: u64, bytes: usize) -> io::Result<()> {
    let bytes = u128::from(count) * bytes as u128;
    let is_had =
        usize::try_from(bytes).is_ok_and(|bytes| Vec::<u8>::new().try_reserve_exact(bytes).is_ok());
    if is_had {
        return Ok(());
    }
    let message = format!("expected {bytes} bytes of free memory, found less");
    Err(io::Error::new(io::ErrorKind::OutOfMemory, message))
}
