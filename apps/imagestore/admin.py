"""Admin page of stored pictures and objects, and the thumbnails of other pages."""

import io
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.signing import BadSignature, TimestampSigner
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import translation
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import cache_control
from PIL import Image as Pillow
from PIL import ImageDraw, ImageOps
from unfold.contrib.filters.admin import AutocompleteSelectFilter, RangeDateTimeFilter
from unfold.decorators import display

from apps.accounts.adminbase import DeletingAdmin, LunaAdmin
from apps.accounts.adminbase.display import NOTHING, json_text, may_view, number_text, rows_of
from apps.accounts.adminbase.filters import by_words, readable_lazy
from apps.accounts.auth.access import actor_of
from apps.common.config import Images, config
from apps.common.errors import LunaError
from apps.common.fields import parse_uuid
from apps.common.parts import IMAGE_STORE
from apps.common.pictures import decoding
from apps.common.scope import Scope
from apps.imagestore.buckets import bucket_delete
from apps.imagestore.choices import Bucket, audit_type, holds_pictures
from apps.imagestore.image_headers import open_image
from apps.imagestore.models import StoredBucket, StoredObject
from apps.imagestore.selectors import object_get
from apps.imagestore.services import object_bytes, object_delete, object_view, pictures_view

THUMBNAIL_PIXELS, PHOTOGRAPH_PIXELS = 480, 1280
MAX_BOXES = 100
BOX = re.compile(r"-?[0-9]{1,6}(,-?[0-9]{1,6}){3}")
BOX_COLOURS = ("white", "#e11d48")  # the outer line is visible on dark pictures, the inner one on light ones
SEEN_S = 900  # for this time the audit line of a page covers the thumbnails that the page links
BUCKETS = {bucket.value: readable_lazy(audit_type(bucket)) for bucket in Bucket}


Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Picture:
    """A stored picture: its bucket (the value of its row) and id."""

    bucket: str
    object_id: UUID


def face_sample(object_id: UUID | str | None) -> Picture | None:
    """Return a face sample; None for an id that is missing or malformed."""
    parsed = parse_uuid(str(object_id))
    return None if parsed is None else Picture(Bucket.FACE_SAMPLES, parsed)


def thumbnail(picture: Picture | None, alt: object, *, user: Any = None, large: bool = False) -> SafeString:
    """Return an <img>, or a dash without a picture.

    Loading it leaves an audit line, unless `user` is given: the user of a page with a line for all of its pictures.
    """
    size = "luna-large" if large else "luna-small"
    return _image("imagestore_thumbnail", picture, alt, size, {}, user)


def photograph(picture: Picture | None, boxes: Iterable[Box], alt: object, *, user: Any = None) -> SafeString:
    """Return an <img> of a source image with boxes around persons, or a dash without a picture.

    `boxes`: x, y, width and height in pixels of the upright picture. Loading leaves an audit line, as of `thumbnail`.
    """
    drawn = [",".join(str(int(side)) for side in box) for box in list(boxes)[:MAX_BOXES]]
    return _image("imagestore_photograph", picture, alt, "luna-photograph", {"box": drawn}, user)


def _image(
    route: str, picture: Picture | None, alt: object, style: str, query: dict[str, Any], user: Any
) -> SafeString:  # fmt: skip
    if picture is None:
        return NOTHING
    if user is not None:
        query = {**query, "seen": _signature(picture, user)}
    address = reverse(f"admin:{route}", args=(picture.bucket, picture.object_id))
    url = f"{address}?{urlencode(query, doseq=True)}" if query else address
    return format_html('<img src="{}" loading="lazy" alt="{}" class="luna-thumbnail {}">', url, alt, style)


def _signed(picture: Picture, user: Any) -> str:
    return f"{user.pk}:{picture.bucket}:{picture.object_id}"


def _signature(picture: Picture, user: Any) -> str:
    value = _signed(picture, user)
    return _signer().sign(value).removeprefix(f"{value}:")


def _is_seen(picture: Picture, user: Any, signature: str) -> bool:
    """Return whether an audit line of a page covers this picture."""
    try:
        _signer().unsign(f"{_signed(picture, user)}:{signature}", max_age=SEEN_S)
    except BadSignature:
        return False
    return True


