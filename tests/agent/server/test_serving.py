"""How the server listens: at once, and over https."""

import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx2
import openai
import pytest

from agent.errors import UsageError
from agent.server.serving import _bound, _tls
from agent.server.settings import Listening
from agent.testing import ScriptedEndpoint, says
from tests.agent.endpoint.ways import Issuer, issuer
from tests.agent.server.serving import process

pytestmark = pytest.mark.usefixtures("clean_environ")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    return issuer(tmp_path_factory.mktemp("issuer"))


def test_small_events_do_not_wait_for_more() -> None:
    with _bound(Listening(port=0)) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.docker
def test_a_client_that_knows_the_authority_asks_over_https(made: Issuer, tmp_path: Path) -> None:
    files = ["--tls-cert", str(made.folder / "server.pem"), "--tls-key", str(made.folder / "server.key")]
    with ScriptedEndpoint([says("Hello.")]) as endpoint, process(endpoint, tmp_path / "state", *files) as (_, url):
        assert url.startswith("https://")
        base_url = f"https://localhost:{url.rpartition(':')[2]}/v1"
        trusting = httpx2.Client(verify=ssl.create_default_context(cafile=made.file))
        with openai.OpenAI(base_url=base_url, api_key="none", http_client=trusting) as client:
            events = list(client.responses.create(model="m", input="Hi", stream=True))
        with (
            openai.OpenAI(base_url=base_url, api_key="none", max_retries=0) as stranger,
            pytest.raises(openai.APIConnectionError),
        ):
            stranger.models.list()
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == "Hello."


Files = Callable[[Path], tuple[Path | None, Path | None]]


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (lambda folder: (None, folder / "server.key"), "needs its certificate"),
        (lambda folder: (folder / "missing.pem", folder / "server.key"), "missing.pem': No such file"),
        (lambda folder: (folder / "server.pem", folder), "Is a directory"),
        (lambda folder: (folder / "server.pem", None), "are no certificate in PEM with its key"),
        (lambda folder: (folder / "server.pem", folder / "alone.key"), "are no certificate in PEM with its key"),
    ],
)
def test_files_that_are_no_pair_are_refused_before_anything_begins(files: Files, told: str, made: Issuer) -> None:
    certificate, key = files(made.folder)
    with pytest.raises(UsageError, match=told):
        _tls(Listening(certificate=certificate, certificate_key=key))


def test_a_key_with_a_passphrase_is_refused_and_nobody_is_asked_for_it(made: Issuer) -> None:
    locked = made.folder / "locked.key"
    command = ["openssl", "ec", "-in", "server.key", "-aes256", "-passout", "pass:x", "-out", locked.name]
    subprocess.run(command, cwd=made.folder, check=True, capture_output=True)
    with pytest.raises(UsageError, match="or the key has a passphrase"):
        _tls(Listening(certificate=made.folder / "server.pem", certificate_key=locked))
