"""Golden data for the tests of waveft-core's optimisers and schedules, by running torch 2.11.0 and transformers 5.23.0.

    python tools/optimiser_goldens.py

Writes optimisers.safetensors in waveft-core/tests/data; tools/README.md describes it.
"""

import json
import os
import sys
from pathlib import Path

# Before torch is imported: kernels that fuse multiplications with additions, as those of waveft-core do on such machines.
os.environ.setdefault("ATEN_CPU_CAPABILITY", "avx2")

import numpy as np
import torch
import transformers
from safetensors.torch import save_file

GOLDENS = Path(__file__).resolve().parent.parent / "waveft-core/tests/data/optimisers.safetensors"
LENGTH = 83  # five vectors of sixteen and a rest
STEPS = 50
KEPT = [1, 2, 10, 50]
DTYPES = {"f32": torch.float32, "f64": torch.float64}

ADAM_W = {
    "default": {"lr": 1e-3},
    "decay": {"lr": 0.02, "betas": (0.9, 0.95), "eps": 1e-6, "weight_decay": 0.1},
    "near": {"lr": 0.1, "betas": (0.25, 0.5), "eps": 1e-3, "weight_decay": 0.0},
    "memoryless": {"lr": 0.01, "betas": (0.0, 0.0), "eps": 1e-8, "weight_decay": 0.01},
}
SGD = {
    "plain": {"lr": 0.1},
    "plain_decay": {"lr": 0.1, "weight_decay": 0.02},
    "momentum": {"lr": 0.05, "momentum": 0.9},
    "momentum_decay": {"lr": 0.01, "momentum": 0.95, "weight_decay": 0.1},
}
CLIPPING = [0.0, 0.1, 1.0, 20.0, 1e6]
SCHEDULES = [
    (kind, warmup, total)
    for kind in ("constant", "linear", "cosine")
    for warmup, total in ((0, 40), (7, 40), (40, 40), (50, 40), (1, 0))
]
SCHEDULE_STEPS = 60

SQUARE_ROOT = torch.Tensor.sqrt


def rounded_root(tensor):
    """The square root rounded once: MKL's, which torch has, is not always; in f32 the way by f64 is exact."""
    return torch.from_numpy(np.sqrt(tensor.detach().numpy()))


def run(optimiser, start, gradients, dtype, state_names, hyperparameters):
    """The parameter and its state after each step in KEPT, one row each."""
    parameter = torch.nn.Parameter(start.to(dtype).clone())
    optimiser = optimiser([parameter], foreach=False, **hyperparameters)
    rows = {name: [] for name in ["values", *state_names]}
    for number in range(1, STEPS + 1):
        parameter.grad = gradients[number - 1].to(dtype).clone()
        optimiser.step()
        if number in KEPT:
            rows["values"].append(parameter.detach().clone())
            for name in state_names:
                rows[name].append(optimiser.state[parameter][state_names[name]].clone())
    return {name: torch.stack(row) for name, row in rows.items()}


def optimisers(tensors, start, gradients):
    cases = []
    moments = {"first_moment": "exp_avg", "second_moment": "exp_avg_sq"}
    for dtype_name, dtype in DTYPES.items():
        for name, given in ADAM_W.items():
            case = f"adam_w.{name}.{dtype_name}"
            found = run(torch.optim.AdamW, start, gradients, dtype, moments, given)
            torch.Tensor.sqrt = rounded_root
            exact = run(torch.optim.AdamW, start, gradients, dtype, moments, given)
            torch.Tensor.sqrt = SQUARE_ROOT
            tensors.update({f"{case}.{key}": value for key, value in found.items()})
            tensors[f"{case}.values_rounded_root"] = exact["values"]
            given = {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01, **given}
            cases.append({"name": case, "optimiser": "adam_w", "dtype": dtype_name, **given})
        for name, given in SGD.items():
            case = f"sgd.{name}.{dtype_name}"
            velocity = {"velocity": "momentum_buffer"} if "momentum" in given else {}
            found = run(torch.optim.SGD, start, gradients, dtype, velocity, given)
            tensors.update({f"{case}.{key}": value for key, value in found.items()})
            given = {"momentum": 0.0, "weight_decay": 0.0, **given}
            cases.append({"name": case, "optimiser": "sgd", "dtype": dtype_name, **given})
    return cases


def clipping(tensors, gradients):
    """Two parameters clipped together: the first step's gradient and half of the second's."""
    cases = []
    for dtype_name, dtype in DTYPES.items():
        for max_norm in CLIPPING:
            parameters = [torch.zeros(LENGTH, dtype=dtype), torch.zeros(LENGTH // 2, dtype=dtype)]
            for parameter, gradient in zip(parameters, gradients):
                parameter.grad = gradient[: len(parameter)].to(dtype).clone()
            norm = torch.nn.utils.clip_grad_norm_(parameters, max_norm, foreach=False)
            case = f"clipping.{max_norm}.{dtype_name}"
            tensors[case] = torch.cat([parameter.grad for parameter in parameters])
            cases.append({"name": case, "dtype": dtype_name, "max_norm": max_norm, "norm": norm.item()})
    return cases


def schedules():
    cases = []
    for kind, warmup, total in SCHEDULES:
        make = getattr(transformers, f"get_{kind}_schedule_with_warmup")
        optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        totals = {} if kind == "constant" else {"num_training_steps": total}
        schedule = make(optimiser, num_warmup_steps=warmup, **totals)
        factors = []
        for _ in range(SCHEDULE_STEPS):
            factors.append(float(schedule.get_last_lr()[0]))
            optimiser.step()
            schedule.step()
        cases.append({"kind": kind, "warmup_steps": warmup, "total_steps": total, "factors": factors})
    return cases


def main():
    if len(sys.argv) != 1:
        sys.exit(__doc__)
    assert torch.__version__.split("+")[0] == "2.11.0" and transformers.__version__ == "5.23.0"
    generator = np.random.default_rng(4)
    start = torch.from_numpy(generator.standard_normal(LENGTH).astype(np.float32))
    # Of sizes from 1e-6 to 10, and none in some steps, as gradients are.
    sizes = 10.0 ** generator.uniform(-6, 1, LENGTH)
    gradients = generator.standard_normal((STEPS, LENGTH)) * sizes * (generator.random((STEPS, LENGTH)) < 0.9)
    gradients = torch.from_numpy(gradients.astype(np.float32))
    tensors = {"start": start, "gradients": gradients}
    metadata = {
        "optimisers": optimisers(tensors, start, gradients),
        "clipping": clipping(tensors, gradients),
        "schedules": schedules(),
        "kept": KEPT,
    }
    metadata = {key: json.dumps(value, separators=(",", ":")) for key, value in metadata.items()}
    save_file(tensors, GOLDENS, metadata=metadata)
    print(GOLDENS.name, GOLDENS.stat().st_size)


if __name__ == "__main__":
    main()
