import io
import re
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import ImageNotFound

from sandbox.docker import image
from sandbox.docker.engine import connect
from sandbox.errors import EngineError, ImageError

IMAGES = Path(__file__).parents[3] / "images"
CA_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")


class FakeApi:
    """An engine that has `present` images, and whose builds log `log`."""

    base_url, api_version = "http+docker://localhost", "1.41"

    def __init__(self, *present: str, log: tuple[dict[str, Any], ...] = ()) -> None:
        self.present, self.log = set(present), log
        self.build_arguments: dict[str, Any] = {}
        self.context: dict[str, bytes] = {}
        self.pruned: list[dict[str, Any]] = []

    def inspect_image(self, tag: str) -> dict[str, Any]:
        if tag not in self.present:
            raise ImageNotFound(tag)
        return {"Id": "sha256:1", "Size": 7, "Created": "2026-01-02T03:04:05.123456789Z"}

    def build(self, *, fileobj: io.BytesIO, tag: str, **arguments: Any) -> Iterator[dict[str, Any]]:
        self.build_arguments = arguments
        with tarfile.open(fileobj=fileobj) as tar:
            self.context = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
        yield from self.log
        self.present.add(tag)

    def post(self, url: str, **_: Any) -> None:
        raise ConnectionError("no network")

    def prune_images(self, filters: dict[str, Any]) -> None:
        self.pruned.append(filters)


