"""Real tracebacks of IPython, and what is left of them."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.prompting.tracebacks import shorten, without_sourceless
from agent.text import plain
from sandbox import ErrorOutput

RULE = "-" * 75

IN_A_FUNCTION = f"""{RULE}
ValueError                                Traceback (most recent call last)
Cell In[1], line 4
      1 import math
      2 def f(x):
      3     return math.sqrt(x)
----> 4 f(-1)

Cell In[1], line 3, in f(x)
      2 def f(x):
----> 3     return math.sqrt(x)

ValueError: math domain error"""

IN_A_LIBRARY = f"""{RULE}
KeyError                                  Traceback (most recent call last)
File /opt/python/lib/python3.13/site-packages/pandas/core/indexes/base.py:3816, in Index.get_loc(self, key)
   3815 try:
-> 3816     return self._engine.get_loc(casted_key)
   3817 except KeyError as err:

File pandas/_libs/index.pyx:172, in pandas._libs.index.IndexEngine.get_loc()
--> 172 'Could not get source, probably due dynamically evaluated source code.'
KeyError: 'b'

The above exception was the direct cause of the following exception:

KeyError                                  Traceback (most recent call last)
Cell In[4], line 2
      1 import pandas as pd
----> 2 pd.DataFrame({{'a':[1]}})['b']

File /opt/python/lib/python3.13/site-packages/pandas/core/frame.py:4330, in DataFrame.__getitem__(self, key)
   4326
   4327         if is_single_key:
