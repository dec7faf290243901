//! Filter banks in factors against direct convolution with their taps.
//!
//! That every factor is the f64 nearest the exact value is verified where exact values are: in `tools/lifting.py`.

use waveft_core::Error;
use waveft_core::element::Real;
use waveft_core::extension_mode::ExtensionMode;
use waveft_core::filter_bank::wavelets::{ALL, DB4, DMEY, PEFT_COIF4};
use waveft_core::filter_bank::{FilterBank, Wavelet};
use waveft_core::isa::Isa;
use waveft_core::lifting::{Lifting, Phase, Step};
use waveft_core::transform::{Algorithm, Dwt};

/// One of the four, with the taps that it stands for and with what it makes of what.
struct Operator<F: 'static> {
    name: &'static str,
    run: fn(&Lifting<'static, F>, &mut [F], &mut [F]),
    low: Vec<F>,
    high: Vec<F>,
    gathers: bool,
}

fn operators<F: Real>(bank: &FilterBank<'static, F>) -> [Operator<F>; 4] {
    let backwards = |taps: &[F]| taps.iter().rev().copied().collect::<Vec<_>>();
    let analysis = || (backwards(bank.dec_lo()), backwards(bank.dec_hi()));
    let synthesis = || (bank.rec_lo().to_vec(), bank.rec_hi().to_vec());
    let operator = |name, run, (low, high), gathers| Operator {
        name,
        run,
        low,
        high,
        gathers,
    };
    [
        operator("analysis", Lifting::analysis, analysis(), true),
        operator("synthesis", Lifting::synthesis, synthesis(), false),
        operator(
            "analysis_adjoint",
            Lifting::analysis_adjoint,
            analysis(),
            false,
        ),
        operator(
            "synthesis_adjoint",
            Lifting::synthesis_adjoint,
            synthesis(),
            true,
        ),
    ]
}

impl<F: Real> Operator<F> {
    /// What lifting makes of two slices of one length: from each those entries that there is enough of the slices for.
    fn lifted(&self, lifting: &Lifting<'static, F>, input: &[Vec<F>; 2]) -> [Vec<F>; 2] {
        let [mut first, mut second] = input.clone();
        (self.run)(lifting, &mut first, &mut second);
        let [a, b] = lifting.offsets();
        let count = first.len() - self.low.len() / 2 + 1;
        let [at_first, at_second] = if self.gathers { [a, b] } else { [b, a] };
        [
            first[at_first..at_first + count].to_vec(),
            second[at_second..at_second + count].to_vec(),
        ]
    }

    /// The same by convolution.
    fn direct(&self, input: &[Vec<F>; 2]) -> [Vec<F>; 2] {
        let count = input[0].len() - self.low.len() / 2 + 1;
        [0, 1].map(|output| {
            (0..count)
                .map(|k| {
                    let mut sum = F::zero();
                    for (source, values) in input.iter().enumerate() {
                        for (i, &value) in values.iter().enumerate() {
                            sum += self.entry([output, k], [source, i]) * value;
                        }
                    }
                    sum
                })
                .collect()
        })
    }

    /// What an entry of the input, slice and place, counts in one of the output. Outputs that are scattered start at
    /// place `L/2 − 1`.
    fn entry(&self, [output, k]: [usize; 2], [source, i]: [usize; 2]) -> F {
        let half = self.low.len() / 2;
        let (band, phase, distance) = if self.gathers {
            (output, source, i.checked_sub(k))
        } else {
            (source, output, (k + half - 1).checked_sub(i))
        };
        match distance {
            Some(distance) if distance < half => {
                [&self.low, &self.high][band][2 * distance + phase]
            }
            _ => F::zero(),
        }
    }
}

/// All that have factors, with them.
fn factored<F: Real>()
-> impl Iterator<Item = (&'static Wavelet, [Operator<F>; 4], Lifting<'static, F>)> {
    ALL.iter().filter_map(|wavelet| {
        let bank = F::filter_bank(wavelet);
        Some((wavelet, operators(&bank), bank.lifting()?))
    })
}

