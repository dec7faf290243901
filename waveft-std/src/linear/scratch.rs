//! Memory that is needed during a call and kept for the next one.

use std::cell::RefCell;

thread_local! {
    /// Buffers that no call on this thread is using. More than one, for a thread that waits for others may take up work of
    /// theirs in the middle of a call of its own.
    static FREE: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Lends `length` elements, of any content, for the time of `work`. The thread keeps the most that were asked for.
pub(super) fn with_scratch<R>(length: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    let mut buffer = FREE.with_borrow_mut(Vec::pop).unwrap_or_default();
    if buffer.len() < length {
        buffer = vec![0.0; length];
    }
    let result = work(&mut buffer[..length]);
    FREE.with_borrow_mut(|free| free.push(buffer));
    result
}
