#include "harness/listing.h"

#include <sys/utsname.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "harness/behaviour.h"
#include "harness/case.h"
#include "harness/kernel_log.h"
#include "harness/need.h"
#include "model/epoch.h"
#include "netns/private_network.h"

namespace portshare {
namespace {

using Json = nlohmann::ordered_json;

Json CasesOf(const Claim& claim) {
  Json ids = Json::array();
  for (const CaseRecord& record : Cases()) {
    const auto& witnessed = record.facts.claims;
    if (std::find(witnessed.begin(), witnessed.end(), claim.id) != witnessed.end()) ids.push_back(record.id());
  }
  return ids;
}

Json ClaimJson(const Claim& claim) {
  Json sources = Json::array();
  for (const Source& source : claim.sources) sources.push_back({{"kind", source.kind}, {"where", source.where}});
  Json documents = Json::array();
  for (const DocumentClaim& document : claim.documents) {
    documents.push_back({{"id", document.id}, {"how", document.how}});
  }
  return {{"id", claim.id},     {"says", claim.says},     {"kernels", claim.kernels}, {"rows", claim.rows},
          {"sources", sources}, {"documents", documents}, {"cases", CasesOf(claim)}};
}

Json CaseJson(const CaseRecord& record) {
  const size_t folder = record.file.rfind('/') + 1;
  Json needs = Json::array();
  for (const Need* need : record.facts.needs) needs.push_back(need->name);
  return {{"id", record.id()},
          {"test", record.test},
          {"topic", record.file.substr(folder, record.file.rfind('.') - folder)},
          {"file", record.file},
          {"line", record.line},
          {"claims", record.facts.claims},
          {"needs", needs},
          {"labels", record.facts.labels},
          {"epochs", record.facts.epochs}};
}

Json Words(const std::string& text) {
  Json words = Json::array();
  std::istringstream stream(text);
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

}  // namespace

std::string ClaimsAsJson() {
  Json claims = Json::array();
  for (const Claim& claim : Claims()) claims.push_back(ClaimJson(claim));
  Json cases = Json::array();
  for (const CaseRecord& record : Cases()) cases.push_back(CaseJson(record));
  Json epochs = Json::array();
  for (const model::EpochText& epoch : model::kEpochs) {
    epochs.push_back({{"name", epoch.name}, {"says", epoch.says}, {"source", epoch.source}});
  }
  for (const Behaviour& behaviour : Behaviours()) {
    epochs.push_back({{"name", behaviour.name}, {"says", behaviour.says}, {"source", behaviour.source}});
  }
  Json needs = Json::array();
  for (const Need* need : AllNeeds()) needs.push_back({{"name", need->name}, {"modules", Words(need->modules)}});
  return Json{{"schema", 1}, {"claims", claims}, {"cases", cases}, {"epochs", epochs}, {"needs", needs}}.dump(1);
}

std::string FactsAsJson(const std::vector<EpochFact>& epochs) {
  const Privilege privilege = BecomeNamespaceRoot();
  std::optional<PrivateNetwork> network;
  if (privilege != Privilege::kNone) network.emplace();
  Json needs = Json::array();
  for (const Need* need : AllNeeds()) {
    // Without a namespace nothing else can be probed without touching the machine's own network.
    const bool nowhere = privilege == Privilege::kNone && need != &needs::kNamespace;
    const std::optional<Unmet> unmet = nowhere ? Unmet{need, "no namespace"} : FirstUnmet({need});
    needs.push_back({{"need", need->name},
                     {"met", !unmet},
                     {"code", (unmet ? unmet->need : need)->code},
                     {"text", unmet ? unmet->why : ""},
                     {"fix", unmet ? unmet->need->fix : ""}});
  }
  Json values = Json::object();
  for (const EpochFact& epoch : epochs) values[epoch.name] = epoch.holds ? Json(*epoch.holds) : Json(nullptr);
  const KernelMark mark = KernelLog::Mark();
  utsname kernel{};
  uname(&kernel);
  return Json{{"schema", 1},
              {"privilege", PrivilegeName(privilege)},
              {"kernel", {{"release", kernel.release}, {"version", kernel.version}, {"machine", kernel.machine}}},
              {"needs", needs},
              {"epochs", values},
              {"kernel_log",
               {{"readable", mark.sequence.has_value()},
                {"sequence", mark.sequence ? Json(*mark.sequence) : Json(nullptr)},
                {"taint", mark.taint ? Json(*mark.taint) : Json(nullptr)}}}}
      .dump(1);
}

}  // namespace portshare
