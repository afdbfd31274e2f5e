"""Attempts to break the kernel for later cells: whatever a cell does, the next one runs and its output arrives."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from sandbox import Session
from sandbox.docker import DockerLauncher
from tests.security.attempts import POLICY, assert_well

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="module")]

PRELUDE = """
import asyncio, builtins, ctypes, gc, io, json, logging, os, resource, signal, socket, sys, threading, time, types
shell = get_ipython(); kernel = shell.kernel
def broken(*_, **__): raise ZeroDivisionError('broken')
def gone(*_, **__): raise SystemExit(3)
def nothing(*_, **__): return None
devnull = os.open('/dev/null', os.O_RDWR)
"""

SHELL = {
    f"the shell's {name} is {kind}": f"type(shell).{name} = {kind}"
    for name in ("run_cell", "run_cell_async", "run_code", "run_ast_nodes", "transform_cell", "should_run_async")
    for kind in ("None", "broken")
} | {
    "the shell's own run_cell is None": "shell.run_cell = shell.run_cell_async = None",
    "run_code tells nothing": "type(shell).run_code = nothing",
    "run_cell exits": "type(shell).run_cell_async = gone",
    "user expressions are broken": "type(shell).user_expressions = broken",
    "push is broken": "type(shell).push = broken",
    "an input transformer raises": "shell.input_transformers_cleanup.append(broken)",
    "a later input transformer raises": "shell.input_transformers_post.append(broken)",
    "an input transformer gives None": "shell.input_transformers_cleanup.append(nothing)",
    "an input transformer empties": "shell.input_transformers_cleanup.append(lambda lines: [])",
    "an AST transformer raises": "shell.ast_transformers.append(types.SimpleNamespace(visit=broken))",
    "an AST transformer rejects": (
        "from IPython.core.error import InputRejected\n"
        "def reject(node): raise InputRejected('no')\n"
        "shell.ast_transformers.append(types.SimpleNamespace(visit=reject))"
    ),
    "an AST transformer gives None": "shell.ast_transformers.append(types.SimpleNamespace(visit=nothing))",
    "no input transformer": "shell.input_transformer_manager = None",
    "no compiler": "shell.compile = None",
    "a broken compiler": "type(shell.compile).ast_parse = broken",
    "no events": "shell.events = None",
    "broken events": "type(shell.events).trigger = broken",
    "a callback that raises": "shell.events.register('post_execute', broken)",
    "callbacks cleared": "[callbacks.clear() for callbacks in shell.events.callbacks.values()]",
    "no display trap": "shell.display_trap = None",
    "no builtin trap": "shell.builtin_trap = None",
    "no displayhook": "shell.displayhook = None",
    "a broken displayhook": "type(shell.displayhook).__call__ = broken",
    "a broken end of the displayhook": "type(shell.displayhook).finish_displayhook = broken",
    "a silent displayhook": "type(shell.displayhook).finish_displayhook = nothing",
    "no formatter": "shell.display_formatter = None",
    "a broken formatter": "type(shell.display_formatter).format = broken",
    "no payload": "shell.payload_manager = None",
    "no history": "shell.history_manager = None",
    "a broken history": "type(shell.history_manager).store_inputs = broken",
    "a counter that is text": "shell._trait_values['execution_count'] = 'x'",
    "no variables": "shell.user_ns.clear()",
    "no global variables": "globals().clear()",
    "no In and Out": "del In, Out",
    "no output cache": "del _oh",
    "another namespace": "shell.user_ns = {}",
    "a trap for exceptions": "shell.set_custom_exc((Exception,), broken)",
    "a broken traceback": "type(shell).showtraceback = broken",
    "sys.displayhook": "sys.displayhook = broken",
    "sys.excepthook": "sys.excepthook = broken",
    "sys.settrace": "sys.settrace(broken)",
    "sys.setprofile": "sys.setprofile(broken)",
}
KERNEL = {
    f"the kernel's {name} is {kind}": f"kernel.{name} = {kind}"
    for name in (
        "do_execute", "execute_request", "dispatch_shell", "shell_main", "should_handle", "pre_handler_hook",
        "post_handler_hook", "set_parent", "_publish_status", "_publish_status_and_flush", "send_response",
        "finish_metadata", "init_metadata",
    )
    for kind in ("None", "broken")
} | {
    "the kernel's class cannot execute": "type(kernel).do_execute = None",
    "the kernel's class exits": "type(kernel).do_execute = gone",
    "no handlers": "kernel.shell_handlers.clear()",
    "no handler for cells": "kernel.shell_handlers['execute_request'] = None",
    "a broken handler for cells": "kernel.shell_handlers['execute_request'] = broken",
    "a silent handler for cells": "kernel.shell_handlers['execute_request'] = nothing",
    "no handlers at all": "kernel.shell_handlers = None",
    "no shell": "kernel.shell = None",
    "no session": "kernel.session = None",
    "a session without a key": "kernel.session.key = b'other'",
    "a broken session": "type(kernel.session).send = broken",
    "a silent session": "kernel.session.send = nothing",
    "a session that cannot pack": "kernel.session.pack = broken",
    "a session that cannot unpack": "kernel.session.unpack = broken",
    "messages that cannot be read": "type(kernel.session).deserialize = broken",
    "messages without a sender": "type(kernel.session).feed_identities = broken",
    "a closed publisher": "kernel.iopub_socket.close()",
    "a stopped publisher": "kernel.iopub_thread.stop()",
    "a silent publisher": "type(kernel.iopub_socket).send_multipart = nothing",
    "cells are refused": "kernel._aborting = True; type(kernel)._aborting = True",
    "a context that is destroyed": "import zmq; zmq.Context.instance().destroy(linger=0)",
    "a log that raises": "kernel.log.error = kernel.log.debug = broken",
}  # fmt: skip
LOOP = {
    "a stopped loop": "asyncio.get_event_loop().stop()",
    "a loop that stops soon": "asyncio.get_event_loop().call_soon(asyncio.get_event_loop().stop)",
    "a loop that runs nothing": "asyncio.get_event_loop()._ready.clear(); asyncio.get_event_loop().call_soon = nothing",
    "no tasks": "[task.cancel() for task in asyncio.all_tasks()]",
    "a callback that exits": "asyncio.get_event_loop().call_soon(gone)",
    "a loop without readers": (
        "loop = asyncio.get_event_loop()\n"
        "for key in list(loop._selector.get_map().values()): loop.remove_reader(key.fd)"
    ),
    "a closed selector": "asyncio.get_event_loop()._selector.close()",
    "no create_task": "asyncio.create_task = asyncio.ensure_future = None",
    "no sleep": "asyncio.sleep = None",
    "no Task": "asyncio.Task = asyncio.Future = None",
    "no executor": (
        "from concurrent.futures import ThreadPoolExecutor\nexecutor = ThreadPoolExecutor(1)\n"
        "asyncio.get_event_loop().set_default_executor(executor); executor.shutdown()"
    ),
}
PYTHON = {
    f"no builtins.{name}": f"builtins.{name} = None"
    for name in ("compile", "print", "exec", "eval", "isinstance", "len", "repr", "str", "type", "getattr", "open",
                 "__import__", "__build_class__", "super", "callable", "vars", "dict", "Exception", "KeyError")
} | {
    "no print": "del builtins.print",
    "a print that raises": "builtins.print = broken",
    "builtins emptied": "builtins.__dict__.clear()",
    "no json.dumps": "json.dumps = None",
    "no json.loads": "json.loads = None",
    "no time": "time.time = time.monotonic = time.perf_counter = None",
    "no hmac": "import hmac; hmac.new = hmac.HMAC = None",
    "no os.write": "os.write = os.fstat = os.getpid = None",
    "no os.fspath": "os.fspath = None",
    "no threading": "threading.current_thread = threading.main_thread = None",
    "no inspect": "import inspect; inspect.isawaitable = inspect.signature = None",
    "no ast": "import ast; ast.parse = ast.Module = ast.Expr = None",
    "no codeop": "import codeop; codeop.Compile.__call__ = None",
    "no traceback": "import traceback; traceback.format_exception = None",
    "no warnings": "import warnings; warnings.warn = broken; warnings.catch_warnings = broken",
    "warnings are errors": "import warnings; warnings.simplefilter('error')",
    "no modules": "sys.modules.clear()",
    "no path": "sys.path.clear(); sys.meta_path.clear(); sys.path_hooks.clear()",
    "an import hook that raises": "sys.meta_path.insert(0, types.SimpleNamespace(find_spec=broken))",
    "no recursion": "sys.setrecursionlimit(60)",
    "no garbage collection": "gc.disable(); gc.set_threshold(1); gc.freeze()",
    "eager garbage collection": "gc.set_threshold(1, 1, 1)",
    "an audit hook that raises": "sys.addaudithook(broken)",
    "an atexit handler": "import atexit; atexit.register(broken)",
    "another locale": "os.environ['LC_ALL'] = 'x'; os.environ.clear()",
    "a thread switch that never comes": "sys.setswitchinterval(1000)",
    "no zmq": "import zmq; zmq.Socket.send_multipart = zmq.Socket.recv_multipart = None",
    "no tornado": "import tornado.ioloop; tornado.ioloop.IOLoop.add_callback = None",
}  # fmt: skip
STREAMS = (
    {
        "no sys.stdout": "sys.stdout = None",
        "no streams": "sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = None",
        "no names of streams": "del sys.stdout, sys.stderr",
        "a closed sys.stdout": "sys.stdout.close()",
        "a detached sys.stdout": "sys.stdout.detach()",
        "closed streams": "sys.stdout.close(); sys.stderr.close()",
        "a closed raw stream": "sys.stdout.buffer.close()",
        "text in place of sys.stdout": "sys.stdout = io.StringIO()",
        "bytes in place of sys.stdout": "sys.stdout = io.TextIOWrapper(io.BytesIO())",
        "a file in place of sys.stdout": "sys.stdout = open('/dev/null', 'w')",
        "an object in place of sys.stdout": "sys.stdout = object()",
        "a silent class in place of sys.stdout": (
            "sys.stdout = type('Silent', (), {'write': nothing, 'flush': nothing})()"
        ),
        "a broken class in place of sys.stdout": "sys.stdout = type('Bad', (), {'write': broken, 'flush': broken})()",
        "a redirection left open": "import contextlib; contextlib.redirect_stdout(io.StringIO()).__enter__()",
        "a sys.stdout without write": "sys.stdout.write = broken",
        "a sys.stdout that drops": "sys.stdout.write = nothing",
        "a raw stream that drops": "type(sys.stdout.buffer).write = nothing",
        "a raw stream that raises": "type(sys.stdout.buffer).write = broken",
        "pipes that do not wait": "os.set_blocking(1, False); os.set_blocking(2, False)",
        "buffered streams": "sys.stdout.reconfigure(write_through=False)",
        "nothing on descriptor 1": "os.dup2(devnull, 1)",
        "nothing on descriptor 2": "os.dup2(devnull, 2)",
        "nothing on descriptors 1 and 2": "os.dup2(devnull, 1); os.dup2(devnull, 2)",
        "one pipe for both": "os.dup2(1, 2)",
        "the other pipe for both": "os.dup2(2, 1)",
        "a socket on descriptor 1": "pair = socket.socketpair(); os.dup2(pair[0].fileno(), 1)",
        "a broken pipe on descriptor 1": "r, w = os.pipe(); os.close(r); os.dup2(w, 1)",
        "descriptors 0 to 2 closed": "os.closerange(0, 3)",
        "descriptors 0 to 9 closed": "os.closerange(0, 10)",
        "all descriptors closed": "os.closerange(0, 100)",
        "all descriptors from 3 closed": "os.closerange(3, 1000)",
        "all descriptors are the null device": "[os.dup2(devnull, fd) for fd in range(56) if fd != devnull]",
    }
    | {f"descriptor {fd} is closed": f"os.close({fd})" for fd in range(56)}
    | {f"descriptor {fd} is the null device": f"os.dup2(devnull, {fd})" for fd in range(0, 56, 5)}
)
PROCESS = {
    "an ignored interrupt": "signal.signal(signal.SIGINT, signal.SIG_IGN)",
    "a blocked interrupt": "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())",
    "an interrupt that raises": "signal.signal(signal.SIGINT, broken)",
    "an alarm": "signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05); signal.signal(signal.SIGALRM, broken)",
    "a deadly alarm": "signal.signal(signal.SIGALRM, signal.SIG_DFL); signal.setitimer(signal.ITIMER_REAL, 0.01)",
    "a folder that is gone": "os.mkdir('/tmp/gone'); os.chdir('/tmp/gone'); os.rmdir('/tmp/gone')",
    "a strict umask": "os.umask(0o777)",
    "idle scheduling": "os.nice(19); os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))",
    "a kernel that is not dumpable": "ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)",
    "a session of its own": "os.setpgid(0, 0) if os.getpgid(0) != os.getpid() else None",
    "a fault handler": "import faulthandler; faulthandler.dump_traceback_later(0.05, exit=False)",
    "a fault handler that exits": "import faulthandler; faulthandler.dump_traceback_later(0.01, exit=True)",
    "a stopped kernel": "threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGSTOP)).start(); time.sleep(0.1)",
    "a thread that exits": "threading.Thread(target=os._exit, args=(3,)).start()",
    "a process left behind": "__import__('subprocess').Popen(['sleep', '60'])",
} | {
    f"{name} of nothing": f"resource.setrlimit(resource.{name}, (0, 0))"
    for name in ("RLIMIT_NOFILE", "RLIMIT_NPROC", "RLIMIT_FSIZE", "RLIMIT_AS", "RLIMIT_DATA", "RLIMIT_STACK",
                 "RLIMIT_MEMLOCK", "RLIMIT_SIGPENDING")
} | {"a second of processor time": "resource.setrlimit(resource.RLIMIT_CPU, (1, 1))"}  # fmt: skip

TAMPERINGS = SHELL | KERNEL | LOOP | PYTHON | STREAMS | PROCESS
QUICK = POLICY.model_copy(update={"cell_timeout_s": 4.0, "interrupt_grace_s": 0.5})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def quick() -> AsyncIterator[Session]:
    async with DockerLauncher() as launcher, Session(launcher, QUICK) as session:
        yield session


@pytest.mark.parametrize("tampering", TAMPERINGS)
async def test_the_next_cell_works_after(quick: Session, tampering: str) -> None:
    """At most one later cell reports a loss, if the damage shows only then."""
    await quick.restart()
    sandbox_id = quick.info.sandbox_id
    await quick.execute(PRELUDE)
    guilty = await quick.execute(TAMPERINGS[tampering])
    assert not guilty.files_lost
    later = [await quick.execute(code) for code in ("1 + 1", "print('x')") * 3]
    told = [execution for execution in later if execution.state_lost]
    assert len(told) <= 1
    for execution, text in zip(later, ("2\n", "x\n") * 3, strict=True):
        assert execution in told or (execution.status == "ok" and text in execution.text)
    assert quick.info.sandbox_id == sandbox_id


AT_ONCE = {
    "type(get_ipython()).run_cell_async = None": "kernel_unusable",
    "get_ipython().input_transformers_cleanup.append(lambda lines: 1 / 0)": "kernel_unusable",
    "get_ipython().kernel.shell_handlers.clear()": "kernel_unusable",
    "import asyncio; asyncio.get_event_loop().stop()": "exit",
}


@pytest.mark.parametrize("code", AT_ONCE)
async def test_the_cell_that_breaks_its_kernel_reports_the_loss(quick: Session, code: str) -> None:
    guilty = await quick.execute(f"print('begun')\n{code}")
    assert (guilty.status, guilty.cause, guilty.state_lost) == ("died", AT_ONCE[code], True)
    assert guilty.text == "begun\n"
    await assert_well(quick)


REPAIRED = ["os.close(1)", "os.dup2(os.open('/dev/null', os.O_WRONLY), 1)", "os.closerange(0, 3)", "sys.stdout.close()"]


@pytest.mark.parametrize("code", REPAIRED)
async def test_repairable_damage_costs_no_variable(quick: Session, code: str) -> None:
    await quick.execute("import os, sys\nkept = 'yes'")
    assert not (await quick.execute(code)).state_lost
    assert (await quick.execute("print(kept)")).text == "yes\n"


async def test_a_cell_that_could_not_begin_runs_once_in_another_kernel(quick: Session) -> None:
    await quick.execute("get_ipython().kernel.session.unpack = lambda data: 1 / 0")
    execution = await quick.execute("print('x', file=open('ran', 'a')); print('x')")
    assert (execution.status, execution.text, execution.state_lost) == ("ok", "x\n", True)
    assert (await quick.execute("open('ran').read()")).text == "'x\\n'\n"


THIEF = """
import os, sys, threading, time
os.setsid(); time.sleep(0.7)
fd = os.open(f"/proc/{sys.argv[1]}/fd/1", os.O_RDONLY)
def steal():
    end = time.monotonic() + 40
    while time.monotonic() < end: os.read(fd, 65536)
threads = [threading.Thread(target=steal) for _ in range(8)]
for thread in threads: thread.start()
open("/tmp/steals", "w").close()
"""


async def test_a_cell_whose_marks_are_stolen_is_not_run_twice() -> None:
    async with DockerLauncher() as launcher, Session(launcher, POLICY) as session:
        await session.execute(
            "import os, subprocess, sys, time\n"
            f"_ = subprocess.Popen([sys.executable, '-c', {THIEF!r}, str(os.getpid())])\n"
            "while not os.path.exists('/tmp/steals'): time.sleep(0.05)"
        )
        lost = 0
        for number in range(4):
            execution = await session.execute(f"open('ran{number}', 'a').write('x')")
            lost += execution.cause is not None
        ran = await session.execute("[open(f'ran{n}').read() for n in range(4)]")
        assert ran.text == "['x', 'x', 'x', 'x']\n"
        assert lost <= 2
