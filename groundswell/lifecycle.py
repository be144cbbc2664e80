"""How an incident lives: its state at any moment, from what was said of it, what people did, and how long it has been quiet.

    forming --first alert--> open --acknowledge--> acknowledged --resolve--> resolved
                              |                                               ^   |
                              +------------------- resolve -------------------+   | an update, or reopen
                              |                                               ^   v
                              +-- quiet for the rules' time (known time) -----+  reopened --acknowledge--> acknowledged

Pure, and nothing is stored of it: a state is made anew from rows that are only ever added, so nobody can change it without a trace.
Known time (alerts, quiet) and wall time (people) are two clocks, and in a replay years apart: an action stands behind the alert that
was the newest when it was recorded, not behind those that have a smaller number.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import Final, Literal, NamedTuple

from groundswell.codec import canonical
from groundswell.records import Action

State = Literal["forming", "open", "acknowledged", "resolved", "reopened"]
Cause = Literal["candidate", "alert", "update", "person", "quiet"]

FOR_EVER_MS: Final = 2**62


class Said(NamedTuple):
    """An alert of an incident, as far as its life is concerned."""

    alert: str
    update: int  # 0 = the incident's first
    opened_ms: int
    stories: frozenset[str] = frozenset()  # of its evidence
    quiet_from_ms: int = 0  # known time at which its incident had gone quiet before it; 0: it had not


class Step(NamedTuple):
    """One change of state, with what it came from."""

    state: State
    at_ms: int  # known time; of what a person did: wall time
    cause: Cause
    who: str | None = None  # the person
    alert: str | None = None  # the alert or update; of what a person did: the newest one then


@dataclass(frozen=True)
class Life:
    """An incident at a moment."""

    steps: tuple[Step, ...]  # never empty; the first one is forming
    assignee: str | None = None  # whom it was given to last

    @property
    def state(self) -> State:
        """Where it has come to."""
        return self.steps[-1].state

    @property
    def is_over(self) -> bool:
        """Whether nobody has to do anything about it."""
        return self.state == "resolved"

    @property
    def by_itself(self) -> bool:
        """Whether it was resolved because nothing more came: the dossier's page says so."""
        return self.state == "resolved" and self.steps[-1].cause == "quiet"


class Hush(NamedTuple):
    """Why no update of an incident may be sent now."""

    reason: Literal["snoozed", "muted", "resolved"]
    who: str
    at_ms: int  # wall time
    until_ms: int | None = None  # snoozed until then; None: until the next update


def in_order(actions: Iterable[Action]) -> list[Action]:
    """Actions in the one order that does not depend on how they came: by time, then by content."""
    return sorted(actions, key=lambda action: (action.at_ms, canonical(action)))


def life_of(
    said: Iterable[Said],
    actions: Iterable[Action],
    *,
    founded_ms: int,
    last_ms: int,
    quiet_ms: int | None,
    known_ms: int = FOR_EVER_MS,
    now_ms: int = FOR_EVER_MS,
) -> Life:
    """The life of one incident until a moment.

    Args:
        said: its alerts, in any order.
        actions: what people did about it, in any order.
        founded_ms: known time of its first candidate.
        last_ms: known time of its last candidate, of those known by `known_ms`.
        quiet_ms: after so long without a candidate it is resolved by itself; None: not known, so it never is.
        known_ms: the moment in known time: alerts that were opened later are left out.
        now_ms: the moment in wall time: actions that came later are left out.
    """
    waiting = sorted((one for one in said if one.opened_ms <= known_ms), key=attrgetter("update"))
    walk = _Walk(waiting, founded_ms)
    quiet_from_ms = FOR_EVER_MS if quiet_ms is None else last_ms + quiet_ms
    for action in in_order(action for action in actions if action.at_ms <= now_ms):
        if quiet_from_ms < known_ms and action.at_ms >= quiet_from_ms:
            walk.fall_quiet(quiet_from_ms)
        walk.act(action)
    walk.tell(len(waiting))
    if quiet_from_ms < known_ms:
        walk.fall_quiet(quiet_from_ms)
    return Life(tuple(walk.steps), walk.assignee)


