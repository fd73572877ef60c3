"""A run divided for many machines: the plan, one task of it, and the runs that the tasks' answers make together."""

import dataclasses
import functools
import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from driver import compare, matrix, plan as planning, run_folder
from driver.arguments import ROOT, Options
from driver.console import Console
from driver.record import Question, Recorded
from driver.run_folder import RunFolder
from driver.show import show
from driver.stop import Exit, Stop
from kernels import targets
from kernels.catalogue import NoKernel
from results import store
from results.claims import Listing
from results.decode import versioned
from results.join import Unlike, join
from results.run import Run
from results.verdict import judge

SCHEMA = 1
# What decides an answer: the driver only carries it.
SUITE = ("CMakeLists.txt", "cases", "harness", "kernels", "model", "netns", "results/known_deviations.toml")
ANSWER = "answer.json"  # in the folder of a task: which run it is, of which plan


@dataclass(frozen=True)
class Plan:
    """Task N asks the cases of one shard of one target: all shards of the first target, then those of the next.

    `suite` is the version of what is asked, `command` the call that made the plan; `whole`: it asks all there is.
    """

    suite: str
    command: tuple[str, ...]
    whole: bool
    repeat: int
    seed: int | None
    targets: tuple[str, ...]
    shards: tuple[tuple[str, ...], ...]

    @property
    def tasks(self) -> int:
        return len(self.targets) * len(self.shards)

    def of_target(self, number: int) -> range:
        return range(number * len(self.shards), (number + 1) * len(self.shards))

    def text(self) -> str:
        return json.dumps({"schema": SCHEMA} | dataclasses.asdict(self), indent=1) + "\n"

    @property
    def digest(self) -> str:
        """What its answers know it by."""
        return hashlib.sha256(self.text().encode()).hexdigest()


@dataclass(frozen=True)
class Answer:
    """The content of ANSWER; `run` is the folder beside it."""

    plan: str
    index: int
    run: str


@dataclass(frozen=True)
class Task:
    """One task of a plan; `folder` keeps its answer."""

    plan: Plan
    index: int
    folder: Path

    def options(self, given: Options) -> Options:
        """The plan says what is asked, the call how."""
        target, shard = divmod(self.index, len(self.plan.shards))
        return dataclasses.replace(
            given, words=list(self.plan.shards[shard]), kernel=[self.plan.targets[target]], repeat=self.plan.repeat,
            seed=self.plan.seed, results=self.folder)  # fmt: skip

    def answered(self, run_id: str) -> None:
        """From now on this run is the answer, and no earlier one."""
        path = self.folder / ANSWER
        try:
            before = _answer(path).run
        except Stop:
            before = ""  # none, or none that can be read
        _write(path, json.dumps({"schema": SCHEMA} | dataclasses.asdict(Answer(self.plan.digest, self.index, run_id))))
        # Asked of the folder: what the file says may lead anywhere.
        for replaced in [run for run in self.folder.iterdir() if run.name == before != run_id]:
            shutil.rmtree(replaced, ignore_errors=True)


def plan(options: Options, console: Console) -> int:
    """Writes the plan and says what to do with it."""
    try:
        chosen = targets.find(options.kernel or [targets.HERE.name])
    except NoKernel as error:
        raise Stop(str(error)) from None
    question = Question.of(options, console)
    cases = [case.id for case in question.cases if not planning.is_explored(case)]
    # Its last two cases are about all of the others: the sweep is one task.
    swept = tuple(case.id for case in question.cases if planning.is_explored(case))
    # In turn, because neighbours take as long as each other.
    shards = [tuple(cases[start :: options.shards]) for start in range(options.shards)]
    made = Plan(
        suite=_suite(options),
        command=tuple(options.argv),
        whole=not options.words and not options.label,
        repeat=options.repeat,
        seed=options.seed,
        targets=tuple(str(target.path or target.name) for target in chosen),
        shards=tuple(shard for shard in [*shards, swept] if shard),
    )
    path = options.plan_file
    _write(path, made.text())
    parts = len(made.shards)
    of_cases = parts - bool(swept)
    console.line(
        f"{path}: {made.tasks} tasks, 0 to {made.tasks - 1}: {len(chosen)} kernels x "
        f"{of_cases} parts of {len(cases)} cases{' and the sweep' if swept else ''}\n"
        f"  one    ./run_all.sh run --plan {path} --index N\n"
        f"  Slurm  sbatch --array=0-{made.tasks - 1} docs/slurm_array.sh {path}\n"
        f"  then   ./run_all.sh merge --plan {path}"
    )
    return Exit.EXPECTED


def chosen(options: Options) -> Task:
    """The task with --index.  Stop where there is none, or the plan is of another suite."""
    path = options.plan_file
    found = _load(path)
    if options.index not in range(found.tasks):
        raise Stop(f"there is no task {options.index}: {path} has the tasks 0 to {found.tasks - 1}")
    if (suite := _suite(options)) != found.suite:
        raise Stop(f"{path} is a plan of another version of the suite ({found.suite[:12]}, this one is {suite[:12]}): "
                   "make it again with ./run_all.sh plan, or ask with the checkout that made it")
    return Task(found, options.index, _tasks(path) / str(options.index))


