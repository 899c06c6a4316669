"""From the record of a study to one self-contained HTML page; no torch."""

from feint.report.study.page import render

__all__ = ["render"]
