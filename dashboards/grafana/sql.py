"""The SQL of the dashboards, apart from their layout: what each statement reads of the store (groundswell/store/schema.py).

Grafana puts in the span that is shown and the variables. A macro's arguments end at its first bracket, so none has brackets in it; and
a product with $__unixEpochFrom() needs a bigint, because Grafana writes the seconds as a plain number. Time is compared with the columns as
they are stored, so that indexes serve: ticks of 15 s of known time, panes of 300 s of published time. What was published in a span was
known in it or later, which is why statements on the published axis are bounded below in ticks too.
"""

from typing import Final

from groundswell.names import PANE_MS, TICK_MS

TICK_S: Final = TICK_MS // 1_000
PANE_S: Final = PANE_MS // 1_000

_FROM: Final = f"tick >= $__unixEpochFrom() / {TICK_S}"
_KNOWN: Final = f"tick BETWEEN $__unixEpochFrom() / {TICK_S} AND $__unixEpochTo() / {TICK_S}"
_PUBLISHED: Final = f"{_FROM} AND $__unixEpochFilter(pane * {PANE_S})"
_OPENED: Final = "opened_ms BETWEEN $__unixEpochFrom() * 1000::bigint AND $__unixEpochTo() * 1000::bigint"
_BY_PANE: Final = f"$__unixEpochGroupAlias(pane * {PANE_S}, $__interval)"
_BY_TICK: Final = f"$__unixEpochGroupAlias(tick * {TICK_S}, $__interval)"
_TOPICS: Final = """WITH chosen AS (
  SELECT 'topic:' || topic || ':' || language AS series, topic
  FROM unnest(ARRAY[$topic]) AS topic, unnest(ARRAY[$language]) AS language
)"""
_BODY: Final = "convert_from(body, 'UTF8')::jsonb"

# --- can this screen be trusted ----------------------------------------------------------------------------------------------
DATA_UNTIL: Final = f"""SELECT (min(closed_tick) + 1) * {TICK_MS} AS "Data until"
FROM progress WHERE run = '$run' AND role = 'fold' AND closed_tick > 0"""

CONDITIONS_OPEN: Final = """SELECT count(*) AS "Conditions" FROM conditions WHERE until_ms IS NULL"""

LAST_CANARY: Final = """SELECT max(due_ms) AS "Last canary" FROM canaries WHERE run = '$run'"""

ALERTS_OF_THE_DAY: Final = f"""SELECT count(*) AS "Alerts" FROM alerts
WHERE run = '$run' AND opened_ms >= $__unixEpochTo() / 86400 * 86400000::bigint AND {_BODY} ->> 'update' = '0'"""


def open_incidents(quiet_s: int) -> str:
    """How many incidents that were told had a candidate within this many seconds of what is decided."""
    return f"""SELECT count(*) AS "Open incidents" FROM incidents
WHERE run = '$run' AND {_BODY} ->> 'alert_tick' IS NOT NULL
AND last_tick >= (SELECT min(closed_tick) FROM progress WHERE run = '$run' AND role = 'desk') - {quiet_s // TICK_S}"""


# --- topics and companies ----------------------------------------------------------------------------------------------------
TOPIC_SHARE: Final = f"""{_TOPICS}
SELECT {_BY_PANE}, topic AS metric, sum(negative) / sum(documents) AS "Negative share"
FROM increments JOIN chosen USING (series)
WHERE run = '$run' AND {_PUBLISHED}
GROUP BY 1, 2 ORDER BY 1, 2"""

TOPIC_DOCUMENTS: Final = f"""{_TOPICS}
SELECT {_BY_PANE}, topic AS metric, sum(documents) AS "Documents"
FROM increments JOIN chosen USING (series)
WHERE run = '$run' AND {_PUBLISHED}
GROUP BY 1, 2 ORDER BY 1, 2"""

