"""Factors the filter banks that reconstruct perfectly into lifting steps (Daubechies, Sweldens 1998).

Writes, the same bytes every time:
  waveft-core/src/filter_bank/factors.rs    the steps the library is built from

    python tools/lifting.py                write the file
    python tools/lifting.py --check        write nothing, fail if it differs
    python tools/lifting.py --taps FILE    print the steps of a bank of one's own, as Rust

FILE has the analysis filters dec_lo and dec_hi, a line each, of one even number of taps; the more digits, the better. The
steps go to `FilterBank::with_lifting`, which verifies them.

The analysis filters, sorted into what they take from even and from odd samples, are a 2 x 2 matrix of polynomials in
the shift z, `(z x)[k] = x[k + 1]`. A lifting step adds a polynomial times one of the arrays to the other, and so
subtracts that polynomial times one column of the matrix from the other column. Each step is a quotient of Euclid's
division within a row, one or two taps of it, chosen to cancel two coefficients: both at the low end, both at the high
end, or one at each. Which ends, is what decides between coefficients about 1 and coefficients of 3e9, so a beam search
tries them all and keeps at every number of taps the WIDTH choices that lose least to rounding:

  - Each step rounds the array it adds to. Of white noise that array's values have the energy of its row of the product
    of the steps so far, and what is left of the matrix passes the rounding on with the energy of its column. The sum of
    these products over the steps, for analysis and for its inverse, is a choice's noise.
  - Of the complete factorisations with the fewest multiplications, and of these with the fewest steps, those with at most
    NEAR times the least noise remain, and the one of them with the smallest largest coefficient is taken.

All of it is done with the exact taps, to DIGITS decimal digits, for division loses most of them: rounding comes last.
What is checked:
  - the steps' product is the analysis matrix to 1e-180;
  - none of the four operators needs an entry that direct convolution does not (`reach`);
  - each number is the f64 nearest the exact one.
dmey and PEFT's coif4 do not reconstruct perfectly and so have no such factors.
"""

import argparse
import collections
import math
import pathlib
import sys

import pywt
from filter_banks import DIGITS, ROOT, check_equations, constant_name, exact_low_pass, high_pass, rounded
from mpmath import mp, mpf

FACTORS = ROOT / "waveft-core/src/filter_bank/factors.rs"
ZERO = mpf(10) ** -150  # what is below it has been cancelled; of taps of few digits much more is
RESIDUAL = mpf(10) ** -180
# Of taps of one's own: how far they may be from reconstruction, and their steps from the taps.
OWN_INEXACT = mpf(10) ** -8
OWN_RESIDUAL = mpf(10) ** -9
WIDTH = 100
NEAR = 1.15

# Steps are triples: the array added to (0 even, 1 odd), the shift, and one or two taps:
# target[k] += taps[0] * source[k + shift] + taps[1] * source[k + shift + 1].


def exact_banks():
    """Name to (dec_lo, rec_lo), of all that reconstruct perfectly."""
    banks = {}
    for name in pywt.wavelist(kind="discrete"):
        wavelet = pywt.Wavelet(name)
        family = wavelet.short_family_name
        if family == "rbio":
            analysis, synthesis = banks[name.replace("rbio", "bior")]
            banks[name] = synthesis[::-1], analysis[::-1]
        elif name not in ("haar", "dmey"):  # haar is db1 by another name
            banks[name] = exact_low_pass(wavelet)
            check_equations(wavelet, *banks[name])
    return banks


def analysis_matrix(dec_lo, rec_lo):
    """Rows approximation and detail, columns even and odd, each entry the coefficients of z^0, z^1, ..."""
    dec_hi, _ = high_pass(dec_lo, rec_lo)
    return [[mp_list(filter[::-1][phase::2]) for phase in (0, 1)] for filter in (dec_lo, dec_hi)]


def mp_list(values):
    return [mpf(value) for value in values]


def hull(polynomial):
    """The lowest and the highest power, None of zero."""
    powers = [power for power, coefficient in enumerate(polynomial) if coefficient != 0]
    return (powers[0], powers[-1]) if powers else None


def before(matrix, step):
    """The matrix for which this one is left after the step, or None if it has a power that the filters have not."""
    target, shift, taps = step
    result = []
    for row in matrix:
        unchanged, changed = row[target], list(row[1 - target])
        for offset, tap in enumerate(taps, shift):
            for power, coefficient in enumerate(unchanged, offset):
                if coefficient != 0:
                    if not 0 <= power < len(changed):
                        return None
                    changed[power] -= tap * coefficient
        changed = [coefficient if abs(coefficient) > ZERO else mpf(0) for coefficient in changed]
        result.append([unchanged, changed] if target == 0 else [changed, unchanged])
    return result


