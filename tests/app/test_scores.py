"""What the service answers: the scores, maps and reasons of `feint score`."""

import base64
import io
import threading

import numpy as np
import pytest
import small_runs
from PIL import Image

import feint
from feint.runs.score import score_images


def png(image: np.ndarray, form: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, form)
    return file.getvalue()


ORDINARY = png(small_runs.picture(0))


@pytest.fixture(scope="module")
def expected(finished):
    """Return what `feint score` says of the unlabelled images, by name."""
    return score_images(feint.Run(finished.path), finished.unlabelled).table.set_index("path")


@pytest.fixture(scope="module")
def files(finished):
    return [(path.name, path.read_bytes()) for path in sorted(finished.unlabelled.iterdir())]


def matches(answer, expected) -> bool:
    return all(
        each["score"] == pytest.approx(expected.score[each["name"]], rel=1e-6, abs=1e-6)
        and each["p_value"] == expected.p_value[each["name"]]
        and each["flagged"] is bool(expected.flagged[each["name"]])
        for each in answer["images"]
    )


def test_many_images_get_the_scores_of_the_command_in_the_order_sent(serving, files, expected):
    answer = serving.score(*files).json()
    assert [each["name"] for each in answer["images"]] == [name for name, _ in files]
    assert matches(answer, expected)
    assert answer["model"] == serving.client.get("/v1/model").json()["sha256"][:12]


def test_base64_gets_the_same_answer_as_multipart(serving, files):
    images = [{"name": name, "data": base64.b64encode(data).decode()} for name, data in files[:3]]
    by_text = serving.client.post("/v1/score", json={"images": images})
    assert (by_text.status_code, by_text.json()) == (200, serving.score(*files[:3]).json())


def test_requests_that_arrive_together_get_each_their_own_scores(serving, files, expected):
    answers = [None] * len(files)

    def ask(i: int) -> None:
        answers[i] = serving.score(files[i]).json()

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(len(files))]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert [answer["images"][0]["name"] for answer in answers] == [name for name, _ in files]
    assert all(matches(answer, expected) for answer in answers)


def test_the_run_of_several_models_is_served_like_any_other(serve, cross_fitted):
    serving = serve(path=cross_fitted.path)
    files = [(path.name, path.read_bytes()) for path in sorted(cross_fitted.unlabelled.iterdir())]
    expected = score_images(feint.Run(cross_fitted.path), cross_fitted.unlabelled).table.set_index("path")
    assert len(serving.service.served.model.members) > 1
    assert matches(serving.score(*files).json(), expected)


def test_a_map_is_the_png_that_the_command_writes(serving, finished, tmp_path):
    folder = small_runs.write(tmp_path / "images", {"large.png": small_runs.picture(5, defect=True, side=50)})
    score_images(feint.Run(finished.path), folder, maps=tmp_path / "maps")
    answer = serving.score(("large.png", (folder / "large.png").read_bytes()), maps=True).json()
    found = Image.open(io.BytesIO(base64.b64decode(answer["images"][0]["map"])))
    assert np.array_equal(np.asarray(found), np.asarray(Image.open(tmp_path / "maps/large.png.png")))
    assert "map" not in serving.score(("large.png", ORDINARY)).json()["images"][0]


def test_an_image_that_cannot_be_read_stands_among_the_others_with_its_reason(serving):
    found = serving.score(("a.png", ORDINARY), ("b.png", ORDINARY[:200]), ("c.png", ORDINARY))
    images = found.json()["images"]
    assert (found.status_code, [each["name"] for each in images]) == (200, ["a.png", "b.png", "c.png"])
    assert set(images[1]) == {"name", "reason"}
    assert images[1]["reason"].startswith("damaged")
    assert images[0]["score"] == pytest.approx(images[2]["score"], rel=1e-6)


def test_images_of_any_size_and_kind_are_scored(serving):
    grey = small_runs.picture(3)
    images = {
        "large.png": png(small_runs.picture(3, side=64)),
        "colour.jpg": png(np.stack([grey] * 3, axis=-1), "JPEG"),
        "deep.png": png(grey.astype(np.uint16) * 257),
        "transparent.png": png(np.stack([grey] * 4, axis=-1)),
    }
    answer = serving.score(*images.items()).json()["images"]
    assert [each["name"] for each in answer if "score" in each] == ["large.png", "colour.jpg", "transparent.png"]
    assert "bit depth" in answer[2]["reason"]


def test_the_card_tells_what_the_model_is_and_no_path(serving, finished):
    found = serving.client.get("/v1/model")
    record = feint.Run(finished.path).record
    card = found.json()
    assert card["calibration"]["images"] == record.calibration.images
    assert card["calibration"]["threshold"] == record.calibration.threshold
    assert card["preprocessing"] == [record.preprocessing.model_dump()]
    assert card["limits"]["images"] == 64
    assert str(finished.path.parent) not in found.text
    assert str(finished.normal) not in found.text


def test_the_counters_count(serve):
    serving = serve()
    serving.score(("a.png", ORDINARY), ("b.png", b"no image"))
    serving.score(("b.png", b"no image"))
    serving.client.get("/nothing")
    text = serving.client.get("/metrics").text
    assert 'feint_requests_total{route="/v1/score",status="200"} 1.0' in text
    assert 'feint_requests_total{route="/v1/score",status="422"} 1.0' in text
    assert 'feint_requests_total{route="other",status="404"} 1.0' in text
    assert "feint_p_value_count 1.0" in text
    assert 'feint_images_total{outcome="unread"} 2.0' in text
    assert "feint_batch_images_sum 1.0" in text
    assert f'feint_model{{sha256="{serving.service.served.sha256}"}} 1.0' in text
    assert "process_resident_memory_bytes" in text
