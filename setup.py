"""Says in one line what is missing where there is no Rust toolchain; everything else is in pyproject.toml."""

import shutil
import sys

from setuptools import setup

BUILDS = {"dist_info", "bdist_wheel", "editable_wheel", "build", "build_rust", "develop", "install"}
"""Commands that end in an installation. The first of them that pip runs is `dist_info`: nothing was built before."""

if BUILDS.intersection(sys.argv) and shutil.which("cargo") is None:
    sys.exit(
        "execution-bridge: building from a checkout needs Rust 1.88 or newer, and there is no `cargo` on the PATH: "
        "install Rust (https://rustup.rs), or install a wheel of execution-bridge instead"
    )

setup()
