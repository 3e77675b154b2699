"""🔥 prod: production, in an existing cluster."""

from hmlet.env_comm import HmletExistingEnv


class ProdEnv(HmletExistingEnv):
    """A cluster that exists, reached by its kube context. doc/remote.rst says what it needs."""

    emoji = "🔥"

    kube_context = "hmlet-prod"
    image_registry = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/hmlet"
    storage_class = "gp3"
    needs_clean_git = True
    confirm_by_name = True
    may_be_destroyed = False

    web_host = "hmlet.photos.prod"
    storage_host = "hmlet.minio.prod"
