"""🔥 prod: production, in an existing cluster."""

from hmlet.env_comm import HmletExistingEnv


class ProdEnv(HmletExistingEnv):
    """A cluster that exists, reached by its kube context."""

    emoji = "🔥"

    kube_context = "hmlet-prod"
    image_registry = "registry.example.com/hmlet"
    needs_clean_git = True
    confirm_by_name = True

    web_host = "hmlet.photos.prod"
    storage_host = "hmlet.minio.prod"
