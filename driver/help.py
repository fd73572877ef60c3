"""What --help says beside the options: of each command what it is for, and what stands below its options."""

SAYS = {
    "run": "Asks a kernel who may share a port and says whether its answers are the documented ones.",
    "claims": "The table of claims: what each says, its sources, its cases and their last answers.",
    "explain": "One claim with its sources, its cases and their last answers.",
    "report": "Prints a stored run again, or makes one HTML page of many.",
    "ask": "Any steps: what the kernel answers, what the model says, and the rule that decides.",
    "reproduce": "Makes of some steps one C program that needs nothing but libc.",
    "sweep": "Kernel and model compared over every scenario up to a bound, as a run of its own.",
    "rules": "Who may bind beside whom: docs/rules.md as the model and this kernel have it.",
    "bench": "Measures what the documents compare, and the explorer; nothing passes or fails.",
    "kernels": "The kernels that can be asked beside this one.",
    "compare": "Two runs beside each other: which answers differ, and what explains that they do.",
    "bless": "Makes a whole run the baseline of its target and says what changed.",
    "bisect": "Finds the kernel that changed an answer: between two packages, or for git bisect run.",
    "export": "A stored run for other tools, or the cases as a kselftest.",
    "plan": "Divides a run into tasks for many machines: kernels times parts of the cases.",
    "merge": "Makes of the answers to a plan's tasks one run a kernel, and tells of them.",
    "new": "Begins a file of cases.",
    "completion": "Completion of the command line at TAB: what a shell has to be told.",
}

EXAMPLES = """\
examples:
  ./run_all.sh                        every claim, asked of this kernel
  ./run_all.sh 'tcp_reuseaddr.*' -v   one topic, a line a case
  ./run_all.sh 'udp_*' --repeat 200 --shuffle
                                      again and again, in new orders
  ./run_all.sh -q --label tcp         only what is unexpected, and the last line
  ./run_all.sh --json 'udp_*'         for a script: the run as one JSON document
  ./run_all.sh explain ES-10          one claim: sources, cases, last answers
  ./run_all.sh ask 'a: tcp 127.0.0.1 reuseport; b: tcp 0.0.0.0; bind a; bind b'
                                      any steps: what the kernel does, and why
  sudo ./run_all.sh --install-deps    install what is missing, build and run
  sudo ./run_all.sh --install-deps=servers --label servers
                                      the same with nginx, HAProxy and others;
                                      none of them is left running
  ./run_all.sh --self-test            the project's own tests"""

EXIT_CODES = """\
exit codes: 0 as expected, 1 an unexpected answer, 2 could not run, 3 nothing selected,
            4 everything skipped, 130 interrupted"""

EXPORT = """\
FORMAT is one of
  junit      GitLab, Jenkins
  ktap       kunit.py, prove
  kcidb      KernelCI's database, I/O schema 5.3
  lava       lines for a LAVA test shell or monitor
  squad      an object with the tests, metrics and metadata of a submission
  tmt        results.yaml of a test with result: custom

kselftest makes a folder for tools/testing/selftests/net/ of a kernel tree, with the cases as one static program.
docs/FORMAT.md has what to paste.

exit codes: 0 written, whatever the run said; 2 not"""

_SCENARIO = """\
SCENARIO is a file, - for standard input, or the steps themselves:
  ./run_all.sh {} 'a: tcp 0.0.0.0 reuseaddr; b: tcp 127.0.0.1; bind a; listen a; bind b'

exit codes: {}"""

