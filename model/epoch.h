// What differs between kernels, as named booleans.  A value is found by a probe, never by a version.
#pragma once

#include <array>

namespace portshare::model {

struct Epoch {
  // Behaviour that came or went.
  bool reuseport = true;
  bool reuseaddr_hint = false;
  bool mapped_wildcard_missed = false;
  bool udp_wildcard_missed_in_long_slots = false;
  // What no kernel does yet.  Without it a newcomer can join a holder that never agreed: results/known_deviations.toml.
  bool hint_compares_devices = false;
  bool hint_compares_v6only = false;
  bool hint_compares_families = false;
  bool hint_needs_agreement = false;
  bool hint_ends_with_its_socket = false;
  bool udp_asks_every_holder = false;

  constexpr bool operator==(const Epoch&) const = default;
};

struct EpochText {
  bool Epoch::*field;
  const char* name;    // the field's own
  const char* says;    // what a kernel does for which it is true
  const char* source;  // commit, function or report
  const char* cause;   // the deviation that its absence causes; nullptr for behaviour that came or went
};

inline constexpr std::array kEpochs = {
    EpochText{&Epoch::reuseport, "reuseport", "knows SO_REUSEPORT", "commit c617f398edd4 (3.9)", nullptr},
    EpochText{
        &Epoch::reuseaddr_hint, "reuseaddr_hint",
        "remembers for a TCP port that all its sockets had SO_REUSEADDR when they were bound, and asks no further",
        "inet_csk_update_fastreuse(), until the test for an empty bucket moved to bhash2 (6.8)", nullptr},
    EpochText{&Epoch::mapped_wildcard_missed, "mapped_wildcard_missed",
              "overlooks ::ffff:0.0.0.0 when another IPv4-mapped address is bound over TCP",
              "inet_bind2_bucket_match_addr_any(), 6.1.170 to 6.1.192", nullptr},
    EpochText{&Epoch::udp_wildcard_missed_in_long_slots, "udp_wildcard_missed_in_long_slots",
              "looks only for wildcards when a UDP wildcard is bound in a hash slot of more than ten sockets",
              "CVE-2026-31503, udp_lib_get_port(), until 6.1.168, 6.6.131, 6.12.80, 6.18.21", nullptr},
    EpochText{&Epoch::hint_compares_devices, "hint_compares_devices",
              "compares the device of a TCP newcomer with the one that the port's hint was written for",
              "sk_reuseport_match(): no kernel does", "device_not_compared"},
    EpochText{&Epoch::hint_compares_v6only, "hint_compares_v6only",
              "tells [::] with IPV6_V6ONLY and [::] without it apart in the port's hint",
              "ipv6_rcv_saddr_equal(): no kernel does", "v6only_and_dual_confused"},
    EpochText{&Epoch::hint_compares_families, "hint_compares_families",
              "tells 0.0.0.0 and the dual-stack [::] apart in the port's hint",
              "ipv4_rcv_saddr_equal() in sk_reuseport_match(): no kernel does", "family_confused"},
    EpochText{&Epoch::hint_needs_agreement, "hint_needs_agreement",
              "writes no hint for a socket that shares with a holder by SO_REUSEADDR alone",
              "inet_csk_update_fastreuse(): no kernel does", "address_reuse_bridge"},
    EpochText{&Epoch::hint_ends_with_its_socket, "hint_ends_with_its_socket",
              "forgets the hint when the socket that wrote it closes, changes its options or its owner",
              "__inet_put_port(), sock_setsockopt(): no kernel does", "hint_outlives_its_socket"},
    EpochText{&Epoch::udp_asks_every_holder, "udp_asks_every_holder",
              "asks every UDP holder before it lets a newcomer join one of them",
              "udp_lib_lport_inuse(): no kernel does", "udp_first_match"},
};

}  // namespace portshare::model
