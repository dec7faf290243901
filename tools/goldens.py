"""Golden data for the tests of waveft-core and waveft-std, made by running PEFT, torch and transformers themselves.

    python tools/goldens.py [locations] [delta] [merge] [randn] [matching] [adapters]

Without a name every set is made (two minutes and 4 GB of memory, nearly all of it `locations`).  The packages are pinned in
tools/requirements.txt; formats are described in tools/README.md.  Every random value comes from numpy's PCG64, keyed by
a name, so the data depend neither on the order of the cases nor on the vector instructions torch finds.
"""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tempfile
import warnings
import zlib
from pathlib import Path

# Before torch is imported: the same kernels on every x86 machine with AVX2, whatever else it has.
os.environ.setdefault("ATEN_CPU_CAPABILITY", "avx2")
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")

import numpy as np
import peft
import torch
import transformers
from peft import PeftModel, WaveFTConfig, get_peft_model
from peft.tuners.waveft.constants import WAVELET_REDUCTIONS
from peft.tuners.waveft.layer import WaveFTLayer
from safetensors.torch import load_file, save_file
from transformers.pytorch_utils import Conv1D

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "waveft-core" / "tests" / "data"
STD = ROOT / "waveft-std" / "tests" / "data"
DTYPES = {"f64": torch.float64, "f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}


def normal(key, shape, dtype=torch.float64):
    """Normal values that depend on `key` alone."""
    values = np.random.default_rng(zlib.crc32(key.encode())).standard_normal(shape)
    return torch.from_numpy(np.asarray(values)).to(dtype)


def write_json(path, head, cases):
    """One case a line: small, and a changed case is one changed line."""
    lines = [json.dumps(key) + ": " + json.dumps(value) for key, value in head.items()]
    body = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{\n" + "".join(line + ",\n" for line in lines) + '"cases": [\n' + body + "\n]\n}\n")
    print(f"{path.relative_to(ROOT)}: {len(cases)} cases, {path.stat().st_size} bytes")


def write_tensors(path, tensors, cases):
    """Safetensors with the cases' parameters as one JSON string under the metadata key `cases`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}
    save_file(tensors, path, metadata={"cases": json.dumps(cases, separators=(",", ":"))})
    print(f"{path.relative_to(ROOT)}: {len(cases)} cases, {path.stat().st_size} bytes")


# ------------------------------------------------------------------------------------------------------- locations

SEEDS = [0, 1, 777, -1, -777, 2**31, 2**32 + 5, 2**63 - 1, -(2**63), 2**64 - 1]


def fnv1a64(values):
    """FNV-1a, 64 bit, over the values as little-endian u64."""
    state = 0xCBF29CE484222325
    for byte in np.asarray(values, dtype="<u8").tobytes():
        state = ((state ^ byte) * 0x100000001B3) % 2**64
    return f"{state:016x}"


def location_cases(rows, cols, seed, counts):
    """The first `count` places of one permutation, for several counts."""
    permutation = torch.randperm(rows * cols, generator=torch.Generator().manual_seed(seed))
    for count in counts:
        # A copy, so that the permutation itself (2 GB for the large branch) does not outlive this call.
        locations = permutation[:count].numpy().copy()
        case = {"rows": rows, "cols": cols, "seed": str(seed), "count": count}
        if count <= 64:
            case["locations"] = locations.tolist()
        else:
            case["first"] = locations[:16].tolist()
            case["last"] = locations[-16:].tolist()
            case["fnv1a64"] = fnv1a64(locations)
        yield case


def make_locations():
    cases = []
    for rows, cols in [(1, 1), (1, 7), (2, 2), (5, 3)]:
        for seed in SEEDS:
            cases += location_cases(rows, cols, seed, sorted({1, rows * cols // 2 or 1, rows * cols}))
    for seed in SEEDS:
        cases += location_cases(64, 48, seed, [1, 37, 3072])
    for seed in [0, 777, -1, 2**32 + 5]:
        cases += location_cases(768, 768, seed, [1, 40, 2592])
    for seed in [0, 777, 2**63 - 1]:
        cases += location_cases(4096, 4096, seed, [10, 2592])
    # torch changes its algorithm at u32::MAX / 20 = 214_748_364 elements.
    cases += location_cases(1, 214748363, 777, [1, 10, 2592])
    cases += location_cases(1, 214748364, 777, [1, 10, 2592])
    cases += location_cases(1, 230000000, 777, [10, 2592])
    cases += location_cases(15000, 15001, -1, [10, 1000])
    head = {
        "what": "torch.randperm(rows * cols, generator=torch.Generator().manual_seed(seed))[:count]",
        "hash": "counts above 64 store the first and last 16 and FNV-1a 64 over all count values as little-endian u64",
    }
    write_json(CORE / "locations.json", head, cases)


# ------------------------------------------------------------------------------------------------- delta and merge


class OneLayer(torch.nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer


def new_layer(out_features, in_features, fan_in_fan_out, dtype):
    if fan_in_fan_out:
        return Conv1D(out_features, in_features).to(dtype)
    return torch.nn.Linear(in_features, out_features, bias=False).to(dtype)


def wrap(layer, case, autocast=True):
    """The layer under PEFT, its spectrum set to normal values of magnitude 1."""
    config = peft_config(case)
    model = get_peft_model(OneLayer(layer), config, autocast_adapter_dtype=autocast)
    wrapped = model.base_model.model.layer
    set_spectrum(wrapped, "default", case["name"])
    return model, wrapped


def peft_config(case):
    return WaveFTConfig(
        target_modules=["layer"],
        n_frequency=case["n"],
        random_loc_seed=int(case["seed"]),
        scaling=case["scaling"],
        wavelet_family=case["wavelet"],
        use_idwt=case["use_idwt"],
        fan_in_fan_out=case["fan_in_fan_out"],
    )


def set_spectrum(wrapped, adapter, key):
    spectrum = wrapped.waveft_spectrum[adapter]
    spectrum.data = normal(key, spectrum.shape, spectrum.dtype)


def supported_families():
    """Families PEFT both names and gives a ΔW of the layer's shape for; the others fail or give another shape."""
    families = []
    for wavelet in WAVELET_REDUCTIONS:
        case = dict(name="probe", n=5, seed="777", scaling=1.0, wavelet=wavelet, use_idwt=True, fan_in_fan_out=False)
        try:
            shape = wrap(new_layer(33, 20, False, torch.float32), case)[1].get_delta_weight("default").shape
        except (ValueError, RuntimeError):
            continue
        if tuple(shape) == (33, 20):
            families.append(wavelet)
    return families


