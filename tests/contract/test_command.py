# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""TOOL -- COMMAND: what is traced, and what COMMAND finds."""
from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import List

import pytest

from frontends import FRONTENDS, PATIENCE_S, PLAIN, cgroup, command, run
from bpfduet.plain.cgroup import own_cgroup
from support import MISSING, alive, cgroup_of, environment, opens, seen, wait_for

both_frontends = pytest.mark.parametrize("frontend", FRONTENDS)

# Ends as a daemon two forks away; the files tell when to go on, and what it was.
DAEMON = """
import os, sys, time
workload, folder = sys.argv[1:]
if os.fork() == 0:
    os.setsid()
    for descriptor in (1, 2):
        os.dup2(os.open("/dev/null", os.O_WRONLY), descriptor)
    if os.fork() == 0:
        os.spawnv(os.P_WAIT, workload, [workload, "23", "/bpfduet/missing"])
        open(folder + "/pid.new", "w").write(str(os.getpid()))
        os.rename(folder + "/pid.new", folder + "/pid")
        while not os.path.exists(folder + "/end"):
            time.sleep(0.02)
    os._exit(0)
while not os.path.exists(folder + "/pid"):
    time.sleep(0.01)
"""


@both_frontends
def test_only_the_command_is_seen(workloads: Path, frontend: str) -> None:
    """The first that is seen is its exec: nothing of the tool's own doing before."""
    result = run(frontend, "syscount", ["-T", "100", "--format", "csv", "--",
                                        str(workloads / "leave")])
    calls = [line.split(b",") for line in result.lines()[1:]]
    assert [b"execve", b"1"] in calls
    assert not {b"read", b"write", b"openat", b"close", b"prctl"} & {name for name, _ in calls}
    assert run(frontend, "readhist", ["--", str(workloads / "leave")]).stdout == b""


@both_frontends
def test_name_before_exec(workloads: Path, frontend: str) -> None:
    """Execs that fail on the way along PATH are under the name of COMMAND as well."""
    result = run(frontend, "execsnoop", ["-x", "--format", "json", "--", "leave"],
                 env={"PATH": f"/nowhere:{workloads}"})
    events = [event["data"] for event in result.objects()]
    assert [(event["comm"], event["ret"]) for event in events] == [("leave", -2), ("leave", 0)]


@both_frontends
def test_descendants(workloads: Path, frontend: str, tmp_path: Path) -> None:
    """A daemon is traced too, and goes on in the cgroup above when the run is over."""
    result = run(frontend, "opensnoop", ["--", "/usr/bin/python3", "-c", DAEMON,
                                         str(workloads / "opens"), str(tmp_path)])
    pid = int((tmp_path / "pid").read_text())
    try:
        assert (result.status, result.stderr, seen(result)) == (0, b"", 23)
        assert alive(pid)
        where = Path(f"/proc/{pid}/cgroup").read_text().rpartition("0::/")[2].strip()
        assert "bpfduet-" not in where
    finally:
        (tmp_path / "end").touch()


@both_frontends
def test_nested_cgroup(workloads: Path, frontend: str) -> None:
    """A command that makes a cgroup below its own and enters it is traced on."""
    script = (f"group={own_cgroup()}/bpfduet-$PPID/in/ner; "
              f"mkdir -p $group && echo $$ > $group/cgroup.procs && "
              f"exec {workloads}/opens 23 {MISSING}")
    process = subprocess.Popen(command(frontend, "opensnoop", ["--", "sh", "-c", script]),
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, err, out.count(MISSING.encode())) == (0, b"", 23)
    assert not cgroup_of(process.pid).exists()


@both_frontends
def test_cgroup_option_is_the_parent(workloads: Path, frontend: str) -> None:
    """--cgroup together with COMMAND: its cgroup is made there."""
    with cgroup("outer") as group:
        result = run(frontend, "opensnoop", ["--cgroup", str(group), "--", "sh", "-c",
                                             f"cat /proc/self/cgroup >&2; "
                                             f"{workloads}/opens 23 {MISSING}"])
        assert (result.status, seen(result)) == (0, 23)
        assert b"/%s/bpfduet-" % group.name.encode() in result.stderr
        assert [entry for entry in group.iterdir() if entry.is_dir()] == []


