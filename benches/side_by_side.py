"""What the comparisons share: timing, telling times and targets, and the machine they were made on."""

import os
import pathlib
import platform
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]


def seconds(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def judge(by_median, by_least):
    """What to say of shares of what the target allows."""
    if by_median <= 1:
        return "met"
    missed = f"missed by {100 * (by_median - 1):.0f} %"
    return f"{missed} (met by the minima)" if by_least <= 1 else missed


def significant(number):
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def show(duration):
    for unit, size in (("s", 1), ("ms", 1e-3), ("µs", 1e-6)):
        if duration >= size:
            return f"{duration / size:.3g} {unit}" if duration / size < 100 else f"{duration / size:.0f} {unit}"
    return f"{duration * 1e9:.3g} ns"


def first_line(*command):
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout.split("\n")[0]
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def read(path):
    try:
        return pathlib.Path(path).read_text().strip()
    except OSError:
        return "unknown"


def processor():
    """What the system tells of the first one."""
    return dict(
        [part.strip() for part in line.split(":", 1)]
        for line in read("/proc/cpuinfo").split("\n\n")[0].splitlines()
        if ":" in line
    )


def machine():
    """The processor, its caches, and what else bears on the figures."""
    cpu = processor()
    caches = []
    for index in sorted(pathlib.Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        kind = {"Data": "d", "Instruction": "i"}.get(read(index / "type"), "")
        caches.append(f"L{read(index / 'level')}{kind} {read(index / 'size')}")
    model = f"{cpu.get('model name', platform.machine())} (family {cpu.get('cpu family')}, model {cpu.get('model')})"
    widest = next((isa for isa in ("avx512f", "avx2") if isa in cpu.get("flags", "").split()), "neither AVX2 nor AVX-512")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    virtual = ", a virtual machine" if "hypervisor" in cpu.get("flags", "") else ""
    return [
        f"{model}, {widest}, {os.cpu_count()} cores{virtual}",
        f"caches: {', '.join(caches)}; memory: {memory:.0f} GiB",
        f"{platform.system()} {platform.release()}; transparent huge pages: {read('/sys/kernel/mm/transparent_hugepage/enabled')}",
    ]


def commit():
    """waveft's, and the compiler's version. What another comparison has just written is no change."""
    status = ["git", "status", "--porcelain", "-uno", "--", ".", ":!benches/results"]
    changed = subprocess.run(status, capture_output=True, text=True, cwd=ROOT).stdout
    short = first_line("git", "rev-parse", "--short", "HEAD") + (" with changes" if changed else "")
    return f"waveft {short}, {first_line('rustc', '--version')}"