def delta_case(name, rows, cols, n, wavelet="db1", dtype="f64", seed=777, scaling=25.0, use_idwt=True, conv=False):
    return dict(
        name=name, rows=rows, cols=cols, n=n, seed=str(seed), scaling=scaling, wavelet=wavelet,
        use_idwt=use_idwt, fan_in_fan_out=conv, dtype=dtype,
    )  # fmt: skip


def delta_cases():
    scalings = [25.0, 1.0, 0.1, -3.7]
    for k, wavelet in enumerate(supported_families()):
        scaling, seed = scalings[k % 4], SEEDS[k % len(SEEDS)]
        for rows, cols, n in [(1, 1, 1), (1, 7, 7), (2, 2, 3), (7, 1, 2), (5, 3, 15), (16, 16, 9), (33, 20, 230)]:
            yield delta_case(f"{wavelet}-{rows}x{cols}-f64", rows, cols, n, wavelet, "f64", seed, scaling)
        for rows, cols, n in [(5, 3, 6), (16, 16, 256)]:
            yield delta_case(f"{wavelet}-{rows}x{cols}-f32", rows, cols, n, wavelet, "f32", seed, scaling)
    for wavelet in ["db1", "coif4"]:
        yield delta_case(f"{wavelet}-64x48-f64", 64, 48, 37, wavelet, "f64")
    for wavelet in ["db1", "db4", "sym8"]:
        yield delta_case(f"{wavelet}-64x48-f32", 64, 48, 600, wavelet, "f32")
    for dtype in ["f64", "f32"]:
        yield delta_case(f"direct-33x20-{dtype}", 33, 20, 50, "db4", dtype, use_idwt=False, seed=-777)
        yield delta_case(f"direct-1x7-{dtype}", 1, 7, 7, "sym2", dtype, use_idwt=False, scaling=0.5)
        yield delta_case(f"direct-conv-12x5-{dtype}", 12, 5, 20, "db1", dtype, use_idwt=False, conv=True)
        for wavelet in ["db1", "db3", "sym5", "coif4"]:
            yield delta_case(f"conv-{wavelet}-12x5-{dtype}", 12, 5, 20, wavelet, dtype, conv=True, seed=2**32 + 5)


def make_delta():
    tensors, cases = {}, []
    for case in delta_cases():
        layer = new_layer(case["rows"], case["cols"], case["fan_in_fan_out"], DTYPES[case["dtype"]])
        _, wrapped = wrap(layer, case)
        delta = wrapped.get_delta_weight("default")
        assert delta.shape == (case["rows"], case["cols"]) and delta.dtype == DTYPES[case["dtype"]], case
        tensors[case["name"] + ".spectrum"] = wrapped.waveft_spectrum["default"]
        tensors[case["name"] + ".delta"] = delta
        cases.append(case)
    write_tensors(CORE / "delta.safetensors", tensors, cases)


def merge_cases():
    """A case has a base dtype, and one or more adapters that are added one after the other."""
    rows, cols = 17, 12

    def adapter(wavelet, conv, k=0):
        scaling = 25.0 if k == 2 else 0.05
        case = delta_case("", rows, cols, 60 + 20 * k, wavelet, "", [777, -1, 2**31][k], scaling, conv=conv)
        return {key: value for key, value in case.items() if key not in ("name", "rows", "cols", "dtype")}

    for dtype in DTYPES:
        for conv in [False, True]:
            for wavelet in ["db1", "db4", "sym8", "coif4"]:
                layer = "conv" if conv else "linear"
                yield dict(name=f"{dtype}-{layer}-{wavelet}", adapters=[adapter(wavelet, conv)], dtype=dtype)
        two = [adapter("db1", False), adapter("sym8", False, 1)]
        yield dict(name=f"{dtype}-linear-two", adapters=two, dtype=dtype)
        yield dict(name=f"{dtype}-linear-large", adapters=[adapter("db2", False, 2)], dtype=dtype)
    for dtype in ["bf16", "f16"]:
        for wavelet in ["db1", "db4"]:
            yield dict(name=f"{dtype}-narrow-{wavelet}", adapters=[adapter(wavelet, False)], dtype=dtype, narrow=True)


