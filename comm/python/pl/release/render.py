"""Charts and values to objects, by helm, once for each set of inputs: helm takes 80 ms, what it said last time one."""

from __future__ import annotations

import json
import re
from pathlib import Path

from pl.cluster.platform import Release
from pl.digest import text_digest, tree_digest
from pl.errors import ReleaseInvalid
from pl.files import write_whole
from pl.release.helm import Helm, values_text
from pl.release.manifest import Manifest, parsed
from pl.release.values import Values

_KEPT = 4  # of each release: two branches, and each before and after its first deploy
_SCHEMA_MISTAKE = re.compile(r"^- at '(?P<place>[^']*)': (?P<what>.*)$")
_UNKNOWN_KEYS = re.compile(r"additional propert(?:y|ies) (?P<keys>'.*') not allowed")


class Renderer:
    """``folder`` is where renders are kept. They may be thrown away at any time."""

    def __init__(self, helm: Helm, folder: Path, *, kube_version: str) -> None:
        self._helm = helm
        self._folder = folder
        self._kube_version = kube_version

    def render(self, release: Release, values: Values, *, is_upgrade: bool) -> Manifest:
        """Raises ReleaseInvalid: for values that the chart's schema refuses, with each one's path and place."""
        text = values_text(values.tree)
        digest = text_digest(
            str(is_upgrade),
            self._helm.version,
            self._helm.namespace,
            self._kube_version,
            tree_digest(release.chart),
            text,
        )
        file = self._folder / f"{release.name}@{digest}.json"
        found = _read(file)
        if found is None:
            found = self._rendered(release, values, text, is_upgrade=is_upgrade)
            self._keep(release.name, file, found)
        return found

    def _rendered(self, release: Release, values: Values, text: str, *, is_upgrade: bool) -> Manifest:
        import yaml

        if not (release.chart / "Chart.yaml").is_file():
            raise ReleaseInvalid(release.name, f"{release.chart} holds no chart")
        result = self._helm.render(
            release.name, release.chart, text, kube_version=self._kube_version, is_upgrade=is_upgrade
        )
        if result.status != 0:
            raise ReleaseInvalid(release.name, _explained(result.stderr, values))
        try:
            return parsed([result.stdout])
        except yaml.YAMLError as error:
            raise ReleaseInvalid(release.name, f"what {release.chart} renders is no YAML: {error}") from None

    def _keep(self, release: str, file: Path, manifest: Manifest) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(file, json.dumps({"objects": manifest.objects, "hooks": manifest.hooks}))
        kept = sorted(self._folder.glob(f"{release}@*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
        for old in kept[_KEPT:]:
            old.unlink(missing_ok=True)


def _read(file: Path) -> Manifest | None:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return Manifest(objects=tuple(content["objects"]), hooks=tuple(content["hooks"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _explained(said: str, values: Values) -> str:
    """helm's words; where they are about values, with the path of each mistake and the file that holds it."""
    mistakes = []
    for line in said.splitlines():
        match = _SCHEMA_MISTAKE.match(line.strip())
        if match:
            mistakes += _mistakes(match["place"], match["what"], values)
    return "\n".join(mistakes) or said.strip()


def _mistakes(place: str, what: str, values: Values) -> list[str]:
    above = [part.replace("~1", "/").replace("~0", "~") for part in place.split("/") if part]
    unknown = _UNKNOWN_KEYS.search(what)
    if not unknown:
        return [_mistake(".".join(above), what, values)]
    keys = [key.strip(" '") for key in unknown["keys"].split(",")]
    return [_mistake(".".join([*above, key]), "the chart knows no such key", values) for key in keys]


def _mistake(path: str, what: str, values: Values) -> str:
    origin = values.origin(path)
    return f"{path or 'values'}: {what}" + (f" ({origin})" if origin else "")
