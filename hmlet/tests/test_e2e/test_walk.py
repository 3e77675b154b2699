"""No original leaves its bucket: whoever asks, whatever was shown to them, and whatever they make of it.

Four visitors walk everything that the platform shows: all addresses of the schema, all pages and forms of the admin,
every header, cookie and redirect. Then each string that any of them saw is tried as an address and as a key, with and
without the signature of a thumbnail. At last the original's real key is, which nobody was told.
"""

from __future__ import annotations

import http.client
import io
import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import quote, urlsplit, urlunsplit

import pytest
from ht.api_clients.diffs import Diff, DiffOptions
from ht.api_clients.photos import Photo
from PIL import Image
from pl.stage import Stage

from hmlet.env_comm import HmletEnv
from hmlet.tests.accounts import Account, Accounts
from hmlet.tests.pictures import jpeg, landscape, png
from hmlet.tests.stored import stored_originals
from hmlet.tests.waiting import wait_for
from hmlet.tests.walking import Exhibit, Shown, Walk, given_away, shown_of, told, words_in
from hmlet.tests.web import Web, admin_web, web_of

THREADS = 4
GUESSES = ("image", "original", "download", "file", "raw", "thumbnail", "full")
PAGES = (
    *("/", "/docs/", "/api/", "/api/v1/", "/api/v1/docs/", "/api/v1/schema/", "/api/v1/schema/?format=json"),
    *("/status/", "/healthcheck", "/healthz/live", "/healthz/ready", "/metrics", "/static/", "/media/", "/robots.txt"),
    *("/admin/", "/admin/gallery/original/", "/admin/gallery/rendition/", "/admin/jobs/outboxentry/"),
)
ACCEPTED = ("application/json", "text/html", "image/*", "application/octet-stream")


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """What was posted, by whom, and what one thumbnail's signed URL is."""

    owner: Account
    stranger: Account
    staff: Account
    exhibits: tuple[Exhibit, ...]
    thumbnail_url: str
    thumbnail: bytes
    diff: Diff
    renditions: tuple[str, ...]
    """How the paths of a photo's renditions begin, for each that has some."""


@pytest.fixture(scope="module")
def gallery(env: HmletEnv, stage: Stage, generated_names: list[str]) -> Iterator[Gallery]:
    """A published photo, a draft and one that has failed, each with a size of its own, larger than any rendition's."""
    sizes = {"published": (1757, 1211), "draft": (1613, 1177), "failed": (1571, 1139)}
    images = {
        "published": jpeg(landscape(1001, sizes["published"])),
        "draft": png(landscape(1002, sizes["draft"])),
        "failed": jpeg(landscape(1003, sizes["failed"]))[:-4000],
    }
    with Accounts(env, stage, generated_names) as accounts:
        owner = accounts.new()
        photos = owner.client.photos
        posted = {
            name: photos.create(Photo(name=f"{name} photo", caption="#walk", draft=name == "draft", image=image))
            for name, image in images.items()
        }
        published = photos.wait_until_ready(posted["published"])
        draft = photos.wait_until_ready(posted["draft"])
        wait_for(lambda: photos.get(posted["failed"]).status == "failed", what="the broken photo fails")
        asked = owner.client.diffs.create(published, draft, DiffOptions(alignment="scale"), keep=True)
        diff = owner.client.diffs.wait_until_done(asked)
        keys = {photo: original.key for original in stored_originals(stage, owner.name) for photo in original.photos}
        yield Gallery(
            owner=owner,
            stranger=accounts.new(),
            staff=accounts.new(staff=True),
            exhibits=tuple(
                Exhibit(photo_id=str(photo.id), image=images[name], size=sizes[name], key=keys[str(photo.id)])
                for name, photo in posted.items()
            ),
            thumbnail_url=str(published.thumbnail),
            thumbnail=photos.download_thumbnail(published),
            diff=diff,
            renditions=tuple(urlsplit(str(photo.thumbnail)).path.rpartition("-")[0] for photo in (published, draft)),
        )


