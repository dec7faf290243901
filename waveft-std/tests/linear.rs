//! Layers with adapters: against PEFT and torch, with other bases, in rows, on any number of threads.

mod goldens;
mod layers;

use goldens::{Goldens, deviation};
use half::{bf16, f16};
use layers::{numbers, prepared, updates};
use rayon::ThreadPoolBuilder;
use serde_json::{Value, json};
use waveft_core::optimiser::{AdamW, Rates, Sgd};
use waveft_core::schedule::Schedule;
use waveft_std::Result;
use waveft_std::adapter::Adapter;
use waveft_std::linear::{
    Base, Features, LayerAdapter, SingleElement, WaveFtLinear, Weight, parameter_groups,
};
use waveft_std::training::{Optimiser, Trainer};

fn narrowed<T: SingleElement>(values: &[f32]) -> Vec<T> {
    let mut elements = vec![T::from_real(0.0); values.len()];
    T::narrow(values, &mut elements);
    elements
}

fn widened<T: SingleElement>(elements: &[T]) -> Vec<f32> {
    let mut values = vec![0.0; elements.len()];
    T::widen(elements, &mut values);
    values
}

/// Types that a weight can be made of.
trait WeightElement: SingleElement {
    fn weight(elements: Vec<Self>, rows: usize, columns: usize) -> Weight<'static>;
}

macro_rules! weight_element {
    ($($element:ty)*) => {
        $(
            impl WeightElement for $element {
                fn weight(elements: Vec<Self>, rows: usize, columns: usize) -> Weight<'static> {
                    Weight::new(elements, rows, columns).unwrap()
                }
            }
        )*
    };
}

weight_element!(f32 bf16 f16);

fn single(values: Vec<f64>) -> Vec<f32> {
    values.into_iter().map(|value| value as f32).collect()
}

fn off<T: SingleElement>(found: &[T], expected: &[f64]) -> f64 {
    let found = widened(found).into_iter().map(f64::from);
    deviation(found, expected)
}

/// A golden layer in `T`; `bound` is for everything but what torch's own result is off.
fn check_layer<T: WeightElement>(goldens: &Goldens, case: &Value, bound: f64) {
    let name = case["name"].as_str().unwrap();
    let values = |tensor: &str| goldens.values(&format!("{name}.{tensor}"));
    let [rows, columns] = ["rows", "cols"].map(|side| case[side].as_u64().unwrap() as usize);
    let is_transposed = case["fan_in_fan_out"].as_bool().unwrap();
    let elements = narrowed::<T>(&single(values("weight")));
    let weight = match is_transposed {
        true => T::weight(elements, columns, rows).fan_in_fan_out(),
        false => T::weight(elements, rows, columns),
    };
    let mut layer = WaveFtLinear::new("layer", weight).unwrap();
    layer = match case["bias"].as_str().unwrap() {
        "none" => layer,
        "frozen" => layer.with_frozen_bias(single(values("bias"))).unwrap(),
        _ => layer.with_trained_bias(single(values("bias"))).unwrap(),
    };
    let adapters = case["adapters"].as_array().unwrap();
    let names: Vec<String> = (0..adapters.len()).map(|index| index.to_string()).collect();
    for (adapter, name) in adapters.iter().zip(&names) {
        let seed = adapter["seed"].as_str().unwrap().parse::<i64>().unwrap();
        let keys = json!({
            "scaling": adapter["scaling"], "wavelet_family": adapter["wavelet"], "use_idwt": adapter["use_idwt"],
            "random_loc_seed": seed, "fan_in_fan_out": is_transposed,
        });
        let spectrum = single(values(&format!("spectrum.{name}")));
        let (_, mut updates) = prepared(keys, &[("layer", rows, columns)], &[spectrum]);
        layer.add_adapter(name, updates.remove(0)).unwrap();
    }
    layer
        .activate(&names.iter().map(String::as_str).collect::<Vec<_>>())
        .unwrap();

    let [x, dy] = ["x", "dy"].map(|tensor| narrowed::<T>(&single(values(tensor))));
    // What is there before does not matter.
    let mut y = vec![T::from_real(f32::NAN); dy.len()];
    let mut dx = vec![T::from_real(f32::NAN); x.len()];
    layer.forward(&x, &mut y).unwrap();
    layer.backward(&x, &dy, Some(&mut dx)).unwrap();

    let check = |tensor: &str, off: f64| {
        let bound = bound + case["deviation"][tensor].as_f64().unwrap();
        assert!(off <= bound, "{name}.{tensor} {off:e}");
    };
    check("y", off(&y, &values("y")));
    check("dx", off(&dx, &values("dx")));
    for (adapter, name) in layer.adapters().iter().zip(&names) {
        let tensor = format!("dspectrum.{name}");
        check(&tensor, off(&adapter.gradient().unwrap(), &values(&tensor)));
    }
    if case["bias"] == "trained" {
        check(
            "dbias",
            off(layer.bias_gradient().unwrap(), &values("dbias")),
        );
    }
}

