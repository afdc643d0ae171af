"""Commands: programs beside the agent, that end, hang, come back and are never waited for."""

import errno
import gc
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.agent.children import Children, Recorded
from edge_agent.model.ports import Said
from tests.agent.beside import HERE, PATIENCE, Beside, nothing_left

SPEAK_AND_END = "print('one'); print('two')"
SPEAK_AND_STAY = "import sys; print('here\\nhere', flush=True); sys.stdin.read()"
WAIT_FOR_THE_END = "import sys; sys.stdin.read()"
WAIT_FOR_A_SIGNAL = "import signal; signal.pause()"
SPEAK_WHEN_TOLD = "import sys\nwhile True:\n print('here\\nhere', flush=True)\n if not sys.stdin.readline(): break"
SPEAK_ON = "import time\nwhile True:\n print('here', flush=True)\n time.sleep(0.05)"
STAY_DEAF = "import signal; print('here\\nhere', flush=True); signal.pause()"


@pytest.fixture
def beside() -> Iterator[Beside]:
    with nothing_left() as beside:
        yield beside


def test_the_last_whole_line_is_what_was_said(beside: Beside) -> None:
    beside.offer("import sys; sys.stdout.write('one\\ntwo\\n\\nthr')")
    beside.last()
    beside.leave()
    assert beside.last() == Said(b"two\n", fresh=True)


def test_a_line_grows_stale(beside: Beside) -> None:
    beside.offer(SPEAK_AND_STAY)
    beside.last()
    beside.hear()
    beside.at += 5000
    assert beside.last() == Said(b"here\n", fresh=True)
    beside.at += 1
    assert beside.last() == Said(b"here\n", fresh=False)


def test_what_nobody_offered_and_what_is_not_there_say_so(beside: Beside) -> None:
    assert beside.last("other") == errno.ENOENT
    beside.children.offer("child", ["/nowhere/tegrastats"], 1.0)
    assert beside.last() == errno.ENOENT
    assert beside.last() == errno.ENOENT


def test_an_offer_alone_begins_nothing(beside: Beside) -> None:
    beside.offer(SPEAK_AND_STAY)
    assert beside.living() == 0


def test_one_that_ended_is_begun_again_ever_more_rarely(beside: Beside, tmp_path: Path) -> None:
    log = tmp_path / "log"
    beside.offer(f"open({os.fspath(log)!r}, 'a').write('x'); print('here')")
    begun: list[int] = []
    for second in range(130):
        beside.last()
        beside.leave()
        if len(log.read_text()) > len(begun):
            begun.append(second)
        beside.at += 1000
    assert begun == [0, 1, 3, 7, 15, 31, 63, 113]


def test_one_that_lived_a_minute_is_begun_again_at_once(beside: Beside) -> None:
    beside.offer(SPEAK_AND_STAY)
    beside.last()
    beside.hear()
    beside.at += 50_000
    beside.last()
    beside.at += 50_000
    process = beside.children._programs["child"]._process
    assert process is not None
    process.kill()
    beside.leave()
    beside.last()
    assert beside.living() == 1


def test_one_that_ends_without_a_word_is_told_from_one_that_starts(beside: Beside) -> None:
    beside.offer("pass")
    assert beside.last() == errno.EAGAIN
    beside.leave()
    assert beside.last() == errno.ECHILD
    beside.at += 1000
    assert beside.last() == errno.ECHILD


def test_a_silent_one_is_killed_and_begun_again(beside: Beside) -> None:
    beside.offer(STAY_DEAF)
    beside.last()
    beside.hear()
    beside.at += 60_001
    beside.last()
    beside.leave()
    beside.at += 1000
    beside.last()
    beside.hear()
    assert beside.last() == Said(b"here\n", fresh=True)


@pytest.mark.parametrize("words", [STAY_DEAF, WAIT_FOR_A_SIGNAL, SPEAK_ON])
def test_one_that_nobody_asks_is_ended_be_it_silent_or_not(beside: Beside, words: str) -> None:
    beside.offer(words)
    beside.last()
    beside.look()
    beside.at += 60_001
    beside.leave()
    assert beside.living() == 0


