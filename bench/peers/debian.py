"""Programs that only Debian ships, fetched by apt into a cache of this environment and unpacked there; nothing is
installed on the machine."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from bench.rows.row import UnavailableError

CACHE = Path(sys.prefix) / "bench-debian"
"""Goes with the virtual environment (`make clean`)."""
DEADLINE_S = 60.0


def program(name: str, package: str) -> Path:
    """A program: the machine's own, or the one of Debian's package.

    Raises:
        UnavailableError: it is not installed and cannot be fetched; the message says why, in one line.
    """
    installed = shutil.which(name)
    return Path(installed) if installed else _unpacked(package, f"usr/*bin/{name}")


def library(pattern: str, package: str) -> Path:
    """A shared library of Debian's package, by a pattern such as `libnng.so.*`; what it stands on lies beside it, so
    its folder goes into LD_LIBRARY_PATH. Raises as `program` does."""
    return _unpacked(package, f"**/lib/**/{pattern}", with_libraries=True)


def _unpacked(package: str, pattern: str, *, with_libraries: bool = False) -> Path:
    folder = CACHE / package
    if not folder.exists():
        if not (shutil.which("apt-get") and shutil.which("dpkg")):
            raise UnavailableError(f"{package} is not installed, and there is no apt to fetch it with")
        _fetch([package, *(_libraries_under(package) if with_libraries else ())], folder)
    for found in sorted(folder.glob(pattern)):
        return found
    raise UnavailableError(f"Debian's package {package} has no {pattern}")


def _libraries_under(package: str) -> list[str]:
    """The libraries that a package depends on itself, but for the C library, which every machine has."""
    said = _run(["apt-cache", "depends", package], Path.cwd(), package).splitlines()
    named = [line.removeprefix("  Depends: ") for line in said if line.startswith("  Depends: lib")]
    return [name for name in named if name != "libc6"]


def _fetch(packages: list[str], folder: Path) -> None:
    """Unpacks beside and renames: what is there is whole."""
    making = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    _run(["apt-get", "download", "--quiet", *packages], making, packages[0])
    for archive in making.glob("*.deb"):
        _run(["dpkg", "-x", archive.name, "."], making, packages[0])
        archive.unlink()
    making.rename(folder)


def _run(command: list[str], folder: Path, package: str) -> str:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=DEADLINE_S, check=True)
    except subprocess.SubprocessError as problem:
        said = str(getattr(problem, "stderr", "") or problem).strip().splitlines()
        raise UnavailableError(f"{package} cannot be fetched from Debian: {said[-1] if said else problem}") from None
    return done.stdout
