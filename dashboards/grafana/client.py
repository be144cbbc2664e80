"""A Grafana over its HTTP API, by grafana-api: the only file that knows that library.

Set-up: in Grafana, Administration, Service accounts: one with the role Editor for dashboards, Admin for data sources too; its token is
`grafana.token`. grafana-api has no health, no data source by uid and no folder by tags: those are plain requests through its own transport.
"""

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

from grafana_api.grafana_api import GrafanaException
from grafana_api.grafana_face import GrafanaFace

from dashboards.grafana.model import Json
from dashboards.grafana.publish import ALERT_TAG, Change, Mark, difference, stored, unified
from groundswell.errors import DependencyError, GroundswellError, UsageError, reason_of
from groundswell.masking import mask_secrets, spellings

UNREACHABLE: Final = "is Grafana running, and grafana.url its address?"
STEPS: Final = {
    400: "Grafana does not take it as it is: run `groundswell dashboards check`, and report it if that finds nothing",
    401: "grafana.token is not accepted: make a new token of a service account and set it",
    403: "give the service account of grafana.token the role Editor, and Admin if it publishes data sources",
    404: "grafana.url must be Grafana's own address, with the path that a proxy puts before it",
    409: "another one has that name: rename or remove it in Grafana, then publish again",
    412: "somebody has saved it meanwhile: look with --dry-run, then publish again",
}
"""Status -> what to do. docs/runbook.md#grafana-refuses-the-dashboards says more."""

AGAIN: Final = "Grafana has a fault of its own: look into its log, then publish again; what was published stays"
PROVISIONED: Final = "it comes from a file of Grafana's provisioning: change it there (`groundswell dashboards build`), not by publishing"
NOT_JSON: Final = "that is no answer of Grafana's API: grafana.url must be its own address, with the path that a proxy puts before it"