@pytest.fixture(scope="module")
def walks(env: HmletEnv, gallery: Gallery) -> dict[str, list[Shown]]:
    """All that each visitor was shown."""
    visitors = {
        "anonymous": web_of(env),
        "stranger": web_of(env, gallery.stranger),
        "owner": web_of(env, gallery.owner),
        "staff": admin_web(env, gallery.staff.name, gallery.staff.password),
        "superuser": admin_web(env, env.admin_username, env.admin_password.reveal()),
    }
    with ThreadPoolExecutor(THREADS) as pool:
        shown = pool.map(lambda visitor: _walked(env, gallery, *visitor), visitors.items())
        return dict(zip(visitors, shown, strict=True))


def _walked(env: HmletEnv, gallery: Gallery, visitor: str, web: Web) -> list[Shown]:
    ids = [exhibit.photo_id for exhibit in gallery.exhibits]
    walk = Walk(web, visitor, storage_url=env.storage_url, ours=ids, pictures=gallery.renditions)
    schema = web.get("/api/v1/schema/", headers={"Accept": "application/json"}).json()["paths"]
    for path, operations in schema.items():
        for photo_id in ids if "{" in path else [""]:
            address = path.replace("{id}", photo_id)
            assert "{" not in address, f"{path} has a parameter that this walk does not know"
            for method, accepted in itertools.product([*operations, "head", "options"], ACCEPTED):
                if method == "delete" and visitor not in {"anonymous", "stranger"}:
                    continue
                body: dict[str, str] | None = None if method in {"get", "head", "options", "delete"} else {}
                walk.ask(method.upper(), address, json=body, headers={"Accept": accepted})
    starts = [*PAGES, *schema_free(schema), f"/admin/auth/user/?q={gallery.owner.name}"]
    starts += [f"/admin/{place}/?q={gallery.owner.name}" for place in ("gallery/photo", "jobs/job", "diffs/diff")]
    starts += [f"/api/v1/diffs/{gallery.diff.id}/", f"/admin/diffs/diff/{gallery.diff.id}/change/"]
    starts += [f"/api/v1/photos/{photo_id}/{guess}/" for photo_id in ids for guess in GUESSES]
    starts += [f"/admin/gallery/photo/{photo_id}/{page}/" for photo_id in ids for page in ("change", "history")]
    starts += ["/api/v1/photos/?owner=me", f"/api/v1/photos/?search={gallery.owner.name}&page_size=1"]
    walk.follow(starts)
    return walk.shown


def schema_free(schema: dict[str, object]) -> list[str]:
    """The addresses without a parameter."""
    return [path for path in schema if "{" not in path]


def test_the_walk_went_where_it_should(gallery: Gallery, walks: dict[str, list[Shown]]) -> None:
    asked = {visitor: " ".join(shown.asked for shown in walk) for visitor, walk in walks.items()}
    for exhibit in gallery.exhibits:
        assert f"/admin/gallery/photo/{exhibit.photo_id}/change/" in asked["superuser"]
        assert f"/admin/gallery/photo/{exhibit.photo_id}/delete/" in asked["superuser"]
    seen = [shown for shown in walks["superuser"] if "/admin/gallery/photo/" in shown.asked and shown.status == 200]
    assert len(seen) >= 10
    assert any("/admin/jobs/job/" in shown.asked and "change" in shown.asked for shown in walks["superuser"])
    assert any(shown.status == 302 for shown in walks["anonymous"])
    assert any(
        shown.asked.startswith("POST") and "Delete multiple objects" in shown.text for shown in walks["superuser"]
    )
    assert gallery.diff.picture is not None
    picture = urlsplit(gallery.diff.picture.url).path
    for visitor, walk in walks.items():
        seen_by = [shown for shown in walk if picture in shown.asked and shown.status == 200]
        assert bool(seen_by) == (visitor in {"owner", "superuser"}), visitor
    for visitor in ("owner", "stranger", "superuser"):
        assert gallery.thumbnail in [shown.content for shown in walks[visitor]], visitor
    # The detectors see what they are for.
    image = gallery.exhibits[0].image
    planted = Shown(to="me", asked="here", status=200, headers=gallery.exhibits[0].key, content=image)
    assert len(given_away(planted, gallery.exhibits)) == 2
    assert told(planted, gallery.exhibits)


def test_nothing_that_is_shown_to_anyone_holds_an_original_or_its_key(
    gallery: Gallery, walks: dict[str, list[Shown]]
) -> None:
    leaks = [
        leak
        for shown in itertools.chain(*walks.values())
        for leak in (*given_away(shown, gallery.exhibits), *told(shown, gallery.exhibits))
    ]
    assert leaks == []


