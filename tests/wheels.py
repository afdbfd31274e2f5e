"""Makes small wheels, so that tests of packages need no index."""

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path


def make_wheel(
    folder: Path,
    name: str,
    version: str = "1.0",
    *,
    files: Mapping[str, str] | None = None,
    requires: tuple[str, ...] = (),
    tag: str = "py3-none-any",
    entry_points: str = "",
) -> Path:
    """Make a wheel in `folder`, which has one module of its name unless `files` says otherwise."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    extras = sorted(set(re.findall(r"extra == '(\w+)'", " ".join(requires))))
    needs = "".join(
        [f"Provides-Extra: {extra}\n" for extra in extras] + [f"Requires-Dist: {text}\n" for text in requires]
    )
    contents = {
        **(files if files is not None else {f"{module}.py": f"version = {version!r}\n"}),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n",
        **({f"{info}/entry_points.txt": entry_points} if entry_points else {}),
    }
    record = "".join(f"{path},,\n" for path in [*contents, f"{info}/RECORD"])
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{module}-{version}-{tag}.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in {**contents, f"{info}/RECORD": record}.items():
            archive.writestr(path, text)
    return wheel
