"""Question: which hypergradient is worth its price, and to which truth is each of them near?

Command: `OMP_NUM_THREADS=1 python benchmarks/hypergradients.py [--only rotation|cutdiff]`.
Cost: two minutes of one thread. The images come with scikit-learn: its digits, 6 against 6 and 9, for
rotation; crops of its photograph of a temple, half of the unlabelled ones with a planted patch, for CutDiff.
What it does, for the classifier, the lower and the upper loss of the self-tuner, at 32 px and after 60 plain steps:

*Cost*, at the tuner's size (width 16, depth 4, float32, 96 images in each loss): median processor time in turns, in
plain steps (a gradient of the lower loss and Adam); and the most bytes that autograd holds at once for its backward
passes. Conjugate gradients are damped here by the largest eigenvalue, so as not to stop early. Beside it that of D H,
with D the tuner's own step sizes and H the Hessian of the lower loss: above 2, plain steps of these sizes diverge.

*Error*, on a small problem that can be solved to the end (width 8, depth 3, float64, 16 images of a kind, fixed draws,
SiLU in place of ReLU, so that differences are exact; the lower loss with 1/2 |w - w_0|^2 added, so that it has one
solution near w_0, the weights after 60 plain steps). Two truths, both by central differences without autograd:

  K steps:        d upper(w_K(v), v) / dv, w_K by K plain steps from w_0, of size 1 / (largest eigenvalue of H)
  best response:  d upper(w*(v), v) / dv,  w*(v) trained to a gradient below 1e-11, anew for each v (Newton's method)

`unrolled` with K steps claims to be the first, the implicit ones claim to be the second, at w = w*.
Expected: unrolled steps meet their own truth to seven digits; first order meets neither. See `docs/hypergradients.md`.
"""

import argparse
import statistics
import time
from collections import Counter
from functools import partial
from typing import ClassVar

import torch
from torch import nn
from torch.func import functional_call
from torch.nn.functional import binary_cross_entropy_with_logits, cosine_similarity, interpolate

from feint.augmentations import CutDiff, Rotation
from feint.backends import limit_threads
from feint.core.streams import seed_of, stream
from feint.networks import Classifier
from feint.tuning.alignment import alignment_loss
from feint.tuning.hypergradient import first_order, implicit_cg, implicit_neumann, unrolled

PX, WARM, RATE, REPETITIONS, PROXIMAL, WIDTH_OF_DIFFERENCE = 32, 60, 2e-3, 9, 1.0, 1e-6
CASES = {
    "rotation": (Rotation(), {"angle": 117.3}),
    "cutdiff": (CutDiff(), {"area": 0.05, "aspect": 0.5, "angle": 30.0, "amplitude": 0.3}),
}
PLANTED = {"area": 0.1, "aspect": 0.6, "angle": 90.0, "amplitude": 0.5}
METHODS = {
    "first order": partial(first_order, steps=1),
    "unrolled, 1 step": partial(unrolled, steps=1),
    "unrolled, 5 steps": partial(unrolled, steps=5),
    "unrolled, 10 steps": partial(unrolled, steps=10),
    "implicit, 10 conjugate gradients": partial(implicit_cg, steps=10),
    "implicit, 10 Neumann terms": partial(implicit_neumann, steps=10),
}


def images_of(name):
    """Return normal and unlabelled images (n, 1, 32, 32) in [0, 1]; half of the latter are anomalous."""
    from sklearn.datasets import load_digits, load_sample_image

    if name == "rotation":
        found = load_digits()
        digits = torch.tensor(found.images / 16, dtype=torch.float64)[:, None]
        digits = interpolate(digits, size=(PX, PX), mode="bilinear", align_corners=False)
        six, nine = digits[found.target == 6], digits[found.target == 9]
        return six[:120], torch.cat([six[120:170], nine[:50]])
    photograph = torch.tensor(load_sample_image("china.jpg").mean(2) / 255, dtype=torch.float64)
    crops = photograph.unfold(0, PX, PX).unfold(1, PX, PX).reshape(-1, 1, PX, PX)
    normals, clean, rest = crops[torch.randperm(len(crops), generator=stream(0, "crops"))].split([140, 60, 60])
    noise = CutDiff().draw(rest, generator=stream(0, "defects"))
    magnitudes = torch.tensor([PLANTED[m.name] for m in CutDiff.magnitudes], dtype=torch.float64)
    return normals, torch.cat([clean, CutDiff().apply(rest, noise, magnitudes)])


