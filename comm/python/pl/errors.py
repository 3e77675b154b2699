"""Every failure that a user can see, with its exit status and what to do next.

``PlError``
 ├── ``UsageError``            2   what was typed makes no sense
 │    ├── ``StageUnknown``
 │    └── ``NotInStage``
 ├── ``EnvInvalid``            1   fields of a stage are wrong; all of them at once
 ├── ``VenvFailed``            1   .venv could not be made; the old one, if any, stays
 ├── ``CommandFailed``         1   a program that was started ended with an error
 ├── ``CommandMissing``        1   a program is not there
 ├── ``CommandTimedOut``       1
 ├── ``StageUnsupported``      1   this stage cannot do that (yet), and what can
 ├── ``StateInvalid``          1   the state directory is damaged, too new or open to others
 ├── ``StateBusy``             1   another command holds the stage
 ├── ``PortTaken``             1   a remembered port is in somebody else's hands
 ├── ``ServerFailed``          1   a server did not come up; its last log lines are in the message
 ├── ``StageDown``             1   the command needs a running stage
 ├── ``SmokeFailed``           1   the stage runs, but a photo did not get through
 ├── ``StepsFailed``           1   one or more steps of a plan failed; holds their errors
 ├── ``SuitesInvalid``         1   suites.toml makes no sense
 ├── ``SuitesFailed``          1   tests are red, or left out where none may be
 ├── ``LockFailed``            1   a lock could not be refreshed; all locks are as they were
 ├── ``ToolsInvalid``          1   tools.toml, ours or a mirror's, makes no sense; all mistakes at once
 ├── ``ToolMissing``           1   a tool is not in .deps, or there is none for this machine
 ├── ``ToolUnverified``        1   nothing says what a tool's checksum is, so it is not fetched
 ├── ``ChecksumWrong``         1   what was fetched is not what was recorded; it was thrown away
 ├── ``ArchiveUnusable``       1   an archive does not hold the program as tools.toml says
 ├── ``FetchFailed``           1   a download came to no end; what came is kept, and the next run goes on there
 ├── ``MirrorUnusable``        1   PL_MIRROR cannot be used, or does not hold what this checkout needs
 ├── ``NoSpace``               1   the disk is full
 ├── ``MachineUnfit``          1   pl.doctor found something that is required and wrong
 ├── ``KubeconfigInvalid``     1   a kubeconfig cannot be used as it is
 ├── ``ClusterLoginFailed``    1   no credential for a cluster could be had
 ├── ``ClusterAway``           1   a cluster does not answer
 ├── ``ApiRefused``            1   a cluster answered with a refusal, whose status and reason it has
 ├── ``PodFailed``             1   a pod that was started for a while did not come up, or did not end by itself
 ├── ``WatchLost``             1   a watch or a log broke off: list again
 ├── ``ClusterMistaken``       1   the stage's kubeconfig leads to another cluster than it did
 ├── ``ReleaseInvalid``        1   a chart, its values or the two together make no sense; nothing was touched
 ├── ``ReleaseFailed``         1   a release did not come up; its cause, its logs, and what serves now
 ├── ``ReleaseStuck``          1   a release could not be taken back to what served before
 ├── ``EngineAway``            1   there is no Docker engine to be used
 ├── ``KindConfigInvalid``     1   a kind.yaml makes no sense
 ├── ``ClusterUnfit``          1   an existing cluster lacks what a deploy needs; all of it at once
 ├── ``HostsUnwritable``       1   /etc/hosts is not to be written, or is damaged
 ├── ``SecretsInvalid``        1   a file of encrypted secrets cannot be used
 ├── ``ImagesInvalid``         1   a skaffold.yaml makes no sense; all mistakes at once
 ├── ``ImageInvalid``          1   an image's build context, Dockerfile or entry cannot be used
 ├── ``BuildFailed``           1   an image could not be built; holds the last lines of the step that failed
 ├── ``PullFailed``            1   an image is neither in the engine nor to be had
 ├── ``RegistryAway``          1   a registry does not answer, or wants a login
 ├── ``LockLost``              1   another deploy took the namespace over in the middle of this one
 ├── ``PlanChanged``           1   a deploy would do something else by now than was reviewed
 ├── ``BackupUnusable``        1   a backup cannot be taken, or is not to be restored; nothing was changed
 ├── ``RestoreIncomplete``     1   a restore began and did not come to its end, or rows and objects do not agree
 ├── ``Declined``              1   asked, and the answer was no
 └── ``Interrupted``         130   Ctrl-C, and what it left unfinished

Any other exception is a bug: ``pl.cli.door`` writes its traceback to a log and exits with 3.
"""

