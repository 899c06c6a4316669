"""The routes, and the OpenAPI document that describes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI, Request, Response, Security, params
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

import feint
from feint.app.gate import Gate
from feint.app.limits import Refusal
from feint.app.messages import Answer, Health, ModelCard, Problem
from feint.app.service import Service
from feint.app.uploads import FIELD, JSON, MULTIPART, ImageText, read_body

REASONS = {
    401: "The token is missing or wrong.",
    403: "Without a token, only this machine by its own name.",
    408: "The body did not come in time.",
    413: "Too many bytes, pixels or images.",
    415: "The body is neither multipart nor JSON.",
    422: "The body is not as expected, or none of its images can be read.",
    429: "Too many requests in flight.",
}
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


def make_app(service: Service, *, token: str | None) -> FastAPI:
    """Return the ASGI application that answers for `service`; with a token, to those who send it."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        scoring = asyncio.create_task(service.run())
        yield
        scoring.cancel()
        with suppress(asyncio.CancelledError):
            await scoring

    app = FastAPI(
        title="Feint", version=feint.__version__, lifespan=lifespan, docs_url=None, redoc_url=None,
        description="Anomaly scores of images by one run of `feint tune`.",
    )  # fmt: skip
    guard = [] if token is None else [Security(HTTPBearer(auto_error=False))]  # for the document; `Gate` guards
    _add_score(app, service, guard)
    _add_the_rest(app, service, guard)
    _add_reasons(app)
    app.add_middleware(Gate, token=token, counters=service.counters)
    return app


def _add_score(app: FastAPI, service: Service, guard: Sequence[params.Security]) -> None:
    binary = {"type": "string", "format": "binary", "description": "PNG, JPEG, BMP, TIFF or WebP"}
    most = service.limits.images
    body = {
        "required": True,
        "content": {
            MULTIPART: {"schema": _only(FIELD, binary, most=most)},
            JSON: {"schema": _only("images", ImageText.model_json_schema(), most=most)},
        },
    }

    @app.post(
        "/v1/score", dependencies=guard, response_model=Answer, response_model_exclude_none=True,
        responses=_problems(*REASONS), openapi_extra={"requestBody": body}, summary="Score images",
    )  # fmt: skip
    async def score(request: Request, *, maps: bool = False) -> Answer:
        """Score one or many images, in the order sent; an image that cannot be read has a reason instead of a score."""
        declared, kind = (request.headers.get(name, "") for name in ("content-length", "content-type"))
        with service.place():
            body = read_body(request.stream(), declared=declared, limits=service.limits)
            uploads = await service.unpack(await body, content_type=kind)
            return await service.answer(uploads, maps=maps)


def _add_the_rest(app: FastAPI, service: Service, guard: Sequence[params.Security]) -> None:
    @app.get(
        "/v1/model", dependencies=guard, responses=_problems(401, 403), summary="The model that scores, and the limits"
    )
    async def model() -> ModelCard:
        return service.served.card(service.limits)

    @app.get("/healthz", responses=_problems(403), summary="Whether the service answers; needs no token")
    async def healthz() -> Health:
        return Health(model=service.served.name)

    problem = {JSON: {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}}}  # a model would become text here

    @app.get(
        "/metrics", dependencies=guard, response_class=PlainTextResponse, summary="Counters for Prometheus",
        responses={status: {"content": problem, "description": REASONS[status]} for status in (401, 403)},
    )  # fmt: skip
    async def metrics() -> Response:
        return Response(service.counters.text(), media_type=PROMETHEUS)


def _only(name: str, item: dict[str, Any], *, most: int) -> dict[str, Any]:
    """Return the JSON schema of an object that holds nothing but one list."""
    many = {"type": "array", "minItems": 1, "description": f"at most {most}, otherwise 413", "items": item}
    return {"type": "object", "required": [name], "additionalProperties": False, "properties": {name: many}}


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": Problem, "description": REASONS[status]} for status in statuses}


def _add_reasons(app: FastAPI) -> None:
    """Give every refusal the same shape, whoever raises it."""

    @app.exception_handler(Refusal)
    async def refused(_: Request, refusal: Refusal) -> JSONResponse:
        headers = {"Retry-After": "1"} if refusal.status == 429 else None
        return JSONResponse(Problem.of(refusal).model_dump(), refusal.status, headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = " ".join(map(str, first["loc"]))
        return JSONResponse(Problem(reason=f"{where}: {first['msg']}").model_dump(), 422)

    @app.exception_handler(HTTPException)
    async def unknown(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse(Problem(reason=error.detail).model_dump(), error.status_code, error.headers)

    @app.exception_handler(ClientDisconnect)
    async def left(_: Request, __: ClientDisconnect) -> Response:
        return JSONResponse(Problem(reason="the client left").model_dump(), 408)

    @app.exception_handler(Exception)
    async def failed(_: Request, __: Exception) -> JSONResponse:
        return JSONResponse(Problem(reason="an error of Feint itself; its log says more").model_dump(), 500)
