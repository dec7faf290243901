"""Computes the filter banks of PyWavelets' 106 discrete wavelets to the last bit of an f64.

Writes, the same bytes every time:
  waveft-core/src/filter_bank/tables.rs              the taps the library is built from
  waveft-core/tests/data/filter_banks.safetensors    PyWavelets' and PEFT's own filters, for the tests

    python tools/filter_banks.py            write both files
    python tools/filter_banks.py --check    write nothing, fail if a file differs

The published digits only say which of the many solutions of the defining equations is meant; the taps are
solved for with DIGITS decimal digits, put back into the equations, and rounded once. What is checked:
  - each exact filter satisfies orthonormality (or biorthogonality) and its vanishing moments to 1e-200;
  - each rounded tap is the f64 nearest the exact one;
  - each lies as near PyWavelets' own digits as those digits are good (LARGEST_DIFFERENCE);
  - each of the 23 other families PEFT has filters for has PEFT's taps after rounding to f32.
"""

import argparse
import math
import pathlib
import re
import sys

import numpy
import pywt
from mpmath import mp, mpf
from peft.tuners.waveft.wavelet import Wavelet as PeftWavelet
from peft.tuners.waveft.wavelet import wavelist as peft_wavelist
from safetensors.numpy import save

DIGITS = 260
RESIDUAL = mpf(10) ** -200
ROOT = pathlib.Path(__file__).resolve().parent.parent
TABLES = ROOT / "waveft-core/src/filter_bank/tables.rs"
GOLDENS = ROOT / "waveft-core/tests/data/filter_banks.safetensors"

# How far PyWavelets 1.9.0's tables are from the exact filters, by family; a value beyond it is another filter.
LARGEST_DIFFERENCE = {"haar": 0.0, "db": 0.0, "sym": 2e-11, "coif": 2e-16, "bior": 1e-12, "dmey": 0.0}


# Polynomials: lists of coefficients, the constant first.


def multiply(a, b):
    product = [mpf(0)] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            product[i + j] += x * y
    return product


def power(a, exponent):
    product = [mpf(1)]
    for _ in range(exponent):
        product = multiply(product, a)
    return product


def evaluate(a, at):
    value = mpf(0)
    for coefficient in reversed(a):
        value = value * at + coefficient
    return value


def from_roots(roots):
    """The real polynomial with these roots, of a complex pair only the one in the upper half plane given."""
    product = [mpf(1)]
    for root in roots:
        factor = [-root.real, 1] if is_real(root) else [abs(root) ** 2, -2 * root.real, 1]
        product = multiply(product, [mpf(x) for x in factor])
    return product


def is_real(root):
    return abs(root.imag) < abs(root) * RESIDUAL


def normalised(taps):
    """Scaled so that the taps sum to sqrt(2)."""
    total = mp.fsum(taps)
    return [tap * mp.sqrt(2) / total for tap in taps]


# The remainder polynomial that every family with vanishing moments but the coiflets shares.


def daubechies_polynomial(order):
    """P(y) = sum of binomial(order - 1 + k, k) y^k, k < order (Daubechies 1988)."""
    return [mpf(math.comb(order - 1 + k, k)) for k in range(order)]


def daubechies_roots(order):
    """Its roots y, of each complex pair the one in the upper half plane."""
    if order == 1:
        return []
    roots = mp.polyroots(daubechies_polynomial(order)[::-1], maxsteps=2000, extraprec=8 * order + 200)
    return [mp.mpc(root) for root in roots if is_real(mp.mpc(root)) or mp.im(root) > 0]


def inner_root(y):
    """The z with y = (2 - z - 1/z) / 4 inside the unit circle."""
    half = 1 - 2 * y
    offset = mp.sqrt(half * half - 1)
    return min(half + offset, half - offset, key=abs)


def scaling_filter_daubechies(published):
    """db and sym: (1 + z)^N and one of each reciprocal pair of roots, the one the published filter has."""
    order = len(published) // 2
    chosen = []
    for y in daubechies_roots(order):
        inside = inner_root(y)
        outside = 1 / inside
        here = abs(evaluate(published, inside))
        there = abs(evaluate(published, outside)) * abs(inside) ** (len(published) - 1)
        chosen.append(inside if here < there else outside)
    return normalised(multiply(power([1, 1], order), from_roots(chosen)))


