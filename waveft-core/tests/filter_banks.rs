//! The filter banks against their defining equations, PyWavelets and PEFT.
//!
//! That every tap is the f64 nearest the exact value is verified where exact values are: in
//! `tools/filter_banks.py`, which also makes `data/filter_banks.safetensors`.

use std::collections::HashSet;

use safetensors::SafeTensors;
use waveft_core::Error;
use waveft_core::filter_bank::wavelets::{self, ALL, DMEY, PEFT_COIF4};
use waveft_core::filter_bank::{FilterBank, MAX_TAPS, Wavelet};

const GOLDENS: &[u8] = include_bytes!("data/filter_banks.safetensors");

/// How far an equation of filters with rounded taps may be off, relative to the sum of its terms' magnitudes:
/// half a unit in the last place from each tap, the rest from evaluating it.
const RELATIVE: f64 = 4.0 * f64::EPSILON;

/// dmey's table satisfies its equations to this.
const DMEY_RESIDUAL: f64 = 2.3e-3;

/// The first moment that does not vanish stands out from f64's rounding up to this many taps.
const RESOLVED: usize = 40;

/// A sum and the sum of its terms' magnitudes.
fn sum(terms: impl Iterator<Item = f64>) -> (f64, f64) {
    terms.fold((0.0, 0.0), |(total, magnitude), term| {
        (total + term, magnitude + term.abs())
    })
}

/// `Σ_k a[k] b[k − shift]`.
fn correlation(a: &[f64], b: &[f64], shift: isize) -> (f64, f64) {
    sum(a.iter().enumerate().filter_map(|(k, x)| {
        let other = usize::try_from(k as isize - shift).ok()?;
        Some(x * b.get(other)?)
    }))
}

/// `Σ_k taps[k] ((k − centre) / L)^order`.
fn moment(taps: &[f64], centre: f64, order: usize) -> (f64, f64) {
    let length = taps.len() as f64;
    sum(taps
        .iter()
        .enumerate()
        .map(|(k, tap)| tap * ((k as f64 - centre) / length).powi(order as i32)))
}

/// Whether a moment is zero but for rounding, to which each factor of a power contributes.
fn vanishes((total, magnitude): (f64, f64), order: usize) -> bool {
    total.abs() <= (RELATIVE + order as f64 * f64::EPSILON) * magnitude
}

fn backwards(taps: &[f64]) -> Vec<f64> {
    taps.iter().rev().copied().collect()
}

fn even_shifts(taps: usize) -> impl Iterator<Item = isize> {
    (2 - taps as isize..taps as isize).step_by(2)
}

/// `dec_hi`'s and `rec_hi`'s true number of vanishing moments.
fn vanishing_moments(wavelet: &Wavelet) -> Option<(usize, usize)> {
    let psi = wavelet.vanishing_moments_psi()?;
    let phi = wavelet.vanishing_moments_phi()?;
    Some(match wavelet.name() {
        "bior5.5" => (6, 4),
        "rbio5.5" => (4, 6),
        name if name.starts_with("bior") => (psi, phi),
        name if name.starts_with("rbio") => (phi, psi),
        _ => (psi, psi),
    })
}

#[test]
fn even_shifts_of_synthesis_and_analysis_are_biorthonormal() {
    for wavelet in &ALL {
        let bank = wavelet.double();
        let (dec_lo, dec_hi) = (backwards(bank.dec_lo()), backwards(bank.dec_hi()));
        for shift in even_shifts(wavelet.taps()) {
            let identity = if shift == 0 { 1.0 } else { 0.0 };
            for (synthesis, analysis, expected) in [
                (bank.rec_lo(), &dec_lo, identity),
                (bank.rec_hi(), &dec_hi, identity),
                (bank.rec_lo(), &dec_hi, 0.0),
                (bank.rec_hi(), &dec_lo, 0.0),
            ] {
                let (found, magnitude) = correlation(synthesis, analysis, shift);
                let bound = if wavelet.name() == "dmey" {
                    DMEY_RESIDUAL
                } else {
                    RELATIVE * magnitude
                };
                assert!(
                    (found - expected).abs() <= bound,
                    "{} at shift {shift}: {found}",
                    wavelet.name()
                );
            }
        }
    }
}