def make_merge():
    tensors, cases = {}, []
    for case in merge_cases():
        name, narrow = case["name"], case.pop("narrow", False)
        conv = case["adapters"][0]["fan_in_fan_out"]
        layer = new_layer(17, 12, conv, DTYPES[case["dtype"]])
        layer.weight.data = normal(name + ".weight", layer.weight.shape, layer.weight.dtype) * 0.1
        tensors[name + ".weight"] = layer.weight.data.clone()
        configs = [peft_config(adapter) for adapter in case["adapters"]]
        model = get_peft_model(OneLayer(layer), configs[0], "0", autocast_adapter_dtype=not narrow)
        for k in range(1, len(configs)):
            model.add_adapter(str(k), configs[k])
        wrapped = model.base_model.model.layer
        for k in range(len(configs)):
            set_spectrum(wrapped, str(k), f"{name}.{k}")
            tensors[f"{name}.spectrum.{k}"] = wrapped.waveft_spectrum[str(k)].data.clone()
            tensors[f"{name}.delta.{k}"] = wrapped.get_delta_weight(str(k)).data.clone()
            wrapped.merge(adapter_names=[str(k)])
            tensors[f"{name}.merged.{k}"] = layer.weight.data.clone()
        wrapped.unmerge()
        tensors[f"{name}.unmerged"] = layer.weight.data.clone()
        spectrum_dtype = wrapped.waveft_spectrum["0"].dtype
        spectrum_dtype = next(label for label, dtype in DTYPES.items() if dtype == spectrum_dtype)
        cases.append(dict(name=name, rows=17, cols=12, dtype=case["dtype"], spectrum_dtype=spectrum_dtype,
                          fan_in_fan_out=conv, adapters=case["adapters"]))  # fmt: skip
    write_tensors(CORE / "merge.safetensors", tensors, cases)


# ----------------------------------------------------------------------------------------------------------- randn


def randn_cases():
    for seed in [0, 777, -1]:
        for sizes in [[1], [7], [15], [16], [17], [33], [100], [20, 5, 40], [3, 3, 16, 1], [1, 1, 1]]:
            torch.manual_seed(seed)
            calls = [(torch.randn(n) * 0.01).view(torch.int32).tolist() for n in sizes]
            yield {"seed": str(seed), "calls": [[f"{bits & 0xFFFFFFFF:08x}" for bits in call] for call in calls]}


def make_randn():
    """Once with torch's scalar kernels and once with AVX2's, whose logarithm and cosine round differently."""
    sets = {}
    for capability in ["default", "avx2"]:
        environment = dict(os.environ, ATEN_CPU_CAPABILITY=capability)
        command = [sys.executable, __file__, "--randn-cases"]
        sets[capability] = json.loads(subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout)
    assert [c["seed"] for c in sets["default"]] == [c["seed"] for c in sets["avx2"]]
    cases = [
        {"seed": scalar["seed"], "calls": scalar["calls"], "calls_avx2": avx2["calls"]}
        for scalar, avx2 in zip(sets["default"], sets["avx2"])
    ]
    head = {
        "what": "torch.manual_seed(seed); then for each call torch.randn(n) * 0.01, as the hex bits of f32",
        "kernels": "calls: ATEN_CPU_CAPABILITY=default; calls_avx2: ATEN_CPU_CAPABILITY=avx2 (differs from 16 values on)",
    }
    write_json(STD / "randn.json", head, cases)


# -------------------------------------------------------------------------------------------------------- matching


def tree(modules):
    """A module tree with a Linear at each path and bare modules between."""
    root = torch.nn.Module()
    for path, out_features, in_features in modules:
        *parents, last = path.split(".")
        parent = root
        for name in parents:
            if name not in parent._modules:
                parent.add_module(name, torch.nn.Module())
            parent = parent._modules[name]
        parent.add_module(last, torch.nn.Linear(in_features, out_features, bias=False))
    return root


def decoder(layers, prefix="model.layers."):
    names = [("self_attn.q_proj", 8, 8), ("self_attn.k_proj", 4, 8), ("self_attn.v_proj", 4, 8),
             ("self_attn.o_proj", 8, 8), ("mlp.up_proj", 20, 8), ("mlp.down_proj", 8, 20)]  # fmt: skip
    return [(f"{prefix}{k}.{name}", m, n) for k in layers for name, m, n in names]


DECODER = decoder([0, 1, 2]) + [("lm_head", 32, 8)]
LONG = [(f"model.layers.{k}.q_proj", 6, 6) for k in range(12)]
MOE = [
    (f"model.layers.{layer}.{name}", 8, 8)
    for layer in range(3)
    for name in ["q_proj", "experts.0.up", "experts.1.up", "experts.1.down"]
]
FLAT = [("layers.0.q", 4, 4), ("layers.1.q", 4, 4), ("h.0.q", 4, 4), ("q", 3, 5)]
PREFIXES = [("q", 4, 4), ("q_proj", 5, 4), ("a.q", 4, 6), ("a.q_proj", 7, 4), ("a.xq", 4, 4), ("b.q_proj_extra", 4, 4),
            ("q_lora.q", 4, 4), ("a.b.q", 2, 9)]  # fmt: skip
