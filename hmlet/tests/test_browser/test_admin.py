"""The admin in a real browser."""

from __future__ import annotations

import re

import pytest
from ht.api_clients.photos import Photo
from playwright.sync_api import Page, expect

from hmlet.env_comm import HmletEnv
from hmlet.tests.accounts import Account
from hmlet.tests.chromium import undecoded_images
from hmlet.tests.pictures import landscape, photo_bytes, png


@pytest.fixture
def photos(account: Account) -> list[Photo]:
    """Two published photos and a draft of the fresh user, ready."""
    made = []
    for number, name in enumerate(("Sunrise", "Noon", "Night")):
        photo = Photo(name=name, draft=name == "Night", caption="#sky", image=photo_bytes(40 + number))
        made.append(account.client.photos.wait_until_ready(account.client.photos.create(photo)))
    return made


def photo_list(page: Page, env: HmletEnv, account: Account, query: str = "") -> None:
    page.goto(f"{env.admin_url}gallery/photo/?q={account.name}{query}")


def test_the_generated_password_opens_the_admin_and_another_does_not(page: Page, env: HmletEnv) -> None:
    page.goto(env.admin_url)
    page.fill("#id_username", env.admin_username)
    page.fill("#id_password", "not the password")
    page.click("input[type=submit]")
    expect(page.locator(".errornote")).to_contain_text("correct username and password")
    page.fill("#id_password", env.admin_password.reveal())
    page.click("input[type=submit]")
    expect(page.locator("#site-name")).to_have_text("hmlet photos")
    expect(page.locator("#content")).to_contain_text("Photos")


def test_the_list_shows_each_photo_with_its_thumbnail(
    admin: Page, env: HmletEnv, account: Account, photos: list[Photo]
) -> None:
    photo_list(admin, env, account)
    rows = admin.locator("#result_list tbody tr")
    expect(rows).to_have_count(len(photos))
    expect(rows.locator("img[alt]:not([alt='True']):not([alt='False'])")).to_have_count(len(photos))
    assert undecoded_images(admin) == []
    for photo in photos:
        expect(admin.locator("#result_list")).to_contain_text(photo.name)


def test_the_lists_filters_narrow_it(admin: Page, env: HmletEnv, account: Account, photos: list[Photo]) -> None:
    photo_list(admin, env, account)
    admin.locator("#changelist-filter details", has_text="By draft").locator("a", has_text=re.compile("^Yes$")).click()
    expect(admin.locator("#result_list tbody tr")).to_have_count(1)
    expect(admin.locator("#result_list tbody")).to_contain_text("Night")
    photo_list(admin, env, account, "&original__state__exact=failed")
    expect(admin.locator("#result_list tbody tr")).to_have_count(0)


def test_a_photos_page_shows_it_and_links_to_no_object(
    admin: Page, env: HmletEnv, account: Account, photos: list[Photo]
) -> None:
    photo_list(admin, env, account)
    admin.locator("#result_list tbody a", has_text="Sunrise").click()
    expect(admin.locator("#content")).to_contain_text("640×480")
    image = admin.locator(".field-image img")
    assert undecoded_images(admin) == []
    assert image.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [128, 96]
    links: list[str] = admin.eval_on_selector_all("a[href]", "links => links.map(link => link.href)")
    assert links
    assert [link for link in links if not link.startswith(env.web_url)] == []
    assert admin.locator("input[type=file]").count() == 0


def test_deleting_photos_from_the_list_asks_and_deletes(
    admin: Page, env: HmletEnv, account: Account, photos: list[Photo]
) -> None:
    photo_list(admin, env, account)
    admin.locator("#result_list tbody tr", has_text="Noon").locator("input.action-select").check()
    admin.locator("select[name=action]").select_option("delete_selected")
    admin.locator("button[name=index]").click()
    expect(admin.locator("#content")).to_contain_text("Are you sure")
    assert len(account.client.photos.list(owner="me")) == len(photos)
    admin.locator("#content input[type=submit]").click()
    expect(admin.locator(".messagelist .success")).to_contain_text("1 photo")
    assert {photo.name for photo in account.client.photos.list(owner="me")} == {"Sunrise", "Night"}


def test_the_list_of_jobs_shows_their_states_and_filters_by_them(
    admin: Page, env: HmletEnv, account: Account, photos: list[Photo]
) -> None:
    admin.goto(f"{env.admin_url}jobs/job/?q={account.name}")
    rows = admin.locator("#result_list tbody tr")
    # A photo has one for its thumbnail and one for its other sizes.
    expect(rows).to_have_count(2 * len(photos))
    expect(admin.locator("#result_list .field-state").last).to_have_text("Done")
    admin.locator("#changelist-filter details", has_text="By state").locator("a", has_text="Failed").click()
    expect(rows).to_have_count(0)
    admin.goto(f"{env.admin_url}jobs/job/?q={account.name}&state__exact=done&kind__exact=thumbnail")
    admin.locator("#result_list tbody th a").first.click()
    expect(admin.locator(".field-kind")).to_contain_text("Thumbnail")
    expect(admin.locator("#content")).not_to_contain_text("payload")


def test_a_comparisons_page_shows_the_picture_and_what_changed(admin: Page, env: HmletEnv, account: Account) -> None:
    before = landscape(44, (800, 600))
    after = before.copy()
    after.paste((240, 30, 60), (300, 200, 420, 280))
    asked = account.client.diffs.create(png(before), png(after), keep=True)
    diff = account.client.diffs.wait_until_done(asked)
    admin.goto(f"{env.admin_url}diffs/diff/?q={account.name}")
    expect(admin.locator("#result_list tbody tr")).to_have_count(1)
    expect(admin.locator("#result_list tbody")).to_contain_text("1 region, 2.000%")
    admin.locator("#result_list tbody th a").click()
    expect(admin.locator(".field-id")).to_contain_text(diff.id)
    image = admin.locator(".field-picture img")
    expect(image).to_have_js_property("naturalWidth", 1608)
    assert undecoded_images(admin) == []
    expect(admin.locator(".field-regions_listed")).to_contain_text("120×80 at 300,200")
    expect(admin.locator(".field-work a")).to_contain_text("Comparison: done")