-> 4330             indexer = self.columns.get_loc(key)
> 13788         return DataFrameGroupBy(
   (...)   4331
   4332                 indexer = [indexer]  # type: ignore[assignment]

KeyError: 'b'"""

WITH_A_CAUSE = f"""{RULE}
JSONDecodeError                           Traceback (most recent call last)
File /usr/lib/python3.13/json/decoder.py:361, in JSONDecoder.raw_decode(self, s, idx)
--> 361     obj, end = self.scan_once(s, idx)

JSONDecodeError: Expecting value: line 1 column 2 (char 1)

The above exception was the direct cause of the following exception:

RuntimeError                              Traceback (most recent call last)
Cell In[25], line 5
      4 except Exception as e:
----> 5     raise RuntimeError('bad file') from e

RuntimeError: bad file"""

A_SYNTAX_ERROR = """  Cell In[5], line 1
    def f(:
          ^
SyntaxError: invalid syntax
"""

A_RECURSION = f"""{RULE}
RecursionError                            Traceback (most recent call last)
Cell In[11], line 2
      1 def f(n): return f(n+1)
----> 2 f(0)

{
    '''Cell In[11], line 1, in f(n)
----> 1 def f(n): return f(n+1)

'''
    * 975
}RecursionError: maximum recursion depth exceeded"""

IN_A_MODULE_OF_ITS_OWN = f"""{RULE}
ZeroDivisionError                         Traceback (most recent call last)
Cell In[21], line 4
      3 import h
----> 4 h.g(0)

File ~/h.py:2, in g(x)
      1 def g(x):
----> 2     return 1/x

ZeroDivisionError: division by zero"""

CASES: dict[str, tuple[ErrorOutput, str]] = {
    "a function of the cell": (
        ErrorOutput(ename="ValueError", evalue="math domain error", traceback=[IN_A_FUNCTION]),
        """Cell In[1], line 4
      1 import math
      2 def f(x):
      3     return math.sqrt(x)
----> 4 f(-1)
Cell In[1], line 3, in f(x)
      2 def f(x):
----> 3     return math.sqrt(x)
ValueError: math domain error""",
    ),
    "library frames, and a cause that says the same": (
        ErrorOutput(ename="KeyError", evalue="'b'", traceback=IN_A_LIBRARY.split("\n")),
        """Cell In[4], line 2
      1 import pandas as pd
----> 2 pd.DataFrame({'a':[1]})['b']
KeyError: 'b'""",
    ),
    "a cause that only a library saw": (
        ErrorOutput(ename="RuntimeError", evalue="bad file", traceback=[WITH_A_CAUSE]),
        """JSONDecodeError: Expecting value: line 1 column 2 (char 1)
The above exception was the direct cause of the following exception:
Cell In[25], line 5
      4 except Exception as e:
----> 5     raise RuntimeError('bad file') from e
RuntimeError: bad file""",
    ),
    "a syntax error": (
        ErrorOutput(ename="SyntaxError", evalue="invalid syntax (4138778807.py, line 1)", traceback=[A_SYNTAX_ERROR]),
        "  Cell In[5], line 1\n    def f(:\n          ^\nSyntaxError: invalid syntax",
    ),
    "a recursion": (
        ErrorOutput(ename="RecursionError", evalue="maximum recursion depth exceeded", traceback=[A_RECURSION]),
        """Cell In[11], line 2
      1 def f(n): return f(n+1)
----> 2 f(0)
Cell In[11], line 1, in f(n)
----> 1 def f(n): return f(n+1)
[the same 974 more times]
RecursionError: maximum recursion depth exceeded""",
    ),
    "a module in the workspace": (
        ErrorOutput(ename="ZeroDivisionError", evalue="division by zero", traceback=[IN_A_MODULE_OF_ITS_OWN]),
        """Cell In[21], line 4
      3 import h
----> 4 h.g(0)
File ~/h.py:2, in g(x)
      1 def g(x):
----> 2     return 1/x
ZeroDivisionError: division by zero""",
    ),
    "an exit": (
        ErrorOutput(
            ename="SystemExit",
            evalue="3",
            traceback=["An exception has occurred, use %tb to see the full traceback.\n\n", "SystemExit: 3\n"],
        ),
        "SystemExit: 3",
    ),
    "colours": (ErrorOutput(ename="E", evalue="v", traceback=["\x1b[31mTraceback", "\x1b[0mE: v"]), "Traceback\nE: v"),
    "a message that looks like frames": (
        ErrorOutput(
            ename="ValueError",
            evalue="a\nFile /x.py:3, in f\n--> 3 b",
            traceback=[f"{RULE}\nCell In[1], line 1\n----> 1 f()\n\nValueError: a\nFile /x.py:3, in f\n--> 3 b"],
        ),
        "Cell In[1], line 1\n----> 1 f()\nValueError: a\nFile /x.py:3, in f\n--> 3 b",
    ),
    "no traceback": (ErrorOutput(ename="E", evalue="v", traceback=[]), "E: v"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_left_of_a_traceback(case: str) -> None:
    error, left = CASES[case]
    assert shorten(error) == left


LINES = st.sampled_from(
    [RULE, "Cell In[1], line 1", "File /opt/x.py:3, in f", "----> 1 f()", "      2 g()", "", "E: v", "   (...)",
     "During handling of the above exception, another exception occurred:", "E   Traceback (most recent call last)"]
)  # fmt: skip


@example(["\x1b]0;a title without an end"], "E", "v")
@given(st.lists(LINES | st.text(), max_size=30), st.text(), st.text())
def test_fuzz_any_traceback_is_told_and_its_message_is_never_lost(lines: list[str], ename: str, evalue: str) -> None:
    message = plain(f"{ename}: {evalue}").strip()
    error = ErrorOutput(ename=ename, evalue=evalue, traceback=[*lines, message])
    left = shorten(error)
    assert left.endswith(message)
    assert len(left) <= len("\n".join(error.traceback)) + len(f"\n{message}") + 30 * len(lines)


def test_frames_of_compiled_code_are_left_out_of_what_a_user_reads() -> None:
    unknown = "'Could not get source, probably due dynamically evaluated source code.'"
    text = (
        "ValueError   Traceback (most recent call last)\nCell In[1], line 1\n----> 1 f()\n\n"
        f"File pandas/_libs/a.pyx:31, in a()\n---> 31 {unknown}\n"
        f"File \x1b[1mb.pxd:7\x1b[0m, in b()\n-> 3174 {unknown}\n"
        "ValueError: bad"
    )
    assert without_sourceless(text) == (
        "ValueError   Traceback (most recent call last)\nCell In[1], line 1\n----> 1 f()\n\nValueError: bad"
    )
