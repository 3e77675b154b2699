"""hmlet, as the toolkit sees it: the one thing that ``cluster.py`` and ``app.py`` name."""

from pl.project import Project

from hmlet.env_comm import HmletEnv
from hmlet.host import platform
from hmlet.smoke import smoke


def _addresses(env: HmletEnv) -> dict[str, str]:
    return {"API": env.api_url, "admin": env.admin_url, "docs": env.docs_url, "status": f"{env.web_url}/status/"}


def _credentials(env: HmletEnv) -> dict[str, str]:
    return {env.admin_username: env.admin_password.reveal()}


PROJECT = Project(env=HmletEnv, host_platform=platform, smoke=smoke, addresses=_addresses, credentials=_credentials)
