//! Every function with everything that can be wrong: its status, and nothing written.

mod support;

use std::ptr::{dangling_mut, null, null_mut};
use support::*;
use waveft_capi::filter_bank::waveft_filter_bank_named;
use waveft_capi::locations::{Location, waveft_locations, waveft_locations_scratch_len};
use waveft_capi::optimiser::waveft_clip_factor;
use waveft_capi::status::Status;
use waveft_capi::wavedec2::waveft_wavedec2_band;
use waveft_capi::{atoms, delta_weight, wavelets};

/// What goes wrong with a fixture, and the status it comes to.
type Spoil = (Status, fn(&mut Fixture));

/// That each call on the fixture that `concerns` comes to a status and changes nothing. How many there were.
fn refused(
    fixture: &mut Fixture,
    expected: Status,
    concerns: impl Fn(&Fixture, &Call) -> bool,
) -> usize {
    let before = fixture.clone();
    let mut count = 0;
    for call in calls(fixture) {
        if concerns(fixture, &call) {
            assert_eq!(call.run(), expected, "{}", call.name);
            assert!(*fixture == before, "{} wrote", call.name);
            count += 1;
        }
    }
    count
}

#[test]
fn the_calls_are_good_but_for_what_is_changed() {
    for at in 0..calls(&mut Fixture::new()).len() {
        let mut fixture = Fixture::new();
        let before = fixture.clone();
        let call = calls(&mut fixture).swap_remove(at);
        assert_eq!(call.run(), Status::Ok, "{}", call.name);
        let writes = call.name != "waveft_filter_bank_check";
        assert_eq!(*fixture != *before, writes, "{}", call.name);
    }
}

#[test]
fn pointers_that_are_null_or_misaligned() {
    let mut fixture = Fixture::new();
    let before = fixture.clone();
    let mut count = 0;
    for call in calls(&mut fixture) {
        for at in 0..call.pointers.len() {
            let optional = call.name == "waveft_delta_weight_backward" && at == 3;
            let mut addresses = call.addresses();
            for (offset, expected) in [
                (0, Status::NullPointer),
                (call.pointers[at].0 + 1, Status::Misaligned),
                (call.pointers[at].0 + 2, Status::Misaligned),
            ] {
                if offset == 0 && optional {
                    continue;
                }
                addresses[at] = offset;
                let status = (call.function)(&addresses, &call.lengths());
                assert_eq!(status, expected, "{} {at}", call.name);
                assert!(*fixture == *before, "{} {at} wrote", call.name);
                count += 1;
            }
        }
    }
    assert!(count > 250, "{count}");
}

#[test]
fn buffers_that_are_too_short_or_longer_than_memory() {
    let mut fixture = Fixture::new();
    let before = fixture.clone();
    for call in calls(&mut fixture) {
        for (at, &(length, one_less)) in call.lengths.iter().enumerate() {
            let mut lengths = call.lengths();
            for (length, expected) in [
                (length - 1, one_less),
                (usize::MAX, Status::SizeOverflow),
                (usize::MAX / 4, Status::SizeOverflow),
            ] {
                if expected == Status::Ok {
                    continue;
                }
                lengths[at] = length;
                let status = (call.function)(&call.addresses(), &lengths);
                assert_eq!(status, expected, "{} {at}", call.name);
                assert!(*fixture == *before, "{} {at} wrote", call.name);
            }
        }
    }
}

#[test]
fn scratch_that_is_too_short() {
    let mut fixture = Fixture::new();
    let scratch = fixture.scratch.len();
    let before = fixture.clone();
    let mut count = 0;
    for call in calls(&mut fixture) {
        if let Some(at) = call.lengths().iter().position(|&length| length == scratch) {
            let mut lengths = call.lengths();
            for length in [0, 1, 10] {
                lengths[at] = length;
                let status = (call.function)(&call.addresses(), &lengths);
                assert_eq!(status, Status::Length, "{}", call.name);
                assert!(*fixture == *before, "{} wrote", call.name);
            }
            count += 1;
        }
    }
    assert_eq!(count, 11);
}

