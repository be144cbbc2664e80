"""Archive files as streams of bytes: plain, gzip, or a zip of one file; what unpacks without end is stopped."""

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, Final, cast

from groundswell.errors import ArchiveLineError
from ingest.archives.lines import BODY_BYTES, LINE_BYTES_MAX

__all__ = ["BROKEN", "BUFFER_BYTES", "Meter", "lines_of", "opened", "suffixes"]

BROKEN: Final = (OSError, EOFError, zlib.error, zipfile.BadZipFile)  # what a damaged file or packing raises while it is read
BUFFER_BYTES: Final = 1 << 20
UNPACKED_FREE_BYTES: Final = 256 * 1024**2  # that much may come out of any file, however small
UNPACKED_RATIO_MAX: Final = 250  # text packs to a tenth, log-like lines to a hundredth
_PACKINGS: Final = ("gz", "zip")


class Meter:
    """How much of a file has been read: for whoever wants to say how much is left."""

    def __init__(self) -> None:
        self.read_bytes = 0
        self.size_bytes = 0
        self.rows: int | None = None  # in the file, where its format says so

    @property
    def share(self) -> float:
        """Of the file, in [0, 1]; 0 where nothing is known."""
        return min(1.0, self.read_bytes / self.size_bytes) if self.size_bytes else 0.0


def suffixes(name: str) -> tuple[list[str], str]:
    """The parts of a file's name behind its first dot, without the packing, and the packing.

    >>> suffixes("20240301.gkg.csv.zip"), suffixes("news.JSONL")
    ((['gkg', 'csv'], 'zip'), (['jsonl'], ''))
    """
    parts = name.lower().split(".")[1:]
    packing = parts.pop() if parts and parts[-1] in _PACKINGS else ""
    return parts, packing


@contextmanager
def opened(path: Path, meter: Meter | None = None) -> Iterator[BinaryIO]:
    """A file's bytes, unpacked as its name says.

    Raises:
        ArchiveLineError: a zip that is none, holds several files, or a password.
        OSError: (while it is read) it unpacks to far more than any text does.
    """
    packing = suffixes(path.name)[1]
    with ExitStack() as stack:
        plain: BinaryIO = stack.enter_context(path.open("rb"))
        size_bytes = path.stat().st_size
        if meter is not None:
            meter.size_bytes = size_bytes
            plain = stack.enter_context(io.BufferedReader(_Metered(plain, meter), BUFFER_BYTES))
        if not packing:
            yield plain
            return
        packed: io.BufferedIOBase
        packed = gzip.GzipFile(fileobj=plain) if packing == "gz" else _only_file(path, stack.enter_context(_zip(path, plain)))
        guarded = _Guarded(stack.enter_context(packed), packed_bytes=size_bytes)
        yield stack.enter_context(io.BufferedReader(guarded, BUFFER_BYTES))


def _zip(path: Path, stream: BinaryIO) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(stream)
    except (zipfile.BadZipFile, OSError) as error:
        message = f"{path}: not a whole zip file ({error}); fetch or pack the file again"
        raise ArchiveLineError(message) from error


def _only_file(path: Path, packed: zipfile.ZipFile) -> io.BufferedIOBase:
    files = [info for info in packed.infolist() if not info.is_dir()]
    problem = ""
    if len(files) != 1:
        problem = f"holds {len(files)} files; pack one in each zip"
    elif files[0].flag_bits & 1:
        problem = "is locked with a password; unlock it"
    if problem:
        message = f"{path}: the zip {problem}"
        raise ArchiveLineError(message)
    try:
        return cast("io.BufferedIOBase", packed.open(files[0]))
    except (NotImplementedError, RuntimeError, zipfile.BadZipFile) as error:
        message = f"{path}: the zip is packed in a way that cannot be read ({error}); pack it again with deflate"
        raise ArchiveLineError(message) from error


class _Metered(io.RawIOBase):
    def __init__(self, stream: BinaryIO, meter: Meter) -> None:
        self._stream, self._meter = stream, meter

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def readinto(self, buffer: object, /) -> int:
        body = self._stream.read(len(memoryview(buffer)))  # type: ignore[arg-type]
        memoryview(buffer)[: len(body)] = body  # type: ignore[arg-type]
        self._meter.read_bytes = max(self._meter.read_bytes, self._stream.tell())
        return len(body)


class _Guarded(io.RawIOBase):
    """Unpacked bytes, until there are more than a file of this size can honestly hold."""

    def __init__(self, stream: io.BufferedIOBase, *, packed_bytes: int) -> None:
        self._stream, self._packed_bytes = stream, packed_bytes
        self._left = max(UNPACKED_FREE_BYTES, UNPACKED_RATIO_MAX * packed_bytes)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object, /) -> int:
        try:
            body = self._stream.read1(len(memoryview(buffer)))  # type: ignore[arg-type]  # one piece: what came before a break is given out
        except EOFError as error:  # some readers take this one for the honest end of a file
            message = "it breaks off before its end"
            raise OSError(message) from error
        self._left -= len(body)
        if self._left < 0:
            message = f"{self._packed_bytes:,} bytes unpack to more than {UNPACKED_RATIO_MAX} times as many, which no text does"
            raise OSError(message)
        memoryview(buffer)[: len(body)] = body  # type: ignore[arg-type]
        return len(body)


def lines_of(path: Path, meter: Meter | None = None) -> Iterator[tuple[int, bytes, bool]]:
    """Physical lines: number, bytes without the line end, and whether they are whole (else longer than LINE_BYTES_MAX)."""
    with opened(path, meter) as stream:
        number = 0
        while body := stream.readline(LINE_BYTES_MAX + 1):
            number += 1
            if number == 1:
                body = body.removeprefix(b"\xef\xbb\xbf")  # a byte order mark is no part of the first field
            whole = len(body) <= LINE_BYTES_MAX or body.endswith(b"\n")
            if not whole:
                body = body[:BODY_BYTES]
                while (rest := stream.readline(BUFFER_BYTES)) and not rest.endswith(b"\n"):
                    pass
            yield number, body.rstrip(b"\r\n"), whole
