"""Question: how many images a second does a run of Feint score beside anomalib's PaDiM, and which tells more?

Command: `python benchmarks/padim_speed.py RUN NORMAL UNLABELLED LABELS --padim-python .venv-extras/bin/python`, after
`make demo` and `make .venv-extras/ready`; for the demo RUN is runs/demo, the rest demo-data/normal,
demo-data/unlabelled and demo-data/labels.csv.
Cost: ten minutes and 5 GB on two cores, most of it PaDiM's; loopback and network are not used.
What it does: three contenders, each in a process of its own with the same number of threads, take turns on the same
images while the others sleep: Feint with torch, Feint's ONNX export (made here) with onnxruntime, and anomalib's PaDiM
(ResNet-18, 256 px, batches of 32) fitted on the normal images. Each is timed three ways: from files on disk to scores,
PaDiM by its Engine, without pictures and without post-processing; from decoded images in memory, with resizing; and
from resized images, the models alone. Labels are read in the end, for the AUROC of each over all unlabelled images.
Weights: none are fetched, so that PaDiM's ResNet-18 is random unless `--padim-weights` names a file for timm's. The
time it takes does not depend on them; its AUROC does.
Expected: the models alone 100 times as fast; less from files, because decoding costs both the same.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from feint.data import ImageSet
    from feint.records.run import PreprocessingRecord

import numpy as np
from PIL import Image

WAYS = ("files", "pixels", "inputs")
PADIM = "anomalib's PaDiM"
PADIM_BATCH = 32
Ways = dict[str, Callable[[], np.ndarray]]


def feint_torch(run: Path, threads: int) -> Callable[[list[Path]], Ways]:
    """Return what makes the three ways to score files by a run."""
    import torch

    from feint.backends import keep_freed_memory
    from feint.runs.run import Run
    from feint.runs.score import BATCH

    keep_freed_memory()  # as the command line does
    torch.set_num_threads(threads)
    model = Run(run).model
    member = model.members[0]
    return partial(
        feint_ways,
        preprocessing=member.preprocessing,
        score=lambda pixels: model.judge([member.scores(pixels)])[0],
        batch=BATCH,
        threads=threads,
    )


def feint_onnx(export: Path, threads: int) -> Callable[[list[Path]], Ways]:
    """Return what makes the three ways to score files by an export."""
    from feint.export.manifest import read_export
    from feint.export.runtimes import open_runtime
    from feint.export.scoring import BATCH

    (preprocessing,) = read_export(export).inputs.values()
    runtime = open_runtime(export, "onnx", threads=threads, joint=False)
    return partial(
        feint_ways,
        preprocessing=preprocessing,
        score=lambda pixels: runtime(pixels).scores,
        batch=BATCH,
        threads=threads,
    )


def feint_ways(
    files: list[Path],
    *,
    preprocessing: PreprocessingRecord,
    score: Callable[[np.ndarray], np.ndarray],
    batch: int,
    threads: int,
) -> Ways:
    """Return the three ways to score files, given what scores a batch of resized images."""
    from feint.data import open_images, preprocess, stream

    images = open_images(files, role="unlabelled")
    pixels = open_images(np.stack([images.read(i) for i in range(len(images))]), role="unlabelled")
    inputs = np.stack([preprocess(pixels.read(i), preprocessing) for i in range(len(pixels))])

    def scored(batches: Iterable[np.ndarray]) -> np.ndarray:
        return np.concatenate([score(each) for each in batches])

    def streamed(given: ImageSet) -> np.ndarray:
        return scored(each.pixels[0] for each in stream(given, preprocessing, batch=batch, workers=threads))

    return {
        "files": lambda: streamed(images),
        "pixels": lambda: streamed(pixels),
        "inputs": lambda: scored(inputs[k : k + batch] for k in range(0, len(inputs), batch)),
    }


def padim(normal: Path, threads: int, weights: str | None, folder: Path) -> Callable[[list[Path]], Ways]:
    """Return what makes the three ways to score files by PaDiM, fitted on the images in `normal`."""
    import logging
    import warnings

    warnings.simplefilter("ignore")
    import torch
    from anomalib.data import PredictDataset
    from anomalib.engine import Engine
    from anomalib.models import Padim
    from torch.utils.data import DataLoader

    for name in ("anomalib", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    model = Padim(pre_trained=False, post_processor=False, evaluator=False, visualizer=False)
    if weights is not None:
        model.model.feature_extractor.load_state_dict(torch.load(weights, weights_only=True), strict=False)
    network = model.model

    def batches(images: list[np.ndarray]) -> Iterator[torch.Tensor]:
        for k in range(0, len(images), PADIM_BATCH):
            stacked = torch.stack([torch.from_numpy(each.copy()) for each in images[k : k + PADIM_BATCH]])
            yield model.pre_processor.transform(stacked[:, None].expand(-1, 3, -1, -1).float() / 255)

    network.train()
    with torch.no_grad():
        for each in batches([_grey(path) for path in sorted(normal.iterdir())]):
            network(each)
    network.fit()
    model.eval()
    engine = Engine(accelerator="cpu", devices=1, logger=False, enable_progress_bar=False, default_root_dir=folder)

    @torch.inference_mode()
    def scored(given: Iterable[torch.Tensor]) -> np.ndarray:
        return torch.cat([network(each).pred_score.reshape(-1) for each in given]).numpy()

    def ways(files: list[Path]) -> Ways:
        links = Path(tempfile.mkdtemp(dir=folder))  # the dataset takes a folder
        for k, path in enumerate(files):
            (links / f"{k:06d}{path.suffix}").symlink_to(path.resolve())
        dataset = PredictDataset(links)
        loader = DataLoader(dataset, batch_size=PADIM_BATCH, collate_fn=dataset.collate_fn)
        images = [_grey(path) for path in files]
        inputs = list(batches(images))

        def from_files() -> np.ndarray:
            found = engine.predict(model, dataloaders=loader, return_predictions=True)
            return torch.cat([each.pred_score.reshape(-1) for each in found]).numpy()

        return {"files": from_files, "pixels": lambda: scored(batches(images)), "inputs": lambda: scored(inputs)}

    return ways


def _grey(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("L"))


def work(arguments: argparse.Namespace) -> None:
    """Be one contender: score everything once, then time a way whenever its name is read from stdin."""
    files = [Path(each) for each in json.loads(sys.stdin.readline())]
    with tempfile.TemporaryDirectory() as folder:
        match arguments.worker:
            case "feint, torch":
                make = feint_torch(arguments.run, arguments.threads)
            case "feint, onnxruntime":
                make = feint_onnx(arguments.export, arguments.threads)
            case _:
                make = padim(arguments.normal, arguments.threads, arguments.padim_weights, Path(folder))
        scores = make(files)["files"]().tolist()
        ways = make(_some(files, arguments.images))
        for score in ways.values():
            score()
        _tell({"scores": scores})
        for line in sys.stdin:
            begun = time.perf_counter()
            ways[line.strip()]()
            _tell({"seconds": time.perf_counter() - begun})


def _some(files: list[Path], most: int) -> list[Path]:
    """Return at most so many files, evenly spaced."""
    return [files[i] for i in np.linspace(0, len(files) - 1, min(most, len(files))).astype(int)]


def _tell(message: dict[str, Any]) -> None:
    print("\0" + json.dumps(message), flush=True)


class Worker:
    """A contender in a process of its own, which sleeps until it is asked."""

    def __init__(self, python: str, name: str, arguments: argparse.Namespace, export: Path, files: list[Path]) -> None:
        places = [arguments.run, arguments.normal, arguments.unlabelled, arguments.labels]
        more = ["--worker", name, "--export", export, "--threads", arguments.threads, "--images", arguments.images]
        more += ["--padim-weights", arguments.padim_weights] if arguments.padim_weights else []
        self._process = subprocess.Popen(
            [python, __file__, *map(str, places), *map(str, more)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | {"OMP_NUM_THREADS": str(arguments.threads)},
        )  # fmt: skip
        self._send(json.dumps([str(each) for each in files]))
        self.scores = np.array(self._answer()["scores"])

    def seconds(self, way: str) -> float:
        self._send(way)
        return float(self._answer()["seconds"])

    def end(self) -> None:
        self._process.stdin.close()  # type: ignore[union-attr]
        self._process.wait()

    def _send(self, line: str) -> None:
        self._process.stdin.write(line + "\n")  # type: ignore[union-attr]
        self._process.stdin.flush()  # type: ignore[union-attr]

    def _answer(self) -> dict[str, Any]:
        for line in self._process.stdout:  # type: ignore[union-attr]
            if line.startswith("\0"):
                return dict(json.loads(line[1:]))
        raise SystemExit(f"a contender ended with {self._process.wait()}")


def main() -> None:
    arguments = parsed()
    if arguments.worker:
        work(arguments)
        return
    from feint.data import open_images
    from feint.export.exporting import export_run
    from feint.runs.run import Run

    files = [Path(each) for each in open_images(arguments.unlabelled, role="unlabelled").items]
    with tempfile.TemporaryDirectory() as folder:
        export = Path(folder) / "export"
        export_run(Run(arguments.run), kind="onnx", out=export)
        pythons = {"feint, torch": sys.executable, "feint, onnxruntime": sys.executable}
        pythons[PADIM] = arguments.padim_python
        workers = {name: Worker(python, name, arguments, export, files) for name, python in pythons.items()}
        rates: dict[str, dict[str, list[float]]] = {name: {way: [] for way in WAYS} for name in workers}
        for _ in range(arguments.repeats):
            for way in WAYS:
                for name, worker in workers.items():
                    rates[name][way].append(min(arguments.images, len(files)) / worker.seconds(way))
        for worker in workers.values():
            worker.end()
    show(rates, {name: worker.scores for name, worker in workers.items()}, arguments)


def show(
    rates: dict[str, dict[str, list[float]]], scores: dict[str, np.ndarray], arguments: argparse.Namespace
) -> None:
    from feint.data import open_images
    from feint.data.labels import match, read_labels
    from feint.metrics.roc import auroc

    names = open_images(arguments.unlabelled, role="unlabelled").names
    matched = match(read_labels(arguments.labels), names)
    timed = min(arguments.images, len(names))
    print(f"{timed:,} of {len(names):,} images, {arguments.threads} threads, {arguments.repeats} rounds")
    print("images a second, median (range), times PaDiM's; AUROC over all images")
    print(f"{'':<22}" + "".join(f"{way:>26}" for way in WAYS) + f"{'AUROC':>8}")
    slowest = {way: statistics.median(rates[PADIM][way]) for way in WAYS}
    for name, ways in rates.items():
        cells = []
        for way in WAYS:
            middle = statistics.median(ways[way])
            cells.append(f"{middle:,.0f} ({min(ways[way]):,.0f}-{max(ways[way]):,.0f}) {middle / slowest[way]:.0f}x")
        found = scores[name][matched.rows]
        value = auroc(found[matched.labels == 0], found[matched.labels == 1])
        print(f"{name:<22}" + "".join(f"{cell:>26}" for cell in cells) + f"{value:>8.3f}")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    for name in ("run", "normal", "unlabelled", "labels"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--padim-python", default=sys.executable, help="a Python that has anomalib")
    parser.add_argument("--padim-weights", help="a state_dict for timm's resnet18")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--images", type=int, default=512, help="so many, evenly spaced, are timed")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--export", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
