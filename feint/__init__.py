"""Feint finds anomalies in images without labels, and tells which augmentation fits them.

    import feint
    run = feint.tune("images/good", "images/new", out="runs/first")
    run.scores          # one row per unlabelled image: path, score, p_value, flagged

Everything is imported when it is first used, so that `import feint` is quick.
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from feint.export.api import export_run, score, score_in_bulk
    from feint.runs.api import assess, evaluate, pretrain, refit, tune
    from feint.runs.estimator import FeintDetector
    from feint.runs.run import Run

__all__ = [
    "FeintDetector",
    "Run",
    "__version__",
    "assess",
    "evaluate",
    "export_run",
    "pretrain",
    "refit",
    "score",
    "score_in_bulk",
    "tune",
]


def __getattr__(name: str) -> object:
    if name in {"export_run", "score", "score_in_bulk"}:
        from feint.export import api as exporting

        return getattr(exporting, name)
    if name in {"tune", "evaluate", "refit", "pretrain", "assess"}:
        from feint.runs import api

        return getattr(api, name)
    if name == "FeintDetector":
        from feint.runs.estimator import FeintDetector

        return FeintDetector
    if name == "Run":
        from feint.runs.run import Run

        return Run
    raise AttributeError(f"module 'feint' has no attribute {name!r}")
