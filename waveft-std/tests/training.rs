//! Steps on all parameters together, and runs that are stopped and resumed.

use std::path::Path;

use proptest::prelude::*;
use rayon::ThreadPoolBuilder;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize_to_file};
use waveft_core::optimiser::{AdamW, Rates, Sgd, clip_factor, scale, sum_of_squares};
use waveft_core::schedule::Schedule;
use waveft_std::training::{NonFinite, Optimiser, Parameter, Progress, Trainer};

const SCHEDULE: Schedule = Schedule::Cosine {
    warmup_steps: 2,
    total_steps: 9,
};

fn optimisers() -> [Optimiser; 3] {
    [
        Optimiser::AdamW(AdamW::default()),
        Optimiser::Sgd(Sgd::new(0.9).unwrap()),
        Optimiser::Sgd(Sgd::default()),
    ]
}

fn adam_w(schedule: Schedule) -> Trainer {
    trainer(Optimiser::AdamW(AdamW::default()), schedule)
}

fn trainer(optimiser: Optimiser, schedule: Schedule) -> Trainer {
    let rates = [(0.1, 0.01), (0.02, 0.0)].map(|(rate, decay)| Rates::new(rate, decay).unwrap());
    Trainer::new(optimiser, schedule, rates.to_vec())
}

const CONSTANT: Schedule = Schedule::Constant { warmup_steps: 0 };

/// Numbers between -1 and 1 that differ with everything given.
fn numbers(length: usize, key: u64) -> Vec<f32> {
    let number = |index: usize| ((index as f64 + 1.0) * (key as f64 + 0.7)).sin() as f32;
    (0..length).map(number).collect()
}

/// Two groups: two spectra, and a bias.
#[derive(Clone)]
struct Model {
    spectra: Vec<Parameter>,
    bias: Parameter,
}

impl Model {
    fn new(lengths: [usize; 3]) -> Self {
        let parameter = |index: usize| {
            Parameter::new(format!("p{index}"), numbers(lengths[index], index as u64))
        };
        Self {
            spectra: vec![parameter(0), parameter(1)],
            bias: parameter(2),
        }
    }

    fn parameters(&mut self) -> Vec<&mut Parameter> {
        self.spectra.iter_mut().chain([&mut self.bias]).collect()
    }

    fn with_groups<T>(&mut self, work: impl FnOnce(&mut [&mut [&mut Parameter]]) -> T) -> T {
        let mut spectra: Vec<&mut Parameter> = self.spectra.iter_mut().collect();
        work(&mut [&mut spectra, &mut [&mut self.bias]])
    }

    fn backward(&mut self, key: u64) {
        for (index, parameter) in (0..).zip(self.parameters()) {
            let gradient = numbers(parameter.values().len(), 100 + 3 * key + index);
            parameter.accumulate(&gradient).unwrap();
        }
    }

    /// A micro-batch, and every third time the step of three.
    fn train(&mut self, trainer: &mut Trainer, micro_batch: u64) -> Option<Progress> {
        self.backward(micro_batch);
        trainer.finish_micro_batch(1.0 / (micro_batch + 1) as f64);
        let mut reported = None;
        if trainer.micro_batches() == 3 {
            self.with_groups(|groups| trainer.step(groups, |progress| reported = Some(*progress)))
                .unwrap();
        }
        reported
    }

    /// All bits there are to see.
    fn bits(&mut self) -> Vec<u32> {
        let all = |parameter: &mut Parameter| {
            let slices = [parameter.values(), parameter.gradient()].concat();
            let bits = slices.into_iter().map(f32::to_bits);
            bits.chain([parameter.has_gradient().into()])
                .collect::<Vec<_>>()
        };
        self.parameters().into_iter().flat_map(all).collect()
    }
}

/// A trainer's state as a file has it, with the parameters' moments.
fn saved(trainer: &Trainer, model: &mut Model) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    model
        .with_groups(|groups| trainer.save(&path, groups))
        .unwrap();
    std::fs::read(path).unwrap()
}

/// That the call is refused with this message, and nothing changed.
fn refused(
    trainer: &mut Trainer,
    model: &mut Model,
    expected: &str,
    call: impl FnOnce(&mut Trainer, &mut Model) -> waveft_std::Result<()>,
) {
    let before = saved(trainer, model);
    let error = call(trainer, model).unwrap_err();
    assert!(error.to_string().ends_with(expected), "{error}");
    assert_eq!(saved(trainer, model), before, "{expected}");
}

