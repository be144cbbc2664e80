"""Rules that settings of the board must keep together; groundswell/settings.py has the others and checks all of them."""

import re
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from groundswell.settings import Board

__all__ = ["SECRET_CHARACTERS_MIN", "Rule", "board_rules"]

Rule = tuple[str, bool, str]  # key, whether it holds, what must be

SECRET_CHARACTERS_MIN: Final = 32
"""Of board.secret: a shorter one can be guessed from one signed text."""

_HEADER: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,60}")


def board_rules(board: "Board") -> tuple[Rule, ...]:
    """What must hold of the secret, and of a proxy that says who somebody is."""
    long_enough = not board.secret or len(board.secret) >= SECRET_CHARACTERS_MIN
    together = bool(board.proxy_header) == bool(board.proxy_addresses)
    why = "must be given together with board.proxy_addresses: else whoever can send the header can be anybody"
    return (
        ("board.secret", long_enough, f"must have {SECRET_CHARACTERS_MIN} characters or more; make one with `openssl rand -hex 32`"),
        ("board.proxy_header", not board.proxy_header or _is_header(board.proxy_header), "must name a header, such as X-Forwarded-User"),
        ("board.proxy_header", together, why),
        ("board.proxy_addresses", all(map(_is_network, board.proxy_addresses)), "must be addresses or networks, such as 10.0.3.0/24"),
    )


def _is_header(text: str) -> bool:
    return _HEADER.fullmatch(text) is not None


def _is_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True
