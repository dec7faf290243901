"""Golden data for the tests of waveft-core's transforms, by running PyWavelets 1.9.0.

    python tools/transform_goldens.py

Writes transform.safetensors, transform_arrays.safetensors and transform_matlab.safetensors in waveft-core/tests/data;
tools/README.md describes them.  Filters are this project's (PyWavelets' own tables are off by up to 2e-11), read from the
generated tables.rs and handed to PyWavelets as custom filter banks.  Signals are not stored: both sides compute them with
SplitMix64.  Only those of the MATLAB results are, for they come from PyWavelets.
"""

import importlib.metadata
import math
import re
import sys
import warnings
from pathlib import Path

import numpy as np
import pywt
from safetensors.numpy import save_file

ROOT = Path(__file__).resolve().parent.parent
TABLES = ROOT / "waveft-core/src/filter_bank/tables.rs"
DATA = ROOT / "waveft-core/tests/data"
GOLDENS = DATA / "transform.safetensors"
ARRAYS = DATA / "transform_arrays.safetensors"
MATLAB = DATA / "transform_matlab.safetensors"

EVERY_WAVELET = [1, 2, 7, 16, 53, 130]  # lengths with each of the 106
EVERY_LENGTH = ["db1", "db4", "bior4.4", "coif3"]  # wavelets with lengths 1 to 70, and those of arrays in full
FULL = [4, 9]
LARGE = 20_000
SIGNAL, APPROXIMATION, DETAIL, ON_APPROXIMATION, ON_DETAIL, ON_SIGNAL = range(6)
COEFFICIENTS, ON_COEFFICIENTS = APPROXIMATION, ON_APPROXIMATION

# Of lines: wavelets with all modes, and lengths from one sample over the filters' to thousands.
LINE_WAVELETS = ["haar", "db2", "db7", "db38", "sym5", "coif2", "bior1.3", "bior4.4", "rbio3.1", "rbio6.8", "dmey"]
LINE_LENGTHS = [1, 2, 3, 4, 7, 10, 33, 64, 101, 250, 1001]
# Axes of arrays with as many axes: how many arrays, and up to which length.
ARRAY_SETS = {2: (954, 60), 3: (318, 14), 4: (60, 6)}
DEEP_ARRAYS = [
    (["haar", "db2"], (61, 50)),
    (["bior2.2", "db1", "haar"], (40, 17, 9)),
    (["haar", "bior1.1", "db1", "haar"], (4, 5, 7, 4)),
]
LARGE_ARRAYS = [
    (["db4"], ["symmetric"], (100_003,)),
    (["bior6.8"], ["antireflect"], (65_536,)),
    (["db4", "db4"], ["symmetric", "symmetric"], (512, 512)),
    (["bior4.4", "haar"], ["periodization", "smooth"], (257, 1030)),
    (["db38", "rbio3.3"], ["zero", "antisymmetric"], (300, 301)),
    (["sym8", "coif3"], ["reflect", "constant"], (1, 5003)[::-1]),
    (["db2", "db19"], ["periodic", "antireflect"], (2, 5003)),
    (["db3", "bior2.8", "sym6"], ["smooth", "periodization", "symmetric"], (40, 33, 70)),
]

# The modes by MATLAB's names.
MATLAB_MODES = {
    "zero": "zpd",
    "constant": "sp0",
    "symmetric": "sym",
    "periodic": "ppd",
    "smooth": "sp1",
    "periodization": "per",
    "reflect": "symw",
    "antisymmetric": "asym",
    "antireflect": "asymw",
}
MATLAB_NOTICE = """The signals and MATLAB R2012a's results are from pywt/tests/data/dwt_matlabR2012a_result.npz and \
test_matlab_compatibility.py of PyWavelets 1.9.0, under the MIT licence. Copyright (c) 2006-2012 Filip Wasilewski \
<http://en.ig.ma/>, copyright (c) 2012- The PyWavelets Developers <https://github.com/PyWavelets/pywt>."""


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


def decomposition(wavelets, modes, shape, levels):
    """All coefficients of noise, what their bands' products with other noise are, and that of the array which is made
    of coefficients of noise.
    """
    x = noise(SIGNAL, math.prod(shape)).reshape(shape)
    coefficients = pywt.wavedecn(x, tuple(wavelets), tuple(modes), levels)
    flat, slices, shapes = pywt.ravel_coeffs(coefficients)
    if len(shape) == 1:
        assert np.array_equal(flat, np.concatenate(pywt.wavedec(x, wavelets[0], modes[0], levels)))
    if len(shape) == 2:
        other = pywt.coeffs_to_array(pywt.wavedec2(x, wavelets, modes, levels), padding=0)
        assert np.array_equal(other[0], pywt.coeffs_to_array(coefficients, padding=0)[0])
    on_coefficients = noise(ON_COEFFICIENTS, len(flat))
    places = [slices[0]] + [level[name] for level in slices[1:] for name in sorted(level)]
    assert [place.stop for place in places[:-1]] == [place.start for place in places[1:]]
    products = [math.fsum(flat[place] * on_coefficients[place]) for place in places]
    made = pywt.unravel_coeffs(noise(COEFFICIENTS, len(flat)), slices, shapes, output_format="wavedecn")
    # Of an odd length waverecn gives one sample more.
    made = pywt.waverecn(made, tuple(wavelets), tuple(modes))[tuple(slice(length) for length in shape)]
    return products + [math.fsum(made.ravel() * noise(ON_SIGNAL, made.size))]


