from __future__ import annotations

import io
import os
import tracemalloc
from collections.abc import Callable
from email import policy
from email.parser import BytesParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ht.api_clients.photos import Photo, PhotosApiClient
from ht.errors import Unsendable
from ht.multipart import FilePart, MultipartBody, opened_image, quoted
from hypothesis import given
from hypothesis import strategies as st

if TYPE_CHECKING:
    from conftest import Api

PhotoJson = Callable[..., dict[str, object]]
MIB = 1024 * 1024
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def parsed(content_type: str, content: bytes) -> list[tuple[str, str | None, bytes]]:
    """(name, file name, payload) of each part; 8-bit header text stays UTF-8, as RFC 7578 sends it."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = BytesParser(policy=policy.HTTP).parsebytes(head + content)
    assert not message.defects
    parts = []
    for part in message.iter_parts():
        assert not part.defects
        disposition = str(part["content-disposition"])
        assert disposition.startswith("form-data")
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        assert isinstance(payload, bytes)
        parts.append((str(name), part.get_filename(), payload))
    return parts


def split(body: MultipartBody, content: bytes) -> list[tuple[bytes, bytes]]:
    """(head, payload) of each part, by RFC 2046's delimiters alone."""
    boundary = body.content_type.partition("boundary=")[2].encode()
    first, *parts = (b"\r\n" + content).split(b"\r\n--" + boundary)
    assert first == b""
    assert parts.pop() == b"--\r\n"
    return [(head[2:], payload) for head, _, payload in (part.partition(b"\r\n\r\n") for part in parts)]


def file_part(content: bytes, filename: str = "a.png") -> FilePart:
    return FilePart(filename=filename, stream=io.BytesIO(content), start=0, size=len(content))


@given(
    fields=st.dictionaries(st.sampled_from(["name", "caption", "draft"]), TEXT),
    content=st.binary(max_size=5000),
    filename=TEXT,
    sizes=st.lists(st.integers(1, 700), min_size=1),
)
def test_what_is_sent_is_read_back(fields: dict[str, str], content: bytes, filename: str, sizes: list[int]) -> None:
    body = MultipartBody(fields.items(), files={"image": file_part(content, filename)})
    pieces: list[bytes] = []
    while piece := body.read(sizes[len(pieces) % len(sizes)]):
        assert len(piece) <= sizes[len(pieces) % len(sizes)]
        pieces.append(piece)
    sent = b"".join(pieces)
    assert len(sent) == len(body)
    *texts, (file_head, file_payload) = split(body, sent)
    assert [payload.decode() for _, payload in texts] == list(fields.values())
    assert file_payload == content
    assert file_head.count(b"\r\n") == 1
    assert file_head.startswith(f'Content-Disposition: form-data; name="image"; filename="{quoted(filename)}"'.encode())
    body.rewind()
    assert body.read() == sent
    body.rewind()
    assert b"".join(body) == sent


@given(fields=st.dictionaries(st.sampled_from(["name", "caption"]), TEXT), content=st.binary(max_size=2000))
def test_the_standard_library_reads_it(fields: dict[str, str], content: bytes) -> None:
    body = MultipartBody(fields.items(), files={"image": file_part(content, "sunrise.png")})
    *texts, image = parsed(body.content_type, body.read())
    assert [(name, payload.decode()) for name, _, payload in texts] == list(fields.items())
    assert image == ("image", "sunrise.png", content)


@given(st.text())
def test_no_file_name_ends_its_string_or_line(filename: str) -> None:
    encoded = quoted(filename)
    encoded.encode()
    assert not set(encoded) & {'"', "\\", *map(chr, range(32)), "\x7f"}


@pytest.mark.parametrize(
    ("filename", "header"),
    [
        ('a"; name="draft.png', 'filename="a%22; name=%22draft.png"\r\nContent-Type: image/png'),
        ("a\r\nX-Evil: 1.jpg", 'filename="a%0D%0AX-Evil: 1.jpg"\r\nContent-Type: image/jpeg'),
        ("Zoë 写真.webp", 'filename="Zoë 写真.webp"\r\nContent-Type: image/webp'),
        ("a\\", 'filename="a%5C"\r\nContent-Type: application/octet-stream'),
        (os.fsdecode(b"\xff.png"), 'filename="?.png"\r\nContent-Type: image/png'),
    ],
)
def test_a_file_name_is_encoded(filename: str, header: str) -> None:
    body = MultipartBody([], files={"image": file_part(b"", filename)})
    [(head, _)] = split(body, body.read())
    assert head.decode().endswith(header)


def test_the_name_of_a_file_object_is_its_files(tmp_path: Path) -> None:
    path = tmp_path / "sunrise.png"
    path.write_bytes(b"0123456789")
    with path.open("rb") as file:
        file.seek(4)
        with opened_image(file) as part:
            assert (part.filename, part.start, part.size) == ("sunrise.png", 4, 6)
            body = MultipartBody([], files={"image": part})
            assert b"\r\n\r\n456789\r\n--" in body.read()


def test_a_file_that_shrinks_while_it_is_sent_is_told(tmp_path: Path) -> None:
    path = tmp_path / "sunrise.png"
    path.write_bytes(bytes(300_000))
    with opened_image(path) as part:
        body = MultipartBody([], files={"image": part})
        body.read(1000)
        os.truncate(path, 10_000)
        with pytest.raises(Unsendable, match="lost"):
            body.read()


def test_a_file_that_grows_while_it_is_sent_is_sent_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "sunrise.png"
    path.write_bytes(b"x" * 1000)
    with opened_image(path) as part:
        body = MultipartBody([], files={"image": part})
        with path.open("ab") as file:
            file.write(b"more")
        assert len(body.read()) == len(body)


def test_an_upload_that_shrinks_does_not_hang(api: Api, client: PhotosApiClient, tmp_path: Path) -> None:
    path = tmp_path / "sunrise.png"
    path.write_bytes(bytes(MIB))
    api.script(api.count_body([], {}))

    def cut(sent: int, _total: int) -> None:
        if sent < MIB // 2:
            os.truncate(path, MIB // 2)

    with pytest.raises(Unsendable, match="lost"):
        client.photos.create(Photo(name="Sunrise", image=path), progress=cut)
    assert api.step_taken.wait(10)


def test_memory_stays_flat_whatever_the_size(
    api: Api, client: PhotosApiClient, photo_json: PhotoJson, tmp_path: Path
) -> None:
    path = tmp_path / "huge.png"
    with path.open("wb") as file:
        file.truncate(200 * MIB)
    sizes: list[int] = []
    api.script(api.answer(photo_json()), api.count_body(sizes, photo_json()))
    client.photos.get(7)
    tracemalloc.start()
    try:
        client.photos.create(Photo(name="Huge", image=path))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sizes[0] > 200 * MIB
    assert peak < 8 * MIB
