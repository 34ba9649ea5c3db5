"""The HTTP application of a service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import FileResponse
from fastapi.routing import APIRoute

from ledger.service import http, routes_log, routes_read, routes_write
from ledger.service.config import Settings
from ledger.service.schemas import Error
from ledger.service.service import Service

_EXPLORER = Path(__file__).parent / "explorer"
_DESCRIPTION = """A transparency log that credits verified proofs only.

Reading needs no authentication. What is written comes as signed requests (RFC 9421, Ed25519) of
registered identities. Every error has one form, with a code that does not change."""


_SIGNATURE = {
    "type": "apiKey",
    "in": "header",
    "name": "Signature",
    "description": "RFC 9421, with Signature-Input, over @method, @path, @query and "
    "content-digest; created, expires, nonce, keyid (the identity) and tag.",
}


class Runs(Protocol):
    """What an application starts and stops."""

    settings: Settings

    async def start(self) -> None:
        """Begin to work."""

    async def stop(self) -> None:
        """Finish."""


def create_app(service: Service) -> FastAPI:
    """Return the application of a ledger; it starts the service, and stops it."""
    routers = [routes_read.router, routes_log.router, routes_write.router]
    app = application(service, "zkpot ledger", _DESCRIPTION, routers)
    _add_explorer(app)
    return app


def application(
    service: Runs, title: str, description: str, routers: Sequence[APIRouter]
) -> FastAPI:
    """Return an application with what all of this project's have in common."""

    @asynccontextmanager
    async def lifespan(here: FastAPI) -> AsyncIterator[None]:
        try:
            await service.start()
        except Exception as error:
            here.state.failure = error
            raise
        try:
            yield
        finally:
            await service.stop()

    app = FastAPI(
        title=title,
        version=_version(),
        description=description,
        lifespan=lifespan,
        # They load scripts of strangers.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
    )
    app.state.service = service
    app.state.failure = None
    http.install(app, service.settings.limits)
    for router in routers:
        app.include_router(router)
    describe_errors(app)
    return app


def describe_errors(app: FastAPI) -> None:
    """Let the OpenAPI document say what errors look like: ours, and never the framework's."""
    plain = app.openapi
    shape = {"application/json": {"schema": {"$ref": f"#/components/schemas/{Error.__name__}"}}}

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is not None:
            return app.openapi_schema
        document = plain()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        found = Error.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(found.pop("$defs"), **{Error.__name__: found})
        for methods in document["paths"].values():
            for operation in methods.values():
                answers = operation["responses"]
                if "HTTPValidationError" in str(answers.get("422")):
                    del answers["422"]
                for status in answers:
                    if int(status) >= 400:
                        answers[status]["content"] = shape
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        document["components"]["securitySchemes"] = {"requestSignature": _SIGNATURE}
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _add_explorer(app: FastAPI) -> None:
    """Serve the explorer's files, each at an address of its own: no path is ever looked up."""
    for file in sorted(path for path in _EXPLORER.rglob("*") if path.is_file()):
        address = "/" + file.relative_to(_EXPLORER).as_posix().removesuffix("index.html")

        def page(_: Request, file: Path = file) -> FileResponse:
            return FileResponse(file, headers={"cache-control": "no-cache"})

        app.add_route(address, page, methods=["GET"], include_in_schema=False)


def _operation_id(route: APIRoute) -> str:
    return route.name


def _version() -> str:
    try:
        return version("zkpot")
    except PackageNotFoundError:
        return "0"
