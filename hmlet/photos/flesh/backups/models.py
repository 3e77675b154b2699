"""Backups that were taken and are good, as far as this database knows."""

from django.db import models


class Backup(models.Model):
    """A backup that came to its end. ``taken`` is the moment whose rows it holds; ``place`` is what a person calls it.

    ``missing`` counts objects that rows named and that were not there, or not as they should be.
    """

    taken = models.DateTimeField(db_index=True)
    finished = models.DateTimeField(auto_now_add=True)
    place = models.CharField(max_length=1024)
    bytes = models.BigIntegerField(help_text="Of the archive.")
    objects_held = models.BigIntegerField()
    missing = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ("-taken", "-id")

    def __str__(self) -> str:
        return self.place