/// Uniform in [−1, 1), of few enough bits to be an f32 too.
fn noise(length: usize) -> [Vec<f64>; 2] {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 41) as f64 * 2f64.powi(-22) - 1.0
    };
    [(); 2].map(|()| (0..length).map(|_| next()).collect())
}

fn single([first, second]: &[Vec<f64>; 2]) -> [Vec<f32>; 2] {
    [first, second].map(|values| values.iter().map(|&value| value as f32).collect())
}

fn double([first, second]: &[Vec<f32>; 2]) -> [Vec<f64>; 2] {
    [first, second].map(|values| values.iter().map(|&value| f64::from(value)).collect())
}

/// The norm of the difference over the norm.
fn distance(found: &[Vec<f64>; 2], expected: &[Vec<f64>; 2]) -> f64 {
    let (found, expected) = (found.concat(), expected.concat());
    assert_eq!(found.len(), expected.len());
    let square = |x: f64| x * x;
    let difference: f64 = found
        .iter()
        .zip(&expected)
        .map(|(x, y)| square(x - y))
        .sum();
    let norm: f64 = expected.iter().copied().map(square).sum();
    (difference / norm).sqrt()
}

#[test]
fn operators_are_direct_convolution() {
    for ((wavelet, doubles, in_double), (_, singles, in_single)) in
        factored::<f64>().zip(factored::<f32>())
    {
        let input = noise(wavelet.taps() / 2 + 40);
        for (operator, in_f32) in doubles.iter().zip(&singles) {
            let expected = operator.direct(&input);
            let found = operator.lifted(&in_double, &input);
            let off = distance(&found, &expected);
            assert!(off < 2e-15, "{} {}: {off:e}", wavelet.name(), operator.name);
            let found = double(&in_f32.lifted(&in_single, &single(&input)));
            let off = distance(&found, &expected);
            assert!(
                off < 5e-7,
                "{} {} f32: {off:e}",
                wavelet.name(),
                operator.name
            );
        }
    }
}

#[test]
fn synthesis_undoes_analysis() {
    for ((wavelet, [analysis, synthesis, ..], in_double), (_, [in_f32, back, ..], in_single)) in
        factored::<f64>().zip(factored::<f32>())
    {
        let half = wavelet.taps() / 2;
        let input = noise(2 * half + 100);
        let inner = [0, 1].map(|phase| input[phase][half - 1..half + 101].to_vec());
        let bands = analysis.lifted(&in_double, &input);
        let off = distance(&synthesis.lifted(&in_double, &bands), &inner);
        assert!(off < 2e-15, "{}: {off:e}", wavelet.name());
        let bands = in_f32.lifted(&in_single, &single(&input));
        let off = distance(&double(&back.lifted(&in_single, &bands)), &inner);
        assert!(off < 5e-7, "{} f32: {off:e}", wavelet.name());
    }
}

#[test]
fn every_entry_of_the_matrices_is_a_tap() {
    for (wavelet, operators, lifting) in factored::<f64>() {
        let length = wavelet.taps() / 2 + 1; // two entries of each kind
        for operator in &operators {
            for (source, place) in (0..2).flat_map(|source| (0..length).map(move |i| (source, i))) {
                let mut unit = [vec![0.0; length], vec![0.0; length]];
                unit[source][place] = 1.0;
                let column = operator.lifted(&lifting, &unit);
                for (output, k) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                    let expected = operator.entry([output, k], [source, place]);
                    let off = (column[output][k] - expected).abs();
                    assert!(
                        off < 4e-15,
                        "{} {} ({output}, {k}) ({source}, {place}): {off:e}",
                        wavelet.name(),
                        operator.name
                    );
                }
            }
        }
    }
}