def test_no_answer_of_the_walk_is_a_failure_of_the_platform(walks: dict[str, list[Shown]]) -> None:
    failures = [
        (shown.to, shown.asked, shown.status) for shown in itertools.chain(*walks.values()) if shown.status > 499
    ]
    assert failures == []


def test_drafts_and_failed_photos_are_named_to_their_owner_and_the_superuser_alone(
    gallery: Gallery, walks: dict[str, list[Shown]]
) -> None:
    for visitor in ("anonymous", "stranger", "staff"):
        for shown in walks[visitor]:
            assert "draft photo" not in shown.text, shown.asked
            assert "failed photo" not in shown.text, shown.asked


def test_no_string_that_was_shown_is_an_address_or_a_key_of_an_original(
    env: HmletEnv, gallery: Gallery, walks: dict[str, list[Shown]]
) -> None:
    words = {word for shown in itertools.chain(*walks.values()) for word in words_in(shown)}
    signature = urlsplit(gallery.thumbnail_url).query
    addresses = [f"{env.web_url}/{quote(word.lstrip('/'), safe='/?=&%')}" for word in words]
    addresses += [
        f"{env.storage_url}/{bucket}/{quote(key.lstrip('/'), safe='/')}{query}"
        for word in words
        for key in keys_made_of(word)
        for bucket in (env.originals_bucket, env.thumbnails_bucket)
        for query in ("", f"?{signature}")
    ]
    leaks = attempted(addresses, gallery)
    assert len(words) > 300
    assert len(addresses) > 5 * len(words)
    assert leaks == []


def keys_made_of(word: str) -> Iterator[str]:
    """The word as a key, and what somebody who knows how keys look would make of it."""
    yield word
    bare = word.replace("-128.jpg", "").replace("-", "").replace("/", "")
    if len(bare) >= 16 and bare.isalnum():
        for extension in ("", ".jpg", ".png"):
            yield f"{bare[:2]}/{bare[2:]}{extension}"


def attempted(addresses: Sequence[str], gallery: Gallery) -> list[str]:
    """Get each as nobody; what was given away, and what of the storage was not a refusal."""

    def leaks_of(part: Sequence[str]) -> list[str]:
        found = []
        with Web(gallery.thumbnail_url) as web:
            for address in part:
                shown = shown_of("anonymous", web.get(address))
                found += given_away(shown, gallery.exhibits)
        return found

    with ThreadPoolExecutor(THREADS) as pool:
        return [leak for leaks in pool.map(leaks_of, (addresses[i::THREADS] for i in range(THREADS))) for leak in leaks]


def test_the_real_key_opens_nothing(env: HmletEnv, gallery: Gallery) -> None:
    signature = urlsplit(gallery.thumbnail_url).query
    originals, thumbnails = env.originals_bucket, env.thumbnails_bucket
    shown_path = urlsplit(gallery.thumbnail_url).path
    unsigned = "&".join(part for part in signature.split("&") if not part.startswith("X-Amz-Signature"))
    for exhibit in gallery.exhibits:
        key = exhibit.key
        paths = [
            *(f"/{bucket}/{key}" for bucket in (originals, thumbnails, originals.upper(), "originals", "backup")),
            *(f"/{thumbnails}/{up}/{originals}/{key}" for up in ("..", "%2e%2e", ".%2e", "..%2f..", "..;", "..%5c")),
            *(f"{shown_path}{up}/{originals}/{key}" for up in ("/../../..", "/%2e%2e/%2e%2e/%2e%2e", "%00")),
            *(f"//{originals}/{key}", f"/./{originals}/{key}", f"/{originals}//{key}", f"/{originals}/{key}/"),
            *(f"/{key}", f"/{originals}%2f{key}", f"/{quote(quote(f'{originals}/{key}', safe=''), safe='')}"),
        ]
        queries = [
            "",
            signature,
            unsigned,
            f"{signature}&versionId=null",
            f"{signature}&key={key}",
            "X-Amz-Algorithm=AWS2",
        ]
        for path, query in itertools.product(paths, queries):
            refused_raw(env, gallery, "GET", path, query)
        for method in ("HEAD", "OPTIONS", "POST", "PATCH", "PROPFIND", "COPY", "TRACE"):
            for query in ("", signature, "uploads", "select&select-type=2", "torrent", "acl", "tagging", "attributes"):
                refused_raw(env, gallery, method, f"/{originals}/{key}", query)
        for word in (
            "AWS a:b",
            "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/s3/aws4_request",
            "Bearer x",
            "Basic Og==",
        ):
            refused_raw(env, gallery, "GET", f"/{originals}/{key}", "", {"Authorization": word})
        copy = {"x-amz-copy-source": f"/{originals}/{key}"}
        for query in ("", signature):
            refused_raw(env, gallery, "PUT", shown_path, query, copy)
            refused_raw(env, gallery, "PUT", f"/{thumbnails}/copied.jpg", query, copy)
        refused_raw(env, gallery, "GET", shown_path, signature.replace("image%2Fjpeg", "text%2Fhtml"))


