"""What PEFT makes of an adapter for the digits' network, such as the one that the finetune example writes.

    python tools/digits_score.py ADAPTER_DIR [LOGITS]
    python tools/digits_score.py --write ADAPTER_DIR

Loads the adapter onto waveft-std/examples/digits/base.safetensors and prints loss, accuracy and checksums of the logits on the
held-out digits, turned by a quarter.  LOGITS, a safetensors file whose `logits` are another program's, is compared with them:
exit status 1 if one differs by more than 1e-4 or PEFT did not load every tensor of the adapter.  --write puts PEFT's logits into
ADAPTER_DIR, as `logits.safetensors`, for the tests of waveft-std.
"""

import os
import sys
import warnings
from pathlib import Path

# Before torch is imported: the same kernels and order of sums on every x86 machine with AVX2.
os.environ.setdefault("ATEN_CPU_CAPABILITY", "avx2")
os.environ.setdefault("MKL_CBWR", "COMPATIBLE")

import torch
from peft import PeftModel, get_peft_model_state_dict
from safetensors.torch import load_file, save_file

ROOT = Path(__file__).resolve().parent.parent
DIGITS = ROOT / "waveft-std" / "examples" / "digits"
ADAPTER = ROOT / "waveft-std" / "tests" / "data" / "digits_adapter"
TRAIN, VALIDATION, HELD_OUT = 0, 1, 2
TOLERANCE = 1e-4


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = torch.nn.Linear(64, 512)
        self.fc2 = torch.nn.Linear(512, 512)
        self.fc3 = torch.nn.Linear(512, 10)

    def forward(self, x):
        return self.fc3(torch.relu(self.fc2(torch.relu(self.fc1(x)))))


class Images:
    """The digits as the network reads them: 64 pixels, row by row, of 0 to 1."""

    def __init__(self, pixels, labels, split):
        self.pixels, self.labels, self.split = pixels, labels, split

    def part(self, part):
        return self.pixels[self.split == part], self.labels[self.split == part]


def load_images(rotated):
    tensors = load_file(DIGITS / "digits.safetensors")
    images = tensors["images"].float() / 16
    if rotated:
        # Anticlockwise by a quarter: turned[row][col] = image[col][7 - row].
        images = torch.rot90(images, 1, (1, 2))
    return Images(images.reshape(-1, 64), tensors["labels"].long(), tensors["split"])


def load_base():
    """In f32, whose values bf16 holds."""
    model = Network()
    model.load_state_dict(load_file(DIGITS / "base.safetensors"))
    return model


def load_adapted(folder):
    """The base under PEFT with the adapter; every tensor of it has to have arrived."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = PeftModel.from_pretrained(load_base(), folder)
    written, loaded = load_file(Path(folder) / "adapter_model.safetensors"), get_peft_model_state_dict(model)
    if written.keys() != loaded.keys() or not all(torch.equal(written[key], loaded[key]) for key in written):
        sys.exit(f"{folder}: PEFT did not load the tensors as they were written")
    return model.eval()


def logits_of(model, images, part):
    with torch.no_grad():
        return model(images.part(part)[0])


def score(model, images, part):
    logits, labels = logits_of(model, images, part), images.part(part)[1]
    loss = torch.nn.functional.cross_entropy(logits, labels).item()
    return dict(loss=loss, accuracy=(logits.argmax(1) == labels).double().mean().item())


def write_golden(folder):
    """`logits.safetensors` beside the adapter."""
    logits = logits_of(load_adapted(folder), load_images(rotated=True), HELD_OUT)
    save_file({"logits": logits.contiguous()}, Path(folder) / "logits.safetensors")


def main():
    is_write = sys.argv[1:2] == ["--write"]
    if "--help" in sys.argv or len(sys.argv) not in ((3,) if is_write else (2, 3)):
        sys.exit(__doc__)
    torch.set_num_threads(1)
    if is_write:
        return write_golden(sys.argv[2])
    model, images = load_adapted(sys.argv[1]), load_images(rotated=True)
    result = score(model, images, HELD_OUT)
    logits = logits_of(model, images, HELD_OUT)
    wide = logits.double()
    correct = round(result["accuracy"] * len(logits))
    print(f"held-out loss {result['loss']:.6f}, accuracy {result['accuracy']:.4f} ({correct} of {len(logits)})")
    print(f"logits: sum {wide.sum():.4f}, sum of squares {(wide * wide).sum():.3f}")
    if len(sys.argv) == 3:
        other = load_file(sys.argv[2])["logits"]
        if other.shape != logits.shape:
            sys.exit(f"{sys.argv[2]}: logits of shape {tuple(other.shape)}, PEFT's {tuple(logits.shape)}")
        difference = (other.double() - wide).abs().max().item()
        print(f"max |logit − PEFT's| = {difference:.3e}")
        # Written so that a NaN counts.
        sys.exit(0 if difference <= TOLERANCE else 1)


if __name__ == "__main__":
    main()