def quotients(matrix, single):
    """The steps that cancel ends of an entry with its neighbour's in the row; of one tap only if asked for."""
    for target in (0, 1):
        for row in matrix:
            divisor, dividend = row[target], row[1 - target]
            if hull(divisor) is None or hull(dividend) is None:
                continue
            (low, high), (divisor_low, divisor_high) = hull(dividend), hull(divisor)
            excess = (high - low) - (divisor_high - divisor_low)
            if excess < 0:
                continue
            at_low = dividend[low] / divisor[divisor_low]
            at_high = dividend[high] / divisor[divisor_high]
            if single or excess == 0:
                yield target, low - divisor_low, (at_low,)
                yield target, high - divisor_high, (at_high,)
            if excess == 1:
                yield target, low - divisor_low, (at_low, at_high)
            if excess >= 1:
                next_divisor = divisor[divisor_low + 1] if divisor_low < divisor_high else mpf(0)
                second = (dividend[low + 1] - at_low * next_divisor) / divisor[divisor_low]
                yield target, low - divisor_low, (at_low, second)
                next_divisor = divisor[divisor_high - 1] if divisor_low < divisor_high else mpf(0)
                second = (dividend[high - 1] - at_high * next_divisor) / divisor[divisor_high]
                yield target, high - divisor_high - 1, (second, at_high)


def trimmed(step):
    """Without taps that are zero, None if none is left."""
    target, shift, taps = step
    kept = [offset for offset, tap in enumerate(taps) if abs(tap) > ZERO]
    return (target, shift + kept[0], tuple(taps[kept[0] : kept[-1] + 1])) if kept else None


def energy(polynomials):
    return math.fsum(float(coefficient) ** 2 for polynomial in polynomials for coefficient in polynomial)


class Factors:
    """Steps, and the matrix that is left once they are done."""

    def __init__(self, matrix):
        self.matrix = matrix
        self.steps = []
        self.noise = 0.0
        # What the steps so far make of the samples: a dictionary from power to coefficient for array and phase.
        self.product = [[{0: 1.0}, {}], [{}, {0: 1.0}]]

    def then(self, step):
        matrix = before(self.matrix, step)
        if matrix is None:
            return None
        result = Factors(matrix)
        result.steps = self.steps + [step]
        target, shift, taps = step
        changed = [dict(polynomial) for polynomial in self.product[target]]
        for polynomial, source in zip(changed, self.product[1 - target]):
            for offset, tap in enumerate(taps, shift):
                for power, coefficient in source.items():
                    polynomial[power + offset] = polynomial.get(power + offset, 0.0) + float(tap) * coefficient
        result.product = [changed, self.product[1]] if target == 0 else [self.product[0], changed]
        rows = [energy(polynomial.values() for polynomial in row) for row in result.product]
        columns = [energy(row[column] for row in matrix) for column in (0, 1)]
        # The matrix is unimodular: its inverse has the columns exchanged for rows.
        result.noise = self.noise + rows[0] * columns[0] + rows[1] * columns[1]
        return result

    def taps(self):
        return sum(len(taps) for _, _, taps in self.steps)

    def largest(self):
        return max(abs(float(tap)) for _, _, taps in self.steps for tap in taps)

    def key(self):
        """The same for the same matrix, however it was come by."""
        return tuple(f"{float(value):.9e}" for row in self.matrix for entry in row for value in entry)

    def completed(self):
        """With the matrix made diagonal, if an entry off the diagonal is zero already and those on it are monomials."""
        hulls = [[hull(entry) for entry in row] for row in self.matrix]
        diagonal = hulls[0][0], hulls[1][1]
        if (hulls[0][1] and hulls[1][0]) or any(entry is None or entry[0] != entry[1] for entry in diagonal):
            return None
        result = self
        for row in (0, 1):
            at = diagonal[row][0]
            scale = self.matrix[row][row][at]
            remaining = self.matrix[row][1 - row]
            power = 0
            while power < len(remaining):
                pair = (power, power + 1) if remaining[power + 1 : power + 2] not in ([], [0]) else (power,)
                if remaining[power] != 0:
                    result = result.then((row, power - at, tuple(remaining[k] / scale for k in pair)))
                power += len(pair) if remaining[power] != 0 else 1
        return result

    def offsets(self):
        """Where the first approximation is in the even array and the first detail in the odd one."""
        return [hull(self.matrix[row][row])[0] for row in (0, 1)]

    def scales(self):
        return [self.matrix[row][row][at] for row, at in enumerate(self.offsets())]


