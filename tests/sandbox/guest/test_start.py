"""The first module: what it does before any other runs, and how the others are imported."""

import json
import subprocess
import sys

from sandbox.launcher import BOOTSTRAP, guest_source


def run_guest(**modules: str) -> str:
    """What a guest prints whose other modules are these, in a process of its own."""
    source = guest_source()
    sources = json.loads(source[4:])
    sent = {"sandbox.guest.start": sources["sandbox.guest.start"]}
    encoded = json.dumps(sent | {f"sandbox.guest.{name}": code for name, code in modules.items()}).encode()
    given = len(encoded).to_bytes(4, "big") + encoded
    done = subprocess.run([sys.executable, "-c", BOOTSTRAP], input=given, capture_output=True, check=False)
    return (done.stdout + done.stderr).decode()


def test_the_process_is_closed_before_any_other_module_runs() -> None:
    main = "import ctypes, sys\nprint(ctypes.CDLL(None).prctl(3), '' in sys.path)\ndef main(): pass"
    assert run_guest(main=main) == "0 False\n"  # PR_GET_DUMPABLE


def test_a_module_is_run_when_it_is_first_imported_and_once() -> None:
    main = """
def main():
    print("main")
    from sandbox.guest import other
    from sandbox.guest.other import NAME
    print(NAME, other.NAME)
"""
    assert run_guest(main=main, other="print('other')\nNAME = 1", unused="1 / 0") == "main\nother\n1 1\n"


def test_a_traceback_names_the_module_and_the_line() -> None:
    main = "from sandbox.guest.other import fail\ndef main():\n    fail()"
    shown = run_guest(main=main, other="def fail():\n    1 / 0")
    assert 'File "<sandbox.guest.main>", line 3, in main' in shown
    assert 'File "<sandbox.guest.other>", line 2, in fail' in shown


def test_no_import_finds_the_package_once_it_is_forgotten() -> None:
    main = """
import sys
from sandbox.guest.start import forget_package
def main():
    forget_package()
    print([name for name in sys.modules if "sandbox" in name], any("Sent" in repr(f) for f in sys.meta_path))
"""
    assert run_guest(main=main) == "[] False\n"
