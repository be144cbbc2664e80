"""What can go wrong, as a tree; catch the widest class that you can really handle.

GroundswellError             anything that this project raises on purpose; its text names place, rule, value and next step
  UsageError                 the caller asked for something impossible (exit code 2)
    SettingsError            a setting has the wrong type, range or name
  NotFoundError              nothing is stored under that name (exit code 1)
  RecordError                bytes that are not the record they should be; becomes a Drop, never stops a batch
    ArchiveLineError         the same, in a line of an archive file
  DependencyError            a peer (Kafka, PostgreSQL, a file system) is away or refuses; wait and try again, never drop
  OwnershipLostError         another owner has taken the partition: this process's memory is void, end it
  ContinuityError            the log does not continue where the store stopped: a gap, a foreign topic, a restored database
  BundleError                a model bundle is broken, truncated or not what its card says
  SignatureError             a session, a form or a link was not signed here
    ExpiredError             it was, and its time is over
"""

__all__ = [
    "ArchiveLineError",
    "BundleError",
    "ContinuityError",
    "DependencyError",
    "ExpiredError",
    "GroundswellError",
    "NotFoundError",
    "OwnershipLostError",
    "RecordError",
    "SettingsError",
    "SignatureError",
    "UsageError",
    "reason_of",
]


class GroundswellError(Exception):
    """Root of everything raised on purpose."""

    exit_code = 1


class UsageError(GroundswellError):
    """The caller asked for something impossible."""

    exit_code = 2


class SettingsError(UsageError):
    """A setting has the wrong type, range or name."""


class NotFoundError(GroundswellError):
    """Nothing is stored under that name."""


class RecordError(GroundswellError):
    """Bytes that are not the record they should be."""


class ArchiveLineError(RecordError):
    """A line of an archive that cannot be read."""


class DependencyError(GroundswellError):
    """A peer is away or refuses; nothing is lost, the work can be resumed."""

    exit_code = 3


class OwnershipLostError(GroundswellError):
    """Another owner has taken the partition; nothing that this process still holds may be stored."""

    exit_code = 3


class ContinuityError(GroundswellError):
    """The log does not continue where the store stopped."""

    exit_code = 3


class BundleError(GroundswellError):
    """A model bundle that cannot be trusted."""


class SignatureError(GroundswellError):
    """A signed text that is not ours, or was changed."""


class ExpiredError(SignatureError):
    """A signed text of ours whose time is over."""


def reason_of(error: BaseException) -> str:
    """One line for a log or a drop: some libraries raise errors whose text is empty.

    >>> reason_of(TimeoutError())
    'TimeoutError'
    """
    return str(error) or type(error).__name__