class _Walk:
    """The steps of one life while they are found."""

    def __init__(self, said: list[Said], founded_ms: int) -> None:
        self._said = said
        self._told = 0  # how many of them have had their place
        self._was_quiet = False
        self.steps = [Step("forming", founded_ms, "candidate")]
        self.assignee: str | None = None

    def tell(self, count: int) -> None:
        """Give the first `count` alerts their place, if they have none yet."""
        for one in self._said[self._told : count]:
            if one.quiet_from_ms and self.steps[-1].state != "resolved":
                self.steps.append(Step("resolved", one.quiet_from_ms, "quiet"))
            if self.steps[-1].state == "forming":
                self.steps.append(Step("open", one.opened_ms, "alert", alert=one.alert))
            elif self.steps[-1].state == "resolved":
                self.steps.append(Step("reopened", one.opened_ms, "update", alert=one.alert))
        self._told = max(self._told, count)

    def act(self, action: Action) -> None:
        """One action, after the alerts that were there when it was recorded."""
        seen = seen_by(action, self._said)
        self.tell(seen)
        state = self.steps[-1].state
        if action.what == "assign":
            self.assignee = action.assignee
        elif action.what == "acknowledge" and state in ("open", "reopened"):
            self._step("acknowledged", action)
        # One that had not seen the last update does not resolve what that update says.
        elif action.what == "resolve" and state not in ("forming", "resolved") and seen >= self._told:
            self._step("resolved", action)
        elif action.what == "reopen" and state == "resolved":
            self._step("reopened", action)

    def fall_quiet(self, at_ms: int) -> None:
        """The quiet time is over; once."""
        if self._was_quiet:
            return
        self._was_quiet = True
        self.tell(len(self._said))
        if self.steps[-1].state != "resolved":
            self.steps.append(Step("resolved", at_ms, "quiet"))

    def _step(self, state: State, action: Action) -> None:
        newest = self._said[self._told - 1].alert if self._told else None
        self.steps.append(Step(state, action.at_ms, "person", action.who, newest))


def seen_by(action: Action, said: list[Said]) -> int:
    """How many of an incident's alerts, in the order of their updates, were there when an action was recorded."""
    for number, one in enumerate(said, start=1):
        if one.alert == action.alert:
            return number
    return sum(one.opened_ms <= action.at_ms for one in said)


def hush_of(said: Iterable[Said], actions: Iterable[Action], *, now_ms: int) -> Hush | None:
    """Why the newest update of an incident is not to be sent now; None if nothing speaks against it.

    A reopen ends whatever was asked for before it. An update that came after a resolve, or after a snooze until the next update, may go.
    """
    told = sorted(said, key=attrgetter("update"))
    newest = told[-1].stories if told else frozenset()
    resolved: Action | None = None
    snoozed: Action | None = None
    muted: list[Action] = []
    for action in in_order(action for action in actions if action.at_ms <= now_ms):
        if action.what == "reopen":
            resolved, snoozed, muted = None, None, []
        elif action.what == "resolve":
            resolved = action
        elif action.what == "snooze":
            snoozed = action
        elif action.what == "mute_story":
            muted.append(action)
    if muted and _covers(muted, newest):
        return Hush("muted", muted[-1].who, muted[-1].at_ms)
    if resolved is not None and seen_by(resolved, told) == len(told):
        return Hush("resolved", resolved.who, resolved.at_ms)
    if snoozed is None or (seen_by(snoozed, told) < len(told) if snoozed.until_ms is None else now_ms >= snoozed.until_ms):
        return None
    return Hush("snoozed", snoozed.who, snoozed.at_ms, snoozed.until_ms)


def _covers(muted: list[Action], stories: Collection[str]) -> bool:
    """Whether nothing is left to say: the incident was muted as a whole, or every story that its newest update rests on."""
    names = {action.story for action in muted}
    return None in names or (bool(stories) and names.issuperset(stories))
