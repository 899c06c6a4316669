"""The model card says what the records say, and no name in them can break out of its place."""

import re

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from runs_for_report import HOSTILE, candidate, choice, ensemble, evaluation, image_set, run

from feint.records.pretraining import PretrainingRecord
from feint.records.refit import Judgement, Kinds, RefitRecord, Roles
from feint.records.run import RunRecord
from feint.report import words
from feint.report.card import card, pretraining_card
from feint.report.markdown import code, escaped
from feint.report.yaml_header import yaml_header

NASTY = [
    "a\n---\nb",
    "yes",
    "null",
    "on_",
    'say "no"',
    "# title",
    "{{ 7 * 7 }}",
    "| cell |",
    "``x``",
    "a: b",
    "&anchor *alias",
    "\u2028",
    "",
    " ",
]
texts = st.text() | st.sampled_from(NASTY)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def parts(text: str) -> tuple[dict, str]:
    """Return the header as YAML understands it, and the rest."""
    begin, header, body = re.split(r"^---\n", text, maxsplit=2, flags=re.MULTILINE)
    assert begin == ""
    return yaml.safe_load(header), body


def of(source: str, **changes: object) -> RunRecord:
    """Return a run on images of `source`."""
    record = run()
    data = record.data.model_copy(update={"normal": image_set(source, 1200), "unlabelled": image_set(source, 1023)})
    return run(data=data, **changes)


def refitted(sentence: str = "The new one is better.") -> RefitRecord:
    one = Judgement(auroc=None, caught=2, rejected=1)
    return RefitRecord(
        parent="runs/first", parent_sha256="ab" * 32, seed=0, fitted=Kinds(anomalous=17, normal=23),
        judged=Kinds(anomalous=8, normal=11), old=one, new=one, difference=None, sentence=sentence,
        roles=Roles(fitted_anomalous=[], fitted_normal=[], judged_anomalous=[], judged_normal=[], left_out=[]),
    )  # fmt: skip


def pretraining(source: str = "cells/all") -> PretrainingRecord:
    return PretrainingRecord(
        method="simclr", encoder="resnet8", readout="both", channels=1, preprocessing=run().preprocessing,
        images=image_set(source, 1200, skipped=3), views="defect", steps=1000, batch=64, rate=0.001,
        weight_decay=1e-05, seed=7, precision="fp32", device="cpu", steps_done=1000, checkpoints=[500, 1000],
        loss=4.2, images_per_second=312.5, version="0.1.0",
        warnings=[{"code": "low_rank_embeddings", "message": "At step 1000, the rank is low."}],
    )  # fmt: skip


@given(st.dictionaries(st.from_regex(r"[a-z]+", fullmatch=True).map("key_{}".format), plain, max_size=4))
def test_yaml_reads_any_header_back(values):
    text = yaml_header(values)
    assert text.splitlines()[0] == text.splitlines()[-1] == "---"
    assert text.split("\n").count("---") == 2
    assert (yaml.safe_load(text[4:-4]) or {}) == values


@given(texts)
@settings(deadline=None, max_examples=60)
def test_no_name_breaks_out_of_the_card(source):
    clean, text = card(of("source")), card(of(source))
    header, body = parts(text)
    assert header["normal"] == {"source": source, "images": 1200, "fingerprint": "3f7a" * 16}
    assert text.count("\n") == clean.count("\n") + text.partition("\n---\n")[0].count("\n") - clean.partition(
        "\n---\n"
    )[0].count("\n")
    rows = [line for line in body.split("\n") if line.startswith("| source |")]
    assert [len(re.findall(r"(?<!\\)\|", row)) for row in rows] == [4]


@pytest.mark.parametrize("text", [HOSTILE, *NASTY])
def test_sentences_are_escaped(text):
    record = run(choice=choice().model_copy(update={"sentence": text}))
    body = parts(card(record))[1]
    assert not re.search(r"(?<!\\)<script", body)
    assert body.count("\n") == parts(card(run()))[1].count("\n")


@given(texts)
def test_code_spans_hold_any_text(text):
    span = code(text)
    fence = re.match("`+", span)[0]
    inside = span[len(fence) : -len(fence)]
    assert span.endswith(fence)
    assert len(fence) not in {len(run) for run in re.findall("`+", inside)}
    assert "\n" not in span
    assert not re.search(r"(?<!\\)\|", span)


@given(texts)
def test_escaped_text_is_one_line_without_markup(text):
    shown = escaped(text)
    assert len(shown.splitlines()) <= 1
    assert not re.search(r"(?<!\\)(?:\\\\)*[`*_<>\[\]|#]", shown)


