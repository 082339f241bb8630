"""Mark the existing tokens: all but those that see all accounts may have been created by `Luna-Account-Id` alone."""

from django.db import migrations, models


def mark_existing(apps, schema_editor):
    tokens = apps.get_model("accounts", "Token")._base_manager
    tokens.using(schema_editor.connection.alias).exclude(visibility_area="all").update(by_password=False)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0004_roles")]

    operations = [
        migrations.AddField(model_name="token", name="by_password", field=models.BooleanField(default=True)),
        migrations.RunPython(mark_existing, migrations.RunPython.noop, elidable=True),
    ]
