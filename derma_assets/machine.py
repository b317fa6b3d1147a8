"""This computer in words, for whoever reads a figure that was measured on it."""

import platform
from pathlib import Path

import psutil

# What decides how fast a CPU multiplies matrices, as Linux names it and as the field does.
_VECTOR_UNITS = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_bf16": "AVX-512 BF16",
    "amx_tile": "AMX",
    "amx_bf16": "AMX BF16",
    "asimd": "NEON",
    "sve": "SVE",
    "bf16": "BF16",
}


def machine() -> str:
    """Return this computer in words: processor, how many, memory, operating system."""
    names = _cpuinfo("model name")
    processor = next(iter(names), platform.processor() or platform.machine())
    gigabytes = psutil.virtual_memory().total / 2**30
    return f"{psutil.cpu_count()} x {processor}, {gigabytes:.0f} GB, {platform.system()}"


def vector_units() -> str:
    """Return the vector and matrix units that the operating system says the CPU has, or `unknown`."""
    flags = {flag for line in (*_cpuinfo("flags"), *_cpuinfo("Features")) for flag in line.split()}
    return ", ".join(name for flag, name in _VECTOR_UNITS.items() if flag in flags) or "unknown"


def _cpuinfo(field: str) -> list[str]:
    """Return the values of a field of /proc/cpuinfo, one a processor; none where there is no such file."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []
    return [value.strip() for name, _, value in (line.partition(":") for line in lines) if name.strip() == field]