#[test]
fn layers_are_those_of_peft() {
    let goldens = Goldens::read();
    let cases = goldens.cases["layers"].as_array().unwrap();
    assert_eq!(cases.len(), 81);
    for case in cases {
        match case["dtype"].as_str() {
            // The base is rounded, and each of two adapters as it is added.
            Some("bf16") => check_layer::<bf16>(&goldens, case, 1.0 / 64.0),
            // What an f64 layer is given f32 holds exactly.
            _ => check_layer::<f32>(&goldens, case, 1e-6),
        }
    }
}

/// The two-layer network of the golden runs.
struct Network {
    layers: [WaveFtLinear<Weight<'static>>; 2],
    adapter: Adapter,
}

const MODULES: [(&str, usize, usize); 2] = [("fc1", 96, 64), ("fc2", 10, 96)];

impl Network {
    fn new<T: WeightElement>(goldens: &Goldens, case: &Value) -> Self {
        let name = case["name"].as_str().unwrap();
        let spectra =
            ["fc1", "fc2"].map(|layer| single(goldens.values(&format!("{name}.initial.{layer}"))));
        let is_trained = case["biases"].as_bool().unwrap();
        let keys = json!({
            "scaling": case["scaling"], "wavelet_family": case["wavelet"],
            "random_loc_seed": case["seed"].as_str().unwrap().parse::<i64>().unwrap(),
            "bias": if is_trained { "waveft_only" } else { "none" },
        });
        let (adapter, _) = prepared(keys, &MODULES, &spectra);
        let values = |tensor: String| single(goldens.values(&format!("network.{tensor}")));
        let biases = ["fc1", "fc2"].map(|layer| values(format!("{layer}.bias")));
        Self::of::<T>(goldens, adapter, biases, is_trained)
    }

    fn of<T: WeightElement>(
        goldens: &Goldens,
        adapter: Adapter,
        biases: [Vec<f32>; 2],
        is_trained: bool,
    ) -> Self {
        let mut updates = updates(&adapter, &MODULES).into_iter();
        let mut biases = biases.into_iter();
        let layers = MODULES.map(|(module, rows, columns)| {
            let weight = single(goldens.values(&format!("network.{module}.weight")));
            let weight = T::weight(narrowed(&weight), rows, columns);
            let layer = WaveFtLinear::new(module, weight).unwrap();
            let bias = biases.next().unwrap();
            let mut layer = match is_trained {
                true => layer.with_trained_bias(bias).unwrap(),
                false => layer.with_frozen_bias(bias).unwrap(),
            };
            layer
                .add_adapter("default", updates.next().unwrap())
                .unwrap();
            layer
        });
        Self { layers, adapter }
    }

    /// The loss, with the gradients added to the parameters.
    fn train<T: SingleElement>(&mut self, x: &[T], target: &[f32]) -> f64 {
        let tokens = x.len() / 64;
        let zero = T::from_real(0.0);
        let [first, second] = &mut self.layers;
        let mut hidden = vec![zero; tokens * 96];
        first.forward(x, &mut hidden).unwrap();
        let gates: Vec<f32> = widened(&hidden).into_iter().map(|h| h.max(0.0)).collect();
        let squares = narrowed::<T>(&gates.iter().map(|gate| gate * gate).collect::<Vec<_>>());
        let mut y = vec![zero; tokens * 10];
        second.forward(&squares, &mut y).unwrap();
        let errors: Vec<f32> = widened(&y).iter().zip(target).map(|(y, t)| y - t).collect();
        let loss = errors.iter().map(|e| f64::from(e * e)).sum::<f64>() / errors.len() as f64;

        let count = errors.len() as f32;
        let dy = narrowed::<T>(
            &errors
                .iter()
                .map(|error| 2.0 * error / count)
                .collect::<Vec<_>>(),
        );
        let mut dhidden = vec![zero; hidden.len()];
        second.backward(&squares, &dy, Some(&mut dhidden)).unwrap();
        let dhidden = widened(&dhidden).into_iter().zip(&gates);
        let dhidden = narrowed::<T>(
            &dhidden
                .map(|(d, gate)| d * (2.0 * gate))
                .collect::<Vec<_>>(),
        );
        first.backward(x, &dhidden, None).unwrap();
        loss
    }