#[test]
fn a_step_is_the_optimisers_on_the_mean_gradient_clipped() {
    let mut model = Model::new([5, 70_000, 3]);
    let mut expected: Vec<Vec<f32>> = model
        .parameters()
        .iter()
        .map(|parameter| parameter.values().to_vec())
        .collect();
    let mut trainer = adam_w(SCHEDULE).with_max_norm(0.5).unwrap();
    let mut moments: Vec<[Vec<f32>; 2]> = (expected.iter())
        .map(|values| [vec![0.0; values.len()], vec![0.0; values.len()]])
        .collect();
    for step in 0..4 {
        let mut reported = None;
        for micro_batch in 3 * step..3 * step + 3 {
            assert!(reported.is_none());
            reported = model.train(&mut trainer, micro_batch);
        }
        let mut gradients: Vec<Vec<f32>> = expected.iter().map(|v| vec![0.0; v.len()]).collect();
        for micro_batch in 3 * step..3 * step + 3 {
            for (index, gradient) in (0..).zip(&mut gradients) {
                let addend = numbers(gradient.len(), 100 + 3 * micro_batch + index);
                gradient.iter_mut().zip(addend).for_each(|(g, a)| *g += a);
            }
        }
        // In parts of 65,536, as the sum of a longer parameter is made.
        let parts = gradients.iter().map(|gradient| {
            let parts = gradient.chunks(1 << 16).map(sum_of_squares);
            parts.sum::<f64>()
        });
        let norm = parts.sum::<f64>().sqrt() / 3.0;
        let factor = clip_factor(0.5, norm).unwrap() / 3.0;
        let schedule = SCHEDULE.factor(step);
        let rates = [(0.1, 0.01), (0.1, 0.01), (0.02, 0.0)];
        for (index, (rate, decay)) in rates.into_iter().enumerate() {
            let rates = Rates::new(rate * schedule, decay).unwrap();
            let update = AdamW::default().update(step + 1, rates).unwrap();
            scale(&mut gradients[index], factor);
            let [first, second] = &mut moments[index];
            update
                .apply(&mut expected[index], &gradients[index], first, second)
                .unwrap();
        }
        let losses = (3 * step..3 * step + 3).map(|key| 1.0 / (key + 1) as f64);
        let expected_progress = Progress {
            step: step + 1,
            loss: losses.sum::<f64>() / 3.0,
            learning_rate: 0.1 * schedule,
            gradient_norm: norm,
            is_skipped: false,
            skipped: 0,
        };
        assert_eq!(reported, Some(expected_progress));
        for (parameter, expected) in model.parameters().into_iter().zip(&expected) {
            assert_eq!(parameter.values(), expected);
            assert!(!parameter.has_gradient() && parameter.gradient().iter().all(|g| *g == 0.0));
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    for optimiser in optimisers() {
        let run = |threads: usize| {
            let pool = ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| {
                let mut model = Model::new([150_001, 7, 65_537]);
                let mut trainer = trainer(optimiser, SCHEDULE).with_max_norm(1.0).unwrap();
                let reports: Vec<_> = (0..12)
                    .filter_map(|key| model.train(&mut trainer, key))
                    .collect();
                assert_eq!(reports.len(), 4);
                (reports, model.bits(), saved(&trainer, &mut model))
            })
        };
        let one = run(1);
        assert!(one == run(2) && one == run(5));
    }
}

#[test]
fn a_parameter_that_misses_steps_has_its_own_number_of_them() {
    let rates = vec![Rates::new(0.1, 0.0).unwrap()];
    let optimiser = Optimiser::AdamW(AdamW::default());
    let mut trainer = Trainer::new(optimiser, CONSTANT, rates);
    let (mut early, mut late) = (
        Parameter::new("early", vec![1.0]),
        Parameter::new("late", vec![1.0]),
    );
    for step in 0..5 {
        early.accumulate(&[1.0]).unwrap();
        trainer.finish_micro_batch(0.0);
        if step < 4 {
            trainer.step(&mut [&mut [&mut early]], |_| {}).unwrap();
        }
    }
    late.accumulate(&[1.0]).unwrap();
    trainer
        .step(&mut [&mut [&mut early, &mut late]], |_| {})
        .unwrap();
    // Its first step is as long as the learning rate.
    assert!((late.values()[0] - 0.9).abs() < 1e-6);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Stopped after any micro-batch, also between two of one step.
    #[test]
    fn a_run_stopped_and_resumed_equals_one_that_was_not(stop in 0u64..15, kind in 0usize..3) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.safetensors");
        let new = || (Model::new([6, 40, 1]), trainer(optimisers()[kind], SCHEDULE).with_max_norm(2.0).unwrap());
        let (mut model, mut whole) = new();
        let reports: Vec<_> = (0..15).filter_map(|key| model.train(&mut whole, key)).collect();

        let (mut stopped_model, mut stopped) = new();
        let mut stopped_reports: Vec<_> =
            (0..stop).filter_map(|key| stopped_model.train(&mut stopped, key)).collect();
        stopped_model.with_groups(|groups| stopped.save(&path, groups)).unwrap();

        // Another start and other rates: all comes from the file.
        let mut resumed_model = Model::new([6, 40, 1]);
        resumed_model.backward(77);
        let mut resumed = Trainer::new(
            optimisers()[kind],
            CONSTANT,
            vec![Rates::new(7.0, 0.5).unwrap(); 2],
        );
        resumed_model.train(&mut resumed, 3);
        resumed_model.with_groups(|groups| resumed.restore(&path, groups)).unwrap();
        prop_assert_eq!(saved(&resumed, &mut resumed_model), std::fs::read(&path).unwrap());
        stopped_reports.extend((stop..15).filter_map(|key| resumed_model.train(&mut resumed, key)));
        prop_assert_eq!(stopped_reports, reports);
        prop_assert_eq!(resumed_model.bits(), model.bits());
        prop_assert_eq!(saved(&resumed, &mut resumed_model), saved(&whole, &mut model));
        // Only the state itself is there.
        prop_assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

#[test]
fn a_step_needs_a_backward() {
    let (mut trainer, mut model) = (adam_w(CONSTANT), Model::new([2, 2, 2]));
    let step = |trainer: &mut Trainer, model: &mut Model| {
        model.with_groups(|groups| trainer.step(groups, |_| panic!("reported")))
    };
    let no_batch = "trainer: expected a backward since the last step or zero_grad, found no finished micro-batch";
    let no_gradient =
        "parameter \"p1\": expected a backward since the last step or zero_grad, found none";
    refused(&mut trainer, &mut model, no_batch, step);
    model.backward(0);
    refused(&mut trainer, &mut model, no_batch, step);
    trainer.finish_micro_batch(1.0);
    model.spectra[1].zero_grad();
    refused(&mut trainer, &mut model, no_gradient, step);
    model.backward(0);
    model
        .with_groups(|groups| trainer.step(groups, |_| {}))
        .unwrap();
    refused(&mut trainer, &mut model, no_batch, step);
    model.backward(0);
    trainer.finish_micro_batch(1.0);
    model
        .with_groups(|groups| trainer.zero_grad(groups))
        .unwrap();
    assert_eq!(trainer.micro_batches(), 0);
    assert!(model.bias.gradient().iter().all(|entry| *entry == 0.0));
    refused(&mut trainer, &mut model, no_batch, step);
}

#[test]
fn gradients_that_are_not_finite_are_an_error_or_skipped() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for non_finite in [NonFinite::Error, NonFinite::Skip] {
            let mut trainer = adam_w(CONSTANT).with_non_finite(non_finite);
            let mut model = Model::new([4, 5, 6]);
            (0..3).for_each(|key| assert_eq!(model.train(&mut trainer, key).is_some(), key == 2));
            let before = saved(&trainer, &mut model);
            model.backward(3);
            model.bias.gradient_mut()[2] = bad;
            trainer.finish_micro_batch(0.5);
            if non_finite == NonFinite::Error {
                let expected =
                    format!("parameter \"p2\": expected a finite gradient, found {bad} at 2");
                refused(&mut trainer, &mut model, &expected, |trainer, model| {
                    model.with_groups(|groups| trainer.step(groups, |_| panic!("reported")))
                });
                continue;
            }
            let mut reported = None;
            model
                .with_groups(|groups| trainer.step(groups, |progress| reported = Some(*progress)))
                .unwrap();
            let progress = reported.unwrap();
            assert!(progress.is_skipped && !progress.gradient_norm.is_finite());
            assert_eq!(
                (progress.step, progress.skipped, progress.loss),
                (1, 1, 0.5)
            );
            assert_eq!((trainer.steps(), trainer.skipped()), (1, 1));
            // But for the count, all is as it was.
            let skipped = |bytes: &[u8]| {
                String::from_utf8_lossy(bytes).replace("\\\"skipped\\\":1", "\\\"skipped\\\":0")
            };
            assert_eq!(skipped(&saved(&trainer, &mut model)), skipped(&before));
        }
    }
}