def factorisations(matrix, taps, biorthogonal):
    """All that the beam ends with. Filters of `taps` taps need no more than as many in the steps.

    Steps of one tap come first and last; elsewhere they make more passes for as many multiplications, and only
    biorthogonal filters, where one row may be far shorter than the other, are better off with some.
    """
    beams = {0: {(): Factors(matrix)}}
    complete = []
    for used in range(taps + 1):
        for factors in sorted(beams.pop(used, {}).values(), key=lambda factors: factors.noise)[:WIDTH]:
            completed = factors.completed()
            if completed:
                complete.append(completed)
                continue
            for step in quotients(factors.matrix, single=biorthogonal):
                step = trimmed(step)
                if step is None or (factors.steps and factors.steps[-1][0] == step[0]):
                    continue
                following = factors.then(step)
                if following:
                    beam = beams.setdefault(following.taps(), {})
                    known = beam.setdefault(following.key(), following)
                    if following.noise < known.noise:
                        beam[following.key()] = following
    return complete


def best(complete):
    fewest = min((factors.taps(), len(factors.steps)) for factors in complete)
    candidates = [factors for factors in complete if (factors.taps(), len(factors.steps)) == fewest]
    least = min(factors.noise for factors in candidates)
    near = [factors for factors in candidates if factors.noise <= NEAR * least]
    # Exchanging even and odd gives a factorisation with the same coefficients: the rounding must not choose.
    return min(near, key=lambda factors: (round(factors.largest(), 6), -abs(factors.scales()[0])))


# Checks


def check_product(name, factors, matrix):
    """The diagonal times the steps against the analysis matrix."""
    product = [[{0: mpf(1)}, {}], [{}, {0: mpf(1)}]]
    for target, shift, taps in factors.steps:
        for column in (0, 1):
            for offset, tap in enumerate(taps, shift):
                for power, coefficient in product[1 - target][column].items():
                    entry = product[target][column]
                    entry[power + offset] = entry.get(power + offset, mpf(0)) + tap * coefficient
    for row, (at, scale) in enumerate(zip(factors.offsets(), factors.scales())):
        for column in (0, 1):
            entry = {power + at: scale * coefficient for power, coefficient in product[row][column].items()}
            for power in set(entry) | set(range(len(matrix[row][column]))):
                exact = matrix[row][column][power] if 0 <= power < len(matrix[row][column]) else 0
                assert abs(entry.get(power, 0) - exact) < RESIDUAL, f"{name}: the steps make another filter"


def transposed(step):
    target, shift, taps = step
    return 1 - target, 1 - shift - len(taps), taps[::-1]


def reach(steps, wanted):
    """The least and the greatest index, in either array, that entry `wanted` (array, index) comes from."""
    needed = [set(), set()]
    needed[wanted[0]].add(wanted[1])
    for target, shift, taps in reversed(steps):
        for index in needed[target]:
            needed[1 - target].update(range(index + shift, index + shift + len(taps)))
    return min(needed[0] | needed[1]), max(needed[0] | needed[1])


def check_reach(name, factors, half):
    """Coefficient k from no sample before k and none from k + L/2 on, pair of samples k from no coefficient after k and
    none up to k - L/2, in both directions."""
    at = factors.offsets()
    assert sum(at) == half - 1, name
    gathering = factors.steps, [transposed(step) for step in factors.steps]
    for steps in gathering:
        for phase in (0, 1):
            first, last = reach(steps, (phase, at[phase]))
            assert 0 <= first and last < half, f"{name}: reaches from {first} to {last}"
    for steps in ([transposed(step) for step in reversed(factors.steps)], factors.steps[::-1]):
        # Coefficients as they lie in the two arrays: from one to the other the index changes by the offsets' difference.
        framed = [(target, shift + at[target] - at[1 - target], taps) for target, shift, taps in steps]
        for phase in (0, 1):
            first, last = reach(framed, (phase, half - 1 - at[phase]))
            assert 0 <= first and last < half, f"{name}: reaches back from {first} to {last}"


# Output


