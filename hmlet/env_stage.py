"""🤖 stage: rehearsal in an existing cluster."""

from hmlet.env_comm import HmletExistingEnv


class StageEnv(HmletExistingEnv):
    """A cluster that exists, reached by its kube context."""

    emoji = "🤖"

    kube_context = "hmlet-stage"
    image_registry = "registry.example.com/hmlet"

    web_host = "hmlet.photos.stage"
    storage_host = "hmlet.minio.stage"
