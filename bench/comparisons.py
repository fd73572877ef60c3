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
    """`key` names it in a repetition's line; a `ratio` is never below 1, and a wide one is drawn by its logarithm."""

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
    seconds: float = 1  # of a repetition's load

    @property
    def with_server(self) -> bool:
        return bool(self.needs)

    def command(self, way: Way, program: Path, python: str, folder: Path) -> list[str | Path]:
        """One repetition: a program that prints one line of JSON, and may write into `folder`."""
        if not self.with_server:
            return [program, self.name, way.name, f"--seconds={self.seconds}"]
        words: Sequence[str | Path] = (SERVERS, f"{self.name}_{way.name}", folder, str(self.seconds), program)
        return [program, "enter", python, "-S", "-P", *words]


MEAN = Measure("latency_mean_us", "mean latency", "µs")
DEVIATION = Measure("latency_sd_us", "standard deviation of latency", "µs")
SHARE = Measure("share_max_min", "busiest : idlest worker", "times", ratio=True)

NGINX = (
    Way("accept_mutex_on", "accept_mutex on"),
    Way("accept_mutex_off", "accept_mutex off"),
    Way("reuseport", "reuseport"),
)
REQUESTS = Measure("requests_per_second", "requests", "per second")

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
        Measure("connections_per_second", "connections", "per second"),
        SHARE,
        Measure("server_cpu_us", "server's CPU", "µs per connection"),
        MEAN,
        DEVIATION,
        Measure("woken_for_nothing", "wake-ups in vain", "per connection"),
    ),
    """\
The letter of 2013 says two things: one acceptor becomes the bottleneck when connections come fast, and threads
that race share unevenly, up to 3:1. The second needs no more cores than these {cores}: it is a matter of who is
woken. Who waits in accept() is woken in turn, which is even; epoll tells all of them, or with EPOLLEXCLUSIVE
the first that is idle in an order that never changes, which is not. SO_REUSEPORT leaves the choice to a hash,
which no wake-up bends. The first needs a core for the acceptor and more cores for the workers than it can feed;
here clients, softirqs and server share {cores}, so that connections per second is the price of a connection,
all told, and not where a design stops to scale. Contention for the listener's lock needs workers that run at
the same time: at most {cores} here, all of 36 there. The server's CPU is that of its threads; on loopback the
handshake runs on the client's account. Where others want the cores too (see load), the rates are what the
scheduler left: compare shares and CPU.""",
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
        Measure("datagrams_per_second", "datagrams answered", "per second"),
        Measure("server_cpu_us", "server's CPU", "µs per datagram"),
        SHARE,
        MEAN,
        DEVIATION,
        Measure("lost", "not answered", "datagrams"),
    ),
    """\
The letter says that threads at one socket share unevenly and contend for its lock, and names DNS servers; each
datagram here is a question that is answered. 512 source ports ask: the hash spreads ports, not datagrams, so
that some tenths between the busiest and the idlest worker are its normal spread. What {cores} cores can show is
the CPU of a datagram: the lock and the wake-ups of a shared queue are in it, and a thread alone has neither.
What they cannot show is contention: the lock is fought over by as many threads as run at once, at most {cores}
here and those busy with clients as well, and by all of them on 36 cores. Where others want the cores too (see
load), four threads get more of them than one, and the rates say as much of the scheduler as of the sockets.""",
)

NGINX_KEPT = Comparison(
    "nginx",
    "nginx under wrk, connections kept alive",
    NGINX,
    (
        REQUESTS,
        SHARE,
        Measure("server_cpu_us", "server's CPU", "µs per request"),
        MEAN,
        DEVIATION,
        Measure("lost", "errors", "requests"),
    ),
    """\
The comparison of the article: 4 workers, wrk on the same computer, the answer OK; 36 cores there, {cores} here.
There reuseport answered two to three times as many requests, with less latency and less deviation. What can be
seen here is where that comes from: wrk opens its connections at once, and with accept_mutex the worker that
holds it takes nearly all of them, which is one core of nginx however many there are. What cannot be seen is
four workers that run at once beside a wrk that wants for nothing: {cores} cores are shared by all of them, so
that the gain ends where wrk's part begins, and deviation of latency is mostly the scheduler's, who has more
workers to run in turn. Where others want the cores too (see load), four busy workers also get more of them than
one; the CPU of a request tells work from waiting. 32 connections are few for a hash: reuseport is not even,
either. accept_mutex is off by default since nginx 1.11.3; the article's default is the first line.""",
    needs=("nginx", "wrk"),
)

NGINX_CLOSED = Comparison(
    "nginx_close",
    "nginx under wrk, a connection for each request",
    NGINX,
    NGINX_KEPT.measures,
    """\
The same with Connection: close: each request is one accept(), as in the letter's high connection turn-over. The
hash has thousands of connections now, and reuseport is even; so is nginx without its mutex, which since 1.21.6
sends a worker that accepted to the end of the order in which EPOLLEXCLUSIVE wakes. With accept_mutex one worker
polls the listener and the others come by every 500 ms, which a second is too short to even out. What {cores}
cores cannot show is how far reuseport goes: wrk and the kernel's side of connections take their part of the
same cores. Where others want them too (see load), compare shares and CPU.""",
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
        Measure("lost_per_million", "failures", "per million connections"),
        Measure("lost_per_reload", "lost connections", "per reload"),
        Measure("reloads", "reloads", "per repetition"),
        Measure("connections_per_second", "connections", "per second"),
        Measure("reset", "reset", "connections"),
        Measure("lost_otherwise", "refused, closed or timed out", "connections"),
    ),
    """\
What a closing listener loses is what waited in it, and that depends on how fast its owner accepts: failures per
million are those of this load on this computer, many reloads in a second, and no one's production. What these
{cores} cores can show is which of them is zero: a listener that nobody closes loses nothing (nginx with as many
workers, haproxy with listeners passed on), and neither does one whose connections move to another of its group
(net.ipv4.tcp_migrate_req). That a way lost nothing in these seconds is no proof that it never does: the cases
with label servers and those of reload have the exact form, with connections held back. More cores would make
the closing faster and the load higher; on few of them more connections wait when the listener closes, because
its owner waits for a core, too.""",
    needs=("nginx", "haproxy"),
    seconds=2,  # a reload of haproxy takes a third of one under this load
)

ALL = (TCP, UDP, NGINX_KEPT, NGINX_CLOSED, RELOAD)
EXPLORER = "explorer"  # which measures itself
NAMES = (*(comparison.name for comparison in ALL), EXPLORER)