def scaling_filter_coiflet(published):
    """coif: Newton's method from the published digits on the equations of `coiflet_equations`."""
    taps = [mpf(tap) for tap in published]
    for _ in range(12):
        values, jacobian = coiflet_equations(taps)
        step = mp.lu_solve(mp.matrix(jacobian), mp.matrix(values))
        taps = [tap - change for tap, change in zip(taps, step)]
        if mp.norm(step, mp.inf) < RESIDUAL:
            return taps
    raise ArithmeticError(f"no convergence for {len(taps)} taps")


def coiflet_equations(taps):
    """Orthonormality (3N equations), 2N wavelet moments and the N odd scaling moments below 2N, for 6N taps.

    The even scaling moments follow from these.
    """
    count = len(taps)
    order = count // 6
    positions = centred_positions(taps)
    values, jacobian = [], []
    for shift in range(0, count, 2):
        values.append(correlation(taps, taps, shift) - (1 if shift == 0 else 0))
        jacobian.append(
            [
                (taps[k + shift] if k + shift < count else 0) + (taps[k - shift] if k >= shift else 0)
                for k in range(count)
            ]
        )
    for exponent in range(2 * order):
        jacobian.append([(-1) ** k * position**exponent for k, position in enumerate(positions)])
    for exponent in range(1, 2 * order, 2):
        jacobian.append([position**exponent for position in positions])
    for row in jacobian[len(values) :]:
        values.append(mp.fdot(row, taps))
    return values, jacobian


def centred_positions(taps):
    """Each tap's place from the filter's centre of mass, an integer for a coiflet, in units of its length."""
    centre = int(mp.nint(mp.fdot(range(len(taps)), taps) / mp.sqrt(2)))
    return [mpf(k - centre) / len(taps) for k in range(len(taps))]


def biorthogonal_filters(wavelet):
    """bior Nr.Nd (Cohen, Daubechies, Feauveau 1992): dec_lo and rec_lo.

    Up to 3.9 the synthesis filter is a spline's and all of P goes to the analysis filter; from 4.4 on P's
    roots are shared out, each to the filter that has it in the published table.
    """
    synthesis_zeros, analysis_zeros = biorthogonal_zeros(wavelet.name)
    order = (synthesis_zeros + analysis_zeros) // 2
    if synthesis_zeros <= 3:
        synthesis, analysis = [mpf(1)], daubechies_polynomial(order)
    else:
        roots = daubechies_roots(order)
        shared = {True: [], False: []}
        for y in roots:
            at = inner_root(y)
            in_synthesis = abs(evaluate(wavelet.rec_lo, at)) < abs(evaluate(wavelet.dec_lo, at))
            shared[in_synthesis].append(y)
        synthesis, analysis = from_roots(shared[True]), from_roots(shared[False])
    return (
        placed_like(wavelet.dec_lo, symmetric_filter(analysis_zeros, analysis)),
        placed_like(wavelet.rec_lo, symmetric_filter(synthesis_zeros, synthesis)),
    )


def biorthogonal_zeros(name):
    """Zeros at z = -1 of rec_lo and dec_lo.

    These are the two numbers of the name but for 5.5, whose filters have an odd number of taps and so an even
    number of zeros: 6 and 4.
    """
    if name == "bior5.5":
        return 6, 4
    return tuple(int(digit) for digit in re.findall(r"\d", name))


def symmetric_filter(zeros, in_y):
    """(1 + z)^zeros times a polynomial in y = -(1 - z)^2 / 4z, cleared of negative powers of z."""
    degree = len(in_y) - 1
    y_times_z = [mpf(-1) / 4, mpf(1) / 2, mpf(-1) / 4]
    in_z = [mpf(0)] * (2 * degree + 1)
    for k, coefficient in enumerate(in_y):
        for i, term in enumerate(power(y_times_z, k)):
            in_z[degree - k + i] += coefficient * term
    return normalised(multiply(power([1, 1], zeros), in_z))


def placed_like(published, taps):
    """Padded with the zeros that the published filter has on either side."""
    used = [k for k, tap in enumerate(published) if tap != 0]
    assert len(taps) == used[-1] - used[0] + 1
    before = [mpf(0)] * used[0]
    return before + taps + [mpf(0)] * (len(published) - len(taps) - len(before))


