"""Damaged files and bytes for every parser in Python: each is read, or refused in one line as the parser says.

  python3 -m selftest.random_bytes --seconds 300 [PARSER ...]

takes new bytes each time and ends with 1 where a parser did anything else; the bytes are kept then, and shown.
selftest/python/test_random_bytes.py does a little of it, always the same.
"""
from __future__ import annotations

import argparse
import gzip
import io
import json
import os
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from driver import ctest, program, run_folder
from driver.console import Console
from driver.export import FORMATS
from driver.progress import Progress
from driver.stop import Stop
from kernels import catalogue, elf, unpack
from kernels.catalogue import NoKernel
from kernels.channel import Channel, GuestLost
from results import baseline, documents, events, known, report, store, summary
from results.answers import of_run
from results.decode import Malformed
from results.page import Kept, page
from results.run import Run, merge
from results.text import PLAIN, printable
from results.verdict import judge
from selftest.python import random_runs
from selftest.python import results_sample as sample
from selftest.python.test_kernels_unpack import bzimage, vmlinux

ROOT = Path(__file__).resolve().parent.parent
# What parsers stumble over.
PIECES = (b"", b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"\n", b"\r\n", b'"', b"'''", b"\\u0000", b"\\ud800", b"\\n", b"1e999", b"NaN",
          b"-1", b"1" * 5000, b"[" * 3000, b'{"":' * 3000, b"true", b"null", b"[]", b"{}", b"\x7fELF", b"HdrS", b"\x1f\x8b",
          b"\xff" * 8, b"@", b"\xd9\xa3", b"<!DOCTYPE a [", b'encoding="x"', b"!out 9\n", b"!end 1\n", b"=", b"[[x]]\n")


@dataclass(frozen=True)
class Parser:
    """`read` takes bytes, in a folder that is its own, and raises `refuses` with one line; `wholes` are good ones."""
    read: Callable[[bytes, Path], None]
    wholes: Callable[[random.Random], bytes]
    refuses: tuple[type[Exception], ...] = ()


def damaged(whole: bytes, rng: random.Random) -> bytes:
    """`whole` with some of it cut out, repeated, overwritten or put in, now and then not even that."""
    content = bytearray(whole)
    for _ in range(rng.randint(1, 4)):
        at = rng.randint(0, len(content))
        if rng.random() < 0.3:  # where a value begins
            at = next((place + 1 for place in range(at, len(content)) if content[place] in b"=:[,>"), at)
        end = min(len(content), at + rng.choice([1, 1, 1, 4, 16, 200]))
        match rng.randrange(6):
            case 0:
                del content[at:end]
            case 1:
                del content[at:]
            case 2:
                content[at:at] = content[rng.randint(0, at):end]
            case 3:
                content[at:end] = rng.randbytes(end - at)
            case 4:
                content[at:end] = rng.choice(PIECES)
            case 5 if at < len(content):
                content[at] ^= 1 << rng.randrange(8)
    return bytes(content)


def finding(parser: Parser, content: bytes, folder: Path) -> str:
    """What is wrong with how these bytes were taken, "" where nothing is."""
    said = io.StringIO()
    try:
        with redirect_stdout(said), redirect_stderr(said):
            parser.read(content, folder)
    except parser.refuses as refused:
        text = str(refused)
        return "" if text and text == printable(text).replace("\n", "") else f"a refusal that is not one line of print: {text!r}"
    except Exception:
        return traceback.format_exc()
    return ""


def _told(run: Run) -> None:
    """A run that was read can be judged and told in every format."""
    judge(run)
    for render in FORMATS.values():
        render(run)
    report.failures(run, sample.listing(), PLAIN)
    summary.markdown(run, None)


def _run(content: bytes, folder: Path) -> None:
    path = folder / "run.json"
    path.write_bytes(content)
    _told(store.load(path))


