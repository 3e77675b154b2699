"""🔥 prod: production, in an existing cluster."""

from hmlet.env_comm import HmletEnv


class ProdEnv(HmletEnv):
    """A cluster that exists, reached by its kube context."""

    emoji = "🔥"
    runs_on = "existing"

    scheme = "https"
    web_host = "hmlet.photos.prod"
    web_port = 443
    storage_host = "hmlet.minio.prod"
    storage_port = 443