def _signer() -> TimestampSigner:
    return TimestampSigner(salt="luna.thumbnails")


class PicturesAdmin(LunaAdmin):
    """A page whose lists show pictures. A list leaves one audit line for all of them."""

    def picture_of(self, row: Any) -> Picture | None:
        """Return the picture of a row, from its loaded columns."""
        raise NotImplementedError

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        names = list(super().get_list_display(request))
        return names if may_view(request.user, StoredObject) else [name for name in names if name != "picture"]

    def page_name(self) -> str:
        """Return the name of the list in lines of the audit log, which have one language."""
        with translation.override(None):
            return str(self.opts.verbose_name_plural)

    def rows_shown(self, request: HttpRequest, rows: list[Any]) -> None:
        if not may_view(request.user, StoredObject):
            return
        shown: dict[UUID, UUID] = {}
        for row in rows:
            row.viewer = request.user
            if picture := self.picture_of(row):
                shown[picture.object_id] = row.account_id
        pictures_view(page=self.page_name(), pictures=shown, actor=actor_of(request))

    @display(description="")
    def picture(self, row: Any) -> SafeString:
        return thumbnail(self.picture_of(row), f"{self.opts.verbose_name} {row}", user=row.viewer)

    @display(description=_("picture"))
    def large_picture(self, row: Any) -> SafeString:
        return thumbnail(self.picture_of(row), f"{self.opts.verbose_name} {row}", large=True)


@admin.register(StoredObject)
class StoredObjectAdmin(PicturesAdmin, DeletingAdmin):
    """Samples, source images and objects."""

    parts = (IMAGE_STORE,)
    list_display = ("picture", "object_id", "bucket", "account", "content_type", "size", "create_time", "expiry_time")
    list_select_related = ("account",)
    list_filter = (
        ("account", AutocompleteSelectFilter),
        ("bucket", by_words(BUCKETS)),
        ("create_time", RangeDateTimeFilter),
    )
    search_fields = ("account__login", "content_type")
    id_search_fields = ("object_id", "account_id")
    search_help_text = _("Object id, account id, login or content type")
    date_hierarchy = "create_time"
    ordering = ("-id",)
    fields = ("large_picture", "object_id", "bucket", "account", "content_type", "size", "sha256", "meta_text",
              "ttl_days", "create_time", "expiry_time")  # fmt: skip

    def picture_of(self, row: StoredObject) -> Picture | None:
        return Picture(row.bucket, row.object_id) if holds_pictures(row.bucket) else None

    @display(description=_("meta"))
    def meta_text(self, stored: StoredObject) -> SafeString:
        return json_text(stored.meta)

    @display(description=_("size"), ordering="size_bytes")
    def size(self, stored: StoredObject) -> str:
        return f"{number_text(stored.size_bytes / 1024, 1)} KiB"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.thumbnail_view)
        own = path("<path:bucket>/<uuid:object_id>/thumbnail/", view, name="imagestore_thumbnail")
        whole = self.admin_site.admin_view(self.photograph_view)
        other = path("<path:bucket>/<uuid:object_id>/photograph/", whole, name="imagestore_photograph")
        return [own, other, *super().get_urls()]

    @staticmethod
    @cache_control(no_store=True)
    def thumbnail_view(request: HttpRequest, bucket: str, object_id: UUID) -> HttpResponse:
        """Answer with a small JPEG of a stored picture. Requires the permission to view stored pictures."""
        return _picture_answer(request, Picture(bucket, object_id), _small_jpeg)

    @staticmethod
    @cache_control(no_store=True)
    def photograph_view(request: HttpRequest, bucket: str, object_id: UUID) -> HttpResponse:
        """Answer with an upright JPEG of a stored picture with the boxes of the query, `box=x,y,width,height`."""
        boxes = [box for text in request.GET.getlist("box")[:MAX_BOXES] if (box := _box(text)) is not None]
        return _picture_answer(request, Picture(bucket, object_id), lambda data: jpeg_of(boxed(upright(data), boxes)))

    def delete_rows(self, request: HttpRequest, rows: list[Any]) -> None:
        for row in rows:
            object_delete(
                account_id=row.account_id, bucket=row.bucket, object_id=row.object_id, actor=actor_of(request)
            )


