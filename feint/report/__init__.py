"""From the records of a run to one self-contained HTML page; no torch."""

from feint.report.evaluation import with_evaluation
from feint.report.gallery import Gallery, Picture, PseudoGroup
from feint.report.page import render

__all__ = ["Gallery", "Picture", "PseudoGroup", "render", "with_evaluation"]