ENCODER = [
    (f"bert.encoder.layer.{k}.{name}", 8, 8)
    for k in range(3)
    for name in ["attention.self.query", "attention.self.value", "attention.output.dense", "output.dense"]
] + [("bert.pooler.dense", 8, 8), ("classifier", 2, 8)]
MIXED = [("encoder.layers.0.q", 4, 4), ("encoder.layers.1.q", 4, 4), ("decoder.blocks.0.q", 4, 4),
         ("decoder.blocks.1.q", 4, 4), ("decoder.blocks.1.layers.0.q", 4, 4), ("head.q", 4, 4)]  # fmt: skip
# Half-way shares: round(share * budget) meets .5 exactly.
HALVES = [("a.p", 1, 2), ("a.q", 1, 6), ("a.r", 2, 5), ("a.s", 1, 14)]
UNEVEN = [("a.small", 1, 1), ("a.middle", 30, 30), ("a.large", 100, 60)]


def matching_inputs():
    """(modules, configuration); a key that is left out has WaveFT's default."""
    # Suffixes, exact names, names that contain one another.
    yield DECODER, dict(target_modules=["q_proj", "v_proj"])
    yield DECODER, dict(target_modules=["model.layers.1.self_attn.q_proj", "down_proj"])
    yield DECODER, dict(target_modules=["self_attn.q_proj"])
    yield DECODER, dict(target_modules=["1.self_attn.q_proj"])
    yield DECODER, dict(target_modules=["attn.q_proj", "lm_head"])
    yield DECODER, dict(target_modules=["proj"])
    yield DECODER, dict(target_modules=["lm_head"])
    yield DECODER, dict(target_modules=["head"])
    yield DECODER, dict(target_modules=["q.proj"])
    yield DECODER, dict(target_modules=[".*q_proj"])
    yield DECODER, dict(target_modules=["self_attn"])
    yield DECODER, dict(target_modules=[])
    yield DECODER, dict(target_modules=None)
    yield PREFIXES, dict(target_modules=["q"])
    yield PREFIXES, dict(target_modules=["q_proj"])
    yield PREFIXES, dict(target_modules=["a.q", "b.q"])
    yield PREFIXES, dict(target_modules=["q_lora"])
    yield LONG, dict(target_modules=["1.q_proj"])
    yield LONG, dict(target_modules=["q_proj"], layers_to_transform=[1, 10])
    # Regular expressions match the whole path.
    yield DECODER, dict(target_modules="q_proj")
    yield DECODER, dict(target_modules=r".*q_proj")
    yield DECODER, dict(target_modules=r"q_proj|.*\.1\..*\.v_proj")
    yield DECODER, dict(target_modules=r"(?!.*\.0\.).*\.(q|k)_proj")
    yield DECODER, dict(target_modules=r".*(?<=layers\.2\.)mlp\.(up|down)_proj")
    yield DECODER, dict(target_modules=r".*layers\.[02]\.self_attn\..*(?<!o)_proj$")
    yield DECODER, dict(target_modules=r"(?i).*\.SELF_ATTN\.Q_PROJ")
    yield DECODER, dict(target_modules=r"model\.layers\.(\d)\.mlp\.up_proj")
    yield DECODER, dict(target_modules=r"model\.layers\.\d")
    yield DECODER, dict(target_modules=r".*\.(q_proj")
    yield DECODER, dict(target_modules=r"")
    yield PREFIXES, dict(target_modules=r"(?P<name>q)_lora\.(?P=name)|a\.b\.q")
    yield DECODER, dict(target_modules="all-linear")
    yield DECODER, dict(target_modules="All-Linear", exclude_modules=["lm_head", "mlp.up_proj"])
    yield DECODER, dict(target_modules="all-linear", modules_to_save=["lm_head"], proportional_parameters=True, n_frequency=9)
    # Exclusion comes first, also over an exact name.
    yield DECODER, dict(target_modules=["q_proj", "v_proj"], exclude_modules=["v_proj"])
    yield DECODER, dict(target_modules=["q_proj"], exclude_modules=["0.self_attn.q_proj", "model.layers.2.self_attn.q_proj"])
    yield DECODER, dict(target_modules=["q_proj"], exclude_modules=r".*\.[01]\..*")
    yield DECODER, dict(target_modules=["q_proj"], exclude_modules=r"layers\.1")
    yield DECODER, dict(target_modules=["model.layers.1.self_attn.q_proj"], exclude_modules=["q_proj"])
    yield DECODER, dict(target_modules=["q_proj"], exclude_modules=["q_proj"])
    yield DECODER, dict(target_modules=["q_proj"], exclude_modules=["self_attn"])
    yield DECODER, dict(target_modules=["q_proj"], exclude_modules=[])
    yield DECODER, dict(target_modules=r".*_proj", exclude_modules=r".*(?:mlp|self_attn\.[kvo]).*")
    yield DECODER, dict(target_modules=r".*", exclude_modules=r".*")
    # modules_to_save are never adapted; their names are regular expressions between dots.
    yield ENCODER, dict(target_modules=["dense"], modules_to_save=["classifier", "pooler"])
    yield ENCODER, dict(target_modules=["dense", "classifier"], modules_to_save=["classifier"])
    yield ENCODER, dict(target_modules=["query", "dense"], modules_to_save=["output"])
    yield ENCODER, dict(target_modules=["query"], modules_to_save=["layer.0"])
    yield ENCODER, dict(target_modules=["query"], modules_to_save=["layer.[12]"])
    yield ENCODER, dict(target_modules=["classifier"], modules_to_save=["classifier"])
    yield DECODER, dict(target_modules=["lm_head", "q_proj"], modules_to_save=["head"])
    # Layers.
    yield DECODER, dict(target_modules=["q_proj"], layers_to_transform=1)
    yield DECODER, dict(target_modules=["q_proj"], layers_to_transform=0)
    yield DECODER, dict(target_modules=["q_proj"], layers_to_transform=[0, 2])
    yield DECODER, dict(target_modules=["q_proj"], layers_to_transform=[])
    yield DECODER, dict(target_modules=["q_proj"], layers_to_transform=[7])
    yield DECODER, dict(target_modules=["q_proj"], layers_to_transform=[1], layers_pattern="layers")
    yield DECODER, dict(target_modules=["q_proj"], layers_to_transform=[1], layers_pattern="h")
    yield DECODER, dict(target_modules=["q_proj"], layers_to_transform=[1], layers_pattern=["h", "layers"])
    yield DECODER, dict(target_modules=["q_proj"], layers_to_transform=[1], layers_pattern="")
    yield DECODER, dict(target_modules=["q_proj"], layers_to_transform=[1], layers_pattern=[])
    yield DECODER, dict(target_modules=["q_proj"], layers_to_transform=[1], layers_pattern="h|layers")
    yield DECODER, dict(target_modules=["q_proj"], layers_to_transform=[1], layers_pattern="layers|h")
    yield DECODER, dict(target_modules=["q_proj"], layers_to_transform=[1], layers_pattern="l.*s")
    yield DECODER, dict(target_modules=["q_proj", "lm_head"], layers_to_transform=[1])
    yield DECODER, dict(target_modules=["q_proj", "model.layers.2.self_attn.v_proj"], layers_to_transform=[1])
    yield MOE, dict(target_modules=["up"], layers_to_transform=[1])
    yield MOE, dict(target_modules=["up"], layers_to_transform=[1], layers_pattern="experts")
    yield MOE, dict(target_modules=["up", "q_proj"], layers_to_transform=0, layers_pattern=["experts", "layers"])
    yield MOE, dict(target_modules=["1.up"], layers_to_transform=[0, 2], layers_pattern="layers")
    yield FLAT, dict(target_modules=["q"], layers_to_transform=[0])
    yield FLAT, dict(target_modules=["q"], layers_to_transform=[0], layers_pattern="layers")
    yield FLAT, dict(target_modules=["q"], layers_to_transform=[0], layers_pattern=["layers", "h"])
    yield FLAT, dict(target_modules=["q"])
    yield MIXED, dict(target_modules=["q"], layers_to_transform=[0])
    yield MIXED, dict(target_modules=["q"], layers_to_transform=[1], layers_pattern=["blocks"])
    yield MIXED, dict(target_modules=["q"], layers_to_transform=[0], layers_pattern=["layers", "blocks"])
    yield MIXED, dict(target_modules=["q"], layers_to_transform=[1], layers_pattern=["blocks", "layers"])
    # Refused before any module is looked at.
    yield DECODER, dict(target_modules=["q_proj"], layers_pattern="layers")
    yield DECODER, dict(target_modules=r".*q_proj", layers_to_transform=[1])
    yield DECODER, dict(target_modules=r".*q_proj", layers_pattern="layers")
    # How many coefficients: the first pattern that matches wins, in the order written.
    yield DECODER, dict(target_modules=["q_proj", "v_proj"], n_frequency_pattern={"q_proj": 3})
    yield DECODER, dict(target_modules=["q_proj", "v_proj"],
                        n_frequency_pattern={"model.layers.1.self_attn.q_proj": 3, "v_proj": 30})  # fmt: skip
    yield DECODER, dict(target_modules=["q_proj"], n_frequency_pattern={r".*\.1\..*": 3, r"layers\.\d\.self_attn\.q_proj": 4})
    yield DECODER, dict(target_modules=["q_proj"], n_frequency_pattern={"q_proj": 6, "layers.1.self_attn.q_proj": 3})
    yield DECODER, dict(target_modules=["q_proj"], n_frequency_pattern={"1.self_attn.q_proj": 3, "0.self_attn": 5, "proj": 7})
    yield DECODER, dict(target_modules=["q_proj", "v_proj"], n_frequency_pattern={"q_proj|v_proj": 3})
    yield DECODER, dict(target_modules=["q_proj", "v_proj"], n_frequency_pattern={r"self_attn\.[qk]_proj": 3, r"(?!.*q).*": 8})
    yield DECODER, dict(target_modules=["q_proj"], n_frequency_pattern={"q_proj": 0})
    yield DECODER, dict(target_modules=["q_proj"], n_frequency_pattern={"q_proj": 65})
    yield DECODER, dict(target_modules=["k_proj"], n_frequency=33)
    yield DECODER, dict(target_modules=["k_proj"], n_frequency=32)
    yield DECODER, dict(target_modules=["k_proj"], n_frequency=0)
    yield DECODER, dict(target_modules=["k_proj"], n_frequency=-1)
    # Proportional shares.
    for n_frequency in [1, 2, 3, 4, 5, 6, 7, 8]:
        yield HALVES, dict(target_modules=["p", "q", "r", "s"], n_frequency=n_frequency, proportional_parameters=True)
    yield HALVES, dict(target_modules=["p", "q", "r", "s"], n_frequency=9, proportional_parameters=True)
    yield UNEVEN, dict(target_modules=["small", "middle", "large"], n_frequency=100, proportional_parameters=True)
    yield UNEVEN, dict(target_modules=["middle", "large"], n_frequency=7, proportional_parameters=True,
                       n_frequency_pattern={"large": 3})  # fmt: skip
    yield DECODER, dict(target_modules=["q_proj", "up_proj"], n_frequency=11, proportional_parameters=True,
                        exclude_modules=["0.mlp.up_proj"])  # fmt: skip
    yield DECODER, dict(target_modules=["k_proj", "down_proj"], n_frequency=13, proportional_parameters=True,
                        layers_to_transform=[0, 2], layers_pattern="layers")  # fmt: skip
    yield ENCODER, dict(target_modules=["dense", "classifier"], n_frequency=5, proportional_parameters=True,
                        modules_to_save=["pooler"])  # fmt: skip
    yield DECODER, dict(target_modules=["nothing"], n_frequency=5, proportional_parameters=True)