TOPICS_TURNED: Final = f"""{_TOPICS}, counted AS (
  SELECT topic, pane * {PANE_S} >= $__unixEpochFrom() AS shown, documents, negative
  FROM increments JOIN chosen USING (series)
  WHERE run = '$run' AND tick >= (2::bigint * $__unixEpochFrom() - $__unixEpochTo()) / {TICK_S}
  AND pane * {PANE_S} BETWEEN 2::bigint * $__unixEpochFrom() - $__unixEpochTo() AND $__unixEpochTo()
), shares AS (
  SELECT topic, sum(documents) FILTER (WHERE shown) AS documents,
    sum(negative) FILTER (WHERE shown) / sum(documents) FILTER (WHERE shown) AS share,
    sum(negative) FILTER (WHERE NOT shown) / sum(documents) FILTER (WHERE NOT shown) AS before
  FROM counted GROUP BY topic
)
SELECT topic AS "Topic", documents AS "Documents", share AS "Negative share", before AS "Before", share - before AS "Turned"
FROM shares WHERE documents > 0 ORDER BY share - before DESC NULLS LAST, topic"""

COMPANIES: Final = f"""SELECT series AS "Series", sum(documents) AS "Documents", sum(negative) AS "Negative",
  sum(negative) / sum(documents) AS "Negative share"
FROM increments WHERE run = '$run' AND {_KNOWN} AND series LIKE 'entity:%'
GROUP BY series ORDER BY 3 DESC, 2 DESC, 1 LIMIT 25"""

COMPANY: Final = f"""SELECT {_BY_PANE}, sum(negative) AS "Negative", sum(documents) - sum(negative) AS "Other"
FROM increments WHERE run = '$run' AND series = '$company' AND {_PUBLISHED}
GROUP BY 1 ORDER BY 1"""

RISKS: Final = f"""SELECT split_part(series, ':', 2) AS "Risk", split_part(series, ':', 3) AS "Company",
  sum(documents) AS "Documents", max(tick) * {TICK_MS} AS "Last known"
FROM increments WHERE run = '$run' AND {_KNOWN} AND series LIKE 'flag:%'
GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT 25"""

# --- findings, alerts, incidents ---------------------------------------------------------------------------------------------
ALERTS: Final = f"""SELECT opened_ms AS "Opened", severity AS "Severity", kind AS "Kind", body ->> 'title' AS "Title",
  (body ->> 'statistic')::bigint AS "Stories", (body ->> 'expected_milli')::bigint / 1000.0 AS "Expected",
  (body ->> 'update')::bigint AS "Update", incident AS "Incident", id AS "Alert"
FROM (SELECT run, opened_ms, severity, kind, incident, id, {_BODY} AS body FROM alerts WHERE run = '$run' AND {_OPENED}) AS told
ORDER BY opened_ms DESC, id LIMIT 100"""

DECISIONS: Final = f"""SELECT verdict AS "Verdict", split_part(reason, ':', 1) AS "Reason", count(*) AS "Findings",
  max(found.tick) * {TICK_MS} AS "Last"
FROM candidates AS found JOIN decisions USING (run, candidate_id)
WHERE run = '$run' AND found.{_KNOWN}
GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2"""

ANNOTATIONS: Final = f"""SELECT to_timestamp(opened_ms / 1000.0) AS time,
  to_timestamp((SELECT last_tick FROM incidents AS its WHERE its.run = told.run AND its.incident = told.incident) * {TICK_S}) AS timeend,
  body ->> 'title' AS title, '<a href="$board/alerts/' || id || '">dossier</a>' AS text, severity || ',' || kind AS tags
FROM (SELECT run, id, incident, opened_ms, severity, kind, {_BODY} AS body FROM alerts WHERE run = '$run' AND {_OPENED}) AS told
WHERE body ->> 'update' = '0' ORDER BY opened_ms"""

_LATEST: Final = f"""WITH latest AS (
  SELECT {_BODY} AS body FROM alerts WHERE run = '$run' AND incident = '$incident' ORDER BY opened_ms DESC, id LIMIT 1
)"""

INCIDENT_FIGURES: Final = f"""{_LATEST}
SELECT (body ->> 'statistic')::bigint AS "Stories", (body ->> 'expected_milli')::bigint / 1000.0 AS "Expected",
  (body ->> 'limit')::bigint AS "Limit", (body ->> 'owners')::bigint AS "Owners",
  (body ->> 'without_largest')::bigint AS "Without the largest"
FROM latest"""

