"""The program in the child process: load a GGUF file, serve it on loopback, report the port, run until killed.

Its only line on standard output is JSON: `port`, `api_key`, `context_tokens`. It runs by path under `tied.py` and
imports nothing of this package.
"""

import argparse
import http.client
import json
import os
import secrets
import sys
import threading
from urllib.parse import urlsplit

import xllamacpp

LOG_ERRORS_ONLY = 1
PROMPT_CACHE_MIB = 1024


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--file", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--context-tokens", type=int, required=True)
    parser.add_argument("--slots", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    return parser.parse_args()


def _parameters(arguments: argparse.Namespace, api_key: str) -> xllamacpp.CommonParams:
    params = xllamacpp.CommonParams()
    params.model.path = arguments.file
    params.model_alias = {arguments.name}
    params.use_jinja = True
    params.hostnames = ["127.0.0.1"]
    params.port = 0  # the system chooses a free port
    params.api_keys = [api_key]  # without a key, each page in the user's browser could ask
    params.ui = False
    params.n_ctx = arguments.context_tokens * arguments.slots
    params.n_parallel = arguments.slots
    params.cpuparams.n_threads = arguments.threads
    params.cpuparams_batch.n_threads = arguments.threads
    params.fit_params = False  # do not shorten the context: loading fails instead
    params.cache_prompt = True
    params.cache_ram_mib = PROMPT_CACHE_MIB
    params.verbosity = LOG_ERRORS_ONLY
    return params


def _private_stdout() -> int:
    """Keep standard output for our line, and send the output of C code to standard error."""
    ours = os.dup(1)
    os.dup2(2, 1)
    return ours


def _context_tokens(port: int | None, api_key: str) -> int:
    """The context that the server grants each request: at most the length in the model's training."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/props", headers={"Authorization": f"Bearer {api_key}"})
    with connection.getresponse() as response:
        return int(json.load(response)["default_generation_settings"]["n_ctx"])


def main() -> None:
    """Serve until killed; exit with one line on standard error if the model does not load."""
    arguments = _arguments()
    stdout = _private_stdout()
    api_key = secrets.token_urlsafe()
    try:
        server = xllamacpp.Server(_parameters(arguments, api_key))
    except (RuntimeError, ValueError) as error:
        sys.exit(str(error))
    port = urlsplit(server.listening_address).port
    ready = {"port": port, "api_key": api_key, "context_tokens": _context_tokens(port, api_key)}
    with os.fdopen(stdout, "w") as line:
        line.write(json.dumps(ready) + "\n")
    threading.Event().wait()


if __name__ == "__main__":
    main()
