"""Few marks: a person has looked at thirty images; the detector learns from what was found.

python examples/few_marks.py WORKPLACE
"""

from __future__ import annotations

import sys
from pathlib import Path

from drawn_parts import write_parts

import feint


def main(place: Path) -> None:
    """Tune, mark the most anomalous and a few ordinary images, and refit."""
    write_parts(place / "good", range(200))
    truth = write_parts(place / "new", range(1000, 1120), every=5)
    run = feint.tune(place / "good", place / "new", out=place / "run", budget="quick", augmentations=["cutdiff"])
    print(run.record.found.sentence)

    # What a person does on the page of `feint review`: look at the most anomalous images, and at some of the others.
    looked_at = [*run.scores.path[:20], *run.scores.path[20::10]]
    marks = {path: truth[path] for path in looked_at}
    print(f"{len(marks)} images marked, {sum(marks.values())} of them anomalous")
    (place / "marks.csv").write_text("path,label\n" + "".join(f"{path},{mark}\n" for path, mark in marks.items()))

    new = feint.refit(run, place / "marks.csv", out=place / "refitted")
    print(new.record.found.sentence)
    compared = new.refitted
    if compared is not None:
        print(compared.sentence)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
