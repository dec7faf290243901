//! waveft's side of `benches/compare/run`: does one piece of work a request and answers how long it
//! took, so that the script can time the other side in between.
//!
//! A request is a line of words on standard input, the answer a line of nanoseconds.

use bytemuck::{cast_slice, cast_slice_mut};
use memmap2::MmapMut;
use std::error::Error;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, Write as _};
use std::time::Instant;
use waveft_core::filter_bank::Wavelet;
use waveft_core::geometry::{Atom, Geometry};
use waveft_core::matrix::MatrixMut;
use waveft_core::operator::DeltaWeight;
use waveft_core::sampling::{Location, locations, scratch_len};
use waveft_core::spectrum::{SortedAtoms, SparseSpectrum, gather};

type Outcome<T> = Result<T, Box<dyn Error>>;

const SIDE: usize = 4096;
const COUNT: usize = 2592;
const SEED: u64 = 777;
const SCALING: f32 = 25.0;
const HUGE_PAGE: usize = 2 << 20;

fn main() -> Outcome<()> {
    let mut memory = Memory::new()?;
    for line in io::stdin().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        let times = match words[..] {
            ["draw", rows, columns, times] => draw(rows.parse()?, columns.parse()?, times.parse()?),
            ["copy", from, to] => copy(from, to),
            ["huge_pages"] => Ok(vec![memory.huge_bytes()?]),
            [work, wavelet, last] => Layer::new(wavelet)?.work(work, last, &mut memory),
            _ => Err("unknown request".into()),
        };
        let times = times.map_err(|error| format!("{line}: {error}"))?;
        let words: Vec<String> = times.iter().map(u128::to_string).collect();
        println!("{}", words.join(" "));
        io::stdout().flush()?;
    }
    Ok(())
}

fn nanoseconds(work: impl FnOnce() -> Outcome<()>) -> Outcome<u128> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_nanos())
}

/// Draws the locations as often as asked for.
fn draw(rows: usize, columns: usize, times: usize) -> Outcome<Vec<u128>> {
    let mut places = vec![Location::default(); COUNT];
    let mut scratch = vec![0; scratch_len((rows * columns) as u64, COUNT)];
    (0..times)
        .map(|_| {
            nanoseconds(|| {
                locations(rows, columns, black_box(SEED), &mut places, &mut scratch)?;
                black_box(&places);
                Ok(())
            })
        })
        .collect()
}

/// Copies a file and brings the copy to disk.
fn copy(from: &str, to: &str) -> Outcome<Vec<u128>> {
    let time = nanoseconds(|| {
        fs::copy(from, to)?;
        Ok(File::options().write(true).open(to)?.sync_all()?)
    })?;
    Ok(vec![time])
}

/// Weights of one size: in ordinary memory, on huge pages, and one to push the others out of the
/// caches with.
struct Memory {
    ordinary: Vec<f32>,
    huge: MmapMut,
    other: Vec<f32>,
}

impl Memory {
    fn new() -> io::Result<Self> {
        let bytes = SIDE * SIDE * size_of::<f32>();
        let huge = MmapMut::map_anon(bytes + HUGE_PAGE)?;
        #[cfg(target_os = "linux")]
        huge.advise(memmap2::Advice::HugePage)?;
        let mut memory = Self {
            ordinary: vec![1.0; SIDE * SIDE],
            huge,
            other: vec![1.0; SIDE * SIDE],
        };
        on_huge_pages(&mut memory.huge).fill(1.0);
        Ok(memory)
    }

    /// How much of this process is on huge pages: whether the kernel followed the advice.
    fn huge_bytes(&self) -> Outcome<u128> {
        let rollup = fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
        let line = rollup.lines().find(|line| line.starts_with("AnonHuge"));
        let kibibytes = line.and_then(|line| line.split_whitespace().nth(1));
        Ok(kibibytes.unwrap_or("0").parse::<u128>()? << 10)
    }
}

