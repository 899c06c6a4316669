"""Does the theory of choosing without labels hold? Simulated scores, one table for each claim.

Run: python benchmarks/theory.py [--part mean|level|images|shift|bulk|estimates] [--draws 200]
Cost: under two minutes on one core for everything. The page docs/choosing-without-labels.md shows what it prints.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator

import numpy as np
from scipy.optimize import brentq
from scipy.stats import betaprime, multivariate_normal, norm

from feint.core.streams import numpy_stream
from feint.metrics.two_sample import excess, two_sample_auroc
from feint.stats.bulk_shift import bulk_shift
from feint.stats.delong import delong
from feint.stats.mixture import mixture_proportion
from feint.stats.telling_apart import images_needed, paired_sd
from feint.stats.unlabelled_auroc import unlabelled_auroc

SHARES = (0.02, 0.1, 0.5)
AUROCS = (0.7, 0.9, 0.97)
SIZES = ((100, 200), (400, 1000))
KINDS = ("Gaussian", "skewed", "half hidden")


def gaussian_shift(auroc: float) -> float:
    return math.sqrt(2) * float(norm.ppf(auroc))


def skewed_factor(auroc: float) -> float:
    """Return the factor by which Gamma(2) scores must grow for this AUROC against Gamma(2) scores."""
    return float(brentq(lambda factor: betaprime.cdf(factor, 2, 2) - auroc, 1, 1000))


def scores(generator, *, kind: str, auroc: float, share: float, m: int, n: int):
    """Return (unlabelled, held out); the first round(share n) unlabelled images are anomalous."""
    anomalous = np.arange(n) < round(share * n)
    if kind == "skewed":
        return generator.gamma(2, size=n) * np.where(anomalous, skewed_factor(auroc), 1), generator.gamma(2, size=m)
    visible = anomalous & ((np.arange(n) % 2 == 0) | (kind != "half hidden"))
    return generator.normal(size=n) + gaussian_shift(auroc) * visible, generator.normal(size=m)


def pairs(generator, *, aurocs: tuple[float, float], correlation: float, share: float, m: int, n: int):
    """Return scores by two candidates, (2, n) and (2, m), of which all images' scores are correlated."""
    mixing = np.linalg.cholesky([[1, correlation], [correlation, 1]])
    shift = np.array([[gaussian_shift(auroc)] for auroc in aurocs]) * (np.arange(n) < round(share * n))
    return mixing @ generator.normal(size=(2, n)) + shift, mixing @ generator.normal(size=(2, m))


def mean(draws: int) -> Iterator[str]:
    """The mean of A2 is 1/2 + p (AUROC - 1/2), and DeLong's interval covers it (m = 400, n = 600)."""
    yield "| p | AUROC | expected | mean of A2 | standard errors apart | 95 % intervals that cover |"
    for share in SHARES:
        for auroc in AUROCS:
            generator, expected = numpy_stream(0, "mean", str(share), str(auroc)), 0.5 + share * (auroc - 0.5)
            found = []
            for _ in range(10 * draws):
                u, h = scores(generator, kind="Gaussian", auroc=auroc, share=share, m=400, n=600)
                found.append(delong(h[None], u[None]).estimate(0))
            value, low, high = np.array(found).T
            apart = (value.mean() - expected) / (value.std() / math.sqrt(len(value)))
            covered = np.mean((low <= expected) & (expected <= high))
            yield f"| {share} | {auroc} | {expected:.4f} | {value.mean():.4f} | {apart:+.1f} | {covered:.1%} |"