#[test]
fn wrong_lengths_groups_and_numbers_are_refused() {
    let (mut trainer, mut model) = (adam_w(CONSTANT), Model::new([2, 3, 4]));
    model.backward(0);
    trainer.finish_micro_batch(1.0);
    let expected = "parameter \"p1\": expected a gradient of 3 elements, found 2";
    refused(&mut trainer, &mut model, expected, |_, model| {
        model.spectra[1].accumulate(&[1.0; 2])
    });
    let expected = "trainer: expected parameters in 2 groups, found 1";
    type Call = fn(&mut Trainer, &mut [&mut [&mut Parameter]]) -> waveft_std::Result<()>;
    let calls: [Call; 3] = [
        |trainer, groups| trainer.step(groups, |_| panic!("reported")),
        |trainer, groups| trainer.zero_grad(groups),
        |trainer, groups| trainer.save("nowhere", groups),
    ];
    for call in calls {
        refused(&mut trainer, &mut model, expected, |trainer, model| {
            call(trainer, &mut [&mut model.parameters()])
        });
    }
    let error = adam_w(CONSTANT).with_max_norm(f64::NAN).unwrap_err();
    let expected = "trainer: expected finite largest gradient norm of at least 0, found NaN";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_parameter_stays_with_its_kind_of_optimiser() {
    let (mut trainer, mut model) = (adam_w(CONSTANT), Model::new([2, 3, 4]));
    for key in 0..4 {
        model.train(&mut trainer, key);
    }
    let mut other = self::trainer(optimisers()[1], CONSTANT);
    other.finish_micro_batch(1.0);
    let before = model.bits();
    let error = model
        .with_groups(|groups| other.step(groups, |_| {}))
        .unwrap_err();
    let expected = "parameter \"p0\": expected an optimiser's state of [2, 0] elements, found [2, 2], of another optimiser";
    assert_eq!(error.to_string(), expected);
    assert_eq!(model.bits(), before);
}

/// The file at `path`, changed.
fn change(
    path: &Path,
    edit: impl FnOnce(&mut Vec<(String, Dtype, Vec<usize>, Vec<u8>)>, &mut String),
) {
    let bytes = std::fs::read(path).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let mut metadata = header.metadata().clone().unwrap();
    let mut tensors = SafeTensors::deserialize(&bytes)
        .unwrap()
        .iter()
        .map(|(name, view)| {
            let (shape, data) = (view.shape().to_vec(), view.data().to_vec());
            (name.to_owned(), view.dtype(), shape, data)
        })
        .collect();
    edit(&mut tensors, metadata.values_mut().next().unwrap());
    let views = tensors.iter().map(|(name, dtype, shape, data)| {
        let view = TensorView::new(*dtype, shape.clone(), data).unwrap();
        (name.clone(), view)
    });
    serialize_to_file(views, Some(metadata), path).unwrap();
}

#[test]
fn a_training_state_of_another_layout_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    let (mut trainer, mut model) = (adam_w(SCHEDULE), Model::new([2, 3, 4]));
    for key in 0..4 {
        model.train(&mut trainer, key);
    }
    let save = || {
        let (mut trainer, mut model) = (trainer.clone(), model.clone());
        model
            .with_groups(|groups| trainer.save(&path, groups))
            .unwrap();
        model
            .with_groups(|groups| trainer.restore(&path, groups))
            .unwrap();
    };
    let restore = |trainer: &mut Trainer, model: &mut Model, expected: &str| {
        refused(trainer, model, expected, |trainer, model| {
            model.with_groups(|groups| trainer.restore(&path, groups))
        });
    };
    save();

    let mut other = self::trainer(optimisers()[1], SCHEDULE);
    let mut fresh = Model::new([2, 3, 4]);
    let expected = "expected a training state of SGD, found one of AdamW";
    restore(&mut other, &mut fresh, expected);

    let mut trainer = trainer.clone();
    let mut longer = Model::new([2, 3, 5]);
    let expected = "tensor \"p2.values\": expected F32 of shape [5], found F32 of shape [4]";
    restore(&mut trainer.clone(), &mut longer, expected);

    let mut fewer = Model::new([2, 3, 4]);
    fewer.spectra.pop();
    let expected = "expected 1 parameters in group 0, found 2";
    restore(&mut trainer.clone(), &mut fewer, expected);

    let mut swapped = Model::new([2, 3, 4]);
    swapped.spectra.reverse();
    let expected = "expected parameter \"p1\" in group 0, found \"p0\" in its place";
    restore(&mut trainer.clone(), &mut swapped, expected);

    let rates = vec![Rates::new(0.1, 0.0).unwrap()];
    let mut single = Trainer::new(Optimiser::AdamW(AdamW::default()), SCHEDULE, rates);
    let mut fresh = Model::new([2, 3, 4]);
    let error = single
        .restore(&path, &mut [&mut fresh.parameters()])
        .unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("expected a training state of 1 groups, found 2"),
        "{error}"
    );

    let change_and_restore = |edit: &dyn Fn(&mut Vec<_>, &mut String), expected: &str| {
        save();
        change(&path, edit);
        restore(&mut trainer.clone(), &mut model.clone(), expected);
    };
    change_and_restore(
        &|tensors, _| tensors.retain(|(name, ..)| name != "p1.second_moment"),
        "tensor \"p1.second_moment\": expected F32 of shape [3], found no such tensor",
    );
    change_and_restore(
        &|tensors, _| tensors[0].0 = "p9.values".to_owned(),
        "found no such tensor",
    );
    change_and_restore(
        &|tensors, _| {
            for (name, dtype, ..) in tensors {
                if name == "p0.first_moment" {
                    *dtype = Dtype::I32;
                }
            }
        },
        "tensor \"p0.first_moment\": expected F32 of shape [2], found I32 of shape [2]",
    );
    change_and_restore(
        &|tensors, _| tensors.push(("more".to_owned(), Dtype::F32, vec![1], vec![0; 4])),
        "expected 12 tensors, found 13",
    );
    change_and_restore(
        &|_, state| *state = state.replace("\"epsilon\":1e-8", "\"epsilon\":-1.0"),
        "state.safetensors: expected finite epsilon of at least 0, found -1",
    );
    // Steps that could not be counted any further.
    for (count, what) in [
        ("\"steps\":1,\"skipped\"", "number of steps"),
        ("\"skipped\":0", "number of skipped steps"),
        ("\"micro_batches\":1", "number of micro-batches"),
        (
            "\"steps\":1,\"has_gradient\"",
            "parameter's number of steps",
        ),
    ] {
        let expected = format!(
            "expected {what} of at least 0 and below 9007199254740992, found 18446744073709552000"
        );
        let number = count.find(['0', '1']).unwrap();
        let most = [
            &count[..number],
            &u64::MAX.to_string(),
            &count[number + 1..],
        ]
        .concat();
        change_and_restore(&|_, state| *state = state.replace(count, &most), &expected);
    }
    change_and_restore(
        &|_, state| *state = state.replace("adam_w", "lion"),
        "expected a training state of this version, found unknown variant `lion`, expected `sgd` or `adam_w` at line 1 column 27",
    );
    save();
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 4]).unwrap();
    restore(
        &mut trainer,
        &mut model.clone(),
        &format!(
            "expected a file of {} bytes, found {} bytes",
            whole.len(),
            whole.len() - 4
        ),
    );
    let adapter = TensorView::new(Dtype::F32, vec![1], &[0; 4]).unwrap();
    serialize_to_file([("spectrum", adapter)], None, &path).unwrap();
    restore(
        &mut trainer,
        &mut model.clone(),
        "expected a training state, found no \"waveft_training_state\" in its metadata",
    );
}

#[test]
fn names_that_come_twice_are_refused() {
    let (mut trainer, mut model) = (adam_w(CONSTANT), Model::new([2, 3, 4]));
    model.bias = Parameter::new("p0", vec![0.0; 4]);
    for is_save in [true, false] {
        let result = model.with_groups(|groups| match is_save {
            true => trainer.save("nowhere", groups),
            false => {
                let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
                trainer.restore(path, groups)
            }
        });
        let expected = "parameter \"p0\": expected one of this name, found two";
        assert_eq!(result.unwrap_err().to_string(), expected);
    }
    let missing = Model::new([1; 3])
        .with_groups(|groups| trainer.restore("no/such/file", groups))
        .unwrap_err();
    assert!(missing.to_string().starts_with("no/such/file: "));
    let unwritable = Model::new([1; 3])
        .with_groups(|groups| trainer.save("no/such/folder/file", groups))
        .unwrap_err();
    assert!(unwritable.to_string().starts_with("no/such/folder: "));
}
