"""The desk: candidates of all series of one closed tick in, incidents and decisions out. One owner, one place.

    candidates of a tick, least likely first
        of a live incident's company, or shares documents with one?  -> joined
        only holding?                                           -> held: "hold"
        its series alerted within the cooldown?                 -> held: "cooldown"
        three alerts today already?                             -> held: "budget" (the incident lives on, and may alert later)
        a gate of its kind in the way?                          -> held, with the gate
        too likely by chance, given what was told so far?       -> held: "chance", where the rules ask (alerts/budget.py)
        else                                                    -> alert
    an incident that was told: has it grown, or become another thing?  -> an update of it, at most three a day
    an official word on its company, or a denial?              -> an update of it, also where it has gone quiet: it is reopened

Only kinds of one family meet in an incident (alerts/kinds.py). Pure: state in, state out. What the desk knows is what its incident
rows say, and what is handed in with a tick (`Around`).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

import msgspec

from alerts.budget import Addis
from alerts.kinds import HELD_BY_SHIFT, family_of
from alerts.rules import DeskRules
from groundswell.names import DAY_MS, TICK_MS, WORDS, content_id, series_kind, word_of
from groundswell.records import Candidate, Decision, News
from groundswell.windows import best_tier

Verdict = Literal["alert", "joined", "held"]

_NEWS: Final[dict[News, str]] = {"official": "update: official word", "denial": "update: denied", "tier": "update: tier"}
"""How the reasons of decisions begin that told an incident again on a word, or on better evidence."""

OPENED, CHANCE = "opened", "chance"
"""How the reasons of decisions begin that were tests of false-discovery control."""

DOCUMENTS_MAX: Final = 400
"""Documents that an incident is recognised by: the latest ones."""

NEGATIVE_PPM: Final = 500_000
RECOGNISED_MIN: Final = 3
"""Negative documents of a search's evidence that say whether it speaks of an incident that is known."""

WIDE: Final = ("topic", "watch")
"""Kinds of series that hold many subjects: where a company is told of too, it comes first."""


class Told(msgspec.Struct, frozen=True):
    """What was last said of an incident: an update has to say more."""

    update: int  # 0 = the first alert
    series: list[str]  # of every alert of it
    statistic: int
    owners: int
    day: int
    today: int  # updates on that day
    echo: bool = False  # told as one story with its copies, and as nothing else
    ended: bool = False  # told as over
    tier: int = 0  # the best of its evidence; 0: none was known
    words: list[str] = []  # of names.WORDS, that were told


class Incident(msgspec.Struct, kw_only=True):
    """Candidates that speak of one event. One row each; the desk's whole memory."""

    incident: str
    series: list[str]  # in the order in which they joined; the first founded it
    documents: list[str]  # oldest first, at most DOCUMENTS_MAX
    opened_tick: int
    last_tick: int  # of its last candidate
    alert_tick: int | None = None  # when it was sent, if it was
    told: Told | None = None  # what has been said of it
    family: str = "event"


class Around(NamedTuple):
    """What is known of a tick beside its candidates."""

    moved: frozenset[str] = frozenset()  # languages whose figures have moved with the model
    echoes: frozenset[str] = frozenset()  # amplifications (candidate ids) that only readers passed on
    named: Mapping[str, frozenset[str]] = MappingProxyType({})  # companies in the documents of what is wider than one


NOTHING: Final = Around()


@dataclass(frozen=True)
class Opening:
    """An incident that has earned its alert, with the candidates of this tick that belong to it, main one first."""

    incident: Incident
    candidates: list[Candidate]
    update: int = 0  # 0 = the incident's first
    news: News = ""  # an update: what of it is news, where that is not more of the same
    quiet_from_ms: int = 0  # known time at which the incident had gone quiet; 0: it had not

    @property
    def evidence(self) -> list[list[str | int]]:
        """What it rests on: the main candidate's evidence, with the words that are told beside it and are not among that."""
        main, *others = self.candidates
        known = {row[0] for row in main.evidence}
        words = [row for other in others if word_of(other.series) for row in other.evidence if row[0] not in known]
        return [*main.evidence, *words] if word_of(main.series) else [*words, *main.evidence]


