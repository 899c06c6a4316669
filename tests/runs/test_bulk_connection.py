"""A connection that is lost ends a bulk job, however few images a part has, and costs no image its score."""

import fsspec
import pandas as pd
import pytest
from small_bulk import MeanJudge, expected, job, plain, table, write_images

from feint.core.errors import InputError
from feint.data import parts
from feint.runs import bulk_pieces
from feint.runs.bulk import run_bulk

LOST = "10 images in succession could not be fetched, the last because"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr("feint.data.remote.PAUSES", ())


@pytest.fixture
def system():
    """Return a remote file system that is emptied afterwards."""
    system = fsspec.filesystem("memory")
    yield system
    system.rm("/", recursive=True)


@pytest.fixture
def tables(system, tmp_path):
    """Return the URL of twelve Parquet files of five images each."""
    files = sorted(write_images(tmp_path / "images", 60).rglob("*.png"))
    for k in range(12):
        rows = pd.DataFrame({"bytes": [each.read_bytes() for each in files[5 * k : 5 * k + 5]]})
        system.pipe(f"/set/{k:02d}.parquet", rows.to_parquet())
    return "memory://set"


class Connection:
    """Opens tables, those named `gone` excepted."""

    def __init__(self, monkeypatch) -> None:
        self.gone: set[str] = set()
        self._open = parts.open_table
        monkeypatch.setattr(parts, "open_table", self)

    def __call__(self, root, name):
        if name in self.gone:
            raise ConnectionError("the network is unreachable")
        return self._open(root, name)


@pytest.fixture
def connection(monkeypatch):
    return Connection(monkeypatch)


def named(*numbers: int) -> set[str]:
    return {f"{k:02d}.parquet" for k in numbers}


def test_parts_of_few_images_are_counted_together(model, tables, out, connection):
    connection.gone = named(*range(3, 12))
    with pytest.raises(InputError, match=rf"^{LOST} 04\.parquet#4 its Parquet file cannot be read here: the network"):
        job(model, tables, out)
    assert sorted(path.name[:11] for path in out.glob("part-*")) == [f"part-{k:06d}" for k in range(3)]
    assert table(out).reason.isna().all()
    connection.gone = set()
    assert job(model, tables, out).unreadable == 0
    pd.testing.assert_series_equal(table(out).score, expected(60).score)


def test_parts_are_kept_where_the_connection_holds(model, tables, out, connection):
    connection.gone = named(0, 3, 5, 11)
    kept = []

    def tell(progress) -> None:
        kept.append((progress.done, len(list(out.glob("part-*")))))

    summary = run_bulk(MeanJudge, model, tables, out=out, backend="serial", part_size=10, tell=tell)
    assert summary.unreadable == 20
    found = table(out)
    assert set(found.path[found.reason.notna()].str.partition("#")[0]) == connection.gone
    assert kept == [(5 * k, k) for k in range(13)]


def test_damaged_tables_that_can_be_fetched_are_no_lost_connection(model, tables, out, system):
    for name in ("03", "04", "05"):
        content = system.cat_file(f"/set/{name}.parquet")
        system.pipe(f"/set/{name}.parquet", content[:4] + b"\xff" * 40 + content[44:])  # the first page's header
    assert job(model, tables, out).unreadable == 15
    reasons = table(out).set_index("path").reason
    assert reasons[reasons.notna()].str.startswith("its Parquet file cannot be read here: ").sum() == 15


def test_a_table_whose_rest_cannot_be_fetched_is_a_lost_connection(model, tables, out, system, monkeypatch):
    def failing(root, name):
        file = parts.open_remote(f"{root}/{name}")
        if name in named(3, 4, 5):
            monkeypatch.setattr(file, "read", cut_off)
        return file

    def cut_off(*_):
        raise OSError("the network is unreachable")

    monkeypatch.setattr(parts, "open_table", failing)
    with pytest.raises(InputError, match=LOST):
        job(model, tables, out)


def test_pieces_of_a_part_are_counted_together(model, system, out, tmp_path, monkeypatch):
    monkeypatch.setattr(bulk_pieces, "PIECE", 4)
    for i in range(40):
        plain(i).save(tmp_path / "image.png")
        system.put(str(tmp_path / "image.png"), f"/images/{i:02d}.png")
    fetch = type(system).cat_file

    def fetched(self, path, **options):
        if path >= "/images/17":
            raise ConnectionError("the network is unreachable")
        return fetch(self, path, **options)

    with monkeypatch.context() as patch, pytest.raises(InputError, match=rf"^{LOST} 26\.png cannot be fetched"):
        patch.setattr(type(system), "cat_file", fetched)
        job(model, "memory://images", out)
    assert [path.name[:11] for path in out.glob("part-*")] == ["part-000000"]
    assert job(model, "memory://images", out).unreadable == 0
