"""Comparing two images, from their files to boxes and a picture."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import imaging
import numpy as np
import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imaging.__main__ import main
from imaging.diff import DiffResult, diff, pixels_diff
from imaging.diff_options import Box, DiffOptions
from imaging.diff_picture import STROKES, picture_png
from imaging.errors import ERRORS, ImageEmpty, ImageError, ImageSizesDiffer, ImageTooLarge, ImageTruncated
from PIL import Image, ImageDraw

from tests.images import png_bomb

GROUND = (200, 205, 210)


def drawn(
    *boxes: tuple[int, int, int, int], size: tuple[int, int] = (320, 240), ink: Any = (30, 60, 90)
) -> Image.Image:
    """A plain ground with a dark frame and, in ``boxes`` (x, y, width, height), ink."""
    image = Image.new("RGB", size, GROUND)
    draw = ImageDraw.Draw(image)
    draw.rectangle((10, 10, 60, 50), outline="black", width=3)
    for x, y, width, height in boxes:
        draw.rectangle((x, y, x + width - 1, y + height - 1), fill=ink)
    return image


def photo(seed: int = 1, size: tuple[int, int] = (480, 360)) -> Image.Image:
    """Smooth slopes with a sensor's grain."""
    random = np.random.default_rng(seed)
    slope = np.add.outer(np.linspace(40, 120, size[1]), np.linspace(0, 80, size[0]))
    grain = random.normal(0, 5, (size[1], size[0], 1))
    return Image.fromarray(np.clip(slope[..., None] + grain + (0, 10, 25), 0, 255).astype(np.uint8))


def saved(image: Image.Image, image_format: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, image_format, **options)
    return out.getvalue()


def compared(before: bytes | Image.Image, after: bytes | Image.Image, **options: Any) -> DiffResult:
    first, second = (io.BytesIO(each if isinstance(each, bytes) else saved(each)) for each in (before, after))
    return diff(first, second, DiffOptions(**options))


def boxes(result: DiffResult) -> list[tuple[int, int, int, int]]:
    return [(region.x, region.y, region.width, region.height) for region in result.regions]


def test_boxes_hold_the_changed_pixels_exactly_and_the_largest_comes_first() -> None:
    result = compared(drawn(), drawn((100, 80, 4, 4), (200, 150, 30, 20)))
    assert boxes(result) == [(200, 150, 30, 20), (100, 80, 4, 4)]
    assert [region.area for region in result.regions] == [600, 16]
    assert (result.regions[0].mean, result.regions[0].peak) == (170.0, 170)
    assert (result.pixels_changed, result.pixels_compared) == (616, 320 * 240)
    assert result.share_changed == 616 / (320 * 240)


def test_changes_at_the_very_borders_are_found() -> None:
    corners = [(0, 0, 5, 5), (315, 0, 5, 5), (0, 235, 5, 5), (315, 235, 5, 5)]
    assert sorted(boxes(compared(drawn(), drawn(*corners)))) == sorted(corners)


def test_an_identical_image_has_no_regions_in_whichever_format() -> None:
    result = compared(drawn(), saved(drawn(), "BMP"))
    assert (result.regions, result.share_changed, result.aligned) == ((), 0.0, None)
    same = saved(photo(), "JPEG")
    assert compared(same, same).regions == ()


@pytest.mark.parametrize(("gap", "merge_distance", "regions"), [(7, 8, 1), (8, 8, 2), (0, 0, 1), (1, 0, 2), (1, 2, 1)])
def test_regions_closer_than_the_distance_become_one(gap: int, merge_distance: int, regions: int) -> None:
    after = drawn((100, 80, 10, 10), (110 + gap, 80, 10, 10))
    assert len(compared(drawn(), after, merge_distance=merge_distance).regions) == regions


def test_a_box_inside_another_box_is_no_region_of_its_own() -> None:
    frame = [(100, 80, 100, 4), (100, 176, 100, 4), (100, 80, 4, 100), (196, 80, 4, 100), (145, 125, 10, 10)]
    assert boxes(compared(drawn(), drawn(*frame))) == [(100, 80, 100, 100)]


def test_a_box_that_grew_by_merging_is_merged_with_one_that_was_far_before() -> None:
    alone, corner, between = (100, 100, 10, 10), [(120, 101, 60, 4), (176, 101, 4, 60)], (112, 130, 20, 5)
    assert len(compared(drawn(), drawn(alone, *corner)).regions) == 2
    assert boxes(compared(drawn(), drawn(alone, *corner, between))) == [(100, 100, 80, 61)]


