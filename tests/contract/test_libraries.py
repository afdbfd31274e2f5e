"""What data work needs goes on under the lock: each of these runs in a cell as it does outside."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from sandbox import Session
from sandbox.docker import DockerLauncher

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="module")]

DATA = {
    "numpy": ("import numpy as np\nprint(np.linalg.solve(np.eye(300) * 2, np.ones(300)).sum())", "150.0"),
    "numpy in parallel": ("import numpy as np\nprint((np.ones((900, 900)) @ np.ones((900, 900)))[0, 0])", "900.0"),
    "numpy mapped to a file": (
        """
import numpy as np
mapped = np.memmap("mapped", dtype="int64", mode="w+", shape=1000)
mapped[:] = 7
mapped.flush()
print(np.fromfile("mapped", dtype="int64").sum())
""",
        "7000",
    ),
    "pandas": (
        """
import pandas as pd
frame = pd.DataFrame({"a": [1, 1, 2], "b": [3, 4, 5]})
frame.to_csv("frame.csv", index=False)
print(pd.read_csv("frame.csv").groupby("a").b.sum().tolist())
""",
        "[7, 5]",
    ),
    "scipy": ("from scipy import optimize\nprint(round(optimize.brentq(lambda x: x * x - 4, 0, 9), 6))", "2.0"),
    "scipy's workers": (
        """
import numpy as np
from scipy import fft
print(round(abs(fft.fft(np.ones((64, 64)), workers=2)[0, 0]), 3))
""",
        "64.0",
    ),
    "sympy": ("import sympy\nx = sympy.symbols('x')\nprint(sympy.integrate(2 * x, x))", "x**2"),
    "matplotlib": (
        """
import matplotlib.pyplot as plt, os
plt.plot([1, 2])
plt.savefig("figure.png")
plt.close()
print(os.path.getsize("figure.png") > 1000)
""",
        "True",
    ),
    "pillow": (
        "from PIL import Image\nImage.new('RGB', (9, 9)).save('i.png')\nprint(Image.open('i.png').size)",
        "(9, 9)",
    ),
    "openpyxl": (
        """
import pandas as pd
pd.DataFrame({"a": [1, 2]}).to_excel("book.xlsx", index=False)
print(pd.read_excel("book.xlsx").a.sum())
""",
        "3",
    ),
    "parquet": (
        """
import pandas as pd
frame = pd.DataFrame({"a": [1, 2], "b": [[1], [2, 3]], "c": ["x", None]})
frame.to_parquet("frame.parquet", compression="zstd")
print(pd.read_parquet("frame.parquet", filters=[("a", ">", 1)]).b.item().tolist())
""",
        "[2, 3]",
    ),
    "feather and orc": (
        """
import pandas as pd
frame = pd.DataFrame({"a": [1, 2]})
frame.to_feather("frame.feather")
frame.to_orc("frame.orc")
print(pd.read_feather("frame.feather").a.sum() + pd.read_orc("frame.orc").a.sum())
""",
        "6",
    ),
    "tables of HTML and XML": (
        """
import io
import pandas as pd
html = io.StringIO("<table><tr><th>a</th></tr><tr><td>3</td></tr></table>")
print(pd.read_html(html)[0].a.item() + pd.read_xml(io.StringIO("<r><i><a>4</a></i></r>")).a.item())
""",
        "7",
    ),
    "an OpenDocument sheet, by calamine": (
        """
import zipfile
import pandas as pd
names = {prefix: f"urn:oasis:names:tc:opendocument:xmlns:{prefix}:1.0" for prefix in ("office", "table", "text")}
cells = "".join(f"<table:table-row><table:table-cell office:value-type='string'><text:p>{value}</text:p>"
                "</table:table-cell></table:table-row>" for value in ("a", "b"))
with zipfile.ZipFile("sheet.ods", "w") as archive:
    archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
    archive.writestr("content.xml", "<office:document-content " + " ".join(f"xmlns:{p}='{u}'" for p, u in names.items())
                     + f"><office:body><office:spreadsheet><table:table table:name='s'>{cells}</table:table>"
                     "</office:spreadsheet></office:body></office:document-content>")
    archive.writestr("META-INF/manifest.xml",
                     "<manifest:manifest xmlns:manifest='urn:oasis:names:tc:opendocument:xmlns:manifest:1.0'/>")
print(pd.read_excel("sheet.ods", engine="calamine").a.item())
""",
        "b",
    ),
    "scikit-learn": (
        """
import numpy as np
from sklearn.linear_model import LinearRegression
print(round(LinearRegression().fit(np.arange(9)[:, None], 2 * np.arange(9)).coef_[0], 6))
""",
        "2.0",
    ),
    "scikit-learn in parallel": (
        """
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
x, y = load_iris(return_X_y=True)
print(RandomForestClassifier(n_estimators=5, n_jobs=2, random_state=0).fit(x, y).score(x, y) > 0.9)
""",
        "True",
    ),
    "statsmodels": (
        """