def test_the_same_record_gives_the_same_card():
    assert card(ensemble()) == card(RunRecord.model_validate_json(ensemble().model_dump_json()))
    assert pretraining_card(pretraining()) == pretraining_card(pretraining())


def test_the_header_holds_the_numbers_of_the_record():
    record = ensemble()
    header, _ = parts(card(record))
    data, calibration = record.data, record.calibration
    assert header["splits"] == {
        "training": data.training, "selection": data.selection, "calibration": data.calibration,
        "rotations": data.rotations,
    }  # fmt: skip
    assert header["threshold"] == {
        "mode": calibration.mode, "rate": calibration.rate, "asked": calibration.asked,
        "calibration_images": calibration.images,
    }  # fmt: skip
    assert [each["candidate"] for each in header["augmentation"]["voters"]] == [
        each.candidate for each in record.choice.shares
    ]
    assert np.isclose(sum(each["weight"] for each in header["augmentation"]["voters"]), 1)
    assert header["preprocessing"] == record.preprocessing.model_dump()
    assert (header["license"], header["label_reads"], header["auroc"]) == (None, {"run": 0, "evaluation": 0}, None)


def test_the_text_says_what_the_record_says():
    record = run()
    body = parts(card(record))[1]
    plain_body = body.replace("\\", "")
    for told in (
        record.found.sentence, record.choice.sentence, record.calibration.guarantee, record.created,
        f"Calibration normals: {record.calibration.images}", words.percent(record.calibration.realised[0]),
        words.percent(record.calibration.realised[1]), record.command, str(record.preprocessing.white),
    ):  # fmt: skip
        assert told in plain_body
    for each in record.candidates:
        assert f"`{each.name}`" in body
        assert each.criterion is None or f"{each.criterion.value:.3f}" in body
    for name, value in record.versions.items():
        assert f"| {name} | {value} |" in plain_body
    for each in record.phases:
        assert f"| {each.name} | {words.duration(each.seconds)} |" in plain_body
    assert "Feint abstains" not in body
    assert "rotate" not in body.partition("## Augmentation")[0]


def test_what_depends_on_the_run():
    assert "Feint abstains: what is used is not shown to be better than" in card(run(choice=choice("abstain")))
    rotated = card(run(data=run().data.model_copy(update={"rotations": 5, "calibration": 1200})))
    assert "the roles rotate 5 times" in rotated
    assert "| training | about 720 |" in rotated
    assert "| calibration | the rest |" in rotated
    assert "| calibration | 240 |" in card(run())
    failed = run(candidates=[candidate("broken", value=None)])
    assert "the loss became infinite" in card(failed)
    assert "False discovery rate" in card(run(calibration=run().calibration.model_copy(update={"mode": "fdr"})))


def test_label_reads_by_evaluation():
    record = run()
    before, after = card(record), card(record, evaluation=evaluation(record, label_reads=3))
    assert "by `feint evaluate`: none" in before
    assert "Images whose labels are known" in before
    header, body = parts(after)
    assert header["label_reads"] == {"run": 0, "evaluation": 3}
    assert header["auroc"] == evaluation(record).auroc.value
    assert "by `feint evaluate`: 3, the last of `cells/labels.csv`" in body
    assert f"| AUROC | {evaluation(record).auroc.value:.3f} |" in body
    assert "Images whose labels are known" not in body


def test_label_reads_by_marks():
    record = run(label_reads=1)
    header, body = parts(card(record, refitted=refitted(), evaluation=evaluation(record, label_reads=3)))
    assert header["label_reads"] == {"run": 1, "evaluation": 2}
    assert header["marks_learned_from"] == {"anomalous": 17, "normal": 23}
    assert "17 images that a person has marked anomalous and 23 marked normal" in body
    assert "`runs/first`" in body
    assert "Making this detector: 1." in body


@given(texts)
@settings(deadline=None, max_examples=30)
def test_the_card_of_a_pretraining(source):
    record = pretraining(source)
    header, body = parts(pretraining_card(record))
    assert header["images"]["source"] == source
    assert (header["method"], header["seed"], header["label_reads"]) == ("simclr", 7, 0)
    assert header["alarms"] == ["low_rank_embeddings"]
    assert "| steps | 1,000 of 1,000 |" in body
    assert "| seed | 7 |" in body
    assert "At step 1000, the rank is low." in body
    assert body.count("\n") == parts(pretraining_card(pretraining()))[1].count("\n")
