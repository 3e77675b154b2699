"""🤖 stage: rehearsal in an existing cluster."""

from hmlet.env_comm import HmletEnv


class StageEnv(HmletEnv):
    """A cluster that exists, reached by its kube context."""

    emoji = "🤖"
    runs_on = "existing"

    scheme = "https"
    web_host = "hmlet.photos.stage"
    web_port = 443
    storage_host = "hmlet.minio.stage"
    storage_port = 443
