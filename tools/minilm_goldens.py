"""Golden data for waveft-std/tests/minilm.rs and tools/minilm_logits.py, made by running transformers and PEFT.

    python tools/minilm_goldens.py

Merges the demo's adapter into the demo's base and the real adapter into the real MiniLM (fetched when absent), both with
PEFT itself, and runs the adapted classifier on a few sentences.  Formats are described in tools/README.md.
"""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

# Before torch is imported: the same kernels on every x86 machine with AVX2, whatever else it has.
os.environ.setdefault("ATEN_CPU_CAPABILITY", "avx2")
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")

import peft
import torch
import transformers
from peft import PeftModel
from peft.tuners.waveft.layer import WaveFTLayer
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "waveft-std" / "tests" / "data"
DEMO = ROOT / "demo"
MINILM = ROOT / os.environ.get("WAVEFT_MINILM", "target/minilm")
ADAPTER = DATA / "minilm-fortunes-adapter"
TEXTS = [
    "The compiler told me what was wrong, and I did not believe it.",
    "A theory that explains everything has not been tested yet.",
    "She kept every letter he wrote, even the angry ones.",
    "Soup is what remains when the cook has run out of plans.",
    "The minister promised to answer the question once it had been forgotten.",
    "Two lawyers may agree, but each of them will bill for it.",
    "Take one of these at night, and do not read the leaflet.",
    "Nothing shortens a working day like a meeting that is cancelled.",
]


def fnv1a64(tensor):
    """FNV-1a, 64 bit, over the entries as little-endian f32."""
    state = 0xCBF29CE484222325
    for byte in tensor.detach().contiguous().numpy().astype("<f4").tobytes():
        state = ((state ^ byte) * 0x100000001B3) % 2**64
    return f"{state:016x}"


def shared_entries(layer):
    """The flat places in ΔW that more than one atom covers, and the sum of the atoms' absolute values at each.

    Found by having PEFT reconstruct each atom alone.
    """
    spectrum = layer.waveft_spectrum["default"].data
    trained = spectrum.clone()
    coverage = torch.zeros(layer.out_features * layer.in_features, dtype=torch.int32)
    magnitude = torch.zeros(layer.out_features * layer.in_features)
    spectrum.zero_()
    for k, coefficient in enumerate(trained):
        spectrum[k] = coefficient
        atom = layer.get_delta_weight("default").flatten().abs()
        coverage += atom != 0
        magnitude += atom
        spectrum[k] = 0.0
    spectrum.copy_(trained)
    places = (coverage > 1).nonzero().flatten()
    return places, magnitude[places]


def merged_weights(model, base, prefix):
    """What PEFT makes of each adapted weight; `prefix` is what the names in `base` lack."""
    layers = {
        path.removeprefix(prefix): module
        for path, module in model.base_model.model.named_modules()
        if isinstance(module, WaveFTLayer)
    }
    shared = {}
    for name, layer in layers.items():
        shared[name] = shared_entries(layer)
        assert torch.equal(layer.base_layer.weight, base[f"{name}.weight"]), name
    model = model.merge_and_unload()
    cases = []
    for name in layers:
        before = base[f"{name}.weight"].flatten()
        merged = model.get_submodule(prefix + name).weight.detach().flatten()
        places, magnitudes = shared[name]
        alone = merged.clone()
        alone[places] = 0.0
        bits = [f"{entry % 2**32:08x}" for entry in merged.view(torch.int32)[places].tolist()]
        magnitudes = [float(f"{magnitude:.3g}") for magnitude in magnitudes.tolist()]
        cases.append({
            "name": f"{name}.weight",
            "base": fnv1a64(before),
            "changed": (before != merged).sum().item(),
            "alone": fnv1a64(alone),
            "shared": list(zip(places.tolist(), bits, magnitudes)),
        })
    return model, cases


def write_json(name, what, cases):
    """One case a line: small, and a changed case is one changed line."""
    path = DATA / name
    versions = {package.__name__: package.__version__.split("+")[0] for package in (peft, torch, transformers)}
    head = json.dumps({"what": what, "versions": versions})[:-1]
    body = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    path.write_text(head + ', "cases": [\n' + body + "\n]}\n")
    print(f"{path.relative_to(ROOT)}: {len(cases)} cases, {path.stat().st_size} bytes")


def make_demo():
    base = load_file(DEMO / "base.safetensors")
    root = torch.nn.Module()
    for name in base:
        path, _, kind = name.rpartition(".")
        if kind != "weight":
            continue
        parent = root
        *parents, last = f"bert.{path}".split(".")
        for part in parents:
            if part not in parent._modules:
                parent.add_module(part, torch.nn.Module())
            parent = parent._modules[part]
        layer = torch.nn.Linear(*reversed(base[name].shape))
        layer.weight.data, layer.bias.data = base[name].clone(), base[f"{path}.bias"].clone()
        parent.add_module(last, layer)
    _, cases = merged_weights(PeftModel.from_pretrained(root, DEMO / "adapter"), base, "bert.")
    write_json("minilm-demo.json", "demo/adapter merged into demo/base.safetensors by PEFT", cases)


def make_merged_and_logits():
    subprocess.run([ROOT / "tools" / "minilm.sh"], check=True)
    base = load_file(MINILM / "model.safetensors")
    model = AutoModelForSequenceClassification.from_pretrained(MINILM, num_labels=8)
    model = PeftModel.from_pretrained(model, ADAPTER).eval()
    tokenizer = AutoTokenizer.from_pretrained(MINILM)
    with torch.no_grad():
        ids = [tokenizer(text)["input_ids"] for text in TEXTS]
        adapted = [model(torch.tensor([tokens])).logits[0].tolist() for tokens in ids]
        model, cases = merged_weights(model, base, "bert.")
        merged = [model(torch.tensor([tokens])).logits[0].tolist() for tokens in ids]
    write_json("minilm-merged.json", "minilm-fortunes-adapter merged into all-MiniLM-L6-v2 by PEFT", cases)
    logits = [
        {"text": text, "input_ids": tokens, "adapted": one, "merged": other}
        for text, tokens, one, other in zip(TEXTS, ids, adapted, merged)
    ]
    write_json("minilm-logits.json", "logits of transformers with PEFT's adapter on, and after PEFT merged it", logits)


if __name__ == "__main__":
    if len(sys.argv) != 1:
        sys.exit(__doc__)
    warnings.simplefilter("error", UserWarning)
    # Sums in one order on any machine, and 12,000 small reconstructions without waiting for threads.
    torch.set_num_threads(1)
    make_demo()
    make_merged_and_logits()
