"""Lay out 2,223 real images of solar cells for `feint tune`: normal ones, an unlabelled pool, and labels apart.

The images come with the Python package elpv-dataset (Buerhop et al. 2018, Deitsch et al. 2019; CC BY-NC-SA 4.0).
Cells with defect probability 0 are normal, those with 1 defective; the uncertain ones are left out. A seeded split
makes 1,200 normal cells to learn from, and a pool of 308 normal and 715 defective ones under the data set's own names.

    python examples/solar_cells.py --out demo-data [--defects 715] [--seed 0]
    feint tune demo-data/normal demo-data/unlabelled --out runs/demo
    feint evaluate runs/demo demo-data/labels.csv
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

import numpy as np

NORMALS = 1200


def main() -> None:
    """Write the folders, or keep them if they are complete."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--defects", type=int, default=715, help="defective cells in the pool")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if (options.out / "labels.csv").exists():
        print(f"{options.out} is there already")
        return
    lay_out(options.out, defects=options.defects, seed=options.seed)


def lay_out(out: Path, *, defects: int, seed: int) -> None:
    """Write `normal/`, `unlabelled/` and `labels.csv` below `out`."""
    from feint.core.streams import numpy_stream
    from feint.data.elpv import read_elpv

    cells = read_elpv()
    chance = numpy_stream(seed, "solar cells")
    normal = chance.permutation(np.flatnonzero(cells.probability == 0))
    defective = chance.permutation(np.flatnonzero(cells.probability == 1))[:defects]
    pool = [(i, 0) for i in normal[NORMALS:]] + [(i, 1) for i in defective]
    names = [Path(name).name for name in cells.images.names]
    for folder, rows in (("normal", normal[:NORMALS]), ("unlabelled", [i for i, _ in pool])):
        (out / folder).mkdir(parents=True, exist_ok=True)
        for i in rows:
            shutil.copyfile(cells.images.items[i], out / folder / names[i])
    lines = sorted(f"{names[i]},{label}" for i, label in pool)
    (out / "labels.csv").write_text("path,label\n" + "\n".join(lines) + "\n", encoding="utf-8")
    print(
        f"{NORMALS} normal cells in {out / 'normal'}, {len(pool)} unlabelled ones in {out / 'unlabelled'}",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
