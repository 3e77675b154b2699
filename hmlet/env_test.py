"""🛠️ test: E2E tests in CI, in a KIND cluster of its own."""

from hmlet.env_comm import HmletKindEnv


class TestEnv(HmletKindEnv):
    """A KIND cluster on this machine."""

    emoji = "🛠️"

    web_host = "hmlet.photos.test"
    storage_host = "hmlet.minio.test"
