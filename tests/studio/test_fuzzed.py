"""Whatever a program sends that knows the OpenAPI: an answer that the OpenAPI promises, and never an error of ours."""

import contextlib

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from test_answering import make

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
LEAVES = "/api/v1/session"
"""Would end the pass with which all else is tried."""


@pytest.mark.slow
@pytest.mark.parametrize("examples", [10, pytest.param(50, marks=pytest.mark.soak)])
def test_nothing_that_fits_the_openapi_or_nearly_breaks_the_studio(people, examples):
    make(people)
    token = people.studio.accounts.issue(people.studio.accounts.named("olga"), "token", "fuzz")
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", people.app, headers={"host": "127.0.0.1:8400"})
    headers = {"authorization": f"Bearer {token}", "host": "127.0.0.1:8400"}
    tried = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.method.upper() == "DELETE" and operation.path == LEAVES:
            continue
        for mode in schemathesis.GenerationMode:
            strategy = operation.as_strategy(generation_mode=mode)

            @seed(20)
            @given(case=strategy)
            @settings(
                max_examples=examples,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            def send(case):
                nonlocal tried
                tried += 1
                response = case.call(headers=headers)
                case.validate_response(response, checks=CHECKS)
                if response.status_code >= 400:
                    assert list(response.json()) == ["error"], response.json()

            # Some operations take nothing that could be wrong.
            with contextlib.suppress(Unsatisfiable):
                send()
    assert tried > 500
