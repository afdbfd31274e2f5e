"""The entry point of the command line. It loads the rest where an interrupt is already answered in one line."""

import sys

INTERRUPTED = 130


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        from agent.cli.main import command_line  # noqa: PLC0415

        code = command_line(sys.argv[1:])
    except KeyboardInterrupt:
        sys.stderr.write("cellblock: interrupted\n")
        code = INTERRUPTED
    sys.exit(code)


if __name__ == "__main__":
    main()
