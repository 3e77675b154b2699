"""The photos of an original in the order in which they came. The index of the foreign key alone goes: with both, PostgreSQL
may take that one and sort."""

import django.db.models.deletion
from django.db import migrations, models

# Altering the field would drop and make the foreign key anew, and hold up whoever reads either table meanwhile.
_DROP = "DROP INDEX IF EXISTS gallery_photo_original_id_1a53b6db"
_CREATE = "CREATE INDEX gallery_photo_original_id_1a53b6db ON gallery_photo (original_id)"


class Migration(migrations.Migration):
    dependencies = [
        ("gallery", "0003_integrity_runs"),
    ]

    # Dropped first: that takes the table's strongest lock. Taken after that of the new index, it could wait for somebody
    # who waits for that one.
    operations = [
        migrations.RunSQL(
            _DROP,
            _CREATE,
            state_operations=[
                migrations.AlterField(
                    model_name="photo",
                    name="original",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="photos",
                        to="gallery.original",
                    ),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="photo",
            index=models.Index(fields=["original", "created", "id"], name="photo_of_original"),
        ),
    ]
