"""Rights at the brokers that are taken away while a worker works.

It ends, like one whose broker is away (75), and says which right is missing; what it had not acknowledged is read again when the right
is back. It does not wait inside the process: what the clients do without a right differs by right and by moment (some raise, some are
silent for ever), and a process that begins anew is the one state that is known to be sound.
"""

import threading
import time
from collections.abc import Callable
from typing import Final

from kafka.errors import GroupAuthorizationFailedError, TopicAuthorizationFailedError

from groundswell.errors import DependencyError, GroundswellError, UsageError
from groundswell.kafka_access import KafkaAccess
from stream.shells.topics import check_rights
from stream.shells.worker import end_process

ASK_EVERY_S: Final = 15.0


def lost_right(kafka: KafkaAccess | str, run: str, *, role: str) -> DependencyError | None:
    """The right that a worker has no more; None while it has all, and while no broker answers.

    Args:
        kafka: the brokers.
        run: whose topics.
        role: names.ROLE_SCORE or names.ROLE_FOLD.
    """
    try:
        check_rights(kafka, run, role=role)
    except DependencyError as error:
        if isinstance(error.__cause__, TopicAuthorizationFailedError | GroupAuthorizationFailedError):
            return error
    except UsageError:
        pass  # a file of the settings was changed meanwhile: what is open stays open
    return None


def watch_rights(lost: Callable[[], GroundswellError | None]) -> None:
    """Ask again and again, in a thread of its own, and end the process when a right is gone.

    Args:
        lost: asks the brokers; None while nothing is missing.
    """

    def watch() -> None:
        while True:
            time.sleep(ASK_EVERY_S)
            error = lost()
            if error is not None:
                end_process(error, place="rights")

    threading.Thread(target=watch, name="groundswell-rights-watch", daemon=True).start()


def cause_of(error: BaseException, kafka: KafkaAccess | str, run: str, *, role: str) -> BaseException:
    """What a client's error means: a right that is missing, where it is one, else the error itself.

    Args:
        error: whatever ended the work; the client's own may be its cause.
        kafka: the brokers; asked for the right's name.
        run: whose topics.
        role: names.ROLE_SCORE or names.ROLE_FOLD.
    """
    inner: BaseException | None = error
    while inner is not None and not _is_refusal(inner):
        inner = inner.__cause__
    if inner is None:
        return error
    return lost_right(kafka, run, role=role) or KafkaAccess.of(kafka).refused(inner)  # it may be back already


def _is_refusal(error: BaseException) -> bool:
    """Both clients call their errors by Kafka's names."""
    return any(kind.__name__ in ("TopicAuthorizationFailedError", "GroupAuthorizationFailedError") for kind in type(error).__mro__)