def refused_raw(
    env: HmletEnv, gallery: Gallery, method: str, path: str, query: str, headers: dict[str, str] | None = None
) -> None:
    """Send exactly this path: requests would tidy up its dots."""
    parts = urlsplit(env.storage_url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=30)
    connection.request(method, urlunsplit(("", "", path, query, "")) if query else path, headers=headers or {})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    shown = Shown(to="anonymous", asked=f"{method} {path}?{query}", status=answer.status, headers="", content=content)
    assert 400 <= answer.status < 600, shown.asked
    assert given_away(shown, gallery.exhibits) == []
    assert len(content) < 1000, shown.asked


def test_the_buckets_refuse_anonymous_listing_and_writes(env: HmletEnv, gallery: Gallery, stage: Stage) -> None:
    before = stored_originals(stage, gallery.owner.name)
    shown_path = urlsplit(gallery.thumbnail_url).path
    signature = urlsplit(gallery.thumbnail_url).query
    for bucket in (env.originals_bucket, env.thumbnails_bucket):
        for query in (
            "",
            "list-type=2",
            "list-type=2&prefix=&delimiter=/",
            "uploads",
            "versions",
            "acl",
            "policy",
            "location",
        ):
            for path in (f"/{bucket}", f"/{bucket}/"):
                refused_raw(env, gallery, "GET", path, query)
                refused_raw(env, gallery, "GET", path, f"{signature}&{query}" if query else signature)
        refused_raw(env, gallery, "POST", f"/{bucket}/", "delete")
        refused_raw(env, gallery, "PUT", f"/{bucket}/planted.html", "")
        refused_raw(env, gallery, "PUT", f"/{bucket}", "acl", {"x-amz-acl": "public-read"})
        refused_raw(env, gallery, "DELETE", f"/{bucket}", "")
    refused_raw(env, gallery, "GET", "/", "")
    refused_raw(env, gallery, "GET", "/", signature)
    for exhibit in gallery.exhibits:
        for method, query in itertools.product(("PUT", "DELETE", "POST"), ("", signature)):
            refused_raw(env, gallery, method, f"/{env.originals_bucket}/{exhibit.key}", query)
            refused_raw(env, gallery, method, shown_path, query)
    assert stored_originals(stage, gallery.owner.name) == before
    with Web(env.web_url) as web:
        assert web.get(gallery.thumbnail_url).content == gallery.thumbnail


def test_a_thumbnails_signature_opens_that_thumbnail_alone(env: HmletEnv, gallery: Gallery) -> None:
    photos = {photo.name: photo for photo in gallery.owner.client.photos.list(owner="me")}
    other = urlsplit(str(photos["draft photo"].thumbnail))
    own = urlsplit(gallery.thumbnail_url)
    with Web(env.web_url) as web:
        assert web.get(gallery.thumbnail_url).status_code == 200
        assert web.get(own._replace(query=other.query).geturl()).status_code in {400, 403}
        assert web.get(own._replace(query="").geturl()).status_code in {400, 403}
        late = own.query.replace("X-Amz-Expires=3600", "X-Amz-Expires=604800")
        assert web.get(own._replace(query=late).geturl()).status_code in {400, 403}
    with Image.open(io.BytesIO(gallery.thumbnail)) as image:
        assert max(image.size) == 128
        assert not image.getexif()
