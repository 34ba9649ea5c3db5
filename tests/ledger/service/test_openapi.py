"""The service against its own description, by requests that schemathesis thinks of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from ledger import Ledger
from tests.ledger.ledger_world import ALICE, OPERATOR, submit
from tests.ledger.service.service_world import make_ledger, served, service_of

CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance,
    response_headers_conformance, response_schema_conformance,
]  # fmt: skip


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("openapi") / "ledger"
    task = make_ledger(folder)
    with Ledger.open(folder, OPERATOR) as ledger:
        submit(ledger, task, ALICE, "m", 80)
    with served(service_of(folder)) as url:
        yield schemathesis.openapi.from_url(f"{url}/openapi.json")


def test_every_answer_is_one_that_is_described(api: Any) -> None:
    seen = set()
    for found in api.get_all_operations():
        operation = found.ok()
        seen.add((operation.method.upper(), operation.path))

        @settings(
            max_examples=12, phases=[Phase.generate], derandomize=True, deadline=None,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy())
        def answers(case: Any) -> None:
            case.call_and_validate(checks=CHECKS)

        answers()
    assert ("POST", "/v1/submissions") in seen and len(seen) >= 25


def test_errors_are_described(api: Any) -> None:
    """All of one form; the framework's own is nowhere."""
    paths = api.raw_schema["paths"]
    for methods in paths.values():
        for operation in methods.values():
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    assert answer["content"]["application/json"]["schema"] == {
                        "$ref": "#/components/schemas/Error"
                    }
    assert "HTTPValidationError" not in api.raw_schema["components"]["schemas"]