INCIDENT_SHARES: Final = f"""{_LATEST}
SELECT (body ->> 'negative_share_ppm')::bigint / 1e6 AS "Negative share", (body ->> 'baseline_share_ppm')::bigint / 1e6 AS "Usually",
  (body ->> 'exposure_ppm')::bigint / 1e6 AS "Exposure"
FROM latest"""

INCIDENT_ALERTS: Final = f"""SELECT opened_ms AS "Opened", (body ->> 'update')::bigint AS "Update", severity AS "Severity", kind AS "Kind",
  series AS "Series", body ->> 'title' AS "Title", (body ->> 'statistic')::bigint AS "Stories",
  (body ->> 'owners')::bigint AS "Owners", (body ->> 'p_ppt')::bigint / 1e12 AS "p", id AS "Alert"
FROM (SELECT opened_ms, severity, kind, series, id, {_BODY} AS body FROM alerts WHERE run = '$run' AND incident = '$incident') AS told
ORDER BY opened_ms, id"""

INCIDENT_SERIES: Final = f"""WITH chosen AS (
  SELECT jsonb_array_elements_text({_BODY} -> 'series') AS series FROM incidents WHERE run = '$run' AND incident = '$incident'
)
SELECT {_BY_PANE}, series AS metric, sum(negative) AS "Negative"
FROM increments JOIN chosen USING (series)
WHERE run = '$run' AND {_PUBLISHED}
GROUP BY 1, 2 ORDER BY 1, 2"""

INCIDENT_PARTS: Final = f"""{_LATEST}
SELECT part ->> 'name' AS "Part", (part ->> 'stories')::bigint AS "Stories", (part ->> 'documents')::bigint AS "Documents",
  (part ->> 'owners')::bigint AS "Owners", (part ->> 'excess_milli')::bigint / 1000.0 AS "Excess"
FROM latest, jsonb_array_elements(body -> 'parts') AS part"""

INCIDENT_EVIDENCE: Final = f"""{_LATEST}
SELECT (quote ->> 'published_ms')::bigint AS "Published", (quote ->> 'known_ms')::bigint AS "Known", quote ->> 'source' AS "Source",
  quote ->> 'title' AS "Title", quote ->> 'quote' AS "Quote", (quote ->> 'negative_ppm')::bigint / 1e6 AS "Negative"
FROM latest, jsonb_array_elements(body -> 'evidence') AS quote ORDER BY 1"""

INCIDENT_MESSAGES: Final = """SELECT target AS "Target", state AS "State", attempts AS "Attempts", reason AS "Reason", alert_id AS "Alert"
FROM outbox JOIN alerts ON alerts.run = outbox.run AND alerts.id = outbox.alert_id
WHERE outbox.run = '$run' AND incident = '$incident' ORDER BY opened_ms, target"""

INCIDENT_DECISIONS: Final = f"""SELECT verdict AS "Verdict", reason AS "Reason", count(*) AS "Findings",
  min(tick) * {TICK_MS} AS "First", max(tick) * {TICK_MS} AS "Last"
FROM decisions WHERE run = '$run' AND incident = '$incident' GROUP BY 1, 2 ORDER BY 4, 1, 2"""

# --- operations --------------------------------------------------------------------------------------------------------------
CONDITIONS: Final = """SELECT since_ms AS "Since", kind AS "Kind", subject AS "Subject", reason AS "Reason", told_ms AS "Told"
FROM conditions WHERE until_ms IS NULL ORDER BY since_ms, kind, subject"""

PROGRESS: Final = f"""SELECT role AS "Role", part AS "Part", owner AS "Owner", epoch AS "Epoch", next_offset AS "Next offset",
  CASE WHEN closed_tick > 0 THEN (closed_tick + 1) * {TICK_MS} END AS "Closed until"
FROM progress WHERE run = '$run' ORDER BY role, part"""

# --- sources and model -------------------------------------------------------------------------------------------------------
SOURCES_HEARD: Final = f"""SELECT count(DISTINCT source) AS "Sources heard" FROM admissions
WHERE run = '$run' AND {_KNOWN} AND outcome IN ('scored', 'edited')"""