class HttpGrafana:
    """One Grafana; a `GrafanaPort`.

    Args:
        url: its address, with a path if a proxy puts one before it.
        token: of a service account.
        timeout_s: for one request.
    """

    def __init__(self, url: str, token: str, *, timeout_s: float) -> None:
        parts = urlsplit(url)
        self._url, self._secrets = url.rstrip("/"), spellings([token])
        path = parts.path.strip("/")
        self._face = GrafanaFace(
            auth=token,
            host=parts.netloc.rpartition("@")[2],
            url_path_prefix=f"{path}/" if path else "",
            protocol=parts.scheme,
            timeout=timeout_s,
        )
        # A POST that is sent on arrives as a GET and seems to succeed: an address that is not the last one is an error.
        self._face.api.s.max_redirects = 0

    def health(self) -> str:
        """Grafana's version.

        Raises:
            DependencyError: it does not answer, or says that its own database is not well.
            UsageError: it is no Grafana.
        """
        said = self._ask("GET /api/health", lambda: self._face.api.GET("/health"))
        if not isinstance(said, dict) or "version" not in said:
            raise self._refused(UsageError, "GET /api/health", "an answer without a version", NOT_JSON)
        if said.get("database") != "ok":
            raise self._refused(DependencyError, "GET /api/health", f"database {said.get('database')!r}", AGAIN)
        return str(said["version"])

    def upsert_folder(self, uid: str, title: str, *, write: bool) -> Change:
        """A folder with this title under this uid; see GrafanaPort."""
        what, found = f"folder {uid}", self._find(f"GET /api/folders/{uid}", lambda: self._face.folder.get_folder(uid))
        if found is None:
            if write:
                self._ask("POST /api/folders", lambda: self._face.folder.create_folder(title, uid))
            return Change(what, "created")
        if found.get("title") == title:
            return Change(what, "same")
        if write:
            self._ask(f"PUT /api/folders/{uid}", lambda: self._face.folder.update_folder(uid, title, version=found.get("version")))
        return Change(what, "changed", unified(what, {"title": found.get("title")}, {"title": title}))

    def upsert_datasource(self, source: Json, *, write: bool) -> Change:
        """A data source under its uid; see GrafanaPort. Grafana never shows a password, so one that is given is sent each time."""
        uid, api = source["uid"], self._face.api
        what, path = f"data source {uid}", f"/datasources/uid/{uid}"
        found = self._find(f"GET /api{path}", lambda: api.GET(path))
        if found is None:
            if write:
                self._ask("POST /api/datasources", lambda: self._face.datasource.create_datasource(source))
            return Change(what, "created")
        here = {key: value for key, value in source.items() if key != "secureJsonData"}
        there = {key: found.get(key) for key in here} | {"jsonData": _of(found.get("jsonData") or {}, here["jsonData"])}
        read_only = found.get("readOnly")
        if there == here and (read_only or "secureJsonData" not in source):
            return Change(what, "same")
        if read_only:
            raise self._refused(UsageError, f"PUT /api{path}", f"{what} is read-only", PROVISIONED)
        if write:
            self._ask(f"PUT /api{path}", lambda: api.PUT(path, json=source))
        return Change(what, "same" if there == here else "changed", unified(what, there, here))

    def upsert_dashboard(self, dashboard: Json, folder_uid: str, *, write: bool) -> Change:
        """A dashboard under its uid, in this folder; see GrafanaPort."""
        uid = dashboard["uid"]
        what, found = f"dashboard {uid}", self._find(f"GET /api/dashboards/uid/{uid}", lambda: self._face.dashboard.get_dashboard(uid))
        sent: Json = {"dashboard": dashboard | {"id": None}, "folderUid": folder_uid, "message": "groundswell dashboards publish"}
        if found is None:
            if write:
                self._ask(f"POST /api/dashboards/db for {uid}", lambda: self._face.dashboard.update_dashboard(sent | {"overwrite": False}))
            return Change(what, "created")
        there, meta = found["dashboard"], found.get("meta", {})
        moved = meta.get("folderUid", "") != folder_uid
        if stored(there) == dashboard and not moved:
            return Change(what, "same")
        if meta.get("provisioned"):
            raise self._refused(UsageError, f"POST /api/dashboards/db for {uid}", f"{what} is provisioned", PROVISIONED)
        differs = difference(there, dashboard) + (unified(f"{uid}: folder", meta.get("folderUid", ""), folder_uid) if moved else "")
        if write:
            # Its version is given, so that what somebody saves at this moment is not lost unseen.
            sent |= {"dashboard": dashboard | {"id": there.get("id"), "version": there.get("version")}, "overwrite": False}
            self._ask(f"POST /api/dashboards/db for {uid}", lambda: self._face.dashboard.update_dashboard(sent))
        return Change(what, "changed", differs)

    def annotate(self, mark: Mark, *, write: bool) -> Change:
        """One annotation for an alert; see GrafanaPort. It is found again by its tags: the API has no key for it."""
        what, notes = f"annotation {mark.alert_id}", self._face.annotations
        tags = [ALERT_TAG, f"alert:{mark.alert_id}"]
        found = self._ask("GET /api/annotations", lambda: notes.get_annotation(tags=tags, limit=1))
        said: Json = {"time_from": mark.time_ms, "tags": list(mark.tags), "text": mark.text}
        if not found:
            if write:
                self._ask("POST /api/annotations", lambda: notes.add_annotation(**said))
            return Change(what, "created")
        there = {"time_from": found[0].get("time"), "tags": sorted(found[0].get("tags", [])), "text": found[0].get("text")}
        here = said | {"tags": sorted(mark.tags)}
        if there == here:
            return Change(what, "same")
        number = found[0]["id"]
        if write:
            self._ask(f"PUT /api/annotations/{number}", lambda: notes.update_annotation(number, **said))
        return Change(what, "changed", unified(what, there, here))

    # --- one request --------------------------------------------------------------------------------------------------------
    def _find(self, request: str, ask: Callable[[], Any]) -> Json | None:
        """What is there, or None for a plain "not found" of the API (which has a message; a foreign server's page has none)."""
        try:
            found: Json = self._ask(request, ask, absent=True)
        except _AbsentError:
            return None
        return found

    def _ask(self, request: str, ask: Callable[[], Any], *, absent: bool = False) -> Any:
        try:
            return ask()
        except GrafanaException as error:
            said = error.response.get("message") if isinstance(error.response, dict) else None
            if absent and error.status_code == 404 and said:
                raise _AbsentError from error
            kind = DependencyError if error.status_code in (408, 412, 429) or error.status_code >= 500 else UsageError
            value = f"{error.status_code} {said or 'without a message of Grafana'}"
            raise self._refused(kind, request, value, STEPS.get(error.status_code, AGAIN)) from error
        except ValueError as error:  # before OSError: the transport's own kind is both
            raise self._refused(UsageError, request, "no JSON", NOT_JSON) from error
        except OSError as error:
            answer = getattr(error, "response", None)
            if answer is not None:  # one that leads elsewhere
                value = f"leads to {answer.headers.get('location', 'no address')}"
                raise self._refused(UsageError, request, value, "write the address that answers itself in grafana.url") from error
            raise self._refused(DependencyError, request, reason_of(error), UNREACHABLE) from error

    def _refused(self, kind: type[GroundswellError], request: str, value: str, step: str) -> GroundswellError:
        return kind(mask_secrets(f"Grafana {self._url}: {request}: {value}; {step}", self._secrets))


class _AbsentError(Exception):
    """There is no such thing yet."""


def _of(found: Json, wanted: Json) -> Json:
    """The part of what Grafana holds that we say something of."""
    return {key: found.get(key) for key in wanted}
