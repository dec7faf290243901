"""Times the wavelet transform of waveft, PyWavelets, ptwt and Rust crates in turns, one thread each, and prints tables of
ratios. Started by benches/transform/run."""

import argparse
import collections
import dataclasses
import datetime
import importlib.metadata
import math
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy
import ptwt
import pywt
import torch
from plot import exponent, plot
from side_by_side import ROOT, commit, judge, machine, seconds, significant

HERE = pathlib.Path(__file__).resolve().parent
CRATES = ("wavelets", "osclet", "ndwt", "ndwt-lifting")
PEERS = ("PyWavelets", "ptwt", *CRATES)
DIRECTIONS = ("forward", "inverse")
WAVELETS = ("haar", "db2", "db4", "sym8")
SIZES, SIZED = [2**power for power in range(12, 25)], ("haar", "db4", "sym8")
CURVES = ["copying", *[f"{side} {wavelet}" for side in ("waveft", "PyWavelets") for wavelet in SIZED]]


class Missing(Exception):
    """A side that cannot do a work; says why."""


@dataclasses.dataclass(frozen=True)
class Work:
    wavelet: str
    shape: tuple
    levels: int = 1

    @property
    def samples(self):
        return math.prod(self.shape)

    @property
    def taps(self):
        return pywt.Wavelet(self.wavelet).dec_len

    def __str__(self):
        size = {4096**2: "4096²", 512**2: "512²", 2**20: "1 M"}.get(self.samples, str(self.samples))
        levels = {1: "", 5: ", five levels"}[self.levels]
        return f"{len(self.shape)}-D {size}{levels}, {self.wavelet}"


