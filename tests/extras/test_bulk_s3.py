"""Images, manifests and Parquet in a bucket: an S3 server on loopback (moto) that checks keys and signatures."""

import json
import logging
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pandas as pd
import pytest
from small_bulk import PART, MeanJudge, job, table, write_images, write_model

from feint.core.errors import InputError
from feint.runs.bulk import run_bulk

pytest.importorskip("moto.server")
s3fs = pytest.importorskip("s3fs")

BUCKET = "plant"
URL = f"s3://{BUCKET}/images"
IMAGES = 62
BROKEN = "north/line 1/00/broken.png"
JOB = """
import sys
from pathlib import Path
import small_bulk
small_bulk.job(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), backend="processes", workers=2)
"""


class Server:
    """An S3 server with one bucket. After `lock` only its users are let in, each to what it may do."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._owners: dict[str, str] = {}
        self._enter({"AWS_ACCESS_KEY_ID": "anybody", "AWS_SECRET_ACCESS_KEY": "anything"})
        self._objects.create_bucket(Bucket=BUCKET)

    def lock(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Begin to check every request's key, signature and permission."""
        admin = self.new_key("iam:*", "s3:*")
        monkeypatch.setattr("moto.settings.INITIAL_NO_AUTH_ACTION_COUNT", 0)
        self._enter(admin)

    def new_key(self, *actions: str) -> dict[str, str]:
        """Return the key of a new user, as environment variables."""
        name = uuid.uuid4().hex
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}
        self._users.create_user(UserName=name)
        self._users.put_user_policy(UserName=name, PolicyName="it", PolicyDocument=json.dumps(policy))
        key = self._users.create_access_key(UserName=name)["AccessKey"]
        self._owners[key["AccessKeyId"]] = name
        return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}

    def put(self, name: str, content: bytes = b"") -> None:
        """Write an object; an empty one whose name ends in a slash is a folder in the consoles of AWS and MinIO."""
        self._objects.put_object(Bucket=BUCKET, Key=name, Body=content)

    def put_folder(self, folder: Path, name: str) -> None:
        """Write a folder, with an object for each folder in it."""
        self.put(f"{name}/")
        for path in folder.rglob("*"):
            below = f"{name}/{path.relative_to(folder).as_posix()}"
            if path.is_dir():
                self.put(f"{below}/")
            else:
                self.put(below, path.read_bytes())

    def revoke(self, key: dict[str, str]) -> None:
        """Let a key no longer in."""
        number = key["AWS_ACCESS_KEY_ID"]
        self._users.delete_access_key(UserName=self._owners[number], AccessKeyId=number)

    def _enter(self, key: dict[str, str]) -> None:
        import boto3

        session = boto3.Session(*key.values(), region_name="us-east-1")
        self._objects, self._users = (session.client(each, endpoint_url=self.url) for each in ("s3", "iam"))


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    """Return a folder of 61 images, a broken one, and a file that is no image; not to be changed."""
    folder = tmp_path_factory.mktemp("s3") / "images"
    write_images(folder / "north/line 1", 30)
    write_images(folder / "south", 30)
    whole = (folder / "south/00/0003.png").read_bytes()
    (folder / "south/00/Stück #1 [a]+b?50%20.png").write_bytes(whole)
    (folder / BROKEN).write_bytes(whole[:48])
    (folder / "notes.txt").write_text("no image")
    return folder


@pytest.fixture(scope="module")
def server(images):
    """Return a locked server that holds the images."""
    from moto.server import ThreadedMotoServer

    with pytest.MonkeyPatch.context() as monkeypatch:
        alone(monkeypatch)
        quiet = logging.getLogger("werkzeug")
        level = quiet.level
        quiet.setLevel(logging.ERROR)
        opened = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        opened.start()
        server = Server("http://{}:{}".format(*opened.get_host_and_port()))
        server.lock(monkeypatch)
        server.put_folder(images, "images")
        yield server
        opened.stop()
        quiet.setLevel(level)


def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what whoever runs the tests has set for AWS."""
    for name in [each for each in os.environ if each.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(autouse=True)
def key(server, monkeypatch):
    """Set what a user of MinIO sets, for a user who may only list and read; return the key."""
    alone(monkeypatch)
    key = server.new_key("s3:ListBucket", "s3:GetObject")
    use(monkeypatch, AWS_ENDPOINT_URL=server.url, **key)
    yield key
    s3fs.S3FileSystem.clear_instance_cache()


def use(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    """Set environment variables for what comes, as a new process would have them."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def expected(model, images, tmp_path):
    """Return the table of the folder on the disk."""
    job(model, images, tmp_path / "folder.parquet")
    found = table(tmp_path / "folder.parquet")
    assert len(found) == IMAGES
    return found


def parts(out: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in out.glob("part-*")}


def test_a_run_says_of_a_bucket_what_it_says_of_the_folder(command, finished, images, tmp_path, out):
    words = ("--backend", "processes", "--workers", 2, "--json")
    folder = command("score", finished.path, images, "--out", tmp_path / "folder.parquet", *words)
    outcome = command("score", finished.path, URL, "--out", out, *words)
    assert (folder.code, outcome.code) == (0, 0), outcome.err
    counts, from_disk = (json.loads(each.out) | {"out": ""} for each in (outcome, folder))
    assert counts == from_disk
    assert (counts["images"], counts["unreadable"]) == (IMAGES, 1)
    found = table(out)
    pd.testing.assert_frame_equal(found, table(tmp_path / "folder.parquet"), check_exact=True)
    assert sorted(found.path) == sorted(path.relative_to(images).as_posix() for path in images.rglob("*.png"))
    broken = found[found.reason.notna()]
    assert broken.path.tolist() == [BROKEN]
    assert broken.reason.item().startswith("damaged: ")
    assert found.score.notna().sum() == IMAGES - 1
    assert len(set(found.score.dropna())) > 1


