//! The whole state of a training run in one `.safetensors` file.
//!
//! Every parameter has a tensor `<name>.values`; `<name>.gradient` if a backward has contributed since the last step; and, once
//! it has had a step, `<name>.first_moment` and `<name>.second_moment`, or `<name>.velocity`. All are F32 with one axis. The
//! metadata has everything else as JSON.

use std::collections::HashSet;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};
use waveft_core::optimiser::{AdamW, Rates, Sgd};
use waveft_core::schedule::Schedule;

use super::trainer::Counters;
use super::{NonFinite, Optimiser, Parameter, Trainer};
use crate::checkpoint::{Checkpoint, Dtype, Header, write_whole};
use crate::error::{Error, Result};

/// The metadata's key of a [`State`].
const METADATA_KEY: &str = "waveft_training_state";

/// More steps than any run has, and few enough for an f64 to have each number, and for the next to be counted.
const COUNT_BOUND: u64 = 1 << 53;

/// What a trainer and its parameters are, but for the tensors.
#[derive(Serialize, Deserialize)]
struct State {
    optimiser: OptimiserState,
    #[serde(with = "ScheduleState")]
    schedule: Schedule,
    groups: Vec<GroupState>,
    max_norm: Option<f64>,
    skips_non_finite: bool,
    steps: u64,
    skipped: u64,
    micro_batches: u64,
    /// The bits of the f64: JSON has no NaN.
    loss_sum_bits: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum OptimiserState {
    Sgd { momentum: f64 },
    AdamW { betas: [f64; 2], epsilon: f64 },
}

/// The core's schedule, which knows nothing of serde.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Schedule", tag = "kind", rename_all = "snake_case")]
enum ScheduleState {
    Constant { warmup_steps: u64 },
    Linear { warmup_steps: u64, total_steps: u64 },
    Cosine { warmup_steps: u64, total_steps: u64 },
}

#[derive(Serialize, Deserialize)]
struct GroupState {
    learning_rate: f64,
    weight_decay: f64,
    parameters: Vec<ParameterState>,
}

#[derive(Serialize, Deserialize)]
struct ParameterState {
    name: String,
    steps: u64,
    has_gradient: bool,
}

impl Trainer {
    /// Writes the state of the trainer and of the parameters to the file at `path`.
    ///
    /// It appears complete or not at all, in place of one that is there: it is written beside its place, brought to disk and
    /// renamed.
    ///
    /// # Errors
    /// If there are not as many groups as the trainer has, two parameters have one name, a parameter was trained with an
    /// optimiser of another kind, or the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>, groups: &[&mut [&mut Parameter]]) -> Result<()> {
        let path = path.as_ref();
        self.check_groups(groups)?;
        check_names(groups)?;
        let mut tensors = Vec::new();
        for parameter in groups.iter().flat_map(|group| group.iter()) {
            self.check_moments(parameter)?;
            let [first, second] = parameter.moments.each_ref().map(Vec::as_slice);
            let slices = [&parameter.values, &parameter.gradient, first, second];
            let stored = self.stored(parameter, parameter.steps, parameter.has_gradient);
            for (key, slice) in stored.into_iter().zip(slices) {
                tensors.extend(key.map(|key| (key, [slice.len()], slice)));
            }
        }
        let unfit = |error: serde_json::Error| {
            Error::file(path, "a state that JSON can hold", error.to_string())
        };
        let state = serde_json::to_string(&self.state(groups)).map_err(unfit)?;
        let entries = tensors.iter().map(|(key, shape, slice)| {
            let bytes = size_of_val::<[f32]>(*slice) as u64;
            (key.as_str(), Dtype::F32, shape.as_slice(), bytes)
        });
        let metadata = [(METADATA_KEY.to_owned(), state)];
        let header = Header::serialize(Some(&metadata), entries).map_err(unfit)?;
        write_whole(path, |file| {
            file.write_all(&header)?;
            let mut values = tensors.iter().flat_map(|(_, _, slice)| slice.iter());
            values.try_for_each(|value| file.write_all(&value.to_le_bytes()))
        })
    }

