"""Mark the existing tokens: all but those that see all accounts may have been created by `Luna-Account-Id` alone."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0004_roles")]

    operations = [
        migrations.AddField(model_name="token", name="by_password", field=models.BooleanField(default=True)),
        migrations.RunSQL(
            "UPDATE accounts_token SET by_password = false WHERE visibility_area <> 'all'",
            migrations.RunSQL.noop,
            elidable=True,
        ),
    ]