/// With zeros around the coefficients, the adjoint has the transposed matrix of the operator, step for step.
#[test]
fn adjoints_are_the_transposes() {
    for (wavelet, [analysis, synthesis, analysis_adjoint, synthesis_adjoint], lifting) in
        factored::<f64>()
    {
        let half = wavelet.taps() / 2;
        let count = 3;
        let samples = count + half - 1;
        for (gathering, scattering) in [
            (&analysis, &analysis_adjoint),
            (&synthesis_adjoint, &synthesis),
        ] {
            let unit = |length: usize, source: usize, place: usize| {
                let mut unit = [vec![0.0; length], vec![0.0; length]];
                unit[source][place] = 1.0;
                unit
            };
            for (band, k) in (0..2).flat_map(|band| (0..count).map(move |k| (band, k))) {
                let padded = unit(count + 2 * (half - 1), band, half - 1 + k);
                let row = scattering.lifted(&lifting, &padded);
                assert_eq!(row[0].len(), samples);
                for (phase, i) in (0..2).flat_map(|phase| (0..samples).map(move |i| (phase, i))) {
                    let column = gathering.lifted(&lifting, &unit(samples, phase, i));
                    let off = (column[band][k] - row[phase][i]).abs();
                    let names = [wavelet.name(), gathering.name];
                    assert!(
                        off < 4e-15,
                        "{names:?} ({band}, {k}) ({phase}, {i}): {off:e}"
                    );
                }
            }
        }
    }
}

/// A step's target and source, how far ahead of the target's entry the source's is, and the tap.
type Edge = (Phase, Phase, isize, f64);

#[test]
fn steps_of_the_adjoints_are_transposed_and_of_the_inverse_undone() {
    for (wavelet, _, lifting) in factored::<f64>() {
        let [a, b] = lifting.offsets().map(|at| at as isize);
        let edges = |step: Step<f64>, frame: [isize; 2]| {
            let target = step.target();
            let at = |phase: Phase| frame[usize::from(phase == Phase::Odd)];
            let source = match target {
                Phase::Even => Phase::Odd,
                Phase::Odd => Phase::Even,
            };
            let mut edges = vec![];
            for (tap, ahead) in step.taps().into_iter().zip(step.shift()..) {
                if tap != 0.0 {
                    edges.push((target, source, ahead + at(source) - at(target), tap));
                }
            }
            edges
        };
        let all = |steps: Vec<Step<f64>>, frame| -> Vec<_> {
            steps.into_iter().map(|step| edges(step, frame)).collect()
        };
        let forward = all(lifting.analysis_steps().collect(), [0, 0]);
        let backward: Vec<_> = forward.iter().rev().cloned().collect();
        let mapped = |steps: &[Vec<Edge>], transposed, sign: f64| {
            let map = |&(target, source, ahead, tap): &Edge| {
                if transposed {
                    (source, target, -ahead, sign * tap)
                } else {
                    (target, source, ahead, sign * tap)
                }
            };
            let order = |step: &Vec<Edge>| {
                let mut step: Vec<_> = step.iter().map(map).collect();
                step.sort_by_key(|edge| edge.2);
                step
            };
            steps.iter().map(order).collect::<Vec<_>>()
        };
        for (steps, frame, expected) in [
            (
                lifting.synthesis_steps().collect(),
                [a, b],
                mapped(&backward, false, -1.0),
            ),
            (
                lifting.analysis_adjoint_steps().collect(),
                [a, b],
                mapped(&backward, true, 1.0),
            ),
            (
                lifting.synthesis_adjoint_steps().collect(),
                [0, 0],
                mapped(&forward, true, -1.0),
            ),
        ] {
            assert_eq!(all(steps, frame), expected, "{}", wavelet.name());
        }
    }
}

