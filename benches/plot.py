"""Draws cost against size, both axes logarithmic, as an SVG."""

import math
import statistics

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 860, 480, 64, 150, 48, 56
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#666666")


def exponent(sizes, costs):
    """That of the power of the size that fits the costs best."""
    return statistics.linear_regression([math.log(size) for size in sizes], [math.log(cost) for cost in costs])[0]


def plot(title, axis, curves, sides):
    """`curves`: by name, as in `waveft db4`, the sizes, powers of two, and the cost at each. The word that comes first is a
    side and has its dashes in `sides`, the next has a colour."""
    costs = [cost for _, curve in curves.values() for cost in curve]
    lengths = sorted({size for sizes, _ in curves.values() for size in sizes})
    colours = dict(zip(dict.fromkeys(name.split(" ")[-1] for name in curves), COLORS))
    low, high = math.floor(math.log10(min(costs))), math.ceil(math.log10(max(costs)))
    first, last = math.log2(lengths[0]), math.log2(lengths[-1])

    def across(length):
        return LEFT + (math.log2(length) - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    def down(cost):
        return TOP + (high - math.log10(cost)) / (high - low) * (HEIGHT - TOP - BOTTOM)

    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13">',
        f"<title>{title}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="26" font-size="16">{title}</text>',
    ]
    for power in range(low, high + 1):
        for digit in (1, 2, 5) if power < high else (1,):
            y = down(digit * 10**power)
            out.append(f'<path d="M{LEFT} {y:.1f}H{right}" stroke="#dddddd"/>')
            out.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{digit * 10.0**power:g}</text>')
    for length in lengths:
        x = across(length)
        out.append(f'<path d="M{x:.1f} {TOP}V{bottom}" stroke="#eeeeee"/>')
        power = f'2<tspan dy="-5" font-size="9">{math.log2(length):g}</tspan>'
        out.append(f'<text x="{x:.1f}" y="{bottom + 20}" text-anchor="middle">{power}</text>')
    out.append(f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 14}" text-anchor="middle">{axis}</text>')
    labels = []
    for name, (sizes, curve) in curves.items():
        dash = sides.get(name.split(" ")[0], "")
        dash = f' stroke-dasharray="{dash}"' if dash else ""
        color = colours[name.split(" ")[-1]]
        points = " ".join(f"{across(length):.1f},{down(cost):.1f}" for length, cost in zip(sizes, curve))
        out.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2"{dash}/>')
        labels.append((down(curve[-1]), name, color))
    # Beside the ends of the lines, but not on one another.
    y = 0.0
    for at, name, color in sorted(labels):
        y = max(at, y + 16)
        out.append(f'<text x="{right + 8}" y="{y + 4:.1f}" fill="{color}">{name}</text>')
    return "\n".join([*out, "</svg>", ""])
