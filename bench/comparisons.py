"""What the documents compare: the ways of each comparison, what is measured of them, and what that can show."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SERVERS = Path(__file__).with_name("servers.py")


@dataclass(frozen=True)
class Way:
    name: str
    label: str


@dataclass(frozen=True)
class Measure:
    """`key` is its name in a repetition's line; a wide range is drawn by its logarithm where `ratio` says that it is one."""

    key: str
    label: str
    unit: str
    ratio: bool = False


@dataclass(frozen=True)
class Comparison:
    """`needs` are commands that may be missing here.  `says` is told below its numbers."""

    name: str
    title: str
    ways: tuple[Way, ...]
    measures: tuple[Measure, ...]
    says: str
    needs: tuple[str, ...] = ()

    @property
    def with_server(self) -> bool:
        return bool(self.needs)

    def command(self, way: Way, program: Path, python: str, folder: Path, seconds: float) -> list[str | Path]:
        """One repetition: a program that prints one line of JSON, and may write into `folder`."""
        if not self.with_server:
            return [program, self.name, way.name, f"--seconds={seconds}"]
        words: Sequence[str | Path] = (SERVERS, f"{self.name}_{way.name}", folder, str(seconds), program)
        return [program, "enter", python, "-S", "-P", *words]


MEAN = Measure("latency_mean_us", "latency, mean", "µs")
DEVIATION = Measure("latency_sd_us", "latency, standard deviation", "µs")
SHARE = Measure("share_max_min", "busiest : idlest worker", "times", ratio=True)

NGINX = (
    Way("accept_mutex_on", "accept_mutex on"),
    Way("accept_mutex_off", "accept_mutex off"),
    Way("reuseport", "reuseport"),
)
REQUESTS = Measure("requests_per_second", "requests", "1/s")

TCP = Comparison(
    "tcp",
    "Who accepts a connection",
    (
        Way("handoff", "one acceptor hands off to 4"),
        Way("race_blocking", "4 race, blocking accept()"),
        Way("race_epoll", "4 race, epoll level-triggered"),
        Way("race_exclusive", "4 race, EPOLLEXCLUSIVE"),
        Way("one_each", "one SO_REUSEPORT listener each"),
        Way("alone", "one thread alone"),
    ),
    (
        Measure("connections_per_second", "connections", "1/s"),
        SHARE,
        Measure("server_cpu_us", "server's CPU a connection", "µs"),
        MEAN,
        DEVIATION,
        Measure("woken_for_nothing", "wake-ups in vain a connection", "1"),
    ),
    """\
The letter of 2013 says two things: one acceptor becomes the bottleneck when connections come fast, and threads that race
share unevenly, up to 3:1. The second needs no more cores than these {cores}: it is a matter of who is woken. Who waits
in accept() is woken in turn, and the shares are even; epoll wakes who began to wait last, and they are not.
SO_REUSEPORT leaves the choice to a hash, which no wake-up bends. The first needs a core for the acceptor and more cores
for the workers than it can feed; here clients, softirqs and server share {cores} cores, so that connections per second is
the price of a connection in CPU time, all told, and not where a design stops to scale. Contention for the listener's
lock, the reason that 36 cores have, needs workers that run at the same time: here at most {cores}. The server's CPU
is that of its threads; on loopback the handshake runs on the client's account.""",
)

UDP = Comparison(
    "udp",
    "Who receives a datagram",
    (
        Way("shared", "4 race for one socket"),
        Way("one_each", "one SO_REUSEPORT socket each"),
        Way("alone", "one thread alone"),
    ),
    (
        Measure("datagrams_per_second", "datagrams answered", "1/s"),
        Measure("server_cpu_us", "server's CPU a datagram", "µs"),
        SHARE,
        MEAN,
        DEVIATION,
        Measure("lost", "not answered", "datagrams"),
    ),
    """\
The letter says that threads at one socket share unevenly and contend for its lock, and names DNS servers; each datagram
here is a question that is answered. 512 source ports ask: the hash spreads ports, not datagrams, so that a few parts in a
hundred between the workers are its normal spread. What {cores} cores can show is the CPU of a datagram: the lock and
the wake-ups of a shared queue are in it. What they cannot show is contention: the lock is fought over by as many threads
as run at once, at most {cores} here and those busy with clients as well, and on 36 cores by all of them; a thread alone
may be the fastest here, because a queue that never runs empty needs no wake-up.""",
)

