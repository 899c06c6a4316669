"""`feint serve` refuses to start in one sentence."""

import socket

import pytest


def test_a_port_in_use_is_named(command, run):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        outcome = command("serve", run.path, "--port", port)
    assert outcome.code == 2
    assert outcome.sentence == (
        f"cannot listen on 127.0.0.1 port {port}: the port is in use. Choose another with --port (0: any free one)."
    )


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_other_machines_are_let_in_by_token_only(command, run, host, monkeypatch):
    monkeypatch.delenv("FEINT_TOKEN", raising=False)
    outcome = command("serve", run.path, "--host", host, "--port", 0)
    assert (outcome.code, "FEINT_TOKEN" in outcome.sentence) == (2, True)


@pytest.mark.parametrize("token", ["", "two words", "schlüssel", "line\nbreak"])
def test_a_token_that_no_header_can_carry_is_refused(command, run, token, monkeypatch):
    monkeypatch.setenv("FEINT_TOKEN", token)
    outcome = command("serve", run.path, "--host", "0.0.0.0", "--port", 0)
    assert outcome.code == 2
    assert "token" in outcome.sentence
    assert token == "" or token not in outcome.err


def test_a_host_that_is_none_is_named(command, run):
    outcome = command("serve", run.path, "--host", "no.such.host.invalid")
    assert (outcome.code, "no.such.host.invalid" in outcome.sentence) == (2, True)


def test_what_is_no_run_or_a_damaged_one_is_not_served(command, run, tmp_path):
    assert command("serve", tmp_path, "--port", 0).code == 3
    (run.path / "model.safetensors").write_bytes(b"cut short")
    assert command("serve", run.path, "--port", 0).code == 5


@pytest.mark.parametrize("option", ["--max-megabytes", "--max-megapixels", "--max-images", "--max-in-flight"])
def test_a_limit_of_nothing_is_refused(command, run, option):
    outcome = command("serve", run.path, option, 0)
    assert (outcome.code, option in outcome.err) == (2, True)


def test_help_does_not_show_the_token(command, monkeypatch):
    monkeypatch.setenv("FEINT_TOKEN", "a-long-secret")
    outcome = command("serve", "--help")
    assert "FEINT_TOKEN" in outcome.out
    assert "a-long-secret" not in outcome.out + outcome.err
