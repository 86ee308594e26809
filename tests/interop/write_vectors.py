"""Writes the Python side's vectors (`vectors/python/*.bin`) anew, on purpose: `python -m tests.interop.write_vectors`.

They say what the descriptions beside Rust's say, in the bytes of the portable codec; Rust's tests read them too.
"""

from __future__ import annotations

from tests.interop.descriptions import NAMES, VECTORS, load
from transport.wire.portable import encode_message


def main() -> None:
    """Write all of them."""
    folder = VECTORS / "python"
    folder.mkdir(exist_ok=True)
    for name in NAMES:
        vector = load(name)
        (folder / f"{name}.bin").write_bytes(encode_message(vector.correlation, vector.journal_id, vector.body))


if __name__ == "__main__":
    main()
