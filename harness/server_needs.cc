#include "harness/server_needs.h"

#include "harness/server.h"

namespace portshare::needs {
namespace {

constexpr char kFix[] = "sudo ./run_all.sh --install-deps=servers";

std::optional<std::string> Finds(const std::string& program, const std::string& elsewhere = "") {
  if (!FindServer(program).empty() || (!elsewhere.empty() && !FindServer(elsewhere).empty())) return std::nullopt;
  return "there is no program " + program;
}

}  // namespace

const Need kServerRoom{"server_room", "no_server_room",
                       "ask Linux 5.3 or newer with CONFIG_PID_NS and CONFIG_TMPFS (in a container with --cap-add "
                       "SYS_ADMIN --cap-add SYS_CHROOT and --security-opt apparmor=unconfined)",
                       ServerRoom::Missing};
const Need kNginx{"nginx", "no_nginx", kFix, [] { return Finds("nginx"); }};
const Need kHaproxy{"haproxy", "no_haproxy", kFix, [] { return Finds("haproxy"); }};
const Need kApache{"apache2", "no_apache2", kFix, [] { return Finds("apache2", "httpd"); }};
const Need kGunicorn{"gunicorn", "no_gunicorn", kFix, [] { return Finds("gunicorn"); }};
const Need kUnbound{"unbound", "no_unbound", kFix, [] { return Finds("unbound"); }};
const Need kKnot{"knot", "no_knot", kFix, [] { return Finds("knotd"); }};
const Need kBind9{"bind9", "no_bind9", kFix, [] { return Finds("named"); }};

}  // namespace portshare::needs