def matched(modules, fields):
    """{path: n_frequency} of a model that PEFT really built, or the exception it raised."""
    try:
        config = WaveFTConfig(**fields)
        model = get_peft_model(tree(modules), config)
    except Exception as error:  # noqa: BLE001 - whatever PEFT raises is the answer
        # Sets print in an order that changes from run to run, so only their first words are kept.
        return {"error": str(error).split("{")[0].split("\n")[0].strip(), "type": type(error).__name__}
    found = {}
    for path, module in model.base_model.model.named_modules():
        if hasattr(module, "waveft_spectrum") and not path.endswith("waveft_spectrum"):
            found[path] = len(module.waveft_spectrum["default"])
    return found


def make_matching():
    cases = []
    for modules, fields in matching_inputs():
        fields = {"n_frequency": 10, **fields}
        ordered = [
            {"path": path, "out": module.out_features, "in": module.in_features}
            for path, module in tree(modules).named_modules()
            if isinstance(module, torch.nn.Linear)
        ]
        # PEFT changes the configuration it is given, so it gets a copy.
        cases.append({"config": fields, "modules": ordered, "expected": matched(modules, json.loads(json.dumps(fields)))})
    head = {
        "what": "the modules a WaveFT configuration adapts, with each one's n_frequency, in the model's order",
        "order": "n_frequency_pattern is tried in the order written; expected with an `error` key: PEFT raised it",
    }
    write_json(STD / "matching.json", head, cases)


