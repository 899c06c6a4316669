"""After a refit, images that were learned from are no evidence: neither of what was found nor for an FDR."""

import json
from contextlib import closing

import numpy as np
import pytest
from small_runs import defective, normal_folder, picture, write

import feint
from feint.app.review.desk import Desk
from feint.app.review.subject import unlabelled_of
from feint.calibration.decision import decide, too_high_together, too_many_flagged
from feint.core.errors import InputError

MARKS = {f"{i:03d}.png": int(defective(i)) for i in range(45)}  # 18 anomalous, 27 normal; 12 and 18 are learned from


def parted(new):
    """Return the rows of scores.csv of what was learned from, and the others."""
    roles = new.refitted.roles
    seen = new.scores.path.isin([*roles.fitted_anomalous, *roles.fitted_normal])
    return new.scores[seen], new.scores[~seen]


@pytest.mark.usefixtures("small")
def test_what_was_found_is_of_the_other_images(finished, tmp_path):
    new = feint.refit(finished.path, MARKS, out=tmp_path / "new")
    seen, others = parted(new)
    found, n = new.record.found, new.record.calibration.images
    assert (found.unlabelled, found.learned_from, found.flagged) == (30, 30, others.flagged.sum())
    assert found.sentence.endswith("30 more are left out: the detector has learned from them.")
    assert found.together_p_value == pytest.approx(too_high_together(others.p_value, calibration=n))
    rate = new.record.calibration.rate
    exceeding = int((others.p_value <= rate).sum())
    chance = too_many_flagged(exceeding, unlabelled=len(others), calibration=n, rate=rate)
    assert found.any_anomaly_p_value == pytest.approx(chance)
    assert seen.flagged.tolist() == (seen.p_value <= rate).astype(int).tolist()
    page = (new.path / "report.html").read_text()
    assert found.sentence in page
    assert "unlabelled images (60, of which 30 were learned from)" in page


@pytest.mark.usefixtures("small")
def test_the_false_discovery_rate_is_that_of_the_other_images(run, tmp_path):
    record = json.loads((run.path / "run.json").read_text())
    record["settings"]["fdr"] = 0.3
    (run.path / "run.json").write_text(json.dumps(record))
    new = feint.refit(run.path, MARKS, out=tmp_path / "new")
    seen, others = parted(new)
    assert new.record.calibration.mode == "fdr"
    assert others.flagged.tolist() == decide(others.p_value, fdr=0.3).astype(int).tolist()
    line = others.p_value[others.flagged == 1].max() if others.flagged.any() else 0.0
    assert seen.flagged.tolist() == (seen.p_value <= line).astype(int).tolist()
    assert new.record.found.flagged == others.flagged.sum()
    with closing(Desk(unlabelled_of(new), tmp_path)) as desk:  # the page draws the same line, of the same images
        found = desk.thresholds
        assert found.flagged(found.own) == others.flagged.sum()
        assert np.array_equal(found.levels <= found.own, new.scores.flagged == 1)
        assert " of 30 unlabelled images" in found.found(found.own)
        assert found.found(found.own).endswith("flagged. 30 more are left out: the run has learned from them.")


@pytest.fixture
def listed(small, tmp_path):
    """Return a run on a list of some files of a folder, with copies and odd names; no other file of it was listed."""
    names = [" a.png", r"e\f.png", "b .png", *(f"{i:03d}.png" for i in range(17))]
    pool = {name: picture(1000 + i, defect=i < 10) for i, name in enumerate(names)}
    copies = {f"copy-of-a-{i}.png": pool[" a.png"] for i in range(3)}
    folder = write(tmp_path / "unlabelled", pool | copies | {f"not-listed-{i}.png": picture(i) for i in range(5)})
    files = sorted(folder / name for name in pool | copies)
    normal = normal_folder(tmp_path / "normal")
    return feint.tune(normal, files, out=tmp_path / "old", budget="quick", augmentations=["cutdiff"])


def test_a_list_is_opened_again_and_names_stay_as_they_are(listed, tmp_path):
    marks = tmp_path / "marks.csv"
    marks.write_text("path,label\n a.png,1\ne\\f.png,1\nb .png,1\n016.png,0\ncopy-of-a-1.png,1\n")
    new = feint.refit(listed, marks, out=tmp_path / "new")
    assert new.refitted.roles.fitted_anomalous == [" a.png", "b .png", "copy-of-a-1.png", r"e\f.png"]
    assert (new.refitted.fitted.anomalous, new.refitted.fitted.normal) == (3, 1)
    assert sorted(new.scores.path) == sorted(listed.scores.path)
    found = new.record.found
    assert (found.learned_from, found.unlabelled) == (4 + 3, 23 - 7)  # the copies of one are no evidence either
    labels = tmp_path / "labels.csv"
    labels.write_text("path,label\n" + "".join(f"{name},{int(i % 2)}\n" for i, name in enumerate(new.scores.path)))
    judged = feint.evaluate(new, labels)
    assert judged.normal + judged.anomalous == 23 - 7


def test_a_list_in_another_order_is_refused_for_what_it_is(listed, tmp_path):
    record = json.loads((listed.path / "run.json").read_text())
    record["data"]["unlabelled"]["fingerprint"] = "of another order"
    (listed.path / "run.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"tuned on a list of files in .*opened again in the order of their names: 23"):
        feint.refit(listed.path, {"000.png": 1, "001.png": 1, "002.png": 1}, out=tmp_path / "new")
    assert not list(tmp_path.glob("new*"))


@pytest.mark.usefixtures("small")
def test_nothing_is_said_where_all_images_were_learned_from(tmp_path):
    unlabelled = write(tmp_path / "unlabelled", {f"{i}.png": picture(1000 + i, defect=i < 5) for i in range(10)})
    normal = normal_folder(tmp_path / "normal")
    old = feint.tune(normal, unlabelled, out=tmp_path / "old", budget="quick", augmentations=["cutdiff"])
    new = feint.refit(old, {f"{i}.png": int(i < 5) for i in range(10)}, out=tmp_path / "new")
    found = new.record.found
    assert found.sentence == "Nothing can be said: the detector has learned from all 10 unlabelled images."
    assert (found.unlabelled, found.flagged, found.any_anomaly_p_value, found.together_p_value) == (0, 0, 1.0, 1.0)
    assert np.isfinite(new.scores.p_value).all()