def test_one_that_is_asked_rarely_and_by_several_at_once_lives_from_one_asking_to_the_next(beside: Beside) -> None:
    beside.offer(SPEAK_ON)
    beside.last()
    beside.hear()
    beside.at += 3_600_000
    for _collector in range(20):
        beside.last()
    beside.at += 3 * 3_600_000
    beside.look(20)
    assert beside.living() == 1
    beside.at += 1
    beside.leave()
    assert beside.living() == 0


def test_a_machine_that_slept_through_was_not_silent_for_so_long(beside: Beside) -> None:
    beside.offer(SPEAK_WHEN_TOLD)
    beside.last()
    beside.hear()
    process = beside.children._programs["child"]._process
    assert process is not None
    assert process.stdin is not None
    beside.at += 90_000
    beside.last()
    beside.look(2)
    process.stdin.write(b"\n")
    process.stdin.flush()
    beside.hear()
    beside.look(20)
    assert beside.children._programs["child"]._process is process


def test_what_lay_unread_is_as_old_as_it_may_be(beside: Beside) -> None:
    beside.children = Children(beside.now, 1000.0)
    beside.offer("import sys\nwhile sys.stdin.readline(): print('here', flush=True)")
    beside.last()
    process = beside.children._programs["child"]._process
    assert process is not None
    assert process.stdin is not None
    assert beside.looks.acquire(timeout=PATIENCE)  # as it begins
    assert beside.looks.acquire(timeout=PATIENCE)  # and as it begins to wait for the line
    beside.at += 6000
    process.stdin.write(b"\n")
    process.stdin.flush()
    assert beside.looks.acquire(timeout=PATIENCE)
    assert beside.last() == Said(b"here\n", fresh=False)
    process.stdin.close()


def test_one_that_ended_is_left_though_another_session_holds_its_output(beside: Beside) -> None:
    beside.offer(
        "import subprocess, sys\n"
        f"one = subprocess.Popen([sys.executable, '-I', '-S', '-c', {WAIT_FOR_A_SIGNAL!r}], start_new_session=True)\n"
        "print(one.pid, flush=True)"
    )
    beside.last()
    beside.leave()
    assert beside.living() == 0
    said = beside.last()
    assert isinstance(said, Said)
    os.kill(int(said.line), signal.SIGKILL)


@pytest.mark.parametrize("end", ["x", "\\n"])
def test_one_that_writes_without_end_is_killed_and_begun_again_ever_more_rarely(beside: Beside, end: str) -> None:
    beside.offer(f"while True: print('here', end='{end}')")
    for wait in (1000, 2000, 4000):
        beside.last()
        beside.leave()
        beside.at += wait - 1
        beside.last()
        assert beside.living() == 0
        beside.at += 1


def test_words_that_no_program_can_be_given_are_an_error_like_others(beside: Beside) -> None:
    beside.children.offer("child", ["tegra\0stats"], 1.0)
    assert beside.last() == errno.EINVAL
    assert beside.last() == errno.EINVAL


def test_what_was_said_before_other_words_were_offered_is_nobodys(beside: Beside) -> None:
    beside.offer(SPEAK_ON)
    beside.last()
    beside.hear()
    beside.children.offer("child", [*HERE, WAIT_FOR_THE_END], 60.0)
    assert beside.last() == errno.EAGAIN
    beside.leave()
    assert beside.last() == errno.EAGAIN


def test_all_are_killed_before_an_exit_in_no_order(beside: Beside) -> None:
    beside.offer(STAY_DEAF)
    beside.last()
    beside.hear()
    beside.children.end()
    beside.leave()
    assert beside.living() == 0


def test_after_the_end_none_is_begun(beside: Beside) -> None:
    beside.offer(STAY_DEAF)
    beside.children.end()
    beside.offer(STAY_DEAF, "other")
    assert (beside.last(), beside.last("other")) == (errno.EAGAIN, errno.EAGAIN)
    assert beside.living() == 0


