"""What the one-vs-one results of a trained model cost, as a share of its training.

    OMP_NUM_THREADS=1 python benchmarks/evaluation_cost.py

A denoising autoencoder of the reduced study (8 features, 400 images of 32 px, 20 epochs) is timed beside the evaluation
of 10,000 scored test images of ten classes: four metrics of nine tasks.
"""

import time

import numpy as np
import torch

from feint.augmentations.policies import policy_named
from feint.backends import limit_threads
from feint.data.testbeds import Task
from feint.detectors import DAE
from feint.studies.evaluating import evaluate_task


def main():
    limit_threads(1)
    generator = np.random.default_rng(0)
    images = torch.from_numpy(generator.integers(0, 256, (400, 3, 32, 32), dtype=np.uint8))
    recipe = DAE(features=8, hidden=64, epochs=20, batch=32)
    begun = time.perf_counter()
    recipe.fit(images, policy=policy_named("flip"), seed=0)
    training = time.perf_counter() - begun
    scores, kinds = generator.random(10_000).astype(np.float32), np.repeat(np.arange(10), 1000)
    begun = time.perf_counter()
    for kind in range(1, 10):
        pool = np.flatnonzero((kinds == 0) | (kinds == kind))
        evaluate_task(Task("one-vs-one", str(kind), (kind,)), {"score": scores[pool]}, kinds[pool] != 0, main="score")
    evaluation = time.perf_counter() - begun
    print(f"training {training:.2f} s, evaluation {1e3 * evaluation:.1f} ms: {evaluation / training:.2%}")


if __name__ == "__main__":
    main()