import pandas as pd
import statsmodels.formula.api as smf
frame = pd.DataFrame({"x": [1, 2, 3, 4.5], "y": [2, 4, 6, 9]})
print(round(smf.ols("y ~ x", frame).fit().params["x"], 6))
""",
        "2.0",
    ),
    "seaborn": (
        """
import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
print(len(sns.barplot(pd.DataFrame({"a": ["x", "y"], "b": [1, 2]}), x="a", y="b").patches))
plt.close()
""",
        "2",
    ),
    "a table with a style": (
        """
import pandas as pd
print("<table" in pd.DataFrame({"a": [1]}).style.highlight_max().to_html())
""",
        "True",
    ),
    "tabulate": ("import pandas as pd\nprint(pd.DataFrame({'a': [1]}).to_markdown(index=False).split()[1])", "a"),
    "tqdm": ("from tqdm.auto import tqdm\nprint(sum(tqdm(range(4), disable=True)))", "6"),
    "xlrd": ("import xlrd\nprint(callable(xlrd.open_workbook))", "True"),
    "sqlite3": (
        """
import sqlite3
base = sqlite3.connect("base.db")
base.execute("pragma journal_mode=wal")
base.execute("create table t (n)")
base.executemany("insert into t values (?)", [(1,), (2,)])
base.commit()
print(base.execute("select sum(n) from t").fetchone()[0])
""",
        "3",
    ),
}
PROCESSES = {
    "subprocess": (
        "import subprocess\nprint(subprocess.run(['echo', 'hi'], capture_output=True, text=True).stdout)",
        "hi",
    ),
    "a shell line": ("!echo hi | tr h H", "Hi"),
    "a shell's pipes and files": ("!cd /tmp && cp /etc/passwd p && mv p q && sort q | grep -c root && rm q", "1"),
    "os.popen": ("import os\nprint(int(os.popen('id -u').read()) == os.getuid())", "True"),
    "os.posix_spawn": (
        """
import os
print(os.waitstatus_to_exitcode(os.waitpid(os.posix_spawn("/bin/false", ["false"], {}), 0)[1]))
""",
        "1",
    ),
    "a pseudo terminal": (
        """
import os, pty
pid, terminal = pty.fork()
if pid == 0:
    os.execvp("stty", ["stty", "size"])
print(os.read(terminal, 100).decode().strip() + "!")
_ = os.waitpid(pid, 0)
""",
        "0 0!",
    ),
    **{
        f"multiprocessing by {method}": (
            f"""
import math, multiprocessing
with multiprocessing.get_context({method!r}).Pool(2) as pool:
    print(pool.map(math.sqrt, [4, 9]))
""",
            "[2.0, 3.0]",
        )
        for method in ("fork", "spawn", "forkserver")
    },
    "shared memory, a lock and a queue": (
        """
import multiprocessing
from multiprocessing import shared_memory
segment = shared_memory.SharedMemory(create=True, size=1 << 20)
segment.buf[0] = 7
again = shared_memory.SharedMemory(segment.name)
print(again.buf[0])
again.close(); segment.close(); segment.unlink()
with multiprocessing.Lock(), multiprocessing.Semaphore(2):
    line = multiprocessing.Queue()
    line.put("through")
    print(line.get(timeout=5))
""",
        "7\nthrough",
    ),
    "a pool of processes": (
        """
import math
from concurrent.futures import ProcessPoolExecutor
with ProcessPoolExecutor(2) as pool:
    print(list(pool.map(math.factorial, [3, 4])))
""",
        "[6, 24]",
    ),
    "a pool of threads": (
        """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(8) as pool:
    print(sum(pool.map(abs, range(-9, 1))))
""",
        "45",
    ),
    "joblib's way to ask for processors": (
        "import os\nprint(len(os.sched_getaffinity(0)) > 0, os.cpu_count() > 0)",
        "True True",
    ),
}
STREAMS = {
    "asyncio and its child processes": (
        """
import asyncio
async def child():
    process = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
    return (await process.communicate(b"meow"))[0]
print(await child())
""",
        "b'meow'",
    ),
    "a TCP server on loopback": (
        """
import asyncio
async def echo(reader, writer):
    writer.write(await reader.readline())
    writer.close()
server = await asyncio.start_server(echo, "127.0.0.1", 0)
reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
writer.write(b"there and back\\n")
print(await reader.readline())
writer.close(); server.close()
""",
        "b'there and back\\n'",
    ),
    "an HTTP server on loopback": (
        """
import http.server, threading, urllib.request
class Quiet(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"hello")
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}").read())
server.shutdown()
""",
        "b'hello'",
    ),
    "UDP and IPv6 on loopback": (
        """
import socket
for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    there = socket.socket(family, socket.SOCK_DGRAM)
    there.bind((address, 0))
    socket.socket(family, socket.SOCK_DGRAM).sendto(b"over", there.getsockname())
    print(there.recv(9))
""",
        "b'over'\nb'over'",
    ),
    "unix sockets and their descriptors": (
        """
import os, socket
a, b = socket.socketpair()
socket.send_fds(a, [b"x"], [1])
print(socket.recv_fds(b, 9, 1)[0])
""",
        "b'x'",
    ),
    "addresses of a number and of a service": (
        """
