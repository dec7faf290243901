//! Elements from the bytes of a golden file, which are little-endian on every machine.
#![allow(unreachable_pub)]

use bytemuck::AnyBitPattern;

/// The elements, whatever the alignment of their bytes.
pub fn elements<T: AnyBitPattern>(bytes: &[u8]) -> Vec<T> {
    let element = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        if cfg!(target_endian = "big") {
            bytes.reverse();
        }
        bytemuck::pod_read_unaligned(&bytes)
    };
    bytes.chunks_exact(size_of::<T>()).map(element).collect()
}
