//! ΔW of a 4096 × 4096 layer with 2592 coefficients: written into a buffer beside clearing that
//! buffer, added in place, and undone. One thread.
#![allow(missing_docs)]

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use waveft_core::filter_bank::Wavelet;
use waveft_core::geometry::{Atom, Geometry};
use waveft_core::matrix::MatrixMut;
use waveft_core::operator::DeltaWeight;
use waveft_core::sampling::{Location, locations, scratch_len};
use waveft_core::spectrum::{SortedAtoms, SparseSpectrum};

const SIDE: usize = 4096;
const COUNT: usize = 2592;

fn benchmark(c: &mut Criterion) {
    let mut places = vec![Location::default(); COUNT];
    let mut scratch = vec![0; scratch_len((SIDE * SIDE) as u64, COUNT)];
    locations(SIDE, SIDE, 777, &mut places, &mut scratch).unwrap();
    let coefficients: Vec<f32> = (0..COUNT).map(|i| (i as f32).sin()).collect();
    let mut weight = vec![1.0f32; SIDE * SIDE];

    let mut group = c.benchmark_group("delta");
    group.sample_size(60);
    group.bench_function("clear", |b| b.iter(|| black_box(&mut weight[..]).fill(0.0)));
    for name in ["db1", "db4", "sym8"] {
        let wavelet = Wavelet::from_name(name).unwrap();
        let layer = Geometry::new(SIDE, SIDE, wavelet.taps()).unwrap();
        let (mut atoms, mut order) = (vec![Atom::default(); COUNT], vec![0; COUNT]);
        group.bench_function(format!("sort/{name}"), |b| {
            b.iter(|| {
                SortedAtoms::new(layer, black_box(&places), &mut atoms[..], &mut order).unwrap();
            });
        });
        let atoms = SortedAtoms::new(layer, &places, &mut atoms[..], &mut order).unwrap();
        let spectrum = SparseSpectrum::new(&atoms, &coefficients).unwrap();
        let delta = DeltaWeight::new(spectrum, Some(wavelet.single()), 25.0).unwrap();
        let mut matrix = MatrixMut::new(&mut weight, SIDE, SIDE).unwrap();
        group.bench_function(format!("write/{name}"), |b| {
            b.iter(|| black_box(&delta).write(&mut matrix).unwrap());
        });
        group.bench_function(format!("add/{name}"), |b| {
            b.iter(|| black_box(&delta).add(&mut matrix).unwrap());
        });
        let mut undo = vec![0.0; delta.undo_len()];
        group.bench_function(format!("add_recording/{name}"), |b| {
            b.iter(|| delta.add_recording(&mut matrix, &mut undo).unwrap());
        });
        group.bench_function(format!("undo/{name}"), |b| {
            b.iter_batched(
                || (),
                |()| delta.undo(&mut matrix, &undo).unwrap(),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

/// Both ways to write ΔW, around the number of coefficients from which on the second is the faster.
fn density(c: &mut Criterion) {
    let mut group = c.benchmark_group("density");
    group.sample_size(10);
    let mut weight = vec![1.0f32; SIDE * SIDE];
    for name in ["db1", "db4", "sym8"] {
        let wavelet = Wavelet::from_name(name).unwrap();
        let taps = wavelet.taps();
        let layer = Geometry::new(SIDE, SIDE, taps).unwrap();
        let crossing = (taps + 4) * SIDE * SIDE / (40 * taps * taps);
        for count in [crossing / 4, crossing, 4 * crossing] {
            let mut places = vec![Location::default(); count];
            let mut scratch = vec![0; scratch_len((SIDE * SIDE) as u64, count)];
            locations(SIDE, SIDE, 777, &mut places, &mut scratch).unwrap();
            let (atoms, mut order) = (vec![Atom::default(); count], vec![0; count]);
            let atoms = SortedAtoms::new(layer, &places, atoms, &mut order).unwrap();
            let coefficients: Vec<f32> = (0..count).map(|i| (i as f32).sin()).collect();
            let spectrum = SparseSpectrum::new(&atoms, &coefficients).unwrap();
            let delta = DeltaWeight::new(spectrum, Some(wavelet.single()), 25.0).unwrap();
            let mut scratch = vec![0.0; delta.dense_scratch_len().unwrap()];
            let mut matrix = MatrixMut::new(&mut weight, SIDE, SIDE).unwrap();
            group.bench_function(format!("sparse/{name}/{count}"), |b| {
                b.iter(|| black_box(&delta).write(&mut matrix).unwrap());
            });
            group.bench_function(format!("dense/{name}/{count}"), |b| {
                b.iter(|| {
                    let delta = black_box(&delta);
                    delta.write_dense(&mut matrix, &mut scratch).unwrap();
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, benchmark, density);
criterion_main!(benches);