def test_a_change_up_to_the_threshold_is_none() -> None:
    faint = drawn((100, 80, 20, 20), ink=(180, 205, 210))
    assert compared(drawn(), faint, threshold=20, noise="none").regions == ()
    assert len(compared(drawn(), faint, threshold=19, noise="none").regions) == 1


def test_regions_with_too_few_pixels_are_dropped() -> None:
    after = drawn((100, 80, 4, 4), (200, 150, 10, 10))
    assert boxes(compared(drawn(), after, area_min=17)) == [(200, 150, 10, 10)]


def test_nothing_counts_inside_ignored_boxes() -> None:
    after = drawn((100, 80, 20, 20), (200, 150, 10, 10))
    result = compared(drawn(), after, ignore=(Box(x=90, y=70, width=40, height=40),))
    assert boxes(result) == [(200, 150, 10, 10)]
    assert result.pixels_compared == 320 * 240 - 1600


@pytest.mark.parametrize("quality", [75, 85, 95])
@pytest.mark.parametrize("make", [drawn, photo])
def test_reencoding_alone_is_no_change(make: Any, quality: int) -> None:
    assert compared(make(), saved(make(), "JPEG", quality=quality)).regions == ()


def test_a_change_is_found_through_reencoding() -> None:
    after = photo()
    after.paste((230, 40, 40), (200, 100, 224, 116))
    (region,) = compared(photo(), saved(after, "JPEG", quality=85)).regions
    assert abs(region.x - 200) <= 2
    assert abs(region.y - 100) <= 2
    assert abs(region.width - 24) <= 3
    assert abs(region.height - 16) <= 3


def test_grain_is_seen_through_as_it_is_measured_and_told_when_asked_not_to() -> None:
    one, other = photo(1), photo(2)
    assert compared(one, other).regions == ()
    assert compared(one, other, noise="none").regions != ()


@pytest.mark.parametrize("shift", [(1, 0), (-3, 2), (0, -2)])
def test_a_shift_is_undone_and_told_only_where_it_was_allowed(shift: tuple[int, int]) -> None:
    after = photo()
    after.paste((230, 40, 40), (200, 100, 224, 116))
    moved = Image.fromarray(np.roll(np.asarray(after), (shift[1], shift[0]), axis=(0, 1)))
    result = compared(photo(), moved, shift_max=3)
    assert (result.shift, boxes(result)) == (shift, [(200, 100, 24, 16)])
    assert compared(drawn(), drawn(), shift_max=3).shift == (0, 0)
    assert compared(photo(), moved).shift == (0, 0)


def test_sizes_that_differ_are_refused_unless_asked() -> None:
    with pytest.raises(ImageSizesDiffer, match=r"320×240.*300×240"):
        compared(drawn(), drawn(size=(300, 240)))


def test_padding_reports_what_only_one_of_them_has() -> None:
    result = compared(drawn(), drawn((100, 80, 8, 8), size=(300, 260)), alignment="pad")
    assert (result.aligned, result.before, result.after) == ("pad", (320, 240), (300, 260))
    assert result.pixels_compared == 320 * 260
    covered = np.zeros((260, 320), bool)
    for x, y, width, height in boxes(result):
        covered[y : y + height, x : x + width] = True
    assert covered[240:].all(), "the strip below"
    assert covered[:, 300:].all(), "the strip at the right"
    assert result.pixels_changed == 320 * 260 - 300 * 240 + 64


def test_scaling_compares_in_the_size_of_the_first() -> None:
    before, large = drawn((100, 80, 40, 40)), drawn((100, 80, 40, 40)).resize((640, 480), Image.Resampling.NEAREST)
    assert compared(before, large, alignment="scale").regions == ()
    changed = drawn((100, 80, 40, 40), (200, 150, 20, 20)).resize((640, 480), Image.Resampling.NEAREST)
    result = compared(before, changed, alignment="scale")
    assert (boxes(result), result.aligned, result.after) == ([(200, 150, 20, 20)], "scale", (640, 480))


def test_what_a_smaller_second_cannot_show_is_no_change() -> None:
    fine = drawn()
    ImageDraw.Draw(fine).multiline_text((20, 60), "\n".join(["Sphinx of black quartz, judge my vow"] * 9), fill="black")
    assert compared(fine, fine.resize((240, 180), Image.Resampling.LANCZOS), alignment="scale").regions == ()
    narrower = fine.resize((240, 300), Image.Resampling.LANCZOS)
    assert compared(fine, narrower, alignment="scale").regions == ()
    changed = fine.copy()
    changed.paste((30, 60, 90), (240, 60, 280, 100))
    (found,) = compared(fine, changed.resize((240, 180), Image.Resampling.LANCZOS), alignment="scale").regions
    assert abs(found.x - 240) <= 2
    assert abs(found.y - 60) <= 2
    assert abs(found.x + found.width - 280) <= 2
    assert abs(found.y + found.height - 100) <= 2