@admin.register(StoredBucket)
class StoredBucketAdmin(DeletingAdmin):
    """Buckets with their time to live. Only the API creates and changes them; an empty one can be deleted."""

    parts = (IMAGE_STORE,)
    list_display = ("name", "time_to_live", "objects", "create_time")
    list_filter = (("create_time", RangeDateTimeFilter),)
    search_fields = ("name",)
    search_help_text = _("A part of the name")
    ordering = ("name",)
    fields = ("name", "time_to_live", "objects", "create_time", "last_update_time")

    @display(description=_("time to live"), ordering="ttl_days")
    def time_to_live(self, bucket: StoredBucket) -> str:
        return str(_("for ever")) if bucket.ttl_days is None else _("%(count)d days") % {"count": bucket.ttl_days}

    @display(description=_("objects"))
    def objects(self, bucket: StoredBucket) -> SafeString:
        return rows_of("imagestore_storedobject", "bucket__startswith", bucket.name, _("objects"))

    def delete_rows(self, request: HttpRequest, rows: list[StoredBucket]) -> None:
        for bucket in rows:
            bucket_delete(name=bucket.name, actor=actor_of(request))


def _picture_answer(request: HttpRequest, picture: Picture, small_of: Callable[[bytes], bytes]) -> HttpResponse:
    """Answer with a JPEG of a stored picture. The read leaves an audit line unless that of a page covers it.

    Raises PermissionDenied without the permission to view stored pictures, Http404 for a missing or invalid picture.
    """
    if not may_view(request.user, StoredObject):
        raise PermissionDenied
    if not holds_pictures(picture.bucket):
        raise Http404("there is no such picture")
    names: dict[str, Any] = {"scope": Scope(None), "bucket": picture.bucket, "object_id": picture.object_id}
    try:
        if _is_seen(picture, request.user, request.GET.get("seen", "")):
            stored = object_get(**names)
        else:
            stored = object_view(**names, actor=actor_of(request))
        jpeg = small_of(object_bytes(stored=stored))
    except (LunaError, OSError) as error:
        raise Http404("there is no such picture") from error
    return HttpResponse(jpeg, content_type="image/jpeg", headers={"X-Content-Type-Options": "nosniff"})


def _box(text: str) -> Box | None:
    """Return the box of a parameter, None for another text."""
    if not BOX.fullmatch(text):
        return None
    x, y, width, height = map(int, text.split(","))
    return (x, y, width, height) if width > 0 and height > 0 else None


def _small_jpeg(data: bytes) -> bytes:
    """Decode a picture and return a small JPEG. Raises LunaError or OSError for invalid data."""
    with open_image(data) as image, decoding(image, data, max_pixels=config(Images).max_pixels):
        image.draft("RGB", (THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
        small = image.convert("RGB")
        small.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
    return jpeg_of(small)


def upright(data: bytes) -> Pillow.Image:
    """Decode a picture and turn it upright. Raises LunaError or OSError for invalid data."""
    with open_image(data) as image, decoding(image, data, max_pixels=config(Images).max_pixels):
        turned: Pillow.Image = ImageOps.exif_transpose(image).convert("RGB")
        return turned


def boxed(picture: Pillow.Image, boxes: Iterable[Box]) -> Pillow.Image:
    """Return a smaller copy with boxes around persons. `boxes`: in pixels of `picture`, which is upright."""
    small = picture.copy()
    small.thumbnail((PHOTOGRAPH_PIXELS, PHOTOGRAPH_PIXELS))
    scale, draw = small.width / picture.width, ImageDraw.Draw(small)
    for x, y, width, height in boxes:
        sides = [x * scale, y * scale, (x + width) * scale, (y + height) * scale]
        for inset, colour in zip((0, 2), BOX_COLOURS, strict=True):
            left, top, right, bottom = sides[0] - inset, sides[1] - inset, sides[2] + inset, sides[3] + inset
            draw.rectangle((left, top, max(left, right), max(top, bottom)), outline=colour, width=2)
    return small


def jpeg_of(image: Pillow.Image) -> bytes:
    """Encode a picture."""
    jpeg = io.BytesIO()
    image.save(jpeg, "JPEG", quality=85)
    return jpeg.getvalue()