def _stream(content: bytes, folder: Path) -> None:
    """As the driver does it: a look while cases run, then all of it."""
    path, log = folder / "events.jsonl", folder / "ctest.log"
    path.write_bytes(content)
    log.write_bytes(content[len(content) // 2:])
    plan = sample.script().plan
    progress = Progress(Console("never"), path, log, len(plan), verbose=True)
    progress.look()
    recorded, unreadable = events.read(path)
    run = merge(plan, recorded, progress.exits, sample.META, unreadable)
    _told(run)
    page([Kept(run, sample.listing(), recorded, None)])


def _claims(content: bytes, folder: Path) -> None:
    (folder / run_folder.CLAIMS).write_bytes(content)
    listing = run_folder.claims(folder)
    report.failures(merge(sample.script().plan, [], {}, sample.META), listing, PLAIN)


def _listing(content: bytes, folder: Path) -> None:
    with mock.patch.object(program, "_ask", lambda *_: program.document(content, "it")):
        program._listed(folder)


def _file(load: Callable[[Path], object]) -> Callable[[bytes, Path], None]:
    def read(content: bytes, folder: Path) -> None:
        path = folder / "file"
        path.write_bytes(content)
        load(path)
    return read


def _channel(content: bytes, folder: Path) -> None:
    with tempfile.TemporaryFile(dir=folder) as said, open(os.devnull, "r+b") as nothing:
        said.write(content)
        said.seek(0)
        for message in Channel(said.fileno(), nothing.fileno(), nothing.fileno()).messages(silence=1):
            str(message)


def _image(content: bytes, folder: Path) -> None:
    path = folder / "kernel"
    path.write_bytes(content)
    unpack.own(path, folder / "made")


def _packed(content: bytes, folder: Path) -> None:
    path = folder / "packed"
    path.write_bytes(content)
    unpack.bootable(path, ("amd64", "arm64")[len(content) % 2], folder / "kernel")


def _elf(content: bytes, folder: Path) -> None:
    elf.has_pvh_entry(content)


def _lines(content: bytes, folder: Path) -> None:
    for line in content.decode(errors="replace").splitlines():
        ctest.finished(line)


def _deb(content: bytes, folder: Path) -> None:
    path = folder / "a.deb"
    path.write_bytes(content)
    tree = folder / "tree"
    unpack.extract(path, tree)


def made_deb(folder: Path) -> bytes:
    """A package with one file and one link, as dpkg-deb makes it."""
    tree = folder / "package"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text("Package: a\nVersion: 1\nArchitecture: all\nMaintainer: a\nDescription: a\n")
    (tree / "boot").mkdir()
    (tree / "boot/vmlinuz-1").write_bytes(bzimage(b"x" * 100))
    (tree / "boot/link").symlink_to("vmlinuz-1")
    unpack.run("dpkg-deb", "-Zgzip", "--root-owner-group", "-b", tree, folder / "made.deb")
    return (folder / "made.deb").read_bytes()


def _one_of(*wholes: bytes) -> Callable[[random.Random], bytes]:
    return lambda rng: rng.choice(wholes)


def _some_run(rng: random.Random) -> bytes:
    return json.dumps(random_runs.run(rng).to_json(), indent=1).encode()


def _some_stream(rng: random.Random) -> bytes:
    plan = sample.script()
    odd = [{"v": 1, "event": "exit", "case": plan.plan[0].id, "attempt": 1, "how": "SEGFAULT", "seconds": 1, "output": "x"},
           {"v": 1, "event": "kernel", "case": "the_run", "attempt": 1, "sequence": 1, "text": "WARNING: x"}]
    log = "  1/44 Test #1: fate.hang@1 ......***Timeout  15.02 sec\n 2/44 Test  #2: fate.error@1 ....***Failed 0.10 sec\n"
    lines = rng.sample(plan.lines, 20) + [json.dumps(one, separators=(",", ":")) for one in odd]
    return ("\n".join(lines) + "\n" + log).encode(errors="replace")


def _some_baseline(rng: random.Random) -> bytes:
    return baseline.text(of_run(random_runs.run(rng))).encode()


def _some_deviations(rng: random.Random) -> bytes:
    """A few of the entries: all of them take long."""
    entries = known.FILE.read_bytes().split(b"\n[[")[1:]
    return b"".join(b"[[" + entry + b"\n" for entry in rng.sample(entries, 3))


JUNIT = b"""<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="x"><testcase name="a.b@1" time="0.1"><system-out>said &amp; done</system-out></testcase></testsuite>
"""
KERNELS = (vmlinux(True), vmlinux(False, 183), bzimage(gzip.compress(vmlinux(True))), bytes(0x38) + b"ARM\x64" + bytes(64),
           b"MZ\0\0zimg\x10\0\0\0\x20\0\0\0" + gzip.compress(b"x" * 99), b"\x7fELF\x02\x01" + b"Linux version 6.1 User Mode Linux")


def parsers(folder: Path) -> dict[str, Parser]:
    """All of them; `folder` is a place for what the good bytes are made from."""
    return {
        "run.json": Parser(_run, _some_run, (store.UnreadableRun,)),
        "events.jsonl": Parser(_stream, _some_stream),
        "claims.json": Parser(_claims, _one_of(json.dumps(sample.claims()).encode())),
        "--claims": Parser(_listing, _one_of(json.dumps(sample.claims()).encode()), (Stop,)),
        "baseline": Parser(_file(baseline.load), _some_baseline, (Malformed,)),
        "known_deviations": Parser(_file(known.load), _some_deviations, (Malformed,)),
        "documents": Parser(_file(documents.Documents.from_toml), _one_of(sample.DOCUMENTS.encode()), (Malformed,)),
        "channel": Parser(_channel, _one_of(b'!ready\n!put\n{"v":1}\n!out 5\nhello!end 0\n!error no\n'), (GuestLost,)),
        "own kernel": Parser(_image, _one_of(*KERNELS), (NoKernel,)),
        "packaged kernel": Parser(_packed, _one_of(*KERNELS), (NoKernel,)),
        "ELF notes": Parser(_elf, _one_of(vmlinux(True))),
        "package": Parser(_deb, _one_of(made_deb(folder)), (NoKernel,)),
        "ctest's JUnit": Parser(_file(ctest.outputs), _one_of(JUNIT)),
        "ctest's lines": Parser(_lines, _one_of(b"  1/44 Test #1: fate.hang@1 ......***Timeout  15.02 sec\n" * 3)),
    }


def main(words: Sequence[str]) -> int:
    arguments = argparse.ArgumentParser(prog="python3 -m selftest.random_bytes", description=__doc__,
                                        formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=60, help="in all (60)")
    arguments.add_argument("parsers", nargs="*", metavar="PARSER", help="such as run.json (all)")
    options = arguments.parse_args(words)
    with tempfile.TemporaryDirectory() as place:
        every = parsers(Path(place))
        if unknown := set(options.parsers) - set(every):
            arguments.error(f"no parser is called {', '.join(unknown)}; there are: {', '.join(every)}")
        chosen = {name: every[name] for name in options.parsers or every}
        bad = 0
        for name, parser in chosen.items():
            count, found = _tried(name, parser, time.monotonic() + options.seconds / len(chosen))
            bad += found
            print(f"{name:18} {count:9,} executions  {found} findings", flush=True)
    return 1 if bad else 0


def _tried(name: str, parser: Parser, until: float) -> tuple[int, int]:
    """Executions and different findings."""
    count, seen = 0, set()
    while time.monotonic() < until:
        with tempfile.TemporaryDirectory() as folder:
            rng = random.Random()
            content = damaged(parser.wholes(rng), rng)
            wrong = finding(parser, content, Path(folder))
        count += 1
        where = wrong.splitlines()[-3:-2]
        if wrong and (key := tuple(where)) not in seen:
            seen.add(key)
            kept = Path(tempfile.gettempdir(), f"portshare-{name.replace('/', '_').replace(' ', '_')}-{len(seen)}")
            kept.write_bytes(content)
            print(f"{name}: {kept}\n{wrong}", flush=True)
    return count, len(seen)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
