"""Times waveft and PEFT in turns, one thread each, and prints one table of ratios. Started by benches/compare/run."""

import argparse
import datetime
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy
import peft
import torch
from safetensors.torch import load_file, save_file
from side_by_side import ROOT, commit, judge, machine, seconds, show, significant

SIDE, COUNT, SEED, SCALING = 4096, 2592, 777, 25.0
WAVELETS = ("db1", "db4", "sym8")
LARGE = 230_000_000
# A checkpoint of 1.3 GB: name of a layer's matrix, out, in.
LAYERS, HIDDEN, INNER = 16, 2048, 5632
MATRICES = {
    "self_attn.q_proj": (HIDDEN, HIDDEN),
    "self_attn.k_proj": (HIDDEN, HIDDEN),
    "self_attn.v_proj": (HIDDEN, HIDDEN),
    "self_attn.o_proj": (HIDDEN, HIDDEN),
    "mlp.up_proj": (INNER, HIDDEN),
    "mlp.down_proj": (HIDDEN, INNER),
}
ADAPTED = {"q and v": ["q_proj", "v_proj"], "all": [name.split(".")[1] for name in MATRICES]}


class Ours:
    """The process that does waveft's share, a request at a time."""

    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *words):
        """Seconds that each piece of the work took."""
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer.endswith("\n"):
            sys.exit(f"waveft-compare failed at {words}")
        return [int(word) * 1e-9 for word in answer.split()]


