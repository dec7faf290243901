//! The digits and the network, as the script wrote them.

use crate::HIDDEN;

/// Pixels of an image, 8 × 8.
pub(crate) const PIXELS: usize = 64;
/// Digits.
pub(crate) const CLASSES: usize = 10;

/// A label and 64 pixels of 0 to 16 for each image.
const IMAGES: &[u8] = include_bytes!("../data/turned.u8");
const NETWORK: &[u8] = include_bytes!("../data/network.f32");

/// Bytes of network and digits.
pub const DATA_BYTES: usize = IMAGES.len() + NETWORK.len();

/// Images that are trained on.
pub(crate) const TRAINING: Part = Part {
    first: 0,
    length: 320,
};
/// Images that only tell how well it went.
pub(crate) const HELD_OUT: Part = Part {
    first: 320,
    length: 200,
};

/// Some of the images.
pub(crate) struct Part {
    first: usize,
    length: usize,
}

impl Part {
    pub(crate) const fn len(&self) -> usize {
        self.length
    }

    /// Labels and pixels of `count` images, the part's own.
    pub(crate) fn slice(
        &self,
        first: usize,
        count: usize,
    ) -> impl Iterator<Item = (u8, &'static [u8])> {
        let images = IMAGES
            .chunks_exact(1 + PIXELS)
            .skip(self.first + first)
            .take(count);
        images.map(|image| (image[0], &image[1..]))
    }
}

pub(crate) static HIDDEN_WEIGHT: [f32; HIDDEN * PIXELS] = floats(0);
pub(crate) static HIDDEN_BIAS: [f32; HIDDEN] = floats(HIDDEN * PIXELS);
pub(crate) static OUTPUT_WEIGHT: [f32; CLASSES * HIDDEN] = floats(HIDDEN * (PIXELS + 1));
pub(crate) static OUTPUT_BIAS: [f32; CLASSES] = floats(HIDDEN * (PIXELS + 1 + CLASSES));

/// Numbers of the network from the one at `first` on, in the machine's own byte order.
const fn floats<const N: usize>(first: usize) -> [f32; N] {
    let mut numbers = [0.0; N];
    let mut at = 0;
    while at < N {
        let from = 4 * (first + at);
        let bytes = [
            NETWORK[from],
            NETWORK[from + 1],
            NETWORK[from + 2],
            NETWORK[from + 3],
        ];
        numbers[at] = f32::from_le_bytes(bytes);
        at += 1;
    }
    numbers
}
