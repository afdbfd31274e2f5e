"""The scenarios of the golden runs: questions, replies of a scripted model, and results of a scripted sandbox."""

import base64
import hashlib
import math
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from agent.messages import Cost
from agent.record.events import Calls, FileRecord, GivenFile
from agent.testing import Reply, calls, says, thinks
from sandbox import DisplayData, ErrorOutput, ExecuteResult, Execution, FileProfile, StreamOutput
from sandbox.testing import Step, printed


@dataclass(frozen=True)
class Question:
    """One question of a run, with its replies and results."""

    task: str
    replies: list[Reply]
    steps: list[Step] = field(default_factory=list)
    files: list[GivenFile] = field(default_factory=list)


@dataclass(frozen=True)
class Scenario:
    """One golden run."""

    questions: list[Question]
    tools: list[Callable[..., Any]] = field(default_factory=list)
    artifacts: list[FileRecord] = field(default_factory=list)
    max_turns: int = 12
    calls: Calls = "native"
    crashes_after: int | None = None
    """The number of events of a crashed run; None if it does not crash."""
    cost: Cost | None = None


def sine_png() -> str:
    """A sine curve, black on white, one bit a pixel, without compression: the same bytes on every machine."""
    width, height = 240, 120
    rows = [bytearray(b"\xff" * (width // 8)) for _ in range(height)]
    for x in range(width):
        y = round((height - 12) / 2 * (1 - math.sin(x / width * 4 * math.pi))) + 5
        for row in rows[y : y + 3]:
            row[x // 8] &= ~(0x80 >> x % 8)
    pixels = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows), 0)
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)).decode()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def ran(*outputs: Any, **fields: Any) -> Execution:
    """A successful cell with these outputs."""
    return Execution(**{"status": "ok", "execution_count": 1, "duration_s": 0.25, "outputs": list(outputs)} | fields)


def stdout(text: str, **fields: Any) -> StreamOutput:
    return StreamOutput(name="stdout", text=text, **fields)


def value(count: int = 1, **data: Any) -> ExecuteResult:
    """A cell's value, by MIME type with `_` for `/`."""
    return ExecuteResult(execution_count=count, data={name.replace("_", "/", 1): one for name, one in data.items()})


SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="120" height="60"><circle cx="60" cy="30" r="24" fill="teal"/></svg>'
)
TABLE = """<div>
<style scoped>
    .dataframe tbody tr th { vertical-align: top; }
</style>
<table border="1" class="dataframe">
  <thead>
    <tr style="text-align: right;"><th></th><th>name</th><th>price</th></tr>
  </thead>
  <tbody>
    <tr><th>0</th><td>bolt</td><td>0.40</td></tr>
    <tr><th>1</th><td>nut</td><td>0.10</td></tr>
  </tbody>
</table>
</div>"""
HOSTILE_HTML = """<!-- <p>unclosed comment
<script>document.title = "owned"</script><img src=x onerror="document.title='owned'">
<svg onload="document.title='owned'"><iframe src="https://example.com"></iframe></svg>
<meta http-equiv="refresh" content="0;url=https://example.com"><base href="https://example.com/">
<style>body { background: url(https://example.com/a.png); display: none }</style>
<form action="https://example.com"><input name=a><button>Go</button></form>
<a href="javascript:document.title='owned'" style="position: fixed; inset: 0">over all</a>
<link rel="stylesheet" href="https://example.com/a.css"><object data="https://example.com"></object>
</script></style></textarea></title>]]><table><td>still <b>here<table><tr><td><details open ontoggle=alert(1)>"""
HOSTILE_HTML_CLOSED = HOSTILE_HTML.replace("<!-- <p>unclosed comment", "<p>closed")
HOSTILE_SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" onload="document.title=1" width="60" height="20"><script>alert(1)</script>'
    '<image href="https://example.com/a.png"/><rect width="60" height="20" fill="tomato"/></svg>'
)
HOSTILE_TEXT = (
    "</script></pre></code><script>document.title = 'owned'</script>\x1b[31mred\x1b[0m \x00\x08 ]]> ```\n````\n"
)

REPAIRED = "def mean(numbers):\n    return sum(numbers) / len(numbers)\n\nprint(mean([3, 5, 10]))"
NAME_ERROR = ErrorOutput(
    ename="NameError",
    evalue="name 'mean' is not defined",
    traceback=[
        "---------------------------------------------------------------------------",
        "NameError                                 Traceback (most recent call last)",
        "Cell In[1], line 1",
        "----> 1 print(mean([3, 5, 10]))",
        "",
        "NameError: name 'mean' is not defined",
    ],
)


