"""The rights at Kafka that docs/security.md lists, given out on a real broker."""

import re
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
)

from groundswell.kafka_access import KafkaAccess

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "security.md"
_ROW: Final = re.compile(r"^\| `(\w+)` \| (topic|group)( begins with)? `([\w.-]+)` \| ([A-Z_, ]+) \|", re.MULTILINE)


def listed() -> list[tuple[str, str, bool, str, list[str]]]:
    """(login, "topic" or "group", whether the name is a beginning, name, operations) of every row of the page's table."""
    return [(who, kind, bool(begins), name, told.split(", ")) for who, kind, begins, name, told in _ROW.findall(PAGE.read_text("utf-8"))]


def give_out(admin: KafkaAccess) -> None:
    """Let every login do what the page says, and nothing else; asking twice changes nothing."""
    for who, kind, begins, name, operations in listed():
        allow(admin, who, kind, name, operations, begins=begins)


def allow(admin: KafkaAccess, who: str, kind: str, name: str, operations: list[str], *, begins: bool = False) -> None:
    """Let a login do something to a topic or a group, or to all whose names begin so."""
    pattern = ACLResourcePatternType.PREFIXED if begins else ACLResourcePatternType.LITERAL
    place = ResourcePattern(ResourceType[kind.upper()], name, pattern)
    acls = [ACL(f"User:{who}", "*", ACLOperation[operation], ACLPermissionType.ALLOW, place) for operation in operations]
    given = ACLFilter(
        f"User:{who}", "*", ACLOperation.ANY, ACLPermissionType.ALLOW, ResourcePatternFilter(place.resource_type, name, pattern)
    )
    with closing(KafkaAdminClient(**admin.for_kafka_python())) as client:
        told = client.create_acls(acls)
        assert len(told["succeeded"]) == len(acls), told["failed"]
        waited, deadline = threading.Event(), time.monotonic() + 180
        while not {acl.operation for acl in acls} <= {acl.operation for acl in client.describe_acls(given)[0]}:
            assert time.monotonic() < deadline, "the controller has the rights, and the broker does not learn of them"
            waited.wait(0.02)


def take_away(admin: KafkaAccess, who: str, kind: str, name: str, operation: str = "ANY") -> None:
    """Take a right of a login to one topic or group away, or all that it has there."""
    place = ResourcePatternFilter(ResourceType[kind.upper()], name, ACLResourcePatternType.LITERAL)
    given = ACLFilter(f"User:{who}", "*", ACLOperation[operation], ACLPermissionType.ALLOW, place)
    with closing(KafkaAdminClient(**admin.for_kafka_python())) as client:
        client.delete_acls([given])
        waited, deadline = threading.Event(), time.monotonic() + 180
        while client.describe_acls(given)[0]:
            assert time.monotonic() < deadline, "the controller has taken the rights, and the broker does not learn of it"
            waited.wait(0.02)