    fn step(&mut self, trainer: &mut Trainer) {
        let [mut spectra, mut biases] = parameter_groups(&mut self.layers).unwrap();
        trainer
            .step(&mut [&mut spectra, &mut biases], |_| {})
            .unwrap();
    }

    fn parameters(&self) -> Vec<Vec<f32>> {
        let spectra = self
            .layers
            .iter()
            .map(|layer| layer.adapters()[0].coefficients().unwrap());
        let biases = self
            .layers
            .iter()
            .map(|layer| layer.bias().unwrap().to_vec());
        spectra.chain(biases).collect()
    }
}

fn trainer(case: &Value) -> Trainer {
    let number = |key: &str| case[key].as_f64().unwrap();
    let steps = |key: &str| case[key].as_u64().unwrap();
    let optimiser = if case["optimiser"] == "adamw" {
        let betas = [0, 1].map(|index| case["betas"][index].as_f64().unwrap());
        Optimiser::AdamW(AdamW::new(betas, number("eps")).unwrap())
    } else {
        Optimiser::Sgd(Sgd::new(number("momentum")).unwrap())
    };
    let (warmup_steps, total_steps) = (steps("warmup"), steps("steps"));
    let schedule = match case["schedule"].as_str().unwrap() {
        "constant" => Schedule::Constant { warmup_steps },
        "linear" => Schedule::Linear {
            warmup_steps,
            total_steps,
        },
        _ => Schedule::Cosine {
            warmup_steps,
            total_steps,
        },
    };
    let rates = [number("weight_decay"), 0.0].map(|decay| Rates::new(number("lr"), decay).unwrap());
    let trainer = Trainer::new(optimiser, schedule, rates.to_vec());
    match case["clip"].as_f64() {
        Some(clip) => trainer.with_max_norm(clip).unwrap(),
        None => trainer,
    }
}

/// A golden run in `T`: how far each recorded result is from that of the run `reference`.
fn check_run<T: WeightElement>(
    goldens: &Goldens,
    case: &Value,
    reference: &str,
    bound: impl Fn(&str) -> f64,
) {
    let mut network = Network::new::<T>(goldens, case);
    let mut trainer = trainer(case);
    let x = narrowed::<T>(&single(goldens.values("network.x")));
    let target = single(goldens.values("network.target"));
    let check = |tensor: &str, found: &[f32]| {
        let off = off(found, &goldens.values(&format!("{reference}.{tensor}")));
        let bound = bound(tensor);
        assert!(
            off <= bound,
            "{} {tensor}: {off:e}, at most {bound:e}",
            case["name"]
        );
    };
    let mut losses = Vec::new();
    for step in 1..=200 {
        let loss = network.train::<T>(&x, &target);
        trainer.finish_micro_batch(loss);
        losses.push(loss as f32);
        if step == 1 {
            for layer in &network.layers {
                let tensor = format!("gradient.{}", layer.module());
                check(&tensor, &layer.adapters()[0].gradient().unwrap());
            }
        }
        network.step(&mut trainer);
        for layer in network.layers.iter().filter(|_| [10, 200].contains(&step)) {
            let tensor = format!("step{step}.{}", layer.module());
            check(&tensor, &layer.adapters()[0].coefficients().unwrap());
            if case["biases"] == true {
                check(&format!("{tensor}.bias"), layer.bias().unwrap());
            }
        }
    }
    check("losses", &losses);
}

#[test]
fn runs_of_200_steps_are_those_of_torch() {
    let goldens = Goldens::read();
    let cases = goldens.cases["runs"].as_array().unwrap();
    assert_eq!(cases.len(), 20);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        match case["dtype"].as_str() {
            Some("bf16") => {
                // No further from torch's bf16 than that is from its f64; and itself as far from f64, within a quarter.
                let torch_is_off = |tensor: &str| case["deviation"][tensor].as_f64().unwrap();
                check_run::<bf16>(&goldens, case, name, torch_is_off);
                let of_f64 = name.replace("bf16", "f64");
                check_run::<bf16>(&goldens, case, &of_f64, |tensor| {
                    1.25 * torch_is_off(tensor)
                });
            }
            // Of torch's f32, and in f32 of its f64.
            _ => check_run::<f32>(&goldens, case, name, |_| 1e-5),
        }
    }
}