@pytest.mark.parametrize("backend", ["serial", "processes"])
def test_a_folder(model, expected, out, backend):
    job(model, URL, out, backend=backend, workers=2 if backend == "processes" else None)
    pd.testing.assert_frame_equal(table(out), expected, check_exact=True)


def test_a_whole_bucket(model, expected, out):
    job(model, f"s3://{BUCKET}", out)
    found = table(out)
    assert found.path.tolist() == [f"images/{each}" for each in expected.path]
    assert found.drop(columns="path").equals(expected.drop(columns="path"))


def test_killed_after_the_first_part_and_resumed(expected, tmp_path, out):
    slow = write_model(tmp_path / "slow", slow=0.5)
    words = [sys.executable, "-c", JOB, slow, URL, out]
    variables = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "FEINT_CORES": "2"}
    process = subprocess.Popen(list(map(str, words)), stderr=subprocess.PIPE, text=True, env=variables)
    until = time.monotonic() + 60
    while not parts(out) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.005)
    process.kill()
    _, told = process.communicate()
    kept = parts(out)
    assert 1 <= len(kept) < IMAGES // PART, told
    job(slow, URL, out, backend="processes", workers=2)
    assert kept.items() <= parts(out).items(), "a finished part was written again"
    pd.testing.assert_frame_equal(table(out), expected, check_exact=True)
    assert table(out).path.is_unique


def test_keys_that_run_out_end_the_job_which_goes_on_with_others(server, key, model, expected, out, monkeypatch):
    def revoke(progress) -> None:
        if progress.done and not revoked:
            server.revoke(key)
            revoked.append(progress.done)

    revoked: list[int] = []
    with pytest.raises(InputError, match="10 images in succession could not be fetched, the last because .* Forbidden"):
        run_bulk(MeanJudge, model, URL, out=out, backend="serial", part_size=PART, tell=revoke)
    kept = parts(out)
    assert 1 <= len(kept) < IMAGES // PART
    use(monkeypatch, **server.new_key("s3:ListBucket", "s3:GetObject"))
    job(model, URL, out)
    assert kept.items() <= parts(out).items()
    pd.testing.assert_frame_equal(table(out), expected, check_exact=True)


def test_a_manifest(server, model, expected, out):
    rows = pd.DataFrame({"image_path": [*expected.path, "absent.png"]})
    server.put("images/m.csv", rows.to_csv(index=False).encode())
    assert job(model, f"{URL}/m.csv", out).unreadable == 2
    found = table(out)
    pd.testing.assert_frame_equal(found[:-1], expected, check_exact=True)
    assert found.reason.iloc[-1] == "is not there"


@pytest.mark.parametrize("source", ["tables", "tables/p.parquet"])
def test_parquet_with_images(server, model, images, expected, out, source):
    contents = [(images / each).read_bytes() for each in expected.path]
    server.put("tables/p.parquet", pd.DataFrame({"bytes": contents}).to_parquet(row_group_size=9))
    job(model, f"s3://{BUCKET}/{source}", out, backend="processes", workers=2)
    found = table(out)
    assert found.path.tolist() == [f"p.parquet#{row}" for row in range(IMAGES)]
    assert found.drop(columns="path").equals(expected.drop(columns="path"))


@pytest.mark.parametrize(
    ("url", "variables", "told"),
    [
        ("s3://absent/images", {}, "does not exist: check the URL"),
        (f"s3://{BUCKET}/absent", {}, "does not exist: check the URL"),
        (f"s3://{BUCKET}/absent.parquet", {}, "does not exist: check the URL"),
        (URL, {"AWS_SECRET_ACCESS_KEY": "wrong"}, "cannot be read: The request signature we calculated does not match"),
        (URL, {"AWS_ACCESS_KEY_ID": "wrong"}, "cannot be read: The AWS Access Key Id you provided does not exist"),
        (f"{URL}/m.csv", {"AWS_ACCESS_KEY_ID": "wrong"}, "cannot be read: The AWS Access Key Id you provided does"),
        (URL, {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "cannot be read: Unable to locate credentials"),
        (URL, {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}, "cannot be read: Could not connect"),
    ],
)
def test_what_cannot_be_read_is_told_in_a_sentence(command, finished, out, monkeypatch, url, variables, told):
    use(monkeypatch, **variables)
    outcome = command("score", finished.path, url, "--out", out, "--backend", "serial")
    assert outcome.code == 3
    assert outcome.sentence.startswith(f"{url} {told}")
    assert len(outcome.err.strip().splitlines()) == 1
    assert not out.exists()


def test_a_key_that_may_not_list(server, command, finished, out, monkeypatch):
    use(monkeypatch, **server.new_key("s3:GetObject"))
    outcome = command("score", finished.path, URL, "--out", out, "--backend", "serial")
    assert (outcome.code, out.exists()) == (3, False)
    assert outcome.sentence.startswith(f"{URL} cannot be read: Access Denied")
    assert outcome.sentence.endswith("Check the URL, the credentials and the connection, then start again.")