def level(draws: int) -> Iterator[str]:
    """Two candidates of equal AUROC 0.9 (m = 200, n = 300): how often does the paired test tell them apart at 5 %?"""
    yield "| p | scores uncorrelated | correlation 0.5 | 0.95 | sd of one A2, (m+n+1)/(12mn) |"
    for share in SHARES:
        row, sds = [], []
        for correlation in (0.0, 0.5, 0.95):
            generator, small = numpy_stream(0, "level", str(share), str(correlation)), 0
            for _ in range(5 * draws):
                u, h = pairs(generator, aurocs=(0.9, 0.9), correlation=correlation, share=share, m=200, n=300)
                result = delong(h, u)
                small += result.p_value(0, 1) <= 0.05
                sds.append(result.aurocs[0])
            row.append(f"{small / (5 * draws):.1%}")
        yield f"| {share} | {' | '.join(row)} | {np.std(sds):.4f}, {math.sqrt(501 / (12 * 200 * 300)):.4f} |"


def images(draws: int) -> Iterator[str]:
    """Images of each kind (held out = unlabelled) that tell AUROC 0.9 from 0.8 in four pools of five."""
    columns = "A2, correlation 0.5", "A2, correlation 0.9", "excess at 95 %, 0.5", "excess at 99 %, 0.5"
    yield f"| p | {' | '.join(f'{column} | power' for column in columns)} |"
    for share in SHARES:
        cells = []
        for correlation in (0.5, 0.9):
            spearman = 6 / math.pi * math.asin(correlation / 2)
            needed = images_needed(0.1, share=share, correlation=spearman).unlabelled
            cells += [f"{needed:,}", _power_of_a2(needed, correlation, share, draws)]
        for q in (0.95, 0.99):
            cells += _excess(q, 0.5, share, draws)
        yield f"| {share} | {' | '.join(cells)} |"


def _power_of_a2(needed: int, correlation: float, share: float, draws: int) -> str:
    if needed > 20_000:
        return "not simulated"
    generator, found = numpy_stream(0, "power", str(share), str(correlation)), 0
    for _ in range(draws):
        u, h = pairs(generator, aurocs=(0.9, 0.8), correlation=correlation, share=share, m=needed, n=needed)
        found += delong(h, u).p_value(0, 1) <= 0.05
    return f"{found / draws:.0%}"


def _excess(q: float, correlation: float, share: float, draws: int) -> list[str]:
    edge = float(norm.ppf(q))
    joint = float(multivariate_normal([0, 0], [[1, correlation], [correlation, 1]]).cdf([-edge, -edge]))
    flags = {"correlation": (joint - (1 - q) ** 2) / (q * (1 - q)), "kernel_variance": q * (1 - q)}
    better, worse = (float(norm.sf(edge - gaussian_shift(auroc))) for auroc in (0.9, 0.8))
    needed = max(images_needed(better - worse, share=share, **flags).unlabelled, math.ceil(1 / (1 - q)))
    generator, found = numpy_stream(0, "excess", str(share), str(q)), 0
    for _ in range(draws):
        u, h = pairs(generator, aurocs=(0.9, 0.8), correlation=correlation, share=share, m=needed, n=needed)
        gap = excess(u[0], h[0], level=q) - excess(u[1], h[1], level=q)
        found += gap > 1.96 * paired_sd(needed, needed, **flags)
    return [f"{needed:,}", f"{found / draws:.0%}"]


def shift(draws: int) -> Iterator[str]:
    """A detector of AUROC 0.9 that ignores the shift against one of AUROC 0.6 that sees it (m = 400, n = 1,000)."""
    yield "| p | shift, in sd | its A2 expected | mean | it wins | wins with `bulk_shift` > 0.05 | neither passes |"
    for share in (0.1, 0.5):
        for delta in (0.0, 0.1, 0.3, 0.5, 1.0):
            generator = numpy_stream(0, "shift", str(share), str(delta))
            expected = share * norm.cdf(gaussian_shift(0.6) / math.sqrt(2) + delta / math.sqrt(2))
            expected += (1 - share) * norm.cdf(delta / math.sqrt(2))
            outcomes = []
            for _ in range(2 * draws):
                u, h = pairs(generator, aurocs=(0.9, 0.6), correlation=0.0, share=share, m=400, n=1000)
                u[1] += delta
                a2 = [two_sample_auroc(u[c], h[c]) for c in (0, 1)]
                kept = [c for c in (0, 1) if bulk_shift(u[c], h[c]) > 0.05]
                wins = bool(kept) and max(kept, key=lambda c: a2[c]) == 1
                outcomes.append((a2[1], a2[1] > a2[0], wins, not kept))
            value, plain, defended, none = np.mean(outcomes, axis=0)
            yield f"| {share} | {delta} | {expected:.3f} | {value:.3f} | {plain:.0%} | {defended:.0%} | {none:.0%} |"


