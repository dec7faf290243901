"""A frozen network, a changed task and the baselines for waveft-std/examples/digits, made with torch and PEFT.

    python tools/digits.py

Pre-trains 64 → 512 → 512 → 10 on scikit-learn's handwritten digits as they are, then adapts it to the same digits turned by
a quarter, with PEFT's WaveFT, with LoRA of rank 1, which trains as many parameters in every layer, and with every weight
free.  Each method's learning rate (and LoRA's alpha) is the best of its candidates on the validation images; what is
reported is the held-out images', over five seeds.  Writes waveft-std/examples/digits and the adapter and logits in
waveft-std/tests/data/digits_adapter; tools/README.md describes both (eight minutes).
"""

import json
import os
import shutil
import statistics
import sys
import tempfile
import warnings
from pathlib import Path

# Before torch is imported: the same kernels and order of sums on every x86 machine with AVX2.
os.environ.setdefault("ATEN_CPU_CAPABILITY", "avx2")
os.environ.setdefault("MKL_CBWR", "COMPATIBLE")

import digits_score
import numpy as np
import sklearn
import torch
from digits_score import ADAPTER, DIGITS, HELD_OUT, TRAIN, VALIDATION, Network, load_base, load_images, score
from goldens import check_versions, clean
from peft import LoraConfig, WaveFTConfig, get_peft_model
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from transformers import get_cosine_schedule_with_warmup

SPLIT_SEED, PRETRAINING_SEED = 0, 0
SPLIT = {TRAIN: 1097, VALIDATION: 250, HELD_OUT: 450}
TARGETS = ["fc1", "fc2", "fc3"]
# LoRA of rank 1 trains rows + columns of each layer.
COUNTS = {"fc1": 512 + 64, "fc2": 512 + 512, "fc3": 10 + 512}
TRAINING = dict(epochs=30, batch=32, warmup=50, schedule="cosine", betas=[0.9, 0.999], eps=1e-8, weight_decay=0.0)
PRETRAINING = dict(TRAINING, lr=1e-3, weight_decay=0.01)
SEEDS = [0, 1, 2, 3, 4]
SELECTION_SEEDS = [100, 101]
CANDIDATES = {
    "waveft": [dict(lr=lr) for lr in [5e-4, 1e-3, 2e-3, 4e-3, 8e-3]],
    "lora": [dict(lr=lr, alpha=alpha) for alpha in [1, 8] for lr in [5e-3, 1e-2, 2e-2, 4e-2, 8e-2]],
    "full": [dict(lr=lr) for lr in [5e-4, 1e-3, 2e-3, 4e-3, 8e-3]],
}
NOTICE = (
    "Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak (1998), UCI Machine Learning Repository, "
    "https://doi.org/10.24432/C50P49, CC BY 4.0; the test set of it that scikit-learn ships, unchanged"
)


# ------------------------------------------------------------------------------------------------------------- data


def write_images():
    digits = load_digits()
    split = np.empty(len(digits.target), dtype=np.uint8)
    order = np.random.default_rng(SPLIT_SEED).permutation(len(split))
    start = 0
    for part, count in SPLIT.items():
        split[order[start : start + count]] = part
        start += count
    assert start == len(split)
    images = digits.images.astype(np.uint8)
    assert (images == digits.images).all() and images.max() == 16
    tensors = {"images": images, "labels": digits.target.astype(np.uint8), "split": split}
    tensors = {name: torch.from_numpy(value) for name, value in tensors.items()}
    save_file(tensors, DIGITS / "digits.safetensors", metadata={"notice": NOTICE})


# --------------------------------------------------------------------------------------------------------- training


def train(model, images, settings, seed, after_epoch=None):
    """Cross-entropy on the training images in an order that `seed` alone decides."""
    x, y = images.part(TRAIN)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=settings["lr"], betas=tuple(settings["betas"]), eps=settings["eps"],
                                  weight_decay=settings["weight_decay"])  # fmt: skip
    steps = settings["epochs"] * -(-len(x) // settings["batch"])
    schedule = get_cosine_schedule_with_warmup(optimiser, settings["warmup"], steps)
    rng = np.random.default_rng(seed)
    for epoch in range(settings["epochs"]):
        total = 0.0
        for batch in torch.from_numpy(rng.permutation(len(x))).split(settings["batch"]):
            optimiser.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(x[batch]), y[batch])
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item() * len(batch)
        if after_epoch is not None:
            after_epoch(epoch + 1, total / len(x))


def pretrain():
    torch.manual_seed(PRETRAINING_SEED)
    model = Network()
    train(model, load_images(rotated=False), PRETRAINING, PRETRAINING_SEED)
    # Rounded to bf16: half the bytes, and the same network in either precision.
    state = {name: value.to(torch.bfloat16).contiguous() for name, value in model.state_dict().items()}
    save_file(state, DIGITS / "base.safetensors", metadata={"format": "pt"})


def waveft_config(seed=0):
    return WaveFTConfig(target_modules=TARGETS, n_frequency=max(COUNTS.values()), n_frequency_pattern=COUNTS,
                        wavelet_family="db1", scaling=25.0, random_loc_seed=777 + seed)  # fmt: skip