# -------------------------------------------------------------------------------------------------------- adapters


def fill(model, key, trainable_only=False):
    """Every parameter set from its name, so that nothing is left at a value a test could pass by accident."""
    for name, parameter in model.named_parameters():
        if trainable_only and not parameter.requires_grad:
            continue
        values = normal(f"{key}/{name}", parameter.shape)
        if "norm" in name.lower() or "ln_" in name:
            values = 1.0 + 0.1 * values if name.endswith("weight") else 0.1 * values
        elif "waveft_spectrum" not in name:
            values = 0.3 * values
        parameter.data = values.to(parameter.dtype)


def llama(dtype=torch.float32):
    config = transformers.LlamaConfig(
        vocab_size=16, hidden_size=8, intermediate_size=12, num_hidden_layers=3, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=16, tie_word_embeddings=False, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config).to(dtype)


def bert_config():
    return transformers.BertConfig(
        vocab_size=16, hidden_size=8, intermediate_size=12, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=12, num_labels=3,
    )  # fmt: skip


def gpt2_config():
    return transformers.GPT2Config(
        vocab_size=16, n_positions=12, n_embd=8, n_layer=2, n_head=2, bos_token_id=1, eos_token_id=2
    )


BASES = {
    "llama": (lambda: llama(), {}),
    "llama-bf16": (lambda: llama(torch.bfloat16), {}),
    "llama-f16": (lambda: llama(torch.float16), {}),
    "llama-sharded": (lambda: llama(), {"max_shard_size": "3KB"}),
    "classifier": (lambda: transformers.BertForSequenceClassification(bert_config()), {}),
    "bert": (lambda: transformers.BertModel(bert_config()), {}),
    "gpt2": (lambda: transformers.GPT2LMHeadModel(gpt2_config()), {}),
    "gpt2-bare": (lambda: transformers.GPT2Model(gpt2_config()), {}),
}

