"""One repetition with a real server, as one line of JSON: nginx under wrk, or reloads of nginx and HAProxy under load.

It runs in a network namespace of its own, as the first process of a PID namespace, where portshare_bench enter puts it:
    servers.py WAY FOLDER SECONDS PORTSHARE_BENCH
What it needs beside that goes into FOLDER, which the caller removes.
"""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

PORT = 8080  # in a namespace of our own
WORKERS = 4  # the documents' number
CLIENTS = 32
PATIENCE = 10.0  # seconds for a server to begin or to end
BETWEEN = 0.1  # seconds from one reload to the next: what the load meets, not what anything waits for

NGINX = """\
daemon off;
user root;
worker_processes {workers};
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; {events} }}
http {{
    log_format worker '$pid';
    access_log {log};
    client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
    uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
    server {{
        listen 127.0.0.1:{port}{listen} backlog=4096;
        location / {{ return 200 "OK"; }}
    }}
}}
"""

HAPROXY = """\
global
    hard-stop-after 2s
    {stats}
defaults
    mode http
    timeout connect 1s
    timeout client 1s
    timeout server 1s
frontend all
    bind 127.0.0.1:{port} backlog 4096
    http-request return status 200 content-type text/plain string OK
"""

# What the documents compare.  The default of nginx has changed since: accept_mutex is off from 1.11.3 on.
CONFIGURATIONS = {
    "accept_mutex_on": dict(events="accept_mutex on;", listen=""),
    "accept_mutex_off": dict(events="accept_mutex off;", listen=""),
    "reuseport": dict(events="accept_mutex off;", listen=" reuseport"),
}


class Trouble(Exception):
    """The repetition could not be made: why."""


class Place:
    def __init__(self, folder: str, seconds: str, program: str) -> None:
        self.folder, self.seconds, self.program = Path(folder), float(seconds), program

    def start(self, *words: str | Path) -> subprocess.Popen[bytes]:
        """With all that it says in the folder's file `said`."""
        with (self.folder / "said").open("ab") as said:
            return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=said, stderr=said)

    def said(self) -> str:
        paths = [self.folder / name for name in ("error.log", "said")]
        lines = [line for path in paths if path.exists() for line in path.read_text(errors="replace").splitlines()]
        return " / ".join(lines[-3:])

    def wait_for_answer(self, server: subprocess.Popen[bytes]) -> None:
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up and server.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", PORT), 1) as client:
                    client.sendall(b"GET / HTTP/1.0\r\n\r\n")
                    if client.recv(100):
                        return
            except OSError:
                time.sleep(0.01)
        raise Trouble(f"{server.args[0]} does not answer: {self.said()}")

    def end(self, server: subprocess.Popen[bytes], by: signal.Signals) -> None:
        server.send_signal(by)
        try:
            server.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise Trouble(f"{server.args[0]} does not end: {self.said()}") from None


def last_line(text: bytes, who: str) -> dict[str, Any]:
    try:
        return json.loads(text.splitlines()[-1])
    except (IndexError, ValueError):
        raise Trouble(f"{who} says no numbers: {text[-200:]!r}") from None


