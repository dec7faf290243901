"""Draws cost against size, both axes logarithmic, as an SVG."""

import math

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 860, 480, 64, 150, 48, 56
COLORS = {"haar": "#0072b2", "db4": "#d55e00", "sym8": "#009e73", "copying": "#666666"}


def plot(lengths, curves):
    """`curves`: a name, as in `waveft db4`, and the ns a sample at each length."""
    costs = [cost for curve in curves.values() for cost in curve]
    low, high = math.floor(math.log10(min(costs))), math.ceil(math.log10(max(costs)))
    first, last = math.log2(lengths[0]), math.log2(lengths[-1])

    def across(length):
        return LEFT + (math.log2(length) - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    def down(cost):
        return TOP + (high - math.log10(cost)) / (high - low) * (HEIGHT - TOP - BOTTOM)

    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13">',
        "<title>ns a sample of the one-level forward transform against the length of the line</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="26" font-size="16">One level forward, f32, one thread: ns a sample against samples</text>',
    ]
    for power in range(low, high + 1):
        for digit in (1, 2, 5) if power < high else (1,):
            y = down(digit * 10**power)
            out.append(f'<path d="M{LEFT} {y:.1f}H{right}" stroke="#dddddd"/>')
            out.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{digit * 10.0**power:g}</text>')
    for length in lengths:
        x = across(length)
        out.append(f'<path d="M{x:.1f} {TOP}V{bottom}" stroke="#eeeeee"/>')
        power = f'2<tspan dy="-5" font-size="9">{length.bit_length() - 1}</tspan>'
        out.append(f'<text x="{x:.1f}" y="{bottom + 20}" text-anchor="middle">{power}</text>')
    out.append(f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 14}" text-anchor="middle">samples</text>')
    labels = []
    for name, curve in curves.items():
        side, _, wavelet = name.partition(" ")
        dash = {"waveft": "", "copying": ' stroke-dasharray="2 3"'}.get(side, ' stroke-dasharray="7 4"')
        color = COLORS[wavelet or side]
        points = " ".join(f"{across(length):.1f},{down(cost):.1f}" for length, cost in zip(lengths, curve))
        out.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2"{dash}/>')
        labels.append((down(curve[-1]), name, color))
    # Beside the ends of the lines, but not on one another.
    y = 0.0
    for at, name, color in sorted(labels):
        y = max(at, y + 16)
        out.append(f'<text x="{right + 8}" y="{y + 4:.1f}" fill="{color}">{name}</text>')
    return "\n".join([*out, "</svg>", ""])
