"""What the figures were measured on, and with."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

CPUINFO = Path("/proc/cpuinfo")
PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate")


def processor_name() -> str:
    """The processor as the system names it."""
    if CPUINFO.exists():
        for line in CPUINFO.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def load_average() -> float | None:
    """Processes that wanted to run in the last minute, this measurement's own among them."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def machine(trl_python: str) -> dict[str, Any]:
    """Processor, cores, system, and the versions on TRL's side."""
    code = f"from importlib.metadata import version; print(*(version(n) for n in {PACKAGES}))"
    done = subprocess.run([trl_python, "-c", code], capture_output=True, text=True, check=False)
    return {
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "trl_side": dict(zip(PACKAGES, done.stdout.split(), strict=False)),
        "harken_side": {name: _version(name) for name in ("torch", "transformers")},
        "load_before": load_average(),
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"
