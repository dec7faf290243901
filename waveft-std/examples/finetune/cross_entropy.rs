//! What logits are worth.

use super::digits::CLASSES;

/// Logits of images against the digits that these show.
pub(crate) struct Judgement {
    /// The mean cross-entropy.
    pub(crate) loss: f64,
    /// The share of images whose largest logit is the right one.
    pub(crate) accuracy: f64,
    /// The loss's gradient by the logits.
    pub(crate) gradient: Vec<f32>,
}

/// `logits` are images × 10, `labels` below 10.
pub(crate) fn judge(logits: &[f32], labels: &[u8]) -> Judgement {
    let images = labels.len() as f64;
    let (mut loss, mut correct) = (0.0, 0);
    let mut gradient = Vec::with_capacity(logits.len());
    for (logits, &label) in logits.as_chunks::<CLASSES>().0.iter().zip(labels) {
        let label = usize::from(label);
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        // Not above 1, whatever the logits are.
        let powers = logits.map(|logit| f64::from(logit - largest).exp());
        let sum: f64 = powers.iter().sum();
        loss += sum.ln() - f64::from(logits[label] - largest);
        correct += usize::from(logits.iter().position(|&logit| logit == largest) == Some(label));
        gradient.extend(powers.iter().enumerate().map(|(class, power)| {
            let right = f64::from(u8::from(class == label));
            ((power / sum - right) / images) as f32
        }));
    }
    Judgement {
        loss: loss / images,
        accuracy: correct as f64 / images,
        gradient,
    }
}
