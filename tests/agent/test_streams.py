"""Text written to stdout and stderr of the command line does not control the terminal."""

import os
import subprocess
import sys

import pytest

WRITERS = {
    "a print": "print('\\x1b[2J')",
    "a print to stderr": "print('\\x1b[2J', file=sys.stderr)",
    "lines": "sys.stdout.writelines(['\\x1b[2J'])",
    "a traceback": "raise ValueError('\\x1b[2J')",
    "a warning": "import warnings; warnings.warn('\\x1b[2J')",
    "a log": "import logging; logging.error('\\x1b[2J')",
    "the reason of an exit": "sys.exit('\\x1b[2J')",
    "the stream of the interpreter": "sys.__stdout__.write('\\x1b[2J')",
}


def program(body: str, **environ: str) -> bytes:
    """The output of a program with clean streams."""
    command = [sys.executable, "-c", f"import sys\nfrom agent.streams import *\nclean_standard_streams()\n{body}"]
    done = subprocess.run(command, capture_output=True, env=os.environ | environ, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize("writer", WRITERS)
def test_no_writer_controls_the_terminal(writer: str) -> None:
    written = program(WRITERS[writer])
    assert b"<U+001B>[2J" in written
    assert b"\x1b" not in written


def test_an_undecodable_byte_of_a_file_name_is_written_as_an_escape() -> None:
    for environ in ({"PYTHONIOENCODING": "utf-8:surrogateescape"}, {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}):
        assert program("print('\\udc9b2J')", **environ) == b"\\udc9b2J\n"


def test_a_character_missing_in_the_encoding_is_written_as_an_escape() -> None:
    assert program("print('\\U0001f980')", PYTHONIOENCODING="gbk") == b"\\U0001f980\n"


def test_a_program_ends_as_it_did_before() -> None:
    assert program("print('\\u0645', end='')") == "\u0645".encode()
