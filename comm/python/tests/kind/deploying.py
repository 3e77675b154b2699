"""One deploy, in a process of its own: tests kill it. Argument: JSON, as ``releases.Place.deploying`` makes it."""

import json
import sys
import time
from pathlib import Path

from pl.cluster import lock
from pl.cluster.api import Api
from pl.errors import PlError
from releases import Place, serve


def main() -> None:
    spec = json.loads(sys.argv[1])
    kubeconfig = Path(spec["kubeconfig"])
    place = Place(
        kubeconfig=kubeconfig,
        helm=Path(spec["helm"]),
        namespace=spec["namespace"],
        folder=Path(spec["folder"]),
        registry=spec["registry"],
        api=Api.of(kubeconfig),
    )
    made = [serve(one["name"], needs=one["needs"], **one["settings"]) for one in spec["releases"]]
    began = time.monotonic()
    try:
        if spec["locks"]:
            with lock.held(place.api, place.namespace, say=lambda text: print(text, flush=True)):  # noqa: T201
                told = place.deploy(*made, timeout_s=spec["timeout_s"])
        else:
            told = place.deploy(*made, timeout_s=spec["timeout_s"])
    except PlError as error:
        sys.stdout.write(f"{error}\n")
        sys.exit(error.exit_status)
    sys.stdout.write(f"{told.done_} in {time.monotonic() - began:.1f} s\n")


if __name__ == "__main__":
    main()
