"""Dependencies point one way: the includes and imports of each folder against the README's arrows."""

import ast
import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

# Folder -> the folders of the project that it may use, itself aside.
ARROWS = {
    "model": set(),
    "netns": set(),
    "harness": {"model", "netns"},
    "cases": {"harness", "model", "netns"},
    "kernels": set(),
    "results": set(),
    "bench": {"netns"},
    "driver": {"bench", "kernels", "results"},
}
FOLDERS = set(ARROWS) | {"selftest", "docs"}


def included(text: str) -> set[str]:
    """Folders of the project that C++ text includes from."""
    return {match.split("/")[0] for match in re.findall(r'#include\s+[<"]([^">]+)[">]', text)} & FOLDERS


def imported(text: str) -> set[str]:
    """Folders of the project that Python text imports from."""
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names & FOLDERS


def used(path: Path) -> set[str]:
    text = path.read_text(encoding="utf-8")
    return imported(text) if path.suffix == ".py" else included(text)


class Arrows(unittest.TestCase):
    def test_no_arrow_points_back(self) -> None:
        back = []
        for folder, allowed in ARROWS.items():
            files = [path for path in (ROOT / folder).rglob("*") if path.suffix in {".cc", ".h", ".py"}]
            for path in files:
                back += [f"{path.relative_to(ROOT)} uses {name}" for name in used(path) - allowed - {folder}]
        self.assertEqual(back, [])

    def test_every_folder_has_arrows_and_a_row_in_the_readme(self) -> None:
        ours = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith((".", "build", "__"))}
        self.assertLessEqual(ours, FOLDERS)
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        self.assertEqual([name for name in sorted(ours) if f"`{name}/`" not in readme], [])

    def test_an_arrow_that_points_back_is_seen(self) -> None:
        self.assertEqual(included('#include "cases/x.h"\n#include <harness/y.h>\n#include <vector>\n'), {"cases", "harness"})
        self.assertEqual(imported("import os\nfrom driver import run\nimport results.events\n"), {"driver", "results"})


# What a case may not name: versions, paths and numbers of the machine that it runs on, and time as a synchroniser.
FORBIDDEN = re.compile(r"\buname\b|\bSYS_\w+|__NR_|/proc\b|\bu?sleep\(|sleep_for|LINUX_VERSION|KERNEL_VERSION")


class GroundRules(unittest.TestCase):
    def test_cases_keep_off_versions_paths_and_sleeps(self) -> None:
        found = []
        for path in sorted((ROOT / "cases").glob("*.cc")):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if FORBIDDEN.search(line):
                    found.append(f"{path.name}:{number}: {line.strip()}")
        self.assertEqual(found, [], "a case waits for what the harness knows, and asks what it needs by a probe")

    def test_what_is_forbidden_is_seen(self) -> None:
        for line in ("usleep(10);", "syscall(SYS_bind)", 'open("/proc/net/tcp")', "uname(&name)", "std::this_thread::sleep_for(x)"):
            self.assertRegex(line, FORBIDDEN)


if __name__ == "__main__":
    unittest.main()
