"""Every operation of the API, with what its schema allows and what not: no answer that the schema does not tell.

What is tried follows from the schema and a fixed seed. Signing in is left out: wrong passwords by the hundred close an
address for a while, and tests by name say what each is answered with.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from schemathesis.cli import schemathesis

from hmlet.env_comm import HmletEnv
from hmlet.tests.accounts import Account, access_token

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_each_operation_answers_as_the_schema_says(
    env: HmletEnv, stranger_account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In this process, which knows the stage's names; what it keeps for next time stays here.
    monkeypatch.chdir(tmp_path)
    words = [
        *("run", f"{env.api_url}schema/?format=json", "--url", env.web_url),
        *("--header", f"Authorization: Bearer {access_token(env, stranger_account)}"),
        *("--exclude-path-regex", "/token/"),
        *("--phases", "coverage,fuzzing,stateful", "--max-examples", "5", "--seed", "1", "--no-shrink"),
        *("--checks", ",".join(CHECKS), "--continue-on-failure", "--request-timeout", "30"),
        *("--warnings", "off", "--no-color"),
    ]
    ended = CliRunner().invoke(schemathesis, words)
    assert ended.exit_code == 0, ended.output
    assert "generated" in ended.output