from collections.abc import Sequence


class PlError(Exception):
    """What happened, why, and what to type next.

    ``what`` is one line. ``why`` may have several (the end of a log, a list of mistakes). ``hint`` is a command or an
    action. No argument may hold a secret: all three are printed.
    """

    exit_status = 1

    def __init__(self, what: str, *, why: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.hint = hint

    def __str__(self) -> str:
        lines = [self.what]
        lines += [f"  {line}" for line in self.why.splitlines()]
        if self.hint:
            lines.append(f"  → {self.hint}")
        return "\n".join(lines)


class UsageError(PlError):
    """The command line makes no sense."""

    exit_status = 2


class StageUnknown(UsageError):
    """A stage was named that the project does not define."""

    def __init__(self, stage: str, known: Sequence[str], command: str) -> None:
        super().__init__(
            f"no stage is called {stage!r}" if stage else "a stage must be named",
            why=f"stages: {', '.join(known)}",
            hint=f"{command} {known[0] if known else 'STAGE'}",
        )


class NotInStage(UsageError):
    """A command that works on a stage was called outside a shell."""

    def __init__(self, command: str, opener: str) -> None:
        super().__init__(f"{command} works inside a stage's shell, and this is none", hint=f"{opener} -- {command}")


class EnvInvalid(PlError):
    """Fields of a stage's environment are wrong. ``mistakes`` names each with its file."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        self.mistakes = tuple(mistakes)
        count = len(self.mistakes)
        super().__init__(
            f"the environment has {count} wrong field{'s' if count > 1 else ''}",
            why="\n".join(self.mistakes),
            hint="mend the named files; pl.env documents the types that a field may have",
        )


class VenvFailed(PlError):
    """``.venv`` could not be made. What was there before is still in place."""


class CommandFailed(PlError):
    """A program ended with an error. ``status`` is its exit status, negative for a signal."""

    def __init__(self, argv: Sequence[str], status: int, output: str, *, hint: str = "") -> None:
        self.status = status
        self.output = output
        ending = f"exit status {status}" if status >= 0 else f"signal {-status}"
        super().__init__(f"{argv[0]} failed ({ending})", why=_last_lines(output), hint=hint)


class CommandMissing(PlError):
    """A program that is needed is not there."""

    def __init__(self, name: str, *, hint: str = "") -> None:
        super().__init__(f"{name} was not found", hint=hint or "pl.doctor checks this machine")


class CommandTimedOut(PlError):
    """A program did not end in time and was killed."""

    def __init__(self, argv: Sequence[str], timeout_s: float, output: str = "") -> None:
        super().__init__(f"{argv[0]} did not end within {timeout_s:g} s", why=_last_lines(output))


class StageUnsupported(PlError):
    """The stage cannot do that; the message says what is missing or what it has instead."""


class StateInvalid(PlError):
    """The state directory cannot be used as it is."""


class StateBusy(PlError):
    """Another command is changing the stage."""


class PortTaken(PlError):
    """A port that this instance remembered is used by a process that is not its own."""


class ServerFailed(PlError):
    """A server did not come up."""

    def __init__(self, name: str, why: str, log_tail: str, *, hint: str) -> None:
        super().__init__(f"{name} {why}", why=_last_lines(log_tail), hint=hint)


class StageDown(PlError):
    """The command needs a stage that runs."""


class SmokeFailed(PlError):
    """The stage runs, but the smoke test found it not to work."""


class StepsFailed(PlError):
    """Steps of a plan failed. ``failures`` maps their names to the errors."""

    def __init__(self, failures: dict[str, PlError], skipped: Sequence[str]) -> None:
        self.failures = failures
        why = "\n".join(f"{name}: {error}" for name, error in failures.items())
        if skipped:
            why += f"\nnot tried, because of that: {', '.join(skipped)}"
        super().__init__(f"{', '.join(failures)} failed", why=why)


class SuitesInvalid(PlError):
    """suites.toml says something that makes no sense."""


class SuitesFailed(PlError):
    """Test suites are red, or were left out where none may be."""


class LockFailed(PlError):
    """A lock could not be refreshed. All locks are as they were."""


class ToolsInvalid(PlError):
    """A tools.toml makes no sense. ``mistakes`` names each with its place."""

    def __init__(self, place: str, mistakes: Sequence[str]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__(f"{place} cannot be used", why="\n".join(self.mistakes), hint="mend the named entries")


class ToolMissing(PlError):
    """A tool is not in .deps, or there is none for this machine."""


class ToolUnverified(PlError):
    """Nothing says what a tool's checksum is. It is neither fetched nor run."""


class ChecksumWrong(PlError):
    """What was fetched is not what was recorded. It was thrown away; the version from before is in place."""

    def __init__(self, what: str, *, wanted: str, found: str, said_by: str, hint: str) -> None:
        super().__init__(
            f"{what} has a wrong checksum",
            why=f"recorded {wanted} ({said_by})\nfetched  {found}\nit was thrown away",
            hint=hint,
        )


class ArchiveUnusable(PlError):
    """An archive does not hold the program as tools.toml says."""


class FetchFailed(PlError):
    """A download came to no end. ``passing`` says whether the same request may well succeed a moment later."""

    def __init__(self, what: str, *, why: str = "", hint: str = "", passing: bool = False) -> None:
        self.passing = passing
        super().__init__(what, why=why, hint=hint)


class MirrorUnusable(PlError):
    """PL_MIRROR cannot be used, or does not hold what this checkout needs."""


class NoSpace(PlError):
    """The disk is full."""

    def __init__(self, folder: str) -> None:
        super().__init__(
            f"no space left below {folder}",
            why="what was there before is in place",
            hint="free about 1 GB, then call the same command again; what was fetched so far is kept",
        )


class MachineUnfit(PlError):
    """Something that is required on this machine is wrong."""


class KubeconfigInvalid(PlError):
    """A kubeconfig cannot be used as it is."""


class ClusterLoginFailed(PlError):
    """No credential for a cluster could be had."""


class ClusterAway(PlError):
    """A cluster does not answer. ``address`` is where it was looked for.

    ``passing`` says whether it may answer a moment later: not where somebody else answers in its place.
    """

    def __init__(self, address: str, *, why: str, hint: str = "", passing: bool = True) -> None:
        self.address = address
        self.passing = passing
        super().__init__(
            f"the cluster at {address} does not answer",
            why=why,
            hint=hint or "see whether it runs and can be reached from here, then repeat",
        )


class ApiRefused(PlError):
    """A cluster answered a request with a refusal.

    ``status`` is HTTP's, ``reason`` and ``message`` are the cluster's own ("Forbidden", "AlreadyExists").
    """

    def __init__(self, asked: str, *, status: int, reason: str, message: str, context: str) -> None:
        self.status = status
        self.reason = reason
        self.message = message
        hints = {
            401: f"log in to the cluster of the context {context} again, then repeat",
            403: f"the user of the context {context} needs that permission in the cluster",
        }
        unknown = f"it does not know who asks: the credentials of the context {context} are missing, wrong or expired"
        super().__init__(
            f"the cluster refused: {asked} ({status} {reason})".replace(" )", ")"),
            why=unknown if status == 401 else message,
            hint=hints.get(status, ""),
        )


class PodFailed(PlError):
    """A pod that was to do one thing could not be started, or was ended by something else."""


class WatchLost(PlError):
    """A watch or a log broke off, or what it was to go on from is forgotten: list again, then watch from there."""


class ClusterMistaken(PlError):
    """The stage's kubeconfig leads to another cluster than the one that it was recorded with."""


class ReleaseInvalid(PlError):
    """A chart, its values or the two together make no sense. Nothing was touched."""

    def __init__(self, release: str, why: str, *, hint: str = "") -> None:
        self.release = release
        super().__init__(f"the release {release} cannot be rendered", why=why, hint=hint or "mend that, then repeat")


class ReleaseFailed(PlError):
    """A release did not come up. ``cause`` is why, ``outcome`` what serves now, ``logs`` the folder with its logs."""

    def __init__(self, release: str, cause: str, *, outcome: str, detail: str = "", logs: str = "") -> None:
        self.release = release
        self.cause = cause
        self.outcome = outcome
        self.logs = logs
        super().__init__(
            cause,
            why="\n".join(part for part in (detail.rstrip(), outcome) if part),
            hint=f"logs: {logs}" if logs else "",
        )


class ReleaseStuck(PlError):
    """A release could not be taken back to what served before. The next deploy tries again."""


class EngineAway(PlError):
    """There is no Docker engine, or not for this user."""


class KindConfigInvalid(PlError):
    """A kind.yaml makes no sense. ``mistakes`` names each with its line."""

    def __init__(self, file: str, mistakes: Sequence[str]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__(f"{file} cannot be used", why="\n".join(self.mistakes), hint="mend the named lines")


class ClusterUnfit(PlError):
    """An existing cluster lacks what a deploy needs. ``faults`` names all of it."""

    def __init__(self, context: str, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__(
            f"the cluster of the context {context} cannot be deployed to",
            why="\n".join(self.faults),
            hint="mend these, or ask whoever runs the cluster to, then bootstrap again",
        )


class HostsUnwritable(PlError):
    """The hosts file is not to be written, or is damaged."""


class SecretsInvalid(PlError):
    """A file of encrypted secrets cannot be used."""


class LockLost(PlError):
    """The Lease that keeps two deploys apart went to another: this one could not renew it in time."""

    def __init__(self, lease: str, taken_by: str) -> None:
        super().__init__(
            "another deploy took the namespace over in the middle of this one",
            why=f"the Lease {lease} is held by {taken_by}",
            hint="wait for that one, then look at diff and deploy again",
        )


class PlanChanged(PlError):
    """What was reviewed is not what would be done any more."""

    def __init__(self, reviewed: str, found: str, hint: str) -> None:
        super().__init__(
            "a deploy would do something else than what was reviewed",
            why=f"reviewed: {reviewed}\nnow:      {found}",
            hint=hint,
        )


class ImagesInvalid(PlError):
    """A skaffold.yaml makes no sense. ``mistakes`` names each with its place."""

    def __init__(self, file: str, mistakes: Sequence[str]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__(f"{file} cannot be used", why="\n".join(self.mistakes), hint="mend the named entries")


class ImageInvalid(PlError):
    """An image's build context, its Dockerfile or its entry cannot be used."""

    def __init__(self, image: str, *, why: str) -> None:
        super().__init__(
            f"the image {image} cannot be built as it is described", why=why, hint="mend that, then repeat"
        )


class BuildFailed(PlError):
    """An image could not be built."""

    def __init__(self, image: str, *, why: str, hint: str = "") -> None:
        super().__init__(f"the image {image} could not be built", why=why, hint=hint)


class PullFailed(PlError):
    """An image is not in the engine, and it could not be pulled either."""

    def __init__(self, image: str, *, why: str) -> None:
        super().__init__(
            f"{image} is not in the Docker engine and could not be pulled",
            why=why,
            hint=f"mend that, or bring it there otherwise (docker load), then repeat; to try: docker pull {image}",
        )


class ImageAbsent(PlError):
    """Images that the cluster is to pull are not where it would pull them from."""

    def __init__(self, references: Sequence[str]) -> None:
        super().__init__(
            f"{len(references)} of the images are not in the stage's mirror, and nothing was changed",
            why="\n".join(references),
            hint="bring them there (docker tag, docker push), or see what the mirror says of them, then repeat",
        )


class RegistryAway(PlError):
    """A registry does not answer, or does not let us in."""

    def __init__(self, registry: str, *, why: str, hint: str = "") -> None:
        super().__init__(
            f"the registry {registry} cannot be used",
            why=why,
            hint=hint or "see whether it runs and can be reached from here, then repeat",
        )


class BackupUnusable(PlError):
    """A backup cannot be taken, or is not whole, not for this key, or not for this version. Nothing was changed."""


class RestoreIncomplete(PlError):
    """A restore began and did not come to its end, or what it brought back does not fit together."""


class Declined(PlError):
    """A question was answered with no, or could not be asked."""


class Interrupted(PlError):
    """The user pressed Ctrl-C."""

    exit_status = 130


def _last_lines(output: str, count: int = 15) -> str:
    return "\n".join(output.rstrip().splitlines()[-count:])
