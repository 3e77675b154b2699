"""The host stage's commands: what ``cluster.py`` does where there is no cluster."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import IO, cast

from pl import proc, secrets
from pl.digest import text_digest
from pl.durations import brief
from pl.env import StageEnv, load, ports_file
from pl.errors import CommandFailed, Interrupted, PortTaken, ServerFailed, StageDown, StageUnsupported, UsageError
from pl.host import strays
from pl.host.plan import plan
from pl.host.platform import NotReadyError, Platform, Program, Task, needs_among, tasks_resting_on
from pl.host.state import StageState
from pl.host.supervisor import ProcessInfo, Supervisor, spec_digest
from pl.host.tail import tailed
from pl.ports import choose_ports, holder_of, is_free
from pl.stage import Change, LogLine, Review, Stage, Status, Table
from pl.steps import Progress, Step, run_steps, with_needs

_READY_POLL_S = 0.02
_STAYS_UNREADY_S = 10.0
_PORT_FREED_WITHIN_S = 2.0
_SMOKE = "smoke"
_MEND = "mend that, then deploy again"
_MEND_SPACE = "free space where the state is, then deploy again"


class HostStage:
    """One project on the host stage.

    ``platform_of`` builds the platform for an environment; it is called anew when ports were chosen or secrets made.
    ``smoke`` proves that the platform works and raises SmokeFailed. ``say`` tells the user one line.
    """

    def __init__(
        self,
        env: StageEnv,
        platform_of: Callable[[StageEnv], Platform],
        smoke: Callable[[StageEnv, Stage], str],
        say: Callable[[str], None],
    ) -> None:
        self.env = env
        self._platform_of = platform_of
        self._smoke = smoke
        self._say = say
        self._tasks_lock = threading.Lock()
        self._interrupted = threading.Event()
        self.state = StageState(env.state)
        self.supervisor = Supervisor(self.state)

    # -- what changes the stage

    def bootstrap(self, progress: Progress, *, new_ports: bool = False) -> bool:
        """State and servers, without the platform. Returns whether anything had to be done."""
        with self._changing():
            prepared = self._prepare_state(new_ports=new_ports)
            platform = self._platform()
            begun = self._bring_up(platform)
            servers = [program.name for program in platform.programs if not program.needs]
            changes = [change for change in plan(platform, self.state, self.supervisor) if change.name in servers]
            changes += self._apply(platform, changes, servers, progress)
            return bool(prepared or begun or changes)

    def deploy(
        self, progress: Progress, names: Sequence[str] = (), *, expected: str = "", clean: bool = False
    ) -> tuple[Change, ...]:
        """Bring the stage to what the checkout says and return what was changed; nothing when it was so already.

        With ``names``, only those programs and tasks and what they need. Ends with the smoke test, unless nothing
        changed since it last passed.
        """
        with self._changing():
            self._prepare_state()
            platform = self._platform()
            wanted = _with_needs(platform, names)
            self._bring_up(platform)
            changes = [
                change
                for change in plan(platform, self.state, self.supervisor)
                if change.name in wanted or change.action == "stop"
            ]
            proven = _smoke_fingerprint(platform, self.state)
            smoked = self.state.done_tasks().get(_SMOKE) == proven
            changes += self._apply(platform, changes, wanted, progress)
            if not names and (changes or not smoked):
                self._run([Step(name=_SMOKE, run=lambda: self._smoke(self.env, self))], progress)
                self._remember(_SMOKE, proven)
            return tuple(changes)

    def what_dies(self) -> tuple[str, ...]:
        if not os.path.lexists(self.state.folder):
            return ()
        self.state.check_removable()
        return (f"all programs of {self.env.stage}", f"{self.state.folder} with every photo in it")

    def what_stays(self) -> tuple[str, ...]:
        return ()

    def destroy(self) -> bool:
        """Stop everything and remove the state. Returns whether there was anything. Raises StateInvalid."""
        if not os.path.lexists(self.state.folder):
            return False
        self.state.check_removable()
        with self._changing(check=False):
            # One that does not answer or obey is ended like any other process of the stage.
            with contextlib.suppress(ServerFailed, OSError):
                if self.supervisor.is_up():
                    self.supervisor.shut_down()
            strays.end_strays(self.state)
            left = strays.find_strays(self.state)
            if left:
                names = ", ".join(f"{process.name()} ({process.pid})" for process in left)
                raise ServerFailed(names, "cannot be ended", "", hint="end that, then destroy again")
            self.state.remove()
        return True

    # -- what looks at it

    def diff(self, names: Sequence[str] = (), *, clean: bool = False) -> Review:
        if self.state.exists():
            self.state.check()
        if not self.state.exists() or not secrets.is_complete(self.env):
            return Review(changes=(Change(name="state", action="run", why="the stage was never bootstrapped"),))
        platform = self._platform()
        wanted = _with_needs(platform, names)
        changes = plan(platform, self.state, self.supervisor)
        return Review(changes=tuple(change for change in changes if change.name in wanted or change.action == "stop"))

    def smoke(self) -> str:
        """Prove that the platform works, and say what was done. Raises SmokeFailed, StageDown."""
        self._must_run()
        return self._smoke(self.env, self)

    def status(self) -> Status:
        """Programs, each with its process, port and health. Raises StageDown when nothing runs."""
        self._must_run()
        processes = self.supervisor.processes()
        found = [_program_facts(program, processes.get(program.name)) for program in self._platform().programs]
        now = time.time()
        rows = tuple(
            (
                str(program["name"]),
                str(program["state"]).lower(),
                str(program["health"]),
                brief(now - cast(float, program["started"])) if program["pid"] else "",
                str(program["pid"] or ""),
                str(program["port"] or ""),
            )
            for program in found
        )
        return Status(
            healthy=all(program["health"] in ("ready", "runs") for program in found),
            tables=(Table(header=("program", "state", "health", "up for", "pid", "port"), rows=rows),),
            facts={"programs": found},
        )

    def host_names(self) -> dict[str, tuple[str, ...]]:
        return {}

    def must_exist(self) -> None:
        """Raises StageDown when the stage was never deployed, StateInvalid when its state is not to be used."""
        self.state.check()
        if not (self.state.exists() and secrets.is_complete(self.env)):
            raise StageDown(f"the stage {self.env.stage} was never deployed", hint=self.env.command("deploy"))

    def logs(self, names: Sequence[str] = (), *, lines: int, follow: bool) -> Iterator[LogLine]:
        """From the programs' files, those of a stage that stands still included. Raises UsageError, StageDown."""
        files = {file.stem: file for file in sorted(self.state.log.glob("*.log"))}
        if not files:
            raise StageDown("the stage has no logs: it was never deployed", hint=self.env.command("deploy"))
        for name in names:
            if name not in files:
                raise UsageError(f"no program is called {name!r}", why=f"programs: {', '.join(files)}")
        return tailed({name: files[name] for name in names or files}, lines=lines, follow=follow)

    def run_inside(self, argv: Sequence[str], *, input: str = "") -> str:
        """Run a command beside the programs, with their settings, and return what it printed. Raises CommandFailed."""
        self._must_run()
        platform = self._platform()
        return proc.run(argv, env=self._shell_env(platform), cwd=platform.shell_cwd, input=input).stdout

    def stream_inside(
        self,
        argv: Sequence[str],
        *,
        source: proc.Command | None = None,
        stdout: IO[bytes] | None = None,
        on_line: Callable[[str], bool],
        where: str = "",
    ) -> None:
        self._must_run()
        platform = self._platform()
        command = proc.Command(argv=tuple(argv), env=self._shell_env(platform), cwd=platform.shell_cwd)
        proc.flow([*([source] if source else ()), command], stdout=stdout, on_line=on_line)

    def run_scheduled(self, name: str, arguments: Sequence[str] = (), *, on_line: Callable[[str], None]) -> int:
        self._must_run()
        platform = self._platform()
        words = platform.scheduled.get(name)
        if words is None:
            raise StageUnsupported(f"the stage {self.env.stage} has no {name} that is run by a schedule")
        env = self._shell_env(platform)
        return proc.follow([*words, *arguments], env=env, cwd=platform.shell_cwd, on_line=on_line).status

    def terminal(self, argv: Sequence[str], *, app: str = "") -> int:
        """A shell (or one command) beside the programs, on this terminal: the same for every app."""
        self._must_run()
        platform = self._platform()
        env = {**os.environ, **self._shell_env(platform)}
        return proc.attach(list(argv) or [os.environ.get("SHELL", "/bin/sh")], env=env, cwd=platform.shell_cwd)

    # -- parts

    @contextlib.contextmanager
    def _changing(self, *, check: bool = True) -> Iterator[None]:
        """Hold the stage. What is interrupted says how to go on."""
        if check:
            self.state.check()
            self.state.check_length()
        goes_on = f"{self.env.command('deploy')} goes on from there, {self.env.command('destroy')} removes it"
        with self.state.changing(self._say, goes_on=goes_on):
            yield

    def _platform(self) -> Platform:
        return self._platform_of(self.env)

    def _must_run(self) -> None:
        self.state.check()
        if not (self.state.exists() and self.supervisor.is_up()):
            raise StageDown(f"the stage {self.env.stage} does not run", hint=self.env.command("deploy"))

    def _prepare_state(self, *, new_ports: bool = False) -> bool:
        """The directory, the secrets and the ports. Returns whether any was missing."""
        new = not self.state.exists()
        self.state.create()
        made = secrets.provide(self.env)
        choose = new_ports or not ports_file(self.env.state).exists()
        if choose:
            if self.supervisor.is_up():
                self.supervisor.shut_down()
            strays.end_strays(self.state)
            choose_ports(self.env, again=new_ports)
            self.env = load(
                self.env.checkout,
                project=self.env.root.name,
                app=self.env.app,
                stage=self.env.stage,
                instance=self.env.instance,
            )
        return new or bool(made) or choose

    def _bring_up(self, platform: Platform) -> bool:
        """Have a supervisor and no strays. Returns whether it had to be started."""
        up = self.supervisor.is_up()
        ended = strays.end_strays(self.state, supervisor_pid=self.supervisor.pid() if up else 0)
        if ended:
            self._say(f"ended what was left without a supervisor: {', '.join(sorted(ended))}")
        if up:
            return False
        self.supervisor.configure(platform.programs)
        self.supervisor.start()
        return True

    def _apply(
        self, platform: Platform, changes: Sequence[Change], wanted: Collection[str], progress: Progress
    ) -> list[Change]:
        """Make the changes and see that all wanted programs serve. Returns what had to be changed for that as well."""
        changed = {change.name for change in changes}
        kept = [program for program in platform.programs if program.name in wanted and program.name not in changed]
        # What is needed must serve before anything that needs it is touched, who ever started it.
        needed = {need for name in changed for need in needs_among(platform, name, {program.name for program in kept})}
        mended = self._unready([program for program in kept if program.name in needed])
        if changes:
            self._run_changes(platform, [*changes, *mended], progress)
        still = self._unready([program for program in kept if program.name not in needed])
        if still:
            self._run_changes(platform, still, progress)
        return [*mended, *still]

    def _run_changes(self, platform: Platform, changes: Sequence[Change], progress: Progress) -> None:
        self.supervisor.configure(platform.programs)
        self.supervisor.reload()
        changed = frozenset(change.name for change in changes)
        steps = [
            self._start_step(platform, program, changed) for program in platform.programs if program.name in changed
        ]
        steps += [self._task_step(platform, task, changed) for task in platform.tasks if task.name in changed]
        self._run(steps, progress)

    def _run(self, steps: Sequence[Step], progress: Progress) -> None:
        run_steps(steps, progress, interrupted=self._interrupted)

    def _unready(self, programs: Sequence[Program]) -> list[Change]:
        """Programs that seem to run and do not serve, even after some patience: one may have been started just now."""
        deadline = time.monotonic() + _STAYS_UNREADY_S
        while True:
            processes = self.supervisor.processes()
            unready = {
                program.name: why for program in programs if (why := _why_unready(program, processes.get(program.name)))
            }
            if not unready or time.monotonic() > deadline:
                return [Change(name=name, action="restart", why=why) for name, why in unready.items()]
            time.sleep(_READY_POLL_S)

    def _start_step(self, platform: Platform, program: Program, changed: frozenset[str]) -> Step:
        def run() -> str:
            self.supervisor.stop(program.name)
            if program.port and not is_free(program.port):
                self._free_port(program.name, program.port)
            if program.data and not program.data.exists():
                self._forget_tasks_on(platform, program)
            self._start(program)
            return f"127.0.0.1:{program.port}" if program.port else ""

        return Step(name=program.name, run=run, needs=needs_among(platform, program.name, changed))

    def _start(self, program: Program) -> None:
        """Start a program and wait until it serves; once more if it can mend what stopped it."""
        began_at = self.supervisor.log_size(program.name)
        _prepare(program)
        self.supervisor.start_program(program.name)
        try:
            self._wait_ready(program)
        except ServerFailed:
            if program.mend is None or not program.mend(self.supervisor.log_since(program.name, began_at)):
                raise
            self._say(f"{program.name} could not read its data: it was put aside, and the start repeated")
            self.supervisor.stop(program.name)
            _prepare(program)
            self.supervisor.start_program(program.name)
            self._wait_ready(program)

    def _free_port(self, name: str, port: int) -> None:
        """A port in use is our own stray's, or somebody else's, whom we leave alone."""
        strays.end_strays(self.state, supervisor_pid=self.supervisor.pid())
        # One that was killed a moment ago may still be on its way out.
        deadline = time.monotonic() + _PORT_FREED_WITHIN_S
        while not is_free(port):
            if time.monotonic() < deadline:
                time.sleep(_READY_POLL_S)
                continue
            raise PortTaken(
                f"port {port} of {name} is taken",
                why=f"by {holder_of(port)}",
                hint=f"end that, or choose other ports: {self.env.command('bootstrap')} --new-ports",
            )

    def _task_step(self, platform: Platform, task: Task, changed: frozenset[str]) -> Step:
        def run() -> str:
            try:
                task.run()
            except NotReadyError as error:
                raise ServerFailed(
                    task.name, f"could not be done: {error}", "", hint=self.env.command("logs")
                ) from None
            self._remember(task.name, task.fingerprint)
            return ""

        return Step(name=task.name, run=run, needs=needs_among(platform, task.name, changed))

    def _remember(self, name: str, fingerprint: str) -> None:
        with self._tasks_lock:
            self.state.remember_tasks({**self.state.done_tasks(), name: fingerprint})

    def _wait_ready(self, program: Program) -> None:
        deadline = time.monotonic() + program.ready_within_s
        reason = "did not become ready"
        while time.monotonic() < deadline:
            if self._interrupted.is_set():
                raise Interrupted(f"{program.name} was not waited for")
            info = self.supervisor.processes()[program.name]
            if info.state in ("FATAL", "BACKOFF", "EXITED", "STOPPED"):
                reason = f"ended while starting ({info.state.lower()})"
                break
            if program.check_ready is None:
                if info.state == "RUNNING":
                    return
            else:
                try:
                    program.check_ready()
                except NotReadyError as error:
                    reason = f"did not become ready: {error}"
                else:
                    return
            time.sleep(_READY_POLL_S)
        log = self.supervisor.log_file(program.name)
        raise ServerFailed(program.name, reason, self.supervisor.log_tail(program.name), hint=f"less {log}")

    def _forget_tasks_on(self, platform: Platform, program: Program) -> None:
        """A server that starts with new data has nothing of what tasks once did there."""
        lost = tasks_resting_on(platform, program.name)
        with self._tasks_lock:
            self.state.remember_tasks(
                {name: value for name, value in self.state.done_tasks().items() if name not in (*lost, _SMOKE)}
            )

    def _shell_env(self, platform: Platform) -> dict[str, str]:
        path = f"{Path(sys.prefix) / 'bin'}:{os.environ.get('PATH', os.defpath)}"
        return {"HOME": os.environ.get("HOME", "/"), **platform.shell_env, "PATH": path}