def test_one_that_is_just_being_begun_at_the_end_is_killed_too(beside: Beside) -> None:
    beside.offer(STAY_DEAF)
    program = beside.children._programs["child"]
    ending = threading.Thread(target=beside.children.end)
    with program._lock:
        ending.start()
        assert beside.children._over.wait(PATIENCE)
        program._begin(beside.at)
    ending.join(PATIENCE)
    beside.leave()
    assert beside.living() == 0


def test_other_words_end_what_runs(beside: Beside) -> None:
    beside.offer(SPEAK_AND_STAY)
    beside.last()
    beside.hear()
    beside.offer(SPEAK_AND_STAY)
    assert beside.living() == 1
    beside.offer("print('new')")
    beside.leave()
    beside.at += 1000
    beside.last()
    beside.leave()
    assert beside.last() == Said(b"new\n", fresh=True)


def test_an_endless_line_is_no_line_and_binary_ones_are_kept_as_they_are(beside: Beside) -> None:
    beside.offer("import sys; sys.stdout.buffer.write(b'\\xff\\0\\n' + b'x' * 300000 + b'\\n')")
    beside.last()
    beside.leave()
    assert beside.last() == Said(b"\xff\0\n", fresh=True)


def test_before_its_first_line_one_says_nothing_yet(beside: Beside) -> None:
    beside.offer(WAIT_FOR_THE_END)
    assert beside.last() == errno.EAGAIN
    assert beside.last() == errno.EAGAIN


def test_what_a_program_began_is_killed_with_it(beside: Beside) -> None:
    beside.offer(
        "import subprocess, sys\n"
        f"one = subprocess.Popen([sys.executable, '-I', '-S', '-c', {WAIT_FOR_A_SIGNAL!r}], stdin=subprocess.DEVNULL)\n"
        "print('here\\nhere', flush=True); sys.stdin.read(); one.wait()"
    )
    beside.last()
    beside.hear()
    assert beside.living() == 1
    beside.children.end()
    beside.leave()  # its listener reads on until nobody holds the pipe, not the program that it began either
    assert beside.living() == 0


def test_one_that_cannot_be_killed_is_left(beside: Beside) -> None:
    beside.offer(SPEAK_WHEN_TOLD)
    beside.last()
    beside.hear()
    program = beside.children._programs["child"]
    program._unwanted = program._process  # as other words do, where the kernel refuses the signal
    beside.leave()
    assert beside.living() == 0


def test_where_memory_runs_short_the_kernel_takes_the_program_first(beside: Beside) -> None:
    beside.offer(SPEAK_AND_STAY)
    beside.last()
    process = beside.children._programs["child"]._process
    assert process is not None
    assert Path(f"/proc/{process.pid}/oom_score_adj").read_text() == "1000\n"


def test_a_program_sees_a_search_path_and_nothing_else_of_the_environment(beside: Beside) -> None:
    beside.offer("import os; print(sorted(set(os.environ) - {'LC_CTYPE'}), os.getcwd(), os.getsid(0) == os.getpid())")
    beside.last()
    beside.leave()
    assert beside.last() == Said(b"['LANG', 'PATH'] / True\n", fresh=True)


def test_all_are_killed_when_nobody_holds_them_any_more(beside: Beside) -> None:
    beside.offer(STAY_DEAF)
    beside.last()
    beside.hear()
    beside.children = Children(beside.now)
    gc.collect()
    beside.leave()
    assert beside.living() == 0


def test_a_recorded_machine_says_what_was_recorded(tmp_path: Path) -> None:
    recorded = Recorded(tmp_path)
    recorded.offer("tegrastats", ["tegrastats"], 1.0)
    with pytest.raises(FileNotFoundError):
        recorded.last("tegrastats")
    with pytest.raises(FileNotFoundError):
        recorded.last("nvml")
    (tmp_path / "nvml.json").write_text('{"absent":\n"x"}\n')
    (tmp_path / "commands").mkdir()
    (tmp_path / "commands/tegrastats.out").write_text("one\ntwo\n\n")
    (tmp_path / "commands/jtop.out").write_text("\n")
    assert recorded.last("nvml") == Said(b'{"absent":\n"x"}\n', fresh=True)
    assert recorded.last("tegrastats") == Said(b"two", fresh=True)
    with pytest.raises(BlockingIOError):
        recorded.last("jtop")