def test_orientation_mode_and_depth_are_no_change() -> None:
    upright = photo().convert("L")
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = saved(upright.transpose(Image.Transpose.ROTATE_90), "PNG", exif=exif)
    deep = Image.fromarray(np.asarray(upright).astype(np.uint16) * 257)
    for other in (turned, saved(deep), saved(upright.convert("RGBA")), saved(upright.convert("RGB"), "TIFF")):
        assert compared(upright, other, noise="none").regions == ()


@pytest.mark.parametrize(
    ("first", "second", "error", "told"),
    [
        (b"", saved(drawn()), ImageEmpty, "The first image: "),
        (saved(drawn()), saved(drawn())[:-60], ImageTruncated, "The second image: "),
        (saved(drawn()), png_bomb(), ImageTooLarge, "The second image: "),
        (saved(drawn()), b"no image at all", ImageError, "The second image: "),
    ],
)
def test_an_error_says_which_of_the_two_it_is(first: bytes, second: bytes, error: type[ImageError], told: str) -> None:
    with pytest.raises(error) as raised:
        compared(first, second)
    assert raised.value.message.startswith(told)
    assert raised.value.code in ERRORS


@pytest.mark.parametrize("background", ["black", "white", (128, 128, 128), (230, 0, 90)])
@pytest.mark.parametrize("layout", ["side_by_side", "blended"])
def test_the_picture_shows_boxes_on_any_background_without_covering_what_changed(background: Any, layout: Any) -> None:
    before = Image.new("RGB", (300, 200), background)
    after = before.copy()
    after.paste((90, 160, 40), (100, 80, 140, 120))
    picture = compared(before, after, layout=layout).picture
    assert picture.size == ((608, 200) if layout == "side_by_side" else (300, 200))
    column = [picture.getpixel((x, 100)) for x in range(90, 100)]
    assert set(STROKES) <= set(column)
    last = 308 if layout == "side_by_side" else 0
    inside = np.asarray(picture)[80:120, 100 + last : 140 + last]
    assert len(np.unique(inside.reshape(-1, 3), axis=0)) == 1, "no stroke over the change itself"