def _smoke_fingerprint(platform: Platform, state: StageState) -> str:
    return text_digest(*(spec_digest(program, state) for program in platform.programs))


def _with_needs(platform: Platform, names: Sequence[str]) -> frozenset[str]:
    """The named programs and tasks with all that they need; everything when none is named. Raises UsageError."""
    parts: tuple[Program | Task, ...] = (*platform.programs, *platform.tasks)
    needs = {part.name: part.needs for part in parts}
    unknown = [name for name in names if name not in needs]
    if unknown:
        raise UsageError(f"there is no {', '.join(unknown)} to deploy", why=f"there are {', '.join(needs)}")
    return with_needs(needs, names or needs)


def _prepare(program: Program) -> None:
    if program.before_start is None:
        return
    try:
        program.before_start()
    except CommandFailed as error:
        full = os.strerror(errno.ENOSPC) in error.output
        raise ServerFailed(
            program.name, f"could not be prepared: {error.what}", error.output, hint=_MEND_SPACE if full else _MEND
        ) from None
    except (OSError, ValueError) as error:
        full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise ServerFailed(
            program.name, f"could not be prepared: {error}", "", hint=_MEND_SPACE if full else _MEND
        ) from None


def _why_unready(program: Program, info: ProcessInfo | None) -> str:
    """Why a program that was to be left alone must not be, or nothing."""
    if info is None or not info.runs:
        return f"is {info.state.lower()}" if info else "does not run"
    if program.check_ready is None:
        return "" if info.state == "RUNNING" else "did not start"
    health = _health(program)
    return "" if health == "ready" else f"did not serve: {health}"


def _program_facts(program: Program, info: ProcessInfo | None) -> dict[str, object]:
    return {
        "name": program.name,
        "state": info.state if info else "NEW",
        "pid": info.pid if info else 0,
        "port": program.port,
        "started": info.started if info else 0.0,
        "health": _health(program) if info and info.runs else "does not run",
    }


def _health(program: Program) -> str:
    if program.check_ready is None:
        return "runs"
    try:
        program.check_ready()
    except NotReadyError as error:
        return str(error).splitlines()[0] if str(error) else "not ready"
    return "ready"