import socket
print(sorted(found[4][:2] for found in socket.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)))
""",
        "[('127.0.0.1', 80), ('::1', 80)]",
    ),
    "0MQ over TCP": (
        """
import zmq
context = zmq.Context()
there, here = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
here.connect(f"tcp://127.0.0.1:{there.bind_to_random_port('tcp://127.0.0.1')}")
here.send(b"through")
print(there.recv())
context.destroy()
""",
        "b'through'",
    ),
    "names of interfaces": ("import socket\nprint(socket.if_nametoindex('lo'))", "1"),
    "pipes, select and splice": (
        """
import os, select
r, w = os.pipe()
os.write(w, b"x")
print(select.select([r], [], [], 1)[0] == [r], len(select.epoll().poll(0)))
print(os.splice(r, os.open("s", os.O_CREAT | os.O_WRONLY), 1))
""",
        "True 0\n1",
    ),
}
SYSTEM = {
    "mmap": ("import mmap\nm = mmap.mmap(-1, 1 << 20)\nm[:2] = b'hi'\nprint(m[:2])", "b'hi'"),
    "a FIFO": ("import os, stat\nos.mkfifo('f')\nprint(stat.S_ISFIFO(os.stat('f').st_mode))", "True"),
    "files, links and their attributes": (
        """
import os, shutil, tempfile
with tempfile.TemporaryDirectory() as folder:
    open(f"{folder}/a", "w").write("a")
    os.symlink(f"{folder}/a", f"{folder}/b"); os.link(f"{folder}/a", f"{folder}/c")
    os.chmod(f"{folder}/a", 0o600); os.utime(f"{folder}/a", (1, 1)); os.truncate(f"{folder}/a", 0)
    os.fsync(os.open(folder, os.O_RDONLY))
    shutil.copytree(folder, f"{folder}/d", symlinks=True)
    print(sorted(os.listdir(f"{folder}/d")))
""",
        "['a', 'b', 'c']",
    ),
    "locks on files": (
        "import fcntl\nfile = open('l', 'w')\n"
        "fcntl.flock(file, fcntl.LOCK_EX); fcntl.lockf(file, fcntl.LOCK_EX)\nprint(1)",
        "1",
    ),
    "archives": (
        "import shutil, os\nos.makedirs('z/y'); print(os.path.basename(shutil.make_archive('z', 'zip', 'z')))",
        "z.zip",
    ),
    "signals": (
        """
import os, signal
heard = []
signal.signal(signal.SIGUSR1, lambda *_: heard.append(1))
os.kill(os.getpid(), signal.SIGUSR1)
print(heard)
""",
        "[1]",
    ),
    "an alarm": (
        """
import signal, time
heard = []
signal.signal(signal.SIGALRM, lambda *_: heard.append(1))
signal.setitimer(signal.ITIMER_REAL, 0.01)
time.sleep(0.1)
print(heard)
""",
        "[1]",
    ),
    "clocks": (
        "import time\nprint(time.time() > 0, time.process_time() > 0, time.thread_time() >= 0, time.sleep(0))",
        "True True True None",
    ),
    "resource": (
        """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (512, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 0)
""",
        "512 True",
    ),
    "tracemalloc": (
        "import tracemalloc\ntracemalloc.start()\n"
        "x = [0] * 999\nprint(tracemalloc.get_traced_memory()[0] > 0)\ntracemalloc.stop()",
        "True",
    ),
    "faulthandler": (
        "import faulthandler\nfaulthandler.dump_traceback(file=open('trace', 'w'))\n"
        "print('File' in open('trace').read())",
        "True",
    ),
    "ctypes": ("import ctypes\nprint(ctypes.CDLL(None).abs(-3))", "3"),
    "random bytes, hashes and uuids": (
        "import hashlib, os, secrets, uuid\nprint(len(os.urandom(9)), len(secrets.token_hex(2)), uuid.uuid1().version)",
        "9 4 1",
    ),
    "the platform": (
        "import platform, getpass, os\nprint(platform.system(), getpass.getuser(), os.uname().sysname)",
        "Linux cellblock Linux",
    ),
    "a process's own name and death signal": (
        "import ctypes\nprint(ctypes.CDLL(None).prctl(15, b'name'), ctypes.CDLL(None).prctl(1, 0))",
        "0 0",
    ),
    "magics": ("%timeit -n 1 -r 1 pass", "1 loop each)"),
    "a debugger's trace": (
        "import sys\nseen = []\nsys.settrace(lambda *a: seen.append(1))\n"
        "(lambda: 0)()\nsys.settrace(None)\nprint(bool(seen))",
        "True",
    ),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared() -> AsyncIterator[Session]:
    async with DockerLauncher() as launcher, Session(launcher) as session:
        yield session


WORKS = DATA | PROCESSES | STREAMS | SYSTEM


@pytest.mark.parametrize("what", WORKS)
async def test_under_the_lock_works(shared: Session, what: str) -> None:
    code, said = WORKS[what]
    execution = await shared.execute(code, timeout_s=30)
    assert execution.status == "ok", execution.text
    assert execution.text.strip().endswith(said), execution.text
