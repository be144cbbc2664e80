"""The hall: records, codec, names, settings and the store that every room shares. `open_store` is its door for notebooks."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from groundswell.frames import open_store

__all__ = ["open_store"]


def __getattr__(name: str) -> object:
    if name != "open_store":  # pandas is loaded by whoever asks for a frame, and by no command
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    from groundswell.frames import open_store

    return open_store