/// What is computed of a layer, with all gradients.
fn everything<T: WeightElement>(rows: &[Option<&str>]) -> Vec<Vec<f32>> {
    let (tokens, outputs, inputs) = (300, 600, 520);
    let weight = T::weight(narrowed(&numbers(outputs * inputs, 1)), outputs, inputs);
    let bias = numbers(outputs, 2);
    let mut layer = WaveFtLinear::new("m", weight)
        .unwrap()
        .with_trained_bias(bias)
        .unwrap();
    for (name, wavelet) in [("a", "db1"), ("b", "db4"), ("c", "sym8")] {
        let keys = json!({"wavelet_family": wavelet});
        let (_, mut updates) = prepared(keys, &[("m", outputs, inputs)], &[numbers(700, 3)]);
        layer.add_adapter(name, updates.remove(0)).unwrap();
    }
    layer.activate(&["c", "a"]).unwrap();
    let [x, dy] = [(inputs, 4), (outputs, 5)]
        .map(|(features, key)| narrowed::<T>(&numbers(tokens * features, key)));
    let mut y = narrowed::<T>(&vec![0.0; dy.len()]);
    let mut dx = narrowed::<T>(&vec![0.0; x.len()]);
    match rows {
        [] => {
            layer.forward(&x, &mut y).unwrap();
            layer.backward(&x, &dy, Some(&mut dx)).unwrap();
        }
        rows => {
            layer.forward_rows(rows, &x, &mut y).unwrap();
            layer.backward_rows(rows, &x, &dy, Some(&mut dx)).unwrap();
        }
    }
    let gradients = layer
        .adapters()
        .iter()
        .map(|adapter| adapter.spectrum().gradient().to_vec());
    let bias = layer.bias_gradient().unwrap().to_vec();
    gradients.chain([bias, widened(&y), widened(&dx)]).collect()
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let rows = [Some("b"), None, Some("b"), Some("c"), Some("c")];
    let on = |threads: usize| {
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            [
                everything::<f32>(&[]),
                everything::<bf16>(&[]),
                everything::<f16>(&rows),
                everything::<f32>(&rows),
            ]
        })
    };
    let one = on(1);
    assert!(
        one.iter()
            .flatten()
            .all(|values| values.iter().all(|value| value.is_finite()))
    );
    assert!(one == on(2) && one == on(3));
}

/// Eight bits an entry and a scale for each row.
struct Int8 {
    entries: Vec<i8>,
    scales: Vec<f32>,
    inputs: usize,
}

impl Features for Int8 {
    fn features(&self) -> (usize, usize) {
        (self.scales.len(), self.inputs)
    }
}

impl Base<f32> for Int8 {
    fn forward(&self, x: &[f32], bias: Option<&[f32]>, y: &mut [f32]) -> Result<()> {
        assert!(bias.is_none());
        let tokens = x.chunks(self.inputs).zip(y.chunks_mut(self.scales.len()));
        for (x, y) in tokens {
            let rows = self.entries.chunks(self.inputs).zip(&self.scales);
            for (y, (row, scale)) in y.iter_mut().zip(rows) {
                let sum: f32 = row
                    .iter()
                    .zip(x)
                    .map(|(&entry, x)| f32::from(entry) * x)
                    .sum();
                *y = scale * sum;
            }
        }
        Ok(())
    }

    fn backward(&self, dy: &[f32], dx: &mut [f32]) -> Result<()> {
        dx.fill(0.0);
        let tokens = dy.chunks(self.scales.len()).zip(dx.chunks_mut(self.inputs));
        for (dy, dx) in tokens {
            let rows = self.entries.chunks(self.inputs).zip(&self.scales);
            for (dy, (row, scale)) in dy.iter().zip(rows) {
                for (dx, &entry) in dx.iter_mut().zip(row) {
                    *dx += dy * scale * f32::from(entry);
                }
            }
        }
        Ok(())
    }
}

