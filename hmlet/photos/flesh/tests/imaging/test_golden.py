"""Every format × orientation × mode, against a reference rendering and against what was rendered before."""

import io
import json

import pytest
from imaging.renditions import Picture
from PIL import Image

from tests.imaging.golden import DIGESTS, WANTED, Case, cases, digest, reference, rendered, source
from tests.imaging.similarity import ssim, ssim_of_colours

CROPPED = {wanted.kind for wanted in WANTED if wanted.crop}
TOLERANCE = 4
"""Of a mean colour, 0 to 255: what another version of a codec may differ by."""

_DIGESTS: dict[str, dict[str, str]] = json.loads(DIGESTS.read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_a_rendition_is_what_the_reference_is_and_what_it_was(case: Case) -> None:
    content = source(case)
    made = rendered(content)
    turned = case.orientation >= 5
    assert (made.source_width, made.source_height) == ((400, 600) if turned else (600, 400))
    for picture in made.pictures:
        image = Image.open(io.BytesIO(picture.content))
        assert image.size == (picture.width, picture.height)
        expected = reference(case, content, image.size, crop=picture.kind in CROPPED)
        assert ssim(image, expected) >= 0.98, picture.kind
        assert ssim_of_colours(image, expected) >= 0.96, picture.kind
        _as_before(case, picture, image)


def _as_before(case: Case, picture: Picture, image: Image.Image) -> None:
    size, before = _DIGESTS[case.name][picture.kind].split()
    assert f"{image.width}x{image.height}" == size
    differences = [abs(now - then) for now, then in zip(digest(image), bytes.fromhex(before), strict=True)]
    assert max(differences) <= TOLERANCE, picture.kind


def test_the_golden_set_has_every_case_and_no_other() -> None:
    assert set(_DIGESTS) == {case.name for case in cases()}
