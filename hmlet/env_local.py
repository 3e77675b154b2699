"""🐣 local: development in a KIND cluster."""

from hmlet.env_comm import HmletKindEnv


class LocalEnv(HmletKindEnv):
    """A KIND cluster on this machine."""

    emoji = "🐣"

    web_host = "hmlet.photos.local"
    storage_host = "hmlet.minio.local"
