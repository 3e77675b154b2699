"""🛠️ test: E2E tests in CI, in a KIND cluster of its own."""

from hmlet.env_comm import HmletEnv


class TestEnv(HmletEnv):
    """A KIND cluster on this machine."""

    emoji = "🛠️"
    runs_on = "kind"

    web_host = "hmlet.photos.test"
    web_port = 8081
    storage_host = "hmlet.minio.test"
    storage_port = 8081
