import functools
import gzip
import hashlib
import http.server
import struct
import threading

import numpy as np
import pytest
from typer.testing import CliRunner

from feint.cli.data import app
from feint.core.errors import InputError, SettingError
from feint.data.class_sets import read_class_set
from feint.data.public_sets import DATASETS, Dataset, Download


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture
def tiny_mnist(tmp_path, monkeypatch):
    """Offer four tiny idx files on a local port under the name of MNIST; return the images."""
    rng = np.random.default_rng(0)
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    arrays = {
        "train-images-idx3": rng.integers(0, 256, (6, 28, 28), np.uint8),
        "train-labels-idx1": np.arange(6, dtype=np.uint8),
        "t10k-images-idx3": rng.integers(0, 256, (3, 28, 28), np.uint8),
        "t10k-labels-idx1": np.arange(3, dtype=np.uint8),
    }
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(shelf))) as server:
        downloads = []
        for stem, array in arrays.items():
            data = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()
            (shelf / f"{stem}-ubyte.gz").write_bytes(packed := gzip.compress(data))
            address = f"http://127.0.0.1:{server.server_port}/{stem}-ubyte.gz"
            downloads.append(
                Download(addresses=(address,), size=len(packed), sha256=hashlib.sha256(packed).hexdigest())
            )
        dataset = Dataset(name="mnist", title="Tiny MNIST", licence="CC0", page="a page", downloads=tuple(downloads))
        monkeypatch.setitem(DATASETS, "mnist", dataset)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield arrays
        server.shutdown()
        thread.join()


def run(*arguments):
    return CliRunner().invoke(app, ["fetch", *map(str, arguments)], catch_exceptions=False)


def test_what_is_fetched_can_be_read(tiny_mnist, tmp_path):
    result = run("mnist", "--root", tmp_path / "data")
    assert result.exit_code == 0
    assert result.stdout == f"{tmp_path / 'data/mnist'}\n"
    assert np.array_equal(read_class_set(tmp_path / "data/mnist").x_train, tiny_mnist["train-images-idx3"])
    licence, size = result.stderr.index("Licence: CC0"), result.stderr.index("0.0 MB in 4 files to download")
    assert licence < size
    again = run("mnist", "--root", tmp_path / "data")
    assert (again.exit_code, again.stdout) == (0, result.stdout)
    assert "is there already: it is left as it is" in again.stderr


def test_a_name_that_is_unknown(tmp_path):
    with pytest.raises(SettingError, match=r"'cifar-10' is unknown: did you mean cifar10\?"):
        run("cifar-10", "--root", tmp_path)
    with pytest.raises(SettingError, match="give one of mnist, fashion_mnist, svhn, cifar10, cifar100, mvtec"):
        run("zzz", "--root", tmp_path)


def test_mvtec_is_explained(tmp_path):
    with pytest.raises(InputError, match="accept the licence first"):
        run("mvtec", "--root", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_root_is_asked_for():
    assert run("mnist").exit_code == 2
