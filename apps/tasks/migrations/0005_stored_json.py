"""Read whole numbers of clients that are longer than 64 bits as floats; the columns stay as they are."""

from django.db import migrations, models

from apps.common.json_types import StoredJsonDecoder

OBJECTS = (("schedule", "content"), ("subtask", "content"), ("subtask", "state"), ("task", "content"))
POLICIES = (("schedule", "notification_policy"), ("task", "notification_policy"))


class Migration(migrations.Migration):
    dependencies = [("tasks", "0004_schedules")]

    operations = [
        *(
            migrations.AlterField(model, name, models.JSONField(decoder=StoredJsonDecoder, default=dict))
            for model, name in OBJECTS
        ),
        *(
            migrations.AlterField(model, name, models.JSONField(decoder=StoredJsonDecoder, null=True))
            for model, name in POLICIES
        ),
    ]