class Program:
    """A process that does its share of a work, a request at a time. See turns.rs."""

    def __init__(self, path):
        self.path = path
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, what, how, work, last):
        shape = "x".join(map(str, work.shape))
        self.process.stdin.write(f"{what} {how} {work.wavelet} {shape} {work.levels} {last}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer.endswith("\n"):
            sys.exit(f"{self.path} failed at: {what} {how} {work}")
        if answer.startswith("no: "):
            raise Missing(answer[4:].strip())
        return [float(word) for word in answer.split()]

    def side(self, how):
        def turn(work, milliseconds):
            times = self.ask("time", how, work, milliseconds)
            return {name: times[index::3] for index, name in enumerate(("copying", *DIRECTIONS))}

        return turn

    def dump(self, how, work):
        """Its coefficients, and what it makes of them."""
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "dump"
            self.ask("dump", how, work, path)
            entries = numpy.fromfile(path, numpy.float32)
        return entries[: -work.samples], entries[-work.samples :]


def signal(work):
    """The signal that turns.rs makes."""
    return ((numpy.arange(work.samples) * 37 % 101 - 50) / 64).astype(numpy.float32).reshape(work.shape)


def by_pywavelets(work, array):
    """Its two functions; the inverse takes what the forward gives."""
    wavelet, mode = pywt.Wavelet(work.wavelet), "symmetric"
    if work.levels > 1:
        return lambda: pywt.wavedec2(array, wavelet, mode, work.levels), lambda found: pywt.waverec2(found, wavelet, mode)
    if len(work.shape) == 2:
        return lambda: pywt.dwt2(array, wavelet, mode), lambda found: pywt.idwt2(found, wavelet, mode)
    return lambda: pywt.dwt(array, wavelet, mode), lambda found: pywt.idwt(*found, wavelet, mode)


def by_ptwt(work, array):
    wavelet, tensor = pywt.Wavelet(work.wavelet), torch.from_numpy(array)
    forward, inverse = (ptwt.wavedec2, ptwt.waverec2) if len(work.shape) == 2 else (ptwt.wavedec, ptwt.waverec)
    return (
        lambda: forward(tensor, wavelet, mode="symmetric", level=work.levels),
        lambda found: inverse(found, wavelet),
    )


def python_side(library):
    """What times a library of Python as turns.rs does one of Rust."""
    known = {}

    def turn(work, milliseconds):
        if work not in known:
            known.clear()
            forward, inverse = library(work, signal(work))
            found = forward()
            calls = [forward, lambda: inverse(found)]
            short = work.samples < 2**20
            known[work] = calls, [math.ceil(2e-4 / min(seconds(call) for _ in range(2))) if short else 1 for call in calls]
        calls, repeats = known[work]
        times = {direction: [] for direction in DIRECTIONS}
        start = time.perf_counter()
        while not times["inverse"] or time.perf_counter() - start < milliseconds / 1000:
            for direction, call, count in zip(DIRECTIONS, calls, repeats):
                times[direction].append(seconds(lambda: [call() for _ in range(count)]) / count * 1e9)
        return times

    return turn


class Run:
    """All sides, and what they said."""

    def __init__(self, target, quick):
        self.ours = Program(target / "release" / "waveft-transform")
        self.native = Program(target / "native" / "release" / "waveft-transform")
        self.peers = Program(target / "peers" / "release" / "waveft-transform-peers")
        self.sides = {
            **{how: self.ours.side(how) for how in ("widest", "portable", "avx2", "avx512", "two-threads")},
            "native": self.native.side("widest"),
            **{crate: self.peers.side(crate) for crate in CRATES},
            "PyWavelets": python_side(by_pywavelets),
            "ptwt": python_side(by_ptwt),
        }
        self.quick = quick
        self.missing = collections.defaultdict(list)

    def times(self, work, names, turns, milliseconds=100):
        """What each side that can takes, in turns: a list of nanoseconds a call for each direction."""
        if self.quick:
            turns, milliseconds = min(turns, 2), min(milliseconds, 10)
        found = {name: collections.defaultdict(list) for name in names}
        for _ in range(turns):
            for name in [name for name in names if name in found]:
                try:
                    for part, times in self.sides[name](work, milliseconds).items():
                        found[name][part] += times
                except Missing as reason:
                    del found[name]
                    self.missing[name, str(reason)].append(str(work))
        return found


@dataclasses.dataclass
class Target:
    """What a row must reach: its share of what is allowed is at most 1, by medians."""

    text: str
    # A side that is compared with and its part that is timed, `crates` for the fastest of them, or nothing.
    beside: tuple | str
    # Shares of that time, or nanoseconds a sample.
    allowed: float


def at_most_copying(factor):
    return Target(f"≤ {factor} × copying", ("widest", "copying"), factor)


def times_faster(factor):
    return Target(f"≥ {factor} × PyWavelets", ("PyWavelets", None), 1 / factor)


def at_most(nanoseconds):
    return Target(f"≤ {nanoseconds} ns", (), nanoseconds)


AHEAD = Target("ahead of every crate", "crates", 1)


def widest_vectors():
    return "avx512f" in pathlib.Path("/proc/cpuinfo").read_text().split()


def verdict(target, work, found, direction):
    """Of the medians and of the minima."""
    shares, text = [], target.text
    for statistic in (min, statistics.median):
        share = statistic(found["widest"][direction]) / target.allowed
        if target.beside == "crates":
            fastest = min((statistic(found[crate][direction]), crate) for crate in CRATES if crate in found)
            share /= fastest[0]
            text = f"{target.text} ({fastest[1]})"
        elif target.beside:
            side, part = target.beside
            share /= statistic(found[side][part or direction])
        else:
            share /= work.samples
        shares.append(share)
    by_least, by_median = shares
    return f"{text}: {judge(by_median, by_least)}"


def ratio(above, below):
    """Of the medians, and in brackets of the minima."""
    by = [statistic(above) / statistic(below) for statistic in (statistics.median, min)]
    return f"{significant(by[0])} ({significant(by[1])})"


def a_sample(times, work):
    return f"{statistics.median(times) / work.samples:.3g} ({min(times) / work.samples:.3g})"


def markdown(head, rows):
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *rows])


