"""The entry point of the command line, which first sees whether it finds its own packages."""

import sys

ENVIRONMENT = 3


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        from cellblock import check_packages  # noqa: PLC0415

        check_packages()
    except ImportError as error:
        sys.stderr.write(f"cellblock: {error}\n")
        sys.exit(ENVIRONMENT)
    from agent.__main__ import main as command_line  # noqa: PLC0415

    command_line()


if __name__ == "__main__":
    main()
