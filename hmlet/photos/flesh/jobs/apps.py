"""Heavy work: its rows, claims, retries and reasons. Knows nothing of photos."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "jobs"

    def ready(self) -> None:
        from ops.work import work_register

        from jobs.selectors import work_read

        work_register(work_read)