    /// Brings back the state that [`save`](Self::save) wrote: training goes on bit for bit as if it had not been stopped.
    ///
    /// The hyperparameters, rates and schedule become those of the file. The optimiser must be of the kind saved, and the
    /// parameters those saved, in the same groups and order.
    ///
    /// # Errors
    /// With nothing changed: if the file cannot be read or is no training state; if a number in it is out of range; if its
    /// optimiser is of another kind; if its groups, or the names or lengths of parameters, are others; if a tensor is missing, superfluous, or not F32.
    pub fn restore(
        &mut self,
        path: impl AsRef<Path>,
        groups: &mut [&mut [&mut Parameter]],
    ) -> Result<()> {
        let path = path.as_ref();
        check_names(groups)?;
        let file = Checkpoint::open(path)?;
        let state = read_state(path, &file)?;
        let restored = state.trainer().map_err(|source| Error::Core {
            context: path.display().to_string(),
            source,
        })?;
        let [expected, found] = [&*self, &restored].map(|trainer| trainer.optimiser.kind());
        if expected != found {
            let expected = format!("a training state of {expected}");
            return Err(Error::file(path, expected, format!("one of {found}")));
        }
        self.check_groups(groups)?;
        check_layout(path, &state.groups, groups)?;
        let saved = state.groups.iter().flat_map(|group| &group.parameters);
        let mut count = 0;
        let mut all_tensors = Vec::new();
        for (parameter, saved) in groups.iter().flat_map(|group| group.iter()).zip(saved) {
            let stored = restored.stored(parameter, saved.steps, saved.has_gradient);
            count += stored.iter().flatten().count();
            let mut tensors = [None; 4];
            for (tensor, key) in tensors.iter_mut().zip(&stored) {
                let find = |key: &String| find_tensor(path, &file, key, parameter.values.len());
                *tensor = key.as_ref().map(find).transpose()?;
            }
            all_tensors.push((saved, tensors));
        }
        if count != file.len() {
            let expected = format!("{count} tensors");
            return Err(Error::file(path, expected, file.len().to_string()));
        }
        // Nothing is refused from here on.
        let parameters = groups.iter_mut().flat_map(|group| group.iter_mut());
        for (parameter, (saved, tensors)) in parameters.zip(all_tensors) {
            parameter.restore(saved, tensors);
        }
        *self = restored;
        Ok(())
    }

    /// The names of a parameter's tensors in the file: values, gradient and both moments, where they are stored.
    fn stored(&self, parameter: &Parameter, steps: u64, has_gradient: bool) -> [Option<String>; 4] {
        let key = |kind: &str| format!("{}.{kind}", parameter.name());
        let (first, second) = match self.optimiser {
            _ if steps == 0 => (None, None),
            Optimiser::AdamW(_) => (Some("first_moment"), Some("second_moment")),
            Optimiser::Sgd(sgd) if sgd.velocity_len(1) == 1 => (Some("velocity"), None),
            Optimiser::Sgd(_) => (None, None),
        };
        let gradient = has_gradient.then_some("gradient");
        [Some("values"), gradient, first, second].map(|kind| kind.map(key))
    }

    fn state(&self, groups: &[&mut [&mut Parameter]]) -> State {
        let parameter = |parameter: &&mut Parameter| ParameterState {
            name: parameter.name().to_owned(),
            steps: parameter.steps,
            has_gradient: parameter.has_gradient,
        };
        let groups = self.rates.iter().zip(groups);
        State {
            optimiser: match self.optimiser {
                Optimiser::Sgd(sgd) => OptimiserState::Sgd {
                    momentum: sgd.momentum(),
                },
                Optimiser::AdamW(adam_w) => OptimiserState::AdamW {
                    betas: adam_w.betas(),
                    epsilon: adam_w.epsilon(),
                },
            },
            schedule: self.schedule,
            groups: groups
                .map(|(rates, group)| GroupState {
                    learning_rate: rates.learning_rate(),
                    weight_decay: rates.weight_decay(),
                    parameters: group.iter().map(parameter).collect(),
                })
                .collect(),
            max_norm: self.max_norm,
            skips_non_finite: self.non_finite == NonFinite::Skip,
            steps: self.counters.steps,
            skipped: self.counters.skipped,
            micro_batches: self.counters.micro_batches,
            loss_sum_bits: self.counters.loss_sum.to_bits(),
        }
    }
}

impl State {
    /// The trainer of this state, its numbers checked.
    fn trainer(&self) -> Result<Trainer, waveft_core::Error> {
        let optimiser = match self.optimiser {
            OptimiserState::Sgd { momentum } => Optimiser::Sgd(Sgd::new(momentum)?),
            OptimiserState::AdamW { betas, epsilon } => {
                Optimiser::AdamW(AdamW::new(betas, epsilon)?)
            }
        };
        let groups = self.groups.iter();
        let rates = groups.map(|group| Rates::new(group.learning_rate, group.weight_decay));
        if let Some(max_norm) = self.max_norm {
            waveft_core::optimiser::clip_factor(max_norm, 0.0)?;
        }
        self.check_counts()?;
        Ok(Trainer {
            optimiser,
            schedule: self.schedule,
            rates: rates.collect::<Result<_, _>>()?,
            max_norm: self.max_norm,
            non_finite: match self.skips_non_finite {
                true => NonFinite::Skip,
                false => NonFinite::Error,
            },
            counters: Counters {
                steps: self.steps,
                skipped: self.skipped,
                micro_batches: self.micro_batches,
                loss_sum: f64::from_bits(self.loss_sum_bits),
            },
        })
    }

