"""`groundswell`, and `python -m groundswell`: run a command; an error is one line that names the next step."""

import sys

from groundswell.errors import GroundswellError, reason_of


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 not found or not held, 2 usage, 3 partly done and resumable."""
    from groundswell.cli import root

    try:
        root(prog_name="groundswell")
    except GroundswellError as error:
        sys.stderr.write(f"groundswell: {reason_of(error)}\n")
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(0)


if __name__ == "__main__":
    main()
