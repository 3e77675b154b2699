"""🐣 local: development in a KIND cluster."""

from hmlet.env_comm import HmletEnv


class LocalEnv(HmletEnv):
    """A KIND cluster on this machine."""

    emoji = "🐣"
    runs_on = "kind"

    web_host = "hmlet.photos.local"
    web_port = 8080
    storage_host = "hmlet.minio.local"
    storage_port = 8080
