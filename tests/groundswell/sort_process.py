"""A process that sorts an archive and tells by how many bytes its memory has grown; a measurement needs a process of its own."""

import random
import resource
import sys
from pathlib import Path

from groundswell.local_log import LocalLog, StagedRecord

BATCH = 1_000


def main(path: Path, *, records: int, body_bytes: int) -> None:
    """Stage records in no order, sort them, and read them in theirs."""
    chance, filler = random.Random(1), bytes(body_bytes)
    begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with LocalLog(path) as log:
        for first in range(0, records, BATCH):
            some = [StagedRecord(chance.randrange(10**9), str(n), "wire", b"%d %b" % (n, filler)) for n in range(first, first + BATCH)]
            log.stage("archive", some, lines=first + BATCH, done=first + BATCH >= records)
        log.seal()
        read, position, last_ms = 0, 0, -1
        while batch := log.read(position, limit=BATCH):
            if [r.known_ms for r in batch] != sorted(r.known_ms for r in batch) or batch[0].known_ms < last_ms:
                sys.exit("out of order")
            read, position, last_ms = read + len(batch), batch[-1].position.offset + 1, batch[-1].known_ms
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - begun
    sys.stdout.write(f"{read} {grown * 1024}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), records=int(sys.argv[2]), body_bytes=int(sys.argv[3]))
