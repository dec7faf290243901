"""Draws docs/idea.svg: a spectrum of a few coefficients, and the update that they make.

The update is computed by PyWavelets (pywt.idwt2), the places by torch, so the picture is a real one.
"""

import pathlib

import numpy as np
import pywt
import torch

SIDE, COUNT, WAVELET, SEED = 48, 14, "db4", 777
CELL = 5


def color(value: float) -> str:
    """Blue for negative, red for positive, white for zero; `value` from -1 to 1."""
    strength = min(1.0, abs(value)) ** 0.7
    fade = round(255 * (1 - strength))
    red, blue = (fade, 235) if value < 0 else (225, fade)
    return f"#{red:02x}{fade:02x}{blue:02x}"


def main() -> None:
    taps = pywt.Wavelet(WAVELET).dec_len
    padded = SIDE + taps - 2
    half, offset = padded // 2, (taps - 2) // 2
    generator = torch.Generator().manual_seed(SEED)
    places = torch.randperm(SIDE * SIDE, generator=generator)[:COUNT].numpy()
    values = torch.randn(COUNT, generator=generator).numpy()
    spectrum = np.zeros((padded, padded))
    spectrum[places // SIDE + offset, places % SIDE + offset] = values
    bands = spectrum[:half, :half], spectrum[:half, half:], spectrum[half:, :half], spectrum[half:, half:]
    # PEFT's top-right band is high along the rows' axis: PyWavelets' cH.
    update = pywt.idwt2((bands[0], (bands[1], bands[2], bands[3])), WAVELET, mode="zero")[:SIDE, :SIDE]

    left, top, gap = 20, 44, 190
    right = left + padded * CELL + gap
    width, height = right + SIDE * CELL + 20, top + padded * CELL + 30
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="15">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    size = padded * CELL
    out.append(f'<rect x="{left}" y="{top}" width="{size}" height="{size}" fill="#f6f6f6" stroke="#888"/>')
    middle = half * CELL
    out.append(f'<path d="M{left + middle} {top}v{size}M{left} {top + middle}h{size}" stroke="#bbb"/>')
    for name, x, y in (("lo·lo", 0, 0), ("hi·lo", 1, 0), ("lo·hi", 0, 1), ("hi·hi", 1, 1)):
        at = f'x="{left + x * middle + 6}" y="{top + y * middle + 18}"'
        out.append(f'<text {at} fill="#999" font-size="12">{name}</text>')
    for place, value in zip(places, values):
        x = left + (place % SIDE + offset) * CELL + CELL / 2
        y = top + (place // SIDE + offset) * CELL + CELL / 2
        out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{color(value / 1.5)}" stroke="#333" stroke-width=".7"/>')
    out.append(f'<text x="{left}" y="{top - 14}">S: {COUNT} trained coefficients</text>')
    arrow = left + size + 18
    y = top + size / 2
    out.append(f'<path d="M{arrow} {y}h{gap - 44}l-9 -6m9 6l-9 6" fill="none" stroke="#333" stroke-width="2"/>')
    out.append(f'<text x="{arrow + 4}" y="{y - 14}">ΔW = scaling·R S Cᵀ</text>')
    out.append(f'<text x="{arrow + 4}" y="{y + 24}" font-size="12" fill="#555">each one an outer</text>')
    out.append(f'<text x="{arrow + 4}" y="{y + 40}" font-size="12" fill="#555">product of two filters</text>')
    shift = top + (padded - SIDE) * CELL / 2
    out.append(f'<text x="{right}" y="{top - 14}">ΔW: high rank, touched only here</text>')
    peak = np.abs(update).max()
    for i, j in np.argwhere(np.abs(update) > 0.01 * peak):
        at = f'x="{right + j * CELL}" y="{shift + i * CELL:.0f}"'
        out.append(f'<rect {at} width="{CELL}" height="{CELL}" fill="{color(1.4 * update[i, j] / peak)}"/>')
    side = SIDE * CELL
    out.append(f'<rect x="{right}" y="{shift:.0f}" width="{side}" height="{side}" fill="none" stroke="#888"/>')
    out.append("</svg>")
    target = pathlib.Path(__file__).parent.parent / "docs/idea.svg"
    target.write_text("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
