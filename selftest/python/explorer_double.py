"""Stands in for portshare_explore: speaks --list, sweep, ask, reproduce and rules.  A case does what its name says."""

import json
import os
import signal
import sys
import time
from pathlib import Path

# What the file that make() writes adds below this one.
START = "\nmain({names!r})\n"


def make(path: Path, names: list[str]) -> None:
    path.write_text(f"#!{sys.executable} -S\n" + Path(__file__).read_text() + START.format(names=names))
    path.chmod(0o755)


def case(name: str) -> dict[str, object]:
    return dict(id=f"explore.{name}", test=name, topic="explore", file="harness/explore/sweep.cc", line=7,
                claims=[f"explore.claim.{name}"], needs=[], labels=["slow"] if name == "waits" else [])


def claim(name: str) -> dict[str, object]:
    return dict(id=f"explore.claim.{name}", says="Kernel and model agree.", kernels="all", rows=[], documents=[],
                sources=[dict(kind="kernel", where="inet_csk_bind_conflict()")], cases=[f"explore.{name}"])


def sweep(names: list[str], words: list[str]) -> int:
    print("swept with", *words, "on", os.environ["PORTSHARE_ATTEMPT"], flush=True)
    if "refuses" in names:
        return 2
    events = os.open(os.environ["PORTSHARE_EVENTS"], os.O_WRONLY | os.O_APPEND)

    def event(kind: str, name: str, **rest: object) -> None:
        line = dict(v=1, event=kind, case=f"explore.{name}", attempt=int(os.environ["PORTSHARE_ATTEMPT"]), **rest)
        os.write(events, (json.dumps(line, separators=(",", ":")) + "\n").encode())

    only = next((word.removeprefix("--only=").split(":") for word in words if word.startswith("--only=")), None)
    ended = dict(fails="fail", cannot="error")
    chosen = [name for name in names if only is None or f"explore.{name}" in only]
    for name in chosen:
        event("start", name, pid=os.getpid(), time=time.time())
        if name == "crashes":
            os.kill(os.getpid(), signal.SIGSEGV)
        if name == "stops":
            os._exit(0)
        if name == "waits":
            time.sleep(60)
        failures = [dict(file="harness/explore/sweep.cc", line=9, message="a: tcp 127.0.0.1\nbind a  => ok")]
        rest = {} if name not in ended else dict(failures=failures)
        event("end", name, status=ended.get(name, "pass"), seconds=0.25, outcomes=36864, **rest)
        if name == "falls":
            os.kill(os.getpid(), signal.SIGSEGV)
    return 1 if {"fails", "lies"} & {*chosen} else 2 if "cannot" in chosen else 0


def main(names: list[str]) -> None:
    words = sys.argv[1:]
    if words[0] == "--list":
        print(json.dumps(dict(schema=1, claims=[*map(claim, names)], cases=[*map(case, names)])))
    elif words[0] == "sweep":
        sys.exit(sweep(names, words[1:]))
    elif words == ["rules"]:
        print("# Rules")
    elif words == ["bench"]:
        print("explorer/bare 1.00")
    else:
        text = sys.stdin.buffer.read() if words[1:] == ["-"] else b"?"
        if b"crash" in text:
            os.kill(os.getpid(), signal.SIGSEGV)
        if b"wrong" in text:
            sys.exit("portshare_explore: 1:1: wanted a step")  # code 1
        sys.stdout.buffer.write(b"/* " + text + b" */\n")
        sys.exit(2 if b"cannot" in text else 0)
