//! Calls of the C interface in any order, with any arguments that its header allows or lets it check: pointers that are
//! null, misaligned or into memory that other arguments have, lengths that are too small or more than memory has, and
//! structures of any numbers. A status other than success leaves everything as it was, success changes nothing but the
//! outputs, and no call comes to a fault of the library.
//!
//! The calls and the memory they are made on are those of the crate's own tests.
#![no_main]

use std::ffi::{CStr, CString};
use std::ops::Range;
use std::ptr::{null, with_exposed_provenance_mut};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use waveft_capi::filter_bank::{FilterBank, waveft_filter_bank_named};
use waveft_capi::locations::{Location, waveft_locations, waveft_locations_scratch_len};
use waveft_capi::optimiser::waveft_clip_factor;
use waveft_capi::status::{Status, waveft_status_message};
use waveft_capi::wavedec2::waveft_wavedec2_band;
use waveft_capi::{waveft_version, wavelets};

#[path = "../../waveft-capi/tests/support/mod.rs"]
mod support;

use support::{Call, Fixture, calls};

/// Elements of memory that any pointer may be to, and how many of them are behind every such pointer.
const ARENA: usize = 10240;
const BEHIND: usize = 8192;

/// The most calls.
const MOST_STEPS: usize = 12;

#[derive(Arbitrary, Debug)]
struct Input {
    fan_in_fan_out: bool,
    bank: Bank,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Bank {
    Null,
    Named(u8),
}

#[derive(Arbitrary, Debug)]
enum Step {
    Call {
        function: u8,
        pointers: Vec<(u8, Pointer)>,
        lengths: Vec<(u8, Length)>,
    },
    /// A number of a structure.
    Number(u8, Number),
    /// A pointer of a structure.
    Pointer(u8, Pointer),
    Bank(u8, Bank),
    AdamW(u8, f64),
    /// Whether the update has the atoms that were sorted last.
    SortedLast(bool),
    Named(Vec<u8>),
    Locations {
        rows: usize,
        columns: usize,
        seed: u64,
        count: u8,
        scratch: u16,
    },
    Band {
        level: usize,
        details: [bool; 2],
    },
    ClipFactor([f64; 2]),
    Message(u32),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Pointer {
    Null,
    Misaligned(u8),
    Arena(u8),
    Good,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Length {
    Less(u16),
    /// So many bytes are more than memory has.
    Huge(u8),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Number {
    Small(u8),
    Any(u64),
}

fuzz_target!(|input: Input| {
    let bank = match input.bank {
        Bank::Null => null(),
        Bank::Named(index) => named(index),
    };
    let mut session = Session::new(u32::from(input.fan_in_fan_out), bank);
    for step in input.steps.iter().take(MOST_STEPS) {
        session.step(step);
    }
});

fn named(index: u8) -> &'static FilterBank {
    wavelets::ALL[usize::from(index) % wavelets::ALL.len()].1
}

struct Session {
    fixture: Box<Fixture>,
    arena: Vec<f32>,
    /// What pointers are when they are good.
    good: Box<Fixture>,
    /// Whether `new_atoms` are sorted atoms of storage that was not written since.
    is_sorted: bool,
}

/// Memory: where it is, and what is in it.
type Piece = (Range<usize>, Vec<u8>);

/// All bytes of elements that have no gaps.
fn piece<T>(elements: &[T]) -> Piece {
    let range = elements.as_ptr_range();
    // SAFETY: integers, floats, and structures of integers of one size.
    let bytes = unsafe { std::slice::from_raw_parts(range.start.cast(), size_of_val(elements)) };
    (range.start.addr()..range.end.addr(), bytes.to_vec())
}

impl Session {
    fn new(fan_in_fan_out: u32, bank: *const FilterBank) -> Self {
        let fixture = Fixture::with(fan_in_fan_out, bank);
        // A bank of many taps takes much, and scratch may be in the arena too.
        assert!(fixture.scratch.len() <= BEHIND);
        let mut arena = support::numbers(ARENA, 19);
        // Indices and places are small numbers.
        for (at, number) in arena.iter_mut().enumerate().skip(ARENA / 2) {
            *number = f32::from_bits(at as u32 % 7);
        }
        Self {
            good: fixture.clone(),
            fixture,
            arena,
            is_sorted: false,
        }
    }

    /// All memory that a call could write.
    fn pieces(&self) -> Vec<Piece> {
        let f = &self.fixture;
        let mut pieces = vec![
            piece(&self.arena),
            piece(&f.locations),
            piece(&f.places),
            piece(&f.storage),
            piece(&f.new_storage),
            piece(&f.atoms),
            piece(&f.new_atoms),
        ];
        pieces.extend([&f.order, &f.new_order, &f.places_scratch].map(|slice| piece(slice)));
        let floats = [
            &f.drawn,
            &f.coefficients,
            &f.weight,
            &f.undo,
            &f.x,
            &f.y,
            &f.dy,
            &f.dx,
            &f.gradient,
            &f.moments[0],
            &f.moments[1],
            &f.signal,
            &f.reconstructed,
            &f.bands[0],
            &f.bands[1],
            &f.image,
            &f.bands2,
            &f.scratch,
        ];
        pieces.extend(floats.map(|slice| piece(slice)));
        pieces.extend([
            piece(std::slice::from_ref(&f.length)),
            piece(std::slice::from_ref(&f.number)),
            piece(std::slice::from_ref(&f.dwt_lengths)),
            piece(std::slice::from_ref(&f.wavedec2_lengths)),
            piece(std::slice::from_ref(&f.band)),
            piece(std::slice::from_ref(&f.new_bank)),
            piece(std::slice::from_ref(&f.bank)),
        ]);
        pieces
    }

    /// That a call that came to this status changed nothing but what is at these addresses.
    fn check(&self, name: &str, status: Status, before: &[Piece], written: &[usize]) {
        assert!(status != Status::Internal, "{name}: a fault of the library");
        for (place, old) in before {
            let is_output = written.iter().any(|address| place.contains(address));
            if status == Status::Ok && is_output {
                continue;
            }
            // SAFETY: memory of this session, as in `piece`.
            let now = unsafe { std::slice::from_raw_parts(place.start as *const u8, place.len()) };
            assert!(now == old, "{name} wrote, with {status:?}");
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Call {
                function,
                pointers,
                lengths,
            } => self.call(*function, pointers, lengths),
            Step::Number(field, number) => self.set_number(*field, *number),
            Step::Pointer(field, pointer) => self.set_pointer(*field, *pointer),
            Step::Bank(field, bank) => self.set_bank(*field, *bank),
            Step::AdamW(field, value) => {
                let adam_w = &mut self.fixture.adam_w;
                let fields = [
                    &mut adam_w.learning_rate,
                    &mut adam_w.weight_decay,
                    &mut adam_w.first_beta,
                    &mut adam_w.second_beta,
                    &mut adam_w.epsilon,
                ];
                let at = usize::from(*field) % fields.len();
                *fields.into_iter().nth(at).expect("one of them") = *value;
            }
            Step::SortedLast(last) => {
                let f = &mut self.fixture;
                let last = *last && self.is_sorted;
                f.delta.atoms = if last {
                    f.new_atoms.as_ptr()
                } else {
                    f.atoms.as_ptr()
                };
            }
            Step::Named(name) => self.find_bank(name),
            Step::Locations {
                rows,
                columns,
                seed,
                count,
                scratch,
            } => self.draw([*rows, *columns], *seed, *count, *scratch),
            Step::Band { level, details } => {
                let before = self.pieces();
                let f = &mut *self.fixture;
                let (plan, band) = (&raw const f.wavedec2, &raw mut f.band);
                let [row, column] = *details;
                // SAFETY: the fixture's memory.
                let status = unsafe { waveft_wavedec2_band(plan, *level, row, column, band) };
                self.check("band", status, &before, &[band.addr()]);
            }
            Step::ClipFactor([most, norm]) => {
                let before = self.pieces();
                let number = &raw mut self.fixture.number;
                // SAFETY: the fixture's memory.
                let status = unsafe { waveft_clip_factor(*most, *norm, number) };
                self.check("clip factor", status, &before, &[number.addr()]);
            }
            Step::Message(status) => {
                // SAFETY: texts that live as long as the program.
                let texts = [waveft_status_message(*status), waveft_version()]
                    .map(|text| unsafe { CStr::from_ptr(text) });
                assert!(
                    texts
                        .iter()
                        .all(|text| text.to_str().is_ok_and(|text| !text.is_empty()))
                );
            }
        }
    }

    fn call(&mut self, function: u8, pointers: &[(u8, Pointer)], lengths: &[(u8, Length)]) {
        let before = self.pieces();
        let mut all = calls(&mut self.fixture);
        let call = all.swap_remove(usize::from(function) % all.len());
        let (mut addresses, mut sizes) = (call.addresses(), call.lengths());
        for &(at, pointer) in pointers {
            let at = usize::from(at) % addresses.len();
            let good = call.addresses()[at];
            addresses[at] = match pointer {
                Pointer::Null => 0,
                Pointer::Misaligned(by) => good + 1 + usize::from(by) % 3,
                // Structures stay where they are: what is in the arena is not one.
                Pointer::Arena(place) if !self.is_structure(good) => self.arena_at(place).addr(),
                _ => good,
            };
        }
        let is_bad = |(at, address): (usize, &usize)| match address {
            0 => call.name != "waveft_delta_weight_backward" || at != 3,
            _ => !address.is_multiple_of(4),
        };
        let is_bad = addresses.iter().enumerate().any(is_bad);
        for &(at, length) in lengths {
            if sizes.is_empty() {
                break;
            }
            let at = usize::from(at) % sizes.len();
            sizes[at] = shorten(call.lengths()[at], length);
        }
        let status = (call.function)(&addresses, &sizes);
        assert!(
            !is_bad || status != Status::Ok || sizes.contains(&0),
            "{} took a bad pointer",
            call.name
        );
        assert!(
            status != Status::Ok || sizes.contains(&0) || !self.has_overlap(&call, &addresses),
            "{} took one memory for two buffers",
            call.name
        );
        let written = self.outputs(&call, &addresses);
        if call.name == "waveft_atoms_sort" {
            self.sorted(&call, status, &before, &addresses);
        } else {
            self.check(call.name, status, &before, &written);
        }
    }

    /// After sorting: atoms are good, or, if a place came twice, their storage is not.
    fn sorted(&mut self, call: &Call, status: Status, before: &[Piece], addresses: &[usize]) {
        let outputs = &addresses[2..4];
        match status {
            Status::RepeatedLocation => {
                // Storage and order may have been written, but no atoms.
                let kept: Vec<Piece> = before
                    .iter()
                    .filter(|(place, _)| !outputs.iter().any(|address| place.contains(address)))
                    .cloned()
                    .collect();
                self.check(call.name, status, &kept, &[]);
            }
            _ => self.check(call.name, status, before, &addresses[2..]),
        }
        let in_place = addresses == call.addresses();
        self.is_sorted = match status {
            Status::Ok => in_place,
            Status::RepeatedLocation => false,
            _ => self.is_sorted,
        };
        let f = &mut self.fixture;
        if !self.is_sorted && f.delta.atoms == f.new_atoms.as_ptr() {
            f.delta.atoms = f.atoms.as_ptr();
        }
    }

    /// Where a call's outputs are.
    fn outputs(&self, call: &Call, addresses: &[usize]) -> Vec<usize> {
        let f = &self.fixture;
        let pointers = call.pointers.iter().zip(addresses);
        let mut written: Vec<usize> = pointers
            .filter(|((_, is_written), _)| *is_written)
            .map(|(_, &address)| address)
            .collect();
        for view in [&f.weight_view, &f.y_view, &f.dx_view, &f.image_view_mut] {
            if call.has(view) {
                written.push(view.data.addr());
            }
        }
        written
    }

    /// Whether an output begins where another buffer does.
    fn has_overlap(&self, call: &Call, addresses: &[usize]) -> bool {
        let f = &self.fixture;
        let pointers = call.pointers.iter().zip(addresses);
        let mut buffers: Vec<(usize, bool)> = pointers
            .filter(|((good, _), _)| !self.is_structure(*good))
            .map(|((_, is_written), &address)| (address, *is_written))
            .collect();
        for view in [&f.weight_view, &f.y_view, &f.dx_view, &f.image_view_mut] {
            if call.has(view) {
                buffers.push((view.data.addr(), true));
            }
        }
        for view in [&f.x_view, &f.dy_view, &f.image_view] {
            if call.has(view) {
                buffers.push((view.data.addr(), false));
            }
        }
        if call.has(&f.delta) {
            buffers.push((f.delta.coefficients.addr(), false));
        }
        buffers.sort_unstable();
        let meet = |pair: &[(usize, bool)]| pair[0].0 == pair[1].0 && (pair[0].1 || pair[1].1);
        buffers.windows(2).any(meet)
    }

    fn is_structure(&self, address: usize) -> bool {
        let start = std::ptr::from_ref(&*self.fixture).addr();
        (start..start + size_of::<Fixture>()).contains(&address)
            || address == self.fixture.new_atoms.as_ptr().addr()
    }

    /// One of eight addresses, with `BEHIND` elements behind each, so that some meet.
    fn arena_at(&mut self, place: u8) -> *mut f32 {
        let arena = self.arena.as_mut_ptr();
        arena.expose_provenance();
        arena.wrapping_add(usize::from(place % 8) * (ARENA - BEHIND) / 8)
    }

    fn set_number(&mut self, field: u8, number: Number) {
        let value = match number {
            Number::Small(value) => usize::from(value),
            Number::Any(value) => value as usize,
        };
        let arena = piece(&self.arena).0;
        let f = &mut *self.fixture;
        // As long as the memory is, or too long for any.
        let bounded = |data: usize, good: usize| {
            let most = if arena.contains(&data) { BEHIND } else { good };
            if value <= most || value >= usize::MAX / 4 {
                value
            } else {
                value % (most + 1)
            }
        };
        macro_rules! view {
            ($view:ident, $at:expr) => {{
                let good = self.good.$view.len;
                let view = &mut f.$view;
                match $at % 5 {
                    0 => view.len = bounded(view.data.addr(), good),
                    1 => view.rows = value,
                    2 => view.columns = value,
                    3 => view.row_stride = value,
                    _ => view.column_stride = value,
                }
            }};
        }
        match field {
            0 => f.layer.out_features = value,
            1 => f.layer.in_features = value,
            2 => f.layer.taps = value,
            3 => f.layer.fan_in_fan_out = value as u32,
            4 => f.delta.count = bounded(f.delta.coefficients.addr(), support::COUNT),
            5 => f.delta.scaling = f32::from_bits(value as u32),
            6 => (f.dwt.mode, f.wavedec2.mode) = (value as u32 % 10, value as u32 % 10),
            7 => f.dwt.length = value,
            8 => f.wavedec2.rows = value,
            9 => f.wavedec2.columns = value,
            10 => f.wavedec2.levels = value,
            11 => f.bank.taps = bounded(0, self.good.bank.taps),
            12 => f.locations[value % support::COUNT].row = (value / 8) as u32,
            13 => f.locations[value % support::COUNT].column = (value / 8) as u32,
            14 => f.coefficients[value % support::COUNT] = f32::from_bits((value >> 8) as u32),
            15 => f.order[value % support::COUNT] = (value / 8) as u32,
            at => match at % 6 {
                0 => view!(weight_view, at / 6),
                1 => view!(x_view, at / 6),
                2 => view!(y_view, at / 6),
                3 => view!(dy_view, at / 6),
                4 => view!(dx_view, at / 6),
                _ if at.is_multiple_of(2) => view!(image_view, at / 6),
                _ => view!(image_view_mut, at / 6),
            },
        }
    }

    fn set_pointer(&mut self, field: u8, pointer: Pointer) {
        let arena = match pointer {
            Pointer::Arena(place) => self.arena_at(place).addr(),
            _ => 0,
        };
        let address = |good: usize| match pointer {
            Pointer::Null => 0,
            Pointer::Misaligned(by) => good + 1 + usize::from(by) % 3,
            Pointer::Arena(_) => arena,
            Pointer::Good => good,
        };
        let f = &mut *self.fixture;
        macro_rules! set {
            ($($field:ident).+) => {{
                let good = self.good.$($field).+.expose_provenance();
                f.$($field).+ = with_exposed_provenance_mut::<f32>(address(good));
            }};
        }
        /// A matrix whose memory is no longer than it was when its pointer was good.
        macro_rules! view {
            ($view:ident) => {{
                set!($view.data);
                f.$view.len = f.$view.len.min(self.good.$view.len);
            }};
        }
        match field % 13 {
            0 => {
                set!(delta.coefficients);
                f.delta.count = f.delta.count.min(support::COUNT);
            }
            1 => set!(bank.dec_lo),
            2 => set!(bank.dec_hi),
            3 => set!(bank.rec_lo),
            4 => set!(bank.rec_hi),
            5 => view!(weight_view),
            6 => view!(x_view),
            7 => view!(y_view),
            8 => view!(dy_view),
            9 => view!(dx_view),
            10 => view!(image_view),
            11 => view!(image_view_mut),
            _ => {
                f.delta.atoms = match pointer {
                    Pointer::Null => null(),
                    Pointer::Misaligned(by) => {
                        f.atoms.as_ptr().wrapping_byte_add(1 + usize::from(by) % 7)
                    }
                    _ => f.atoms.as_ptr(),
                };
            }
        }
    }

    fn set_bank(&mut self, field: u8, bank: Bank) {
        let f = &mut *self.fixture;
        let own = &raw const f.bank;
        let bank = match bank {
            Bank::Null => null(),
            Bank::Named(255) => own,
            Bank::Named(index) => named(index),
        };
        match field % 3 {
            0 => f.delta.bank = bank,
            1 => f.dwt.bank = bank,
            _ => f.wavedec2.bank = bank,
        }
    }

    fn find_bank(&mut self, name: &[u8]) {
        let Ok(name) = CString::new(name) else {
            return;
        };
        let before = self.pieces();
        let bank = &raw mut self.fixture.new_bank;
        // SAFETY: a text that ends with NUL, and the fixture's memory.
        let status = unsafe { waveft_filter_bank_named(name.as_ptr(), bank) };
        let known = wavelets::ALL.iter().any(|(known, _)| {
            let known = known
                .trim_start_matches("WAVEFT_")
                .to_lowercase()
                .replace('_', ".");
            known != "peft.coif4" && known.as_bytes() == name.as_bytes()
        });
        assert_eq!(status == Status::Ok, known, "{name:?}");
        self.check("named", status, &before, &[bank.addr()]);
    }

    fn draw(&mut self, [rows, columns]: [usize; 2], seed: u64, count: u8, scratch: u16) {
        let before = self.pieces();
        let length = &raw mut self.fixture.length;
        // SAFETY: the fixture's memory.
        let status =
            unsafe { waveft_locations_scratch_len(rows, columns, usize::from(count), length) };
        self.check("scratch", status, &before, &[length.addr()]);
        if status == Status::Ok && rows as u64 * columns as u64 >= 214_748_364 {
            // As many draws as entries.
            return;
        }
        let needed = self.fixture.length;
        let before = self.pieces();
        let mut places = vec![Location::default(); usize::from(count)];
        let mut scratch = vec![7; usize::from(scratch)];
        // SAFETY: slices of these lengths.
        let drawn = unsafe {
            let (to, with) = (places.as_mut_ptr(), scratch.as_mut_ptr());
            waveft_locations(rows, columns, seed, to, places.len(), with, scratch.len())
        };
        assert_eq!(
            drawn == Status::Ok,
            status == Status::Ok && scratch.len() >= needed
        );
        let is_within = |p: &Location| (p.row as usize) < rows && (p.column as usize) < columns;
        assert!(drawn != Status::Ok || places.iter().all(is_within));
        assert!(drawn == Status::Ok || places.iter().all(|p| *p == Location::default()));
        self.check("locations", drawn, &before, &[]);
    }
}

/// A length that is no longer than memory, or longer than any.
fn shorten(length: usize, change: Length) -> usize {
    match change {
        Length::Less(less) => length - usize::from(less) % (length + 1),
        Length::Huge(shift) => usize::MAX >> (shift % 3),
    }
}
