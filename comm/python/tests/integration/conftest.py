"""Throw-away checkouts for tests of the shells. Nothing here writes into the real one, or into the user's home."""

import subprocess
from pathlib import Path

import pytest
from shells import copied, environment


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def env(home: Path) -> dict[str, str]:
    return environment(home)


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with a current ``.venv``, for tests that leave it as it is."""
    folder = copied(tmp_path_factory.mktemp("checkout"))
    home = tmp_path_factory.mktemp("home")
    subprocess.run([folder / "shell.py", "--", "true"], env=environment(home), check=True)
    return folder


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """A checkout without ``.venv``, with uv fetched."""
    return copied(tmp_path / "fresh")
