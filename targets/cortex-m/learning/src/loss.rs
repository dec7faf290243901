//! Cross-entropy.

use crate::digits::CLASSES;

/// The mean cross-entropy of the logits of a batch; leaves its gradient by the logits in their place.
pub(crate) fn cross_entropy(logits: &mut [f32], labels: &[u8]) -> f32 {
    let count = labels.len() as f32;
    let mut loss = 0.0;
    for (logits, &label) in logits.chunks_exact_mut(CLASSES).zip(labels) {
        let most = logits[largest(logits)];
        let mut sum = 0.0;
        for logit in &mut *logits {
            *logit -= most;
            sum += libm::expf(*logit);
        }
        loss += libm::logf(sum) - logits[label as usize];
        for logit in &mut *logits {
            *logit = libm::expf(*logit) / (sum * count);
        }
        logits[label as usize] -= 1.0 / count;
    }
    loss / count
}

/// Index of the first largest.
pub(crate) fn largest(logits: &[f32]) -> usize {
    let mut best = 0;
    for (at, &logit) in logits.iter().enumerate() {
        if logit > logits[best] {
            best = at;
        }
    }
    best
}
