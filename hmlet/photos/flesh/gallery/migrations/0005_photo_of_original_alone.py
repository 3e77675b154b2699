"""The index of the foreign key alone goes: with both, PostgreSQL may take that one and sort.

Apart from the migration before: to drop it takes the table's strongest lock, which nobody is to wait for while an index
is built.
"""

import django.db.models.deletion
from django.db import migrations, models

# Altering the field would drop and make the foreign key anew, and hold up whoever reads either table meanwhile.
_DROP = "DROP INDEX IF EXISTS gallery_photo_original_id_1a53b6db"
_CREATE = "CREATE INDEX gallery_photo_original_id_1a53b6db ON gallery_photo (original_id)"


class Migration(migrations.Migration):
    dependencies = [
        ("gallery", "0004_photos_of_original"),
    ]

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
    ]