#[test]
fn orthogonal_wavelets_synthesise_with_the_analysis_filters_backwards() {
    for wavelet in &ALL {
        let bank = wavelet.double();
        let mirrored =
            bank.rec_lo() == backwards(bank.dec_lo()) && bank.rec_hi() == backwards(bank.dec_hi());
        let haar_by_another_name = ["bior1.1", "rbio1.1"].contains(&wavelet.name());
        assert_eq!(
            mirrored,
            wavelet.is_orthogonal() || haar_by_another_name,
            "{}",
            wavelet.name()
        );
    }
}

#[test]
fn high_pass_filters_are_the_quadrature_mirrors() {
    for wavelet in ALL.iter().chain([&PEFT_COIF4]) {
        let bank = wavelet.double();
        for k in 0..wavelet.taps() {
            let sign = if k % 2 == 0 { 1.0 } else { -1.0 };
            assert_eq!(bank.rec_hi()[k], sign * bank.dec_lo()[k]);
            assert_eq!(bank.dec_hi()[k], -sign * bank.rec_lo()[k]);
        }
    }
}

#[test]
fn low_pass_filters_sum_to_the_square_root_of_two_and_high_pass_filters_to_zero() {
    for wavelet in &ALL {
        let bank = wavelet.double();
        for low_pass in [bank.dec_lo(), bank.rec_lo()] {
            let (total, magnitude) = sum(low_pass.iter().copied());
            let off = total - std::f64::consts::SQRT_2;
            assert!(off.abs() <= RELATIVE * magnitude, "{}", wavelet.name());
        }
        for high_pass in [bank.dec_hi(), bank.rec_hi()] {
            let (total, magnitude) = sum(high_pass.iter().copied());
            let bound = if wavelet.name() == "dmey" {
                DMEY_RESIDUAL
            } else {
                RELATIVE * magnitude
            };
            assert!(total.abs() <= bound, "{}: {total}", wavelet.name());
        }
    }
}

#[test]
fn wavelets_have_their_vanishing_moments_and_no_more() {
    for wavelet in &ALL {
        let Some((of_dec_hi, of_rec_hi)) = vanishing_moments(wavelet) else {
            assert_eq!(wavelet.name(), "dmey");
            continue;
        };
        let bank = wavelet.double();
        for (high_pass, count) in [(bank.dec_hi(), of_dec_hi), (bank.rec_hi(), of_rec_hi)] {
            for order in 0..count {
                let moment = moment(high_pass, 0.0, order);
                assert!(
                    vanishes(moment, order),
                    "{}, order {order}: {moment:?}",
                    wavelet.name()
                );
            }
            let next = moment(high_pass, 0.0, count);
            assert!(
                wavelet.taps() > RESOLVED || !vanishes(next, count),
                "{}, order {count}: {next:?}",
                wavelet.name()
            );
        }
    }
}

#[test]
fn scaling_functions_of_coiflets_have_vanishing_moments() {
    let mut coiflets = 0;
    for wavelet in ALL
        .iter()
        .filter(|wavelet| wavelet.name().starts_with("coif"))
    {
        let scaling = wavelet.double().rec_lo();
        let first: f64 = scaling
            .iter()
            .enumerate()
            .map(|(k, tap)| k as f64 * tap)
            .sum();
        let centre = (first / std::f64::consts::SQRT_2).round();
        let count = wavelet.vanishing_moments_phi().unwrap();
        for order in 1..=count {
            let moment = moment(scaling, centre, order);
            assert!(
                vanishes(moment, order),
                "{}, order {order}: {moment:?}",
                wavelet.name()
            );
        }
        assert_eq!(wavelet.taps(), 3 * (count + 1));
        coiflets += 1;
    }
    assert_eq!(coiflets, 17);
}

/// The four filters of a golden, in PyWavelets' order.
fn golden(tensors: &SafeTensors<'_>, name: &str) -> Vec<Vec<f64>> {
    let tensor = tensors.tensor(name).unwrap();
    assert_eq!(tensor.dtype(), safetensors::Dtype::F64);
    let taps: Vec<f64> = tensor
        .data()
        .as_chunks()
        .0
        .iter()
        .map(|bytes| f64::from_le_bytes(*bytes))
        .collect();
    taps.chunks(tensor.shape()[1])
        .map(<[f64]>::to_vec)
        .collect()
}

