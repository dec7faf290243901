//! `waveft inspect --plot`: what is drawn, and what cannot be.

mod generated;
mod run;

use std::fs;
use std::path::Path;

use image::RgbImage;
use serde_json::json;

use self::run::{complaint, data, printed, waveft};

const DRAW: &str = "inspect {} --base {} --plot {}";

/// The width of every picture, and how much finer the pixels of a PNG are.
const WIDTH: u32 = 1048;
const FINENESS: u32 = 2;

/// Where every map begins, and how long its longer side is.
const MAP: (u32, u32) = (64, 384);

/// The colour of the largest positive value.
const REDDEST: [u8; 3] = [150, 10, 35];

/// Draws an adapter as a PNG and reads that.
fn png(adapter: &Path, base: &Path) -> RgbImage {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("picture.PNG");
    printed(&waveft(DRAW, &[adapter, base, &path]));
    let picture = image::load_from_memory(&fs::read(path).unwrap());
    picture.unwrap().into_rgb8()
}

fn svg(words: &str, paths: &[&Path]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("picture.svg");
    let said = printed(&waveft(words, &[paths, &[&path]].concat()));
    assert!(said.contains("\ndrew "), "{said}");
    fs::read_to_string(path).unwrap()
}

/// Writes a base of one module and an adapter of a single coefficient, 1, for it.
fn one_coefficient(folder: &Path, keys: serde_json::Value) -> [std::path::PathBuf; 2] {
    let [base, adapter] = ["base.safetensors", "adapter"].map(|name| folder.join(name));
    let modules = generated::modules(1);
    generated::write_base(&base, &modules, 8);
    generated::write_adapter(&adapter, &modules, "db1", 1);
    let config = adapter.join("adapter_config.json");
    let mut facts: serde_json::Value = serde_json::from_slice(&fs::read(&config).unwrap()).unwrap();
    for (key, value) in keys.as_object().unwrap() {
        facts[key] = value.clone();
    }
    fs::write(config, facts.to_string()).unwrap();
    [base, adapter]
}

/// Where the entries of the reddest colour are in an 8 × 8 map that begins at a column of pixels.
fn reddest(picture: &RgbImage, left: u32) -> Vec<(u32, u32)> {
    let cell = FINENESS * MAP.1 / 8;
    let left = FINENESS * left;
    let is_frame = |y: &u32| picture.get_pixel(left + 1, *y).0 == [150; 3];
    let top = (0..picture.height()).find(is_frame).unwrap();
    let center = |(row, column)| (left + cell * column + cell / 2, top + cell * row + cell / 2);
    let entries = (0..8).flat_map(|row| (0..8).map(move |column| (row, column)));
    let is_reddest = |&entry: &(u32, u32)| {
        let (x, y) = center(entry);
        picture.get_pixel(x, y).0 == REDDEST
    };
    entries.filter(is_reddest).collect()
}

#[test]
fn the_entry_that_a_coefficient_is_at_is_the_red_one() {
    let folder = tempfile::tempdir().unwrap();
    let keys = json!({"use_idwt": false, "random_loc_seed": 5});
    let [base, adapter] = one_coefficient(folder.path(), keys);
    let place = printed(&waveft(
        "locations --rows 8 --cols 8 --count 1 --seed 5",
        &[],
    ));
    let (row, column) = place.trim().split_once(',').unwrap();
    let place = (row.parse().unwrap(), column.parse().unwrap());
    let picture = png(&adapter, &base);
    assert_eq!(picture.width(), FINENESS * WIDTH);
    assert_eq!(reddest(&picture, MAP.0), [place]);
}

#[test]
fn an_atom_is_drawn_beside_its_coefficient() {
    let folder = tempfile::tempdir().unwrap();
    // A seed whose place is in the approximation, where all of Haar's entries are of one sign.
    let seed = (0..).find(|seed| {
        let words = format!("locations --rows 8 --cols 8 --count 1 --seed {seed}");
        let place = printed(&waveft(&words, &[]));
        let sides = place
            .trim()
            .split(',')
            .map(|side| side.parse::<u32>().unwrap());
        sides.max().unwrap() < 4
    });
    let [base, adapter] = one_coefficient(folder.path(), json!({"random_loc_seed": seed}));
    let picture = png(&adapter, &base);
    let coefficient = reddest(&picture, MAP.0);
    let &[(row, column)] = &coefficient[..] else {
        panic!("{coefficient:?}");
    };
    let (row, column) = (2 * row, 2 * column);
    let atom = [
        (row, column),
        (row, column + 1),
        (row + 1, column),
        (row + 1, column + 1),
    ];
    let second = MAP.0 + (WIDTH - 48) / 2;
    assert_eq!(reddest(&picture, second), atom);
    let text = svg(DRAW, &[&adapter, &base]);
    assert!(text.contains("cA approximation, 100.0 %"), "{text}");
}

