from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("imagestore", "0001_initial"),
    ]

    operations = [
        migrations.AlterField(
            model_name="storedobject",
            name="bucket",
            field=models.CharField(max_length=80),
        ),
    ]
