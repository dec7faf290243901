//! Steps of the optimisers on slices, clipping and schedules, with any lengths, hyperparameters and bits; a training run of
//! any operations, saved and brought back in between; and its state damaged: what does not fit is refused with nothing
//! changed, and a run that was stopped goes on with the same bits.
#![no_main]

use std::fs;
use std::path::Path;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use waveft_core::Error;
use waveft_core::element::Real;
use waveft_core::optimiser::{
    AdamW, Rates, Sgd, clip_factor, first_non_finite, scale, sum_of_squares,
};
use waveft_core::schedule::Schedule;
use waveft_fuzz::numbers::{Number, Values, assert_same, double, norm};
use waveft_std::training::{NonFinite, Optimiser, Parameter, Trainer};

/// The most entries of a slice: some vectors and a rest.
const LONGEST: usize = 100;

#[derive(Arbitrary, Debug)]
enum Input {
    Single(Slices),
    Double(Slices),
    Schedule { schedule: MadeSchedule, steps: u64 },
    Run(Run),
}

/// One step on slices.
#[derive(Arbitrary, Debug)]
struct Slices {
    optimiser: MadeOptimiser,
    rates: MadeRates,
    step: u64,
    length: u8,
    /// Which slice has another length, and how many entries more.
    unfit: Option<(u8, u8)>,
    /// Where a part begins.
    cut: u8,
    max_norm: f64,
    values: Values,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum MadeOptimiser {
    Usual { adam_w: bool, momentum: bool },
    Sgd { momentum: f64 },
    AdamW { betas: [f64; 2], epsilon: f64 },
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum MadeRates {
    Usual,
    Any([f64; 2]),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
struct MadeSchedule {
    kind: u8,
    warmup_steps: u64,
    total_steps: u64,
}

/// A training run.
#[derive(Arbitrary, Debug)]
struct Run {
    optimiser: MadeOptimiser,
    schedule: MadeSchedule,
    rates: [MadeRates; 2],
    max_norm: Option<f64>,
    skips_non_finite: bool,
    lengths: [u8; 3],
    values: Values,
    operations: Vec<Operation>,
}

#[derive(Arbitrary, Debug)]
enum Operation {
    /// A gradient for each parameter, of values of this stream.
    Backward(u8),
    /// An entry of a parameter's gradient.
    Entry {
        parameter: u8,
        entry: u8,
        value: f32,
    },
    Gradient {
        parameter: u8,
        bits: Vec<u8>,
    },
    FinishMicroBatch(f64),
    Step,
    ZeroGrad,
    StopAndResume,
    /// Bytes of the saved state that are changed: where, from its beginning or its end, and how.
    Damage(Vec<(i16, u8)>),
    /// A number in the saved state's header, put in place of another.
    Replace {
        at: u8,
        number: u64,
    },
}

fuzz_target!(|input: Input| {
    match input {
        Input::Single(slices) => check_slices::<f32>(&slices),
        Input::Double(slices) => check_slices::<f64>(&slices),
        Input::Schedule { schedule, steps } => check_schedule(schedule.make(), steps),
        Input::Run(run) => check_run(&run),
    }
});

impl MadeOptimiser {
    /// The optimiser; `None` if its numbers were refused, as they must be.
    fn make(self) -> Option<Optimiser> {
        match self {
            Self::Usual { adam_w: true, .. } => Some(Optimiser::AdamW(AdamW::default())),
            Self::Usual { momentum, .. } => {
                let sgd = Sgd::new(if momentum { 0.9 } else { 0.0 });
                Some(Optimiser::Sgd(sgd.expect("a usual momentum")))
            }
            Self::Sgd { momentum } => {
                let sgd = Sgd::new(momentum);
                assert_eq!(sgd.is_ok(), (0.0..1.0).contains(&momentum));
                sgd.ok().map(Optimiser::Sgd)
            }
            Self::AdamW { betas, epsilon } => {
                let adam_w = AdamW::new(betas, epsilon);
                let fits = betas.iter().all(|beta| (0.0..1.0).contains(beta));
                assert_eq!(
                    adam_w.is_ok(),
                    fits && (0.0..f64::INFINITY).contains(&epsilon)
                );
                adam_w.ok().map(Optimiser::AdamW)
            }
        }
    }
}

impl MadeRates {
    fn make(self) -> Option<Rates> {
        let [rate, decay] = match self {
            Self::Usual => [0.01, 0.1],
            Self::Any(both) => both,
        };
        let rates = Rates::new(rate, decay);
        let fits = [rate, decay]
            .iter()
            .all(|rate| (0.0..f64::INFINITY).contains(rate));
        assert_eq!(rates.is_ok(), fits);
        rates.ok()
    }
}

impl MadeSchedule {
    fn make(self) -> Schedule {
        let Self {
            warmup_steps,
            total_steps,
            ..
        } = self;
        match self.kind % 3 {
            0 => Schedule::Constant { warmup_steps },
            1 => Schedule::Linear {
                warmup_steps,
                total_steps,
            },
            _ => Schedule::Cosine {
                warmup_steps,
                total_steps,
            },
        }
    }
}

fn check_schedule(schedule: Schedule, steps: u64) {
    let factor = schedule.factor(steps);
    assert!((0.0..=1.0).contains(&factor), "{factor}");
    let next = schedule.factor(steps.saturating_add(1));
    match schedule {
        Schedule::Constant { warmup_steps } if steps >= warmup_steps => assert_eq!(factor, 1.0),
        Schedule::Linear { warmup_steps, .. } if steps >= warmup_steps => assert!(next <= factor),
        Schedule::Constant { warmup_steps }
        | Schedule::Linear { warmup_steps, .. }
        | Schedule::Cosine { warmup_steps, .. } => assert!(steps >= warmup_steps || factor <= next),
    }
}

/// What an optimiser works on: values, and what it remembers.
type State<F> = [Vec<F>; 3];

fn check_slices<F: Number>(input: &Slices) {
    check_clipping::<F>(input);
    let (Some(optimiser), Some(rates)) = (input.optimiser.make(), input.rates.make()) else {
        return;
    };
    let length = usize::from(input.length) % LONGEST;
    let mut lengths = match optimiser {
        Optimiser::AdamW(_) => [length; 4],
        Optimiser::Sgd(sgd) => [length, length, sgd.velocity_len(length), 0],
    };
    let slices = if lengths[3] == 0 { 3 } else { 4 };
    if let Some((which, more)) = input.unfit {
        lengths[usize::from(which) % slices] += usize::from(more) + 1;
    }
    let [values, gradient, first, second] =
        std::array::from_fn(|at| input.values.take::<F>(at as u64, lengths[at]));
    let before: State<F> = [values, first, second];
    let after = step(&optimiser, rates, input.step, before.clone(), &gradient);
    let is_step = input.step > 0 || matches!(optimiser, Optimiser::Sgd(_));
    assert_eq!(after.is_ok(), is_step && input.unfit.is_none());
    let Ok(after) = after else {
        return;
    };
    // An entry's new value depends on nothing but the entry.
    let cut = usize::from(input.cut) % (length + 1);
    let [mut low, mut high]: [State<F>; 2] = Default::default();
    for (at, slice) in before.iter().enumerate() {
        let (one, other) = slice.split_at(cut.min(slice.len()));
        (low[at], high[at]) = (one.to_vec(), other.to_vec());
    }
    let low = step(&optimiser, rates, input.step, low, &gradient[..cut]).expect("its lengths");
    let high = step(&optimiser, rates, input.step, high, &gradient[cut..]).expect("its lengths");
    for (at, after) in after.iter().enumerate() {
        assert_same(&[&low[at][..], &high[at]].concat(), after);
    }
    if let (Values::Noise(_), MadeOptimiser::Usual { .. }, MadeRates::Usual) =
        (&input.values, input.optimiser, input.rates)
    {
        check_formula(&optimiser, input.step, &before, &gradient, &after);
    }
}

/// The state after a step; if it was refused, nothing of it was changed.
fn step<F: Real>(
    optimiser: &Optimiser,
    rates: Rates,
    number: u64,
    state: State<F>,
    gradient: &[F],
) -> Result<State<F>, Error> {
    let mut after = state.clone();
    let [values, first, second] = &mut after;
    let done = match optimiser {
        Optimiser::AdamW(adam_w) => adam_w
            .update(number, rates)
            .and_then(|update| update.apply(values, gradient, first, second)),
        Optimiser::Sgd(sgd) => sgd.update(rates).apply(values, gradient, first),
    };
    if let Err(error) = done {
        for (after, before) in after.iter().zip(&state) {
            assert_same(after, before);
        }
        return Err(error);
    }
    Ok(after)
}

/// The usual numbers' step as the documentation has it, in f64. AdamW's second moment must be one.
fn check_formula<F: Number>(
    optimiser: &Optimiser,
    number: u64,
    before: &State<F>,
    gradient: &[F],
    after: &State<F>,
) {
    let [before, after] = [before, after].map(|state| state.each_ref().map(|slice| double(slice)));
    let (rate, decay) = (0.01, 0.1);
    for (at, g) in double(gradient).into_iter().enumerate() {
        let p = before[0][at];
        let (expected, size) = match optimiser {
            Optimiser::Sgd(sgd) => {
                let velocity = before[1].get(at).map_or(0.0, |b| sgd.momentum() * b);
                let velocity = velocity + (g + decay * p);
                (p - rate * velocity, 1.0)
            }
            Optimiser::AdamW(adam_w) => {
                let [beta1, beta2] = adam_w.betas();
                let correction = |beta: f64| 1.0 - beta.powf(number as f64);
                let m = before[1][at] + (1.0 - beta1) * (g - before[1][at]);
                let v = beta2 * before[2][at] + (1.0 - beta2) * g * g;
                if v < 1e-3 {
                    continue;
                }
                let step = rate / correction(beta1) * m
                    / (v.sqrt() / correction(beta2).sqrt() + adam_w.epsilon());
                // What is lost where a moment has come near zero.
                (p * (1.0 - rate * decay) - step, 1.0 / v)
            }
        };
        let epsilon = F::epsilon();
        let error = (after[0][at] - expected).abs();
        assert!(
            error <= 32.0 * epsilon * size,
            "{at}: {} {expected}",
            after[0][at]
        );
    }
}

/// Where a type's rounding ends.
trait Epsilon: Number {
    fn epsilon() -> f64 {
        2f64.powi(if size_of::<Self>() == 4 { -23 } else { -52 })
    }
}

impl<F: Number> Epsilon for F {}

fn check_clipping<F: Number>(input: &Slices) {
    let gradient: Vec<F> = input.values.take(1, usize::from(input.length));
    let entries = double(&gradient);
    let squares = sum_of_squares(&gradient);
    let non_finite = entries.iter().position(|entry| !entry.is_finite());
    assert_eq!(first_non_finite(&gradient), non_finite);
    if size_of::<F>() == 4 {
        assert_eq!(squares.is_finite(), non_finite.is_none());
    }
    let size = norm(&entries);
    let most = input.max_norm;
    let factor = clip_factor(most, squares.sqrt());
    let fits = [most, squares.sqrt()]
        .iter()
        .all(|norm| (0.0..f64::INFINITY).contains(norm));
    assert_eq!(factor.is_ok(), fits);
    let Ok(factor) = factor else {
        return;
    };
    assert!((squares.sqrt() - size).abs() <= 1e-13 * size);
    assert!((0.0..=1.0).contains(&factor));
    let mut clipped = gradient.clone();
    scale(&mut clipped, factor);
    let rounded = <F as Real>::from_f64(factor);
    let expected: Vec<F> = gradient.iter().map(|&entry| entry * rounded).collect();
    assert_same(&clipped, &expected);
    // A factor that is subnormal in single precision is rounded by more than its last place.
    let rounding = size * f64::from(f32::from_bits(1)) + 1e-30;
    assert!(norm(&double(&clipped)) <= most.min(size) * (1.0 + 1e-6) + rounding);
    assert!(factor < 1.0 || size <= most);
}

/// The parameters of two groups, and their trainer.
#[derive(Clone)]
struct Training {
    trainer: Trainer,
    parameters: [Parameter; 3],
}

impl Training {
    fn with_groups<T>(
        &mut self,
        work: impl FnOnce(&mut Trainer, &mut [&mut [&mut Parameter]]) -> T,
    ) -> T {
        let [one, two, three] = &mut self.parameters;
        work(&mut self.trainer, &mut [&mut [one, two], &mut [three]])
    }

    /// All there is, as a file has it.
    fn saved(&mut self, folder: &Path) -> Vec<u8> {
        let path = folder.join("saved");
        let done = self.with_groups(|trainer, groups| trainer.save(&path, groups));
        done.expect("a state of its own");
        fs::read(path).expect("the file just written")
    }

    /// Brings back a state; if it was refused, everything is as it was.
    fn restore(&mut self, state: &[u8], folder: &Path) -> bool {
        let before = self.saved(folder);
        let path = folder.join("state");
        fs::write(&path, state).expect("a file of our own");
        let done = self.with_groups(|trainer, groups| trainer.restore(&path, groups));
        assert!(done.is_ok() || self.saved(folder) == before, "{done:?}");
        done.is_ok()
    }

    /// What a step must not touch if it is left out: values, and what they were saved with.
    fn values(&self) -> Vec<f32> {
        self.parameters
            .iter()
            .flat_map(|p| p.values().to_vec())
            .collect()
    }

    /// Takes a step; if it was refused, everything is as it was.
    fn step(&mut self, folder: &Path) {
        let (before, values) = (self.saved(folder), self.values());
        let finite = self
            .parameters
            .iter()
            .all(|p| first_non_finite(p.gradient()).is_none());
        let steps = self.trainer.steps();
        let mut reported = None;
        let done = self.with_groups(|trainer, groups| {
            trainer.step(groups, |progress| reported = Some(*progress))
        });
        assert_eq!(done.is_ok(), reported.is_some());
        let Some(progress) = reported else {
            assert!(self.saved(folder) == before, "{done:?}");
            return;
        };
        assert_eq!(progress.is_skipped, !finite);
        assert_eq!(self.trainer.steps(), steps + u64::from(finite));
        if progress.is_skipped {
            assert_same(&self.values(), &values);
        }
        assert_eq!(self.trainer.micro_batches(), 0);
        for parameter in &self.parameters {
            assert!(!parameter.has_gradient() && parameter.gradient().iter().all(|&g| g == 0.0));
        }
    }
}

fn check_run(run: &Run) {
    let (Some(optimiser), [Some(one), Some(other)]) =
        (run.optimiser.make(), run.rates.map(MadeRates::make))
    else {
        return;
    };
    let mut trainer = Trainer::new(optimiser, run.schedule.make(), vec![one, other]);
    if let Some(most) = run.max_norm {
        let clipped = trainer.with_max_norm(most);
        assert_eq!(clipped.is_ok(), (0.0..f64::INFINITY).contains(&most));
        let Ok(clipped) = clipped else {
            return;
        };
        trainer = clipped;
    }
    if run.skips_non_finite {
        trainer = trainer.with_non_finite(NonFinite::Skip);
    }
    let parameters = std::array::from_fn(|at| {
        let length = usize::from(run.lengths[at]) % LONGEST;
        Parameter::new(format!("p{at}"), run.values.take(at as u64, length))
    });
    let start = Training {
        trainer,
        parameters,
    };
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    // One that is never stopped, and one that is.
    let (mut whole, mut stopped) = (start.clone(), start.clone());
    for operation in run.operations.iter().take(24) {
        operate(&mut whole, operation, run, folder);
        match operation {
            Operation::StopAndResume => {
                let state = stopped.saved(folder);
                stopped = start.clone();
                assert!(stopped.restore(&state, folder), "its own state");
            }
            Operation::Damage(_) | Operation::Replace { .. } => {
                hurt(stopped.clone(), operation, folder);
            }
            _ => operate(&mut stopped, operation, run, folder),
        }
    }
    assert!(
        whole.saved(folder) == stopped.saved(folder),
        "the same bits"
    );
}

fn operate(training: &mut Training, operation: &Operation, run: &Run, folder: &Path) {
    let which = |parameter: u8| usize::from(parameter) % 3;
    match operation {
        Operation::Backward(stream) => {
            for (at, parameter) in (3..).zip(&mut training.parameters) {
                let stream = 16 * u64::from(*stream) + at;
                let gradient: Vec<f32> = run.values.take(stream, parameter.values().len());
                parameter
                    .accumulate(&gradient)
                    .expect("as long as the values");
            }
        }
        Operation::Entry {
            parameter,
            entry,
            value,
        } => {
            let gradient = training.parameters[which(*parameter)].gradient_mut();
            if !gradient.is_empty() {
                gradient[usize::from(*entry) % gradient.len()] = *value;
            }
        }
        Operation::Gradient { parameter, bits } => {
            let parameter = &mut training.parameters[which(*parameter)];
            let before = parameter.gradient().to_vec();
            let gradient: Vec<f32> = Values::Bits(bits.clone()).take(0, bits.len());
            let done = parameter.accumulate(&gradient);
            assert_eq!(done.is_ok(), gradient.len() == before.len());
            if done.is_err() {
                assert_same(parameter.gradient(), &before);
            }
        }
        Operation::FinishMicroBatch(loss) => training.trainer.finish_micro_batch(*loss),
        Operation::Step => training.step(folder),
        Operation::ZeroGrad => training
            .with_groups(|trainer, groups| trainer.zero_grad(groups))
            .expect("as many groups"),
        Operation::StopAndResume | Operation::Damage(_) | Operation::Replace { .. } => {}
    }
}

/// A damaged state is refused, or is one that training goes on from.
fn hurt(mut training: Training, operation: &Operation, folder: &Path) {
    let mut state = training.saved(folder);
    match operation {
        Operation::Damage(changes) => {
            for &(at, with) in changes {
                let place = usize::from(at.unsigned_abs()) % state.len();
                let end = state.len() - 1;
                state[if at < 0 { end - place } else { place }] ^= with;
            }
        }
        Operation::Replace { at, number } => replace_number(&mut state, *at, *number),
        _ => {}
    }
    if training.restore(&state, folder) {
        training.trainer.finish_micro_batch(1.0);
        for parameter in &mut training.parameters {
            parameter.gradient_mut();
        }
        training.step(folder);
        training.saved(folder);
    }
}

/// Puts a number in place of the `at`-th that the header has, and makes the header's length good again.
fn replace_number(state: &mut Vec<u8>, at: u8, number: u64) {
    let length = u64::from_le_bytes(state[..8].try_into().expect("eight bytes")) as usize;
    let header = &state[8..8 + length];
    let is_digit = |at: usize| header[at].is_ascii_digit();
    let starts: Vec<usize> = (1..length)
        .filter(|&at| is_digit(at) && matches!(header[at - 1], b':' | b',' | b'['))
        .collect();
    let start = starts[usize::from(at) % starts.len()];
    let end = (start..length).find(|&at| !is_digit(at)).unwrap_or(length);
    let text = number.to_string();
    let length = (length + text.len() - (end - start)) as u64;
    state.splice(8 + start..8 + end, text.into_bytes());
    state[..8].copy_from_slice(&length.to_le_bytes());
}
