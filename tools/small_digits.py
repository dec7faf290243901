"""A network small enough for a microcontroller and the digits it learns, for targets/cortex-m, made with torch.

    python tools/small_digits.py

Pre-trains 64 → 32 → 10 as digits.py does its larger one, on the same upright training images, and writes it to
targets/cortex-m/learning/data with some of the images turned by a quarter; tools/README.md describes both (five seconds).
"""

import sys

import digits
import numpy as np
import torch
from digits_score import HELD_OUT, ROOT, TRAIN, load_images
from goldens import check_versions

DATA = ROOT / "targets" / "cortex-m" / "learning" / "data"
HIDDEN = 32
COUNTS = {TRAIN: 320, HELD_OUT: 200}


def new_network():
    torch.manual_seed(digits.PRETRAINING_SEED)
    hidden, output = torch.nn.Linear(64, HIDDEN), torch.nn.Linear(HIDDEN, 10)
    return torch.nn.Sequential(hidden, torch.nn.ReLU(), output)


def accuracy(network, images):
    pixels, labels = images.part(HELD_OUT)
    return (network(pixels).argmax(1) == labels).float().mean().item()


def write_network(network):
    values = [value.detach().numpy().ravel() for value in network.state_dict().values()]
    (DATA / "network.f32").write_bytes(np.concatenate(values).astype("<f4").tobytes())


def write_images(images):
    with open(DATA / "turned.u8", "wb") as file:
        for part, count in COUNTS.items():
            pixels, labels = images.part(part)
            for image, label in zip(pixels[:count], labels):
                file.write(bytes([int(label), *(image * 16).to(torch.uint8).tolist()]))


def main():
    if len(sys.argv) != 1:
        sys.exit(__doc__)
    check_versions()
    torch.set_num_threads(1)
    upright, turned = load_images(rotated=False), load_images(rotated=True)
    network = new_network()
    digits.train(network, upright, digits.PRETRAINING, digits.PRETRAINING_SEED)
    before = [accuracy(network, images) for images in (upright, turned)]
    print("held-out accuracy upright {:.3f}, turned {:.3f}".format(*before))
    assert before[0] > 0.9 and before[1] < 0.3
    DATA.mkdir(parents=True, exist_ok=True)
    write_network(network)
    write_images(turned)


if __name__ == "__main__":
    main()
