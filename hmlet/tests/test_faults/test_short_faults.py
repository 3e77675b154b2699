"""The faults that take seconds; ``python -m hmlet.tests.faults`` tries all."""

from __future__ import annotations

import pytest

from hmlet.tests.faults.catalogue import Fault, all_faults
from hmlet.tests.faults.host_scene import HostScene
from hmlet.tests.faults.trial import tried
from hmlet.tests.test_host.place import Place


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("fault", [fault for fault in all_faults() if fault.quick], ids=lambda fault: fault.name)
def test_what_was_accepted_survives(place: Place, fault: Fault) -> None:
    assert fault.run is not None
    outcome = tried(HostScene(place=place), fault.name, fault.run)
    assert outcome.wrong == ()
    assert outcome.with_thumbnail == outcome.accepted > 0
