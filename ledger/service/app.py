"""The HTTP application of a service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse
from fastapi.routing import APIRoute

from ledger.service import http, routes_log, routes_read, routes_write
from ledger.service.service import Service

_EXPLORER = Path(__file__).parent / "explorer"
_DESCRIPTION = """A transparency log that credits verified proofs only.

Reading needs no authentication. What is written comes as signed requests (RFC 9421, Ed25519) of
registered identities. Every error has one form, with a code that does not change."""


def create_app(service: Service) -> FastAPI:
    """Return the application; it starts the service, and stops it."""

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
        title="zkpot ledger",
        version=_version(),
        description=_DESCRIPTION,
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
    for router in (routes_read.router, routes_log.router, routes_write.router):
        app.include_router(router)
    _add_explorer(app)
    return app


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