fn four<'a, F>(bank: &FilterBank<'a, F>) -> [&'a [F]; 4] {
    [bank.dec_lo(), bank.dec_hi(), bank.rec_lo(), bank.rec_hi()]
}

/// How far PyWavelets' published digits are from the exact taps.
fn published_error(name: &str) -> f64 {
    match name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.') {
        "sym" => 2e-11,
        "bior" | "rbio" => 1e-12,
        "coif" => 2e-16,
        "haar" | "db" | "dmey" => 0.0,
        other => panic!("no such family: {other}"),
    }
}

#[test]
fn banks_agree_with_pywavelets() {
    let tensors = SafeTensors::deserialize(GOLDENS).unwrap();
    for wavelet in &ALL {
        let published = golden(&tensors, wavelet.name());
        for (ours, theirs) in four(&wavelet.double()).into_iter().zip(&published) {
            assert_eq!(ours.len(), theirs.len(), "{}", wavelet.name());
            for (ours, theirs) in ours.iter().zip(theirs) {
                assert!(
                    (ours - theirs).abs() <= published_error(wavelet.name()),
                    "{}: {ours} and {theirs}",
                    wavelet.name()
                );
            }
        }
    }
}

#[test]
fn order_and_facts_are_those_pywavelets_reports() {
    let (_, header) = SafeTensors::read_metadata(GOLDENS).unwrap();
    let count =
        |moments: Option<usize>| moments.map_or_else(|| "none".into(), |count| count.to_string());
    let lines: Vec<String> = ALL
        .iter()
        .map(|wavelet| {
            let psi = count(wavelet.vanishing_moments_psi());
            let phi = count(wavelet.vanishing_moments_phi());
            let orthogonal = wavelet.is_orthogonal();
            format!("{} {orthogonal} {psi} {phi}", wavelet.name())
        })
        .collect();
    assert_eq!(
        lines.join("\n"),
        header.metadata().as_ref().unwrap()["wavelist"]
    );
}

#[test]
fn banks_agree_with_peft_in_f32() {
    let tensors = SafeTensors::deserialize(GOLDENS).unwrap();
    let mut families = 0;
    for name in tensors.names() {
        let Some(family) = name.strip_prefix("peft/") else {
            continue;
        };
        families += 1;
        let theirs = golden(&tensors, name);
        if family == "coif4" {
            assert_eq!(four(&PEFT_COIF4.double()).map(<[f64]>::to_vec)[..], theirs);
            continue;
        }
        let bank = Wavelet::from_name(family).unwrap().single();
        for (ours, theirs) in four(&bank).into_iter().zip(theirs) {
            let theirs: Vec<f32> = theirs.into_iter().map(|tap| tap as f32).collect();
            assert_eq!(ours, theirs, "{family}");
        }
    }
    assert_eq!(families, 23); // db1-10, sym2-10, coif1-4
}

#[test]
fn single_precision_taps_are_the_double_ones_rounded_once() {
    for wavelet in ALL.iter().chain([&PEFT_COIF4]) {
        let (double, single) = (wavelet.double(), wavelet.single());
        for (double, single) in four(&double).into_iter().zip(four(&single)) {
            let rounded: Vec<u32> = double.iter().map(|&tap| (tap as f32).to_bits()).collect();
            let single: Vec<u32> = single.iter().map(|tap| tap.to_bits()).collect();
            assert_eq!(rounded, single, "{}", wavelet.name());
        }
    }
}

#[test]
fn names_are_unique_and_found() {
    let names: HashSet<_> = ALL.iter().map(Wavelet::name).collect();
    assert_eq!(names.len(), 106);
    for wavelet in &ALL {
        assert_eq!(Wavelet::from_name(wavelet.name()), Ok(wavelet));
    }
    for (family, count) in [
        ("db", 38),
        ("sym", 19),
        ("coif", 17),
        ("bior", 15),
        ("rbio", 15),
    ] {
        let found = names.iter().filter(|name| name.starts_with(family)).count();
        assert_eq!(found, count, "{family}");
    }
    assert_eq!(
        Wavelet::from_name("haar").unwrap().double(),
        wavelets::DB1.double()
    );
}