DOCUMENTS_BY_SOURCE: Final = f"""WITH busiest AS (
  SELECT source FROM admissions WHERE run = '$run' AND {_KNOWN} GROUP BY source ORDER BY count(*) DESC, source LIMIT 10
)
SELECT {_BY_TICK}, coalesce(busiest.source, 'others') AS metric, count(*) AS "Documents"
FROM admissions LEFT JOIN busiest USING (source)
WHERE run = '$run' AND {_KNOWN}
GROUP BY 1, 2 ORDER BY 1, 2"""

OUTCOMES: Final = f"""SELECT source AS "Source", count(*) FILTER (WHERE outcome = 'scored') AS "Scored",
  count(*) FILTER (WHERE outcome = 'edited') AS "Edited", count(*) FILTER (WHERE outcome = 'duplicate') AS "Duplicate",
  (max(tick) + 1) * {TICK_MS} AS "Last heard"
FROM admissions WHERE run = '$run' AND {_KNOWN}
GROUP BY source ORDER BY 2 DESC, 1"""

POLLS: Final = """SELECT source AS "Source", polled_ms AS "Last poll", ok_ms AS "Last good poll", fetched AS "Fetched", new AS "New",
  reason AS "Reason"
FROM heartbeats ORDER BY reason IS NULL, ok_ms NULLS FIRST, source"""

DROPS: Final = """SELECT source AS "Source", split_part(reason, ':', 1) AS "Reason", count(*) AS "Dropped", max(known_ms) AS "Last"
FROM drops
WHERE run = '$run' AND known_ms BETWEEN $__unixEpochFrom() * 1000::bigint AND $__unixEpochTo() * 1000::bigint
GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2"""

EXPOSURE: Final = """SELECT $__unixEpochGroupAlias(hour * 3600, $__interval), language AS metric, avg(exposure_ppm) / 1e6 AS "Exposure"
FROM exposures WHERE run = '$run' AND hour BETWEEN $__unixEpochFrom() / 3600 AND $__unixEpochTo() / 3600
GROUP BY 1, 2 ORDER BY 1, 2"""

BLINDNESS: Final = f"""SELECT source AS "Source", since_tick * {TICK_MS} AS "Blind from", until_tick * {TICK_MS} AS "Until",
  (until_tick - since_tick) * {TICK_S} AS "For"
FROM blind_spans
WHERE run = '$run' AND until_tick >= $__unixEpochFrom() / {TICK_S} AND since_tick <= $__unixEpochTo() / {TICK_S}
ORDER BY since_tick DESC, source"""

_LAG: Final = "WITHIN GROUP (ORDER BY (known_ms - published_ms) / 1000.0)"
_TIMED: Final = f"run = '$run' AND {_KNOWN} AND outcome = 'scored' AND published_precision <> 'day' AND published_flag = ''"
_DOCUMENTS: Final = """(SELECT run, tick, outcome, source AS heard, document_id, content_hash FROM admissions) AS admitted
JOIN documents USING (document_id, content_hash)"""

LAG: Final = f"""SELECT {_BY_TICK}, percentile_cont(0.5) {_LAG} AS "Median", percentile_cont(0.95) {_LAG} AS "95 %"
FROM {_DOCUMENTS}
WHERE {_TIMED}
GROUP BY 1 ORDER BY 1"""

LAG_BY_SOURCE: Final = f"""SELECT heard AS "Source", count(*) AS "Documents", percentile_cont(0.5) {_LAG} AS "Median",
  percentile_cont(0.95) {_LAG} AS "95 %"
FROM {_DOCUMENTS}
WHERE {_TIMED}
GROUP BY 1 ORDER BY 3 DESC, 1"""

MODEL_NEGATIVE: Final = f"""SELECT {_BY_TICK}, language || ', ' || model_id AS metric, avg(negative_ppm) / 1e6 AS "Negative"
FROM (
  SELECT run, tick, language, document_id, content_hash, coalesce(admissions.model_id, runs.model_id) AS model_id
  FROM admissions JOIN runs USING (run) WHERE run = '$run' AND {_KNOWN} AND outcome = 'scored'
) AS admitted JOIN scores USING (document_id, content_hash, model_id)
GROUP BY 1, 2 ORDER BY 1, 2"""

VERSIONS: Final = """SELECT effective_ms AS "Since", kind AS "Kind", hash AS "Version"
FROM in_force WHERE run = '$run' ORDER BY effective_ms DESC, kind"""