#[test]
fn outputs_that_overlap() {
    let mut fixture = Fixture::new();
    let before = fixture.clone();
    let mut count = 0;
    for call in calls(&mut fixture) {
        let buffers = call.pointers.iter().enumerate();
        let written = buffers.filter(|(_, pointer)| pointer.1);
        for (at, _) in written {
            // With each buffer but what is a structure of its own, which is copied first.
            for other in (0..call.pointers.len()).filter(|&other| other != at) {
                if is_structure(&fixture, call.pointers[other].0) {
                    continue;
                }
                let mut addresses = call.addresses();
                addresses[at] = addresses[other] & !7;
                let status = (call.function)(&addresses, &call.lengths());
                assert_eq!(status, Status::Overlap, "{} {at} {other}", call.name);
                assert!(*fixture == *before, "{} {at} {other} wrote", call.name);
                count += 1;
            }
        }
    }
    assert!(count > 40, "{count}");
}

fn is_structure(fixture: &Fixture, address: usize) -> bool {
    let start = std::ptr::from_ref(fixture).addr();
    (start..start + size_of::<Fixture>()).contains(&address)
}

#[test]
fn matrices_that_overlap_the_rest() {
    let overlaps: [fn(&mut Fixture); 6] = [
        |f| f.weight_view.data = f.coefficients.as_mut_ptr(),
        |f| f.weight_view.data = f.storage.as_mut_ptr().cast(),
        |f| f.weight_view.data = f.atoms.as_mut_ptr().cast(),
        |f| f.y_view.data = f.x.as_mut_ptr(),
        |f| f.dx_view.data = f.dy.as_mut_ptr(),
        |f| f.image_view_mut.data = f.bands2.as_mut_ptr(),
    ];
    for (overlap, expected) in overlaps.into_iter().zip([5, 5, 5, 1, 2, 2]) {
        let mut fixture = Fixture::new();
        let untouched = fixture.clone();
        overlap(&mut fixture);
        let changed = |f: &Fixture, call: &Call| {
            let structures = [
                (
                    f.weight_view != untouched.weight_view,
                    call.has(&f.weight_view),
                ),
                (f.y_view != untouched.y_view, call.has(&f.y_view)),
                (f.dx_view != untouched.dx_view, call.has(&f.dx_view)),
                (
                    f.image_view_mut != untouched.image_view_mut,
                    call.has(&f.image_view_mut),
                ),
            ];
            structures.contains(&(true, true))
        };
        assert_eq!(refused(&mut fixture, Status::Overlap, changed), expected);
    }
}

#[test]
fn updates_that_are_wrong() {
    let spoils: [Spoil; 15] = [
        (Status::NullPointer, |f| f.delta.atoms = null()),
        (Status::NullPointer, |f| f.delta.coefficients = null()),
        (Status::Misaligned, |f| {
            f.delta.atoms = f.delta.atoms.wrapping_byte_add(4)
        }),
        (Status::Misaligned, |f| {
            f.delta.coefficients = f.delta.coefficients.wrapping_byte_add(1)
        }),
        (Status::Misaligned, |f| {
            f.delta.bank = f.delta.bank.wrapping_byte_add(1)
        }),
        (Status::SizeOverflow, |f| f.delta.count = usize::MAX),
        (Status::Length, |f| f.delta.count = COUNT - 1),
        (Status::Length, |f| f.delta.count = 0),
        (Status::NotSorted, |f| {
            f.delta.atoms = &raw const f.new_atoms[0]
        }),
        (Status::TapCount, |f| f.delta.bank = &wavelets::DB4),
        (Status::TapCount, |f| f.delta.bank = null()),
        (Status::NullPointer, |f| {
            f.bank.rec_hi = null();
            f.delta.bank = &raw const f.bank;
        }),
        (Status::TapCount, |f| {
            f.bank.taps = 3;
            f.delta.bank = &raw const f.bank;
        }),
        (Status::TapCount, |f| {
            f.bank.taps = 0;
            f.delta.bank = &raw const f.bank;
        }),
        (Status::SizeOverflow, |f| {
            f.bank.taps = usize::MAX;
            f.delta.bank = &raw const f.bank;
        }),
    ];
    for (expected, spoil) in spoils {
        let mut fixture = Fixture::new();
        spoil(&mut fixture);
        let count = refused(&mut fixture, expected, |f, call| call.has(&f.delta));
        assert_eq!(count, 12);
    }
}

