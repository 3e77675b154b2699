"""The photos of an original in the order in which they came."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("gallery", "0003_integrity_runs"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="photo",
            index=models.Index(fields=["original", "created", "id"], name="photo_of_original"),
        ),
    ]