NGINX_KEPT = Comparison(
    "nginx",
    "nginx under wrk, connections kept alive",
    NGINX,
    (REQUESTS, MEAN, DEVIATION, SHARE, Measure("lost", "errors", "requests")),
    """\
The comparison of the article: 4 workers, wrk on the same computer, the answer OK; 36 cores there, {cores} here. There
reuseport answered two to three times as many requests, with less latency and less deviation. That gain is one of workers
that idle: wrk opens its connections at once, accept_mutex gives them to the one or two workers that hold it, and 34
other cores would have been free. Here wrk alone can keep a core busy, so that no more than about one is left to be used
better, and the deviation of latency is mostly that of the scheduler: of {cores} cores, under what else runs. What can
be seen here is the share: which workers got the connections and keep them. 32 connections and a hash are few: reuseport
is not even, either. accept_mutex is off by default since nginx 1.11.3; the article's default is the first line.""",
    needs=("nginx", "wrk"),
)

NGINX_CLOSED = Comparison(
    "nginx_close",
    "nginx under wrk, a connection for each request",
    NGINX,
    NGINX_KEPT.measures,
    """\
The same with Connection: close, so that each request is one accept() and the three configurations differ in every one of
them, as they do in the letter's high connection turn-over. Shares of reuseport are even now: the hash has thousands of
connections. accept_mutex lets one worker poll the listener and the others sleep up to 500 ms for it. What {cores} cores
cannot show is how far reuseport goes: wrk and the kernel's side of connections take their part of the same cores.""",
    needs=("nginx", "wrk"),
)

RELOAD = Comparison(
    "reload",
    "Connections lost by reloads under load",
    (
        Way("nginx_same_0", "nginx, 4 workers, migrate 0"),
        Way("nginx_fewer_0", "nginx, 4 and 2 in turn, migrate 0"),
        Way("nginx_fewer_1", "nginx, 4 and 2 in turn, migrate 1"),
        Way("haproxy_0", "haproxy -sf, migrate 0"),
        Way("haproxy_1", "haproxy -sf, migrate 1"),
        Way("haproxy_passed_0", "haproxy -sf -x, listeners passed"),
    ),
    (
        Measure("lost_per_million", "failures in a million connections", "1"),
        Measure("lost_per_reload", "failures a reload", "connections"),
        Measure("connections_per_second", "connections", "1/s"),
        Measure("reset", "reset", "connections"),
        Measure("refused", "refused", "connections"),
        Measure("timed_out", "timed out", "connections"),
    ),
    """\
What a closing listener loses is what waited in it, and that depends on how fast its owner accepts: failures per million
are those of this load on this computer, many reloads in a second, and no one's production. What these {cores} cores
can show is which of them is zero: a listener that nobody closes loses nothing (nginx with as many workers, haproxy with
listeners passed on), and neither does one whose connections move to another of its group (net.ipv4.tcp_migrate_req).
That a way lost nothing in these seconds is no proof that it never does: the cases with label servers and those of
reload have the exact form, with connections held back. More cores would make the closing faster and the load higher; on
few of them more connections wait when the listener closes, because its owner waits for a core, too.""",
    needs=("nginx", "haproxy"),
)

ALL = (TCP, UDP, NGINX_KEPT, NGINX_CLOSED, RELOAD)
EXPLORER = "explorer"  # which measures itself
NAMES = (*(comparison.name for comparison in ALL), EXPLORER)
