"""Unlabelled images that also stand among the normal ones are no evidence, however many they are."""

import shutil

import pytest
from small_runs import BUDGET, normal_folder, picture, tune_arguments, unlabelled_folder, write

import feint
from feint.runs.preparing import prepare
from feint.runs.progress import Silent
from feint.runs.workspace import Workspace


class Listening(Silent):
    """Keeps what a run says on its way."""

    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)


@pytest.fixture
def prepared(tmp_path):
    """Return a maker of the data of a run, and what was said meanwhile."""

    def make(normal, unlabelled):
        space, monitor = Workspace(tmp_path / f"run-{normal.name}-{unlabelled.name}"), Listening()
        space.open(resume=False)
        data = prepare(
            normal, unlabelled, space=space, budget=BUDGET, image_size=None, needed=1, seed=0, workers=1,
            monitor=monitor,
        )  # fmt: skip
        return data, monitor.said

    return make


@pytest.mark.parametrize("n", [110, 40])
def test_the_same_folder_twice_shows_no_difference(command, tmp_path, n):
    folder, out = normal_folder(tmp_path / "n", n), tmp_path / "run"
    outcome = command(*tune_arguments(folder, folder, out))
    assert outcome.code == 0, outcome.err
    record = feint.Run(out).record
    message = {each.code: each.message for each in record.warnings}["shared"]
    assert message.startswith(f"All {n} unlabelled images also stand among the normal ones: there is nothing to tell")
    assert outcome.err.count(message) == 2  # before anything is trained, and in the end
    assert "shift" not in {each.code for each in record.warnings}
    assert record.found.flagged == 0
    assert record.choice.verdict in {"abstain", "none"}
    assert record.choice.anomalous_share.low == 0
    assert all(each.criterion.value == pytest.approx(0.5) for each in record.candidates)
    assert all("pool" not in each.name for each in record.candidates)


@pytest.mark.parametrize("n", [110, 40])
def test_where_all_are_known_selection_normals_alone_stand_in(prepared, tmp_path, n):
    folder = normal_folder(tmp_path / "n", n)
    data, _ = prepared(folder, folder)
    for rotation, roles in enumerate(data.rotations):
        assert set(data.material(32, rotation).pool) == set(roles.selection)


def test_where_none_of_them_is_a_selection_normal_one_image_is_left(prepared, tmp_path):
    normal = normal_folder(tmp_path / "n")
    roles = prepared(normal, normal)[0].rotations[0]
    some = write(tmp_path / "u", {f"{i:03d}.png": picture(i) for i in roles.training[:30]})
    assert len(prepared(normal, some)[0].pool) == 1


@pytest.mark.parametrize(("others", "said"), [(1, "Only 1 is left"), (4, "Only 4 are left"), (10, None)])
def test_images_that_are_not_known_are_the_pool_however_few(prepared, tmp_path, others, said):
    normal = normal_folder(tmp_path / "n")
    mixed = unlabelled_folder(tmp_path / "u", others, defects=1)
    for path in sorted(normal.iterdir())[:30]:
        shutil.copy(path, mixed / f"known-{path.name}")
    data, heard = prepared(normal, mixed)
    assert [data.unlabelled_names[i] for i in data.pool] == [f"{i:03d}.png" for i in range(others)]
    assert data.different == others
    assert [said in each for each in heard] == ([True] if said else [])


def test_one_known_image_is_told_in_the_singular(prepared, tmp_path):
    normal = normal_folder(tmp_path / "n")
    alone = write(tmp_path / "alone", {"a.png": picture(3)})
    both = write(tmp_path / "both", {"a.png": picture(3), "b.png": picture(900, defect=True)})
    assert prepared(normal, alone)[1][0].startswith("The only unlabelled image also stands among the normal ones: ")
    assert prepared(normal, both)[1] == [
        "1 unlabelled image also stands among the normal ones, e.g. a.png: it is known to be normal and never flagged. "
        "Only 1 is left to tell from the normal ones."
    ]