#[test]
fn an_int8_layer_can_be_the_base() {
    let (tokens, outputs, inputs) = (5, 24, 40);
    let numbers_of_base = numbers(outputs * inputs, 1);
    let int8 = Int8 {
        entries: numbers_of_base.iter().map(|x| (x * 128.0) as i8).collect(),
        scales: (1..=outputs).map(|row| row as f32 / 16.0).collect(),
        inputs,
    };
    let rows = numbers_of_base.chunks(inputs).zip(&int8.scales);
    let wide = rows.flat_map(|(row, scale)| row.iter().map(move |x| x * 128.0 * scale));
    let wide = Weight::new(wide.collect::<Vec<f32>>(), outputs, inputs).unwrap();
    let [x, dy] =
        [(inputs, 2), (outputs, 3)].map(|(features, key)| numbers(tokens * features, key));

    fn run<B: Base<f32>>(base: B, x: &[f32], dy: &[f32]) -> [Vec<f32>; 3] {
        let (outputs, inputs) = base.features();
        let mut layer = WaveFtLinear::new("m", base).unwrap();
        let keys = json!({"wavelet_family": "db2"});
        let (_, mut updates) = prepared(keys, &[("m", outputs, inputs)], &[numbers(90, 4)]);
        layer.add_adapter("a", updates.remove(0)).unwrap();
        let (mut y, mut dx) = (vec![0.0; dy.len()], vec![0.0; x.len()]);
        layer.forward(x, &mut y).unwrap();
        layer.backward(x, dy, Some(&mut dx)).unwrap();
        [y, dx, layer.adapters()[0].spectrum().gradient().to_vec()]
    }

    let of_wide = run(wide, &x, &dy);
    for (found, expected) in run(int8, &x, &dy).iter().zip(&of_wide) {
        let expected: Vec<f64> = expected.iter().map(|&value| value.into()).collect();
        assert!(off(found, &expected) < 1e-6);
    }
}

/// A layer with adapters `a` and `b`, the first of them active.
fn two_adapters(outputs: usize, inputs: usize) -> WaveFtLinear<Weight<'static>> {
    let weight = Weight::new(numbers(outputs * inputs, 1), outputs, inputs).unwrap();
    let mut layer = WaveFtLinear::new("m", weight).unwrap();
    for (name, wavelet, key) in [("a", "db1", 7), ("b", "db4", 8)] {
        let keys = json!({"wavelet_family": wavelet, "random_loc_seed": key});
        let (_, mut updates) = prepared(
            keys,
            &[("m", outputs, inputs)],
            &[numbers((outputs * inputs / 2).min(150), key)],
        );
        layer.add_adapter(name, updates.remove(0)).unwrap();
    }
    layer
}

#[test]
fn rows_are_what_their_adapters_make_of_them_alone() {
    let (outputs, inputs, of_row) = (30, 44, 70);
    let rows = [Some("b"), Some("b"), None, Some("a"), Some("b")];
    let [x, dy] = [(inputs, 2), (outputs, 3)]
        .map(|(features, key)| numbers(rows.len() * of_row * features, key));
    let mut layer = two_adapters(outputs, inputs);
    let bare = {
        let mut layer = layer.clone();
        layer.enable(false).unwrap();
        let (mut y, mut dx) = (vec![0.0; dy.len()], vec![0.0; x.len()]);
        layer.forward(&x, &mut y).unwrap();
        layer.backward(&x, &dy, Some(&mut dx)).unwrap();
        assert!(
            layer
                .adapters()
                .iter()
                .all(|adapter| !adapter.spectrum().has_gradient())
        );
        (y, dx)
    };
    let (mut y, mut dx) = (vec![0.0; dy.len()], vec![0.0; x.len()]);
    layer.forward_rows(&rows, &x, &mut y).unwrap();
    layer.backward_rows(&rows, &x, &dy, Some(&mut dx)).unwrap();

    let mut separate = two_adapters(outputs, inputs);
    let (mut expected_y, mut expected_dx) = bare;
    for (adapter, rows) in [
        (Some("b"), 0..2),
        (None, 2..3),
        (Some("a"), 3..4),
        (Some("b"), 4..5),
    ] {
        let tokens = rows.start * of_row..rows.end * of_row;
        let of_x = tokens.start * inputs..tokens.end * inputs;
        let of_y = tokens.start * outputs..tokens.end * outputs;
        separate.activate(adapter.as_slice()).unwrap();
        separate
            .add_adapters(&x[of_x.clone()], &mut expected_y[of_y.clone()])
            .unwrap();
        let dx = &mut expected_dx[of_x.clone()];
        separate
            .add_adapters_backward(&x[of_x], &dy[of_y], Some(dx))
            .unwrap();
    }
    assert!(y == expected_y && dx == expected_dx);
    let gradients = |layer: &WaveFtLinear<_>| {
        layer
            .adapters()
            .iter()
            .map(|a| a.spectrum().gradient().to_vec())
            .collect::<Vec<_>>()
    };
    assert_eq!(gradients(&layer), gradients(&separate));

    // Without the gradient of the input, the others are the same.
    let mut without = two_adapters(outputs, inputs);
    without.backward_rows(&rows, &x, &dy, None).unwrap();
    assert_eq!(gradients(&layer), gradients(&without));
    // The row without an adapter is the base's.
    let bare = 2 * of_row * outputs..3 * of_row * outputs;
    let mut of_base = vec![0.0; y.len()];
    layer.base().forward(&x, None, &mut of_base).unwrap();
    assert_eq!(y[bare.clone()], of_base[bare]);
}

