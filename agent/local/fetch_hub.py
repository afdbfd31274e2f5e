"""The program in the child process that fetches one file from the Hugging Face hub: REPO FILE DIRECTORY."""

import signal
import sys

from huggingface_hub import get_session, hf_hub_download, hf_hub_url

PATIENCE_S = 5


def main() -> None:
    """Ask once whether the hub answers (the library itself tries for half a minute), then download."""
    repo, file_name, directory = sys.argv[1:]
    signal.alarm(PATIENCE_S)  # ends the process: a resolver that hangs in C code heeds no other limit
    try:
        get_session().head(hf_hub_url(repo, file_name), timeout=PATIENCE_S).raise_for_status()
    except Exception as error:  # from whichever HTTP library this version is built on
        sys.exit(f"{type(error).__name__}: {error}")
    signal.alarm(0)
    hf_hub_download(repo, file_name, local_dir=directory)


if __name__ == "__main__":
    main()