#[test]
fn a_nan_goes_no_further_than_by_convolution() {
    for (wavelet, operators, lifting) in factored::<f64>() {
        let length = wavelet.taps() / 2 + 3;
        for operator in &operators {
            for (source, place) in (0..2).flat_map(|source| (0..length).map(move |i| (source, i))) {
                let mut input = noise(length);
                input[source][place] = f64::NAN;
                let found = operator.lifted(&lifting, &input);
                let half = wavelet.taps() / 2;
                for (k, value) in found.iter().flat_map(|band| band.iter().enumerate()) {
                    let within = (k..k + half).contains(&place);
                    let names = [wavelet.name(), operator.name];
                    assert!(!value.is_nan() || within, "{names:?} {k} from {place}");
                }
            }
        }
    }
}

#[test]
fn orthogonal_banks_need_two_multiplications_more_than_taps() {
    let mut count = 0;
    for (wavelet, _, lifting) in factored::<f64>() {
        let (multiplications, taps) = (lifting.multiplications(), wavelet.taps());
        if wavelet.is_orthogonal() {
            assert_eq!(multiplications, taps + 2, "{}", wavelet.name());
        } else {
            assert!(multiplications <= taps + 2, "{}", wavelet.name());
        }
        let steps = lifting.analysis_steps().count();
        assert!(steps <= taps / 2 + 1, "{}", wavelet.name());
        count += 1;
    }
    assert_eq!(count, 105);
}

#[test]
fn banks_that_do_not_reconstruct_perfectly_have_no_factors() {
    for wavelet in ALL.iter().chain([&PEFT_COIF4]) {
        let without = [DMEY.name(), PEFT_COIF4.name()].contains(&wavelet.name());
        assert_eq!(
            wavelet.double().lifting().is_none(),
            without,
            "{}",
            wavelet.name()
        );
        assert_eq!(
            wavelet.single().lifting().is_none(),
            without,
            "{}",
            wavelet.name()
        );
    }
    let db4 = DB4.double();
    let own = FilterBank::new(db4.dec_lo(), db4.dec_hi(), db4.rec_lo(), db4.rec_hi()).unwrap();
    assert_eq!(own.lifting(), None);
    assert_eq!(own, db4);
    assert_ne!(own, PEFT_COIF4.double());
}

#[test]
fn single_precision_factors_are_the_double_ones_rounded_once() {
    for ((wavelet, _, in_double), (_, _, in_single)) in factored::<f64>().zip(factored::<f32>()) {
        let rounded = |pair: [f64; 2]| pair.map(|value| value as f32);
        assert_eq!(rounded(in_double.scales()), in_single.scales());
        assert_eq!(
            rounded(in_double.inverse_scales()),
            in_single.inverse_scales()
        );
        assert_eq!(in_double.offsets(), in_single.offsets());
        let steps = in_single.analysis_steps();
        assert_eq!(in_double.analysis_steps().count(), steps.clone().count());
        for (double, single) in in_double.analysis_steps().zip(steps) {
            assert_eq!(double.target(), single.target(), "{}", wavelet.name());
            assert_eq!(double.shift(), single.shift(), "{}", wavelet.name());
            assert_eq!(rounded(double.taps()), single.taps(), "{}", wavelet.name());
            assert_eq!(double.is_single(), single.is_single(), "{}", wavelet.name());
        }
    }
}

/// Too short to make anything, or of two lengths: nothing to panic about, and no entry is read that is not there.
#[test]
fn slices_of_any_length_are_taken() {
    for (_, operators, lifting) in factored::<f32>() {
        for operator in &operators {
            for (first, second) in
                (0..6).flat_map(|first| (0..6).map(move |second| (first, second)))
            {
                let (mut first, mut second) = (vec![1.0; first], vec![1.0; second]);
                (operator.run)(&lifting, &mut first, &mut second);
            }
        }
    }
}

