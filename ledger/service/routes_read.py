"""What anybody may read, without saying who they are."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi import Path as InPath
from fastapi.responses import PlainTextResponse

from ledger.errors import UnknownRelease
from ledger.service import schemas, views
from ledger.service.errors import NotFound
from ledger.service.routes_common import Digest, Here, errors, file_response

router = APIRouter()

_PAGE = 1000
_MOST = 2**53 - 1

Page = Annotated[int, Query(ge=1, le=_PAGE)]
Place = Annotated[int, Query(ge=0, le=_MOST)]
After = Annotated[str, Query(pattern="^([0-9a-f]{64})?$", description="Go on behind this one.")]
Key = Annotated[str, Query(pattern="^([0-9a-f]{64})?$", description="A present key.")]


def _hashes(hashes: Iterable[bytes]) -> schemas.Hashes:
    return schemas.Hashes(hashes=[base64.b64encode(h).decode() for h in hashes])


@router.get("/v1/info", responses=errors())
async def info(here: Here) -> schemas.Info:
    """Say what the ledger is, how large, and what the service takes."""
    return await here.info()


@router.get("/healthz", responses=errors())
async def health(here: Here) -> schemas.Health:
    """Say that the service runs, and can read its log."""
    state = await here.keeper.state()
    return schemas.Health(status="ok", size=state.size, queued=here.queued)


@router.get("/v1/entries", responses=errors())
async def entries(here: Here, start: Place = 0, count: Page = 100) -> schemas.Entries:
    """List entries from an index on; go on behind the last one, as long as any come."""
    return await here.book.entries(start, min(count, here.settings.limits.entries_per_page))


@router.get("/v1/entries/{index}", responses=errors(404))
async def entry(here: Here, index: int) -> schemas.EntryInfo:
    """Return one entry."""
    found = await here.book.entries(index, 1) if 0 <= index <= _MOST else None
    if found is None or not found.entries:
        raise NotFound(f"there is no entry {index}")
    return found.entries[0]


@router.get("/v1/entries/{index}/receipt", responses=errors(404), response_class=PlainTextResponse)
async def receipt(
    here: Here, index: int, cosignatures: Annotated[int, Query(ge=0, le=100)] = 0
) -> str:
    """Return the receipt of an entry (C2SP tlog-proof), cosigned by so many validators."""
    if not 0 <= index < (await here.keeper.state()).size:
        raise NotFound(f"there is no entry {index}")
    return await here.receipt(index, cosignatures)


@router.get("/v1/checkpoint", responses=errors(404), response_class=PlainTextResponse)
async def cosigned_checkpoint(
    here: Here, cosignatures: Annotated[int, Query(ge=0, le=100)] = 0
) -> str:
    """Return the newest checkpoint that so many validators have cosigned."""
    return await here.checkpoint(cosignatures)


@router.get("/v1/proof/inclusion", responses=errors(404))
async def inclusion(here: Here, index: Place, size: Place) -> schemas.Hashes:
    """Prove that an entry is among the first `size`."""
    return _hashes(await here.book.inclusion(index, size))


@router.get("/v1/proof/consistency", responses=errors(404))
async def consistency(here: Here, old: Place, new: Place) -> schemas.Hashes:
    """Prove that the first `old` entries are the beginning of the first `new`."""
    return _hashes(await here.book.consistency(old, new))


@router.get("/v1/identities", responses=errors())
async def identities(
    here: Here, after: After = "", count: Page = 100, key: Key = ""
) -> schemas.Identities:
    """List identities, or find the one whose present key is `key`."""
    if key:
        state, author = await here.book.author(key)
        page = [] if author is None else [author]
    else:
        state, page = await here.book.page("identities", after, count)
    return schemas.Identities(identities=views.identity_infos(state, page))


@router.get("/v1/identities/{identity}", responses=errors(404))
async def identity(here: Here, identity: Digest) -> schemas.IdentityInfo:
    """Return one identity, with the number of its next entry."""
    state = await here.keeper.state()
    if identity not in state.identities:
        raise NotFound(f"{identity} is not registered")
    return views.identity_infos(state, [identity])[0]


@router.get("/v1/tasks", responses=errors())
async def tasks(here: Here, after: After = "", count: Page = 100) -> schemas.Tasks:
    """List tasks."""
    state, page = await here.book.page("tasks", after, count)
    return schemas.Tasks(tasks=[views.task_summary(state, state.tasks[name]) for name in page])


@router.get("/v1/tasks/{task}", responses=errors(404))
async def task(here: Here, task: Digest) -> schemas.TaskInfo:
    """Return one task, with its leaderboard and the entries that concern it."""
    found = await here.book.describe_task(task)
    if found is None:
        raise NotFound(f"there is no task {task}")
    return found


@router.get("/v1/data", responses=errors())
async def data_sets(here: Here, after: After = "", count: Page = 100) -> schemas.DataSets:
    """List registered data."""
    state, page = await here.book.page("data", after, count)
    found = (views.data_info(state, root) for root in page)
    return schemas.DataSets(data=[item for item in found if item is not None])


@router.get("/v1/data/{root}", responses=errors(404))
async def data(here: Here, root: Digest) -> schemas.DataInfo:
    """Return one data set, by its root."""
    found = views.data_info(await here.keeper.state(), root)
    if found is None:
        raise NotFound(f"there is no data {root}")
    return found


@router.get("/v1/releases", responses=errors())
async def releases(here: Here, after: After = "", count: Page = 100) -> schemas.Releases:
    """List released models."""
    return schemas.Releases(releases=await here.book.releases(after, count))


@router.get("/v1/trace/{model}", responses=errors(404, 422))
async def trace(here: Here, model: Annotated[str, InPath(max_length=200)]) -> schemas.Trace:
    """Follow a model back: by the digest of a release, a commitment, or ``name@version``."""
    try:
        return schemas.Trace(trace=await here.book.trace(model))
    except UnknownRelease as error:
        raise NotFound(error.message) from None


@router.get("/v1/charter", responses=errors())
async def charter(here: Here) -> schemas.CharterInfo:
    """Return the charter that is in force."""
    state = await here.keeper.state()
    assert state.charter is not None
    return schemas.CharterInfo(charter=state.charter.to_dict())


@router.get("/v1/refusals", responses=errors())
async def refusals(here: Here, count: Page = 100) -> schemas.Refusals:
    """List the newest refusals: of registered signers only, and proven by nothing."""
    found = await here.book.refusals(count)
    return schemas.Refusals(
        refusals=[
            schemas.RefusalInfo(
                entry=r.entry,
                code=r.code,
                signer=r.signer,
                type=r.type,
                message=r.message,
                at=r.at,
            )
            for r in found
        ]
    )


@router.get(
    "/v1/blobs/{digest}",
    responses={
        **errors(404),
        200: {"content": {"application/octet-stream": {"schema": {"type": "string"}}}},
    },
    response_class=Response,
)
async def blob(here: Here, digest: Digest) -> Response:
    """Return a blob that an entry names; whoever asks compares the digest."""
    return await file_response(
        here.book.blob_path(digest),
        "application/octet-stream",
        content_disposition="attachment",
        content_security_policy="default-src 'none'; sandbox",
    )


@router.get("/v1/submissions", responses=errors())
async def submissions(
    here: Here,
    signer: Annotated[str, Query(pattern="^[0-9a-f]{64}$")],
    bundle: Annotated[str, Query(pattern="^[0-9a-f]{64}$")],
) -> schemas.Submissions:
    """Find the submissions of a bundle by an author: so that a retry need not be a second one."""
    return schemas.Submissions(submissions=await here.find_submissions(signer, bundle))


@router.get("/v1/submissions/{digest}", responses=errors(404))
async def submission(here: Here, digest: Digest) -> schemas.SubmissionInfo:
    """Say what became of a submission."""
    found = await here.submission(digest)
    if found is None:
        raise NotFound(f"no submission {digest} is known")
    return found
