"""Public data sets: where their makers offer them, under which licence, and the digests of their files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, kw_only=True)
class Download:
    """One file: where it lies (the second address is tried when the first fails), its size in bytes, its sha256.

    `unpacked` is what an archive (.tar.gz) grows to at most, in bytes; 0 for a plain file, which stays as it is. What
    lies in the one folder of an archive is unpacked without that folder.
    """

    addresses: tuple[str, ...]
    size: int
    sha256: str
    unpacked: int = 0

    @property
    def file(self) -> str:
        """The file's name, that in the first address."""
        return self.addresses[0].rpartition("/")[2]


@final
@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A data set that `fetch` can get; without `downloads`, `by_hand` says how a person gets it."""

    name: str
    title: str
    licence: str
    page: str
    downloads: tuple[Download, ...] = ()
    by_hand: str = ""

    @property
    def size(self) -> int:
        """Bytes to download."""
        return sum(each.size for each in self.downloads)


def _idx(bases: tuple[str, ...], sizes: tuple[int, ...], digests: tuple[str, ...]) -> tuple[Download, ...]:
    files = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    return tuple(
        Download(addresses=tuple(f"{base}/{file}-ubyte.gz" for base in bases), size=size, sha256=digest)
        for file, size, digest in zip(files, sizes, digests, strict=True)
    )


def _cifar(file: str, size: int, digest: str) -> tuple[Download, ...]:
    bases = ("https://www.cs.toronto.edu/~kriz", "https://cave.cs.toronto.edu/kriz")
    addresses = tuple(f"{base}/{file}" for base in bases)
    return (Download(addresses=addresses, size=size, sha256=digest, unpacked=200_000_000),)


# The makers of Fashion-MNIST and CIFAR publish MD5 sums, the others none. The sha256 pinned here are those of the files
# with these MD5 sums, on which independent public projects agree.
_SETS = (
    Dataset(
        name="mnist",
        title="MNIST",
        licence="CC BY-SA 3.0 (LeCun, Cortes, Burges)",
        page="http://yann.lecun.com/exdb/mnist/",
        downloads=_idx(
            ("https://ossci-datasets.s3.amazonaws.com/mnist", "https://storage.googleapis.com/cvdf-datasets/mnist"),
            (9_912_422, 28_881, 1_648_877, 4_542),
            (
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            ),
        ),
    ),
    Dataset(
        name="fashion_mnist",
        title="Fashion-MNIST",
        licence="MIT (Zalando SE)",
        page="https://github.com/zalandoresearch/fashion-mnist",
        downloads=_idx(
            (
                "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
                "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
            ),
            (26_421_880, 29_515, 4_422_102, 5_148),
            (
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ),
        ),
    ),
    Dataset(
        name="svhn",
        title="SVHN, cropped digits",
        licence="for non-commercial use only (Netzer et al. 2011)",
        page="http://ufldl.stanford.edu/housenumbers/",
        downloads=(
            Download(
                addresses=("http://ufldl.stanford.edu/housenumbers/train_32x32.mat",),
                size=182_040_794,
                sha256="435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
            ),
            Download(
                addresses=("http://ufldl.stanford.edu/housenumbers/test_32x32.mat",),
                size=64_275_384,
                sha256="cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
            ),
        ),
    ),
    Dataset(
        name="cifar10",
        title="CIFAR-10, binary version",
        licence="none stated; cite Krizhevsky (2009), Learning Multiple Layers of Features from Tiny Images",
        page="https://www.cs.toronto.edu/~kriz/cifar.html",
        downloads=_cifar(
            "cifar-10-binary.tar.gz",
            170_052_171,
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        ),
    ),
    Dataset(
        name="cifar100",
        title="CIFAR-100, binary version",
        licence="none stated; cite Krizhevsky (2009), Learning Multiple Layers of Features from Tiny Images",
        page="https://www.cs.toronto.edu/~kriz/cifar.html",
        downloads=_cifar(
            "cifar-100-binary.tar.gz",
            168_513_733,
            "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        ),
    ),
    Dataset(
        name="mvtec",
        title="MVTec AD",
        licence="CC BY-NC-SA 4.0 (MVTec Software GmbH)",
        page="https://www.mvtec.com/company/research/datasets/mvtec-ad",
        by_hand=(
            "its makers ask everyone to accept the licence first. Accept it on {page}, download "
            "mvtec_anomaly_detection.tar.xz (4.9 GB) there, and unpack it: "
            "mkdir -p {folder} && tar -xf mvtec_anomaly_detection.tar.xz -C {folder}"
        ),
    ),
)

DATASETS = {each.name: each for each in _SETS}