class Table:
    def __init__(self):
        self.rows = []

    def add(self, work, ours, other, theirs, at_least=None, at_most=None, below=None):
        """A row. Targets: theirs / ours at least, ours / theirs at most, or our seconds below a bound."""
        middle, least = statistics.median, min
        by = [statistic(theirs) / statistic(ours) for statistic in (middle, least)] if theirs else None
        target, verdict = "–", ""
        if at_least:
            target, verdict = f"≥ {at_least:,} × faster", judge(*[at_least / ratio for ratio in by])
        elif at_most:
            target, verdict = f"≤ {at_most} × its time", judge(*[1 / ratio / at_most for ratio in by])
        elif below:
            target, verdict = f"≤ {show(below)}", judge(middle(ours) / below, least(ours) / below)
        if not theirs:
            ratio = "–"
        elif at_most or by[0] < 1:
            ratio = f"{1 / by[0]:.2f} × its time ({1 / by[1]:.2f})"
        else:
            ratio = f"{significant(by[0])} × faster ({significant(by[1])})"
        both = [f"{show(middle(times))} ({show(least(times))})" if times else "–" for times in (ours, theirs)]
        row = [work, both[0], other, both[1], ratio, target, verdict]
        self.rows.append(row)
        print(" | ".join(row), flush=True)

    def __str__(self):
        head = ["work", "waveft", "beside", "its time", "ratio", "target", ""]
        lines = [head, ["---"] * len(head), *self.rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def randperm(total):
    return torch.randperm(total, generator=torch.Generator().manual_seed(SEED))[:COUNT]


def draw(table, ours, waveft, rounds, large_rounds):
    command = [waveft, "locations", "--rows", SIDE, "--cols", SIDE, "--count", COUNT, "--seed", SEED]
    lines = subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout
    found = [int(row) * SIDE + int(column) for row, column in (line.split(",") for line in lines.split())]
    if found != randperm(SIDE * SIDE).tolist():
        sys.exit("The two sides draw different locations")
    for label, shape, rounds, repeats, at_least in [
        (f"draw {COUNT} locations of 4096 × 4096", (SIDE, SIDE), rounds, 50, 3000),
        (f"draw {COUNT} locations of 230,000,000", (1, LARGE), large_rounds, 3, 50),
    ]:
        mine, theirs = [], []
        for _ in range(rounds):
            mine += ours.ask("draw", *shape, repeats)
            theirs.append(seconds(lambda: randperm(shape[0] * shape[1])))
        if rounds:
            table.add(label, mine, "torch.randperm", theirs, at_least=at_least)


def peft_layer(wavelet):
    """PEFT's layer with the coefficients that waveft's side has."""
    base = torch.nn.Sequential()
    base.add_module("linear", torch.nn.Linear(SIDE, SIDE, bias=False))
    config = peft.WaveFTConfig(
        n_frequency=COUNT, scaling=SCALING, wavelet_family=wavelet, random_loc_seed=SEED, target_modules=["linear"]
    )
    layer = peft.get_peft_model(base, config).base_model.model.linear
    spectrum = (torch.arange(COUNT) * 37 % 101 - 50) / 64
    layer.waveft_spectrum["default"].data.copy_(spectrum)
    return layer


def delta(table, ours, scratch, rounds):
    agreement = {}
    for wavelet, at_most in zip(WAVELETS, (1.1, 1.3, 2.0)):
        layer = peft_layer(wavelet)
        dumped = scratch / "delta"
        ours.ask("dump", wavelet, dumped)
        found = torch.from_numpy(numpy.fromfile(dumped, numpy.float32).reshape(SIDE, SIDE))
        dumped.unlink()
        with torch.no_grad():
            expected = layer.get_delta_weight("default")
            agreement[wavelet] = ((found - expected).abs().max() / expected.abs().max()).item()
            if agreement[wavelet] > 1e-5:
                sys.exit(f"{wavelet}: the two sides' ΔW differ by {agreement[wavelet]:.1e} of the largest entry")
            del expected, found
            cleared, mine, theirs = [], [], []
            for _ in range(rounds):
                times = ours.ask("write", wavelet, 20)
                cleared += times[::2]
                mine += times[1::2]
                theirs.append(seconds(lambda: layer.get_delta_weight("default")))
            table.add(f"ΔW into a buffer, {wavelet}", mine, "clearing the buffer", cleared, at_most=at_most)
            table.add(f"ΔW into a buffer, {wavelet}", mine, "PEFT get_delta_weight", theirs)
            add(table, ours, layer, wavelet, rounds)
    return agreement


def add(table, ours, layer, wavelet, rounds):
    added, huge, cold, recorded, undone, merged, unmerged = ([] for _ in range(7))
    for _ in range(rounds):
        added += ours.ask("add", wavelet, 200)
        merged.append(seconds(layer.merge))
        huge += ours.ask("add_huge", wavelet, 200)
        unmerged.append(seconds(layer.unmerge))
        cold += ours.ask("add_cold", wavelet, 20)
        times = ours.ask("undo", wavelet, 200)
        recorded += times[::2]
        undone += times[1::2]
    if wavelet == "db1":
        table.add("add in place, db1", added, "(a bound)", None, below=25e-6)
    table.add(f"add in place, {wavelet}", added, "PEFT merge", merged)
    on_huge = ours.ask("huge_pages")[0] > 0
    if on_huge:
        table.add(f"add in place, {wavelet}, weight on huge pages", huge, "PEFT merge", merged)
    table.add(f"add in place, {wavelet}, weight out of the caches", cold, "PEFT merge", merged)
    table.add(f"add and record, {wavelet}", recorded, "PEFT merge", merged)
    table.add(f"undo exactly, {wavelet}", undone, "PEFT unmerge (inexact)", unmerged)


def checkpoint_shapes():
    for layer in range(LAYERS):
        for name, shape in MATRICES.items():
            yield f"model.layers.{layer}.{name}", shape


def make_checkpoint(path):
    generator = torch.Generator().manual_seed(1)
    tensors = {
        f"{name}.weight": (torch.randn(shape, generator=generator) * 0.02).bfloat16()
        for name, shape in checkpoint_shapes()
    }
    save_file(tensors, path, metadata={"format": "pt"})


def make_adapter(folder, targets):
    folder.mkdir()
    generator = torch.Generator().manual_seed(2)
    spectra = {
        f"base_model.model.{name}.waveft_spectrum": torch.randn(COUNT, generator=generator) * 0.01
        for name, _ in checkpoint_shapes()
        if name.split(".")[-1] in targets
    }
    save_file(spectra, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config = peft.WaveFTConfig(n_frequency=COUNT, scaling=SCALING, random_loc_seed=SEED, target_modules=targets)
    config.save_pretrained(folder)
    return len(spectra)


def peft_merges(base, adapter, output):
    """What a user of PEFT does, without the model's own code: load, merge every layer, save, bring to disk."""
    model = torch.nn.Module()
    tensors = load_file(base)
    for name, (rows, columns) in checkpoint_shapes():
        *path, leaf = name.split(".")
        parent = model
        for step in path:
            if not hasattr(parent, step):
                parent.add_module(step, torch.nn.Module())
            parent = getattr(parent, step)
        linear = torch.nn.Linear(columns, rows, bias=False, device="meta")
        linear.weight = torch.nn.Parameter(tensors[f"{name}.weight"], requires_grad=False)
        parent.add_module(leaf, linear)
    merged = peft.PeftModel.from_pretrained(model, adapter).merge_and_unload()
    save_file(merged.state_dict(), output, metadata={"format": "pt"})
    with open(output, "rb+") as file:
        os.fsync(file.fileno())


def different_entries(left, right):
    left, right = load_file(left), load_file(right)
    if left.keys() != right.keys():
        sys.exit("The two sides' merged checkpoints have different tensors")
    return sum((left[name] != right[name]).sum().item() for name in left), sum(t.numel() for t in left.values())


def checkpoint(table, ours, waveft, scratch, rounds, with_peft):
    """Merging a checkpoint beside copying it. Every way brings its output to disk."""
    base, output = scratch / "base.safetensors", scratch / "merged.safetensors"
    make_checkpoint(base)
    notes = []
    for variant, targets in ADAPTED.items():
        adapter = scratch / variant.replace(" ", "-")
        adapted = make_adapter(adapter, targets)

        def merge(*options):
            command = [waveft, "merge", "--quiet", "--base", base, "--adapter", adapter, "--output", output, *options]
            subprocess.run([str(word) for word in command], check=True)

        def copy():
            subprocess.run(["cp", base, output], check=True)
            subprocess.run(["sync", output], check=True)

        ways = {
            "merge": lambda: seconds(merge),
            "merge, one thread": lambda: seconds(lambda: merge("--threads", 1)),
            "cp and sync": lambda: seconds(copy),
            "std::fs::copy and sync_all": lambda: ours.ask("copy", base, output)[0],
        }
        times = {way: [] for way in ways}
        for round in range(-1, rounds):
            for way, run in ways.items():
                output.unlink(missing_ok=True)
                os.sync()
                taken = run()
                # The first round fills the page cache.
                if round >= 0:
                    times[way].append(taken)
        label = f"merge a checkpoint of {base.stat().st_size / 1e9:.2f} GB, {adapted} of {LAYERS * len(MATRICES)} layers"
        for way in ("merge", "merge, one thread"):
            of_threads = label + (", one thread" if way.endswith("thread") else "")
            for copied in ("cp and sync", "std::fs::copy and sync_all"):
                table.add(of_threads, times[way], copied, times[copied], at_most=1.2)
        if with_peft:
            output.unlink(missing_ok=True)
            merge()
            theirs = scratch / "peft.safetensors"
            taken = seconds(lambda: peft_merges(base, adapter, theirs))
            table.add(label + ", one thread", times["merge, one thread"], "PEFT: load, merge_and_unload, save", [taken])
            different, entries = different_entries(output, theirs)
            notes.append(f"{adapted} layers: {different:,} of {entries:,} merged entries differ from PEFT's")
            theirs.unlink()
    return notes


def versions():
    return f"{commit()}; peft {peft.__version__}, torch {torch.__version__}, Python {platform.python_version()}"


def main():
    parser = argparse.ArgumentParser(prog="benches/compare/run", description=__doc__)
    parser.add_argument("--programs", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="few repetitions, no 230,000,000, no merging by PEFT")
    parser.add_argument("--only", choices=["draw", "delta", "checkpoint"], help="a part of the table; writes no results")
    parser.add_argument("--scratch", type=pathlib.Path, help="a folder on the disk to measure, 6 GB (default: target/compare)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    scratch = arguments.scratch or ROOT / "target"
    scratch.mkdir(parents=True, exist_ok=True)
    scratch = scratch.resolve() / "compare"
    if scratch.exists():
        sys.exit(f"{scratch} is there already: from another run? Remove it first")
    scratch.mkdir()
    waveft = (arguments.programs / "waveft").resolve()
    ours = Ours((arguments.programs / "waveft-compare").resolve())
    table, notes, quick = Table(), [], arguments.quick
    load = [os.getloadavg()[0]]
    try:
        if arguments.only in (None, "draw"):
            draw(table, ours, waveft, 3 if quick else 11, 0 if quick else 2)
        if arguments.only in (None, "delta"):
            agreement = delta(table, ours, scratch, 2 if quick else 9)
            parts = ", ".join(f"{wavelet} {off:.0e}" for wavelet, off in agreement.items())
            notes.append(f"largest difference between the two sides' ΔW, as a share of its largest entry: {parts}")
        if arguments.only in (None, "checkpoint"):
            notes += checkpoint(table, ours, waveft, scratch, 2 if quick else 7, not quick)
    finally:
        shutil.rmtree(scratch)
    load.append(os.getloadavg()[0])
    command = "benches/compare/run" + (" --quick" if quick else "")
    text = "\n".join(
        [
            "# waveft beside PEFT, and beside the limit",
            "",
            f"Written by `{command}` on {datetime.date.today()}. What the rows are is said in `benches/README.md`.",
            "",
            f"4096 × 4096, n = {COUNT}, f32, one thread on both sides; the two sides in turns. Times are medians, minima in brackets;",
            "so are ratios, and targets are judged by the medians.",
            "",
            str(table),
            "",
            *[f"- {note}" for note in ["the two sides draw the same locations"] * (arguments.only in (None, "draw")) + notes],
            *[f"- {line}" for line in machine()],
            f"- {versions()}",
            f"- load average before and after: {load[0]:.1f}, {load[1]:.1f} (1 is this benchmark itself)",
            "",
        ]
    )
    print("\n" + text)
    if not arguments.only:
        results = ROOT / "benches" / "results"
        results.mkdir(exist_ok=True)
        (results / "compare.md").write_text(text)


if __name__ == "__main__":
    main()