#[test]
fn a_real_adapter_with_and_without_its_base() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo");
    let (base, adapter) = (demo.join("base.safetensors"), demo.join("adapter"));
    let with = svg(DRAW, &[&adapter, &base]);
    for part in [
        "bert.encoder.layer.0",
        "attention.self.query",
        "attention.self.value",
        "cD diagonal details",
        "384 × 384, 1024 coefficients, which has the most energy",
        "in features",
        "href=\"data:image/png;base64,",
    ] {
        assert!(with.contains(part), "{part}");
    }
    assert_eq!(
        with,
        svg(DRAW, &[&adapter, &base]),
        "the same bytes each time"
    );
    let chosen = "bert.encoder.layer.1.attention.self.query";
    let words = format!("--threads 1 inspect {{}} --base {{}} --module {chosen} --plot {{}}");
    let other = svg(&words, &[&adapter, &base]);
    assert!(other.contains(&format!("{chosen}: 384")) && other != with);

    let without = svg("inspect {} --plot {}", &[&adapter]);
    assert!(without.contains("give the base by --base") && !without.contains("<image "));
    let orange = "#E69F00"; // of the last sub-band: none is told apart here
    assert!(with.contains(orange) && !without.contains(orange));

    // Of a weight that is stored in × out, the update is drawn out × in.
    let words = "inspect {} --base {} --module transformer.h.0.mlp.c_fc --plot {}";
    let conv1d = svg(words, &[&data("adapters/conv1d"), &data("bases/gpt2")]);
    assert!(conv1d.contains("c_fc: 32 × 8, 11 coefficients"), "{conv1d}");
}

#[test]
fn large_updates_are_reduced_and_many_modules_have_rows() {
    let folder = tempfile::tempdir().unwrap();
    let [base, adapter] = ["base.safetensors", "adapter"].map(|name| folder.path().join(name));
    generated::write_base(&base, &generated::modules(1), 4096);
    generated::write_adapter(&adapter, &generated::modules(1), "sym8", 2592);
    let text = svg(DRAW, &[&adapter, &base]);
    assert!(
        text.contains("a cell is 32 × 32 entries: the one largest in magnitude"),
        "{text}"
    );
    assert!(text.len() < 200_000, "{}", text.len());

    let [base, adapter] = ["many.safetensors", "many"].map(|name| folder.path().join(name));
    generated::write_base(&base, &generated::modules(120), 16);
    generated::write_adapter(&adapter, &generated::modules(120), "db2", 3);
    let text = svg(DRAW, &[&adapter, &base]);
    let at = |name: &str| text.find(&format!("\n{name}\n"));
    // The coefficients count upwards, so that the first twenty have the least.
    assert!(text.contains("the 100 rows with the most of 120"), "{text}");
    assert_eq!(at("layers.19"), None);
    assert!(at("layers.20").unwrap() < at("layers.99").unwrap());
    assert!(at("layers.99").unwrap() < at("layers.119").unwrap());
}

#[test]
fn an_untrained_adapter_can_be_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let (base, fresh) = (data("bases/llama"), folder.path().join("fresh"));
    let config = data("adapters/plain").join("adapter_config.json");
    let words = "init --base {} --config {} --output {}";
    printed(&waveft(words, &[&base, &config, &fresh]));
    assert!(svg(DRAW, &[&fresh, &base]).contains("all are 0"));
    png(&fresh, &base);
}

#[test]
fn what_cannot_be_drawn_is_told_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let [base, adapter] = one_coefficient(folder.path(), json!({}));
    let drawings = folder.path().join("drawings");
    fs::create_dir(&drawings).unwrap();
    let picture = drawings.join("picture.svg");
    let nowhere = folder.path().join("nowhere").join("picture.svg");
    for (words, paths, expected) in [
        (
            "inspect {} --plot {}",
            [&base, &picture].to_vec(),
            "an adapter's folder",
        ),
        (
            "inspect {} --plot {}",
            [&drawings, &picture].to_vec(),
            "drawings",
        ),
        (
            "inspect {} --base {} --module layers.0.porj --plot {}",
            [&adapter, &base, &picture].to_vec(),
            "the nearest is \"layers.0.proj\"",
        ),
        (
            "inspect {} --base {} --module proj --plot {}",
            [&adapter, &base, &picture].to_vec(),
            "the nearest is \"layers.0.proj\"",
        ),
        (
            "inspect {} --module layers.0.proj --plot {}",
            [&adapter, &picture].to_vec(),
            "name it by --base",
        ),
        (DRAW, [&adapter, &base, &nowhere].to_vec(), "nowhere"),
    ] {
        let paths: Vec<&Path> = paths.into_iter().map(|path| path.as_path()).collect();
        let said = complaint(&waveft(words, &paths));
        assert!(said.contains(expected), "{said}");
    }
    for (words, expected) in [
        ("inspect a --plot picture.pdf", "ends in .svg or .png"),
        ("inspect a --plot picture", "ends in .svg or .png"),
        ("inspect a --module q", "--plot <FILE.svg|FILE.png>"),
    ] {
        let usage = waveft(words, &[]);
        assert_eq!(usage.status.code(), Some(2), "{words}");
        let said = String::from_utf8(usage.stderr).unwrap();
        assert!(said.contains(expected), "{said}");
    }

    // Too few entries for the coefficients, and a coefficient that is none.
    let many = folder.path().join("many");
    generated::write_adapter(&many, &generated::modules(1), "db1", 65);
    let said = complaint(&waveft(DRAW, &[&many, &base, &picture]));
    assert!(
        said.contains("layers.0.proj") && said.contains("64"),
        "{said}"
    );
    let model = adapter.join("adapter_model.safetensors");
    let mut bytes = fs::read(&model).unwrap();
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&model, bytes).unwrap();
    let said = complaint(&waveft(DRAW, &[&adapter, &base, &picture]));
    assert!(said.contains("finite coefficients, found NaN"), "{said}");
    assert_eq!(fs::read_dir(&drawings).unwrap().count(), 0);
}
