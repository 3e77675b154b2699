"""What imaging is measured against, and photographs to measure it with.

``available()`` fetches what is missing by hash into .cache/bench/imaging and puts Python's part at the end of the path,
where it hides nothing of the platform's. The photographs are those that two libraries are tested with, out of their
source archives: Pillow's (HPND) and pillow-heif's (BSD-3-Clause).
"""

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from bench.fetching import CACHE, fetched, packages, pip, run

HERE = Path(__file__).resolve().parent
NODE = CACHE / "imaging/node"
_PYTHON = CACHE / "imaging/python"
_PHOTOGRAPHS = CACHE / "imaging/photographs"

_ARCHIVES = {
    "pillow==13.0.0": (
        "cdcd1ba258178f7356d74170c9a81ba4eab6a5d55748bc402a5a2a6fe6be3510",
        ("fujifilm.mpo", "xmp_test.jpg", "flower.jpg"),
    ),
    "pillow-heif==1.8.1": (
        "521ebffb8a181d56c3904e5a61f20903edee0d9d3275967b8fb345f866215c06",
        ("pug.heic", "arrow.heic", "empty_icc.heic", "spatial_photo.heic", "xiaomi.heic", "aux_YCbCr.heic"),
    ),
}


def available() -> list[str]:
    """Fetch what is missing. The names of what is not to be had here, where the reason was told."""
    missing = []
    for name, fetch in (("python", _python_fetch), ("node", _node_fetch), ("photographs", _photographs_fetch)):
        try:
            fetch()
        except (OSError, subprocess.CalledProcessError, tarfile.TarError) as error:
            print(f"not to be had: {error}", file=sys.stderr)
            missing.append(name)
    if "python" not in missing and str(_PYTHON) not in sys.path:
        sys.path.append(str(_PYTHON))
    return missing


def photographs() -> list[Path]:
    """In the order of their names; none where they are not to be had."""
    return sorted(path for path in _PHOTOGRAPHS.glob("*.*") if path.name != ".complete")


def _python_fetch() -> None:
    packages(HERE / "requirements.txt", _PYTHON)


def _node_fetch() -> None:
    fetched(NODE, (HERE / "package-lock.json").read_bytes(), _node_modules)


def _node_modules(folder: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder)
    run(["npm", "ci", "--no-audit", "--no-fund", "--silent", "--ignore-scripts"], cwd=folder)


def _photographs_fetch() -> None:
    fetched(_PHOTOGRAPHS, repr(_ARCHIVES).encode(), _photographs)


def _photographs(folder: Path) -> None:
    wanted = folder / "archives.txt"
    wanted.write_text("".join(f"{name} --hash=sha256:{digest}\n" for name, (digest, _) in _ARCHIVES.items()))
    names = ",".join(name.partition("==")[0] for name in _ARCHIVES)
    hashed = ["--require-hashes", "--no-deps", "--quiet", "--no-binary", names, "-r", str(wanted)]
    run([*pip(), "download", "--dest", str(folder), *hashed])
    kept = {name for _, names in _ARCHIVES.values() for name in names}
    for archive in folder.glob("*.tar.gz"):
        with tarfile.open(archive) as opened:
            for member in opened:
                if (name := Path(member.name).name) in kept and (content := opened.extractfile(member)):
                    (folder / name).write_bytes(content.read())
        archive.unlink()
    wanted.unlink()


if __name__ == "__main__":
    sys.exit(bool(available()))
