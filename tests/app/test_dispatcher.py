"""The dispatcher with real processes, which are killed, cancelled, adopted and run once."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app import dispatcher, jobs, processes
from app.dispatcher import Dispatcher
from app.jobs import Job
from tests.conftest import ROOT
from transfer import shortage, store
from transfer.runs import Run

Start = Callable[..., subprocess.Popen[bytes]]

# A job whose target says how it behaves. It notes its beginning, and waits for a file named "go".
WORKER = """
import json, os, signal, subprocess, sys, time
target = sys.argv[1]
home = os.environ["TRANSFER_HOME"]
def note(name, words):
    with open(f"{home}/{name}", "a") as lines:
        lines.write(f"{words}\\n")
note(f"{target}.begun", f"{os.getpid()} {os.environ.get('CUDA_VISIBLE_DEVICES')} {os.getcwd()}")
note("order", f"{target} begins")
if target.startswith("crash"):
    os.kill(os.getpid(), signal.SIGKILL)
if target.startswith("silent"):
    sys.stderr.write("a trace\\n")
    sys.exit(1)
if target.startswith("refuse"):
    print("words before", json.dumps({"error": "The zip is damaged."}), sep="\\n")
    sys.exit(2)
if target.startswith("pause"):
    print(json.dumps({"paused": True}))
    sys.exit(0)
if target.startswith("full") and not os.path.exists(f"{home}/go"):
    print(json.dumps({"error": "The disk is full.", "lacking": "disk"}))
    sys.exit(2)
if target.startswith("unsaid") and not os.path.exists(f"{home}/go"):
    sys.exit(2)
if target.startswith("memory"):
    print(json.dumps({"error": "Too little memory.", "lacking": "memory"}))
    sys.exit(2)
if target.startswith("further") and len(open(f"{home}/{target}.begun").readlines()) < 35:
    os.makedirs(f"{home}/runs/{target}/checkpoint", exist_ok=True)
    open(f"{home}/runs/{target}/checkpoint/step.npz", "a").write("further")
    os.kill(os.getpid(), signal.SIGKILL)