def exact_low_pass(wavelet):
    """dec_lo and rec_lo."""
    family = wavelet.short_family_name
    if family == "bior":
        return biorthogonal_filters(wavelet)
    if family == "dmey":  # its table defines it
        scaling = [mpf(tap) for tap in wavelet.rec_lo]
    elif family == "coif":
        scaling = scaling_filter_coiflet(wavelet.rec_lo)
    else:
        scaling = scaling_filter_daubechies(wavelet.rec_lo)
    return scaling[::-1], scaling


# Checks


def correlation(a, b, shift):
    return mp.fdot((a[k], b[k - shift]) for k in range(max(0, shift), min(len(a), len(b) + shift)))


def wavelet_moment(low_pass, exponent):
    """Of the high-pass filter that a low-pass filter gives by alternating signs."""
    count = len(low_pass)
    return mp.fdot(((-1) ** k * (mpf(k) / count) ** exponent, tap) for k, tap in enumerate(low_pass))


def check_equations(wavelet, dec_lo, rec_lo):
    family = wavelet.short_family_name
    synthesis_zeros = analysis_zeros = wavelet.vanishing_moments_psi
    if family == "bior":
        synthesis_zeros, analysis_zeros = biorthogonal_zeros(wavelet.name)
    residuals = [mp.fsum(low_pass) - mp.sqrt(2) for low_pass in (dec_lo, rec_lo)]
    for shift in range(2 - len(rec_lo), len(rec_lo), 2):
        residuals.append(correlation(rec_lo, dec_lo[::-1], shift) - (1 if shift == 0 else 0))
    residuals += [wavelet_moment(rec_lo, exponent) for exponent in range(synthesis_zeros)]
    residuals += [wavelet_moment(dec_lo, exponent) for exponent in range(analysis_zeros)]
    if family == "coif":
        positions = centred_positions(rec_lo)
        for exponent in range(1, wavelet.vanishing_moments_phi + 1):
            residuals.append(mp.fdot((position**exponent, tap) for position, tap in zip(positions, rec_lo)))
    worst = max(abs(residual) for residual in residuals)
    assert worst < RESIDUAL, f"{wavelet.name}: the equations are off by {mp.nstr(worst, 3)}"


def rounded(name, taps):
    result = [float(tap) for tap in taps]
    for tap, exact in zip(result, taps):
        neighbours = (math.nextafter(tap, -math.inf), math.nextafter(tap, math.inf))
        error = abs(mpf(tap) - exact)
        assert all(error <= abs(mpf(other) - exact) for other in neighbours), f"{name}: {tap!r} is not the nearest f64"
    return result


def high_pass(dec_lo, rec_lo):
    """dec_hi and rec_hi."""
    return (
        [tap if k % 2 else -tap for k, tap in enumerate(rec_lo)],
        [-tap if k % 2 else tap for k, tap in enumerate(dec_lo)],
    )


def filter_bank(dec_lo, rec_lo):
    """In PyWavelets' order."""
    dec_hi, rec_hi = high_pass(dec_lo, rec_lo)
    return numpy.array([dec_lo, dec_hi, rec_lo, rec_hi], dtype=numpy.float64)


def difference(name, bank, published):
    """The largest difference from PyWavelets' four filters, refused if it is beyond the family's."""
    largest = float(numpy.abs(bank - numpy.array(published.filter_bank)).max())
    family = published.short_family_name.replace("rbio", "bior")
    assert largest <= LARGEST_DIFFERENCE[family], f"{name}: {largest:.1e} from PyWavelets' filter"
    return largest


def solve_all():
    """Name to (dec_lo, rec_lo) as f64, of all but the rbio wavelets, which are bior's with the roles exchanged."""
    low_pass = {}
    furthest = {}
    for name in pywt.wavelist(kind="discrete"):
        wavelet = pywt.Wavelet(name)
        family = wavelet.short_family_name
        if family == "rbio":
            analysis, synthesis = low_pass[name.replace("rbio", "bior")]
            pair = synthesis[::-1], analysis[::-1]
        else:
            exact = exact_low_pass(wavelet)
            if family != "dmey":
                check_equations(wavelet, *exact)
            pair = tuple(rounded(name, taps) for taps in exact)
            low_pass[name] = pair
        largest = difference(name, filter_bank(*pair), wavelet)
        furthest[family] = max(furthest.get(family, (0.0, "")), (largest, name))
    for family, (largest, name) in furthest.items():
        print(f"{family}: PyWavelets' taps are within {largest:.1e} of the exact ones ({name})")
    return low_pass


