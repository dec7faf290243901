"""Makes demo/: the query and value projections of two layers of all-MiniLM-L6-v2, and a real adapter's part for them.

    python tools/minilm_demo.py

Fetches the base with tools/minilm.sh when it is absent.  The tensors are the originals, bit for bit.  The adapter loses the
other layers and its classifier, and its configuration what speaks of a classifier, so that it fits the small base.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from safetensors.numpy import load_file, save_file

ROOT = Path(__file__).resolve().parent.parent
MINILM = ROOT / os.environ.get("WAVEFT_MINILM", "target/minilm")
ADAPTER = ROOT / "waveft-std" / "tests" / "data" / "minilm-fortunes-adapter"
DEMO = ROOT / "demo"
MODULES = [f"encoder.layer.{layer}.attention.self.{name}" for layer in (0, 1) for name in ("query", "value")]


def main():
    if len(sys.argv) != 1:
        sys.exit(__doc__)
    subprocess.run([ROOT / "tools" / "minilm.sh"], check=True)
    (DEMO / "adapter").mkdir(parents=True, exist_ok=True)

    weights = load_file(MINILM / "model.safetensors")
    base = {f"{module}.{kind}": weights[f"{module}.{kind}"] for module in MODULES for kind in ("weight", "bias")}
    save_file(base, DEMO / "base.safetensors", metadata={"format": "pt"})

    trained = load_file(ADAPTER / "adapter_model.safetensors")
    keys = [f"base_model.model.bert.{module}.waveft_spectrum" for module in MODULES]
    spectra = {key: trained[key] for key in keys}
    save_file(spectra, DEMO / "adapter" / "adapter_model.safetensors", metadata={"format": "pt"})
    config = json.loads((ADAPTER / "adapter_config.json").read_text())
    config |= {"modules_to_save": None, "task_type": None}
    (DEMO / "adapter" / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True))

    for file in sorted(DEMO.rglob("*.*")):
        print(f"{file.relative_to(ROOT)}: {file.stat().st_size} bytes")


if __name__ == "__main__":
    main()
