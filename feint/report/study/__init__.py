"""From the record of a study to one self-contained HTML page; no torch."""

from feint.report.study.page import render
from feint.report.study.wild_page import render_wild

__all__ = ["render", "render_wild"]
