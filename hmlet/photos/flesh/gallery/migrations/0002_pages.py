"""Pages of what a user sees have found no index: its condition did not follow from theirs."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("gallery", "0001_initial"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="photo",
            index=models.Index(
                condition=models.Q(("publish_date__isnull", False)), fields=["publish_date", "id"], name="photo_dated"
            ),
        ),
        migrations.RemoveIndex(
            model_name="photo",
            name="photo_published",
        ),
    ]
