"""Marks are checked, and divided so that nothing that was learned from judges."""

import pytest

from feint.core.errors import InputError
from feint.runs.refit_marks import Known, divide, read_marks

NAMES = [f"{i:02d}.png" for i in range(60)]
MARKS = {name: int(i % 3 == 0) for i, name in enumerate(NAMES)}  # 20 anomalous, 40 normal


def known(*, copies=(), shared=(), learned=()):
    return Known(NAMES, copies, frozenset(shared), frozenset(learned))


def test_a_third_of_each_kind_is_kept_and_every_mark_has_one_role():
    roles = divide(MARKS, known(), seed=0)
    assert (len(roles.judged_anomalous), len(roles.judged_normal)) == (6, 13)
    every = roles.fitted_anomalous + roles.fitted_normal + roles.judged_anomalous + roles.judged_normal
    assert sorted(every) == NAMES
    assert all(MARKS[name] for name in roles.fitted_anomalous + roles.judged_anomalous)
    assert not any(MARKS[name] for name in roles.fitted_normal + roles.judged_normal)


def test_the_seed_decides_and_the_order_of_the_marks_does_not():
    backwards = dict(reversed(MARKS.items()))
    assert divide(backwards, known(), seed=0) == divide(MARKS, known(), seed=0)
    assert divide(MARKS, known(), seed=1) != divide(MARKS, known(), seed=0)


def test_copies_never_part():
    copies = [NAMES[i : i + 12 : 3] for i in range(0, 48, 12)]  # all marked anomalous, four alike
    for seed in range(5):
        roles = divide(MARKS, known(copies=copies), seed=seed)
        judged = {*roles.judged_anomalous, *roles.left_out}
        assert judged
        assert all(judged.issuperset(group) or judged.isdisjoint(group) for group in copies)


def test_copies_judge_once():
    copies = [NAMES[i : i + 10] for i in range(0, 60, 10)]
    marks = {name: int(i < 30) for i, name in enumerate(NAMES)} | {f"other-{i}": i % 2 for i in range(6)}
    of = Known([*NAMES, *marks], copies, frozenset(), frozenset())
    roles = divide(marks, of, seed=0)
    for judged in (roles.judged_anomalous, roles.judged_normal):
        assert len(judged) == len(of.different(judged)) == 2
    every = roles.fitted_anomalous + roles.fitted_normal + roles.judged_anomalous + roles.judged_normal
    assert sorted(every + roles.left_out) == sorted(marks)


def test_of_few_marks_none_is_kept():
    few = dict.fromkeys(NAMES[:5], 1) | dict.fromkeys(NAMES[5:15], 0)
    roles = divide(few, known(), seed=0)
    assert roles.judged_anomalous == []
    assert len(roles.fitted_anomalous) == 5
    assert len(roles.judged_normal) == 3


def test_what_was_learned_from_before_judges_nothing():
    learned = [name for i, name in enumerate(NAMES) if i % 2]
    roles = divide(MARKS, known(learned=learned), seed=0)
    assert not {*roles.judged_anomalous, *roles.judged_normal} & set(learned)
    assert roles.judged_anomalous


def test_a_copy_of_what_was_learned_from_judges_nothing():
    copies = [[name, f"copy-{name}"] for name in NAMES if MARKS[name]]
    names = [*NAMES, *(copy for _, copy in copies)]
    roles = divide(MARKS, Known(names, copies, frozenset(), frozenset(names[60:])), seed=0)
    assert roles.judged_anomalous == []
    assert roles.judged_normal


def test_paths_are_tried_as_written_and_then_tidied():
    names = [" a.png", r"e\f.png", "b/c.png", "d.png"]
    marks = {" a.png": 1, r"e\f.png": 1, r".\b\c.png": 1, "d.png ": 0}
    roles = divide(marks, Known(names, (), frozenset(), frozenset()), seed=0)
    assert (roles.fitted_anomalous, roles.fitted_normal) == ([" a.png", "b/c.png", r"e\f.png"], ["d.png"])
    with pytest.raises(InputError, match=r"gives b/c\.png both labels 0 and 1"):
        divide(marks | {"b/c.png": 0}, Known(names, (), frozenset(), frozenset()), seed=0)


def test_an_image_that_is_normal_anyway_is_left_out_unless_it_is_marked_anomalous():
    roles = divide(MARKS, known(shared=NAMES[:2]), seed=0)
    assert roles.left_out == [NAMES[1]]
    assert NAMES[0] in roles.fitted_anomalous


@pytest.mark.parametrize(
    ("marks", "said"),
    [
        ({"00.png": 1, "elsewhere.png": 1}, "1 of 2 marked paths are not in the run's scores.csv, e.g. elsewhere.png"),
        ({"00.png": 2}, "a mark must be 0 (normal) or 1 (anomalous): got 2 for 00.png"),
        (dict.fromkeys(NAMES, 0), "none of the 60 marked images is marked anomalous"),
        ({}, "none of the 0 marked images"),
        ({"00.png": 1, "01.png": 1, "02.png": 0}, "2 different images are marked anomalous: at least 3 are needed"),
    ],
)
def test_marks_that_teach_nothing_are_refused(marks, said):
    with pytest.raises(InputError) as told:
        divide(marks, known(), seed=0)
    assert said in str(told.value)


def test_copies_count_once_and_must_be_marked_alike():
    copies = [["00.png", "01.png", "02.png", "03.png"]]
    with pytest.raises(InputError, match="1 different image is marked anomalous"):
        divide(dict.fromkeys(NAMES[:4], 1), known(copies=copies), seed=0)
    with pytest.raises(InputError, match="01.png is marked normal and 00.png anomalous"):
        divide(MARKS, known(copies=copies), seed=0)


def test_a_table_is_read_and_a_folder_refused(tmp_path):
    table = tmp_path / "marks.csv"
    table.write_text("path,label\na.png,1\nb.png,0\nc.png,\n")
    assert read_marks(table) == {"a.png": 1, "b.png": 0}
    table.write_text("path,label\na.png,1\na.png,0\n")
    with pytest.raises(InputError, match="both labels 0 and 1"):
        read_marks(table)
    (tmp_path / "test" / "good").mkdir(parents=True)
    from small_runs import picture, write

    write(tmp_path / "test" / "good", {"a.png": picture(0)})
    with pytest.raises(InputError, match="is a folder: give a CSV"):
        read_marks(tmp_path / "test")