class FakeClient:
    def __init__(self, api: FakeApi) -> None:
        self.api = api


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the build context that the test may change."""
    copy = tmp_path / "images"
    shutil.copytree(IMAGES, copy)
    monkeypatch.setattr(image, "build_context_dir", lambda: copy)
    return copy


@pytest.fixture(autouse=True)
def no_ca_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CA_VARIABLES:
        monkeypatch.delenv(name, raising=False)


def build_error(api: FakeApi) -> str:
    with pytest.raises(ImageError) as caught:
        image.build_image(FakeClient(api), progress=lambda _: None)
    return str(caught.value)


def test_build_context_is_found() -> None:
    directory = image.build_context_dir()
    assert directory == IMAGES
    assert all((directory / name).is_file() for name in (*image.CONTEXT_FILES, "base.sh"))


def test_tag_is_a_hash() -> None:
    assert re.fullmatch(r"cellblock/python:[0-9a-f]{12}", image.default_image())


@pytest.mark.parametrize("name", [*image.CONTEXT_FILES, "base.sh"])
def test_tag_changes_with_each_file_of_the_context(checkout: Path, name: str) -> None:
    before = image.default_image()
    with (checkout / name).open("a") as file:
        file.write("#")
    assert image.default_image() != before


def test_tag_ignores_what_is_not_built_into_the_image(checkout: Path) -> None:
    before = image.default_image()
    (checkout / "engine.sh").write_text("")
    (checkout / "notes.txt").write_text("")
    assert image.default_image() == before


def test_incomplete_context_names_the_file(checkout: Path) -> None:
    (checkout / "requirements.lock").unlink()
    with pytest.raises(ImageError, match=re.escape(f"Cannot read '{checkout}/requirements.lock'")):
        image.default_image()


def test_lock_pins_by_hash_and_names_no_index() -> None:
    lock = (IMAGES / "requirements.lock").read_text()
    pinned = re.findall(r"^[\w.-]+==[\w.]+ \\\n    --hash=sha256:", lock, flags=re.MULTILINE)
    assert len(pinned) == lock.count("==") > 30
    assert "://" not in lock


@pytest.mark.parametrize("name", CA_VARIABLES)
def test_ca_bundle_is_the_one_of_the_usual_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "ca.pem").touch()
    monkeypatch.setenv(name, str(tmp_path / "ca.pem"))
    assert image.default_ca_bundle() == tmp_path / "ca.pem"


def test_first_ca_bundle_that_exists_is_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert image.default_ca_bundle() is None
    (tmp_path / "b").touch()
    (tmp_path / "c").touch()
    for name, value in zip(CA_VARIABLES, ("a", "b", "c"), strict=False):
        monkeypatch.setenv(name, str(tmp_path / value))
    assert image.default_ca_bundle() == tmp_path / "b"


def test_context_holds_the_ca_bundle_or_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(b"trust")
    for bundle, content in ((tmp_path / "ca.pem", b"trust"), (None, b"")):
        api = FakeApi(image.BASE)
        image.build_image(FakeClient(api), progress=lambda _: None, ca_bundle=bundle)
        assert set(api.context) == {*image.CONTEXT_FILES, "ca.crt"}
        assert api.context["ca.crt"] == content


def test_missing_ca_bundle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none.pem"
    with pytest.raises(ImageError) as caught:
        image.build_image(FakeClient(FakeApi()), progress=lambda _: None, ca_bundle=path)
    assert str(caught.value) == f"Cannot read the CA bundle {str(path)!r}: No such file or directory."


def test_build_streams_its_log_and_returns_the_image() -> None:
    log: list[str] = []
    api = FakeApi(image.BASE, log=({"stream": "Step 1/2 : RUN x\n"}, {"stream": "5%\r100%\n"}, {"aux": {}}))
    info = image.build_image(FakeClient(api), progress=log.append)
    assert log == ["Step 1/2 : RUN x", "100%"]
    assert (info.tag, info.id, info.size_bytes, info.created.year) == (
        image.default_image(),
        "sha256:1",
        7,
        2026,
    )
    assert api.build_arguments["buildargs"]["BASE"] == "debian:trixie-slim"


def test_build_does_nothing_if_the_image_exists() -> None:
    api = FakeApi(image.default_image())
    image.build_image(FakeClient(api), progress=lambda _: None)
    assert api.build_arguments == {}


def test_failing_step_is_shown_with_its_last_lines_only() -> None:
    log = (
        {"stream": "Step 1/2 : RUN true\nfine\n"},
        {"stream": "Step 2/2 : RUN false\n"},
        {"stream": "oh no\n"},
        {"error": "returned a non-zero code: 1"},
    )
    assert build_error(FakeApi(image.BASE, log=log)) == (
        "The image build failed at 'Step 2/2 : RUN false':\noh no\nreturned a non-zero code: 1\n "
        "Try: cellblock image build"
    )


def test_untrusted_certificate_suggests_the_ca_bundle() -> None:
    log = ({"error": "[SSL: CERTIFICATE_VERIFY_FAILED]"},)
    assert build_error(FakeApi(image.BASE, log=log)).endswith(
        "Try: SSL_CERT_FILE=/path/to/your-network-ca.pem cellblock image build"
    )


def test_full_disk_is_reported() -> None:
    log = ({"stream": "write: No space left on device\n"}, {"error": "returned a non-zero code: 1"})
    assert build_error(FakeApi(image.BASE, log=log)) == (
        "The engine's disk is full; the image cannot be built. "
        "Try: docker system df, make room, then cellblock image build"
    )


@pytest.mark.parametrize("log", [(), ({"error": "x"},)])
def test_only_what_this_build_left_is_removed(log: tuple[dict[str, Any], ...]) -> None:
    api = FakeApi(image.BASE, log=log)
    if log:
        build_error(api)
    else:
        image.build_image(FakeClient(api), progress=lambda _: None)
    build_id = api.build_arguments["buildargs"]["BUILD_ID"]
    assert api.pruned == [{"dangling": True, "label": f"cellblock.build={build_id}"}]


def test_base_that_can_be_neither_pulled_nor_bootstrapped_says_why(checkout: Path) -> None:
    (checkout / "base.sh").write_text("echo 'base: no way' >&2; exit 3")
    assert build_error(FakeApi()) == (
        "The base image 'debian:trixie-slim' can be neither pulled nor bootstrapped:\nbase: no way\n "
        "Try: docker pull debian:trixie-slim where that works, then cellblock image build"
    )


@pytest.mark.parametrize(
    ("tag", "hint"),
    [("cellblock/python:1", "cellblock image build"), ("mine:latest", "docker pull mine:latest")],
)
def test_missing_image_says_how_to_get_it(tag: str, hint: str) -> None:
    with pytest.raises(ImageError) as caught:
        image.require_image(FakeClient(FakeApi()), tag)
    assert str(caught.value) == f"The image {tag!r} is not there. Try: {hint}"


@pytest.fixture(scope="module")
def client() -> Iterator[docker.DockerClient]:
    try:
        engine = connect()
    except EngineError as error:
        pytest.skip(str(error))
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def built(client: docker.DockerClient) -> image.ImageInfo:
    return image.build_image(client, progress=lambda _: None)


def run(client: docker.DockerClient, built: image.ImageInfo, *command: str, **changes: Any) -> str:
    """Run `command` in a container hardened like that of a session, and return its output."""
    options = {
        "user": "1000:1000",
        "read_only": True,
        "network_mode": "none",
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "tmpfs": {"/workspace": "uid=1000,gid=1000", "/tmp": ""},
    }
    output = client.containers.run(built.id, list(command), remove=True, stderr=True, **options | changes)
    return str(output, "utf-8")


def run_as_root(client: docker.DockerClient, built: image.ImageInfo, script: str) -> str:
    """Run a shell script that sees all files of the image, none hidden by a mount, and return its output."""
    return run(client, built, "sh", "-c", script, user="0:0", tmpfs={})


@pytest.mark.docker
def test_second_build_does_nothing(client: docker.DockerClient, built: image.ImageInfo) -> None:
    log: list[str] = []
    assert image.build_image(client, progress=log.append) == built
    assert log == []
    assert built in image.list_images(client)


@pytest.mark.docker
def test_no_file_gives_privileges(client: docker.DockerClient, built: image.ImageInfo) -> None:
    assert run_as_root(client, built, r"find / -xdev \( -perm /6000 -o -perm -2 -type f \)") == ""


@pytest.mark.docker
def test_no_build_file_stays_in_the_image(client: docker.DockerClient, built: image.ImageInfo) -> None:
    paths = " -o -path ".join(["/build", "/root/.cache", "'/tmp/*'", "'/var/lib/apt/lists/*'", "'/workspace/*'"])
    names = "-name '*.crt' -o -name '*.pem' -o -name pip"
    assert run_as_root(client, built, rf"find / -xdev \( {names} -o -path {paths} \)") == ""
    assert len(client.api.inspect_image(built.id)["RootFS"]["Layers"]) <= 2


@pytest.mark.docker
def test_packages_import_in_a_locked_container(client: docker.DockerClient, built: image.ImageInfo) -> None:
    code = """