CAUSAL = dict(task_type="CAUSAL_LM")
CLASSIFY = dict(task_type="SEQ_CLS")
QV = ["q_proj", "v_proj"]
LLAMA = transformers.LlamaForCausalLM
BERT = transformers.BertForSequenceClassification
GPT2 = transformers.GPT2LMHeadModel
# name, base, class it is loaded as, configurations (one an adapter), options
ADAPTERS = [
    ("plain", "llama", LLAMA, [dict(CAUSAL, target_modules=QV, n_frequency=6)], dict(delta=True)),
    ("named", "llama", LLAMA, [dict(CAUSAL, target_modules=QV, n_frequency=7, random_loc_seed=3)], dict(adapter_name="other")),
    ("direct", "llama", LLAMA, [dict(CAUSAL, target_modules=QV, n_frequency=9, use_idwt=False, scaling=0.5)], {}),
    ("coif4", "llama", LLAMA,
     [dict(CAUSAL, target_modules=["up_proj", "down_proj"], n_frequency=20, wavelet_family="coif4", random_loc_seed=-5)], {}),
    ("seed64", "llama", LLAMA, [dict(CAUSAL, target_modules=["o_proj"], n_frequency=9, random_loc_seed=2**63 + 11)], {}),
    ("bias-waveft-only", "classifier", BERT,
     [dict(CLASSIFY, target_modules=["query", "value"], n_frequency=6, bias="waveft_only", wavelet_family="db2")], {}),
    ("bias-all", "classifier", BERT,
     [dict(CLASSIFY, target_modules=["query", "output.dense"], n_frequency=6, bias="all", wavelet_family="sym4")], {}),
    ("modules-to-save", "classifier", BERT,
     [dict(CLASSIFY, target_modules=["query", "value"], n_frequency=5, modules_to_save=["classifier"])],
     dict(logits=True)),
    ("conv1d", "gpt2", GPT2,
     [dict(CAUSAL, target_modules=["c_attn", "c_fc"], n_frequency=11, fan_in_fan_out=True, wavelet_family="db3")],
     dict(delta=True)),
    ("bf16", "llama-bf16", LLAMA, [dict(CAUSAL, target_modules=QV, n_frequency=8, scaling=0.1)], {}),
    ("bf16-spectra", "llama-bf16", LLAMA, [dict(CAUSAL, target_modules=QV, n_frequency=8, scaling=0.1)], dict(narrow=True)),
    ("f16-spectra", "llama-f16", LLAMA,
     [dict(CAUSAL, target_modules=QV, n_frequency=8, scaling=0.1, wavelet_family="db4")], dict(narrow=True)),
    ("prefixed", "bert", BERT, [dict(CLASSIFY, target_modules=["query", "value"], n_frequency=10, scaling=2.0)],
     dict(prefix="bert.", logits=True, delta=True)),
    ("prefixed-conv1d", "gpt2-bare", GPT2,
     [dict(CAUSAL, target_modules=["c_proj"], n_frequency=10, scaling=2.0, fan_in_fan_out=True)],
     dict(prefix="transformer.", logits=True)),
    ("sharded", "llama-sharded", LLAMA, [dict(CAUSAL, target_modules=QV + ["down_proj"], n_frequency=12)], {}),
    ("proportional", "llama", LLAMA,
     [dict(CAUSAL, target_modules=QV + ["down_proj"], n_frequency=9, proportional_parameters=True)], {}),
    ("pattern", "llama", LLAMA,
     [dict(CAUSAL, target_modules=QV, n_frequency=9, n_frequency_pattern={r"1\.self_attn\..*": 4, "v_proj": 2})], {}),
    ("layers", "llama", LLAMA,
     [dict(CAUSAL, target_modules=QV, n_frequency=9, layers_to_transform=[0, 2], layers_pattern="layers")], {}),
    ("regex", "llama", LLAMA,
     [dict(CAUSAL, target_modules=r".*layers\.(?!1\b)\d+\.mlp\.(up|down)_proj", n_frequency=9)], {}),
    ("exclude", "llama", LLAMA,
     [dict(CAUSAL, target_modules=QV, exclude_modules=["1.self_attn.q_proj"], n_frequency=9)], {}),
    ("two", "llama", LLAMA,
     [dict(CAUSAL, target_modules=QV, n_frequency=6, scaling=3.0),
      dict(CAUSAL, target_modules=["q_proj", "up_proj"], n_frequency=9, random_loc_seed=1, wavelet_family="sym8", scaling=0.7)],
     {}),
    ("two-bf16", "llama-bf16", LLAMA,
     [dict(CAUSAL, target_modules=QV, n_frequency=6, scaling=0.3),
      dict(CAUSAL, target_modules=["q_proj", "up_proj"], n_frequency=9, random_loc_seed=1, wavelet_family="db2", scaling=0.1)],
     {}),
    ("initial", "llama", LLAMA,
     [dict(CAUSAL, target_modules=QV + ["up_proj"], n_frequency=20, init_weights=False)], dict(torch_seed=4321)),
]  # fmt: skip


def load_base(base, model_class):
    # A head the checkpoint lacks starts at random values; the adapter's modules_to_save replace them.
    torch.manual_seed(0)
    return model_class.from_pretrained(STD / "bases" / base, dtype="auto").eval()


def make_adapter(folder, base, model_class, fields, options):
    """Train nothing, but fill everything an adapter saves, and let PEFT save it."""
    model = load_base(base, model_class)
    adapter_name = options.get("adapter_name", "default")
    torch_seed = options.get("torch_seed")
    if torch_seed is not None:
        torch.manual_seed(torch_seed)
    model = get_peft_model(model, WaveFTConfig(**fields), adapter_name, autocast_adapter_dtype=not options.get("narrow"))
    if torch_seed is None:
        fill(model, str(folder.relative_to(STD)), trainable_only=True)
    model.save_pretrained(folder)
    saved = folder if adapter_name == "default" else folder / adapter_name
    clean(folder, saved)
    return model, saved


