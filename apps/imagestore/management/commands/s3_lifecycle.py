"""`manage.py s3_lifecycle`: make S3 remove expired objects itself."""

from typing import Any

from django.core.files.storage import default_storage
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.imagestore import files
from apps.imagestore.models import StoredObject


class Command(BaseCommand):
    help = (
        "Set the expiry rules of the S3 bucket, and the tag of each object with its own time to live. "
        "Requires LUNA_S3_LIFECYCLE=true. Idempotent."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--no-tags", action="store_true", help="set only the rules, not the tags of stored objects")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the number of tagged objects, and of objects without file, which `fsck` handles."""
        if not files.expires_by_itself():
            raise CommandError("The Image Store has no S3 lifecycle: set LUNA_S3_BUCKET and LUNA_S3_LIFECYCLE.")
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