    fn check_counts(&self) -> Result<(), waveft_core::Error> {
        let parameters = self.groups.iter().flat_map(|group| &group.parameters);
        let counts = [
            ("number of steps", self.steps),
            ("number of skipped steps", self.skipped),
            ("number of micro-batches", self.micro_batches),
        ];
        let of_parameters =
            parameters.map(|parameter| ("parameter's number of steps", parameter.steps));
        match counts
            .into_iter()
            .chain(of_parameters)
            .find(|&(_, found)| found >= COUNT_BOUND)
        {
            Some((what, found)) => Err(waveft_core::Error::OutOfRange {
                what,
                least: 0.0,
                bound: COUNT_BOUND as f64,
                found: found as f64,
            }),
            None => Ok(()),
        }
    }
}

impl Parameter {
    /// Becomes what was saved. Tensors are as long as the values, or missing.
    fn restore(&mut self, saved: &ParameterState, tensors: [Option<&[u8]>; 4]) {
        let [first, second] = &mut self.moments;
        let slices = [&mut self.values, &mut self.gradient, first, second];
        for (index, (slice, tensor)) in slices.into_iter().zip(tensors).enumerate() {
            match tensor {
                Some(bytes) => {
                    let (elements, _) = bytes.as_chunks::<4>();
                    slice.clear();
                    slice.extend(elements.iter().map(|&bytes| f32::from_le_bytes(bytes)));
                }
                // The gradient keeps its length.
                None if index == 1 => slice.fill(0.0),
                None => *slice = Vec::new(),
            }
        }
        self.steps = saved.steps;
        self.has_gradient = saved.has_gradient;
    }
}

impl Optimiser {
    fn kind(&self) -> &'static str {
        match self {
            Self::Sgd(_) => "SGD",
            Self::AdamW(_) => "AdamW",
        }
    }
}

fn check_names(groups: &[&mut [&mut Parameter]]) -> Result<()> {
    let mut seen = HashSet::new();
    let mut names = groups
        .iter()
        .flat_map(|group| group.iter())
        .map(|p| p.name());
    match names.find(|name| !seen.insert(*name)) {
        Some(name) => Err(Error::parameter(name, "one of this name", "two")),
        None => Ok(()),
    }
}

fn read_state(path: &Path, file: &Checkpoint) -> Result<State> {
    let mut metadata = file
        .files()
        .iter()
        .filter_map(|file| file.header().metadata())
        .flatten();
    let Some((_, json)) = metadata.find(|(key, _)| key == METADATA_KEY) else {
        let found = format!("no {METADATA_KEY:?} in its metadata");
        return Err(Error::file(path, "a training state", found));
    };
    serde_json::from_str(json)
        .map_err(|error| Error::file(path, "a training state of this version", error.to_string()))
}

/// Refuses other groups, or other names, than those saved.
fn check_layout(path: &Path, saved: &[GroupState], groups: &[&mut [&mut Parameter]]) -> Result<()> {
    let unfit = |expected: String, found: String| Err(Error::file(path, expected, found));
    if saved.len() != groups.len() {
        let expected = format!("a training state of {} groups", groups.len());
        return unfit(expected, saved.len().to_string());
    }
    for (index, (saved, group)) in saved.iter().zip(groups).enumerate() {
        if saved.parameters.len() != group.len() {
            let expected = format!("{} parameters in group {index}", group.len());
            return unfit(expected, saved.parameters.len().to_string());
        }
        for (saved, parameter) in saved.parameters.iter().zip(group.iter()) {
            if saved.name != parameter.name() {
                let expected = format!("parameter {:?} in group {index}", parameter.name());
                return unfit(expected, format!("{:?} in its place", saved.name));
            }
        }
    }
    Ok(())
}

/// The bytes of a tensor of F32 with one axis of this length.
fn find_tensor<'a>(
    path: &Path,
    file: &'a Checkpoint,
    key: &str,
    length: usize,
) -> Result<&'a [u8]> {
    let expected = || format!("F32 of shape [{length}]");
    let Some(tensor) = file.tensor(key) else {
        return Err(Error::tensor(path, key, expected(), "no such tensor"));
    };
    if tensor.dtype != Dtype::F32 || tensor.shape != [length] {
        let found = format!("{} of shape {:?}", tensor.dtype, tensor.shape);
        return Err(Error::tensor(path, key, expected(), found));
    }
    Ok(tensor.bytes)
}