def factors_source(chosen):
    parts = [
        "// Made by tools/lifting.py; do not edit.\n"
        "//\n"
        "// Every number is the f64 nearest the exact value. A step of one tap has a zero for the second.\n"
        "\n"
        "use crate::lifting::{Factors, even, odd};\n"
    ]
    for name, factors in chosen.items():
        scales = factors.scales()
        steps = "".join(
            f"        {('even', 'odd')[target]}({shift}, {', '.join(map(repr, (rounded(name, taps) + [0.0])[:2]))}),\n"
            for target, shift, taps in factors.steps
        )
        parts.append(
            f"pub(super) const {constant_name(name)}: Factors<{len(factors.steps)}> = Factors {{\n"
            f"    offsets: {factors.offsets()},\n"
            f"    scales: {rounded(name, scales)},\n"
            f"    inverse_scales: {rounded(name, [1 / scale for scale in scales])},\n"
            f"    steps: [\n{steps}    ],\n"
            "};\n"
        )
    return "\n".join(parts).encode()


def own_filters(path):
    lines = [line.replace(",", " ").split() for line in path.read_text().splitlines() if line.strip()]
    if len(lines) != 2 or len(lines[0]) != len(lines[1]) or len(lines[0]) % 2 or not lines[0]:
        sys.exit(f"expected two lines of one even number of taps, found lines of {[len(line) for line in lines]}")
    return [mp_list(line) for line in lines]


def inexactness(matrix):
    """How far the determinant is from one power of the shift, as a share of that: 0 of filters that can be inverted."""
    determinant = collections.Counter()
    for sign, first, second in ((1, matrix[0][0], matrix[1][1]), (-1, matrix[0][1], matrix[1][0])):
        for power, coefficient in enumerate(first):
            for offset, other in enumerate(second, power):
                determinant[offset] += sign * coefficient * other
    *others, largest = sorted(map(abs, determinant.values()))
    return others[-1] / largest if others else mpf(0)


def print_own(path):
    """The steps of a bank in a file, as a constant."""
    global ZERO, RESIDUAL
    dec_lo, dec_hi = own_filters(path)
    matrix = [[filter[::-1][phase::2] for phase in (0, 1)] for filter in (dec_lo, dec_hi)]
    inexact = inexactness(matrix)
    if inexact > OWN_INEXACT:
        sys.exit(f"the filters reconstruct to {mp.nstr(inexact, 2)} only, where {mp.nstr(OWN_INEXACT, 1)} is needed")
    ZERO, RESIDUAL = max(ZERO, inexact * 1000), OWN_RESIDUAL
    complete = factorisations(matrix, len(dec_lo), biorthogonal=True)
    if not complete:
        sys.exit("no steps found: the taps have too few digits for their number")
    factors = best(complete)
    check_product(path, factors, matrix)
    check_reach(path, factors, len(dec_lo) // 2)
    scales = factors.scales()
    print(f"// {factors.taps() + 2} multiplications, largest coefficient {factors.largest():.3f}.")
    print(f"const STEPS: [Step<f64>; {len(factors.steps)}] = [")
    for target, shift, taps in factors.steps:
        taps = (rounded(path, taps) + [0.0])[:2]
        print(f"    Step::new(Phase::{('Even', 'Odd')[target]}, {shift}, {taps}),")
    print("];")
    print("const LIFTING: Lifting<'static, f64> = Lifting::new(")
    print(f"    {factors.offsets()},")
    print(f"    {rounded(path, scales)},")
    print(f"    {rounded(path, [1 / scale for scale in scales])},")
    print("    &STEPS,\n);")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing, fail if the file differs")
    parser.add_argument("--taps", metavar="FILE", type=pathlib.Path, help="print the steps of the filters in a file")
    arguments = parser.parse_args()
    check = arguments.check

    mp.dps = DIGITS
    if arguments.taps:
        print_own(arguments.taps)
        return
    chosen = {}
    for name, (dec_lo, rec_lo) in exact_banks().items():
        matrix = analysis_matrix(dec_lo, rec_lo)
        biorthogonal = name.startswith(("bior", "rbio"))
        factors = best(factorisations(matrix, len(dec_lo), biorthogonal))
        check_product(name, factors, matrix)
        check_reach(name, factors, len(dec_lo) // 2)
        chosen[name] = factors
        print(
            f"{name}: {len(dec_lo)} taps, {factors.taps() + 2} multiplications in {len(factors.steps)} steps, "
            f"largest coefficient {factors.largest():.3f}, noise {factors.noise:.1f}",
            flush=True,
        )
    content = factors_source(chosen)
    if check and FACTORS.read_bytes() != content:
        sys.exit(f"{FACTORS.relative_to(ROOT)} is not what this script makes")
    if not check:
        FACTORS.write_bytes(content)


if __name__ == "__main__":
    main()
