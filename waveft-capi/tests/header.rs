//! The committed header is what cbindgen makes of the sources.

use cbindgen::{Builder, Config};
use std::fmt::Write;
use std::path::Path;
use waveft_capi::wavelets;

const SOURCES: [&str; 10] = [
    "lib",
    "status",
    "filter_bank",
    "locations",
    "atoms",
    "matrix",
    "delta_weight",
    "optimiser",
    "transform",
    "wavedec2",
];

/// cbindgen does not see what macros make, so the banks are declared here.
fn banks() -> String {
    let mut text = String::from("\n/* The bank of each wavelet, in read-only memory. */\n");
    text += "#ifdef __cplusplus\nextern \"C\" {\n#endif\n";
    for (symbol, _) in wavelets::ALL {
        writeln!(text, "extern const struct waveft_filter_bank {symbol};").unwrap();
    }
    text + "#ifdef __cplusplus\n}\n#endif"
}

fn header() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut config = Config::from_file(folder.join("cbindgen.toml")).unwrap();
    config.after_includes = Some(banks());
    let mut builder = Builder::new().with_config(config);
    for source in SOURCES {
        builder = builder.with_src(folder.join("src").join(source).with_extension("rs"));
    }
    let mut text = Vec::new();
    builder.generate().unwrap().write(&mut text);
    // The statuses are the library's, as the banks and functions are.
    String::from_utf8(text)
        .unwrap()
        .replace("WAVEFT_STATUS_", "WAVEFT_")
}

/// To write it anew: `WAVEFT_HEADER=write cargo test -p waveft-capi --test header`.
#[test]
fn the_header_is_what_the_sources_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/waveft.h");
    let header = header();
    if std::env::var_os("WAVEFT_HEADER").is_some_and(|what| what == "write") {
        std::fs::write(&path, &header).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let mut lines = committed.lines().zip(header.lines()).zip(1..);
    let drifted = lines.find(|((committed, made), _)| committed != made);
    assert!(
        committed == header,
        "include/waveft.h is not what the sources say, from {drifted:?} on: write it anew, as this test's comment says"
    );
}
