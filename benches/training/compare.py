"""Times a training step of waveft, of PEFT's WaveFT and of its LoRA in turns. Started by benches/training/run."""

import argparse
import datetime
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

import peft
import torch
from plot import exponent, plot
from side_by_side import ROOT, commit, judge, machine, processor, seconds, show, significant

SIDE, COUNT, TOKENS, SEED, SCALING = 4096, 2592, 512, 777, 25.0
WAVELETS = ("db1", "db4", "sym8")
# What is varied, one at a time, beside a layer under db4: multiples of its size.
MULTIPLES = (0.125, 0.25, 0.5, 1, 2, 4, 8)
BY_TAPS = {0.25: "db1", 0.5: "db2", 1: "db4", 2: "db8", 4: "db16", 8: "db32"}
# A Llama-3-8B's attention: how many layers, and its projections' outputs and inputs.
LAYERS, PROJECTIONS = 32, {"q": (4096, 4096), "v": (1024, 4096)}


class Ours:
    """The process that does waveft's share, a request at a time."""

    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, work, *sizes, threads=1, dtype="f32", wavelet="db1", shape=(SIDE, SIDE), count=COUNT):
        """Seconds that each piece of the work took."""
        words = [work, threads, dtype, wavelet, *shape, count, *sizes]
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer.endswith("\n"):
            sys.exit(f"waveft-training failed at {words}")
        return [int(word) * 1e-9 for word in answer.split()]

    def steps(self, times, tokens=TOKENS, **layer):
        """Streaming the activations, forward, backward, AdamW and all three together, of each step."""
        answer = self.ask("step", tokens, times, **layer)
        parts = [answer[part::4] for part in range(4)]
        return dict(zip(("stream", "forward", "backward", "AdamW"), parts), step=[sum(step) for step in zip(*parts[1:])])


class ByHand:
    """The step as bound.c does it, where that can be compiled and run."""

    def __init__(self, programs):
        self.program = None
        compiler, instructions = shutil.which("cc"), processor().get("flags", "").split()
        if compiler and {"avx2", "fma"} <= set(instructions):
            self.program = programs / "bound"
            source = pathlib.Path(__file__).with_name("bound.c")
            subprocess.run([compiler, "-O3", "-mavx2", "-mfma", source, "-o", self.program], check=True)

    def steps(self, times):
        """Seconds of streaming the activations, and of forward and backward, of each step; none where it cannot be run."""
        if not self.program:
            return [], []
        words = [self.program, str(TOKENS), str(COUNT), str(times)]
        answer = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
        found = [int(word) * 1e-9 for word in answer]
        return found[::2], found[1::2]


class Theirs:
    """A linear layer in torch, bare or with an adapter of PEFT's."""

    def __init__(self, config=None):
        base = torch.nn.Sequential()
        base.add_module("linear", torch.nn.Linear(SIDE, SIDE, bias=False))
        base.requires_grad_(False)
        self.layer = base if config is None else peft.get_peft_model(base, config).base_model.model
        trained = [parameter for parameter in self.layer.parameters() if parameter.requires_grad]
        self.optimiser = torch.optim.AdamW(trained) if trained else None

    def step(self, x, dy):
        """Forward, backward with the input's gradient, and AdamW."""
        self.layer(x).backward(dy)
        x.grad = None
        if self.optimiser:
            self.optimiser.step()
            self.optimiser.zero_grad()

    def step_of_lora(self, x, y, dy):
        """What LoRA adds to `y`, its base's output, by the layer's own modules, and the same backward and AdamW."""
        linear = self.layer.linear
        (y + linear.lora_B["default"](linear.lora_A["default"](x)) * linear.scaling["default"]).backward(dy)
        x.grad = None
        self.optimiser.step()
        self.optimiser.zero_grad()

    def forward(self, x):
        with torch.no_grad():
            self.layer(x)


def waveft(wavelet):
    return peft.WaveFTConfig(
        n_frequency=COUNT,
        scaling=SCALING,
        wavelet_family=wavelet,
        random_loc_seed=SEED,
        target_modules=["linear"],
        init_weights=False,
    )


class Table:
    def __init__(self, *head):
        self.rows = [head, ["---"] * len(head)]

    def add(self, *cells):
        self.rows.append(cells)
        print(" | ".join(cells), flush=True)

    def __str__(self):
        return "\n".join("| " + " | ".join(row) + " |" for row in self.rows)


def both(times):
    return f"{show(statistics.median(times))} ({show(min(times))})"


