"""🏠 host: the platform as processes on this machine. No Docker, no root."""

import functools

from pl.env import Port, Secret, chosen_port, generated_secret

from hmlet.env_comm import HmletEnv, address


class HostEnv(HmletEnv):
    """Embedded PostgreSQL, Redis and S3 server from Python wheels, with web, worker and beat beside them."""

    emoji = "🏠"
    runs_on = "host"

    web_host = "127.0.0.1"
    web_port = chosen_port()
    storage_host = "127.0.0.1"
    storage_port: Port = chosen_port()
    database_port: Port = chosen_port()
    redis_port: Port = chosen_port()

    database_password: Secret = generated_secret()
    redis_password: Secret = generated_secret()
    storage_access_key: Secret = generated_secret()
    storage_secret_key: Secret = generated_secret()

    # All who use it come from one address.
    login_failures_of_address_max = 1000

    web_processes: int = 2
    web_threads: int = 8
    worker_processes: int = 2

    @functools.cached_property
    def storage_url(self) -> str:
        """The S3 endpoint, for the platform's programs and in signed URLs."""
        return address(self.scheme, self.storage_host, self.storage_port)
