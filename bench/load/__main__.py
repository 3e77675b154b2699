"""People who use the platform of this shell's stage, all at once, for a while: what they get, and how soon.

    hmlet/shell.py host -- python -m bench.load [--users 20] [--minutes 2]

Makes accounts and photos of its own and removes them in the end. The people are locust's (bench/load/locustfile.py),
which is fetched into .cache/bench. Times are of this machine, on which the people live as well. Ends with 1 when a
request failed.
"""

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

from ht.api_clients.photos import Photo
from pl.env import current
from pl.project import open_stage

from bench.fetching import CACHE, packages
from hmlet.env_comm import HmletEnv
from hmlet.project import PROJECT
from hmlet.tests.accounts import Accounts
from hmlet.tests.pictures import distinct, grainy, jpeg, landscape
from hmlet.users import remove_users

HERE = Path(__file__).parent
TOOL = CACHE / "load/python"
ACCOUNTS = 8
FIRST_PHOTOS = 40
SIZES = ((1600, 1200), (2304, 1728), (4000, 3000))


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.load", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=20, help="people at once (20); one in five posts photos")
    parser.add_argument("--minutes", type=float, default=2, help="how long (2); up to 10, as long as a sign-in lasts")
    asked = parser.parse_args()
    if asked.users < 1 or not 0 < asked.minutes <= 10:
        parser.error("at least one user, and up to 10 minutes")
    packages(HERE / "requirements.txt", TOOL)
    env = current(HmletEnv)
    stage = open_stage(PROJECT, env, print)
    names: list[str] = []
    try:
        with tempfile.TemporaryDirectory(prefix="load-") as folder, Accounts(env, stage, names) as accounts:
            people = [accounts.new() for _ in range(ACCOUNTS)]
            pictures = Path(folder) / "pictures"
            pictures.mkdir()
            for seed, size in enumerate(SIZES):
                (pictures / f"{seed}.jpg").write_bytes(jpeg(grainy(landscape(seed, size), seed, strength=6)))
            for number in range(FIRST_PHOTOS):
                name = f"lake {number} {secrets.token_hex(4)}"
                image = distinct((pictures / "0.jpg").read_bytes(), name)
                client = people[number % ACCOUNTS].client
                client.photos.create(Photo(name=name, caption="The lake #load", image=image), wait_s=10)
            told = Path(folder) / "accounts.json"
            told.touch(0o600)
            told.write_text(json.dumps([[person.name, person.password] for person in people]))
            return _locust(env.web_url, told, pictures, users=asked.users, minutes=asked.minutes)
    finally:
        remove_users(stage, names)


def _locust(url: str, accounts: Path, pictures: Path, *, users: int, minutes: float) -> int:
    environ = {**os.environ, "PYTHONPATH": str(TOOL), "LOAD_ACCOUNTS": str(accounts), "LOAD_PICTURES": str(pictures)}
    argv = [
        *(getattr(sys, "_base_executable", sys.executable), "-m", "locust", "--headless", "--only-summary"),
        *("--locustfile", str(HERE / "locustfile.py"), "--host", url, "--loglevel", "WARNING"),
        *("--users", str(users), "--spawn-rate", "2", "--run-time", f"{round(minutes * 60)}s", "--stop-timeout", "30"),
    ]
    return subprocess.run(argv, env=environ, cwd=accounts.parent, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