def described(name: str) -> dict[str, Any]:
    """The record of a file."""
    data = CONTENTS[name]
    return {"name": name, "size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


CONTENTS = {"prices.csv": b"name,price\nbolt,0.40\nnut,0.10\n", "out/report [1].txt": b"done\n"}
"""The contents of given files and artifacts, by name."""
PRICES = FileProfile.model_validate(
    {
        "kind": "csv",
        "encoding": "utf-8",
        "separator": ",",
        "tables": [
            {
                "rows": 2,
                "column_count": 2,
                "columns": [{"name": "name", "type": "text"}, {"name": "price", "type": "decimal"}],
                "header_row": 0,
                "sample": [["bolt", "0.40"], ["nut", "0.10"]],
            }
        ],
    }
)
CSV = GivenFile(**described("prices.csv"), profile=PRICES)
REPORT = FileRecord(**described("out/report [1].txt"))


def price_of(product: str, pieces: int = 1) -> float:
    """The price of so many pieces of a product, in euros."""
    return {"bolt": 0.4, "nut": 0.1}[product] * pieces


LOOKUPS = """total = sum(price_of("nut", pieces) for pieces in range(1, 7))
try:
    print(price_of(product="screw"))
except KeyError:
    print(round(total, 2), "no such product")
"""
PRICED: list[tuple[str, dict[str, Any]]] = [
    *(("price_of", {"product": "nut", "pieces": pieces}) for pieces in range(1, 7)),
    ("price_of", {"product": "screw"}),
]
SCENARIOS = {
    "plain": Scenario([Question("What does a code interpreter do?", [says("It runs the code that a model writes.")])]),
    "repair": Scenario(
        [
            Question(
                "What is the mean of 3, 5 and 10?",
                [
                    calls("print(mean([3, 5, 10]))"),
                    calls(REPAIRED, call_id="call_b"),
                    says(
                        "The mean is **6**:\n\n1. the sum is 18,\n2. there are 3 numbers.\n\n"
                        "```python\nassert 18 / 3 == 6\n```\n\n| sum | count |\n|---|---|\n| 18 | 3 |"
                    ),
                ],
                [
                    Step("print(mean([3, 5, 10]))", ran(NAME_ERROR, status="error")),
                    Step(REPAIRED, ran(stdout("6.0\n"), execution_count=2)),
                ],
            )
        ],
        cost=Cost(amount=Decimal("0.000185"), currency="USD"),
    ),
    "plot": Scenario(
        [
            Question(
                "Plot a sine, and say what its integral is.",
                [
                    calls("plt.plot(xs, np.sin(xs)); plt.show()", "integral", call_id="call_plot"),
                    says("The curve is above. Its integral is $-\\cos(x)$."),
                ],
                [
                    Step(
                        "plt.plot(xs, np.sin(xs)); plt.show()",
                        ran(
                            DisplayData(
                                data={"image/png": sine_png(), "text/plain": "<Figure size 240x120 with 1 Axes>"},
                                metadata={"image/png": {"width": 240, "height": 120}},
                            )
                        ),
                    ),
                    Step(
                        "integral",
                        ran(
                            value(
                                2,
                                **{
                                    "text_plain": "-cos(x)",
                                    "text_latex": "$\\displaystyle - \\cos{\\left(x \\right)}$",
                                },
                            ),
                            DisplayData(data={"image/svg+xml": SVG, "text/plain": "<circle>"}),
                            execution_count=2,
                        ),
                    ),
                ],
            )
        ]
    ),
    "files": Scenario(
        [
            Question(
                "Show the prices, and write a report.",
                [
                    calls("frame = pd.read_csv('prices.csv')\nframe"),
                    calls("JSON(frame.to_dict())", call_id="call_b"),
                    says("There are two products; the report is in `out/`."),
                ],
                [
                    Step(
                        "frame = pd.read_csv('prices.csv')\nframe",
                        ran(value(text_html=TABLE, text_plain="   name  price\n0  bolt   0.40\n1   nut   0.10")),
                    ),
                    Step(
                        "JSON(frame.to_dict())",
                        ran(
                            value(2, application_json={"price": {"1": 0.1, "0": 0.4}}),
                            StreamOutput(name="stderr", text="written\n"),
                            execution_count=2,
                        ),
                    ),
                ],
                [CSV],
            )
        ],
        artifacts=[REPORT],
    ),
    "lost": Scenario(
        [
            Question(
                "Find the largest prime.",
                [
                    calls("while True: n = next_prime(n); print(n)"),
                    calls("os.abort()", call_id="call_b"),
                    says("There is no largest prime."),
                ],
                [
                    Step(
                        "while True: n = next_prime(n); print(n)",
                        ran(
                            stdout("2\n3\n5\n"),
                            stdout(
                                "104729\n",
                                omitted_bytes=1234567,
                                full_text_path="/workspace/.cellblock/cell1.stdout.txt",
                                full_text_bytes=1234580,
                            ),
                            status="timeout",
                            cause="timeout",
                            duration_s=60.2,
                            omitted_bytes=1234567,
                            execution_count=None,
                        ),
                    ),
                    Step(
                        "os.abort()",
                        ran(status="died", cause="signal SIGABRT", state_lost=True, execution_count=None),
                    ),
                ],
            )
        ],
        max_turns=2,
    ),
    "session": Scenario(
        [
            Question(
                "What do 30 bolts cost with 19 % tax?",
                [
                    says('<tool_call>{"name": "price_of", "arguments": {"product": "bolt", "pieces": 30}}</tool_call>'),
                    calls("total = 12.0 * 1.19\nprint(total)"),
                    says("14.28 euros."),
                ],
                [Step("total = 12.0 * 1.19\nprint(total)", printed("14.28\n"))],
            ),
            Question(
                "And half of that, after a second?",
                [
                    calls("%matplotlib inline\n!date\nprint(total / 2)", call_id="call_b"),
                    calls("import asyncio\nawait asyncio.sleep(1)\ntotal / 2", call_id="call_c"),
                    says("7.14 euros."),
                ],
                [
                    Step(
                        "%matplotlib inline\n!date\nprint(total / 2)", printed("Thu Jan  1 00:00:00 UTC 1970\n7.14\n")
                    ),
                    Step("import asyncio\nawait asyncio.sleep(1)\ntotal / 2", ran(value(3, text_plain="7.14"))),
                ],
            ),
        ],
        [price_of],
    ),
    "functions": Scenario(
        [
            Question(
                "What do one to six nuts cost together, and a screw?",
                [calls(LOOKUPS), says("The nuts cost 2.10 euros, and there is no screw.")],
                [Step(LOOKUPS, ran(stdout("2.1 no such product\n")), calls=PRICED)],
            )
        ],
        [price_of],
    ),
    "thinking": Scenario(
        [
            Question(
                "How many r are in strawberry?",
                [
                    thinks(
                        "The user wants a count.\nI could guess </details> ``` but code is safer.",
                        says(
                            'Let me count.\n```json\n{"name": "run_python", "arguments": '
                            "{\"code\": \"print('strawberry'.count('r'))\"}}\n```"
                        ),
                    ),
                    thinks("It is 3.", says("There are **3**.")),
                ],
                [Step("print('strawberry'.count('r'))", printed("3\n"))],
            )
        ],
        calls="fenced",
    ),
    "hostile": Scenario(
        [
            Question(
                'Ignore </h1><script>document.title = "owned"</script> this.\n```\n<!--',
                [
                    calls("show()  # </script><img src=x onerror=alert(1)>"),
                    says(
                        'See <img src=x onerror="document.title=1"> and [this](javascript:alert(1)) or '
                        "![that](https://example.com/a.png), [there](https://example.com).\n\n<!-- \n\n```python\nx = 1"
                    ),
                ],
                [
                    Step(
                        "show()  # </script><img src=x onerror=alert(1)>",
                        ran(
                            stdout(HOSTILE_TEXT),
                            DisplayData(data={"text/html": HOSTILE_HTML, "text/plain": "<html>"}),
                            DisplayData(data={"text/html": HOSTILE_HTML_CLOSED, "text/plain": "<html>"}),
                            DisplayData(data={"image/svg+xml": HOSTILE_SVG}),
                            DisplayData(data={"image/png": '"><script>alert(1)</script>', "text/plain": 17}),
                            DisplayData(data={"text/markdown": HOSTILE_HTML_CLOSED + "\n\n<!--"}),
                            DisplayData(data={"application/json": {"</script>": [None, True]}}),
                            DisplayData(data={"application/javascript": "document.title = 'owned'"}),
                        ),
                    )
                ],
            )
        ]
    ),
    "crashed": Scenario(
        [
            Question(
                "Count to a million, slowly.",
                [calls("import time"), calls("time.sleep(1e6)", call_id="call_b"), says("Done.")],
                [Step("import time", ran()), Step("time.sleep(1e6)", ran())],
            )
        ],
        crashes_after=5,
    ),
}
