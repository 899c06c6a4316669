"""The routes of the review page: whole pages, the pieces that HTMX puts into them, and pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, PlainTextResponse
from starlette.exceptions import HTTPException

from feint.app.review.desk import Desk
from feint.app.review.door import Door
from feint.app.review.marks import ANOMALOUS, NORMAL
from feint.app.review.pictures import Kind
from feint.app.review.showing import Showing
from feint.app.review.views import View
from feint.core.errors import OutputError
from feint.data.reading import UnreadableImageError
from feint.report.page import HERE as REPORT

HERE = Path(__file__).parent
STATIC = {
    "htmx.min.js": "text/javascript",
    "review.js": "text/javascript",
    "review.css": "text/css",
    "icon.svg": "image/svg+xml",
}
LABELS: dict[str, int | None] = {"anomalous": ANOMALOUS, "normal": NORMAL, "none": None}
Label = Literal["anomalous", "normal", "none"]
Chosen = Annotated[View, Query()]


def make_app(desk: Desk, *, token: str | None) -> FastAPI:
    """Return the ASGI application of one review; with a token, for those who know it."""
    app = FastAPI(title="Feint review", docs_url=None, redoc_url=None, openapi_url=None)
    show = Showing(desk)
    _add_static(app)
    _add_list(app, desk, show)
    _add_pictures(app, desk)
    _add_marks(app, desk, show)
    _add_refit(app, desk, show)
    _add_reasons(app, show)
    app.add_middleware(Door, token=token, key=desk.key, ask=show.door)
    return app


def _add_static(app: FastAPI) -> None:
    @app.get("/static/report.css")
    def report_style() -> Response:
        return FileResponse(REPORT / "style.css", media_type="text/css", headers={"cache-control": "no-cache"})

    @app.get("/static/{name}")
    def static(name: str) -> Response:
        if name not in STATIC:
            raise HTTPException(404)
        return FileResponse(HERE / "static" / name, media_type=STATIC[name], headers={"cache-control": "no-cache"})


def _add_list(app: FastAPI, desk: Desk, show: Showing) -> None:
    @app.get("/")
    def page(view: Chosen) -> Response:
        return _fresh(show.page(desk.views.current(view)))

    @app.get("/list")
    def listed(view: Chosen) -> Response:
        current = desk.views.current(view)
        return _fresh(show.listed(current), **{"HX-Replace-Url": f"/?{current.kept_query}"})

    @app.get("/chunk")
    def chunk(view: Chosen, first: Annotated[int, Query(ge=0)]) -> Response:
        return _fresh(show.chunk(view, first))

    @app.get("/zoom")
    def zoom(view: Chosen, at: Annotated[int, Query(ge=0)]) -> Response:
        return _fresh(show.zoom(view, at))

    @app.get("/threshold")
    def threshold(step: Annotated[int, Query(ge=0)]) -> Response:
        steps = desk.thresholds.steps
        return _fresh(show.threshold(steps[min(step, len(steps) - 1)]))


def _add_pictures(app: FastAPI, desk: Desk) -> None:
    @app.get("/images/{series}/{row}/{kind}")
    async def picture(series: str, row: int, kind: Kind) -> Response:  # noqa: ARG001 the series keeps caches apart
        if not 0 <= row < len(desk.subject):
            raise HTTPException(404)
        try:
            found = await desk.pictures.get(row, kind)
        except UnreadableImageError as error:
            return PlainTextResponse(error.reason, 422)
        return Response(found.data, media_type=found.kind, headers={"cache-control": "private, max-age=86400"})


def _add_marks(app: FastAPI, desk: Desk, show: Showing) -> None:
    def changed(name: str, said: str) -> Response:
        told = {"HX-Trigger-After-Settle": json.dumps({"marked": {"row": desk.row_of.get(name)}})}
        return _fresh(show.tally(said=said), **told)

    @app.post("/marks/{row}")
    def mark(row: int, label: Label) -> Response:
        if not 0 <= row < len(desk.subject) or row in desk.subject.reasons:
            raise HTTPException(404)
        name = desk.subject.names[row]
        desk.marks.mark(name, LABELS[label])
        said = f"{name} is not marked any more." if label == "none" else f"{name} is marked {label}."
        return changed(name, said)

    @app.post("/undo")
    def undo() -> Response:
        undone = desk.marks.undo()
        if undone is None:
            return _fresh(show.tally(said="There is nothing to undo."))
        before = [word for word, label in LABELS.items() if label == undone.label and label is not None]
        now = f"is marked {before[0]} again" if before else "has no mark any more"
        return changed(undone.path, f"Undone: {undone.path} {now}.")

    @app.get("/verdict/{row}")
    def verdict(row: int, of: Literal["card", "zoom"]) -> Response:
        if not 0 <= row < len(desk.subject):
            raise HTTPException(404)
        return _fresh(show.verdict(row, of))

    @app.get("/tally")
    def tally() -> Response:
        return _fresh(show.tally())

    @app.get("/marks.csv")
    def export() -> Response:
        name = "".join(
            each if each.isascii() and (each.isalnum() or each in "._-") else "_" for each in desk.subject.run.path.name
        )
        disposition = f'attachment; filename="{name}-marks.csv"'
        return Response(
            desk.marks.csv(), media_type="text/csv; charset=utf-8", headers={"content-disposition": disposition}
        )


def _add_refit(app: FastAPI, desk: Desk, show: Showing) -> None:
    @app.get("/refit")
    def refit() -> Response:
        return _fresh(show.refit())

    @app.get("/refit/state")
    def state() -> Response:
        if (progress := show.refit_progress()) is not None:
            return _fresh(progress)
        return _fresh(show.refit_state(), **{"HX-Retarget": "#refit"})

    @app.post("/refit")
    def start() -> Response:
        try:
            if desk.subject.of_run:
                desk.refits.start(desk.marks.csv())
        except OutputError as error:
            return _fresh(show.refit_state(problem=str(error)), **{"HX-Retarget": "#refit", "HX-Reswap": "outerHTML"})
        return Response(headers={"HX-Redirect": "/refit"})

    @app.post("/refit/cancel")
    def cancel() -> Response:
        desk.refits.cancel()
        return _fresh(show.refit_state())


def _add_reasons(app: FastAPI, show: Showing) -> None:
    @app.exception_handler(HTTPException)
    async def unknown(_: Request, error: HTTPException) -> Response:
        return HTMLResponse(show.error("There is no such page.", back=True), error.status_code)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        return HTMLResponse(
            show.error(f"This address is not understood: {first['loc'][-1]}: {first['msg']}.", back=True), 422
        )

    @app.exception_handler(Exception)
    async def failed(_: Request, __: Exception) -> Response:
        return HTMLResponse(
            show.error("An error of Feint itself; the terminal in which it runs says more.", back=True), 500
        )


def _fresh(content: str, **headers: str) -> Response:
    return HTMLResponse(content, headers={"cache-control": "no-store"} | headers)
