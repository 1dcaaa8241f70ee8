"""`harken serve` as a process: its line, one answer, its end by a signal, and its refusals."""

import os
import signal
import socket
import subprocess
import sys

import httpx2
import pytest
from families import qwen2_5_omni
from running import ask, request, texts
from typer.testing import CliRunner

from harken.cli.serve import app

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "COLUMNS": "160", "NO_COLOR": "1"}
COMMAND = [sys.executable, "-c", "from harken.cli.main import run; run()", "serve"]
SECRET = "a-secret-of-some-length"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("served") / "tiny"
    qwen2_5_omni.save(where)
    return where


@pytest.mark.slow
@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_from_its_line_to_its_end(folder, tmp_path, by):
    secret = tmp_path / "secret"
    secret.write_text(SECRET + "\n")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    told = [*COMMAND, str(folder), "--port", "0", "--token", f"@{secret}", "--max-tokens", "4", "at_once=2"]
    with subprocess.Popen(
        told, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**ENVIRONMENT, "TMPDIR": str(temporary)}
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        line = process.stdout.readline()
        assert line.startswith("tiny (text, audio, image; float32 on cpu) at http://127.0.0.1:"), process.stderr.read()
        assert SECRET not in line
        address = line.split(" at ")[1].split("/v1")[0]
        with httpx2.Client(base_url=address, headers={"Authorization": f"Bearer {SECRET}"}, timeout=60) as client:
            said = ask(client, request())
            assert len(texts(said)) == 1
            assert said["usage"]["completion_tokens"] <= 4
            assert httpx2.get(address + "/v1/models").status_code == 401
            process.send_signal(by)
        assert process.wait(20) == 0
        assert process.stderr.read() == "stopped\n"
    # torch makes a folder for its compiler there; harken leaves none.
    assert not list(temporary.glob("harken*"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--host", "0.0.0.0"], "a token is needed"),
        (["--token", "short"], "at least 16"),
        (["--token", "@/nowhere/secret"], "No such file"),
        (["--max-tokens", "9999"], "at most serve.longest"),
        (["--dtype", "int4"], "auto, float32, bfloat16"),
        (["at_onec=2"], "did you mean 'at_once'"),
        (["port=8001"], "--port"),
        (["at_once=0"], "at_once must be"),
        ([], "there is no folder"),
    ],
)
def test_mistakes_are_answered_in_words(arguments, says):
    done = CliRunner().invoke(app, ["no/such/model", *arguments], env={"COLUMNS": "160", "NO_COLOR": "1"})
    assert done.exit_code == 2
    assert says in done.stderr


def test_a_port_that_is_taken(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = CliRunner().invoke(app, [str(folder), "--port", str(taken.getsockname()[1])])
    assert done.exit_code == 2
    assert "--port" in done.stderr


def test_the_secret_may_come_by_the_environment(monkeypatch):
    monkeypatch.setenv("HARKEN_TOKEN", "short")
    assert "at least 16" in CliRunner().invoke(app, ["no/such/model"]).stderr