def check_against_peft(low_pass):
    """PEFT's taps after rounding to f32 against ours; prints what differs. Its coif5 has 48 taps and cannot run."""
    for name in peft_wavelist():
        if name in ("coif4", "coif5"):
            continue
        theirs = PeftWavelet(name)
        bank = filter_bank(*low_pass[name])
        for row, label in ((2, "rec_lo"), (3, "rec_hi")):
            their_taps = numpy.array(getattr(theirs, label), dtype=numpy.float32)
            for k in numpy.flatnonzero(their_taps != bank[row].astype(numpy.float32)):
                print(f"PEFT's {name} {label}[{k}] is {their_taps[k]!r}, ours {numpy.float32(bank[row][k])!r}")


def peft_coif4():
    """PEFT's dec_lo and rec_lo, whose high-pass filters follow from them as everywhere else."""
    theirs = PeftWavelet("coif4")
    dec_lo, rec_lo = list(theirs.dec_lo), list(theirs.rec_lo)
    assert numpy.array_equal(filter_bank(dec_lo, rec_lo), numpy.array(theirs.filter_bank))
    assert dec_lo == rec_lo[::-1]
    return rec_lo


# Output


def constant_name(name):
    return name.upper().replace(".", "_")


def rust_array(identifier, *filters):
    """A constant with one filter, or with an array of several."""
    if len(filters) == 1:
        return f"pub(super) const {identifier}: [f64; {len(filters[0])}] = {rust_list(filters[0], '')};\n"
    rows = "".join(f"    {rust_list(taps, '    ')},\n" for taps in filters)
    return f"pub(super) const {identifier}: [[f64; {len(filters[0])}]; {len(filters)}] = [\n{rows}];\n"


def rust_list(taps, indent):
    return "[\n" + "".join(f"{indent}    {tap!r},\n" for tap in taps) + f"{indent}]"


def tables_source(low_pass):
    parts = [
        "// Made by tools/filter_banks.py; do not edit.\n"
        "//\n"
        "// Of an orthogonal wavelet the scaling filter rec_lo, of a biorthogonal one dec_lo and rec_lo; rbio's are\n"
        "// bior's reversed and exchanged.\n"
        "// Every tap but dmey's and PEFT's is the f64 nearest the exact value.\n"
    ]
    for name, (dec_lo, rec_lo) in low_pass.items():
        if name == "haar":  # db1 by another name
            continue
        filters = (dec_lo, rec_lo) if name.startswith("bior") else (rec_lo,)
        parts.append(rust_array(constant_name(name), *filters))
    parts.append(rust_array("PEFT_COIF4", peft_coif4()))
    return "\n".join(parts).encode()


def goldens():
    """PyWavelets' four filters by name, (4, taps) in f64; PEFT's, under peft/ and the name.

    The metadata's wavelist has a line for each of PyWavelets' wavelets in its order: name, orthogonal,
    vanishing moments of psi and phi.
    """
    lines = []
    for name in pywt.wavelist(kind="discrete"):
        wavelet = pywt.Wavelet(name)
        facts = (name, wavelet.orthogonal, wavelet.vanishing_moments_psi, wavelet.vanishing_moments_phi)
        lines.append(" ".join(str(fact) for fact in facts).lower())
    tensors = {name: numpy.array(pywt.Wavelet(name).filter_bank) for name in pywt.wavelist(kind="discrete")}
    for name in peft_wavelist():
        if name not in ("haar", "coif5"):
            tensors[f"peft/{name}"] = numpy.array(PeftWavelet(name).filter_bank)
    return save(tensors, metadata={"wavelist": "\n".join(lines)})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing, fail if a file differs")
    check = parser.parse_args().check

    mp.dps = DIGITS
    low_pass = solve_all()
    check_against_peft(low_pass)
    for path, content in ((TABLES, tables_source(low_pass)), (GOLDENS, goldens())):
        if check and path.read_bytes() != content:
            sys.exit(f"{path.relative_to(ROOT)} is not what this script makes")
        if not check:
            path.write_bytes(content)


if __name__ == "__main__":
    main()
