//! Adapts a frozen network to digits turned by a quarter, with 0.7 % of its parameters, in seconds.
//!
//! ```sh
//! cargo run --release --example finetune             # or: … --example finetune -- FOLDER
//! ```
//!
//! Everything is trained by [`waveft_std::linear`] and [`waveft_std::training`], with the settings of the baselines in
//! `examples/digits`, and comes out the same on every run. The folder gets a plot of the run, the adapter, which PEFT loads,
//! and the adapted network's logits of the held-out images, for `tools/digits_score.py` to hold PEFT's against.

mod baselines;
mod cross_entropy;
mod digits;
mod network;
mod plot;
mod training;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use waveft_std::Error;

use self::baselines::{Baselines, Epoch, Method, Spread};
use self::digits::{CLASSES, Images, Part, Pose};
use self::network::{Network, fresh_adapter};
use self::training::fine_tune;

const DEFAULT_FOLDER: &str = "target/finetune";

/// What a failed run ends in.
type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let folder = arguments.next().unwrap_or_else(|| DEFAULT_FOLDER.into());
    let unknown = arguments.next().or_else(|| {
        let is_option = folder.to_string_lossy().starts_with('-');
        is_option.then(|| folder.clone())
    });
    // That nothing could be written is told by the exit status.
    if let Some(unknown) = unknown {
        let expected =
            format!("expected at most one argument, a folder for the results ({DEFAULT_FOLDER})");
        let _ = writeln!(io::stderr(), "error: {expected}, found {unknown:?}");
        return ExitCode::from(2);
    }
    match run(&PathBuf::from(folder), &mut io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(io::stderr(), "error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(folder: &Path, out: &mut impl Write) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(Error::io(folder))?;
    let baselines = Baselines::read()?;
    let peft = baselines.method("waveft")?;
    let base = digits::file("base.safetensors");
    let mut adapter = fresh_adapter(&base, &digits::file("adapter_config.json"))?;
    let mut network = Network::read(&base, &adapter)?;
    let trained: usize = adapter
        .spectra()
        .iter()
        .map(|spectrum| spectrum.len())
        .sum();
    let training = Images::read(Part::Training, Pose::Turned)?;
    let held_out = Images::read(Part::HeldOut, Pose::Turned)?;
    let upright = network.judge(&Images::read(Part::HeldOut, Pose::Upright)?)?;
    let before = network.judge(&held_out)?;

    let of = baselines.base_parameters;
    let share = 100.0 * trained as f64 / of as f64;
    writeln!(
        out,
        "a frozen network of {of} parameters; WaveFT trains {trained}, {share:.2} % of as many"
    )?;
    writeln!(
        out,
        "{} turned digits to train on, {} held out",
        training.labels.len(),
        held_out.labels.len()
    )?;
    writeln!(
        out,
        "\nepoch  training loss  held-out loss  held-out accuracy"
    )?;
    let mut epochs = Vec::new();
    let start = Instant::now();
    fine_tune(
        &mut network,
        baselines.training,
        peft.lr,
        (&training, &held_out),
        |epoch| {
            epochs.push(*epoch);
            report(out, epoch)
        },
    )?;
    let seconds = start.elapsed().as_secs_f64();

    let after = network.judge(&held_out)?;
    writeln!(
        out,
        "\ntrained in {seconds:.1} s; accuracy on the held-out digits:"
    )?;
    let mut row = |what: &str, trained: usize, accuracy: String| {
        writeln!(out, "  {what:<38}{trained:>7} trained  {accuracy}")
    };
    row("upright, as pre-trained", 0, percent(upright.accuracy))?;
    row("turned, before", 0, percent(before.accuracy))?;
    row("turned, after: WaveFT", trained, percent(after.accuracy))?;
    let of_seeds = |method: &Method| {
        let Spread {
            mean,
            standard_deviation,
        } = method.accuracy;
        let seeds = baselines.seeds.len();
        format!(
            "{} ± {}, mean of {seeds} seeds",
            percent(mean),
            percent(standard_deviation)
        )
    };
    row("turned, PEFT's WaveFT", peft.trained, of_seeds(peft))?;
    let lora = baselines.method("lora")?;
    row(
        "turned, PEFT's LoRA of rank 1",
        lora.trained,
        of_seeds(lora),
    )?;
    let full = baselines.method("full")?;
    row(
        "turned, full fine-tuning by torch",
        full.trained,
        of_seeds(full),
    )?;

    let plot = folder.join("loss.svg");
    plot::draw(&plot, &epochs, &baselines)?;
    network.store(&mut adapter)?;
    let saved = folder.join("adapter");
    adapter.save(&saved)?;
    let logits = folder.join("logits.safetensors");
    write_logits(&logits, &network.logits(&held_out.pixels)?)?;
    writeln!(out, "\nloss curve:             {}", plot.display())?;
    writeln!(out, "adapter, for PEFT:      {}", saved.display())?;
    writeln!(out, "logits of the held-out: {}", logits.display())?;
    Ok(())
}

fn report(out: &mut impl Write, epoch: &Epoch) -> Result<(), Failure> {
    let Epoch {
        epoch,
        train_loss,
        loss,
        accuracy,
    } = *epoch;
    let accuracy = percent(accuracy);
    writeln!(
        out,
        "{epoch:>5}  {train_loss:>13.4}  {loss:>13.4}  {accuracy:>17}"
    )?;
    Ok(())
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// Images × 10, as `logits`.
fn write_logits(path: &Path, logits: &[f32]) -> Result<(), Failure> {
    let bytes: Vec<u8> = logits
        .iter()
        .flat_map(|logit| logit.to_le_bytes())
        .collect();
    let shape = vec![logits.len() / CLASSES, CLASSES];
    let tensor = TensorView::new(Dtype::F32, shape, &bytes)?;
    Ok(serialize_to_file([("logits", tensor)], None, path)?)
}