@pytest.mark.parametrize("box", [(0, 0, 300, 200), (0, 80, 40, 40), (260, 0, 40, 40), (2, 158, 100, 40)])
def test_a_box_at_the_pictures_border_shows_all_its_strokes(box: tuple[int, int, int, int]) -> None:
    before = Image.new("RGB", (300, 200))
    after = before.copy()
    x, y, width, height = box
    after.paste((90, 160, 40), (x, y, x + width, y + height))
    picture = compared(before, after, layout="blended").picture
    middle = (x + width // 2, y + height // 2)
    lines = {
        "left": [(across, middle[1]) for across in range(max(0, x - 4), middle[0])],
        "right": [(across, middle[1]) for across in range(middle[0], min(300, x + width + 4))],
        "above": [(middle[0], down) for down in range(max(0, y - 4), middle[1])],
        "below": [(middle[0], down) for down in range(middle[1], min(200, y + height + 4))],
    }
    for side, line in lines.items():
        assert set(STROKES) <= {picture.getpixel(place) for place in line}, side


def test_the_picture_stays_in_bounds_and_is_saved_as_drawn_with_no_metadata() -> None:
    for layout in ("side_by_side", "blended"):
        result = compared(
            drawn(size=(900, 30)), drawn((700, 5, 8, 8), size=(900, 30)), layout=layout, picture_side_max=256
        )
        assert max(result.picture.size) <= 256
    again = Image.open(io.BytesIO(picture_png(result.picture)))
    assert (np.asarray(again) == np.asarray(result.picture)).all()
    assert again.info == {}


@pytest.mark.parametrize(
    "wrong", [{"threshold": 255}, {"area_min": 0}, {"merge_distance": -1}, {"shift_max": 9}, {"noise": "some"},
              {"alignment": "crop"}, {"layout": "flicker"}, {"picture_side_max": 10}],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DiffOptions(**wrong)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_whatever_the_options_boxes_lie_inside_apart_and_hold_all_that_changed(data: st.DataObject) -> None:
    width, height = data.draw(st.integers(1, 90)), data.draw(st.integers(1, 90))
    random = np.random.default_rng(data.draw(st.integers(0, 99)))
    before = np.full((height, width, 3), 100, np.uint8)
    after = before.copy()
    for _ in range(data.draw(st.integers(0, 12))):
        x, y = int(random.integers(width)), int(random.integers(height))
        after[y : y + int(random.integers(1, 12)), x : x + int(random.integers(1, 12))] = 200
    distance = data.draw(st.integers(0, 12))
    found = pixels_diff(before, after, DiffOptions(area_min=1, merge_distance=distance, noise="none")).regions
    covered = np.zeros((height, width), bool)
    for place, one in enumerate(found):
        covered[one.y : one.y + one.height, one.x : one.x + one.width] = True
        assert one.x + one.width <= width
        assert one.y + one.height <= height
        for other in found[place + 1 :]:
            across = max(one.x - other.x - other.width, other.x - one.x - one.width)
            down = max(one.y - other.y - other.height, other.y - one.y - one.height)
            assert max(across, down) >= max(1, distance)
    assert covered[(before != after).any(axis=2)].all()
    assert sum(one.area for one in found) == int((before != after).any(axis=2).sum())


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.tuples(*[st.integers(1, 120)] * 4),
    options=st.builds(
        DiffOptions,
        threshold=st.integers(0, 254),
        area_min=st.integers(1, 50),
        merge_distance=st.integers(0, 40),
        ignore=st.lists(
            st.builds(
                Box,
                x=st.integers(0, 130),
                y=st.integers(0, 130),
                width=st.integers(1, 130),
                height=st.integers(1, 130),
            ),
            max_size=3,
        ).map(tuple),
        noise=st.sampled_from(["measure", "none", "tolerate"]),
        shift_max=st.integers(0, 8),
        alignment=st.sampled_from(["scale", "pad"]),
        layout=st.sampled_from(["side_by_side", "blended"]),
        picture_side_max=st.integers(64, 300),
    ),
)
def test_whatever_the_sizes_and_options_regions_lie_inside_and_the_picture_is_in_bounds(
    sizes: tuple[int, int, int, int], options: DiffOptions
) -> None:
    before, after = photo(1, sizes[:2]), photo(2, sizes[2:])
    after.paste((250, 20, 20), (sizes[2] // 3, sizes[3] // 3, sizes[2] // 3 + 20, sizes[3] // 3 + 20))
    result = diff(io.BytesIO(saved(before)), io.BytesIO(saved(after)), options)
    padded = options.alignment == "pad"
    width, height = (max(sizes[0], sizes[2]), max(sizes[1], sizes[3])) if padded else sizes[:2]
    assert max(result.picture.size) <= options.picture_side_max
    assert 0 <= result.pixels_changed <= result.pixels_compared <= width * height
    for region in result.regions:
        assert region.x + region.width <= width
        assert region.y + region.height <= height
        assert options.area_min <= region.area <= region.width * region.height


def test_the_command_prints_boxes_and_writes_the_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, after, picture = tmp_path / "before.png", tmp_path / "after.png", tmp_path / "picture.png"
    before.write_bytes(saved(drawn()))
    after.write_bytes(saved(drawn((200, 150, 30, 20))))
    assert main(["diff", str(before), str(after), "--json", "--picture", str(picture)]) == 0
    (region,) = json.loads(capsys.readouterr().out)["regions"]
    assert region == {"x": 200, "y": 150, "width": 30, "height": 20, "area": 600, "mean": 170.0, "peak": 170}
    assert Image.open(picture).size == (648, 240)
    assert main(["diff", str(before), str(after), "--ignore", "190,140,60,60"]) == 0
    assert "0 regions" in capsys.readouterr().out


def test_the_command_reads_heic(tmp_path: Path) -> None:
    before, after = tmp_path / "before.heic", tmp_path / "after.png"
    pillow_heif.from_pillow(drawn()).save(before, quality=95)
    after.write_bytes(saved(drawn((200, 150, 30, 20))))
    command = [sys.executable, "-m", "imaging", "diff", str(before), str(after), "--json"]
    done = subprocess.run(command, cwd=Path(imaging.__file__).parents[1], capture_output=True, check=True, text=True)
    (region,) = json.loads(done.stdout)["regions"]
    assert (region["x"], region["y"], region["width"], region["height"]) == (200, 150, 30, 20)


def test_the_command_fails_with_one_line_and_tells_usage_from_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"")
    assert main(["diff", str(broken), str(broken)]) == 1
    assert capsys.readouterr().err.startswith("imaging: The first image: The file is empty")
    with pytest.raises(SystemExit) as stopped:
        main(["diff", str(broken), str(broken), "--threshold", "300"])
    assert stopped.value.code == 2
