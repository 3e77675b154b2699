"""🤖 stage: rehearsal in an existing cluster."""

from hmlet.env_comm import HmletExistingEnv


class StageEnv(HmletExistingEnv):
    """A cluster that exists, reached by its kube context. doc/remote.rst says what it needs."""

    emoji = "🤖"

    kube_context = "hmlet-stage"
    image_registry = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/hmlet"
    storage_class = "gp3"

    web_host = "hmlet.photos.stage"
    storage_host = "hmlet.minio.stage"
