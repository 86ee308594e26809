"""What an installation contains, and what building without a Rust toolchain says."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]
BUILD_METADATA = "from setuptools import build_meta; import sys; build_meta.{hook}(sys.argv[1])"


def test_the_native_module_is_part_of_the_installation() -> None:
    spec = importlib.util.find_spec("transport._native")
    assert spec is not None, "transport._native is not built: install the package with a Rust toolchain"
    assert spec.origin is not None
    assert spec.origin.endswith("_native.abi3.so")
    assert Path(spec.origin).is_file()


def test_without_a_rust_toolchain_building_says_so_in_one_line(tmp_path: Path) -> None:
    for hook in ("prepare_metadata_for_build_wheel", "prepare_metadata_for_build_editable"):
        ended = subprocess.run(
            [sys.executable, "-c", BUILD_METADATA.format(hook=hook), str(tmp_path)],
            cwd=REPOSITORY,
            env=os.environ | {"PATH": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        said = (ended.stdout + ended.stderr).strip().splitlines()
        assert ended.returncode != 0
        assert len(said) == 1, said
        assert "needs Rust 1.88 or newer" in said[0]
        assert "rustup.rs" in said[0]
