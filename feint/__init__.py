"""Feint finds anomalies in images without labels, and tells which augmentation fits them.

    import feint
    run = feint.tune("images/good", "images/new", out="runs/first")
    run.scores          # one row per unlabelled image: path, score, p_value, flagged

Everything is imported when it is first used, so that `import feint` is quick.
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from feint.runs.api import assess, evaluate, pretrain, score, tune
    from feint.runs.estimator import FeintDetector
    from feint.runs.run import Run

__all__ = ["FeintDetector", "Run", "__version__", "assess", "evaluate", "pretrain", "score", "tune"]


def __getattr__(name: str) -> object:
    if name in {"tune", "score", "evaluate", "pretrain", "assess"}:
        from feint.runs import api

        return getattr(api, name)
    if name == "FeintDetector":
        from feint.runs.estimator import FeintDetector

        return FeintDetector
    if name == "Run":
        from feint.runs.run import Run

        return Run
    raise AttributeError(f"module 'feint' has no attribute {name!r}")