#[test]
fn a_line_in_lifting_steps_is_the_line_by_convolution() {
    let noise = |length: usize, seed: usize| -> Vec<f64> {
        (0..length)
            .map(|i| ((i * 37 + seed * 91) % 101) as f64 / 50.0 - 1.0)
            .collect()
    };
    let close = |found: &[f64], expected: &[f64], case: &str| {
        let largest = expected.iter().fold(1.0, |most: f64, x| most.max(x.abs()));
        for (x, y) in found.iter().zip(expected) {
            assert!((x - y).abs() <= 2e-13 * largest, "{case}: {x} for {y}");
        }
    };
    for (index, wavelet) in ALL.iter().enumerate() {
        let bank = wavelet.double();
        for mode in ExtensionMode::ALL {
            for length in [2, 3, 16, 33, 257, 2200 + index] {
                let direct = Dwt::new(bank, mode, length).unwrap();
                let direct = direct.with_algorithm(Algorithm::Direct).unwrap();
                assert_eq!(direct.algorithm(), Algorithm::Direct);
                let Ok(lifted) = direct.with_algorithm(Algorithm::Lifting) else {
                    assert_eq!(wavelet.name(), "dmey");
                    continue;
                };
                let isa = Isa::ALL[(index + length) % Isa::ALL.len()];
                let lifted = lifted.with_isa(isa);
                let case = format!("{}, {mode:?}, {length}, {isa:?}", wavelet.name());
                let (band, whole) = (direct.band_length(), direct.reconstructed_length());
                let mut scratch = vec![f64::NAN; direct.scratch_len()];
                let (x, y) = (noise(length, 1), noise(whole, 2));
                let bands = [noise(band, 3), noise(band, 4)];
                let run = |dwt: &Dwt<'_, f64>, scratch: &mut [f64]| {
                    let mut out = [0, 1, 2, 3].map(|_| vec![7.0; band]);
                    let [a, d, b, e] = &mut out;
                    dwt.forward(&x, a, d, scratch).unwrap();
                    dwt.inverse_adjoint(&y, b, e, scratch).unwrap();
                    let (mut s, mut t) = (vec![7.0; whole], vec![7.0; length]);
                    dwt.inverse(&bands[0], &bands[1], &mut s, scratch).unwrap();
                    dwt.forward_adjoint(&bands[0], &bands[1], &mut t, scratch)
                        .unwrap();
                    [&out.concat()[..], &s, &t].concat()
                };
                let expected = run(&direct, &mut scratch);
                scratch.fill(f64::NAN);
                close(&run(&lifted, &mut scratch), &expected, &case);
            }
        }
    }
}

/// Of an orthogonal bank that is in no table, as `tools/lifting.py --taps` prints them.
const STEPS: [Step<f64>; 3] = [
    Step::new(Phase::Odd, 0, [-1.8304877217124518, 0.0]),
    Step::new(Phase::Even, 0, [0.42073549240394825, -0.06743948891695996]),
    Step::new(Phase::Odd, -1, [1.1753426496700214, 0.0]),
];
const LIFTING: Lifting<'static, f64> = Lifting::new(
    [0, 1],
    [2.001457062088136, -0.4996359996635111],
    [0.49963599966351124, -2.0014570620881362],
    &STEPS,
);
const LOW: [f64; 4] = [
    0.4600325981729218,
    0.8420840225430115,
    0.24707418301362566,
    -0.13497724135646408,
];
const HIGH: [f64; 4] = [LOW[3], -LOW[2], LOW[1], -LOW[0]];