def cases(names):
    """Wavelets, modes and lengths, one of each for every axis, and levels."""
    modes = pywt.Modes.modes
    taps = {name: pywt.Wavelet(name).dec_len for name in names}

    def deepest(wavelets, shape):
        return max(1, min(pywt.dwt_max_level(n, taps[name]) for name, n in zip(wavelets, shape)))

    for name in LINE_WAVELETS:
        for mode in modes:
            for length in lengths(LINE_LENGTHS, mode):
                yield [name], [mode], (length,), deepest([name], [length])
    for levels in range(1, deepest(["db2"], [250]) + 1):
        for mode in modes:
            yield ["db2"], [mode], (250,), levels
    for name in names:
        for mode in modes:
            yield [name], [mode], (211,), deepest([name], [211])
    for axes, (count, longest) in ARRAY_SETS.items():
        generator = np.random.default_rng(axes)
        for index in range(count):
            # Each wavelet meets each mode on the first axis; 106 and 9 have no common factor.
            axis_names = [names[index % 106]] + [names[i] for i in generator.integers(106, size=axes - 1)]
            axis_modes = [modes[index % 9]] + [modes[i] for i in generator.integers(9, size=axes - 1)]
            shape = []
            for name, mode in zip(axis_names, axis_modes):
                # As often shorter than the filter as not.
                most = min(taps[name], longest) if generator.integers(2) else longest
                shape.append(int(generator.integers(min(lengths([1, 2], mode)), most + 1)))
            yield axis_names, axis_modes, tuple(shape), int(generator.integers(deepest(axis_names, shape))) + 1
    for axis_names, shape in DEEP_ARRAYS:
        for levels in range(1, deepest(axis_names, shape) + 1):
            for index in range(len(modes)):
                yield axis_names, [modes[(index * 2**axis) % 9] for axis in range(len(shape))], shape, levels
    for axis_names, axis_modes, shape in LARGE_ARRAYS:
        yield axis_names, axis_modes, shape, min(4, deepest(axis_names, shape))


def arrays(names, taps):
    """The transforms of arrays, by their number of axes."""
    modes = pywt.Modes.modes
    banks = {name: wavelet(name, taps) for name in names}
    tensors = {}
    with warnings.catch_warnings():
        # One level more than PyWavelets advises is what the shortest signals have.
        warnings.filterwarnings("ignore", "Level value of")
        found = {}
        for axis_names, axis_modes, shape, levels in cases(names):
            products = decomposition([banks[name] for name in axis_names], axis_modes, shape, levels)
            places = [names.index(name) for name in axis_names], [modes.index(mode) for mode in axis_modes]
            described, all_products = found.setdefault(len(shape), ([], []))
            described.append([*places[0], *places[1], *shape, levels])
            all_products.extend(products)
    for axes, (described, products) in found.items():
        tensors[f"cases.{axes}"] = np.array(described, dtype=np.uint32)
        tensors[f"products.{axes}"] = np.array(products)
    return tensors


def matlab(names):
    """MATLAB's results that PyWavelets is tested against."""
    folder = Path(pywt.__file__).parent / "tests/data"
    results = np.load(folder / "dwt_matlabR2012a_result.npz")
    generator = np.random.RandomState(1234)
    # In the order of the signals in PyWavelets' test.
    in_order = [name for family in ("db", "sym", "coif", "bior", "rbio") for name in pywt.wavelist(family)]
    assert sorted(in_order + ["dmey", "haar"]) == sorted(names)
    signals, products = [], {"": [], "_pywtCoeffs": []}
    for name in in_order:
        taps = pywt.Wavelet(name).dec_len
        for length in (taps, taps + 1):
            signals.append(generator.randn(length))
            for mode in pywt.Modes.modes:
                for suffix, all_products in products.items():
                    for band, stream in (("ma", ON_APPROXIMATION), ("md", ON_DETAIL)):
                        values = results["_".join([MATLAB_MODES[mode], name, str(length), band]) + suffix].ravel()
                        assert len(values) == pywt.dwt_coeff_len(length, taps, mode)
                        all_products.append(math.fsum(values * noise(stream, len(values))))
    tensors = {
        "signals": np.concatenate(signals),
        "own": np.array(products[""]),
        "pywavelets": np.array(products["_pywtCoeffs"]),
    }
    metadata = {"wavelets": " ".join(in_order), "modes": " ".join(pywt.Modes.modes), "notice": MATLAB_NOTICE}
    save_file(tensors, MATLAB, metadata=metadata)


def main():
    if len(sys.argv) != 1:
        sys.exit(__doc__)
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
    save_file(arrays(names, taps), ARRAYS, metadata={"wavelets": " ".join(names), "modes": " ".join(pywt.Modes.modes)})
    matlab(names)
    for path in (GOLDENS, ARRAYS, MATLAB):
        print(path.relative_to(ROOT), path.stat().st_size)


if __name__ == "__main__":
    main()
