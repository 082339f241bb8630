"""Admin page of stored pictures and objects, and the thumbnails of other pages."""

import io
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.cache import cache_control
from unfold.contrib.filters.admin import AutocompleteSelectFilter, RangeDateTimeFilter
from unfold.decorators import display

from apps.accounts.adminbase import DeletingAdmin, may_view
from apps.accounts.auth.access import actor_of
from apps.common.config import Images, config
from apps.common.errors import LunaError
from apps.common.pictures import decoding
from apps.common.scope import Scope
from apps.imagestore.choices import Bucket, holds_pictures
from apps.imagestore.image_headers import open_image
from apps.imagestore.models import StoredObject
from apps.imagestore.services import object_bytes, object_delete, object_view

THUMBNAIL_PIXELS = 480
SMALL_PX, LARGE_PX = 48, 180
NOTHING = SafeString("—")


def thumbnail(object_id: UUID | str | None, bucket: str = Bucket.FACE_SAMPLES, *, large: bool = False) -> SafeString:
    """Return an <img> of a picture, or a dash if it is missing. Loading it leaves an audit line."""
    if not object_id:
        return NOTHING
    side = LARGE_PX if large else SMALL_PX
    return format_html(
        '<img src="{}" loading="lazy" alt="" class="luna-thumbnail" style="width:{}px;height:{}px">',
        reverse("admin:imagestore_thumbnail", args=(bucket, object_id)),
        side,
        side,
    )


@admin.register(StoredObject)
class StoredObjectAdmin(DeletingAdmin):
    """Samples, source images and objects."""

    list_display = ("picture", "object_id", "bucket", "account", "content_type", "size", "create_time", "expiry_time")
    list_select_related = ("account",)
    list_filter = (("account", AutocompleteSelectFilter), "bucket", ("create_time", RangeDateTimeFilter))
    search_fields = ("account__login",)
    id_search_fields = ("object_id", "account_id")
    search_help_text = "Object id, account id or login"
    date_hierarchy = "create_time"
    ordering = ("-id",)
    fields = ("large_picture", "object_id", "bucket", "account", "content_type", "size", "sha256", "meta", "ttl_days",
              "create_time", "expiry_time")  # fmt: skip

    @display(description="")
    def picture(self, stored: StoredObject) -> SafeString:
        return thumbnail(stored.object_id if holds_pictures(stored.bucket) else None, stored.bucket)

    @display(description="picture")
    def large_picture(self, stored: StoredObject) -> SafeString:
        return thumbnail(stored.object_id if holds_pictures(stored.bucket) else None, stored.bucket, large=True)

    @display(description="size", ordering="size_bytes")
    def size(self, stored: StoredObject) -> str:
        return f"{stored.size_bytes / 1024:,.1f} KiB"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.thumbnail_view)
        own = path("<path:bucket>/<uuid:object_id>/thumbnail/", view, name="imagestore_thumbnail")
        return [own, *super().get_urls()]

    @staticmethod
    @cache_control(no_store=True)
    def thumbnail_view(request: HttpRequest, bucket: str, object_id: UUID) -> HttpResponse:
        """Answer with a small JPEG of a stored picture. Requires the permission to view stored pictures."""
        if not may_view(request, StoredObject):
            raise PermissionDenied
        if not holds_pictures(bucket):
            raise Http404("there is no such picture")
        try:
            stored = object_view(scope=Scope(None), bucket=bucket, object_id=object_id, actor=actor_of(request))
            jpeg = _small_jpeg(object_bytes(stored=stored))
        except (LunaError, OSError) as error:
            raise Http404("there is no such picture") from error
        return HttpResponse(jpeg, content_type="image/jpeg", headers={"X-Content-Type-Options": "nosniff"})

    def delete_rows(self, request: HttpRequest, rows: list[Any]) -> None:
        for row in rows:
            object_delete(
                account_id=row.account_id, bucket=row.bucket, object_id=row.object_id, actor=actor_of(request)
            )


def _small_jpeg(data: bytes) -> bytes:
    """Decode a picture and return a small JPEG. Raises LunaError or OSError for invalid data."""
    with open_image(data) as image, decoding(image, data, max_pixels=config(Images).max_pixels):
        image.draft("RGB", (THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
        small = image.convert("RGB")
        small.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
    jpeg = io.BytesIO()
    small.save(jpeg, "JPEG", quality=85)
    return jpeg.getvalue()
