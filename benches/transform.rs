//! The wavelet transform beside copying its input: lines and planes in and out of the caches, and each instruction set
//! of this machine. One thread, f32, symmetric extension.
#![allow(missing_docs)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use waveft_core::array::{Array, ArrayMut};
use waveft_core::extension_mode::ExtensionMode::Symmetric;
use waveft_core::filter_bank::Wavelet;
use waveft_core::isa::Isa;
use waveft_core::transform::{Dwt, Wavedec};

fn signal(samples: usize) -> Vec<f32> {
    (0..samples).map(|i| (i as f32).sin()).collect()
}

fn lines(c: &mut Criterion) {
    for length in [64, 4096, 1 << 20] {
        let signal = signal(length);
        let mut back = vec![0.0f32; length];
        let mut group = c.benchmark_group(format!("transform/{length}"));
        group.throughput(Throughput::Elements(length as u64));
        group.bench_function("copy", |b| {
            b.iter(|| black_box(&mut back[..]).copy_from_slice(black_box(&signal)));
        });
        for name in ["haar", "db4", "sym8", "db38"] {
            let bank = Wavelet::from_name(name).unwrap().single();
            let plan = Dwt::new(bank, Symmetric, length).unwrap();
            let mut low = vec![0.0; plan.band_length()];
            let mut high = low.clone();
            let mut scratch = vec![0.0; plan.scratch_len()];
            group.bench_function(format!("forward/{name}"), |b| {
                b.iter(|| plan.forward(black_box(&signal), &mut low, &mut high, &mut scratch));
            });
            group.bench_function(format!("inverse/{name}"), |b| {
                b.iter(|| plan.inverse(black_box(&low), &high, &mut back, &mut scratch));
            });
        }
        group.finish();
    }
}

fn planes(c: &mut Criterion) {
    for (side, levels) in [(512, 1), (4096, 1), (4096, 5)] {
        let signal = signal(side * side);
        let image = Array::new(&signal, [side; 2]).unwrap();
        let mut back = vec![0.0f32; side * side];
        let mut group = c.benchmark_group(format!("transform/{side}x{side}/{levels}"));
        group.throughput(Throughput::Elements(signal.len() as u64));
        group.sample_size(20);
        group.bench_function("copy", |b| {
            b.iter(|| black_box(&mut back[..]).copy_from_slice(black_box(&signal)));
        });
        for name in ["haar", "db2", "db4", "sym8"] {
            let axis = (Wavelet::from_name(name).unwrap().single(), Symmetric);
            let plan = Wavedec::new([axis; 2], [side; 2], levels).unwrap();
            let mut coefficients = vec![0.0; plan.coefficients_len()];
            let mut scratch = vec![0.0; plan.scratch_len::<f32>()];
            group.bench_function(format!("forward/{name}"), |b| {
                b.iter(|| plan.forward(black_box(&image), &mut coefficients, &mut scratch));
            });
            let mut back = ArrayMut::new(&mut back, [side; 2]).unwrap();
            group.bench_function(format!("inverse/{name}"), |b| {
                b.iter(|| plan.inverse(black_box(&coefficients), &mut back, &mut scratch));
            });
        }
        group.finish();
    }
}

fn instruction_sets(c: &mut Criterion) {
    let signal = signal(4096);
    let bank = Wavelet::from_name("db4").unwrap().single();
    let mut group = c.benchmark_group("transform/4096/db4");
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
        let plan = Dwt::new(bank, Symmetric, signal.len()).unwrap();
        let plan = plan.with_isa(isa);
        let mut low = vec![0.0; plan.band_length()];
        let mut high = low.clone();
        let mut scratch = vec![0.0; plan.scratch_len()];
        group.bench_function(format!("{isa:?}"), |b| {
            b.iter(|| plan.forward(black_box(&signal), &mut low, &mut high, &mut scratch));
        });
    }
    group.finish();
}

criterion_group!(benches, lines, planes, instruction_sets);
criterion_main!(benches);
