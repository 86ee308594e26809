"""What a run is told as: figures, tables for the terminal and in Markdown, JSON, plots."""

from tests.chaos.report.figures import Figures, figures_of
from tests.chaos.report.files import write_report

__all__ = ["Figures", "figures_of", "write_report"]
