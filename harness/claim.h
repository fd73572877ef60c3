// A claim: one documented sentence about the kernel, stated beside the cases that witness it.
#pragma once

#include <string>
#include <vector>

namespace portshare {

// Where a claim comes from.  `kind`: "man", "kernel" (function), "commit", "rfc", "doc" (the kernel's Documentation/).
struct Source {
  std::string kind;
  std::string where;
};

inline Source Man(const std::string& where) {
  return {"man", where};
}
inline Source Kernel(const std::string& where) {
  return {"kernel", where};
}
inline Source Commit(const std::string& where) {
  return {"commit", where};
}
inline Source Rfc(const std::string& where) {
  return {"rfc", where};
}
inline Source KernelDoc(const std::string& where) {
  return {"doc", where};
}

// A sentence of one of the three documents, by its id in cases/documents.toml.
struct DocumentClaim {
  std::string id;
  std::string how;
};

// The claim says what the document says.
inline DocumentClaim Stated(const std::string& id) {
  return {id, "stated"};
}
// The claim says what is really true beside a sentence that is true only in part, or not at all.
inline DocumentClaim Truth(const std::string& id) {
  return {id, "truth"};
}

struct Claim {
  std::string id = {};    // "tcp.reuseaddr.refused_while_listening"; stable
  std::string says = {};  // one sentence
  std::string kernels = "all";
  std::vector<std::string> rows = {};  // ids of the catalogue of behaviours
  std::vector<Source> sources = {};
  std::vector<DocumentClaim> documents = {};
};

bool AddClaim(Claim claim);
const std::vector<Claim>& Claims();

}  // namespace portshare

#define PORTSHARE_JOIN_(a, b) a##b
#define PORTSHARE_JOIN(a, b) PORTSHARE_JOIN_(a, b)

// CLAIM({.id = "...", .says = "...", ...});
#define CLAIM(...)                                                         \
  [[maybe_unused]] static const bool PORTSHARE_JOIN(claim_, __COUNTER__) = \
      ::portshare::AddClaim(::portshare::Claim __VA_ARGS__)