fn check_product<T: WeightElement>(outputs: usize, inputs: usize, tokens: usize) {
    let entries = numbers(outputs * inputs, 1);
    let transposed: Vec<f32> = (0..inputs * outputs)
        .map(|at| entries[at % outputs * inputs + at / outputs])
        .collect();
    let [x, dy] =
        [(inputs, 2), (outputs, 3)].map(|(features, key)| numbers(tokens * features, key));
    let sum = |terms: &mut dyn Iterator<Item = f32>| terms.map(f64::from).sum::<f64>();
    let bias = numbers(outputs, 4);
    let y: Vec<f64> = (0..tokens * outputs)
        .map(|at| {
            let (x, row) = (
                &x[at / outputs * inputs..],
                &entries[at % outputs * inputs..],
            );
            f64::from(bias[at % outputs])
                + sum(&mut x[..inputs].iter().zip(row).map(|(x, w)| x * w))
        })
        .collect();
    let dx: Vec<f64> = (0..tokens * inputs)
        .map(|at| {
            let (dy, column) = (
                &dy[at / inputs * outputs..],
                &transposed[at % inputs * outputs..],
            );
            sum(&mut dy[..outputs].iter().zip(column).map(|(dy, w)| dy * w))
        })
        .collect();
    for weight in [
        T::weight(narrowed(&entries), outputs, inputs),
        T::weight(narrowed(&transposed), inputs, outputs).fan_in_fan_out(),
    ] {
        let context = format!(
            "{:?} {outputs} x {inputs}, {tokens}, {}",
            weight.dtype(),
            weight.is_fan_in_fan_out()
        );
        let (mut found_y, mut found_dx) = (vec![f32::NAN; y.len()], vec![f32::NAN; dx.len()]);
        weight.forward(&x, Some(&bias), &mut found_y).unwrap();
        weight.backward(&dy, &mut found_dx).unwrap();
        assert!(
            off(&found_y, &y) < 1e-6 && off(&found_dx, &dx) < 1e-6,
            "{context}"
        );
        // Narrow activations are rounded once, at the end.
        let mut narrow = narrowed::<bf16>(&found_y);
        weight
            .forward(&narrowed::<bf16>(&x), Some(&bias), &mut narrow)
            .unwrap();
        assert_eq!(narrow, narrowed::<bf16>(&found_y), "{context}");
    }
}

#[test]
fn a_weight_multiplies_as_the_sums_do() {
    // Sides below, at and above a panel, depths above what is widened at once, and tokens few, many and more than a block.
    for (outputs, inputs, tokens) in [
        (1, 1, 1),
        (1, 7, 3),
        (7, 1, 2),
        (3, 1100, 1),
        (256, 20, 1),
        (257, 20, 5),
        (513, 33, 17),
        (40, 530, 1030),
        (600, 520, 4),
        (600, 520, 33),
    ] {
        check_product::<f32>(outputs, inputs, tokens);
        check_product::<bf16>(outputs, inputs, tokens);
        check_product::<f16>(outputs, inputs, tokens);
    }
}

