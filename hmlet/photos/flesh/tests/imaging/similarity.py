"""How alike two images are."""

from typing import Any

from PIL import Image, ImageMath

WINDOW = 8
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def ssim(one: Image.Image, other: Image.Image) -> float:
    """The structural similarity of two images of one size, by their luminance.

    Wang et al., "Image quality assessment", 2004, equation 13, over windows of 8×8 that overlap by half.
    """
    if one.size != other.size:
        raise ValueError(f"{one.size} against {other.size}")
    return _of_channel(one.convert("L"), other.convert("L"))


def ssim_of_colours(one: Image.Image, other: Image.Image) -> float:
    """The same of red, green and blue, each on its own: the least of the three."""
    channels = zip(one.convert("RGB").split(), other.convert("RGB").split(), strict=True)
    return min(_of_channel(*pair) for pair in channels)


def _of_channel(one: Image.Image, other: Image.Image) -> float:
    offsets = {0, min(WINDOW // 2, one.width - WINDOW, one.height - WINDOW)}
    scores = [_mean(_scores(_windows(one, offset), _windows(other, offset))) for offset in offsets]
    return sum(scores) / len(scores)


def _mean(values: Image.Image) -> float:
    mean = values.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    assert isinstance(mean, float)
    return mean


def _windows(channel: Image.Image, offset: int) -> Image.Image:
    across, down = (channel.width - offset) // WINDOW * WINDOW, (channel.height - offset) // WINDOW * WINDOW
    return channel.crop((offset, offset, offset + across, offset + down)).convert("F")


def _scores(a: Image.Image, b: Image.Image) -> Any:
    product = ImageMath.lambda_eval
    squares_a, squares_b = (product(lambda given: given["i"] * given["i"], i=image) for image in (a, b))
    products = product(lambda given: given["a"] * given["b"], a=a, b=b)
    means = {"ma": a, "mb": b, "aa": squares_a, "bb": squares_b, "ab": products}
    return product(_score, **{name: image.reduce(WINDOW) for name, image in means.items()})


def _score(given: dict[str, Any]) -> Any:
    ma, mb, mab = given["ma"] * given["ma"], given["mb"] * given["mb"], given["ma"] * given["mb"]
    covariance = given["ab"] - mab
    variances = given["aa"] - ma + given["bb"] - mb
    return (2 * mab + _C1) * (2 * covariance + _C2) / ((ma + mb + _C1) * (variances + _C2))