def new_model(method, candidate, seed):
    """A seed decides LoRA's first values, and where WaveFT's coefficients are."""
    torch.manual_seed(seed)
    base = load_base()
    if method == "waveft":
        model = get_peft_model(base, waveft_config(seed))
    elif method == "lora":
        model = get_peft_model(base, LoraConfig(r=1, lora_alpha=candidate["alpha"], target_modules=TARGETS))
    else:
        return base
    for name in TARGETS:
        layer = getattr(model.base_model.model, name)
        trained = sum(p.numel() for p in layer.parameters() if p.requires_grad)
        assert trained == COUNTS[name], (method, name, trained)
    return model


def select(method, images):
    """The candidate with the best mean accuracy on the validation images; ties go to the lower loss."""
    tried = []
    for candidate in CANDIDATES[method]:
        scores = []
        for seed in SELECTION_SEEDS:
            model = new_model(method, candidate, seed)
            train(model, images, TRAINING | candidate, seed)
            scores.append(score(model, images, VALIDATION))
        means = {key: statistics.mean(s[key] for s in scores) for key in ("accuracy", "loss")}
        tried.append(candidate | {"validation_" + key: round(value, 4) for key, value in means.items()})
        print(f"{method} {candidate}: validation accuracy {means['accuracy']:.4f}, loss {means['loss']:.4f}", flush=True)
    best = max(range(len(tried)), key=lambda k: (tried[k]["validation_accuracy"], -tried[k]["validation_loss"]))
    return CANDIDATES[method][best], tried


def spread(values):
    return dict(mean=round(statistics.mean(values), 4), standard_deviation=round(statistics.stdev(values), 4),
                minimum=round(min(values), 4), maximum=round(max(values), 4))  # fmt: skip


def run(method, images):
    """Selection, then every seed; the first seed's curve and model are kept."""
    candidate, tried = select(method, images)
    scores, curve, first = [], [], None
    for seed in SEEDS:
        model = new_model(method, candidate, seed)

        def record(epoch, train_loss):
            held_out = score(model, images, HELD_OUT)
            curve.append(dict(epoch=epoch, train_loss=round(train_loss, 5), loss=round(held_out["loss"], 5),
                              accuracy=round(held_out["accuracy"], 4)))  # fmt: skip

        train(model, images, TRAINING | candidate, seed, record if seed == SEEDS[0] else None)
        scores.append(score(model, images, HELD_OUT))
        first = first or model
    trained = sum(p.numel() for p in first.parameters() if p.requires_grad)
    result = dict(method=method, trained=trained, **candidate, tried=tried)
    result |= {key: spread([s[key] for s in scores]) for key in ("accuracy", "loss")}
    print(f"{method}: {trained} trained, {candidate}, held-out accuracy {result['accuracy']}", flush=True)
    return result | dict(curve=curve), first


# ---------------------------------------------------------------------------------------------------------- writing


def save_adapter(model, folder, config_only=False):
    """As PEFT saves it, without the model card and what depends on this machine."""
    with tempfile.TemporaryDirectory() as saved:
        saved = Path(saved)
        model.save_pretrained(saved)
        clean(saved, saved)
        for name in ["adapter_config.json"] if config_only else ["adapter_config.json", "adapter_model.safetensors"]:
            shutil.copyfile(saved / name, folder / name)


def write_baselines(before, results):
    base = sum(p.numel() for p in Network().parameters())
    head = dict(
        what="the digits' network, pre-trained upright and adapted to digits turned by a quarter, in torch with PEFT",
        versions={"torch": torch.__version__.split("+")[0], "scikit-learn": sklearn.__version__},
        base_parameters=base, share=round(sum(COUNTS.values()) / base, 6), counts=COUNTS, split=list(SPLIT.values()),
        pretraining=PRETRAINING, training=TRAINING, seeds=SEEDS, selection_seeds=SELECTION_SEEDS, before=before,
    )  # fmt: skip
    lines = [json.dumps(key) + ": " + json.dumps(value) for key, value in head.items()]
    methods = ",\n".join(json.dumps(result) for result in results)
    text = "{\n" + ",\n".join(lines) + ',\n"methods": [\n' + methods + "\n]\n}\n"
    (DIGITS / "baselines.json").write_text(text)


def main():
    if len(sys.argv) != 1:
        sys.exit(__doc__)
    check_versions()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    DIGITS.mkdir(parents=True, exist_ok=True)
    ADAPTER.mkdir(parents=True, exist_ok=True)
    write_images()
    pretrain()
    upright, rotated = load_images(rotated=False), load_images(rotated=True)
    before = {"upright": score(load_base(), upright, HELD_OUT), "rotated": score(load_base(), rotated, HELD_OUT)}
    print(before, flush=True)
    assert before["upright"]["accuracy"] > 0.95 and before["rotated"]["accuracy"] < 0.3

    results = []
    for method in CANDIDATES:
        result, model = run(method, rotated)
        results.append(result)
        if method == "waveft":
            for name in TARGETS:
                spectrum = getattr(model.base_model.model, name).waveft_spectrum["default"]
                assert (spectrum != 0).float().mean() > 0.9, name
            save_adapter(model, ADAPTER)
            digits_score.write_golden(ADAPTER)
    save_adapter(get_peft_model(load_base(), waveft_config()), DIGITS, config_only=True)
    write_baselines(before, results)
    for file in sorted([*DIGITS.iterdir(), *ADAPTER.iterdir()]):
        print(f"{file.relative_to(digits_score.ROOT)}: {file.stat().st_size} bytes")


if __name__ == "__main__":
    main()