def clean(folder, saved):
    """No model card, no paths, and sets, whose order changes from run to run, sorted."""
    for card in folder.rglob("README.md"):
        card.unlink()
    path = saved / "adapter_config.json"
    config = json.loads(path.read_text())
    config["base_model_name_or_path"] = None
    for key in ["target_modules", "exclude_modules"]:
        if isinstance(config[key], list):
            config[key].sort()
    path.write_text(json.dumps(config, indent=2, sort_keys=True))


def merged(base, model_class, saved, autocast):
    """PEFT's sum of the adapters in `saved`, each read back from its folder."""
    model = PeftModel.from_pretrained(load_base(base, model_class), saved[0], "0", autocast_adapter_dtype=autocast)
    for k in range(1, len(saved)):
        model.load_adapter(saved[k], str(k), autocast_adapter_dtype=autocast)
    names = [str(k) for k in range(len(saved))]
    deltas = {}
    for path, module in model.base_model.model.named_modules():
        if isinstance(module, WaveFTLayer) and "0" in module.waveft_spectrum:
            deltas[path] = module.get_delta_weight("0").float()
    return model.merge_and_unload(adapter_names=names).eval(), deltas


def write_state(model, path):
    """The merged model's tensors under the names its own save_pretrained gives them."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        save_file(load_file(Path(folder) / "model.safetensors"), path, metadata={"format": "pt"})


def make_bases():
    for name, (build, options) in BASES.items():
        model = build()
        fill(model, "llama" if name.startswith("llama") else "bert" if name == "classifier" else name)
        model.save_pretrained(STD / "bases" / name, **options)


def make_adapters():
    for folder in ["bases", "adapters", "expected"]:
        shutil.rmtree(STD / folder, ignore_errors=True)
        (STD / folder).mkdir(parents=True)
    make_bases()
    cases = []
    for name, base, model_class, configs, options in ADAPTERS:
        root = STD / "adapters" / name
        saved, trained = [], []
        for k, fields in enumerate(configs):
            folder = root if len(configs) == 1 else root / str(k)
            model, where = make_adapter(folder, base, model_class, fields, options)
            saved.append(where)
            trained.append(peft.get_peft_model_state_dict(model, adapter_name=model.active_adapter))
        for where, state in zip(saved, trained):
            on_disk = load_file(where / "adapter_model.safetensors")
            assert on_disk.keys() == state.keys() and all(torch.equal(on_disk[key], state[key]) for key in state), name
            assert all(tensor.abs().max() > 0 for tensor in on_disk.values()), name
        case = {
            "name": name,
            "base": f"bases/{base}",
            "adapters": [str(where.relative_to(STD)) for where in saved],
            "expected": f"expected/{name}.safetensors",
            "prefix": options.get("prefix", ""),
            "architecture": model_class.__name__,
        }
        result, deltas = merged(base, model_class, saved, autocast=True)
        write_state(result, STD / case["expected"])
        if "adapter_name" in options:
            case["adapter_name"] = options["adapter_name"]
        if "torch_seed" in options:
            case["torch_seed"] = options["torch_seed"]
        if options.get("narrow"):
            case["expected_narrow"] = f"expected/{name}-narrow.safetensors"
            write_state(merged(base, model_class, saved, autocast=False)[0], STD / case["expected_narrow"])
        if options.get("delta"):
            case["delta"] = f"expected/{name}-delta.safetensors"
            prefix = case["prefix"]
            named = {path.removeprefix(prefix) + ".weight": delta.detach().contiguous() for path, delta in deltas.items()}
            save_file(named, STD / case["delta"], metadata={"format": "pt"})
        if options.get("logits"):
            case["logits"] = f"expected/{name}-logits.safetensors"
            ids = torch.tensor([[1, 5, 9, 14, 2, 0], [1, 7, 7, 2, 0, 0]])
            mask = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]])
            with torch.no_grad():
                logits = result(input_ids=ids, attention_mask=mask).logits
            tensors = {"input_ids": ids, "attention_mask": mask, "logits": logits.contiguous()}
            save_file(tensors, STD / case["logits"], metadata={"format": "pt"})
        cases.append(case)
    head = {"what": "adapters PEFT saved and the checkpoints it merged from them; paths are relative to this file"}
    write_json(STD / "cases.json", head, cases)


SETS = {
    "locations": make_locations,
    "delta": make_delta,
    "merge": make_merge,
    "randn": make_randn,
    "matching": make_matching,
    "adapters": make_adapters,
}


def check_versions():
    lines = (ROOT / "tools" / "requirements.txt").read_text().splitlines()
    for line in (line.strip() for line in lines if "==" in line):
        package, wanted = line.split("==")
        if package in ("peft", "torch", "transformers", "safetensors", "numpy"):
            found = importlib.metadata.version(package).split("+")[0]
            if found != wanted:
                sys.exit(f"{line} is needed (tools/requirements.txt), found {found}")


def main():
    if sys.argv[1:] == ["--randn-cases"]:
        print(json.dumps(list(randn_cases())))
        return
    check_versions()
    # One thread: sums come out in one order.
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    names = sys.argv[1:] or list(SETS)
    for name in names:
        if name not in SETS:
            sys.exit(f"unknown set {name}; the sets are {', '.join(SETS)}")
    for name in names:
        SETS[name]()


if __name__ == "__main__":
    main()
