#pragma once

#include <optional>
#include <string>

namespace portshare {

// Sets a sysctl of the namespace that the caller is in; `name` is relative to net/, as in "ipv4/ip_local_port_range".
// Returns 0 or the errno: what the kernel refuses may be the question itself.
int WriteSysctl(const std::string& name, const std::string& value);

// The value without its newline; nothing where this kernel has no such sysctl.
std::optional<std::string> ReadSysctl(const std::string& name);

}  // namespace portshare
