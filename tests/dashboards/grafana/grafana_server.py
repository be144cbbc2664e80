"""A server that answers as Grafana documents its HTTP API (pages "Dashboard", "Folder", "Data source", "Annotations", "Other", Grafana 11).

It keeps what it is given, counts versions, knows roles, and refuses with the documented status codes and bodies. It is no Grafana: what
the pages do not say, it does not show.
"""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

EDITOR: Final = "glsa_editor_0123456789"
ADMIN: Final = "glsa_admin_0123456789"
VIEWER: Final = "glsa_viewer_0123456789"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class GrafanaServer:
    """What it holds, and what it was asked."""

    folders: dict[str, dict[str, Any]] = field(default_factory=dict)
    sources: dict[str, dict[str, Any]] = field(default_factory=dict)
    dashboards: dict[str, dict[str, Any]] = field(default_factory=dict)  # as GET /api/dashboards/uid/:uid answers
    annotations: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)  # "POST /api/folders"
    database: str = "ok"
    version: str = "11.6.0"
    status: int | None = None  # what every request is answered with, until it is None again
    before_save: Callable[[], None] = lambda: None
    url: str = ""

    def writes(self) -> list[str]:
        """What was asked that changes something."""
        return [line for line in self.asked if not line.startswith("GET ")]

    # --- answers ---------------------------------------------------------------------------------------------------------------
    def health(self, _: web.Request, __: Any) -> web.Response:
        return web.json_response({"commit": "0", "database": self.database, "version": self.version})

    def get_folder(self, request: web.Request, _: Any) -> web.Response:
        found = self.folders.get(request.match_info["uid"])
        return web.json_response(found) if found else refused(404, "folder not found", status="not-found")

    def post_folder(self, _: web.Request, body: Any) -> web.Response:
        if body["uid"] in self.folders or body["title"] in {folder["title"] for folder in self.folders.values()}:
            return refused(409, "A folder with that name already exists")
        self.folders[body["uid"]] = {"id": len(self.folders) + 1, "uid": body["uid"], "title": body["title"], "version": 1}
        return web.json_response(self.folders[body["uid"]])

    def put_folder(self, request: web.Request, body: Any) -> web.Response:
        found = self.folders.get(request.match_info["uid"])
        if found is None:
            return refused(404, "folder not found", status="not-found")
        self.before_save()
        if not body.get("overwrite") and body.get("version") != found["version"]:
            return refused(412, "The folder has been changed by someone else", status="version-mismatch")
        found |= {"title": body["title"], "version": found["version"] + 1}
        return web.json_response(found)

    def get_source(self, request: web.Request, _: Any) -> web.Response:
        found = self.sources.get(request.match_info["uid"])
        return web.json_response(found) if found else refused(404, "Data source not found")

    def post_source(self, _: web.Request, body: Any) -> web.Response:
        if body["name"] in {source["name"] for source in self.sources.values()}:
            return refused(409, "data source with the same name already exists")
        shown = {key: value for key, value in body.items() if key != "secureJsonData"}
        made = {"id": len(self.sources) + 1, "orgId": 1, "typeLogoUrl": "", "basicAuth": False, "version": 1, "readOnly": False}
        self.sources[body["uid"]] = made | shown | {"secureJsonFields": dict.fromkeys(body.get("secureJsonData", {}), True)}
        return web.json_response({"datasource": self.sources[body["uid"]], "id": 1, "message": "Datasource added", "name": body["name"]})

    def put_source(self, request: web.Request, body: Any) -> web.Response:
        found = self.sources[request.match_info["uid"]]
        if found["readOnly"]:
            return refused(403, "Cannot update read-only data source")
        found |= {key: value for key, value in body.items() if key != "secureJsonData"} | {"version": found["version"] + 1}
        return web.json_response({"datasource": found, "id": 1, "message": "Datasource updated", "name": body["name"]})

    def get_dashboard(self, request: web.Request, _: Any) -> web.Response:
        found = self.dashboards.get(request.match_info["uid"])
        return web.json_response(found) if found else refused(404, "Dashboard not found")

    def post_dashboard(self, _: web.Request, body: Any) -> web.Response:
        given = body["dashboard"]
        self.before_save()
        found = self.dashboards.get(given["uid"])
        if found is not None and found["meta"]["provisioned"]:
            return refused(400, "Cannot save provisioned dashboard")
        if body.get("folderUid") not in self.folders:
            return refused(400, "folder not found")
        if found is not None and not body.get("overwrite"):
            if given.get("id") is None:
                return refused(412, "A dashboard with the same uid already exists", status="name-exists")
            if given.get("version") != found["dashboard"]["version"]:
                return refused(412, "The dashboard has been changed by someone else", status="version-mismatch")
        version = 1 if found is None else found["dashboard"]["version"] + 1
        number = len(self.dashboards) + 1 if found is None else found["dashboard"]["id"]
        meta = {"isStarred": False, "folderUid": body["folderUid"], "provisioned": False, "version": version}
        self.dashboards[given["uid"]] = {"dashboard": given | {"id": number, "version": version}, "meta": meta}
        return web.json_response({"id": number, "uid": given["uid"], "status": "success", "version": version, "url": "/d/x", "slug": "x"})

    def get_annotations(self, request: web.Request, _: Any) -> web.Response:
        tags = set(request.query.getall("tags", []))
        found = [one for one in self.annotations if tags <= set(one["tags"])]
        return web.json_response(found[: int(request.query.get("limit", "100"))])

    def post_annotation(self, _: web.Request, body: Any) -> web.Response:
        self.annotations.append({"id": len(self.annotations) + 1, "time": body["time"], "tags": body["tags"], "text": body["text"]})
        return web.json_response({"message": "Annotation added", "id": len(self.annotations)})

    def put_annotation(self, request: web.Request, body: Any) -> web.Response:
        self.annotations[int(request.match_info["id"]) - 1] |= {"time": body["time"], "tags": body["tags"], "text": body["text"]}
        return web.json_response({"message": "Annotation updated"})

    # --- doors -----------------------------------------------------------------------------------------------------------------
    def guarded(self, answer: Callable[[web.Request, Any], web.Response], roles: tuple[str, ...]) -> Handler:
        async def handler(request: web.Request) -> web.StreamResponse:
            self.asked.append(f"{request.method} {request.path}")
            if self.status is not None:
                headers = {"Location": "https://grafana.example/login"} if self.status == 302 else {}
                return web.Response(status=self.status, text="<html>a proxy says no</html>", content_type="text/html", headers=headers)
            token = request.headers.get("Authorization", "").removeprefix("Bearer ")
            if roles and token not in (VIEWER, EDITOR, ADMIN):
                return refused(401, "Invalid API key")
            if roles and token not in roles:
                return refused(403, "You'll need additional permissions to perform this action")
            return answer(request, await request.json() if request.can_read_body else None)

        return handler

    def app(self, prefix: str) -> web.Application:
        app, everybody, editors, admins = web.Application(), (VIEWER, EDITOR, ADMIN), (EDITOR, ADMIN), (ADMIN,)
        for method, path, answer, roles in (
            ("GET", "/api/health", self.health, ()),
            ("GET", "/api/folders/{uid}", self.get_folder, everybody),
            ("POST", "/api/folders", self.post_folder, editors),
            ("PUT", "/api/folders/{uid}", self.put_folder, editors),
            ("GET", "/api/datasources/uid/{uid}", self.get_source, admins),
            ("POST", "/api/datasources", self.post_source, admins),
            ("PUT", "/api/datasources/uid/{uid}", self.put_source, admins),
            ("GET", "/api/dashboards/uid/{uid}", self.get_dashboard, everybody),
            ("POST", "/api/dashboards/db", self.post_dashboard, editors),
            ("GET", "/api/annotations", self.get_annotations, everybody),
            ("POST", "/api/annotations", self.post_annotation, editors),
            ("PUT", "/api/annotations/{id}", self.put_annotation, editors),
        ):
            app.router.add_route(method, prefix + path, self.guarded(answer, roles))
        return app


def refused(number: int, message: str, *, status: str | None = None) -> web.Response:
    """An error as Grafana words it."""
    return web.json_response({"message": message} | ({"status": status} if status else {}), status=number)


@contextlib.contextmanager
def grafana_server(*, prefix: str = "") -> Iterator[GrafanaServer]:
    """One on a free loopback port, with a path before its API as a proxy would give it."""
    server, loop = GrafanaServer(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> web.AppRunner:
        runner = web.AppRunner(server.app(prefix))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner

    runner = asyncio.run_coroutine_threadsafe(start(), loop).result(timeout=180)
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}{prefix}"
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(timeout=180)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=180)
        loop.close()
