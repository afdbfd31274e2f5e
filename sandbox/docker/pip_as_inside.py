"""pip, run by the host's Python, that decides as it would in an image.

pip takes the image's Python version and platform as options, but evaluates the markers of requirements
(`; python_version < "3.12"`) for the Python that runs it. The first argument has the image's values as JSON.
"""

import json
import sys

NO_PIP = 77
"""The exit code if there is no pip, or one without reports."""
MIN_PIP = 23


def main() -> int:
    """Run pip with the arguments after the first."""
    inside = json.loads(sys.argv.pop(1))
    try:
        import pip  # noqa: PLC0415 - it may be missing
        from pip._vendor.packaging import markers  # noqa: PLC0415
    except ImportError:
        return NO_PIP
    if int(pip.__version__.partition(".")[0]) < MIN_PIP:
        return NO_PIP
    markers.default_environment = lambda: dict(inside)
    from pip._internal.cli.main import main as run  # noqa: PLC0415 - its modules keep what they import

    return run()


if __name__ == "__main__":
    sys.exit(main())