def bulk(draws: int) -> Iterator[str]:
    """Share of pools in which `bulk_shift` <= 0.05 (m = 400, n = 1,000): no shift, then shifts at AUROC 0.9."""
    deltas = (-0.5, -0.3, 0.1, 0.2, 0.3, 0.5, 1.0)
    header = " | ".join([f"no shift, AUROC {auroc}" for auroc in AUROCS] + [f"shift {delta:+}" for delta in deltas])
    yield f"| bulk | p | {header} |"
    for part in (0.5, 0.7):
        for share in SHARES:
            settings = [(auroc, 0.0) for auroc in AUROCS] + [(0.9, delta) for delta in deltas]
            row = [f"{_warned(part, share, auroc, delta, draws):.0%}" for auroc, delta in settings]
            yield f"| {part} | {share} | {' | '.join(row)} |"


def _warned(part: float, share: float, auroc: float, delta: float, draws: int) -> float:
    generator, warned = numpy_stream(0, "bulk", str(share), str(auroc), str(delta)), 0
    for _ in range(draws):
        u, h = scores(generator, kind="Gaussian", auroc=auroc, share=share, m=400, n=1000)
        warned += bulk_shift(u + delta, h, bulk=part) <= 0.05
    return warned / draws


def estimates(draws: int) -> Iterator[str]:
    """The share of anomalies and the AUROC without a label: means of value and ends, and how often they are right."""
    yield "| scores | AUROC | p | m, n | share | low <= p | covers p | AUROC found | low > 1/2 | covers it |"
    for kind in KINDS:
        for power in AUROCS if kind != "half hidden" else (0.97,):
            for p in (0.0, *SHARES):
                for m, n in SIZES:
                    yield _estimated(draws // 2, kind=kind, auroc=power, share=p, m=m, n=n)


def _estimated(draws: int, **setting) -> str:
    generator = numpy_stream(0, "estimates", *map(str, setting.values()))
    found = []
    for _ in range(draws):
        u, h = scores(generator, **setting)
        share = mixture_proportion(u, h)
        found.append((*share, *unlabelled_auroc(u, h, share=share)))
    share, low, high, auroc, worst, best = np.array(found).T
    p, kind, power = setting["share"], setting["kind"], setting["auroc"]
    true = 0.25 + power / 2 if kind == "half hidden" else power
    covered = f"{np.mean((worst <= true) & (true <= best)):.0%}" if p else ""
    return (
        f"| {kind} | {true:.3g} | {p} | {setting['m']}, {setting['n']} "
        f"| {share.mean():.2f}, {low.mean():.2f} to {high.mean():.2f} | {np.mean(low <= p):.0%} "
        f"| {np.mean((low <= p) & (p <= high)):.0%} "
        f"| {auroc.mean():.2f}, {worst.mean():.2f} to {best.mean():.2f} | {np.mean(worst > 0.5):.0%} | {covered} |"
    )


PARTS = {part.__name__: part for part in (mean, level, images, shift, bulk, estimates)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=PARTS, action="append")
    parser.add_argument("--draws", type=int, default=200)
    options = parser.parse_args()
    for name in options.part or PARTS:
        print(f"\n## {name}\n\n{PARTS[name].__doc__}\n")
        for number, line in enumerate(PARTS[name](options.draws)):
            print(line, flush=True)
            if number == 0:
                print("|" + "---|" * (line.count("|") - 1))


if __name__ == "__main__":
    main()