#[test]
fn a_run_saved_and_resumed_equals_one_that_was_not() {
    let goldens = Goldens::read();
    let runs = goldens.cases["runs"].as_array().unwrap();
    let case = runs
        .iter()
        .find(|case| case["name"] == "adamw-biases-f32")
        .unwrap();
    let x = single(goldens.values("network.x"));
    let target = single(goldens.values("network.target"));
    let steps = |network: &mut Network, trainer: &mut Trainer, count: usize| {
        for _ in 0..count {
            let loss = network.train::<f32>(&x, &target);
            trainer.finish_micro_batch(loss);
            network.step(trainer);
        }
    };
    let mut whole = Network::new::<f32>(&goldens, case);
    steps(&mut whole, &mut trainer(case), 9);

    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state.safetensors");
    let mut stopped = Network::new::<f32>(&goldens, case);
    let mut its_trainer = trainer(case);
    steps(&mut stopped, &mut its_trainer, 5);
    for layer in &stopped.layers {
        layer.store("default", &mut stopped.adapter).unwrap();
    }
    stopped.adapter.save(folder.path()).unwrap();
    let [mut spectra, mut biases] = parameter_groups(&mut stopped.layers).unwrap();
    its_trainer
        .save(&state, &[&mut spectra, &mut biases])
        .unwrap();

    let saved = Adapter::read(folder.path()).unwrap();
    assert_eq!(saved.config().json(), stopped.adapter.config().json());
    let biases = saved.tensors().iter().map(|tensor| {
        let (elements, _) = tensor.bytes().as_chunks();
        elements
            .iter()
            .map(|&bytes| f32::from_le_bytes(bytes))
            .collect::<Vec<f32>>()
    });
    let biases: Vec<Vec<f32>> = biases.collect();
    let keys: Vec<&str> = saved.tensors().iter().map(|tensor| tensor.key()).collect();
    assert_eq!(
        keys,
        ["fc1", "fc2"].map(|module| format!("base_model.model.{module}.base_layer.bias"))
    );
    let spectra = saved.spectra().iter().map(|spectrum| spectrum.to_f32());
    let all: Vec<Vec<f32>> = spectra.chain(biases.clone()).collect();
    assert_eq!(all, stopped.parameters());

    let mut resumed = Network::of::<f32>(&goldens, saved, biases.try_into().unwrap(), true);
    assert_eq!(resumed.parameters(), stopped.parameters());
    let mut its_trainer = trainer(case);
    let [mut spectra, mut biases] = parameter_groups(&mut resumed.layers).unwrap();
    its_trainer
        .restore(&state, &mut [&mut spectra, &mut biases])
        .unwrap();
    steps(&mut resumed, &mut its_trainer, 4);
    assert_eq!(resumed.parameters(), whole.parameters());
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let mut layer = two_adapters(6, 8);
    let (x, y) = (numbers(2 * 8, 1), numbers(2 * 6, 2));
    layer.backward(&x, &y, None).unwrap();
    let before = format!("{layer:?}");
    let refused = |result: Result<()>, expected: &str| {
        assert_eq!(result.unwrap_err().to_string(), expected);
    };
    let mut to = [7.0; 12];
    refused(
        layer.forward(&x[1..], &mut to),
        r#"layer "m": expected x of 1 tokens x 8, found 15 elements"#,
    );
    refused(
        layer.forward(&x, &mut to[1..]),
        r#"layer "m": expected y of 2 tokens x 6, found 11 elements"#,
    );
    refused(
        layer.add_adapters(&x, &mut to[1..]),
        r#"layer "m": expected y of 2 tokens x 6, found 11 elements"#,
    );
    refused(
        layer.backward(&x, &y[1..], None),
        r#"layer "m": expected dy of 2 tokens x 6, found 11 elements"#,
    );
    let mut dx = [7.0; 15];
    refused(
        layer.backward(&x, &y, Some(&mut dx)),
        r#"layer "m": expected dx of 2 tokens x 8, found 15 elements"#,
    );
    refused(
        layer.add_adapters_backward(&x, &y, Some(&mut dx)),
        r#"layer "m": expected dx of 2 tokens x 8, found 15 elements"#,
    );
    let rows = [Some("a"), None, Some("b")];
    refused(
        layer.forward_rows(&rows, &x, &mut to),
        r#"layer "m": expected tokens of 3 rows of one length, found 2"#,
    );
    refused(
        layer.backward_rows(&[], &x, &y, None),
        r#"layer "m": expected tokens of 0 rows of one length, found 2"#,
    );
    refused(
        layer.forward_rows(&[None, Some("d")], &x, &mut to),
        r#"layer "m": expected one of the adapters ["a", "b"], found "d""#,
    );
    refused(
        layer.activate(&["b", "d"]),
        r#"layer "m": expected one of the adapters ["a", "b"], found "d""#,
    );
    refused(
        layer.activate(&["b", "b"]),
        r#"layer "m": expected adapters to activate once, found "b" twice"#,
    );
    let update = |outputs: usize, inputs: usize| {
        prepared(json!({}), &[("m", outputs, inputs)], &[vec![1.0; 3]])
            .1
            .remove(0)
    };
    refused(
        layer.add_adapter("d", update(8, 6)),
        r#"layer "m": expected an adapter for 6 x 8, found "d" for 8 x 6"#,
    );
    refused(
        layer.add_adapter("b", update(6, 8)),
        r#"layer "m": expected one adapter of a name, found "b" twice"#,
    );
    let bias = layer.clone().with_trained_bias(vec![0.0; 8]);
    refused(
        bias.map(drop),
        r#"layer "m": expected a bias of 6 elements, found 8"#,
    );
    assert_eq!(format!("{layer:?}"), before);
    assert!(to == [7.0; 12] && dx == [7.0; 15]);

    let mut disabled = layer.clone();
    disabled.enable(false).unwrap();
    refused(
        disabled.forward_rows(&[None], &x, &mut to),
        r#"layer "m": expected enabled adapters for rows of their own, found disabled ones"#,
    );

    let (mut adapter, _) = prepared(json!({}), &[("n", 6, 8)], &[vec![1.0; 3]]);
    refused(
        layer.store("a", &mut adapter),
        r#"adapter_config.json: module "m": expected a module with a spectrum, found none"#,
    );
    let (mut adapter, _) = prepared(json!({}), &[("m", 6, 8)], &[vec![1.0; 3]]);
    refused(
        layer.store("a", &mut adapter),
        r#"adapter_config.json: module "m": expected 3 coefficients, found 24"#,
    );
    refused(
        adapter.set_bias("m", &[0.0; 6]),
        r#"adapter_config.json: module "m": expected "bias" to be "all" or "waveft_only", for its bias is trained, found "none""#,
    );

    // A step needs a backward of every parameter that is trained.
    layer.activate(&["b"]).unwrap();
    let rates = vec![Rates::new(0.1, 0.0).unwrap(); 2];
    let mut trainer = Trainer::new(
        Optimiser::AdamW(AdamW::default()),
        Schedule::Constant { warmup_steps: 0 },
        rates,
    );
    trainer.finish_micro_batch(0.0);
    let [mut spectra, mut biases] = parameter_groups([&mut layer]).unwrap();
    refused(
        trainer.step(&mut [&mut spectra, &mut biases], |_| {}),
        r#"parameter "m.waveft_spectrum.b": expected a backward since the last step or zero_grad, found none"#,
    );

    refused(
        Weight::new(&[0.0f32; 6][..], 2, 4).map(drop),
        "weight: expected 2 x 4 elements, found 6",
    );
    refused(
        Weight::new(&[0.0f32; 0][..], 0, 4).map(drop),
        "weight: expected rows and columns, found 0 x 4",
    );
}

#[test]
fn several_active_adapters_are_summed_and_disabled_ones_left_out() {
    let (outputs, inputs, tokens) = (30, 44, 9);
    let mut layer = two_adapters(outputs, inputs);
    let x = numbers(tokens * inputs, 2);
    let mut sums = Vec::new();
    for names in [&["a"][..], &["b"], &["a", "b"], &[]] {
        layer.activate(names).unwrap();
        assert!(layer.active().eq(names.iter().copied()));
        let mut sum = vec![0.0f32; tokens * outputs];
        layer.add_adapters(&x, &mut sum).unwrap();
        sums.push(sum);
    }
    assert!(
        sums[..2]
            .iter()
            .all(|sum| sum.iter().any(|&entry| entry != 0.0))
    );
    let expected: Vec<f64> = sums[0]
        .iter()
        .zip(&sums[1])
        .map(|(a, b)| f64::from(a + b))
        .collect();
    assert!(off(&sums[2], &expected) < 1e-6 && sums[3].iter().all(|&entry| entry == 0.0));
    assert_eq!(
        layer
            .adapters()
            .iter()
            .map(LayerAdapter::name)
            .collect::<Vec<_>>(),
        ["a", "b"]
    );
}
