"""Medians per order of one run, and what they are against each other."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Ratios:
    """Rows are named `<path>-<shape>`, such as `zmq-one-sync`; the reference of each shape is its gRPC row."""

    medians_us: dict[str, float] = field(default_factory=dict[str, float])

    def times_as_fast(self, row: str, as_row: str) -> float:
        """How many times as fast `row` is as `as_row`, by their medians."""
        return self.medians_us[as_row] / self.medians_us[row]

    def lines(self) -> list[str]:
        """One line a row, for a person."""
        return [f"{row:20} {median_us:9.1f} us  {self._against_grpc(row):>8}" for row, median_us in self._sorted()]

    def _sorted(self) -> list[tuple[str, float]]:
        return sorted(self.medians_us.items(), key=lambda item: item[0].split("-", 1)[::-1])

    def _against_grpc(self, row: str) -> str:
        reference = "grpc-" + row.split("-", 1)[1]
        return f"{self.times_as_fast(row, reference):.2f} x" if reference in self.medians_us else ""
