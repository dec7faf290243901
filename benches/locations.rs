//! Drawing locations: both branches of `torch.randperm`.
#![allow(missing_docs)]

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use waveft_core::sampling::{Location, locations, scratch_len};

fn benchmark(c: &mut Criterion) {
    let mut places = vec![Location::default(); 2592];
    let mut scratch = vec![0; scratch_len(4096 * 4096, places.len())];
    c.bench_function("locations/4096x4096/2592", |b| {
        b.iter(|| locations(4096, 4096, black_box(777), &mut places, &mut scratch).unwrap());
    });
    let mut group = c.benchmark_group("locations/230000000");
    group.sample_size(10);
    group.bench_function("2592", |b| {
        b.iter(|| locations(1, 230_000_000, black_box(777), &mut places, &mut []).unwrap());
    });
    group.finish();
}

criterion_group!(benches, benchmark);
criterion_main!(benches);