BELOW = {
    "claims": "exit codes: 0 told, 2 the programs could not be built or asked",
    "explain": """\
examples:
  ./run_all.sh explain ES-10                          a sentence of a document
  ./run_all.sh explain owner.one_for_all_sharers      a claim
  ./run_all.sh explain reload.ID                      a case

exit codes: 0 told, 2 the programs could not be built or asked, 3 there is nothing of that name""",
    "report": """\
examples:
  ./run_all.sh report                               the last run again
  ./run_all.sh report --html page.html              one page: the last whole run on every target
  ./run_all.sh report --html page.html here 'deb-6.1*' 20261122T141500Z-1234-here
                                                    these runs: of targets, of a pattern, by their ids

exit codes: those of the run; of --html 0 where the page was written, 2 where it could not be""",
    "compare": """\
examples:
  ./run_all.sh compare emulated-3.8 here    the last whole runs on two kernels

exit codes: 0 every difference is explained, 1 one is not, 2 a run could not be read, 3 no case is in both""",
    "bless": "exit codes: 0 written, 2 not: there is no such run, or it is not whole",
    "export": EXPORT,
    "plan": """\
examples:
  ./run_all.sh plan --kernel all --shards 4 -o plan.json    which tasks there are
  ./run_all.sh run --plan plan.json --index 7               one of them, on any machine with this checkout
  sbatch --array=0-114 docs/slurm_array.sh plan.json        all of them, by Slurm
  ./run_all.sh merge --plan plan.json                       one run a kernel, as of a single call

Each kernel is asked each part of the cases, and the sweep as one more; the same question gives the same plan. Answers
are kept in FILE.tasks beside the plan; a task that is asked again replaces its answer. A plan is for one state of the
suite: when a case or a rule has changed, it is refused.

exit codes: 0 written, 2 not, 3 nothing was selected; of run --index 0 where the task has its answer, whatever it is""",
    "merge": "exit codes: as of a run; 2 where a task has no answer, or two",
    "bisect": """\
examples:
  ./run_all.sh bisect --between 6.12.43 6.12.117 --case udp_crowded_port.wildcard_meets_many_holders.dual_stack
                        which packaged kernel changed the answer of a case; those that are not in the cache are fetched
  ./run_all.sh bisect --between 6.12.43 6.12.117 --epoch udp_wildcard_missed_in_long_slots
                        the same of a behaviour that the probes tell apart (model/epoch.h), without any case
  cd linux && git bisect start BAD GOOD
  git bisect run sh -c 'make -j8 bzImage || exit 125; .../run_all.sh bisect --kernel . --case reload.ID'
                        which commit did; to find the one that repaired it: --wanted fail

A case that fails with other errors is another answer, and so is one that follows an epoch and finds it otherwise.
A kernel that cannot be had, does not boot or skips the case is passed over.

exit codes: with --between 0 the release was found, 1 never, 2 an end could not be asked, or all that are left could
            not, 3 both ends answer alike, or there is no such case or epoch;
            without it 0 good, 1 bad, 125 cannot say, 128 a wrong question, 130 interrupted: what git bisect run
            takes.""",
    "ask": _SCENARIO.format(
        "ask", "0 kernel and model agree, 1 they do not, or what stands after => did not come, 2 no scenario"),
    "reproduce": _SCENARIO.format("reproduce", "0 written, 2 not: no scenario"),
    "sweep": "exit codes: as of a run",
    "rules": "exit codes: 0 as it should be, 1 docs/rules.md is not, or the kernel answers otherwise, 2 cannot be told",
    "kernels": """\
  list    which kernels there are, and which of them are in the cache (all)
  fetch   brings them there, and mends those that are damaged (those of --kernel all)
  check   reads every byte of those in the cache and says which are not as they were made

NAME is a name of the list, a glob, all, lts, bisect, or deb:GLOB: Debian's for this machine's architecture.
The cache is $PORTSHARE_CACHE, else $XDG_CACHE_HOME/portshare, else ~/.cache/portshare.

exit codes: 0 all is well, 1 check: not all is as it was made, 2 fetch: one cannot be had, 3 check: none is there""",
    "new": """\
NAME is the question in a few words: closed_holder is asked in cases/closed_holder.cc.

examples:
  ./run_all.sh new case closed_holder     writes the file from docs/case_template.cc, a whole case that passes
  ./run_all.sh 'closed_holder.*' -v       builds it and runs it; no list has to be told

CONTRIBUTING.md has the rest.
exit codes: 0 written, 2 not: the name cannot be one, or is taken""",
    "completion": """\
examples:
  eval "$(./run_all.sh completion bash)"          in this shell
  ./run_all.sh completion bash > ~/.local/share/bash-completion/completions/run_all.sh
                                                  in all to come, where the package bash-completion is installed

It asks ./run_all.sh itself at each TAB: commands, options, values, kernels, case ids and runs, as they are then.""",
    "bench": """\
  tcp          one acceptor that hands off, many that race in accept() or by epoll, one SO_REUSEPORT listener each
  udp          one shared socket, one each
  nginx        accept_mutex on, off, reuseport, under wrk
  nginx_close  the same with a connection for each request
  reload       connections that reloads of nginx and HAProxy lose
  explorer     the explorer against a bare loop of the same system calls

Each repetition is about a second in a network namespace of its own. Numbers and pictures are kept in bench/ of the
build folder. Compare ways of one run, never runs: other work on this computer and its cores decide more than a way.

exit codes: 0 all was measured, 2 something was not (what is missing is named), 130 interrupted""",
}
