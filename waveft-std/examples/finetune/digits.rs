//! The handwritten digits of `examples/digits`, which tools/README.md describes.

use std::path::PathBuf;

use waveft_std::checkpoint::{Checkpoint, Dtype};
use waveft_std::{Error, Result};

/// Images are 8 × 8.
const SIDE: usize = 8;

/// Digits, 0 to 9.
pub(crate) const CLASSES: usize = 10;

/// A file of `examples/digits`.
pub(crate) fn file(name: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/digits");
    PathBuf::from(folder).join(name)
}

/// What images are for, as `split` in their file numbers it.
#[derive(Clone, Copy)]
pub(crate) enum Part {
    Training = 0,
    HeldOut = 2,
}

/// How images are shown to the network.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Pose {
    /// As it was pre-trained on them.
    Upright,
    /// Anticlockwise by a quarter, to which it is adapted.
    Turned,
}

/// Images of one part in one pose.
pub(crate) struct Images {
    /// Images × 64: row by row, each from 0 to 1.
    pub(crate) pixels: Vec<f32>,
    /// The digit that each image shows.
    pub(crate) labels: Vec<u8>,
}

impl Images {
    pub(crate) fn read(part: Part, pose: Pose) -> Result<Self> {
        let file = Checkpoint::open(file("digits.safetensors"))?;
        let split = bytes(&file, "split", 1)?;
        let labels = bytes(&file, "labels", 1)?;
        let images = bytes(&file, "images", SIDE * SIDE)?;
        if labels.len() != split.len() || images.len() != split.len() * SIDE * SIDE {
            let expected = format!("{} labels and images", split.len());
            let found = format!("{} and {} bytes", labels.len(), images.len());
            return Err(Error::file(file.path(), expected, found));
        }
        let mut chosen = Self {
            pixels: Vec::new(),
            labels: Vec::new(),
        };
        let images = images.chunks_exact(SIDE * SIDE).zip(labels).zip(split);
        for ((image, &label), _) in images.filter(|&(_, &of)| of == part as u8) {
            if usize::from(label) >= CLASSES {
                let expected = format!("labels below {CLASSES}");
                return Err(Error::tensor(
                    file.path(),
                    "labels",
                    expected,
                    label.to_string(),
                ));
            }
            chosen.labels.push(label);
            chosen.pixels.extend(posed(image, pose));
        }
        Ok(chosen)
    }

    /// Those at these places, in their order.
    pub(crate) fn select(&self, places: &[u64]) -> Self {
        let images = self.pixels.as_chunks::<{ SIDE * SIDE }>().0;
        let places = || places.iter().map(|&place| place as usize);
        Self {
            pixels: places().flat_map(|place| images[place]).collect(),
            labels: places().map(|place| self.labels[place]).collect(),
        }
    }
}

/// `turned[row][column] = image[column][7 − row]`.
fn posed(image: &[u8], pose: Pose) -> impl Iterator<Item = f32> {
    (0..SIDE * SIDE).map(move |at| {
        let (row, column) = (at / SIDE, at % SIDE);
        let from = match pose {
            Pose::Upright => at,
            Pose::Turned => column * SIDE + SIDE - 1 - row,
        };
        f32::from(image[from]) / 16.0
    })
}

/// A tensor of bytes, so many an image.
fn bytes<'a>(file: &'a Checkpoint, name: &str, of_image: usize) -> Result<&'a [u8]> {
    let unfit = |found: String| {
        let expected = format!("a tensor of bytes, {of_image} an image");
        Error::tensor(file.path(), name, expected, found)
    };
    let tensor = file.tensor(name).ok_or_else(|| unfit("none".to_owned()))?;
    let is_whole = tensor.shape.iter().skip(1).product::<usize>() == of_image;
    if tensor.dtype != Dtype::U8 || !is_whole {
        return Err(unfit(format!(
            "{} of shape {:?}",
            tensor.dtype, tensor.shape
        )));
    }
    Ok(tensor.bytes)
}