#[test]
fn weights_that_are_wrong() {
    let spoils: [Spoil; 10] = [
        (Status::NullPointer, |f| f.weight_view.data = null_mut()),
        (Status::Misaligned, |f| {
            f.weight_view.data = f.weight_view.data.wrapping_byte_add(2)
        }),
        (Status::SizeOverflow, |f| f.weight_view.len = usize::MAX / 2),
        (Status::Length, |f| f.weight_view.len -= 1),
        (Status::Length, |f| f.weight_view.row_stride = usize::MAX),
        (Status::EmptyAxis, |f| f.weight_view.rows = 0),
        (Status::Shape, |f| f.weight_view.rows -= 1),
        (Status::Shape, |f| f.weight_view.columns -= 1),
        (Status::Stride, |f| f.weight_view.row_stride -= 1),
        (Status::Stride, |f| f.weight_view.column_stride = 0),
    ];
    for (expected, spoil) in spoils {
        let mut fixture = Fixture::new();
        spoil(&mut fixture);
        let count = refused(&mut fixture, expected, |f, call| call.has(&f.weight_view));
        assert_eq!(count, 5);
    }
}

#[test]
fn tokens_and_images_that_are_wrong() {
    macro_rules! spoil {
        ($view:ident, $count:literal) => {{
            let spoils: [Spoil; 8] = [
                (Status::NullPointer, |f| f.$view.data = null_mut::<f32>()),
                (Status::Misaligned, |f| {
                    f.$view.data = f.$view.data.wrapping_byte_add(3)
                }),
                (Status::SizeOverflow, |f| f.$view.len = usize::MAX),
                (Status::Length, |f| f.$view.len -= 1),
                (Status::Length, |f| f.$view.row_stride = usize::MAX),
                (Status::EmptyAxis, |f| f.$view.columns = 0),
                (Status::Shape, |f| f.$view.columns -= 1),
                (Status::Stride, |f| {
                    let len = 2 * f.$view.len;
                    f.spare = numbers(len, 17);
                    f.$view.data = f.spare.as_mut_ptr();
                    f.$view.len = len;
                    (f.$view.row_stride, f.$view.column_stride) = (2 * f.$view.columns, 2);
                }),
            ];
            for (expected, spoil) in spoils {
                let mut fixture = Fixture::new();
                spoil(&mut fixture);
                let count = refused(&mut fixture, expected, |f, call| call.has(&f.$view));
                assert_eq!(count, $count);
            }
        }};
    }
    spoil!(x_view, 2);
    spoil!(y_view, 1);
    spoil!(dy_view, 2);
    spoil!(dx_view, 2);
    spoil!(image_view, 2);
    spoil!(image_view_mut, 2);
}

#[test]
fn layers_that_are_wrong() {
    let spoils: [Spoil; 8] = [
        (Status::EmptyAxis, |f| f.layer.out_features = 0),
        (Status::AxisTooLong, |f| f.layer.in_features = 1 << 30),
        (Status::AxisTooLong, |f| f.layer.in_features = usize::MAX),
        (Status::TapCount, |f| f.layer.taps = 0),
        (Status::TapCount, |f| f.layer.taps = 3),
        (Status::TapCount, |f| f.layer.taps = 130),
        (Status::OutOfBounds, |f| f.locations[5].row = OUTPUTS as u32),
        (Status::OutOfBounds, |f| f.locations[0].column = u32::MAX),
    ];
    for (expected, spoil) in spoils {
        let mut fixture = Fixture::new();
        spoil(&mut fixture);
        let count = refused(&mut fixture, expected, |f, call| call.has(&f.layer));
        assert_eq!(count, 1);
    }

    // What is sorted before it is found, but no atoms.
    let mut fixture = Fixture::new();
    fixture.locations[3] = fixture.locations[1];
    let before = fixture.clone();
    let sort = calls(&mut fixture)
        .into_iter()
        .find(|call| call.has(&fixture.layer));
    assert_eq!(sort.unwrap().run(), Status::RepeatedLocation);
    assert_eq!(fixture.new_atoms, before.new_atoms);
}

#[test]
fn orders_that_are_wrong() {
    let mut fixture = Fixture::new();
    fixture.order[COUNT - 1] = COUNT as u32;
    let count = refused(&mut fixture, Status::OutOfBounds, |f, call| {
        call.addresses().contains(&f.order.as_ptr().addr())
    });
    assert_eq!(count, 2);
}

