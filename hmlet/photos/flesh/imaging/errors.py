"""What can be wrong with an image, in words its owner understands."""


class ImageError(Exception):
    """An image that cannot be used. ``code`` is stable; the text says what is wrong and what to do.

    ``retryable`` is true where the same bytes may do better another time.
    """

    code = "image_unreadable"
    message = "This is not an image that we can read. Open it in an image editor and save it again, as JPEG or PNG."
    retryable = False

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.message)
        self.message = message or self.message


class ImageUnreadable(ImageError):
    """No image, or one whose bytes contradict themselves."""


class ImageEmpty(ImageError):
    """A file without a byte."""

    code = "image_empty"
    message = "The file is empty. Choose the image again; it may not have been copied completely."


class ImageFormatRefused(ImageError):
    """A known kind of file that is not on the allow-list."""

    code = "image_format_refused"
    message = "This format is not accepted. Save the image as JPEG, PNG, WebP, AVIF, HEIC, GIF, TIFF or BMP."


class ImageTooLarge(ImageError):
    """More pixels, or frames, than we decode."""

    code = "image_too_large"
    message = "The image has too many pixels. Scale it down and post it again."


class ImageTruncated(ImageError):
    """The file ends before the image does."""

    code = "image_truncated"
    message = "The file ends before the image is complete. Post it again from the source; a copy was cut off."


class ImageTooHeavy(ImageError):
    """Decoding went over its memory or time. What it had is bounded, so the same file does it again."""

    code = "image_too_heavy"
    message = "The image needs more memory or time than we give to one. Scale it down or save it in a simpler format."


class ImageSizesDiffer(ImageError):
    """Two images to be compared that are not of one size."""

    code = "image_sizes_differ"
    message = "The two images differ in size. Ask for them to be scaled or padded, or compare images of one size."


class DecoderDied(ImageError):
    """The child that decoded ended without an answer: a crash in a codec, or somebody killed it."""

    code = "image_decoder_died"
    message = "The image could not be decoded. Save it again in an image editor and post that."
    retryable = True


class DecoderLate(ImageError):
    """The child had no answer in time, and not for want of work: what it may compute is limited by itself."""

    code = "image_decoder_late"
    message = "The image was not decoded in time: the machine had too much else to do. Try again later."
    retryable = True


ERRORS: dict[str, type[ImageError]] = {
    error.code: error
    for error in (
        ImageUnreadable,
        ImageEmpty,
        ImageFormatRefused,
        ImageTooLarge,
        ImageTruncated,
        ImageTooHeavy,
        ImageSizesDiffer,
        DecoderDied,
        DecoderLate,
    )
}
