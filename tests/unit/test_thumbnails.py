import io

from lookbook.model.thumbnails import make_thumbnail
from PIL import Image

from tests.support.places import PHOTOS


def test_a_thumbnail_is_a_small_webp() -> None:
    thumbnail = Image.open(io.BytesIO(make_thumbnail(Image.open(PHOTOS / "shirt.jpg"))))
    assert thumbnail.format == "WEBP"
    assert max(thumbnail.size) == 96
