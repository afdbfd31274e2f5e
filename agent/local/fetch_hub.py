"""The program in the child process that fetches one file from the Hugging Face hub: REPO FILE DIRECTORY."""

import signal
import sys

from huggingface_hub import get_session, hf_hub_download, hf_hub_url

PATIENCE_S = 5


def main() -> None:
    """Check once that the hub answers (the library itself would retry for half a minute), then download."""
    repo, file_name, directory = sys.argv[1:]
    signal.alarm(PATIENCE_S)  # ends the process, even if a resolver hangs in C code
    try:
        get_session().head(hf_hub_url(repo, file_name), timeout=PATIENCE_S).raise_for_status()
    except Exception as error:  # its type depends on the HTTP library of this version
        sys.exit(f"{type(error).__name__}: {error}")
    signal.alarm(0)
    hf_hub_download(repo, file_name, local_dir=directory)


if __name__ == "__main__":
    main()
