"""From the records of a run to one self-contained HTML page; no torch."""

from feint.report.gallery import Gallery, Picture
from feint.report.page import render

__all__ = ["Gallery", "Picture", "render"]