@pytest.mark.host_only
@pytest.mark.parametrize("status", ["0", "7", "255", "signal"])
@both_frontends
def test_exit_status_of_command(workloads: Path, frontend: str, status: str) -> None:
    """It does not matter."""
    end = "kill -9 $$" if status == "signal" else f"exit {status}"
    result = run(frontend, "opensnoop", ["--", "sh", "-c",
                                         f"{workloads}/opens 23 {MISSING}; {end}"])
    assert (result.status, result.stderr, seen(result)) == (0, b"", 23)


@pytest.mark.host_only
@both_frontends
def test_what_command_inherits(frontend: str, tmp_path: Path) -> None:
    """stdin, stdout, stderr, environment and current directory are the caller's."""
    done = subprocess.run(
        command(frontend, "syscount", ["--", "sh", "-c", "cat; pwd >&2; echo $HELLO >&2"]),
        input=b"from stdin\n", stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path,
        env=environment(HELLO="there"), timeout=PATIENCE_S, check=False)
    assert done.returncode == 0
    assert done.stdout.startswith(b"from stdin\n")
    assert done.stderr.splitlines()[-2:] == [str(tmp_path).encode(), b"there"]


@pytest.mark.host_only
@both_frontends
def test_environment_is_not_added_to(frontend: str) -> None:
    """Nothing of the tool's own is in it."""
    wanted = {"A": "1", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command(frontend, "syscount", ["--", "env"]), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=wanted,
                          timeout=PATIENCE_S, check=False)
    lines = [line for line in done.stdout.decode().splitlines() if "=" in line]
    assert sorted(lines) == sorted(f"{name}={value}" for name, value in wanted.items())


@pytest.mark.host_only
@both_frontends
def test_descriptors_and_signals(frontend: str) -> None:
    """COMMAND has the caller's descriptors and signals and no others: none is blocked, and ignored
    is only what whoever started the tests had ignored already."""
    look = ["grep", "-E", "SigBlk|SigIgn", "/proc/self/status"]
    plain = subprocess.run(look, stdout=subprocess.PIPE, check=True, restore_signals=True)
    status = run(frontend, "syscount", ["--", *look], restore_signals=True)
    assert status.lines()[0] == b"SigBlk:\t0000000000000000"
    assert status.lines()[:2] == plain.stdout.splitlines()
    opened = run(frontend, "syscount", ["--", "ls", "/proc/self/fd"])
    assert opened.lines()[:4] == [b"0", b"1", b"2", b"3"]   # 3: the listing itself
    assert opened.lines()[4].startswith(b"[")               # the report


@pytest.mark.host_only
@both_frontends
def test_options_after_the_dashes(workloads: Path, frontend: str) -> None:
    """They are COMMAND's, another -- too."""
    result = run(frontend, "execsnoop", ["--format", "json", "--", str(workloads / "leave"), "-p",
                                         "--help", "--", "--format=csv"])
    events = result.objects()
    assert [event["data"]["args"][1:] for event in events] == \
        [["-p", "--help", "--", "--format=csv"]]


@pytest.mark.host_only
@pytest.mark.parametrize("argv, reason", [
    (["/missing/program"], "No such file or directory"), (["no-such-program-at-all"],
                                                          "No such file or directory"),
    (["/etc/passwd"], "Permission denied"), (["/tmp"], "Permission denied"),
    ([""], "No such file or directory")])
@both_frontends
def test_command_that_cannot_run(frontend: str, argv: List[str], reason: str) -> None:
    """One sentence, exit 1, nothing on stdout but the header."""
    result = run(frontend, "opensnoop", ["--format", "json", "--", *argv])
    assert result.stderr.decode() == f"opensnoop: cannot run '{argv[0]}': {reason}\n"
    assert (result.status, result.stdout) == (1, b"")


@pytest.mark.host_only
@both_frontends
def test_stopped_command(workloads: Path, frontend: str, tmp_path: Path) -> None:
    """A COMMAND that is stopped when the run ends is ended all the same."""
    script = (f"{workloads}/opens 23 {MISSING} >/dev/null; echo $$ > {tmp_path}/new; "
              f"mv {tmp_path}/new {tmp_path}/pid; kill -STOP $$")
    with subprocess.Popen(command(frontend, "opensnoop", ["--", "sh", "-c", script]),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        wait_for(tmp_path / "pid")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, err, out.count(MISSING.encode())) == (0, b"", 23)
    assert not alive(int((tmp_path / "pid").read_text()))
    assert not cgroup_of(process.pid).exists()


