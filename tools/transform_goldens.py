"""Golden data for the tests of waveft-core's transforms, by running PyWavelets 1.9.0.

    python tools/transform_goldens.py

Writes waveft-core/tests/data/transform.safetensors; tools/README.md describes it.  Filters are this project's (PyWavelets'
own tables are off by up to 2e-11), read from the generated tables.rs and handed to PyWavelets as custom filter banks.
Signals are not stored: both sides compute them with SplitMix64.
"""

import importlib.metadata
import math
import re
from pathlib import Path

import numpy as np
import pywt
from safetensors.numpy import save_file

ROOT = Path(__file__).resolve().parent.parent
TABLES = ROOT / "waveft-core/src/filter_bank/tables.rs"
GOLDENS = ROOT / "waveft-core/tests/data/transform.safetensors"

EVERY_WAVELET = [1, 2, 7, 16, 53, 130]  # lengths with each of the 106
EVERY_LENGTH = ["db1", "db4", "bior4.4", "coif3"]  # wavelets with lengths 1 to 70, and those of arrays in full
FULL = [4, 9]
LARGE = 20_000
SIGNAL, APPROXIMATION, DETAIL, ON_APPROXIMATION, ON_DETAIL, ON_SIGNAL = range(6)


def noise(stream, length):
    """Uniform in [-1, 1): SplitMix64 of stream << 32 | index, of which the upper 53 bits."""
    z = np.arange(length, dtype=np.uint64) + np.uint64(stream << 32)
    z = (z + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1.0


def tables():
    """Each constant of tables.rs as a list of filters."""
    found = {}
    for name, body in re.findall(r"const (\w+): \[.*?\] = \[\n(.*?)\n\];", TABLES.read_text(), re.S):
        rows = re.findall(r"\[(.*?)\]", body, re.S) or [body]
        found[name] = [np.array([float(tap) for tap in row.replace(",", " ").split()]) for row in rows]
    return found


def wavelet(name, tables):
    """PyWavelets' wavelet with this project's taps."""
    theirs = pywt.Wavelet(name)
    key = {"haar": "DB1"}.get(name, name.upper().replace(".", "_").replace("RBIO", "BIOR"))
    low = tables[key]
    if len(low) == 1:
        dec_lo, rec_lo = low[0][::-1], low[0]
    elif name.startswith("rbio"):
        dec_lo, rec_lo = low[1][::-1], low[0][::-1]
    else:
        dec_lo, rec_lo = low
    sign = (-1.0) ** np.arange(len(dec_lo))
    bank = [dec_lo, -sign * rec_lo, rec_lo, sign * dec_lo]
    for ours, published in zip(bank, theirs.filter_bank):
        assert np.abs(ours - published).max() <= 2e-11, name
    return pywt.Wavelet(name, filter_bank=bank)


def projections(wavelet, mode, length):
    """dwt and idwt of noise, each band and the signal reduced to its product with other noise."""
    approximation, detail = pywt.dwt(noise(SIGNAL, length), wavelet, mode)
    band = len(approximation)
    assert band == pywt.dwt_coeff_len(length, wavelet, mode)
    signal = pywt.idwt(noise(APPROXIMATION, band), noise(DETAIL, band), wavelet, mode)
    assert len(signal) == length + length % 2
    return [
        math.fsum(approximation * noise(ON_APPROXIMATION, band)),
        math.fsum(detail * noise(ON_DETAIL, band)),
        math.fsum(signal * noise(ON_SIGNAL, len(signal))),
    ]


def lengths(candidates, mode):
    """Without those that PyWavelets refuses: one sample, where the mode mirrors at the end samples."""
    try:
        pywt.dwt(np.ones(1), "db2", mode)
    except ValueError:
        assert mode in ("reflect", "antireflect")
        return [length for length in candidates if length > 1]
    return list(candidates)


def main():
    assert importlib.metadata.version("PyWavelets") == "1.9.0"
    taps = tables()
    names = pywt.wavelist(kind="discrete")
    assert len(names) == 106
    tensors = {}
    for mode in pywt.Modes.modes:
        tensors[f"wavelets.{mode}"] = np.array(
            [[projections(wavelet(name, taps), mode, n) for n in lengths(EVERY_WAVELET, mode)] for name in names]
        )
        tensors[f"lengths.{mode}"] = np.array(
            [[projections(wavelet(name, taps), mode, n) for n in lengths(range(1, 71), mode)] for name in EVERY_LENGTH]
        )
        tensors[f"large.{mode}"] = np.array([projections(wavelet(name, taps), mode, LARGE) for name in EVERY_LENGTH])
        for name in EVERY_LENGTH:
            for length in FULL:
                # PyWavelets' own tables here.
                bands = pywt.dwt(noise(SIGNAL, length), name, mode)
                tensors[f"dwt.{name}.{mode}.{length}"] = np.array(bands)
                a, d = (noise(stream, len(bands[0])) for stream in (APPROXIMATION, DETAIL))
                tensors[f"idwt.{name}.{mode}.{length}"] = pywt.idwt(a, d, name, mode)
    most = [[pywt.dwt_max_level(n, taps) for n in range(200)] for taps in range(2, 104, 2)]
    tensors["dwt_max_level"] = np.array(most, dtype=np.uint8)
    save_file(tensors, GOLDENS, metadata={"wavelets": " ".join(names)})
    print(GOLDENS, GOLDENS.stat().st_size)


if __name__ == "__main__":
    main()
