"""Makes `waveft-cli/src/plot/roboto.ttf`: the glyphs of Roboto Regular that a plot's text can need.

    python tools/plot_font.py Roboto-Regular.ttf

The font is the one of Debian's package fonts-roboto-unhinted, 2:0~20170802-3, Apache License 2.0. Needs fontTools 4.68.
"""

import sys
from pathlib import Path

from fontTools import subset, ttLib

OUTPUT = Path(__file__).parent.parent / "waveft-cli/src/plot/roboto.ttf"
RANGES = [
    range(0x20, 0x7F),  # ASCII
    range(0xA0, 0x180),  # Latin-1 and Latin Extended-A
    range(0x370, 0x400),  # Greek
    range(0x400, 0x460),  # Cyrillic
    range(0x2010, 0x2027),  # dashes, quotation marks, the ellipsis
    [0x2212, 0x2264, 0x2265, 0x2248],  # minus, comparisons
]


def main(source):
    options = subset.Options(
        hinting=False, layout_features=[], name_IDs=[0, 1, 2, 13, 14], notdef_outline=True, recalc_timestamp=False
    )
    font = ttLib.TTFont(source, recalcTimestamp=False)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=[code for codes in RANGES for code in codes])
    subsetter.subset(font)
    font.save(OUTPUT)
    print(f"{OUTPUT.name}: {OUTPUT.stat().st_size} bytes")


if len(sys.argv) != 2 or sys.argv[1] == "--help":
    sys.exit(__doc__)
main(sys.argv[1])
