// Links, addresses and routes of the namespace that the caller is in (rtnetlink through libnl-route-3).  All functions
// throw CannotAsk.
#pragma once

#include <string>

namespace portshare {

void LinkUp(const std::string& name);

// Two ends of one cable, both up and able to send when this returns; no automatic link-local addresses.
void AddVethPair(const std::string& name, const std::string& peer);

// A link of a type without parameters ("dummy"), up.
void AddLink(const std::string& name, const std::string& type);

// A VRF device with its routing table, up.
void AddVrf(const std::string& name, unsigned table);

// Puts a device below another one, or takes it out again.
void Enslave(const std::string& device, const std::string& master);
void Release(const std::string& device);

// `address` with its prefix length: "10.55.0.1/32", "fe80::99/64"; usable at once (no duplicate address detection).
void AddAddress(const std::string& device, const std::string& address);
void DeleteAddress(const std::string& device, const std::string& address);

// A route to `prefix` ("224.0.0.0/4") through `device`.
void AddRoute(const std::string& prefix, const std::string& device);

}  // namespace portshare