if target.startswith("stubborn"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note(f"{target}.ready", "")
if target.startswith("family"):
    child = [sys.executable, "-S", "-c", "import signal, time;"
             "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(300)"]
    note(f"{target}.child", subprocess.Popen(child).pid)
while not target.startswith("quick") and not os.path.exists(f"{home}/go"):
    time.sleep(0.005)
note("order", f"{target} ends")
print("words before", json.dumps({"answer": 42}), sep="\\n")
"""
PROCESS = f"""
import sys
from app import dispatcher
def command(target):
    return [sys.executable, "-S", "-c", {WORKER!r}, target]
commands = dict.fromkeys(["train", "import", "advise"], command)
sys.exit(dispatcher.main([], commands, interval=0.02, idle=float(sys.argv[1])))
"""


def command(target: str) -> list[str]:
    return [sys.executable, "-S", "-c", WORKER, target]


COMMANDS: dispatcher.Commands = dict.fromkeys(("train", "import", "advise"), command)


def wait_for(condition: Callable[[], object], step: Callable[[], object] | None = None) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        if step:
            step()
        time.sleep(0.01)


def state(job: Job) -> str:
    found = jobs.latest(job.kind, job.target)
    assert found is not None
    return found.state


def now(job: Job) -> Job:
    found = jobs.latest(job.kind, job.target)
    assert found is not None
    return found


def begun(job: Job) -> list[list[str]]:
    """The [number, GPU, folder] of each process that the job has had."""
    path = store.home() / f"{job.target}.begun"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def number(job: Job) -> int:
    return int(begun(job)[-1][0])


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] in "ZX"
    except OSError:
        return True


def go() -> None:
    (store.home() / "go").touch()


@pytest.fixture
def start() -> Iterator[Start]:
    """Start real dispatchers; whatever is left of them and of their jobs ends with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def run(idle: float = 60.0) -> subprocess.Popen[bytes]:
        jobs.web_alive().parent.mkdir(exist_ok=True)
        jobs.web_alive().touch()
        with (store.home() / "log").open("ab") as log:
            started.append(
                subprocess.Popen([sys.executable, "-c", PROCESS, str(idle)], cwd=ROOT, stderr=log)
            )
        return started[-1]

    yield run
    jobs.stop_all(grace=0.1)
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def here() -> Iterator[Callable[..., Dispatcher]]:
    """Make dispatchers that the test steps itself."""
    made: list[Dispatcher] = []

    def make(gpus: tuple[str, ...] = ()) -> Dispatcher:
        made.append(Dispatcher(COMMANDS, gpus))
        return made[-1]

    yield make
    for job in jobs.active():
        jobs.cancel(job, grace=0.1)
    for each in made:
        wait_for(lambda each=each: not each.step())


def test_a_lane_is_worked_off_in_order_one_at_a_time(start):
    asked = [jobs.submit("train", f"quick{number}") for number in range(4)]
    start()
    wait_for(lambda: all(state(job) == "done" for job in asked))
    order = (store.home() / "order").read_text().splitlines()
    assert order == [f"{job.target} {word}" for job in asked for word in ("begins", "ends")]
    ended = [now(job) for job in asked]
    assert all(job.created <= (job.started or 0) <= (job.ended or 0) for job in ended)
    assert all((job.attempts, job.error) == (0, None) for job in ended)
    assert {folder for job in asked for _, _, folder in begun(job)} == {str(ROOT)}


def test_each_gpu_takes_one_training_and_uploads_have_two_places(here):
    trainings = [jobs.submit("train", f"t{number}") for number in range(3)]
    uploads = [jobs.submit("import", f"u{number}") for number in range(3)]
    dispatcher = here(("0", "1"))
    wait_for(lambda: all(begun(job) for job in trainings[:2] + uploads[:2]), dispatcher.step)
    assert [state(job) for job in trainings] == ["running", "running", "queued"]
    assert [state(job) for job in uploads] == ["running", "running", "queued"]
    assert [begun(job)[0][1] for job in trainings[:2]] == ["0", "1"]
    assert jobs.place(trainings[2]) == (1, 1)
    jobs.cancel(trainings[1])
    wait_for(lambda: begun(trainings[2]), dispatcher.step)
    assert begun(trainings[2])[0][1] == "1"
    go()
    wait_for(lambda: not dispatcher.step())
    assert [state(job) for job in trainings] == ["done", "cancelled", "done"]
    assert [state(job) for job in uploads] == ["done"] * 3


def test_a_measurement_shares_the_place_of_trainings_and_goes_before_those_that_wait(here):
    training, waiting = jobs.submit("train", "t1"), jobs.submit("train", "t2")
    dispatcher = here()
    wait_for(lambda: begun(training), dispatcher.step)
    measuring = jobs.submit("advise", "a1")
    dispatcher.step()
    assert (state(measuring), state(waiting)) == ("queued", "queued")  # one at a time
    assert jobs.place(waiting) == (1, 1)
    jobs.cancel(training)
    wait_for(lambda: begun(measuring), dispatcher.step)
    assert state(waiting) == "queued"
    go()
    wait_for(lambda: not dispatcher.step())
    order = (store.home() / "order").read_text().splitlines()
    assert order[1:] == ["a1 begins", "a1 ends", "t2 begins", "t2 ends"]


def test_without_a_gpu_the_environment_stays_and_one_training_runs(here, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    first, second = jobs.submit("train", "t1"), jobs.submit("train", "t2")
    dispatcher = here()
    wait_for(lambda: (store.home() / "order").exists(), dispatcher.step)
    assert (store.home() / "t1.begun").read_text().split(" ")[1] == ""
    assert (state(first), state(second)) == ("running", "queued")


def test_a_killed_job_starts_again_at_once_and_ahead_of_the_others(start):
    first, second = jobs.submit("train", "first"), jobs.submit("train", "second")
    start()
    wait_for(lambda: begun(first))
    os.kill(number(first), signal.SIGKILL)
    wait_for(lambda: len(begun(first)) == 2)
    assert state(second) == "queued"
    go()
    wait_for(lambda: state(second) == "done")
    assert (now(first).state, now(first).attempts) == ("done", 1)


def test_a_job_outlives_its_dispatcher_and_is_run_once(start):
    job = jobs.submit("train", "long")
    other = jobs.submit("train", "quick")
    first = start()
    wait_for(lambda: begun(job))
    first.kill()
    first.wait()
    assert not gone(number(job))
    start()
    wait_for(lambda: f"adopted job {job.id}" in (store.home() / "log").read_text())
    # Its place counts as taken: the other one still waits.
    assert [state(job), state(other)] == ["running", "queued"]
    go()
    wait_for(lambda: state(other) == "done")
    assert (now(job).state, now(job).attempts, len(begun(job))) == ("done", 0, 1)


def test_an_adopted_job_that_is_killed_starts_again(here):
    job = jobs.submit("train", "long")
    first = here()
    wait_for(lambda: begun(job), first.step)
    second = here()
    second.step()
    os.kill(number(job), signal.SIGKILL)
    wait_for(lambda: len(begun(job)) == 2, second.step)
    assert now(job).attempts == 1
    go()
    wait_for(lambda: state(job) == "done", second.step)


def test_a_job_that_went_down_with_the_machine_has_not_failed(start):
    job = jobs.submit("train", "long")
    first = start()
    wait_for(lambda: begun(job))
    first.kill()
    first.wait()
    os.kill(number(job), signal.SIGKILL)
    wait_for(lambda: gone(number(job)))
    go()
    start()
    wait_for(lambda: state(job) == "done")
    assert (now(job).attempts, len(begun(job))) == (0, 2)


def test_an_answer_given_while_there_was_no_dispatcher_counts(start):
    job = jobs.submit("train", "long")
    first = start()
    wait_for(lambda: begun(job))
    first.kill()
    first.wait()
    go()
    wait_for(lambda: gone(number(job)))
    assert state(job) == "running"
    start()
    wait_for(lambda: state(job) == "done")
    assert len(begun(job)) == 1


def test_of_several_dispatchers_one_stays(start):
    started = [start() for _ in range(3)]
    wait_for(lambda: sum(each.poll() is not None for each in started) == 2)
    assert sorted(str(each.poll()) for each in started) == ["0", "0", "None"]
    job = jobs.submit("import", "quick")
    wait_for(lambda: state(job) == "done")
    assert len(begun(job)) == 1


@pytest.mark.parametrize("adopted", [False, True], ids=["own", "adopted"])
def test_cancelling_ends_a_job_with_all_that_it_started(adopted, start):
    job, following = jobs.submit("train", "family"), jobs.submit("train", "quick")
    first = start()
    wait_for((store.home() / "family.child").exists)
    wait_for(lambda: (store.home() / "family.child").read_text().endswith("\n"))
    child = int((store.home() / "family.child").read_text())
    if adopted:
        first.kill()
        first.wait()
        start()
        wait_for(lambda: f"adopted job {job.id}" in (store.home() / "log").read_text())
    jobs.cancel(job)
    assert gone(number(job))
    wait_for(lambda: gone(child))  # it did not listen to SIGTERM
    cancelled = now(job)
    assert (cancelled.state, cancelled.attempts) == ("cancelled", 0)
    assert cancelled.ended is not None
    wait_for(lambda: state(following) == "done")
    assert len(begun(job)) == 1


def test_a_job_without_a_dispatcher_is_cancelled_too(start):
    job = jobs.submit("train", "long")
    first = start()
    wait_for(lambda: begun(job))
    first.kill()
    first.wait()
    jobs.cancel(job)
    assert gone(number(job))
    assert state(job) == "cancelled"
    assert jobs.unended() == []


def test_a_new_job_waits_until_the_cancelled_one_of_its_target_has_gone(here, monkeypatch):
    """Whoever cancels is killed in the middle of it: the dispatcher brings it to an end."""
    job = jobs.submit("train", "stubborn")
    dispatcher = here(("0", "1"))
    wait_for((store.home() / "stubborn.ready").exists, dispatcher.step)
    cancels = "from app import jobs; jobs.cancel(jobs.latest('train', 'stubborn'), grace=300)"
    with subprocess.Popen([sys.executable, "-c", cancels], cwd=ROOT) as canceller:
        wait_for(lambda: state(job) == "cancelled")
        canceller.kill()
    again = jobs.submit("train", "stubborn")
    assert again.id != job.id
    dispatcher.step()
    assert now(again).state == "queued"
    assert len(begun(job)) == 1
    monkeypatch.setattr(processes, "GRACE", 0.0)
    wait_for(lambda: len(begun(again)) == 2, dispatcher.step)
    assert [each.id for each in jobs.unended()] == [again.id]


def test_the_error_of_a_job_is_shown(start):
    job = jobs.submit("import", "refuse")
    start()
    wait_for(lambda: state(job) == "failed")
    assert now(job).error == "The zip is damaged."
    assert len(begun(job)) == 1


@pytest.mark.parametrize(
    ("kind", "target", "times", "words"),
    [
        ("import", "silent", 3, "Taking in the pictures stopped unexpectedly 3 times. Nothing"),
        ("train", "crash", 30, "30 times, probably because this computer ran out of memory."),
    ],
)
def test_crashes_without_getting_on_have_an_end(kind, target, times, words, start):
    job = jobs.submit(kind, target)
    start()
    wait_for(lambda: state(job) == "failed")
    failed = now(job)
    assert (failed.attempts, len(begun(job))) == (times, times)
    assert failed.ended is not None
    assert words in (failed.error or "")
    assert str(jobs.file(job, "log")) in (failed.error or "")
    if target == "silent":
        assert jobs.file(job, "log").read_text() == "a trace\n" * 3


def test_whoever_gets_on_may_be_killed_as_often_as_it_likes(start):
    job = jobs.submit("train", "further")
    go()
    start()
    wait_for(lambda: state(job) == "done")
    assert len(begun(job)) == 35


def test_want_of_memory_has_an_end_and_is_named(start):
    job = jobs.submit("train", "memory")
    start()
    wait_for(lambda: state(job) == "failed")
    assert len(begun(job)) == 3
    assert "3 times, probably because this computer ran out of memory" in (now(job).error or "")


@pytest.mark.parametrize("target", ["full", "unsaid"])
def test_on_a_full_disk_a_job_waits_for_room_and_goes_on(here, monkeypatch, target):
    free = [2 * shortage.ROOM]
    monkeypatch.setattr(shortage, "free_bytes", lambda: free[0])
    job, dispatcher = jobs.submit("train", target), here()
    wait_for(lambda: now(job).error, dispatcher.step)
    for _ in range(20):  # not before there is more room
        dispatcher.step()
        time.sleep(0.01)
    assert (state(job), len(begun(job)), now(job).attempts) == ("queued", 1, 0)
    assert "Make room" in (now(job).error or "")
    go()
    free[0] *= 2
    wait_for(lambda: state(job) == "done", dispatcher.step)
    assert (len(begun(job)), now(job).error) == (2, None)


def test_nothing_is_begun_on_a_full_disk(here, monkeypatch):
    monkeypatch.setattr(shortage, "free_bytes", lambda: shortage.ROOM - 1)
    job, dispatcher = jobs.submit("train", "quick"), here()
    dispatcher.step()
    assert (state(job), begun(job)) == ("queued", [])


@pytest.mark.parametrize("wanted", [True, False], ids=["paused", "let go on meanwhile"])
def test_a_paused_job_frees_its_place_and_waits_for_a_word(here, wanted):
    job, following = jobs.submit("train", "pause"), jobs.submit("train", "quick")
    (store.home() / "runs" / "pause").mkdir(parents=True)
    if wanted:
        Run(store.home() / "runs" / "pause").request_pause()
    dispatcher = here()
    wait_for(lambda: begun(job), dispatcher.step)
    if not wanted:
        wait_for(lambda: len(begun(job)) > 1, dispatcher.step)
        Run(store.home() / "runs" / "pause").request_pause()
    wait_for(lambda: state(following) == "done", dispatcher.step)
    assert state(job) == "paused"
    assert not dispatcher.step()  # nothing waits
    assert here().step() is False  # nor for the next one


def test_two_who_press_train_at_once_both_get_their_run():
    code = (
        "import sys, time; from app import workshop; from transfer.config import RunConfig\n"
        "time.sleep(max(0, float(sys.argv[1]) - time.time()))\n"
        "workshop.start(RunConfig('0' * 32, 'builtin', 96), 'the same')"
    )
    at = str(time.time() + 2)
    both = [subprocess.Popen([sys.executable, "-c", code, at], cwd=ROOT) for _ in range(4)]
    assert [each.wait(60) for each in both] == [0] * 4
    waiting = jobs.active()
    assert len({job.target for job in waiting}) == 4
    go()
    dispatcher = Dispatcher(COMMANDS, ())
    wait_for(lambda: not dispatcher.step())
    assert {state(job) for job in waiting} == {"done"}
    order = (store.home() / "order").read_text().splitlines()
    assert order == [f"{job.target} {word}" for job in waiting for word in ("begins", "ends")]


@pytest.mark.parametrize("jump", [-10 * 365 * 86400, 10 * 365 * 86400])
def test_a_clock_that_jumps_neither_ends_nor_keeps_it(jump):
    web = dispatcher._Web()
    assert web.silent() == float("inf")
    jobs.web_alive().parent.mkdir()
    jobs.web_alive().touch()
    later = time.time() + jump
    os.utime(jobs.web_alive(), (later, later))
    assert web.silent() < 5
    time.sleep(0.3)
    assert web.silent() >= 0.3


def test_it_leaves_when_nobody_needs_it(start):
    job = jobs.submit("train", "long")
    only = start(idle=0.2)
    wait_for(lambda: begun(job))
    old = time.time() - 60
    os.utime(jobs.web_alive(), (old, old))
    with pytest.raises(subprocess.TimeoutExpired):
        only.wait(0.3)  # the job keeps it
    go()
    for _ in range(60):  # the web server keeps it
        jobs.web_alive().touch()
        time.sleep(0.01)
    assert only.poll() is None
    wait_for(lambda: state(job) == "done", jobs.web_alive().touch)
    jobs.web_alive().unlink()
    assert only.wait(30) == 0


def test_it_leaves_when_its_store_is_deleted(start):
    job = jobs.submit("train", "quick")
    only = start()
    wait_for(lambda: state(job) == "done")
    folder = store.home() / "jobs"
    # Repeated, since it may write into the folder just then.
    wait_for(lambda: not folder.exists(), lambda: shutil.rmtree(folder, ignore_errors=True))
    assert only.wait(30) == 0


def test_stopping_puts_what_runs_back(start):
    training, upload = jobs.submit("train", "long"), jobs.submit("import", "up")
    waiting = jobs.submit("train", "waits")
    only = start()
    wait_for(lambda: begun(training) and begun(upload))
    assert jobs.stop_all() == 2
    assert only.wait(30) == -signal.SIGTERM
    assert gone(number(training))
    assert gone(number(upload))
    assert [job.state for job in jobs.active()] == ["queued"] * 3
    assert jobs.stop_all() == 0
    go()
    start()
    wait_for(lambda: all(state(job) == "done" for job in (training, upload, waiting)))
    assert now(training).attempts == 0


def test_however_many_ask_for_a_dispatcher_one_is_started():
    try:
        code = "from app import jobs; jobs.ensure_dispatcher(); jobs.ensure_dispatcher()"
        asking = [subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) for _ in range(3)]
        assert [each.wait(60) for each in asking] == [0] * 3
        log = store.home() / "logs" / "dispatcher.log"
        wait_for(lambda: log.exists() and " begins\n" in log.read_text())
        jobs.ensure_dispatcher()
        assert time.time() - jobs.web_alive().stat().st_mtime < 60
        assert processes.held(jobs.dispatcher_lock())
        assert log.read_text().count("dispatcher") == 1
        holder = processes.holder(jobs.dispatcher_lock())
        assert holder is not None
        assert os.getsid(holder.pid) == holder.pid
    finally:
        jobs.stop_all()
    assert not processes.held(jobs.dispatcher_lock())


def test_old_files_go_and_the_history_stays(here):
    old, new, waiting = (jobs.submit("train", name) for name in ("quick1", "quick2", "w"))
    files = {
        job.id: [jobs.file(job, suffix) for suffix in ("out", "log", "lock")]
        for job in (old, new, waiting)
    }
    long_ago = time.time() - dispatcher.KEEP_FILES - 60
    for job in (old, new, waiting):
        for path in files[job.id]:
            path.touch()
            if job != new:
                os.utime(path, (long_ago, long_ago))
    for job in (old, new):
        assert jobs.claim(job, "cpu")
        jobs.settle(job, "done")
    dispatcher.clean()
    assert not any(path.exists() for path in files[old.id])
    assert all(path.exists() for path in files[new.id] + files[waiting.id])
    assert state(old) == "done"


def test_the_commands_are_those_of_the_app():
    run = store.home() / "runs" / "r-1"
    work = [sys.executable, "-m", "transfer", "work", str(run), "--json"]
    assert dispatcher.COMMANDS["train"]("r-1") == work
    assert dispatcher.COMMANDS["import"]("u1") == [sys.executable, "-m", "app.importing", "u1"]


def test_the_dispatcher_stays_small():
    heavy = "{'tensorflow', 'keras', 'streamlit', 'numpy'}"
    code = (
        f"import json, sys, app.dispatcher; print(json.dumps(sorted({heavy} & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    assert json.loads(done.stdout) == []
