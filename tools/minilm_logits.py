"""Does transformers load all-MiniLM-L6-v2 with the real adapter merged into it, and are its logits PEFT's?

    tools/minilm.sh
    waveft merge --base target/minilm --adapter waveft-std/tests/data/minilm-fortunes-adapter --output target/merged
    python tools/minilm_logits.py target/merged

The texts' tokens and PEFT's logits are in waveft-std/tests/data/minilm-logits.json.  Exit status 1 if a tensor of the model
is not in the folder, or the folder has one that is not in the model, or a logit differs by more than 1e-5 from PEFT's.
"""

import json
import os
import sys
from pathlib import Path

# Before torch is imported: the same kernels as those that made the golden logits.
os.environ.setdefault("ATEN_CPU_CAPABILITY", "avx2")
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")

import torch
from safetensors import safe_open
from transformers import AutoModelForSequenceClassification

GOLDEN = Path(__file__).resolve().parent.parent / "waveft-std" / "tests" / "data" / "minilm-logits.json"
# A buffer that older models were saved with; transformers computes it.
NOT_LOADED = {"bert.embeddings.position_ids"}
TOLERANCE = 1e-5


def main():
    if len(sys.argv) != 2 or sys.argv[1] == "--help":
        sys.exit(__doc__)
    folder = Path(sys.argv[1])
    model, loading = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=8, output_loading_info=True)
    model.eval()
    failed = False
    for problem in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        names = sorted(loading[problem])
        print(f"{problem}: {names or 'none'}")
        failed |= bool(names)
    with safe_open(folder / "model.safetensors", "pt") as file:
        names = set(file.keys())
    odd = (names - NOT_LOADED) ^ set(model.state_dict())
    print(f"names that are not the model's own: {sorted(odd) or 'none'}")
    failed |= bool(odd)

    # Against PEFT with the adapter on (which computes with W and ΔW apart) and after its own merge.
    largest = {"adapted": 0.0, "merged": 0.0}
    cases = json.loads(GOLDEN.read_text())["cases"]
    with torch.no_grad():
        for case in cases:
            ours = model(torch.tensor([case["input_ids"]])).logits[0]
            for kind in largest:
                difference = (ours - torch.tensor(case[kind])).abs().max().item()
                # Written so that a NaN counts.
                failed |= not difference <= TOLERANCE
                largest[kind] = max(largest[kind], difference)
    for kind, difference in largest.items():
        print(f"{len(cases)} texts, max |logit − PEFT's, {kind}| = {difference:.3e}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
