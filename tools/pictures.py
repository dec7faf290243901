"""Draws the pictures of waveft_core's guide, waveft-core/src/guide/*.svg.

What they show is computed: filters and synthesis by PyWavelets, places by torch. Each begins with a tag on a line of its own and
has no empty line, so that it can stand in a documentation comment.
"""

import pathlib
import sys

import numpy as np
import pywt
import torch

FOLDER = pathlib.Path(__file__).parent.parent / "waveft-core/src/guide"
INK, GREY = "#333", "#888"


def color(value: float) -> str:
    """Blue for negative, red for positive, white for zero; `value` from -1 to 1."""
    strength = min(1.0, abs(value)) ** 0.7
    fade = round(255 * (1 - strength))
    red, blue = (fade, 235) if value < 0 else (225, fade)
    return f"#{red:02x}{fade:02x}{blue:02x}"


class Picture:
    """Lines of an SVG file."""

    def __init__(self, width: float, height: float) -> None:
        self.lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="15">',
            f'<rect width="{width}" height="{height}" fill="white"/>',
        ]

    def rect(self, x: float, y: float, width: float, height: float, fill: str, stroke: str = "none") -> None:
        place = f'x="{x:.5g}" y="{y:.5g}" width="{width:.5g}" height="{height:.5g}"'
        self.lines.append(f'<rect {place} fill="{fill}" stroke="{stroke}"/>')

    def line(self, path: str, stroke: str = INK, width: float = 1) -> None:
        self.lines.append(f'<path d="{path}" fill="none" stroke="{stroke}" stroke-width="{width}"/>')

    def dot(self, x: float, y: float, radius: float, fill: str) -> None:
        self.lines.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{fill}" stroke="{INK}" stroke-width=".7"/>')

    def text(self, x: float, y: float, text: str, size: int = 15, fill: str = "#000", anchor: str = "start") -> None:
        at = f'x="{x:.5g}" y="{y:.5g}" text-anchor="{anchor}" font-size="{size}"'
        self.lines.append(f'<text {at} fill="{fill}">{text}</text>')

    def cells(self, x: float, y: float, side: float, values: np.ndarray) -> None:
        """A matrix of values from -1 to 1; those near zero are left white."""
        for i, j in np.argwhere(np.abs(values) > 0.01):
            self.rect(x + j * side, y + i * side, side, side, color(values[i, j]))

    def save(self, name: str) -> None:
        (FOLDER / name).write_text("\n".join([*self.lines, "</svg>"]) + "\n")