#[test]
fn transforms_that_are_wrong() {
    let spoils: [Spoil; 9] = [
        (Status::NullPointer, |f| {
            (f.dwt.bank, f.wavedec2.bank) = (null(), null())
        }),
        (Status::UnknownMode, |f| {
            (f.dwt.mode, f.wavedec2.mode) = (9, u32::MAX)
        }),
        (Status::SignalLength, |f| {
            (f.dwt.length, f.wavedec2.rows) = (0, 0)
        }),
        (Status::SignalLength, |f| {
            (f.dwt.length, f.wavedec2.columns) = (usize::MAX, usize::MAX)
        }),
        (Status::SignalLength, |f| {
            f.dwt.length = 1;
            (f.wavedec2.rows, f.wavedec2.mode) = (1, f.dwt.mode);
        }),
        (Status::NullPointer, |f| {
            f.bank.dec_lo = null();
            (f.dwt.bank, f.wavedec2.bank) = (&raw const f.bank, &raw const f.bank);
        }),
        (Status::Misaligned, |f| {
            f.bank.dec_hi = f.bank.dec_hi.wrapping_byte_add(1);
            (f.dwt.bank, f.wavedec2.bank) = (&raw const f.bank, &raw const f.bank);
        }),
        (Status::TapCount, |f| {
            f.bank.taps = 1;
            (f.dwt.bank, f.wavedec2.bank) = (&raw const f.bank, &raw const f.bank);
        }),
        (Status::Misaligned, |f| {
            let bank = f.dwt.bank.wrapping_byte_add(2);
            (f.dwt.bank, f.wavedec2.bank) = (bank, bank);
        }),
    ];
    for (expected, spoil) in spoils {
        let mut fixture = Fixture::new();
        spoil(&mut fixture);
        let count = refused(&mut fixture, expected, |f, call| {
            call.has(&f.dwt) || call.has(&f.wavedec2)
        });
        assert_eq!(count, 11);
    }
    for levels in [0, 2, usize::MAX] {
        let mut fixture = Fixture::new();
        fixture.wavedec2.levels = levels;
        let concerns = |f: &Fixture, call: &Call| call.has(&f.wavedec2);
        assert_eq!(refused(&mut fixture, Status::Levels, concerns), 6);
    }
    let mut fixture = Fixture::new();
    (fixture.wavedec2.rows, fixture.wavedec2.columns) = (usize::MAX / 16, usize::MAX / 16);
    let concerns = |f: &Fixture, call: &Call| call.has(&f.wavedec2);
    assert_eq!(refused(&mut fixture, Status::Length, concerns), 6);
    let mut fixture = Fixture::new();
    let before = fixture.band;
    for (level, detail) in [(0, true), (2, true), (usize::MAX, false)] {
        // SAFETY: the fixture's memory.
        let status = unsafe {
            waveft_wavedec2_band(&fixture.wavedec2, level, detail, false, &mut fixture.band)
        };
        assert_eq!((status, fixture.band), (Status::Levels, before));
    }
}

#[test]
fn hyperparameters_that_are_wrong() {
    let spoils: [fn(&mut Fixture); 7] = [
        |f| f.adam_w.learning_rate = -1.0,
        |f| f.adam_w.learning_rate = f64::NAN,
        |f| f.adam_w.weight_decay = f64::INFINITY,
        |f| f.adam_w.first_beta = 1.0,
        |f| f.adam_w.second_beta = -0.1,
        |f| f.adam_w.second_beta = f64::NAN,
        |f| f.adam_w.epsilon = -1e-8,
    ];
    for spoil in spoils {
        let mut fixture = Fixture::new();
        spoil(&mut fixture);
        // A NaN is not equal to itself, so it goes after it was read.
        let call = calls(&mut fixture)
            .into_iter()
            .find(|call| call.has(&fixture.adam_w));
        let status = call.unwrap().run();
        fixture.adam_w = Fixture::new().adam_w;
        assert_eq!(status, Status::OutOfRange);
        let before = Fixture::new();
        assert_eq!(fixture.drawn, before.drawn);
        assert_eq!(fixture.moments, before.moments);
    }
    let mut f = Fixture::new();
    let before = f.clone();
    let [first, second] = f.moments.each_mut().map(|moment| moment.as_mut_ptr());
    let (values, gradient) = (f.drawn.as_mut_ptr(), f.gradient.as_ptr());
    // SAFETY: the fixture's memory.
    let status = unsafe {
        let adam_w = &raw const f.adam_w;
        waveft_capi::optimiser::waveft_adam_w_step(
            adam_w, 0, values, gradient, first, second, COUNT,
        )
    };
    assert_eq!(status, Status::OutOfRange);
    assert!(*f == *before);
    for (max_norm, norm) in [
        (-1.0, 1.0),
        (1.0, -1.0),
        (f64::NAN, 1.0),
        (1.0, f64::INFINITY),
    ] {
        // SAFETY: the fixture's memory.
        let status = unsafe { waveft_clip_factor(max_norm, norm, &mut f.number) };
        assert_eq!((status, f.number), (Status::OutOfRange, 99.0));
    }
}