class Problem:
    """The tuner's lower and upper loss on fixed images and draws, and the weights after plain steps on fresh ones."""

    def __init__(self, name, *, width, depth, batch, sample, dtype):
        self.augmentation, at = CASES[name]
        self.v = self.augmentation.free(at).to(dtype)
        normals, pool = (each.to(dtype) for each in images_of(name))
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed_of(0, "weights"))
            self.network = Classifier(1, width=width, depth=depth).to(dtype)
        if dtype == torch.float64:
            self.network.head[1] = nn.SiLU()
            for stage in self.network.encoder.stages:
                stage[2] = nn.SiLU()
        self.names = [name for name, _ in self.network.named_parameters()]
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=RATE)
        self.chance = stream(0, "benchmark", name)
        for _ in range(WARM):
            self.draw(normals, batch)
            self.plain_step()
        self.draw(normals, batch)
        self.clean, self.changed, self.pool = (self.some(each, sample) for each in (normals, normals, pool))
        self.outer = self.augmentation.draw(self.changed, generator=self.chance)
        self.w = tuple(p.detach().clone() for p in self.network.parameters())
        states = [self.optimiser.state[p] for p in self.network.parameters()]
        self.rates = [RATE / ((s["exp_avg_sq"] / (1 - 0.999**WARM)).sqrt() + 1e-4) for s in states]

    def some(self, images, n):
        return images[torch.randint(len(images), (n,), generator=self.chance)]

    def draw(self, normals, batch):
        self.images = self.some(normals, batch)
        self.inner = self.augmentation.draw(self.images, generator=self.chance)

    def plain_step(self):
        self.optimiser.zero_grad()
        self.lower(tuple(self.network.parameters()), self.v).backward()
        self.optimiser.step()

    def lower(self, w, v):
        pseudo = self.augmentation.apply(self.images, self.inner, self.augmentation.natural(v))
        both = torch.cat([self.images, pseudo])
        target = torch.cat([torch.zeros(len(pseudo)), torch.ones(len(pseudo))]).to(both)
        return binary_cross_entropy_with_logits(self.forward(w, both)[1], target)

    def near(self, w, v):
        """Return the lower loss with one solution near the weights after the plain steps."""
        return self.lower(w, v) + PROXIMAL / 2 * sum(((a - b) ** 2).sum() for a, b in zip(w, self.w, strict=True))

    def upper(self, w, v):
        pseudo = self.augmentation.apply(self.changed, self.outer, self.augmentation.natural(v))
        return alignment_loss(*self.forward(w, torch.cat([self.clean, pseudo, self.pool]))[0].split(len(self.clean)))

    def forward(self, w, images):
        return functional_call(self.network, dict(zip(self.names, w, strict=True)), images)


def curved(loss, w):
    """Return the gradient of the loss and the function from a vector p to H p, all as flat vectors."""
    at = tuple(each.clone().requires_grad_() for each in w)
    slope = torch.cat([each.flatten() for each in torch.autograd.grad(loss(at), at, create_graph=True)])

    def times(p):
        product = torch.autograd.grad(slope, at, p, retain_graph=True, materialize_grads=True)
        return torch.cat([each.flatten() for each in product])

    return slope.detach(), times


def sharpness(loss, w, rates):
    """Return the largest eigenvalue of D H, by 25 power iterations."""
    slope, times = curved(loss, w)
    D = torch.cat([torch.as_tensor(d).to(each).expand_as(each).flatten() for d, each in zip(rates, w, strict=True)])
    p = torch.randn(len(slope), generator=stream(0, "power"), dtype=slope.dtype)
    for _ in range(25):
        p = p / (p @ (p / D)).sqrt()
        product = times(p)
        found, p = float(p @ product), D * product
    return found


def solved(loss, w):
    """Return the weights that solve the lower problem to a gradient below 1e-11, by Newton's method from near them."""
    from scipy.sparse.linalg import LinearOperator, cg

    for _ in range(20):
        slope, times = curved(loss, w)
        length = float(slope.norm())
        if length < 1e-11:
            return w
        product = partial(lambda times, p: times(torch.from_numpy(p)).numpy(), times)
        hessian = LinearOperator((len(slope),) * 2, product, dtype=float)
        direction, _ = cg(hessian, -slope.numpy(), rtol=0.1 * min(0.1, length), maxiter=200)
        parts = torch.from_numpy(direction).split([each.numel() for each in w])
        w = tuple(x + part.reshape(x.shape) for x, part in zip(w, parts, strict=True))
    raise RuntimeError(f"the lower problem was not solved: its gradient is {length:.2g}.")


def after_steps(problem, v, *, rate, steps):
    w = problem.w
    for _ in range(steps):
        at = tuple(each.detach().requires_grad_() for each in w)
        slope = torch.autograd.grad(problem.near(at, v), at)
        w = tuple(x.detach() - rate * g for x, g in zip(at, slope, strict=True))
    return w


def differences(problem, trained):
    """Return d upper(trained(v), v) / dv by central differences."""
    found = []
    for e in torch.eye(len(problem.v), dtype=problem.v.dtype) * WIDTH_OF_DIFFERENCE:
        plus, minus = (float(problem.upper(trained(v), v)) for v in (problem.v + e, problem.v - e))
        found.append((plus - minus) / (2 * WIDTH_OF_DIFFERENCE))
    return torch.tensor(found, dtype=problem.v.dtype)