def nginx(place: Place, log: str, workers: int = WORKERS, events: str = "", listen: str = "") -> list[str]:
    """Writes the configuration; the words that start nginx with it."""
    folder = place.folder
    text = NGINX.format(folder=folder, port=PORT, log=log, workers=workers, events=events, listen=listen)
    (folder / "nginx.conf").write_text(text)
    return ["nginx", "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]


def under_wrk(configuration: dict[str, str], *header: str) -> Callable[[Place], dict[str, Any]]:
    def repetition(place: Place) -> dict[str, Any]:
        log = place.folder / "access.log"
        server = place.start(*nginx(place, f"{log} worker buffer=256k", **configuration))
        place.wait_for_answer(server)
        asking = ["wrk", "-t", "2", "-c", str(CLIENTS), "-d", f"{max(round(place.seconds), 1)}s",
                  "-s", Path(__file__).with_name("wrk.lua"), *header, f"http://127.0.0.1:{PORT}/"]
        ended = subprocess.run(asking, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=place.seconds + 30)
        measured = last_line(ended.stdout, "wrk")
        # What ended before is in it already, and the workers are in it with their master.
        before = children_seconds()
        place.end(server, signal.SIGQUIT)
        pids = log.read_text().split()
        return measured | shares(pids) | dict(server_cpu_us=(children_seconds() - before) * 1e6 / len(pids))

    return repetition


def children_seconds() -> float:
    """CPU of the children that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def shares(pids: list[str]) -> dict[str, Any]:
    """Of the workers, by the process that answered each request; who answered none counts as one with 1."""
    counts = [count for _, count in Counter(pids).most_common()]
    counts += [0] * (WORKERS - len(counts))
    return dict(served_by_worker=counts, share_max_min=counts[0] / max(counts[-1], 1))


def reloaded(place: Place, migrate: int, server: subprocess.Popen[bytes], reload: Callable[[], None]) -> dict[str, Any]:
    """What a load lost while `reload` was done again and again."""
    Path("/proc/sys/net/ipv4/tcp_migrate_req").write_text(str(migrate))
    place.wait_for_answer(server)
    words = [place.program, "load", str(PORT), f"--seconds={place.seconds}", f"--clients={CLIENTS}"]
    load = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    reloads = 0
    end = time.monotonic() + place.seconds
    while time.monotonic() + BETWEEN < end:
        time.sleep(BETWEEN)
        reload()
        reloads += 1
    said, _ = load.communicate(timeout=PATIENCE)
    measured = last_line(said, "the load")
    lost = measured["lost"]
    return measured | dict(reloads=reloads, lost_per_reload=lost / reloads, lost_otherwise=lost - measured["reset"])


def nginx_reload(workers: tuple[int, int], listen: str, migrate: int) -> Callable[[Place], dict[str, Any]]:
    """As many workers in turn, one of both after each reload."""

    def repetition(place: Place) -> dict[str, Any]:
        server = place.start(*nginx(place, "off", workers[0], listen=listen))
        turns = [workers[1], workers[0]]

        def reload() -> None:
            nginx(place, "off", turns[0], listen=listen)
            turns.reverse()
            server.send_signal(signal.SIGHUP)

        measured = reloaded(place, migrate, server, reload)
        place.end(server, signal.SIGTERM)
        return measured

    return repetition


def haproxy_reload(migrate: int, passes: bool) -> Callable[[Place], dict[str, Any]]:
    def repetition(place: Place) -> dict[str, Any]:
        control = place.folder / "control"
        stats = f"stats socket {control} mode 600 level admin expose-fd listeners" if passes else ""
        configuration = place.folder / "haproxy.cfg"
        configuration.write_text(HAPROXY.format(port=PORT, stats=stats))
        command = ["haproxy", "-db", "-f", str(configuration)]
        servers = [place.start(*command)]

        def reload() -> None:
            old = servers[-1]
            servers.append(place.start(*command, *(["-x", str(control)] if passes else []), "-sf", str(old.pid)))
            try:
                old.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                raise Trouble(f"haproxy does not leave: {place.said()}") from None

        measured = reloaded(place, migrate, servers[0], reload)
        place.end(servers[-1], signal.SIGTERM)
        return measured

    return repetition


WAYS = {
    **{f"nginx_{name}": under_wrk(words) for name, words in CONFIGURATIONS.items()},
    **{f"nginx_close_{name}": under_wrk(words, "-H", "Connection: close") for name, words in CONFIGURATIONS.items()},
    "reload_nginx_same_0": nginx_reload((WORKERS, WORKERS), " reuseport", 0),
    "reload_nginx_fewer_0": nginx_reload((WORKERS, WORKERS // 2), " reuseport", 0),
    "reload_nginx_fewer_1": nginx_reload((WORKERS, WORKERS // 2), " reuseport", 1),
    "reload_haproxy_0": haproxy_reload(0, passes=False),
    "reload_haproxy_1": haproxy_reload(1, passes=False),
    "reload_haproxy_passed_0": haproxy_reload(0, passes=True),
}


def main() -> NoReturn:
    way, *rest = sys.argv[1:]
    try:
        print(json.dumps(WAYS[way](Place(*rest))), flush=True)
    except (Trouble, OSError, subprocess.TimeoutExpired) as trouble:
        sys.exit(f"{way}: {trouble}")
    os._exit(0)  # what is left ends with the namespace


if __name__ == "__main__":
    main()
