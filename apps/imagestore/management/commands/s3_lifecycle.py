"""`manage.py s3_lifecycle`: lets S3 itself remove objects whose time to live is over."""

from typing import Any

from django.core.files.storage import default_storage
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.imagestore import files
from apps.imagestore.models import StoredObject


class Command(BaseCommand):
    help = (
        "Gives the S3 bucket its rules of expiry, and every object with a time to live of its own its tag. "
        "Needs LUNA_S3_LIFECYCLE=true; may be run again at any time."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--no-tags", action="store_true", help="only the rules, no tags of objects that are there")

    def handle(self, *args: Any, **options: Any) -> None:
        """Prints how many objects were tagged. An object whose file is lost is left to fsck."""
        if not files.expires_by_itself():
            raise CommandError("the Image Store is not in S3, or LUNA_S3_LIFECYCLE is not set")
        default_storage.rules_put()  # type: ignore[attr-defined]  # of S3Store
        if options["no_tags"]:
            return
        tagged = lost = 0
        rows = StoredObject.objects.unscoped().filter(ttl_days__isnull=False).order_by("pk")
        for row in rows.iterator(chunk_size=1000):
            key = (row.bucket, row.object_id, row.content_type)
            if files.exists(files.data_name(*key)):
                files.expire_all([key], row.ttl_days)
                tagged += 1
            else:
                lost += 1
        self.stdout.write(f"{tagged} objects tagged, {lost} without file")
