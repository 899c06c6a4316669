"""Plans: what they stand for, and everything that is wrong with them in one message."""

import pytest

from feint.core.errors import InputError, SettingError
from feint.studies.plan import arms_of
from feint.studies.plan_file import read_plan


def changed(folder, *pairs):
    path = folder / "plan.toml"
    text = path.read_text()
    for before, after in pairs:
        assert before in text
        text = text.replace(before, after)
    path.write_text(text)
    return path


def test_what_has_no_meaning_is_left_out_and_listed(folder):
    arms, left_out = arms_of(read_plan(folder / "plan.toml"))
    assert [(arm.detector, arm.augmentation) for arm in arms] == [("ae", "none"), ("dae", "flip"), ("dae", "cutout")]
    assert [each.split(":")[0] for each in left_out] == ["ae with flip", "ae with cutout", "dae with none"]


def test_settings_go_to_those_detectors_that_have_them(folder):
    path = changed(folder, ('detectors = ["ae", "dae"]', 'detectors = ["ae", "dae", "discriminator"]'))
    plan = read_plan(path)
    assert plan.settings("dae") == {"net": "linear", "hidden": 4, "epochs": 1}
    assert plan.settings("discriminator") == {"epochs": 1}


def test_a_detector_can_be_named_twice_with_other_settings(folder):
    path = changed(folder, ('["ae", "dae"]', '["ae", "dae", "wide"]'))
    path.write_text(path.read_text() + '[detectors.wide]\nkind = "dae"\nhidden = 8\n')
    plan = read_plan(path)
    assert plan.kind("wide") == "dae"
    assert plan.settings("wide")["hidden"] == 8
    assert plan.references() == {"dae": "ae", "wide": "ae"}


def test_everything_wrong_comes_in_one_message(folder):
    path = changed(
        folder,
        ("seeds = [0, 1]", "seeds = [0, -1]\nsede = 3"),
        ("normal = [0, 2]", "normal = [0, 2]\ncontamination = 1.5"),
        ('augmentations = ["none", "flip", "cutout"]', "augmentations = []"),
    )
    with pytest.raises(SettingError) as caught:
        read_plan(path)
    for word in ("4 things", "did you mean 'seeds'", "-1", "contamination", "augmentations"):
        assert word in str(caught.value)


def test_unknown_names_come_with_suggestions_in_one_message(folder):
    path = changed(
        folder,
        ('detectors = ["ae", "dae"]', 'detectors = ["ae", "dea"]'),
        ('"flip", "cutout"', '"flp", "cutout"'),
        ("epochs = 1", "epoch = 1"),
        ("seeds = [0, 1]", "seeds = [0, 0]"),
    )
    path.write_text(path.read_text() + '[[hypotheses]]\nname = "geometric-first"\ndetector = "dae"\ndata = ["mnist"]\n')
    with pytest.raises(SettingError) as caught:
        read_plan(path)
    words = ("'dea' is unknown; did you mean 'dae'", "'flip'", "did you mean 'epochs'", "each seed once", "'mnist'")
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [
        ('root = "."', 'root = "elsewhere"', "elsewhere does not exist"),
        ('root = "."', "", "either path or root"),
        ('tasks = ["one-vs-one", "controlled"]', "", "tasks: this is missing"),
        ("[data]", '[data]\nroom = "x"', "unknown key; did you mean 'root'"),
        ("hidden = 4", "hidden = 0", "hidden = 0"),
        ("hidden = 4", 'hidden = "wide"', "hidden must be of type int: got 'wide'"),
        ("[study]", "[study", "no TOML"),
    ],
)
def test_what_is_wrong_is_named(folder, before, after, word):
    with pytest.raises(SettingError, match=word):
        read_plan(changed(folder, (before, after)))


def test_a_plan_that_is_not_there_is_named(folder):
    with pytest.raises(InputError, match="nothere"):
        read_plan(folder / "nothere.toml")