def add(rows, *cells):
    rows.append(list(cells))
    print(" | ".join(cells), flush=True)


def compare(run, rows, works, targets, turns, milliseconds=100):
    """Rows of the table of all libraries."""
    for work in works:
        found = run.times(work, ("widest", *PEERS), turns, milliseconds)
        ours = found["widest"]
        for direction in DIRECTIONS:
            cells = [f"{work}, {direction}", a_sample(ours[direction], work), ratio(ours[direction], ours["copying"])]
            cells += [ratio(found[peer][direction], ours[direction]) if peer in found else "–" for peer in PEERS]
            verdicts = [verdict(target, work, found, direction) for target in targets(work)]
            add(rows, *cells, "; ".join(verdicts) or "–")


def plane(run, rows):
    def targets(work):
        return [at_most_copying(2 if work.taps <= 8 else 3), times_faster(30), AHEAD]

    compare(run, rows, [Work(wavelet, (4096, 4096)) for wavelet in WAVELETS], targets, 4, 150)


def levels(run, rows):
    def targets(work):
        return [at_most_copying(3)] if work.taps <= 8 else []

    compare(run, rows, [Work(wavelet, (4096, 4096), 5) for wavelet in WAVELETS], targets, 3, 150)


def cache(run, rows):
    targets = [at_most(0.35)] if widest_vectors() else []
    compare(run, rows, [Work("db4", (512, 512))], lambda work: targets, 9, 40)


def line(run, rows):
    copying = {"haar": 1.3, "db4": 3, "db38": 15}
    megasamples = [Work(wavelet, (2**20,)) for wavelet in copying]
    compare(run, rows, megasamples, lambda work: [at_most_copying(copying[work.wavelet]), AHEAD], 9, 40)
    short = [at_most(0.25)] if widest_vectors() else []
    compare(run, rows, [Work("db4", (4096,))], lambda work: [*short, AHEAD], 11, 20)
    compare(run, rows, [Work("db4", (64,))], lambda work: [times_faster(20)], 11, 20)


def threads(run, rows):
    # The first is in the second-level caches.
    for work in (Work("db4", (512, 512)), Work("db4", (4096, 4096)), Work("sym8", (4096, 4096))):
        found = run.times(work, ("widest", "two-threads"), 7)
        for direction in DIRECTIONS:
            one, target = found["widest"][direction], "≥ 1.7 × one thread, where not at memory speed"
            if "two-threads" not in found:
                [reason] = [reason for how, reason in run.missing if how == "two-threads"]
                add(rows, f"{work}, {direction}", a_sample(one, work), "–", "–", f"{target}: not measured: {reason}")
                continue
            two = found["two-threads"][direction]
            by = [1.7 * statistic(two) / statistic(one) for statistic in (statistics.median, min)]
            words = [a_sample(one, work), a_sample(two, work), ratio(one, two), f"{target}: {judge(*by)}"]
            add(rows, f"{work}, {direction}", *words)


def isa(run, rows):
    instructions = ("portable", "avx2", "avx512")
    works = [
        Work("db4", (64,)),
        Work("haar", (4096,)),
        Work("db4", (4096,)),
        Work("db38", (4096,)),
        Work("db4", (512, 512)),
        Work("db4", (4096, 4096)),
        Work("sym8", (4096, 4096)),
    ]
    for work in works:
        found = run.times(work, (*instructions, "widest", "native"), 9 if work.samples < 2**24 else 5, 40)
        for direction in DIRECTIONS:
            cells = [a_sample(found[name][direction], work) if name in found else "–" for name in instructions]
            plain, native = found["widest"][direction], found["native"][direction]
            by = [statistic(plain) / statistic(native) / 1.1 for statistic in (statistics.median, min)]
            cells += [a_sample(native, work), ratio(plain, native), f"≤ 1.1: {judge(*by)}"]
            add(rows, f"{work}, {direction}", *cells)