@dataclass
class DeskState:
    """Incidents that still matter: those with a candidate within the longest of the rules' times."""

    rules: DeskRules
    incidents: list[Incident] = field(default_factory=list)
    changed: dict[str, Incident] = field(default_factory=dict)  # rows to store with this commit
    stream: Addis = field(default_factory=Addis)  # of all that would be told
    around: Around = field(default=NOTHING, init=False)  # of the tick that is being decided

    def decide(self, tick: int, candidates: Iterable[Candidate], around: Around = NOTHING) -> tuple[list[Decision], list[Opening]]:
        """One closed tick: a decision for each candidate, and the incidents that are to be alerted now."""
        self._forget(tick)
        self.around = around
        ranked = sorted(candidates, key=_least_likely_first)
        decisions: list[Decision] = []
        openings: dict[str, list[Candidate]] = {}
        joined: dict[str, list[Candidate]] = defaultdict(list)  # to incidents that were told before this tick
        quiet_from = {incident.incident: self._quiet_from_ms(incident, tick) for incident in self.incidents}
        news: dict[str, News] = {}
        for candidate in ranked:
            decision = self._decide(candidate, tick, openings, joined)
            decisions.append(decision)
            if decision.incident is not None and decision.verdict == "alert":
                news[decision.incident] = news_in([decision.reason])
        by_id = {incident.incident: incident for incident in self.incidents}
        return decisions, [
            self._tell(by_id[name], main_first(found), tick, news=news[name], quiet_from_ms=quiet_from.get(name, 0))
            for name, found in openings.items()
        ]

    def _quiet_from_ms(self, incident: Incident, tick: int) -> int:
        """The known time at which an incident had gone quiet by a tick; 0 where it had not."""
        quiet_ticks = self.rules.incident_quiet_s * 1_000 // TICK_MS
        return quiet_from_ms(incident.last_tick, self.rules) if tick - incident.last_tick > quiet_ticks else 0

    def to_remind(self, shift: Candidate, remind_s: int) -> bool:
        """Whether it is time again to say that a language's figures have moved: at first, and to keep that incident alive."""
        mine = [i.last_tick for i in self.incidents if i.family == shift.kind and shift.series in i.series]
        return all((shift.tick - last_tick) * TICK_MS >= remind_s * 1_000 for last_tick in mine)

    def _decide(
        self, candidate: Candidate, tick: int, openings: dict[str, list[Candidate]], joined: dict[str, list[Candidate]]
    ) -> Decision:
        """What becomes of one candidate; `openings` and `joined` are of this tick, and are added to."""
        if word_of(candidate.series):
            return self._hear(candidate, tick, openings)
        incident = self._home_of(candidate, tick)
        if incident is None:
            if candidate.level == "hold":
                return _decision(candidate, None, "held", "hold: nothing open to keep alive")
            incident = self._found(candidate, tick)
        self._join(incident, candidate, tick)
        name = incident.incident
        verdict: Verdict = "joined"
        reason = "same incident"
        if name in openings:
            openings[name].append(candidate)
        elif incident.alert_tick is None:
            verdict, reason = self._may_alert(candidate, tick)
            if verdict == "alert":
                incident.alert_tick = tick
                openings[name] = [candidate]
        elif news := self._news_of(incident, candidate, tick):
            verdict, reason = "alert", f"update: {news}"
            openings[name] = [*joined[name], candidate]
        else:
            joined[name].append(candidate)
        return _decision(candidate, name, verdict, reason)

    def _hear(self, candidate: Candidate, tick: int, openings: dict[str, list[Candidate]]) -> Decision:
        """What becomes of an official word or a denial: it opens nothing, keeps nothing alive, and tells an incident again once."""
        word = word_of(candidate.series)
        incident = self._told_of(candidate)
        if incident is None or (incident.told is None and incident.incident not in openings):
            return _decision(candidate, None, "held", "word: nothing was told of this company that is still remembered")
        name, told = incident.incident, incident.told
        if name in openings:
            self._join(incident, candidate, tick)
            openings[name].append(candidate)
            return _decision(candidate, name, "joined", "word: told with it")
        if told is None or word in told.words:
            return _decision(candidate, None, "held", "word: the first of its kind was told")
        if self._updates_used(told, tick):
            return _decision(candidate, None, "held", f"word: {told.today} updates today, {self.rules.updates_per_day} allowed")
        self._join(incident, candidate, tick)
        openings[name] = [candidate]
        said = _NEWS["official" if word == "official" else "denial"]
        return _decision(candidate, name, "alert", f"{said}, {candidate.statistic} {'story' if candidate.statistic == 1 else 'stories'}")

    def _told_of(self, word: Candidate) -> Incident | None:
        """The incident of a company that was told last and is still remembered, whether or not it is alive."""
        remembered_ticks = max(self.rules.told_s, self.rules.incident_quiet_s) * 1_000 // TICK_MS
        mine = [
            incident
            for incident in self.incidents
            if incident.family == "event"
            and incident.alert_tick is not None
            and word.tick - incident.last_tick <= remembered_ticks
            and _subject(word.series) in map(_subject, incident.series)
        ]
        return max(mine, key=lambda incident: (incident.last_tick, incident.opened_tick, incident.incident), default=None)

    def _updates_used(self, told: Told, tick: int) -> bool:
        return told.day == tick * TICK_MS // DAY_MS and told.today >= self.rules.updates_per_day

    def _news_of(self, incident: Incident, candidate: Candidate, tick: int) -> str | None:
        """What of a candidate is materially new to those who were told of its incident; None if nothing is."""
        told = incident.told
        if told is None or self._moved(candidate) or self._updates_used(told, tick):
            return None
        copies = candidate.kind == "amplification" and not told.echo  # of what was told already
        tier = best_tier(candidate.evidence)
        if incident.family == "event" and not copies and 0 < tier <= self.rules.word_tier and tier < told.tier:
            return f"tier {tier}, tier {told.tier} was told"
        if candidate.level != "open":
            return None
        if incident.family == "blind" and candidate.ended != told.ended:
            return "it sees again" if candidate.ended else "blind again"
        if incident.family != "event" or copies:
            return None
        if told.echo and candidate.kind != "amplification":
            return f"more than one origin, {candidate.statistic} stories"
        if candidate.series not in told.series and series_kind(candidate.series) == "flag":
            return f"another risk, {candidate.series}"
        if candidate.statistic >= self.rules.update_growth * told.statistic:
            return f"{candidate.statistic} {'copies' if told.echo else 'stories'}, {told.statistic} were told"
        if candidate.owners >= told.owners + self.rules.update_owners:
            return f"{candidate.owners} owners, {told.owners} were told"
        return None

    def _tell(self, incident: Incident, candidates: list[Candidate], tick: int, *, news: News, quiet_from_ms: int) -> Opening:
        """The opening of an incident that is told now, and the memory of what it says."""
        main, told, day = candidates[0], incident.told, tick * TICK_MS // DAY_MS
        update = 0 if told is None else told.update + 1
        before = [] if told is None else told.series
        today = 0 if told is None else 1 + (told.today if told.day == day else 0)
        series = list(dict.fromkeys([*before, *(candidate.series for candidate in candidates)]))
        echo = main.kind == "amplification"
        same = told is not None and told.echo == echo  # copies are no stories: what was told of the ones is no measure of the others
        statistic, owners = main.statistic, main.owners
        if told is not None and same:
            statistic, owners = max(statistic, told.statistic), max(owners, told.owners)
        evidence = [best_tier(candidate.evidence) for candidate in candidates if not word_of(candidate.series)]  # a word is none of it
        tiers = [*evidence, *([] if told is None else [told.tier])]
        heard = [*([] if told is None else told.words), *(word_of(candidate.series) for candidate in candidates)]
        words = [word for word in WORDS if word in heard]
        if word_of(main.series) and told is not None:  # a word is no measure of what was told
            statistic, owners, echo = told.statistic, told.owners, told.echo
        incident.told = Told(update, series, statistic, owners, day, today, echo, main.ended, min(filter(None, tiers), default=0), words)
        return Opening(incident, candidates, update, news, quiet_from_ms)

    def _home_of(self, candidate: Candidate, tick: int) -> Incident | None:
        """The live incident that the candidate belongs to: its company's own first, else the one that it shares most with."""
        quiet_ticks = self.rules.incident_quiet_s * 1_000 // TICK_MS
        documents = _recognised_by(candidate)
        best: tuple[bool, float, Incident] | None = None
        for incident in self.incidents:
            if tick - incident.last_tick > quiet_ticks or incident.family != family_of(candidate.kind):
                continue
            if not _is_search(candidate.series) and all(map(_is_search, incident.series)) and incident.series:
                continue  # a theme that was told says nothing yet of the company that it comes to
            shared = self._shared(candidate, documents, incident)
            own = _subject(candidate.series) in _companies_of(incident)
            if shared >= self.rules.overlap_min and (best is None or (own, shared) > best[:2]):
                best = own, shared, incident
        return best[2] if best else None

    def _shared(self, candidate: Candidate, documents: set[str], incident: Incident) -> float:
        """How much both have in common; at least enough to belong together where they are about the same.

        That is the part of the smaller one's documents that both have, and of what is wider than a company also the part that names the
        incident's companies: an incident knows the documents of its findings alone, and those come after the documents do.
        """
        shared = len(documents.intersection(incident.documents)) / max(1, min(len(documents), len(incident.documents)))
        if series_kind(candidate.series) in WIDE:
            companies, named = _companies_of(incident), self.around.named
            about = sum(not companies.isdisjoint(named.get(document, ())) for document in documents)
            shared = max(shared, about / max(1, len(documents)))
        same = _subject(candidate.series) in map(_subject, incident.series)
        return max(shared, self.rules.overlap_min) if same else shared

    def _found(self, candidate: Candidate, tick: int) -> Incident:
        name, family = content_id("incident", candidate.candidate_id), family_of(candidate.kind)
        incident = Incident(incident=name, series=[], documents=[], opened_tick=tick, last_tick=tick, family=family)
        self.incidents.append(incident)
        self.incidents.sort(key=lambda i: (i.opened_tick, i.incident))  # the order in which a restart loads them
        return incident

    def _join(self, incident: Incident, candidate: Candidate, tick: int) -> None:
        if candidate.series not in incident.series:
            incident.series = [*incident.series, candidate.series]
        if not _is_search(candidate.series) or all(map(_is_search, incident.series)):  # a theme's documents are of other companies too
            merged = dict.fromkeys([*incident.documents, *(str(row[0]) for row in candidate.evidence)])
            incident.documents = list(merged)[-DOCUMENTS_MAX:]
        incident.last_tick = tick
        self.changed[incident.incident] = incident

    def _may_alert(self, candidate: Candidate, tick: int) -> tuple[Verdict, str]:
        if candidate.level == "hold":
            return "held", "hold: not improbable enough to open"
        held = self._gate_of_kind(candidate)
        if held is not None:
            return "held", held
        family, cooldown_ticks = family_of(candidate.kind), self.rules.cooldown_s * 1_000 // TICK_MS
        of_family = [other for other in self.incidents if other.alert_tick is not None and other.family == family]
        for other in of_family:
            if candidate.series in other.series and tick - other.last_tick <= cooldown_ticks and family != "blind":
                return "held", f"cooldown: {candidate.series} alerted in incident {other.incident}"
        limits = {"event": self.rules.budget_per_day, "late": self.rules.late_per_day, "slow_burn": self.rules.slow_burn_per_day}
        day, limit = tick * TICK_MS // DAY_MS, limits.get(family)
        sent = sum(other.alert_tick is not None and other.alert_tick * TICK_MS // DAY_MS == day for other in of_family)
        if limit is not None and sent >= limit:
            of = "" if family == "event" else f" of kind {family}"
            return "held", f"budget: {sent} alerts{of} today, {limit} allowed"
        return self._weigh(candidate)

    def _weigh(self, candidate: Candidate) -> tuple[Verdict, str]:
        """What would be told is a test of false-discovery control, unless no p-value has opened it."""
        chance = chance_of(candidate)
        if chance is None:
            return "alert", OPENED
        level = self.stream.level(self.rules.false_share) if self.rules.false_share else 1.0
        found = chance <= level
        self.stream.take(chance, found=found)
        if found:
            return "alert", OPENED
        share = f"at most {self.rules.false_share:g} of what is told is to be chance"
        return "held", f"{CHANCE}: {chance:.2g} of the p-value that opens, {level:.2g} needed now: {share}"

    def resume(self, tests: Iterable[tuple[Candidate, Decision]]) -> None:
        """Make the stream again from stored decisions: those that told an incident for the first time, or found it too likely."""
        for candidate, decision in sorted(tests, key=lambda test: (test[0].tick, _least_likely_first(test[0]))):
            chance = chance_of(candidate)
            if chance is not None:
                self.stream.take(chance, found=decision.verdict == "alert")

    def _gate_of_kind(self, candidate: Candidate) -> str | None:
        """Why a candidate of this kind may not alert now, beside what holds for all; None if it may."""
        if self._moved(candidate):
            return f"model_shift: the figures of {', '.join(sorted(self.around.moved))} have moved with the model"
        if candidate.ended:
            return "over: its beginning was not told, or too long ago"
        if candidate.candidate_id in self.around.echoes:
            return f"echo: {candidate.statistic} copies, passed on by readers alone"
        if candidate.kind == "late":
            documents = {str(row[0]) for row in candidate.evidence}
            for other in self.incidents:
                told = other.family == "event" and other.alert_tick is not None
                if told and self._shared(candidate, documents, other) >= self.rules.overlap_min:
                    return f"told: incident {other.incident} was told in its own time"
        return None

    def _moved(self, candidate: Candidate) -> bool:
        """Whether a candidate rests on figures that have moved with the model: of its language, of any for a company's."""
        if candidate.kind not in HELD_BY_SHIFT or not self.around.moved:
            return False
        return series_kind(candidate.series) != "topic" or candidate.series.rsplit(":", 1)[1] in self.around.moved

    def _forget(self, tick: int) -> None:
        keep_ticks = self.keep_ticks(self.rules)
        self.incidents = [incident for incident in self.incidents if tick - incident.last_tick <= keep_ticks]

    @staticmethod
    def keep_ticks(rules: DeskRules) -> int:
        """How long an incident matters after its last candidate: what a restart has to load."""
        return max(rules.incident_quiet_s, rules.cooldown_s, rules.told_s, DAY_MS // 1_000) * 1_000 // TICK_MS


def quiet_from_ms(last_tick: int, rules: DeskRules) -> int:
    """The known time from which on an incident is quiet, after the tick of its last candidate."""
    return (last_tick + 1) * TICK_MS + rules.incident_quiet_s * 1_000


def news_in(reasons: Iterable[str]) -> News:
    """What of an update is news, by the reasons of its decisions; "" where it is more of the same.

    >>> news_in(["same incident", "update: denied, 1 story"]), news_in(["update: 12 stories, 5 were told"])
    ('denial', '')
    """
    return next((news for reason in reasons for news, begin in _NEWS.items() if reason.startswith(begin)), "")


def _recognised_by(candidate: Candidate) -> set[str]:
    """The documents that say whose incident a candidate is: of a search the negative ones, where they are enough. No company has others."""
    every = {str(row[0]) for row in candidate.evidence}
    if not _is_search(candidate.series):
        return every
    negative = {str(row[0]) for row in candidate.evidence if int(row[4]) >= NEGATIVE_PPM}
    return negative if len(negative) >= RECOGNISED_MIN else every


def _companies_of(incident: Incident) -> set[str]:
    """The companies that an incident's series are about."""
    return {_subject(series) for series in incident.series if series_kind(series) not in WIDE}


def _is_search(series: str) -> bool:
    return series_kind(series) == "watch"


def _subject(series: str) -> str:
    """Whom a series is about: the company of its own series and of its risks, else the series itself.

    >>> _subject("entity:SVB"), _subject("flag:liquidity_run:SVB"), _subject("topic:debt_credit:en")
    ('SVB', 'SVB', 'topic:debt_credit:en')
    """
    return series if series_kind(series) == "topic" else series.rsplit(":", 1)[1]


def _least_likely_first(candidate: Candidate) -> tuple[bool, bool, int, int, bool, str, int, str]:
    """A total order: two windows of one series may have equal numbers, and the first one names the incident. Searches join the others."""
    order = _is_search(candidate.series), candidate.level != "open", evidence_p_ppt(candidate), -candidate.statistic
    return *order, series_kind(candidate.series) in WIDE, candidate.series, candidate.window_s, candidate.kind


def evidence_p_ppt(candidate: Candidate) -> int:
    """The p-value of what turned, in 1e-12."""
    return candidate.share_p_ppt if candidate.by == "share" else candidate.p_ppt


def chance_of(candidate: Candidate) -> float | None:
    """How likely its p-value is among those that open: in [0, 1]; None where no p-value decides (a sighting)."""
    return evidence_p_ppt(candidate) / candidate.p_open_ppt if candidate.p_open_ppt else None


def _decision(candidate: Candidate, incident: str | None, verdict: Verdict, reason: str) -> Decision:
    return Decision(candidate_id=candidate.candidate_id, tick=candidate.tick, incident=incident, verdict=verdict, reason=reason)


def main_first(candidates: list[Candidate]) -> list[Candidate]:
    """The candidates of an opening, the one to be told about first: a company before a topic or a search, then the least likely.

    Where one of them is an echo, what opens as more than that comes before it, and what only holds behind it. A word comes last, a denial
    before an official one; where there is nothing else, it is what is told.
    """
    echo = any(candidate.kind == "amplification" for candidate in candidates)

    def rank(c: Candidate) -> tuple[bool, int, bool, int, int, str, int, str]:
        weight = (1 if c.kind == "amplification" else 2 * (c.level == "hold")) if echo else 0
        return (
            bool(word_of(c.series)),
            weight,
            series_kind(c.series) in WIDE,
            evidence_p_ppt(c),
            -c.statistic,
            c.series,
            c.window_s,
            c.kind,
        )

    return sorted(candidates, key=rank)