#[test]
fn unknown_names_are_not_found() {
    for name in [
        "",
        "db",
        "db0",
        "db39",
        "sym1",
        "sym21",
        "coif18",
        "bior2.3",
        "DB1",
        "db1 ",
        "morl",
        "peft-coif4",
    ] {
        assert_eq!(
            Wavelet::from_name(name),
            Err(Error::UnknownWavelet),
            "{name:?}"
        );
    }
}

#[test]
fn names_stand_for_their_taps() {
    for wavelet in &ALL {
        let psi = wavelet.vanishing_moments_psi();
        let number = |family: &str| wavelet.name().strip_prefix(family)?.parse::<usize>().ok();
        if let Some(order) = number("db").or(number("sym")) {
            assert_eq!((wavelet.taps(), psi), (2 * order, Some(order)));
        } else if let Some(order) = number("coif") {
            assert_eq!((wavelet.taps(), psi), (6 * order, Some(2 * order)));
        }
    }
    assert_eq!(DMEY.taps(), 62);
}

#[test]
fn banks_of_unequal_odd_or_too_long_filters_are_refused() {
    let taps = [0.0; MAX_TAPS + 2];
    let bank = |length: usize| {
        let filter = &taps[..length];
        FilterBank::without_reconstruction(filter, filter, filter, filter)
    };
    assert_eq!(bank(2).unwrap().taps(), 2);
    assert_eq!(bank(MAX_TAPS).unwrap().taps(), MAX_TAPS);
    for found in [0, 1, 3, MAX_TAPS + 1, MAX_TAPS + 2] {
        let most = MAX_TAPS;
        assert_eq!(bank(found), Err(Error::TapCount { found, most }));
    }
    for found in [[4, 2, 2, 2], [2, 4, 2, 2], [2, 2, 4, 2], [2, 2, 2, 4]] {
        let [a, b, c, d] = found.map(|length| &taps[..length]);
        assert_eq!(
            FilterBank::new(a, b, c, d),
            Err(Error::UnequalFilters { found })
        );
    }
}

#[test]
fn banks_that_do_not_reconstruct_are_refused() {
    for wavelet in &ALL {
        let bank = wavelet.double();
        let again = |bank: &FilterBank<'static, f64>| {
            FilterBank::new(bank.dec_lo(), bank.dec_hi(), bank.rec_lo(), bank.rec_hi())
        };
        let error = bank.reconstruction_error();
        let name = wavelet.name();
        if name == "dmey" {
            let refused = Error::NotReconstructing {
                most: 1e-8,
                found: error,
            };
            assert_eq!(again(&bank), Err(refused));
        } else {
            assert!(error < 1e-14, "{name}: {error:e}");
            assert!(again(&bank).is_ok());
            let single = wavelet.single();
            assert!(single.reconstruction_error() < 5e-7, "{name}");
        }
    }
    // Analysis and synthesis exchanged, a sign wrong, a tap off, a tap that is none.
    let bank = wavelets::DB3.double();
    let [dec_lo, dec_hi, rec_lo, rec_hi] =
        [bank.dec_lo(), bank.dec_hi(), bank.rec_lo(), bank.rec_hi()];
    assert!(FilterBank::new(rec_lo, dec_hi, dec_lo, rec_hi).is_err());
    let negative: Vec<f64> = rec_hi.iter().map(|tap| -tap).collect();
    assert!(FilterBank::new(dec_lo, dec_hi, rec_lo, &negative).is_err());
    let mut off = rec_lo.to_vec();
    off[5] += 1e-6;
    let error = FilterBank::new(dec_lo, dec_hi, &off, rec_hi).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("expected filters that reconstruct to 1e-8")
    );
    for tap in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        off[5] = tap;
        let error = FilterBank::new(dec_lo, dec_hi, &off, rec_hi).unwrap_err();
        let filter = "rec_lo";
        assert_eq!(error, Error::NonFinite { filter, at: 5 });
    }
}

#[test]
fn an_unknown_name_is_told_what_there_is() {
    let message = Error::UnknownWavelet.to_string();
    for wavelet in &ALL {
        let name = wavelet.name();
        let number = name.trim_start_matches(char::is_alphabetic);
        let family = name.trim_end_matches(|c: char| c.is_numeric() || c == '.');
        assert!(message.contains(family), "{name}");
        assert!(!number.contains('.') || message.contains(number), "{name}");
    }
}