import getpass, os, sys
import ipykernel.kernelapp, jupyter_client
import matplotlib.pyplot, numpy, openpyxl, pandas, PIL.Image, scipy.stats, sympy
import numpy.testing, pandas.testing, scipy.optimize
assert pandas.read_excel and numpy.linalg.inv(numpy.eye(2)).sum() == 2
print(getpass.getuser(), os.getcwd(), sys.flags.dont_write_bytecode, matplotlib.get_backend())
"""
    assert run(client, built, "python3", "-W", "error", "-c", code) == "cellblock /workspace 1 agg\n"


@pytest.mark.docker
@pytest.mark.parametrize(
    "setup",
    [
        "",
        "plt.rcParams['font.sans-serif'] = ['SimHei']; plt.rcParams['axes.unicode_minus'] = False",
        "plt.rcParams['font.family'] = 'Microsoft YaHei'",
        "plt.style.use('seaborn-v0_8')",
        "plt.style.use('classic')",
        "plt.rcdefaults()",
    ],
)
def test_cjk_labels_render_without_a_warning(client: docker.DockerClient, built: image.ImageInfo, setup: str) -> None:
    code = f"""
import logging, matplotlib
logging.basicConfig(level=logging.INFO)
import matplotlib.pyplot as plt
{setup}
figure, axes = plt.subplots()
axes.plot([-1, 1], label="增长率")
axes.set_title("销售额趋势图 カタカナ 한국어", weight="bold")
axes.legend()
figure.savefig("figure.png")
"""
    assert run(client, built, "python3", "-W", "error", "-c", code) == ""


PICTURE = """
import matplotlib.pyplot as plt
from PIL import Image

def size(**options):
    plt.savefig("figure.png", dpi=100, **options)
    with Image.open("figure.png") as picture:
        return picture.size

def bars(**options):
    figure, axes = plt.subplots(figsize=(6, 4), **options)
    axes.barh([f"a label that is very long indeed, number {number}" for number in range(5)], range(5))
    return axes
"""


@pytest.mark.docker
@pytest.mark.parametrize(
    ("draws", "is_wider"),
    [
        ("bars()", True),
        ("plt.style.use('ggplot'); bars()", True),
        ("plt.rcdefaults(); bars()", True),
        ("bars().figure.suptitle('A title that is much too long for its figure ' * 2)", True),
        ("plt.subplots(figsize=(6, 4))[1].bar([1, 2], [3, 4])", False),
        ("plt.figure(figsize=(6, 4))", False),
        ("bars(); plt.tight_layout()", False),
        ("bars(); plt.subplots_adjust(left=0.6)", False),
        ("bars(layout='constrained')", False),
        ("plt.subplots(figsize=(6, 4))[1].text(100, 0, 'far away')", False),
        ("bars(); plt.rcParams['savefig.bbox'] = 'standard'; options = {'bbox_inches': plt.gcf().bbox_inches}", False),
    ],
)
def test_a_picture_has_the_size_that_was_asked_for_or_room_for_its_labels(
    client: docker.DockerClient, built: image.ImageInfo, draws: str, is_wider: bool
) -> None:
    code = f"{PICTURE}\noptions = {{}}\n{draws}\nwidth, height = size(**options)\nprint(width > 600, height)"
    assert run(client, built, "python3", "-W", "error", "-c", code) == f"{is_wider} 400\n"


@pytest.mark.docker
def test_a_box_of_the_callers_own_and_frames_of_an_animation_are_left_alone(
    client: docker.DockerClient, built: image.ImageInfo
) -> None:
    code = f"""{PICTURE}
from matplotlib.animation import FuncAnimation
figure = bars().figure
tight = size(bbox_inches="tight")
FuncAnimation(figure, lambda frame: [], frames=2).save("figure.gif", writer="pillow")
with Image.open("figure.gif") as moving:
    print(tight == size(), moving.size)
"""
    assert run(client, built, "python3", "-W", "error", "-c", code) == "False (600, 400)\n"


@pytest.mark.docker
def test_font_list_is_ready_made(client: docker.DockerClient, built: image.ImageInfo) -> None:
    code = """
import os, matplotlib.font_manager
print([os.path.islink(entry) for entry in os.scandir(os.environ["MPLCONFIGDIR"])])
"""
    assert run(client, built, "python3", "-c", code) == "[True]\n"
