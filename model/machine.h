// The model at work: sockets, steps, and for each step the answer with the rule that decided it.
#pragma once

#include <string>
#include <vector>

#include "model/epoch.h"
#include "model/mutant.h"
#include "model/rule.h"
#include "model/scenario.h"

namespace portshare::model {

// The answer to one step.  `error` is 0 or an errno.  What the contract alone says stands beside it: the two differ
// only where the history layer decided.
struct Decision {
  int error = 0;
  Rule rule = Rule::kAlone;
  int holder = -1;  // the socket beside which it was decided; -1 for none
  int intent_error = 0;
  Rule intent_rule = Rule::kAlone;
  int intent_holder = -1;
  // Where the two differ and a hint or a list did it: the epoch whose absence is to blame.
  const EpochText* cause = nullptr;

  bool remembered() const { return error != intent_error; }
};

// "the holder agreed to SO_REUSEADDR, but it listens (beside b) [socket(7) SO_REUSEADDR; inet_bind_conflict()]".
// `names` are the sockets' names by place.
std::string Explain(const Decision& decision, const std::vector<std::string>& names);

class Machine {
 public:
  explicit Machine(const Epoch& epoch, const Mutant& mutant = {}) : epoch_(mutant.Believes(epoch)), mutant_(mutant) {}

  // Forgets every socket.
  void Begin(int unrelated);
  // The scenario's sockets, unbound.
  void Begin(const Scenario& scenario);
  Decision Do(const Step& step);

  // Sets of rules, bit by bit, since Begin(): those that decided a step or shaped the memory, and those looked at.
  uint64_t decided() const { return decided_; }
  uint64_t consulted() const { return consulted_; }

  const std::vector<Socket>& sockets() const { return sockets_; }
  const Epoch& epoch() const { return epoch_; }

 private:
  struct Keyed {
    Socket key;
    Hint hint;
  };

  Decision Bind(int newcomer);
  Decision Listen(int newcomer);
  Decision Close(int closed);
  Decision LeaveTimeWait(int leaver);
  // May the newcomer hold its port beside all that do?
  Decision Ask(Situation& asked, int newcomer);
  Decision Contract(Situation& asked, int newcomer);
  // The history layer, where the contract refused; it only ever admits more.
  void RememberStream(Situation& asked, int newcomer, Decision& decision);
  void RememberDatagram(Situation& asked, int newcomer, Decision& decision);
  // The rule that decides beside one holder.
  Rule Beside(const Situation& asked);
  template <Rule kRule>
  bool Holds(const Situation& asked);
  Decision Answer(int error, Rule rule);
  // UDP: does the first in the list that has a say refuse?
  template <typename Filter>
  bool Taken(Situation& asked, int newcomer, Filter filter);
  void WriteHint(Situation& asked, int newcomer);
  bool Agrees(Situation& asked, int newcomer);
  template <typename Visit>
  void EachOther(Situation& asked, int newcomer, Visit visit) const;
  // Of two wildcards that cover IPv4 alone, the second is filed where the first is.  inet_bind2_bucket_match()
  bool FiledAsMapped(Situation& asked, int newcomer) const;
  // A socket that holds a port closed or changed.
  void Outdate(const Socket& socket);
  Hint& HintOf(const Socket& socket);

  Epoch epoch_;
  Mutant mutant_;
  uint64_t decided_ = 0;
  uint64_t consulted_ = 0;
  int unrelated_ = 0;
  std::vector<Socket> sockets_;
  std::vector<int> order_;  // who holds a port, in the order of the kernel's lists
  std::vector<Keyed> hints_;
};

}  // namespace portshare::model