#[test]
fn a_bank_of_ones_own_takes_steps_that_are_its_own() {
    let [dec_lo, dec_hi] = [LOW, HIGH].map(|[a, b, c, d]| [d, c, b, a]);
    let bank = FilterBank::new(&dec_lo, &dec_hi, &LOW, &HIGH).unwrap();
    let lifted = bank.with_lifting(LIFTING).unwrap();
    assert_eq!(lifted.lifting(), Some(LIFTING));
    let line = |algorithm, bank| {
        let dwt = Dwt::new(bank, ExtensionMode::Symmetric, 50).unwrap();
        let dwt = dwt.with_algorithm(algorithm).unwrap();
        let [signal, _] = noise(50);
        let mut bands = vec![0.0; 2 * dwt.band_length()];
        let (low, high) = bands.split_at_mut(dwt.band_length());
        let mut scratch = vec![f64::NAN; dwt.scratch_len()];
        dwt.forward(&signal, low, high, &mut scratch).unwrap();
        bands
    };
    let bands = [(Algorithm::Lifting, lifted), (Algorithm::Direct, bank)]
        .map(|(algorithm, bank)| line(algorithm, bank));
    for (lifted, direct) in bands[0].iter().zip(&bands[1]) {
        assert!((lifted - direct).abs() <= 1e-14);
    }

    let refused = |lifting: Lifting<'_, f64>| match bank.with_lifting(lifting) {
        Err(Error::OtherSteps { filter, at, .. }) => (filter, at),
        result => panic!("{result:?}"),
    };
    let (offsets, scales) = (LIFTING.offsets().map(|at| at as u8), LIFTING.scales());
    let inverse_scales = LIFTING.inverse_scales();
    let [low, high] = scales;
    // What analysis makes comes first: coefficient 0 of the first sample, the last tap.
    let with = |scales| Lifting::new(offsets, scales, inverse_scales, &STEPS);
    assert_eq!(refused(with([low + 1e-7, high])), ("dec_lo", 3));
    assert_eq!(refused(with([low, high + 1e-7])), ("dec_hi", 3));
    assert_eq!(refused(with([low, f64::NAN])), ("dec_hi", 3));
    assert!(bank.with_lifting(with([low + 1e-9, high])).is_ok());
    let [low, high] = inverse_scales;
    for inverse in [[low + 1e-7, high], [low, high + 1e-7]] {
        let (filter, _) = refused(Lifting::new(offsets, scales, inverse, &STEPS));
        assert!(filter.starts_with("rec"), "{filter}");
    }
    for offsets in [[1, 0], [0, 0], [1, 1], [0, 2], [255, 255]] {
        refused(Lifting::new(offsets, scales, inverse_scales, &STEPS));
    }
    refused(Lifting::new(offsets, scales, inverse_scales, &STEPS[1..]));
    for shift in [i8::MIN, i8::MAX] {
        for second in [0.0, 1.0] {
            let steps = [Step::new(Phase::Odd, shift, [1.0, second])];
            refused(Lifting::new([255, 1], scales, inverse_scales, &steps));
        }
    }
    refused(Lifting::new(offsets, scales, inverse_scales, &[]));
    let error = DB4.double().with_lifting(LIFTING).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("expected lifting steps that make tap 7 of dec_lo 0.2303"),
        "{error}"
    );
    let many = [Step::new(Phase::Even, 0, [0.0, 0.0]); 66];
    assert_eq!(
        bank.with_lifting(Lifting::new(offsets, scales, inverse_scales, &many)),
        Err(Error::OutOfBounds {
            what: "number of steps",
            bound: 66,
            found: 66
        })
    );
}

#[test]
fn every_factored_bank_takes_its_own_steps_and_no_others() {
    fn check<F: Real>() {
        let mut before: Option<Lifting<'static, F>> = None;
        for (wavelet, _, lifting) in factored::<F>() {
            let (name, bank) = (wavelet.name(), F::filter_bank(wavelet));
            let own = FilterBank::new(bank.dec_lo(), bank.dec_hi(), bank.rec_lo(), bank.rec_hi());
            let own = own.unwrap();
            let taken = own.with_lifting(lifting).map(|bank| bank.lifting());
            assert!(taken == Ok(Some(lifting)), "{name}");
            if let Some(before) = before.replace(lifting)
                && before != lifting
            {
                assert!(own.with_lifting(before).is_err(), "{name}");
            }
        }
    }
    check::<f64>();
    check::<f32>();
}
