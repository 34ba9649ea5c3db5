"""The HTTP application of a service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles

from ledger.service import http, routes_log, routes_read, routes_write
from ledger.service.service import Service

_EXPLORER = Path(__file__).parent / "explorer"
_DESCRIPTION = """A transparency log that credits verified proofs only.

Reading needs no authentication. What is written comes as signed requests (RFC 9421, Ed25519) of
registered identities. Every error has one form, with a code that does not change."""


def create_app(service: Service) -> FastAPI:
    """Return the application; it starts the service, and stops it."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await service.start()
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
    http.install(app, service.settings.limits)
    for router in (routes_read.router, routes_log.router, routes_write.router):
        app.include_router(router)
    if _EXPLORER.is_dir():
        app.mount("/", StaticFiles(directory=_EXPLORER, html=True), name="explorer")
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name


def _version() -> str:
    try:
        return version("zkpot")
    except PackageNotFoundError:
        return "0"
