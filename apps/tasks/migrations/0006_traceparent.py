"""Keep the span of the request that created a task. Code of the former release inserts rows without it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tasks", "0005_stored_json")]

    operations = [migrations.AddField("task", "traceparent", models.CharField(max_length=55, null=True))]