#[test]
fn wavelets_that_are_unknown() {
    let mut bank = wavelets::DB2;
    for name in [c"db39", c"", c"DB4", c"peft-coif4", c"\xff"] {
        // SAFETY: a text and a place of ours.
        let status = unsafe { waveft_filter_bank_named(name.as_ptr(), &mut bank) };
        assert_eq!((status, bank), (Status::UnknownWavelet, wavelets::DB2));
    }
    // SAFETY: null is refused.
    let statuses = unsafe {
        let name = c"db4".as_ptr();
        [
            waveft_filter_bank_named(null(), &mut bank),
            waveft_filter_bank_named(name, null_mut()),
            waveft_filter_bank_named(name, (&raw mut bank).wrapping_byte_add(1)),
        ]
    };
    assert_eq!(bank, wavelets::DB2);
    assert_eq!(
        statuses,
        [Status::NullPointer, Status::NullPointer, Status::Misaligned]
    );
}

#[test]
fn draws_that_are_wrong() {
    let most = usize::MAX;
    let cases = [
        (Status::EmptyAxis, 0, 4, 1),
        (Status::EmptyAxis, 4, 0, 1),
        (Status::AxisTooLong, 1 << 30, 4, 1),
        (Status::AxisTooLong, 4, most, 1),
        (Status::AxisTooLong, most, most, 1),
        (Status::LocationCount, 2, 2, 5),
        (Status::LocationCount, 2, 2, 0),
    ];
    for (expected, rows, columns, count) in cases {
        let mut places = [Location { row: 3, column: 3 }; 5];
        let (mut scratch, mut length) = ([3; 64], 99);
        // SAFETY: arrays of five and 64 elements, and a place.
        let statuses = unsafe {
            let (places, scratch) = (places.as_mut_ptr(), scratch.as_mut_ptr());
            [
                waveft_locations(rows, columns, 1, places, count, scratch, 64),
                waveft_locations_scratch_len(rows, columns, count, &mut length),
            ]
        };
        assert_eq!(statuses, [expected; 2], "{rows} {columns} {count}");
        assert_eq!(
            (places, scratch, length),
            ([Location { row: 3, column: 3 }; 5], [3; 64], 99)
        );
    }
}

#[test]
fn banks_that_do_not_reconstruct() {
    static NAN: [f32; 4] = [f32::NAN; 4];
    let spoils: [Spoil; 4] = [
        (Status::NotReconstructing, |f| f.bank.rec_lo = f.bank.rec_hi),
        (Status::NonFinite, |f| f.bank.rec_lo = NAN.as_ptr()),
        (Status::TapCount, |f| f.bank.taps = 3),
        (Status::NullPointer, |f| f.bank.dec_lo = null()),
    ];
    for (expected, spoil) in spoils {
        let mut fixture = Fixture::new();
        spoil(&mut fixture);
        assert_eq!(
            refused(&mut fixture, expected, |f, call| call.has(&f.bank)),
            1
        );
    }
}

#[test]
fn no_elements_go_with_any_pointer() {
    // SAFETY: of no elements.
    let statuses = unsafe {
        [
            atoms::waveft_gather(null(), null(), null_mut(), 0),
            atoms::waveft_scatter(dangling_mut(), null(), null_mut(), 0),
            waveft_capi::optimiser::waveft_scale(null_mut(), 0, 1.0),
        ]
    };
    assert_eq!(statuses, [Status::Ok; 3]);
    let mut fixture = Fixture::new();
    let length = &raw mut fixture.length;
    // SAFETY: the fixture's memory.
    let status = unsafe { delta_weight::waveft_delta_weight_undo_len(&fixture.delta, length) };
    assert_eq!((status, fixture.length), (Status::Ok, 70));
}