def merge(options: Options, console: Console) -> int:
    """One run a target, told as a run; Stop (2), before anything is written, where the answers are not all there."""
    found = _load(options.plan_file)
    answers = _answers(found, options)
    joined = [_joined(found, {index: answers[index] for index in found.of_target(number)}, options)
              for number in range(len(found.targets))]  # fmt: skip
    for one in joined:
        one.save()
    if len(joined) == 1:
        one = joined[0]
        beside, differs = compare.beside_baseline(one.run, one.listing, console)
        show(one.run, one.listing, one.folder.path, console, beside)
        return judge(one.run).exit_code or differs
    ended = [matrix.told(Recorded(one.run, None, None), one.folder.path, one.listing, console, one.run.seconds)
             for one in joined]  # fmt: skip
    of_all = {target.name for target in targets.find(["all"])} <= set(found.targets)
    return matrix.conclude(ended, f"{len(joined)} kernels asked by {found.tasks} tasks, runs in {options.results_dir}",
                           console, of_all=of_all)  # fmt: skip


@dataclass(frozen=True)
class _Joined:
    """The run of a target, not yet saved, and the folders of the runs that it is made of."""

    run: Run
    folder: RunFolder
    parts: Sequence[Path]

    @functools.cached_property
    def listing(self) -> Listing:
        return run_folder.claims(self.parts[0])

    def save(self) -> None:
        self.folder.create(json.loads((self.parts[0] / run_folder.CLAIMS).read_text()))
        for name in (self.folder.events, self.folder.log, self.folder.sweep):
            texts = [part / name.name for part in self.parts if (part / name.name).exists()]
            if texts:
                name.write_bytes(b"\n".join(text.read_bytes() for text in texts))
        self.folder.save(self.run)


def _joined(found: Plan, answers: dict[int, Path], options: Options) -> _Joined:
    """Stop (2) where the answers to the tasks of this target cannot be read, or are not of one kernel."""
    try:
        runs = {index: store.load(folder) for index, folder in answers.items()}
        first = min(answers)
        planned = {case_id for shard in found.shards for case_id in shard}
        order = [case.id for case in run_folder.claims(answers[first]).cases if case.id in planned]
        folder = RunFolder(options.results_dir, runs[first].target.name)
        return _Joined(join(runs, order, folder.id, found.command, whole=found.whole), folder, list(answers.values()))
    except (store.UnreadableRun, Unlike) as error:
        raise Stop(f"{error}; ask the task again with ./run_all.sh run --index") from None


def _answers(found: Plan, options: Options) -> dict[int, Path]:
    """The folder of the run that answers each task.  Stop (2) for tasks that have none or several, by their numbers."""
    folders = [Path(word) for word in options.words] or [_tasks(options.plan_file)]
    if strange := next((folder for folder in folders if not folder.is_dir()), None):
        raise Stop(f"{strange}: no such folder: no task has an answer there yet")
    places: dict[int, list[Path]] = {index: [] for index in range(found.tasks)}
    for path in sorted(path for folder in folders for path in folder.glob(f"*/{ANSWER}")):
        answer = _answer(path)
        if answer.plan != found.digest or answer.index not in places:
            raise Stop(f"{path.parent} answers another plan: remove it, or name the folders of this plan's answers")
        places[answer.index].append(path.parent / answer.run)
    if missing := [index for index, runs in places.items() if not runs]:
        raise Stop(f"{len(missing)} of {found.tasks} tasks have no answer: {_spans(missing)}: ask each with "
                   f"./run_all.sh run --plan {options.plan_file} --index N")
    if doubled := [index for index, runs in places.items() if runs[1:]]:
        raise Stop(f"tasks have more than one answer: {_spans(doubled)}: remove all but one of "
                   f"{' and '.join(str(run.parent) for run in places[doubled[0]])}")
    return {index: runs[0] for index, runs in places.items()}


def _spans(numbers: Sequence[int]) -> str:
    """As sbatch --array takes them: 1,4-6."""
    starts = [number for number in numbers if number - 1 not in numbers]
    ends = [number for number in numbers if number + 1 not in numbers]
    return ",".join(str(start) if start == end else f"{start}-{end}" for start, end in zip(starts, ends))


def _tasks(plan_file: Path) -> Path:
    return plan_file.with_name(f"{plan_file.stem}.tasks")


def _load(path: Path) -> Plan:
    made: Plan = _read(path, Plan, "a plan")
    return made


def _answer(path: Path) -> Answer:
    said: Answer = _read(path, Answer, "the answer to a task")
    return said


def _read(path: Path, kind: type, what: str) -> Any:
    try:
        return versioned(kind, json.loads(path.read_bytes()), SCHEMA)
    except OSError as error:
        fix = "make a plan with ./run_all.sh plan -o FILE, and name it with --plan"
        raise Stop(f"{path}: {error.strerror}: {fix}") from None
    except (ValueError, RecursionError) as error:  # Malformed is a ValueError
        raise Stop(f"{path} is not {what} ({str(error).splitlines()[0]}): make it again") from None


def _write(path: Path, text: str) -> None:
    """A reader sees the old file or the new one, never a half."""
    partial = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        partial.write_text(text, encoding="ascii")
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise Stop(f"{path} cannot be written ({error.strerror})") from None


def _suite(options: Options) -> str:
    """The version of what answers: of the program that is named, else of the sources of ours."""
    parts = [ROOT / name for name in SUITE]
    files = [file for part in parts for file in ([part] if part.is_file() else sorted(part.rglob("*")))]
    sources = [file for file in files if file.suffix in (".cc", ".h", ".toml", ".txt")]
    content = hashlib.sha256()
    for file in [options.program] if options.program else sources:
        content.update(b"%d\n" % file.stat().st_size + file.read_bytes())
    return content.hexdigest()