def compare(table, work, ours, other, theirs, at_least=None, at_most=None):
    """A row. Targets: theirs / ours at least, or ours / theirs at most."""
    by = [statistic(theirs) / statistic(ours) for statistic in (statistics.median, min)]
    target, verdict = "–", ""
    if at_least:
        target, verdict = f"≥ {at_least:,} × faster", judge(*[at_least / ratio for ratio in by])
    elif at_most:
        target, verdict = f"≤ {at_most} × its time", judge(*[1 / ratio / at_most for ratio in by])
    if at_most or by[0] < 1:
        ratio = f"{1 / by[0]:.2f} × its time ({1 / by[1]:.2f})"
    else:
        ratio = f"{significant(by[0])} × faster ({significant(by[1])})"
    table.add(work, both(ours), other, both(theirs), ratio, target, verdict)


def bound(table, work, ours, most):
    verdict = judge(statistics.median(ours) / most, min(ours) / most)
    table.add(work, both(ours), "(a bound)", "–", "–", f"≤ {show(most)}", verdict)


def over(times, base):
    """What an adapter adds to its base: the two were timed in turns."""
    return [one - other for one, other in zip(times, base)]


def beside_peft(table, ours, by_hand, rounds):
    x, token = torch.randn(TOKENS, SIDE, requires_grad=True), torch.randn(1, SIDE)
    y, dy = torch.randn(TOKENS, SIDE), torch.randn(TOKENS, SIDE)
    base = Theirs()
    sides = {"WaveFT": Theirs(waveft("db1")), "LoRA": Theirs(peft.LoraConfig(r=1, target_modules=["linear"]))}
    times = {name: [] for name in ("base", *sides, "base token", "WaveFT token")}
    mine, tokens, hand, hand_stream = {}, [], [], []
    for round in range(-1, rounds):
        steps = ours.steps(40)
        stream_now, hand_now = by_hand.steps(40)
        tokens_now = ours.ask("token", 2000)
        found = {"base": seconds(lambda: base.step(x, dy)), "base token": seconds(lambda: base.forward(token))}
        found["WaveFT"] = seconds(lambda: sides["WaveFT"].step(x, dy))
        found["LoRA"] = seconds(lambda: sides["LoRA"].step_of_lora(x, y, dy))
        found["WaveFT token"] = seconds(lambda: sides["WaveFT"].forward(token))
        if round >= 0:  # The first one fills caches and allocators.
            for name, taken in found.items():
                times[name].append(taken)
            for name, taken in steps.items():
                mine.setdefault(name, []).extend(taken)
            tokens += tokens_now
            hand_stream += stream_now
            hand += hand_now
    label = f"forward, backward and AdamW, {TOKENS} tokens, db1"
    compare(table, label, mine["step"], "PEFT's WaveFT over its base", over(times["WaveFT"], times["base"]), at_least=400)
    compare(table, label, mine["step"], "adding x to y and dy to dx", mine["stream"], at_most=1.6)
    if hand:
        compare(table, "the same by hand in C, for this layer alone", hand, "its own adding x to y and dy to dx", hand_stream)
    compare(table, label, mine["step"], "PEFT's LoRA, r = 1, without its base", times["LoRA"], at_most=1)
    compare(table, "the same", mine["step"], "the base layer's own, in torch", times["base"])
    compare(table, "forward of one token, db1", tokens, "PEFT's WaveFT over its base", over(times["WaveFT token"], times["base token"]), at_least=10_000)
    bound(table, "forward of one token, db1", tokens, 20e-6)


def among_ourselves(table, ours, rounds):
    kinds = {
        "db1": {},
        "db4": dict(wavelet="db4"),
        "sym8": dict(wavelet="sym8"),
        "bf16": dict(dtype="bf16"),
        "two threads": dict(threads=2),
        "db4, two threads": dict(wavelet="db4", threads=2),
    }
    found = {name: [] for name in kinds}
    for _ in range(rounds):
        for name, kind in kinds.items():
            found[name] += ours.steps(20, **kind)["step"]
    for wavelet, most in (("db4", 2), ("sym8", 3)):
        compare(table, f"the same step, {wavelet}", found[wavelet], "db1", found["db1"], at_most=most)
    compare(table, "the same step, bf16 activations, db1", found["bf16"], "f32", found["db1"], at_most=1)
    for name in ("two threads", "db4, two threads"):
        one = found[name.removesuffix(", two threads") if "," in name else "db1"]
        compare(table, f"the same step, {name}", found[name], "one thread", one, at_least=1.7)
    for dtype in ("f32", "bf16"):
        for wavelet in WAVELETS:
            swaps = ours.ask("swap", 400, dtype=dtype, wavelet=wavelet)
            label = f"swap of an adapter, {dtype} weight, {wavelet}"
            if wavelet == "db1":
                bound(table, label, swaps, 100e-6)
            else:
                table.add(label, both(swaps), "–", "–", "–", "–", "")


