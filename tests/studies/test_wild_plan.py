"""Plans of studies of representations: the one that comes with Feint, strict keys, and all errors at once."""

import numpy as np
import pytest
from small_wild import PLAN, write_study

from feint.core.errors import SettingError
from feint.studies.paper import plan_text
from feint.studies.plan_file import parse_plan, read_plan
from feint.studies.wild_plan import REFERENCES, WildPlan


@pytest.fixture
def folder(tmp_path):
    return write_study(tmp_path, good=2, bad=1)


def changed(folder, *pairs):
    text = PLAN
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return parse_plan(text, folder=folder)


def refused(folder, *pairs):
    with pytest.raises(SettingError) as error:
        changed(folder, *pairs)
    return str(error.value)


def test_the_plan_that_comes_with_feint_has_nine_cells_a_level(tmp_path):
    (tmp_path / "sewer_ml").mkdir()
    plan = parse_plan(plan_text("wild", root=str(tmp_path)), folder=tmp_path)
    assert isinstance(plan, WildPlan)
    arms, left_out = plan.pretraining.applicable()
    methods = [arm for arm in arms if arm.partition("/")[0] not in REFERENCES]
    assert (len(methods), len(arms)) == (9, 9 + 2 * len(REFERENCES))
    assert left_out == ["mae/resnet18: not applicable, it hides patches and needs an encoder of patch tokens"]
    assert plan.pretraining.level_names() == ["1%", "2%", "5%", "15%"]


def test_a_plan_is_read(folder):
    plan = read_plan(folder / "plan.toml")
    assert plan.data[0].path == folder / "tiles"
    assert plan.pretraining.sized_by() == (0.1, 0.3)
    assert changed(folder, ("steps = 3", "total = 40")).pretraining.sized_by() == ()
    assert changed(folder, ("steps = 3", "probe_level = 0.5")).pretraining.sized_by() == (0.1, 0.3, 0.5)


def test_all_errors_come_in_one_message(folder):
    twice = '[[data]]\nname = "tiles"\npath = "elsewhere"\nsize = 16\n'
    said = refused(
        folder,
        ('"simclr/resnet8"', '"simcrl/resnet8", "byol/resnet9"'),
        ("levels = [0.1, 0.3]", 'levels = [0.1, 1.5, "natura"]\nviews = "defcet"\nprobe_levle = 0.1'),
        ("seeds = [0]", "seeds = [1, 1]"),
        ("[pretraining]", f"{twice}[pretraining]"),
    )
    for words in (
        "there are 8 things wrong",
        "arms.2: an arm is METHOD/ENCODER, the methods are simclr",
        "got 'simcrl/resnet8'",
        "arms.3: there is no encoder 'resnet9'",
        "levels.1: a level is a share from 0 to 1, or 'natural', got 1.5",
        "levels.2: a level is a share from 0 to 1, or 'natural', got 'natura'",
        "views: there are no views called 'defcet': did you mean 'defect'?",
        "probe_levle: unknown key; did you mean 'probe_level'?",
        "seeds: give each once, 1 stands there 2 times",
        "data: give each once, 'tiles' stands there 2 times",
    ):
        assert words in said
    assert "Value error" not in said


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("levels = [0.1, 0.3]", "levels = [0.1, 0.1]", "'10%' stands there 2 times"),
        ("levels = [0.1, 0.3]", "levels = [0.1, 1]", "a share of the total is below 1"),
        ("levels = [0.1, 0.3]", "levels = [0, 0.1]", "a probe needs anomalies"),
        ("levels = [0.1, 0.3]", "levels = [true]", "a level is a share"),
        ("levels = [0.1, 0.3]", "levels = [0.1]\nprobe_level = 0", "a probe needs anomalies"),
        ("levels = [0.1, 0.3]", "levels = [0.1]\nprobe_level = 1", "a share of the total is below 1"),
        ("levels = [0.1, 0.3]", "levels = [0.1]\nbase = 'all'", "base"),
        ("steps = 3", "test_share = 0.7\nvalidation_share = 0.4", "must leave a pool"),
        ('path = "tiles"', 'path = "nowhere"', "nowhere does not exist"),
        ('path = "tiles"', 'path = "tiles"\nviews = "bend"', "data.0.views: there are no views called 'bend'"),
        ('path = "tiles"', 'path = "tiles"\nnormal = [3, 3]', "'3' stands there 2 times"),
        ('path = "tiles"', 'path = "tiles"\ntasks = "one-vs-one"', "data.0.tasks: unknown key"),
    ],
)
def test_what_cannot_be_run_is_refused(folder, old, new, words):
    assert words in refused(folder, (old, new))


def test_masked_autoencoders_alone_on_resnets_are_refused(folder):
    arms = PLAN[PLAN.index("arms = ") : PLAN.index("levels")]
    assert "none of the arms is applicable" in refused(folder, (arms, 'arms = ["mae/resnet8"]\n'))


def test_half_of_the_images_are_one_of_the_normals(folder):
    plan = changed(folder, ("levels = [0.1, 0.3]", 'levels = [0, 1, "natural"]\nbase = "normal"\nprobe_level = 0.2'))
    assert plan.pretraining.level_names() == ["0%", "100%", "natural"]


def test_patches_of_any_side_are_known(folder):
    plan = changed(folder, ("mae/vit_micro", "mae/vit_micro/7"))
    assert plan.pretraining.arms[-1] == "mae/vit_micro/7"
    assert np.isin(["mae/vit_micro/7"], plan.pretraining.applicable()[0]).all()
