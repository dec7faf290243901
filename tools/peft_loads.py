"""Does PEFT load an adapter that waveft wrote, and does it compute the ΔW that waveft computed?

    python tools/peft_loads.py CASE_DIR ADAPTER_DIR

CASE_DIR holds `base` or `base.safetensors` (a checkpoint: one .safetensors file, or a folder of them) and
`delta.safetensors`, what `waveft delta --base CASE_DIR/base --adapter ADAPTER_DIR --output CASE_DIR/delta.safetensors`
wrote.  The model is a bare tree of linear layers made from the checkpoint's shapes, so any checkpoint will do.
Prints the largest difference; exit status 1 if PEFT did not load every tensor or ΔW differs by more than 1e-5 of the
largest value.
"""

import sys
import warnings
from pathlib import Path

import torch
from peft import PeftConfig, PeftModel, get_peft_model_state_dict
from peft.tuners.waveft.layer import WaveFTLayer
from safetensors.torch import load_file
from transformers.pytorch_utils import Conv1D

PREFIX = "base_model.model."


def read_checkpoint(case):
    base = case / "base" if (case / "base").exists() else case / "base.safetensors"
    files = sorted(base.glob("*.safetensors")) if base.is_dir() else [base]
    if not files:
        sys.exit(f"{base}: no .safetensors file")
    tensors = {}
    for file in files:
        tensors.update(load_file(file))
    return tensors


def add_layer(root, path, weight, conv1d, bias):
    *parents, last = path.split(".")
    parent = root
    for name in parents:
        if name not in parent._modules:
            parent.add_module(name, torch.nn.Module())
        parent = parent._modules[name]
    if conv1d:
        layer = Conv1D(weight.shape[1], weight.shape[0])
    else:
        layer = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=bias)
    layer.weight.data = weight
    parent.add_module(last, layer)


def build_model(base, adapter, conv1d):
    """Layers for the adapter's modules, under the adapter's names, and for the heads it saved whole."""
    root = torch.nn.Module()
    prefixes = set()
    for key in adapter:
        path, _, kind = key.removeprefix(PREFIX).rpartition(".")
        if kind == "weight":
            add_layer(root, path, adapter[key], False, f"{PREFIX}{path}.bias" in adapter)
        if kind != "waveft_spectrum":
            continue
        # The adapter's path may begin with components (`bert.`) that the checkpoint's names lack.
        parts = path.split(".")
        names = [".".join(parts[k:]) + ".weight" for k in range(len(parts))]
        name = next((name for name in names if name in base), None)
        if name is None:
            sys.exit(f"{path}: no such weight in the base")
        prefixes.add(path.removesuffix(name.removesuffix(".weight")))
        add_layer(root, path, base[name], conv1d, True)
    return root, prefixes


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    case, adapter_dir = Path(sys.argv[1]), Path(sys.argv[2])
    adapter = load_file(adapter_dir / "adapter_model.safetensors")
    config = PeftConfig.from_pretrained(adapter_dir)
    # The tree has no head of a task; PEFT would ask for one.
    config.task_type = None
    root, prefixes = build_model(read_checkpoint(case), adapter, config.fan_in_fan_out)
    warnings.simplefilter("error")
    model = PeftModel.from_pretrained(root, adapter_dir, config=config)
    warnings.simplefilter("default")

    loaded = get_peft_model_state_dict(model)
    failed = False
    for key in sorted(adapter.keys() | loaded.keys()):
        same = key in adapter and key in loaded and torch.equal(adapter[key].float(), loaded[key].float())
        if not same and ".original_module." not in key:
            print(f"{key}: not as written after PEFT loaded it")
            failed = True

    ours = load_file(case / "delta.safetensors")
    largest, difference = 0.0, 0.0
    for path, module in model.base_model.model.named_modules():
        if not isinstance(module, WaveFTLayer):
            continue
        names = [path.removeprefix(prefix) + ".weight" for prefix in prefixes if path.startswith(prefix)]
        name = next((name for name in names if name in ours), None)
        if name is None:
            print(f"{path}: no ΔW in {case / 'delta.safetensors'}")
            failed = True
            continue
        theirs, mine = module.get_delta_weight("default").float(), ours.pop(name).float()
        if theirs.shape != mine.shape:
            print(f"{name}: ΔW is {tuple(mine.shape)}, PEFT's {tuple(theirs.shape)}")
            failed = True
            continue
        largest = max(largest, theirs.abs().max().item())
        difference = max(difference, (theirs - mine).abs().max().item())
    for name in ours:
        print(f"{name}: PEFT has no such module")
        failed = True
    print(f"max |ΔW difference| = {difference:.3e} (largest |ΔW| {largest:.3e})")
    sys.exit(1 if failed or not difference <= 1e-5 * max(largest, 1e-30) else 0)


if __name__ == "__main__":
    main()