def size(run, rows):
    """Cost against length: the table's rows and the plot's lines."""
    times = collections.defaultdict(list)
    for length in SIZES:
        for wavelet in SIZED:
            work = Work(wavelet, (length,))
            found = run.times(work, ("widest", "PyWavelets"), 5, 20)
            times["copying", length] += found["widest"]["copying"]
            times[f"waveft {wavelet}", length] = found["widest"]["forward"]
            times[f"PyWavelets {wavelet}", length] = found["PyWavelets"]["forward"]
    curves = {name: [statistics.median(times[name, length]) / length for length in SIZES] for name in CURVES}
    for index, length in enumerate(SIZES):
        add(rows, f"2^{length.bit_length() - 1}", *[f"{curve[index]:.3g}" for curve in curves.values()])
    add(rows, "exponent", *[f"{1 + exponent(SIZES, curve):.2f}" for curve in curves.values()])
    return curves


def relative(found, expected):
    """The largest difference, as a share of the largest entry; not a number if any is not."""
    return float(abs(found - expected).max() / abs(expected).max())


def agreement(run):
    """How far everyone's results are from PyWavelets' in f64, as shares of the largest of them."""
    notes = []
    for work in [Work(wavelet, (4096,)) for wavelet in (*WAVELETS, "db38")] + [
        Work(wavelet, (512, 512), levels) for wavelet in WAVELETS for levels in (1, 5)
    ]:
        if pywt.dwtn_max_level(work.shape, work.wavelet) < work.levels:
            continue
        wavelet, array = pywt.Wavelet(work.wavelet), signal(work).astype(numpy.float64)
        if len(work.shape) == 1:
            expected = numpy.concatenate(pywt.dwt(array, wavelet, "symmetric"))
        else:
            levels = pywt.wavedec2(array, wavelet, "symmetric", work.levels)
            expected, _, _ = pywt.ravel_coeffs(levels, axes=(0, 1))
        found = {}
        for name in ("waveft", *CRATES):
            program, how = (run.ours, "widest") if name == "waveft" else (run.peers, name)
            try:
                coefficients, back = program.dump(how, work)
            except Missing:
                continue
            same = coefficients.size == expected.size and len(work.shape) == 1 and not name.endswith("lifting")
            off = relative(coefficients, expected) if same or name == "waveft" else None
            found[name] = off, relative(back, array.ravel())
        if not all(off <= 1e-5 for off in found["waveft"]):
            sys.exit(f"{work}: waveft's results are not PyWavelets': off by {found['waveft']}")
        notes.append((work, found))
    return notes


def agreement_table(notes):
    def cell(found, name):
        if name not in found:
            return "–"
        off, back = found[name]
        return f"{off:.0e}, {back:.0e}" if off is not None else f"–, {back:.0e}"

    names = ("waveft", *CRATES)
    return markdown(["work", *names], [[str(work), *[cell(found, name) for name in names]] for work, found in notes])


def versions():
    lock = tomllib.loads((HERE / "peers" / "Cargo.lock").read_text())
    crates = ", ".join(f"{p['name']} {p['version']}" for p in lock["package"] if p["name"] in CRATES)
    python = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("PyWavelets", "ptwt", "torch", "numpy"))
    return f"{commit()}; {crates}; {python}, Python {platform.python_version()}"