def growth(table, ours, rounds):
    """Times as one size grows, beside that of a layer under db4; the curves to plot."""
    kinds = {
        "tokens": lambda by: dict(tokens=int(TOKENS * by)),
        "n": lambda by: dict(count=int(COUNT * by)),
        "M": lambda by: dict(shape=(int(SIDE * by), SIDE)),
        "N": lambda by: dict(shape=(SIDE, int(SIDE * by))),
        "L": lambda by: dict(wavelet=BY_TAPS[by]),
    }
    curves = {}
    for name, kind in kinds.items():
        multiples = [by for by in MULTIPLES if name != "L" or by in BY_TAPS]
        found = {by: [] for by in multiples}
        for _ in range(rounds):
            for by in multiples:
                found[by] += ours.steps(8, **{"wavelet": "db4", **kind(by)})["step"]
        medians = [statistics.median(found[by]) for by in multiples]
        curves[name] = (multiples, [time / medians[multiples.index(1)] for time in medians])
        cells = [show(medians[multiples.index(by)]) if by in multiples else "–" for by in MULTIPLES]
        last = exponent(multiples[-2:], medians[-2:])
        table.add(name, *cells, f"{exponent(multiples, medians):.2f}", f"{last:.2f}")
    return curves


def stack(table, ours):
    total = {"base": 0.0, "adapters": 0.0, "AdamW": 0.0}
    for name, shape in PROJECTIONS.items():
        *layers, adamw = ours.ask("stack", LAYERS, TOKENS, threads=2, dtype="bf16", shape=shape)
        base, adapters = sum(layers[::2]), sum(layers[1::2])
        for part, time in zip(total, (base, adapters, adamw)):
            total[part] += time
        table.add(f"{name}, {shape[0]} × {shape[1]}", show(base), show(adapters), show(adamw), f"{(adapters + adamw) / base:.2%}")
    adapters = total["adapters"] + total["AdamW"]
    table.add("both", *[show(time) for time in total.values()], f"{adapters / total['base']:.2%}")


def main():
    parser = argparse.ArgumentParser(prog="benches/training/run", description=__doc__)
    parser.add_argument("--programs", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="few repetitions; writes no results")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    ours, by_hand = Ours((arguments.programs / "waveft-training").resolve()), ByHand(arguments.programs.resolve())
    quick, load = arguments.quick, [os.getloadavg()[0]]
    table = Table("work", "waveft", "beside", "its time", "ratio", "target", "")
    beside_peft(table, ours, by_hand, 2 if quick else 7)
    among_ourselves(table, ours, 2 if quick else 9)
    grown = Table("what grows", *[f"× {by:g}" for by in MULTIPLES], "exponent", "of the last doubling")
    curves = growth(grown, ours, 1 if quick else 4)
    stacked = Table("projection", "base", "adapters", "AdamW", "share")
    stack(stacked, ours)
    load.append(os.getloadavg()[0])
    text = [
        "# A training step beside PEFT's, and beside the limit",
        "",
        f"Written by `benches/training/run` on {datetime.date.today()}. What the rows are is said in `benches/README.md`.",
        "",
        f"{SIDE} × {SIDE}, n = {COUNT}, f32, one thread on both sides unless said; the sides in turns, the base's product excluded.",
        "Times are medians, minima in brackets; so are ratios, and targets are judged by the medians.",
        "",
        str(table),
        "",
        "## Cost against size",
        "",
        f"A step of a layer of {SIDE} × {SIDE} under db4, n = {COUNT}, {TOKENS} tokens, where one of these is multiplied. Exponents are",
        "those of the power that fits best: 1 is linear, and less has a part that does not grow.",
        "",
        "![time against size, both as multiples](training.svg)",
        "",
        str(grown),
        "",
        "## A whole model",
        "",
        f"One step of the q and v projections of {LAYERS} layers of a Llama-3-8B's shape: bf16 weights and activations, a batch of",
        "4 × 128 tokens, two threads, db1. The base is forward and backward by the `gemm` crate.",
        "",
        str(stacked),
        "",
        "## Memory",
        "",
        "A coefficient of a layer under AdamW takes 24 bytes: its atom 8, its value, its gradient and two moments 4 each (layers of",
        "one shape and seed share the atoms). Scratch is told by `apply_scratch_len` and `backward_scratch_len`, and grows with the",
        "layer's longer side and with `n`, not with `M · N`; one scratch serves all layers.",
        "",
        *[f"- {line}" for line in machine()],
        f"- {commit()}; peft {peft.__version__}, torch {torch.__version__}, Python {platform.python_version()}",
        f"- load average before and after: {load[0]:.1f}, {load[1]:.1f} (1 is this benchmark itself)",
        "",
    ]
    print("\n" + "\n".join(text))
    if not quick:
        results = ROOT / "benches" / "results"
        results.mkdir(exist_ok=True)
        (results / "training.md").write_text("\n".join(text))
        title = "A training step's time against a size of its layer, as multiples"
        (results / "training.svg").write_text(plot(title, "multiple of the size", curves, {}))


if __name__ == "__main__":
    main()
