"""`groundswell`, and `python -m groundswell`: run a command; an error is one line that names the next step."""

import sys
from typing import NoReturn

from groundswell.errors import DependencyError, GroundswellError, reason_of


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 not found or not held, 2 usage, 3 a peer is away or the work is partly done."""
    from groundswell.cli import root

    try:
        root(prog_name="groundswell")
    except GroundswellError as error:
        _end(error)
    except ExceptionGroup as group:  # of a command that does several things at once
        ours, others = group.split(GroundswellError)
        if ours is None or others is not None:
            raise
        first: BaseException = ours
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        if isinstance(first, GroundswellError):
            _end(first)
    except BrokenPipeError:
        sys.exit(0)
    except OSError as error:
        if error.filename is None:  # no file that somebody named: a fault of ours, whose place should be seen
            raise
        step = "does it exist, may this account read and write it, and is there room?"
        _end(DependencyError(f"{error.filename}: {error.strerror or reason_of(error)}; {step}"))


def _end(error: GroundswellError) -> NoReturn:
    sys.stderr.write(f"groundswell: {reason_of(error)}\n")
    sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
