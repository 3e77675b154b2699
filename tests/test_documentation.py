"""What doc/ lists is what there is: a setting or a module that nobody described fails here."""

from __future__ import annotations

import re
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
ARCHITECTURE = (CHECKOUT / "doc/architecture.rst").read_text(encoding="utf-8")


def test_the_table_of_settings_names_what_the_flesh_reads_and_nothing_else() -> None:
    source = (CHECKOUT / "hmlet/photos/flesh/config/settings.py").read_text(encoding="utf-8")
    read = set(re.findall(r"env\.\w+\(\s*['\"]([A-Z0-9_]+)['\"]", source))
    table = ARCHITECTURE[ARCHITECTURE.index("=====\n``DJANGO_SECRET_KEY``") : ARCHITECTURE.index("The platform\n---")]
    named = set(re.findall(r"``([A-Z][A-Z0-9_]+)``", table))
    named |= {"DATABASE_PORT"} if "``_PORT``" in table else set()
    assert read == named


def test_the_page_of_the_architecture_names_every_app_of_the_platform() -> None:
    flesh = CHECKOUT / "hmlet/photos/flesh"
    apps = {folder.name for folder in flesh.iterdir() if (folder / "__init__.py").exists()} - {"tests"}
    platform = ARCHITECTURE[ARCHITECTURE.index("The platform\n---") :]
    assert apps == set(re.findall(r"^    (\w+)/ ", platform, re.MULTILINE))