def apart(found, wanted):
    return float((found - wanted).norm() / wanted.norm())


def errors(name):
    problem = Problem(name, width=8, depth=3, batch=16, sample=16, dtype=torch.float64)
    rate = 1 / sharpness(lambda w: problem.near(w, problem.v), problem.w, [1.0] * len(problem.w))
    near_star = after_steps(problem, problem.v, rate=rate, steps=300)
    star = solved(lambda w: problem.near(w, problem.v), near_star)
    truths = {
        f"{steps} steps": differences(problem, partial(after_steps, problem, rate=rate, steps=steps))
        for steps in (1, 5, 10, 50)
    }
    truths["best response"] = differences(problem, lambda v: solved(lambda w: problem.near(w, v), star))
    rows = []
    for place, w in (("w_0", problem.w), ("w*", star)):
        for method, derive in METHODS.items():
            found = derive(problem.near, problem.upper, w, problem.v, rates=[rate] * len(w)).gradient
            known = {truth: g for truth, g in truths.items() if place == "w_0" or truth == "best response"}
            near = {truth: (apart(found, g), float(cosine_similarity(found, g, dim=0))) for truth, g in known.items()}
            rows.append({"augmentation": name, "at": place, "method": method, "errors": near})
    return rows


class Kept:
    """A tensor that autograd holds, and the count of all of them."""

    held: ClassVar[Counter] = Counter()
    sizes: ClassVar[dict] = {}
    peak = 0

    def __init__(self, tensor):
        self.tensor, storage = tensor, tensor.untyped_storage()
        self.key = storage.data_ptr()
        Kept.held[self.key] += 1
        Kept.sizes[self.key] = storage.nbytes()
        Kept.peak = max(Kept.peak, sum(Kept.sizes.values()))

    def __del__(self):
        Kept.held[self.key] -= 1
        if not Kept.held[self.key]:
            Kept.sizes.pop(self.key)

    @classmethod
    def most(cls, run):
        """Return the most bytes held at once while `run` runs; a storage that is held twice counts once."""
        cls.peak = 0
        with torch.autograd.graph.saved_tensors_hooks(cls, lambda kept: kept.tensor):
            run()
        return cls.peak


def costs(name):
    problem = Problem(name, width=16, depth=4, batch=48, sample=32, dtype=torch.float32)
    steepest = partial(sharpness, lambda w: problem.lower(w, problem.v), problem.w)
    damped = partial(implicit_cg, steps=10, damping=abs(steepest([1.0] * len(problem.w))))
    runs = {"plain step": problem.plain_step} | {
        method: partial(
            damped if "conjugate" in method else derive,
            problem.lower, problem.upper, problem.w, problem.v, rates=[1e-3] * len(problem.w),
        )
        for method, derive in METHODS.items()
    }  # fmt: skip
    seconds = {method: [] for method in runs}
    for repetition in range(REPETITIONS + 1):
        for method, run in runs.items():
            began = time.process_time()
            run()
            if repetition:
                seconds[method].append(time.process_time() - began)
    ms = {method: 1e3 * statistics.median(each) for method, each in seconds.items()}
    return [
        {
            "augmentation": name, "method": method, "ms": round(ms[method]), "megabytes": round(Kept.most(run) / 1e6),
            "plain_steps": round(ms[method] / ms["plain step"], 1), "sharpness": round(steepest(problem.rates), 2),
        }
        for method, run in runs.items()
    ]  # fmt: skip


def tables(cost, error):
    lines = ["| augmentation | method | ms | plain steps | held by autograd, MB |", "|---|---|---|---|---|"]
    for row in cost:
        lines.append("| {augmentation} | {method} | {ms} | {plain_steps} | {megabytes} |".format_map(row))
    steepest = {r["augmentation"]: r["sharpness"] for r in cost}
    lines += ["", f"Largest eigenvalue of D H at the tuner's own step sizes: {steepest}"]
    truths = list(error[0]["errors"])
    lines += ["", f"| augmentation | at | method | {' | '.join(truths)} |", "|---|---|---|" + "---|" * len(truths)]
    for row in error:
        near = [row["errors"].get(truth) for truth in truths]
        cells = " | ".join("" if each is None else f"{each[0]:.2g} ({each[1]:.3f})" for each in near)
        lines.append(f"| {row['augmentation']} | {row['at']} | {row['method']} | {cells} |")
    return "\n".join([*lines, "", "Relative error and, in brackets, cosine."])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=list(CASES))
    options = parser.parse_args()
    limit_threads(1)
    names = list(CASES) if options.only is None else [options.only]
    cost = [row for name in names for row in costs(name)]
    error = [row for name in names for row in errors(name)]
    print(tables(cost, error))


if __name__ == "__main__":
    main()
