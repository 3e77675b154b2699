"""A company with a project whose stages are in a cluster that exists, and several machines that deploy to it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clusters import CHECKOUT, Kind
from pl.cluster import kubeconfig
from pl.images.skaffold import tag_variable

CHART = Path(__file__).parent / "charts/page"
BASE = "nginxinc/nginx-unprivileged:1.26"
HELPER = "valkey/valkey:8.1"
TIMEOUT_S = 240

_ENV_COMM = """
from pathlib import Path
from typing import ClassVar

from pl.cluster_env import ExistingEnv
from pl.env import Secret, generated_secret


class CompanyEnv(ExistingEnv):
    prefix: ClassVar[str] = "CO"
    code = "co"
    emoji = "🧪"
    kube_context = "company"
    kube_source = Path({source!r})
    image_registry = "{registry}/company"
    image_mirror = "{registry}/mirror"
    image_platform = ""
    helper_image: str = {helper!r}
    password: Secret = generated_secret()
"""
_ENV_STAGE = """
from company.env_comm import CompanyEnv


class StageEnv(CompanyEnv):
    namespace = "company-{stage}"
{fields}
"""
_OF_PROD = "    needs_clean_git = True\n    confirm_by_name = True\n    may_be_destroyed = False\n"
_PROJECT = """
from pl.cluster.platform import ClusterPlatform, Image, Release, SecretObject
from pl.project import Project
from company.env_comm import CompanyEnv


def _platform(env):
    return ClusterPlatform(
        namespace=env.namespace,
        images=(Image(name="company-web", context=env.root / "web"),),
        secrets=(SecretObject(name="web-auth", keys={"password": env.password}),),
        releases=(
            Release(
                name="web",
                chart=env.root / "chart",
                values=env.root / "values" / f"{env.stage}.yaml",
                settings={"secretName": "web-auth"},
                images={"image": "company-web", "helperImage": env.helper_image},
                secrets={"checksum": "web-auth"},
            ),
        ),
        inside={},
        host_names=("company.example",),
        edge="web",
    )


PROJECT = Project(
    env=CompanyEnv,
    host_platform=_platform,
    cluster_platform=_platform,
    smoke=lambda env, stage: "nothing to try",
    addresses=lambda env: {},
    credentials=lambda env: {},
)
"""
_SKAFFOLD = f"""\
apiVersion: skaffold/v4beta13
kind: Config
build:
  tagPolicy:
    envTemplate:
      template: '{{{{ index . (printf "{tag_variable("")}%s" (.IMAGE_NAME | replace "-" "_" | upper)) }}}}'
  local: {{push: true, useBuildkit: true}}
  artifacts:
    - image: company-web
      context: web
"""


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a command printed, and its exit status."""

    status: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A clone of the project's repository, and a home for what stages keep."""

    checkout: Path
    home: Path
    source: Path

    @classmethod
    def of(cls, repository: Path, home: Path, source: Path) -> Machine:
        checkout = home / "checkout"
        git(home, "clone", "--quiet", str(repository), str(checkout))
        link_tools(checkout)
        return cls(checkout=checkout, home=home, source=source)

    def argv(self, *words: str) -> list[str]:
        return [sys.executable, str(self.checkout / "company/cluster.py"), *words]

    def variables(self, stage: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PL_", "HT_", "PS_"))}
        kept |= {name: os.environ[name] for name in ("PL_MIRROR",) if name in os.environ}
        return {
            **kept,
            "PL_CHECKOUT": str(self.checkout),
            "PL_ROOT": str(self.checkout / "company"),
            "PL_STAGE": stage,
            "PL_INSTANCE": "remote",
            "XDG_STATE_HOME": str(self.home / "state"),
        }

    def run(self, stage: str, *words: str) -> Said:
        """A subcommand of cluster.py, with no terminal to ask on."""
        done = subprocess.run(
            self.argv(*words),
            env=self.variables(stage),
            cwd=self.checkout,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        return Said(status=done.returncode, text=done.stdout)

    def done(self, stage: str, *words: str) -> str:
        said = self.run(stage, *words)
        assert said.status == 0, said.text
        return said.text

    def digest(self, stage: str) -> str:
        """That of what a deploy would do now."""
        review: dict[str, Any] = json.loads(self.done(stage, "diff", "--json"))
        return str(review["digest"])

    def changed(self, stage: str) -> list[str]:
        return [change["name"] for change in json.loads(self.done(stage, "diff", "--json"))["changes"]]

    def greet(self, stage: str, greeting: str) -> None:
        """Change one value, and commit that."""
        (self.checkout / "company/values" / f"{stage}.yaml").write_text(f"greeting: {greeting}\n")
        git(self.checkout, "commit", "--quiet", "--all", "--message", greeting)


def write_project(repository: Path, source: Path, registry: str) -> None:
    """The project, committed: ``stage`` and ``prod`` in the cluster of the context ``company``."""
    root = repository / "company"
    (root / "values").mkdir(parents=True)
    (root / "web").mkdir()
    (root / "env_comm.py").write_text(_ENV_COMM.format(source=str(source), registry=registry, helper=HELPER))
    for stage, fields in (("stage", ""), ("prod", _OF_PROD)):
        (root / f"env_{stage}.py").write_text(_ENV_STAGE.format(stage=stage, fields=fields))
        (root / "values" / f"{stage}.yaml").write_text("greeting: hello\n")
    (root / "project.py").write_text(_PROJECT)
    (root / "cluster.py").write_text(
        "import os, sys\nhere = os.path.dirname(os.path.realpath(__file__))\n"
        'sys.path[:0] = [os.path.join(here, "../comm/python"), os.path.join(here, "..")]\n'
        'from pl.entry import cluster\n\ncluster(__file__, "company.project:PROJECT")\n'
    )
    (root / "skaffold.yaml").write_text(_SKAFFOLD)
    (root / "web/Dockerfile").write_text(f"FROM {BASE}\nCOPY page.conf /etc/nginx/conf.d/default.conf\n")
    # Nobody has built an image of this yet: it is the run's own.
    (root / "web/page.conf").write_text(f"server {{ listen 8080; location / {{ return 200 '{registry}'; }} }}\n")
    shutil.copytree(CHART, root / "chart")
    (repository / ".gitignore").write_text("/.deps\n/.venv\n/comm\n__pycache__/\n")
    git(repository, "init", "--quiet", "--initial-branch", "main")
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", "all of it")


def link_tools(checkout: Path) -> None:
    """The tools and the toolkit are those of the real checkout."""
    for shared in (".deps", ".venv", "comm"):
        (checkout / shared).symlink_to(CHECKOUT / shared)


def lead_to(source: Path, kind: Kind) -> None:
    """Have the company's context lead to a cluster."""
    content = json.loads(kubeconfig.flattened(kind.kubeconfig))
    content["contexts"][0]["name"] = content["current-context"] = "company"
    source.write_text(json.dumps(content))


def git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)
