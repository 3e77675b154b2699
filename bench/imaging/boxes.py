"""Boxes that were found against boxes that were to be found."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from imaging.diff_options import Box

OVERLAP_RIGHT = 0.5


@dataclass(slots=True)
class Score:
    """Numbers of boxes, and how much those that are right overlap."""

    right: int = 0
    missed: int = 0
    wrong: int = 0
    overlaps: list[float] = field(default_factory=list)

    def add(self, other: "Score") -> None:
        """Count those of ``other`` in."""
        self.right += other.right
        self.missed += other.missed
        self.wrong += other.wrong
        self.overlaps += other.overlaps

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall; 1 where there was nothing to find and nothing found."""
        total = 2 * self.right + self.missed + self.wrong
        return 2 * self.right / total if total else 1.0

    def line(self) -> str:
        """In numbers, for people."""
        precision = self.right / (self.right + self.wrong) if self.right + self.wrong else 1.0
        recall = self.right / (self.right + self.missed) if self.right + self.missed else 1.0
        overlap = sum(self.overlaps) / len(self.overlaps) if self.overlaps else 1.0
        boxes = self.right + self.missed
        return (
            f"{boxes:5} boxes  precision {precision:.3f}  recall {recall:.3f}  F1 {self.f1:.3f}  overlap {overlap:.3f}"
        )


def scored(found: Sequence[Box], truth: list[Box], doubtful: list[Box]) -> Score:
    """Each box of the truth with the one found that overlaps it most, the best first.

    What was found where there is a doubtful change is neither right nor wrong.
    """
    overlaps = sorted(
        ((overlap(box, other), i, j) for i, box in enumerate(truth) for j, other in enumerate(found)), reverse=True
    )
    score = Score()
    told_of: set[int] = set()
    used: set[int] = set()
    for shared, i, j in overlaps:
        if shared < OVERLAP_RIGHT:
            break
        if i not in told_of and j not in used:
            told_of.add(i)
            used.add(j)
            score.overlaps.append(shared)
    score.right = len(told_of)
    score.missed = len(truth) - score.right
    score.wrong = sum(
        j not in used and not any(overlap(box, other) > 0 for other in doubtful) for j, box in enumerate(found)
    )
    return score


def overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    across = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    down = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    if across <= 0 or down <= 0:
        return 0.0
    shared = across * down
    return float(shared / (one.width * one.height + other.width * other.height - shared))
