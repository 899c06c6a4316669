"""Factory parts: from a folder of good ones and a folder of new ones to a graph for the line's computer.

python examples/factory_parts.py WORKPLACE
"""

from __future__ import annotations

import sys
from pathlib import Path

from drawn_parts import write_parts

import feint
from feint.export.exporting import export_run


def main(place: Path) -> None:
    """Make two folders, tune on them, score a third one, and export."""
    write_parts(place / "good", range(200))
    truth = write_parts(place / "new", range(1000, 1100), every=4)
    write_parts(place / "tomorrow", range(2000, 2010), every=5)

    run = feint.tune(place / "good", place / "new", out=place / "run", budget="quick", augmentations=["cutdiff"])
    print(run.record.found.sentence)
    print(run.record.choice.sentence)
    print(run.scores.head(5).to_string(index=False))

    tomorrow = feint.score(run, place / "tomorrow").sort_values("path")
    print(tomorrow.to_string(index=False))

    exported = export_run(run, kind="onnx", out=place / "line-pc")
    print(f"the graph and the run agree on {exported.manifest.parity.images} images")

    (place / "labels.csv").write_text("path,label\n" + "".join(f"{name},{label}\n" for name, label in truth.items()))
    measured = feint.evaluate(run, place / "labels.csv")
    print(f"AUROC {measured.auroc.value:.3f} ({measured.auroc.low:.3f} to {measured.auroc.high:.3f})")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