def main():
    parser = argparse.ArgumentParser(prog="benches/transform/run", description=__doc__)
    parser.add_argument("--target", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="few repetitions: to see that it works")
    parts = {
        "plane": "4096², one level",
        "levels": "4096², five levels",
        "cache": "512²",
        "line": "lines of 2^20, 4096 and 64",
        "threads": "two threads, 512² and 4096²",
        "isa": "instruction sets, and a build for this machine",
        "size": "cost against size",
    }
    told = "; ".join(f"{name}: {what}" for name, what in parts.items())
    parser.add_argument("--only", metavar="WORK", choices=parts, help=f"a part, writing no results. {told}")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    torch.set_grad_enabled(False)
    wanted = [arguments.only] if arguments.only else list(parts)
    run = Run(arguments.target.resolve(), arguments.quick)
    start, load = time.time(), [os.getloadavg()[0]]
    agreed = agreement_table(agreement(run))
    libraries, threaded, by_isa, by_size = [], [], [], []
    for name, part in {"plane": plane, "levels": levels, "cache": cache, "line": line}.items():
        if name in wanted:
            part(run, libraries)
    if "threads" in wanted:
        threads(run, threaded)
    if "isa" in wanted:
        isa(run, by_isa)
    curves = size(run, by_size) if "size" in wanted else None
    load.append(os.getloadavg()[0])
    command = "benches/transform/run" + (" --quick" if arguments.quick else "")
    sections = [
        (
            libraries,
            "All libraries",
            "waveft in ns a sample; its time as so many times copying; then how many times faster than each library it is.",
            ["work", "waveft, ns", "× copying", *[f"× {peer}" for peer in PEERS], "targets"],
        ),
        (
            threaded,
            "Two threads",
            "ns a sample.",
            ["work", "one thread", "two threads", "× faster", "target"],
        ),
        (
            by_isa,
            "Instruction sets",
            "One plain build, told which instructions to use, and a build with `-C target-cpu=native`; ns a sample. The ratio is "
            "the plain build, choosing by itself, over that one.",
            ["work", "portable", "AVX2", "AVX-512", "native build", "plain over native", "target"],
        ),
        (
            by_size,
            "Cost against size",
            "ns a sample of a line, forward, one level; medians. The exponent is that of the power of the length that fits the "
            "times best: 1 is linear.\n\n![ns a sample against the length](transform.svg)",
            ["samples", *CURVES],
        ),
    ]
    text = [
        "# The wavelet transform beside other libraries, and beside copying",
        "",
        f"Written by `{command}` on {datetime.date.today()}. What is compared is said in `benches/README.md`.",
        "",
        "f32, one thread unless said, symmetric extension, plans reused; all sides in turns in one run. Medians, minima in",
        "brackets; targets are judged by the medians.",
        "",
    ]
    for rows, title, about, head in sections:
        if rows:
            text += [f"## {title}", "", about, "", markdown(head, rows), ""]
    text += [
        "## The same results",
        "",
        "Largest differences from PyWavelets' coefficients computed in f64, and from the signal after synthesis, as shares of the",
        "largest of them. A dash: another layout or extension, or not to be had.",
        "",
        agreed,
        "",
        "## Notes",
        "",
        *[f"- {name}: {reason} ({'; '.join(dict.fromkeys(works))})" for (name, reason), works in run.missing.items()],
        "- ndwt has no sym8; its time there is db8's, which has as many taps. Its lifting gives as many coefficients as samples",
        "- wavelets has no plane; its time there is that of its transforms along the rows and then along the columns",
        "- several levels of wavelets and osclet in 2-D are one level after another",
        "- osclet extends the end of a line otherwise with 4, 8 and 16 taps; its synthesis adds to its output, which is cleared first",
        *[f"- {line}" for line in machine()],
        f"- {versions()}",
        f"- load average before and after: {load[0]:.1f}, {load[1]:.1f} (1 is this benchmark itself); it took {time.time() - start:.0f} s",
        "",
    ]
    print("\n" + "\n".join(text))
    if not arguments.only:
        results = ROOT / "benches" / "results"
        results.mkdir(exist_ok=True)
        (results / "transform.md").write_text("\n".join(text))
        title = "One level forward, f32, one thread: ns a sample against samples"
        sized = {name: (SIZES, curve) for name, curve in curves.items()}
        dashes = {"PyWavelets": "7 4", "copying": "2 3"}
        (results / "transform.svg").write_text(plot(title, "samples", sized, dashes))
        print(f"Written to {results / 'transform.md'} and transform.svg")


if __name__ == "__main__":
    main()