def idea() -> None:
    """A spectrum of a few coefficients, and the update that they make."""
    edge, count, wavelet, cell = 48, 14, "db4", 5
    taps = pywt.Wavelet(wavelet).dec_len
    padded = edge + taps - 2
    half, offset = padded // 2, (taps - 2) // 2
    generator = torch.Generator().manual_seed(777)
    places = torch.randperm(edge * edge, generator=generator)[:count].numpy()
    values = torch.randn(count, generator=generator).numpy()
    spectrum = np.zeros((padded, padded))
    spectrum[places // edge + offset, places % edge + offset] = values
    bands = spectrum[:half, :half], spectrum[:half, half:], spectrum[half:, :half], spectrum[half:, half:]
    # PEFT's top-right band is high along the rows' axis: PyWavelets' cH.
    update = pywt.idwt2((bands[0], (bands[1], bands[2], bands[3])), wavelet, mode="zero")[:edge, :edge]

    left, top, gap = 20, 44, 190
    right, size, middle = left + padded * cell + gap, padded * cell, half * cell
    picture = Picture(right + edge * cell + 20, top + size + 30)
    picture.rect(left, top, size, size, "#f6f6f6", GREY)
    picture.line(f"M{left + middle} {top}v{size}M{left} {top + middle}h{size}", "#bbb")
    for name, x, y in (("lo·lo", 0, 0), ("hi·lo", 1, 0), ("lo·hi", 0, 1), ("hi·hi", 1, 1)):
        picture.text(left + x * middle + 6, top + y * middle + 18, name, 12, "#999")
    for place, value in zip(places, values):
        x, y = place % edge + offset + 0.5, place // edge + offset + 0.5
        picture.dot(left + x * cell, top + y * cell, 4.5, color(value / 1.5))
    picture.text(left, top - 14, f"S: {count} trained coefficients")
    arrow, y = left + size + 18, top + size / 2
    picture.line(f"M{arrow} {y}h{gap - 44}l-9 -6m9 6l-9 6", width=2)
    picture.text(arrow + 4, y - 14, "ΔW = scaling·R S Cᵀ")
    picture.text(arrow + 4, y + 24, "each one an outer", 12, "#555")
    picture.text(arrow + 4, y + 40, "product of two filters", 12, "#555")
    shift = top + (padded - edge) * cell / 2
    picture.text(right, top - 14, "ΔW: high rank, touched only here")
    picture.cells(right, shift, cell, update / np.abs(update).max())
    picture.rect(right, shift, edge * cell, edge * cell, "none", GREY)
    picture.save("idea.svg")


def atoms() -> None:
    """The four atoms of one position: the outer products of a row filter and a column filter."""
    wavelet, cell, bar = pywt.Wavelet("db4"), 14, 44
    taps, gap, left, top = wavelet.dec_len, 24, 20, 40
    width = bar + taps * cell
    picture = Picture(2 * left + 4 * width + 3 * gap, top + bar + taps * cell + 20)
    names = {"lo": wavelet.rec_lo, "hi": wavelet.rec_hi}
    quarters = (("lo", "lo", "top left"), ("hi", "lo", "top right"), ("lo", "hi", "bottom left"), ("hi", "hi", "bottom right"))
    for index, (row, column, quarter) in enumerate(quarters):
        x, y = left + index * (width + gap), top
        down, across = np.array(names[row]), np.array(names[column])
        atom = np.outer(down, across)
        picture.text(x, y - 16, f"{row} · {column}: {quarter}")
        for k in range(taps):
            # The bars stand on the atom's edges, the positive ones away from it.
            height = across[k] * 0.5 * bar
            middle = y + bar * 0.55
            picture.rect(x + bar + k * cell + 2, middle - max(height, 0), cell - 4, abs(height), color(across[k]))
            length = down[k] * 0.5 * bar
            middle = x + bar * 0.55
            picture.rect(middle - max(length, 0), y + bar + k * cell + 2, abs(length), cell - 4, color(down[k]))
        picture.line(f"M{x + bar} {y + bar * 0.55:.5g}h{taps * cell}M{x + bar * 0.55:.5g} {y + bar}v{taps * cell}", "#bbb")
        picture.cells(x + bar, y + bar, cell, atom / np.abs(atom).max())
        picture.rect(x + bar, y + bar, taps * cell, taps * cell, "none", GREY)
    picture.save("atoms.svg")


def products() -> None:
    """What a token goes through, forward and backward."""
    picture = Picture(820, 262)
    heights = {"x": 120, "Cᵀx": 132, "S Cᵀx": 108, "y": 96}
    places = {"x": 40, "Cᵀx": 240, "S Cᵀx": 540, "y": 740}
    shapes = {"x": "N", "Cᵀx": "Q", "S Cᵀx": "P", "y": "M"}
    middle = 110
    for name, x in places.items():
        height = heights[name]
        picture.rect(x, middle - height / 2, 26, height, "#eef2fb", GREY)
        picture.text(x + 13, middle - height / 2 - 10, name, anchor="middle")
        picture.text(x + 13, middle + 5, shapes[name], 13, "#555", "middle")
    left, right = 330, 470
    top, bottom = middle - heights["S Cᵀx"] / 2, middle + heights["S Cᵀx"] / 2
    picture.rect(left, top, right - left, bottom - top, "#f6f6f6", GREY)
    picture.text((left + right) / 2, top - 10, "S, n coefficients", anchor="middle")
    noise = np.random.default_rng(777)
    for x, y, value in zip(noise.uniform(left + 8, right - 8, 14), noise.uniform(top + 8, bottom - 8, 14), noise.normal(size=14)):
        picture.dot(x, y, 4.5, color(value / 1.5))
    arrows = ((74, 232, "analyse", "O(N L)"), (274, 322, "", ""), (478, 532, "", ""), (574, 732, "synthesise", "O(M L)"))
    for start, end, above, below in arrows:
        picture.line(f"M{start} {middle}h{end - start}l-9 -6m9 6l-9 6", width=2)
        picture.text((start + end) / 2, middle - 12, above, 14, anchor="middle")
        picture.text((start + end) / 2, middle + 24, below, 13, "#555", "middle")
    picture.text((left + right) / 2, bottom + 22, "O(n)", 13, "#555", "middle")
    picture.line("M766 230H50l9 -6m-9 6l9 6", "#b33", 2)
    picture.text(410, 220, "backward: the same with R and C exchanged, dy in and dx out", 14, "#b33", "middle")
    picture.text(410, 250, "∂loss/∂c = scaling · Σ (Rᵀdy)[row] · (Cᵀx)[column]: n numbers, no dL/dW", 13, "#b33", "middle")
    picture.save("products.svg")


if __name__ == "__main__":
    if len(sys.argv) != 1:
        sys.exit(__doc__)
    idea()
    atoms()
    products()
