"""What the comparisons measured: the tables of their results, each row's targets, who is ahead, and the machine."""

import dataclasses
import pathlib
import re
import sys

RESULTS = pathlib.Path(__file__).resolve().parent / "results"
COMPARISONS = ("compare", "training", "transform")
# Columns of the transform's table that are no library's.
NOT_LIBRARIES = ("× copying", "× faster")


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A target and whether it is reached: `met`, `missed by 7 %`, or why it was not measured."""

    target: str
    text: str

    @property
    def met(self):
        return self.text.startswith("met")

    @property
    def percent(self):
        number = re.match(r"missed by ([\d,]+) %", self.text)
        return int(number[1].replace(",", "")) if number else 0


@dataclasses.dataclass(frozen=True)
class Row:
    comparison: str
    section: str
    cells: dict

    @property
    def work(self):
        return self.cells.get("work", "")

    @property
    def beside(self):
        return self.cells.get("beside", "")

    def verdicts(self):
        if "" in self.cells:
            pairs = [(self.cells["target"], self.cells[""])]
        else:
            text = self.cells.get("targets", self.cells.get("target", "–"))
            pairs = [part.partition(": ")[::2] for part in text.split("; ")]
        return [Verdict(*pair) for pair in pairs if pair[0] != "–"]

    def found(self, target):
        """The cell that a target is about, with what the column says of it."""
        columns = list(self.cells)
        libraries = [column for column in columns if re.match("× [^0-9]", column) and column[2:] in target]
        if re.search(" (ns|µs|ms|s)$", target):
            column = columns[1]
        elif libraries:
            column = max(libraries, key=len)
        else:
            column = columns[columns.index("targets" if "targets" in columns else "target") - 1]
        unit = " ns" if column.endswith(", ns") else f" {column}" if column in libraries else ""
        return self.cells[column] + unit

    def ahead(self):
        """Peers that are faster, and how many times: by the medians, and by the minima."""
        peers = {}
        for column, cell in self.cells.items():
            numbers = re.fullmatch(r"([\d.,]+) \(([\d.,]+)\)", cell)
            if numbers and column.startswith("× ") and column not in NOT_LIBRARIES:
                peers[column[2:]] = tuple(1 / max(number(text), 1e-9) for text in numbers.groups())
        slower = re.fullmatch(r"([\d.,]+) × its time \((-?[\d.,]+)\)", self.cells.get("ratio", ""))
        if slower and re.search("PEFT|torch", self.beside):
            peers[self.beside] = tuple(number(text) for text in slower.groups())
        return {peer: by for peer, by in peers.items() if by[0] > 1}


def number(text):
    return float(text.replace(",", ""))


@dataclasses.dataclass(frozen=True)
class Table:
    section: str
    head: list
    rows: list

    @property
    def judged(self):
        return "target" in self.head or "targets" in self.head


class Results:
    """A comparison's results file."""

    def __init__(self, comparison):
        self.comparison, self.file = comparison, f"{comparison}.md"
        lines = (RESULTS / self.file).read_text(encoding="utf-8").splitlines()
        self.title = lines[0].removeprefix("# ")
        self.tables = list(self.read_tables(lines))
        self.plots = [line for line in lines if re.fullmatch(r"!\[[^]]*\]\([^)]*\.svg\)", line)]
        self.command, self.date = self.find(lines, r"Written by `(.*)` on ([\d-]+)\.").groups()
        # The bullets that side_by_side.py tells the machine and the versions in.
        bullets = [line[2:] for line in lines if line.startswith("- ")]
        place = bullets.index(self.find(lines, r"- (waveft \w+(?: with changes)?, .*)")[1])
        self.machine, self.versions, self.load = bullets[max(place - 3, 0) : place], bullets[place], bullets[place + 1 : place + 2]

    def find(self, lines, pattern):
        found = next(filter(None, (re.match(pattern, line) for line in lines)), None)
        return found or sys.exit(f"{RESULTS / self.file} has no line like {pattern}")

    def read_tables(self, lines):
        section, table = "", None
        for at, line in enumerate(lines, 1):
            if line.startswith("## "):
                section = line[3:]
            if not line.startswith("|"):
                table = None
                continue
            cells = [cell.strip() for cell in line.strip()[1:-1].split("|")]
            if table is None:
                table = Table(section, cells, [])
                yield table
            elif len(cells) != len(table.head):
                sys.exit(f"{RESULTS / self.file}, line {at}: {len(cells)} cells below a head of {len(table.head)}")
            elif set(cells) != {"---"}:
                table.rows.append(Row(self.comparison, section, self.named(dict(zip(table.head, cells)), table)))

    def named(self, cells, table):
        """The work by its own name, where the results call it that of the rows above."""
        if cells.get("work") == "the same" and table.rows:
            cells["work"] = table.rows[-1].work
        elif "work" in cells:
            cells["work"] = cells["work"].replace("the same step", "a training step")
        return cells

    def rows(self):
        return [row for table in self.tables for row in table.rows]

    def row(self, **cells):
        """The first row with these cells."""
        for row in self.rows():
            if cells.items() <= row.cells.items():
                return row
        sys.exit(f"{RESULTS / self.file} has no row with {cells}, which the README shows: see SHOWN in benches/report")

    def again(self, row, verdict):
        """The same row in another section of the file, with its verdict."""
        for other in self.rows():
            if other.section != row.section and (other.work, other.beside) == (row.work, row.beside):
                for once_more in other.verdicts():
                    if once_more.target == verdict.target:
                        return other, once_more
        return None
