//! A whole run of training.

use waveft_core::optimiser::{AdamW, Rates};
use waveft_core::sampling::{randperm, scratch_len};
use waveft_core::schedule::Schedule;
use waveft_std::training::{Optimiser, Trainer};
use waveft_std::{Error, Result};

use super::baselines::{Decay, Epoch, Settings};
use super::digits::Images;
use super::network::Network;

/// Trains the network's adapter. `after_epoch` is called after each of them.
///
/// The images come in the order of `torch.randperm` seeded with the epoch, so that a run is the same every time.
pub(crate) fn fine_tune<E: From<Error>>(
    network: &mut Network,
    settings: Settings,
    learning_rate: f64,
    (training, held_out): (&Images, &Images),
    mut after_epoch: impl FnMut(&Epoch) -> Result<(), E>,
) -> Result<(), E> {
    let mut trainer = trainer(settings, learning_rate, training.labels.len())?;
    for epoch in 1..=settings.epochs {
        let order = order(training.labels.len(), epoch).map_err(of_settings)?;
        let mut train_loss = 0.0;
        for places in order.chunks(settings.batch) {
            let batch = training.select(places);
            let share = places.len() as f64 / order.len() as f64;
            network.train(&batch, &mut trainer, |progress| {
                train_loss += share * progress.loss
            })?;
        }
        let judged = network.judge(held_out)?;
        after_epoch(&Epoch {
            epoch,
            train_loss,
            loss: judged.loss,
            accuracy: judged.accuracy,
        })?;
    }
    Ok(())
}

fn trainer(settings: Settings, learning_rate: f64, images: usize) -> Result<Trainer> {
    let adam_w = AdamW::new(settings.betas, settings.eps).map_err(of_settings)?;
    let Decay::Cosine = settings.schedule;
    let schedule = Schedule::Cosine {
        warmup_steps: settings.warmup,
        total_steps: (settings.epochs * images.div_ceil(settings.batch)) as u64,
    };
    let spectra = Rates::new(learning_rate, settings.weight_decay).map_err(of_settings)?;
    // The second group is of biases, which are frozen here.
    Ok(Trainer::new(
        Optimiser::AdamW(adam_w),
        schedule,
        vec![spectra, spectra],
    ))
}

fn order(images: usize, epoch: usize) -> Result<Vec<u64>, waveft_core::Error> {
    let mut places = vec![0; images];
    let mut scratch = vec![0; scratch_len(images as u64, images)];
    randperm(images as u64, epoch as u64, &mut places, &mut scratch)?;
    Ok(places)
}

fn of_settings(source: waveft_core::Error) -> Error {
    let context = "settings of training".to_owned();
    Error::Core { context, source }
}
