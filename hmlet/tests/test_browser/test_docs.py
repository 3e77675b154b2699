"""The pages for people who write programs, in a real browser that can reach nothing but the stage."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from hmlet.env_comm import HmletEnv


@pytest.mark.parametrize("path", ["/docs/", "/api/v1/docs/"])
def test_the_docs_show_all_operations_offline(page: Page, env: HmletEnv, path: str) -> None:
    schema = page.request.get(f"{env.api_url}schema/", headers={"Accept": "application/json"}).json()
    operations = sum(len(methods) for methods in schema["paths"].values())
    page.goto(f"{env.web_url}{path}")
    expect(page.locator(".opblock")).to_have_count(operations)
    expect(page.locator("h1, h2.title").first).to_contain_text("hmlet photos")


def test_a_request_can_be_tried_from_the_docs(admin: Page, env: HmletEnv) -> None:
    admin.goto(env.docs_url)
    operation = admin.locator(".opblock-get", has_text="Photos, newest first")
    operation.locator(".opblock-summary").click()
    operation.locator("button.try-out__btn").click()
    operation.locator("button.execute").click()
    answer = operation.locator(".live-responses-table tr.response .response-col_status")
    expect(answer).to_contain_text("200")
    expect(operation.locator(".live-responses-table")).to_contain_text("results")


def test_the_status_page_says_that_all_works(page: Page, env: HmletEnv) -> None:
    page.goto(f"{env.web_url}/status/")
    expect(page.locator("h1")).to_have_text("All works")
    expect(page.locator("td.ok")).to_have_count(4)
