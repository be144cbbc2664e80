"""Corrected shares of a run's topic series: with the model and its measured errors that were in force at the window's start.

Only topic series are corrected: their documents are of one language and one topic, as the errors were counted. A company's documents
may be of any, so its share stays as the model gave it.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from groundswell.names import series_kind
from groundswell.prevalence import CorrectedShare, ErrorMatrix, corrected_share, matrices_in, matrix_of
from groundswell.schedule import ERRORS, MODEL, Schedule
from groundswell.store import schema as t
from groundswell.store.versions import content_of, read_schedule


@dataclass(frozen=True)
class Corrections:
    """What is needed to correct any window of a run.

    Args:
        schedule: the run's versions.
        model_id: the model of a run that has no schedule of its own.
        matrices: hash -> the measured errors of models.
    """

    schedule: Schedule
    model_id: str
    matrices: dict[str, tuple[ErrorMatrix, ...]]

    def share(self, series: str, start_ms: int, *, negative: int, documents: int) -> CorrectedShare | None:
        """The corrected share of a window; None where nothing is to correct, or no errors of the model were measured."""
        if series_kind(series) != "topic" or not documents:
            return None
        _, topic, language = series.split(":")
        known = self.matrices.get(self.schedule.at(ERRORS, start_ms) or "", ())
        matrix = matrix_of(known, self.schedule.at(MODEL, start_ms) or self.model_id, language)
        return None if matrix is None else corrected_share(negative, documents, matrix.of_topic(topic))


def corrections_of(connection: Connection, run: str) -> Corrections:
    """Read what corrects a run's shares.

    Raises:
        NotFoundError: a version of the errors is in force whose content is not stored.
        RecordError: its content cannot be read.
    """
    schedule = read_schedule(connection, run)
    model_id = connection.execute(select(t.runs.c.model_id).where(t.runs.c.run == run)).scalar_one_or_none() or ""
    hashes = {row.hash for row in schedule.of(ERRORS)}
    return Corrections(schedule, model_id, {name: matrices_in(content_of(connection, ERRORS, name)) for name in sorted(hashes)})