@both_frontends
def test_two_runs_at_once(workloads: Path, frontend: str) -> None:
    """They do not see each other's commands."""
    runs = [subprocess.Popen(command(frontend, "opensnoop", ["--", *opens(workloads, 23, path)]),
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
            for path in ("/bpfduet/one", "/bpfduet/two")]
    outputs = [process.communicate(timeout=PATIENCE_S)[0] for process in runs]
    assert [(out.count(b"/bpfduet/one"), out.count(b"/bpfduet/two")) for out in outputs] == \
        [(23, 0), (0, 23)]


@both_frontends
def test_nested_tools(workloads: Path, frontend: str) -> None:
    """A tool as COMMAND of a tool: both see what the inner command does."""
    inner = [str(part) for part in command(frontend, "opensnoop", ["--", *opens(workloads, 23)])]
    result = run(frontend, "opensnoop", ["--format", "csv", "--", *inner])
    assert result.status == 0
    assert seen(result) == 46


@both_frontends
def test_name_of_the_cgroup_is_taken(workloads: Path, frontend: str, tmp_path: Path) -> None:
    """By an older run of the same PID, or one of another PID namespace; one that is locked is of a
    run that goes on, which is left alone, with the next name."""
    folder = own_cgroup()
    for locked in (False, True):
        lock = "exec 9<$1/bpfduet-$$; flock -n 9 || exit 9; " if locked else ""
        script = f"mkdir $1/bpfduet-$$; echo $$ > $2; {lock}shift 2; exec \"$@\""
        done = subprocess.run(
            ["sh", "-c", script, "sh", folder, tmp_path / "pid",
             *command(frontend, "opensnoop", ["--", *opens(workloads, 23)])],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            timeout=PATIENCE_S, check=False)
        taken = folder / f"bpfduet-{(tmp_path / 'pid').read_text().strip()}"
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout.count(MISSING.encode()) == 23
        assert taken.exists() == locked
        if locked:
            taken.rmdir()
        assert not list(folder.glob(f"{taken.name}-*"))


@pytest.mark.host_only
def test_held_up(tmp_path: Path) -> None:
    """However long the tool is held up before COMMAND may go, that waits, and uses no CPU."""
    script = f"cat /proc/$$/stat > {tmp_path}/stat"
    done = subprocess.run(
        ["strace", "-qq", "-o", "/dev/null", "-e", "trace=wait4", "-e",
         "inject=wait4:delay_exit=3000000:when=1",
         *command("c", "opensnoop", ["--", "sh", "-c", script])],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        timeout=PATIENCE_S, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    user, system = (tmp_path / "stat").read_text().rpartition(")")[2].split()[11:13]
    assert int(user) + int(system) < 100    # ticks of 10 ms: a child that waits for 3 s by turning has 300


@pytest.mark.host_only
def test_many_starts_at_once(tmp_path: Path) -> None:
    """All run their commands."""
    runs = [subprocess.Popen(command("c", "opensnoop", ["--", "touch", str(tmp_path / str(number))]),
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            for number in range(60)]
    ends = [(process.communicate(timeout=PATIENCE_S)[1], process.returncode) for process in runs]
    assert set(ends) == {(b"", 0)}
    assert {path.name for path in tmp_path.iterdir()} == {str(number) for number in range(60)}


@pytest.mark.host_only
@pytest.mark.parametrize("frontend", [*FRONTENDS, PLAIN])
def test_a_run_that_goes_on_is_not_swept(frontend: str) -> None:
    """Another start removes cgroups that nobody holds; this one is held, the witness's too."""
    with subprocess.Popen(command(frontend, "opensnoop", ["--", "sh", "-c", "read word"]),
                          stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE) as process:
        procs = cgroup_of(process.pid) / "cgroup.procs"
        wait_for(procs)
        inside = ""
        while not inside:
            assert process.poll() is None
            inside = procs.read_text()
        assert run("c", "opensnoop", ["--", "true"]).status == 0
        assert procs.read_text() == inside
        _, err = process.communicate(b"word\n", timeout=PATIENCE_S)
        assert (process.returncode, err) == (0, b"")