/// The weight in a map that has room to begin it at a huge page.
fn on_huge_pages(map: &mut MmapMut) -> &mut [f32] {
    let start = map.as_ptr().align_offset(HUGE_PAGE);
    cast_slice_mut(&mut map[start..start + SIDE * SIDE * size_of::<f32>()])
}

/// A layer that has drawn its locations.
struct Layer {
    wavelet: &'static Wavelet,
    atoms: SortedAtoms<Vec<Atom>>,
    coefficients: Vec<f32>,
}

impl Layer {
    fn new(wavelet: &str) -> Outcome<Self> {
        let wavelet = Wavelet::from_name(wavelet)?;
        let geometry = Geometry::new(SIDE, SIDE, wavelet.taps())?;
        let mut places = vec![Location::default(); COUNT];
        let mut scratch = vec![0; scratch_len((SIDE * SIDE) as u64, COUNT)];
        locations(SIDE, SIDE, SEED, &mut places, &mut scratch)?;
        let mut order = vec![0; COUNT];
        let atoms = SortedAtoms::new(geometry, &places, vec![Atom::default(); COUNT], &mut order)?;
        let mut coefficients = vec![0.0; COUNT];
        gather(&order, &spectrum(), &mut coefficients)?;
        Ok(Self {
            wavelet,
            atoms,
            coefficients,
        })
    }

    fn delta(&self) -> Outcome<DeltaWeight<'_, f32>> {
        let spectrum = SparseSpectrum::new(&self.atoms, &self.coefficients)?;
        Ok(DeltaWeight::new(
            spectrum,
            Some(self.wavelet.single()),
            SCALING,
        )?)
    }

    fn work(&self, work: &str, last: &str, memory: &mut Memory) -> Outcome<Vec<u128>> {
        let delta = &self.delta()?;
        if work == "dump" {
            return dump(delta, last, &mut memory.ordinary);
        }
        let other = &mut memory.other;
        let weight = match work {
            "add_huge" => on_huge_pages(&mut memory.huge),
            _ => &mut memory.ordinary,
        };
        let mut undo = vec![0.0; delta.undo_len()];
        let mut times = Vec::new();
        for _ in 0..last.parse()? {
            match work {
                // Clearing and writing the same buffer, in turns.
                "write" => {
                    times.push(nanoseconds(|| {
                        black_box(&mut *weight).fill(0.0);
                        Ok(())
                    })?);
                    times.push(nanoseconds(|| Ok(delta.write(&mut matrix(weight)?)?))?);
                }
                "add" | "add_huge" => {
                    times.push(nanoseconds(|| Ok(delta.add(&mut matrix(weight)?)?))?);
                }
                // With the weight in main memory, not in the caches.
                "add_cold" => {
                    black_box(&mut *other).fill(1.0);
                    times.push(nanoseconds(|| Ok(delta.add(&mut matrix(weight)?)?))?);
                }
                // Adding with a record and undoing, in turns.
                "undo" => {
                    let mut weight = matrix(weight)?;
                    times.push(nanoseconds(|| {
                        Ok(delta.add_recording(&mut weight, &mut undo)?)
                    })?);
                    times.push(nanoseconds(|| Ok(delta.undo(&mut weight, &undo)?))?);
                }
                _ => return Err("unknown work".into()),
            }
        }
        Ok(times)
    }
}

fn matrix(weight: &mut [f32]) -> Outcome<MatrixMut<'_, f32>> {
    Ok(MatrixMut::new(weight, SIDE, SIDE)?)
}

/// Writes ΔW to a file, for the script to hold against the other side's.
fn dump(delta: &DeltaWeight<'_, f32>, path: &str, weight: &mut [f32]) -> Outcome<Vec<u128>> {
    delta.write(&mut matrix(weight)?)?;
    fs::write(path, cast_slice::<f32, u8>(weight))?;
    Ok(vec![])
}

/// The trained coefficients in sampling order: any, but the same on both sides.
fn spectrum() -> Vec<f32> {
    (0..COUNT)
        .map(|i| ((i * 37 % 101) as f32 - 50.0) / 64.0)
        .collect()
}
