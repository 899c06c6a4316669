"""Solar cells with few defects: pools of 10 % defective cells, five draws. Labels judge, they never choose.

Prints, per draw, what was chosen, the AUROC, and the shares of normal and of defective cells flagged at 5 %.

Run: python benchmarks/solar_cells.py [--budget quick] [--draws 5] [--share 0.1]   (needs feint[demo])
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))


def main() -> None:
    from solar_cells import NORMALS, lay_out

    import feint

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", default="standard", choices=["quick", "standard", "thorough"])
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--share", type=float, default=0.1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    normal_in_pool = 1508 - NORMALS
    defects = round(normal_in_pool * options.share / (1 - options.share))
    rows = []
    for seed in range(options.draws):
        with tempfile.TemporaryDirectory() as folder:
            lay_out(Path(folder), defects=defects, seed=seed)
            run = feint.tune(
                f"{folder}/normal", f"{folder}/unlabelled", out=f"{folder}/run", seed=seed, budget=options.budget,
                nuisances=["flips"],
            )  # fmt: skip
            found = feint.evaluate(run, f"{folder}/labels.csv")
            rows.append(
                {
                    "draw": seed,
                    "chosen": run.record.choice.candidate,
                    "verdict": run.record.choice.verdict,
                    "auroc": round(found.auroc.value, 4),
                    "false_alarm_rate": round(found.false_alarm_rate.value, 4),
                    "detection_rate": round(found.detection_rate.value, 4),
                }
            )
            print(json.dumps(rows[-1]), flush=True)
    for key in ("auroc", "false_alarm_rate", "detection_rate"):
        values = np.array([row[key] for row in rows], dtype=float)
        print(f"{key}: mean {values.mean():.3f}, sd {np.std(values):.3f} over {len(values)} draws")
    if options.out:
        options.out.write_text(json.dumps(rows, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
