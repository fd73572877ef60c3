// One repetition of one way, as one line of JSON on standard output.
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "bench/load.h"
#include "bench/ways.h"
#include "netns/cannot_ask.h"
#include "netns/private_network.h"

namespace portshare::bench {
namespace {

constexpr char kUsage[] =
    "usage:\n"
    "  portshare_bench tcp handoff | race_blocking | race_epoll | race_exclusive | one_each | alone [OPTION ...]\n"
    "  portshare_bench udp shared | one_each | alone [OPTION ...]\n"
    "      one repetition in a network namespace of its own\n"
    "  portshare_bench load PORT [OPTION ...]\n"
    "      HTTP clients of 127.0.0.1:PORT, in the namespace of the caller\n"
    "  portshare_bench enter COMMAND ...\n"
    "      COMMAND in a network namespace of its own with lo up; whatever it starts ends with it\n"
    "options: --seconds=S (1), --workers=N (4), --clients=N (32): connections or datagrams under way\n";

template <typename Number>
Number Parsed(std::string_view text, Number lowest, Number highest) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < lowest || number > highest) {
    throw std::invalid_argument("'" + std::string(text) + "' is no number that is possible here");
  }
  return number;
}

Repetition Options(const std::vector<std::string>& words) {
  if (words.empty()) throw std::invalid_argument("one word is missing");
  Repetition repetition{.way = words[0]};
  for (size_t i = 1; i < words.size(); ++i) {
    const size_t equals = words[i].find('=');
    const std::string name = words[i].substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : words[i].substr(equals + 1);
    if (name == "--seconds") {
      repetition.seconds = Parsed(value, 0.01, 30.0);
    } else if (name == "--workers") {
      repetition.workers = Parsed(value, 1, 256);
    } else if (name == "--clients") {
      repetition.at_once = Parsed(value, 1, 4096);
    } else {
      throw std::invalid_argument("unknown option " + words[i]);
    }
  }
  return repetition;
}

Report LoadOf(const Repetition& repetition) {
  const auto port = Parsed<uint16_t>(repetition.way, 1, UINT16_MAX);
  const Harvest harvest = Run({.server = Loopback(port),
                               .seconds = repetition.seconds,
                               .at_once = repetition.at_once,
                               .question = "GET / HTTP/1.0\r\nHost: portshare\r\n\r\n"});
  const auto all = static_cast<double>(harvest.answered + harvest.lost());
  Report report;
  report.Add("connections_per_second", static_cast<double>(harvest.in_time) / repetition.seconds);
  report.Add("connections", all);
  report.Add("answered", static_cast<double>(harvest.answered));
  report.Add("refused", static_cast<double>(harvest.refused));
  report.Add("reset", static_cast<double>(harvest.reset));
  report.Add("unanswered", static_cast<double>(harvest.unanswered));
  report.Add("timed_out", static_cast<double>(harvest.timed_out));
  report.Add("lost", static_cast<double>(harvest.lost()));
  report.Add("lost_per_million", all == 0 ? 0 : static_cast<double>(harvest.lost()) * 1e6 / all);
  report.Add("latency_mean_us", harvest.latency.Mean());
  report.Add("latency_sd_us", harvest.latency.Deviation());
  return report;
}

// The command is the first process of a PID namespace: what it leaves behind ends with it, and it with us.
int Enter(const std::vector<std::string>& words) {
  if (words.empty()) throw std::invalid_argument("enter what?");
  const PrivateNetwork network;
  if (unshare(CLONE_NEWPID) != 0) throw CannotAsk("unshare(CLONE_NEWPID)", errno);
  const pid_t child = fork();
  if (child < 0) throw CannotAsk("fork", errno);
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    std::vector<char*> arguments;
    arguments.reserve(words.size() + 1);
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    execvp(arguments[0], arguments.data());
    std::cerr << "portshare_bench: " << words[0] << ": " << strerror(errno) << '\n';
    _exit(2);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}

int Do(const std::vector<std::string>& words) {
  if (words.empty()) throw std::invalid_argument("what is to be measured?");
  const std::vector<std::string> rest(words.begin() + 1, words.end());
  if (words[0] == "load") {
    std::cout << LoadOf(Options(rest)).Line();
    return 0;
  }
  const bool tcp = words[0] == "tcp";
  if (!tcp && words[0] != "udp" && words[0] != "enter") throw std::invalid_argument("unknown word " + words[0]);
  if (BecomeNamespaceRoot() == Privilege::kNone) throw CannotAsk(PrivilegeTrouble());
  if (words[0] == "enter") return Enter(rest);
  const Repetition repetition = Options(rest);
  const PrivateNetwork network;
  std::cout << (tcp ? Tcp(repetition) : Udp(repetition)).Line();
  return 0;
}

}  // namespace
}  // namespace portshare::bench

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words == std::vector<std::string>{"--help"}) {
    std::cout << portshare::bench::kUsage;
    return 0;
  }
  try {
    return portshare::bench::Do(words);
  } catch (const std::invalid_argument& trouble) {
    std::cerr << "portshare_bench: " << trouble.what() << '\n' << portshare::bench::kUsage;
  } catch (const std::exception& trouble) {
    std::cerr << "portshare_bench: " << trouble.what() << '\n';
  }
  return 2;
}
