// Holder like this, newcomer like that, on kernel K: what model and kernel answer, and why.
const ask = data.question;
const MIX_WORDS = { none: "neither", reuseaddr: "SO_REUSEADDR", reuseport: "SO_REUSEPORT", both: "both" };
const HOLDER_WORDS = { "tcp bound": "TCP, bound", "tcp listening": "TCP, listening", "udp bound": "UDP, bound" };
const OWNER_WORDS = { same: "the same", another: "another one" };
const FLAGS = { none: "", reuseaddr: " reuseaddr", reuseport: " reuseport", both: " reuseaddr reuseport" };

function caseOf(asked) {
  const place = ask.places[`${asked.at} ${asked.to}`];
  if (!place) return null;
  const group = ask.holders[asked.holder] + (asked.owner === "another" ? ask.another : "");
  return caseNamed.get(`flag_mix.${group}.${place}_${asked.newcomerAsks}_beside_${asked.holderAsks}`) || null;
}

// The question that a case asks, null for a case that asks something else.
const questions = new Map();
for (const holder of Object.keys(ask.holders)) {
  for (const [place] of Object.entries(ask.places)) {
    const [at, to] = place.split(" ");
    for (const owner of Object.keys(OWNER_WORDS)) {
      for (const holderAsks of ask.mixes) {
        for (const newcomerAsks of ask.mixes) {
          const asked = { holder, holderAsks, at, newcomerAsks, to, owner };
          const found = caseOf(asked);
          if (found) questions.set(found.id, asked);
        }
      }
    }
  }
}
const questionOf = (id) => questions.get(id) || null;

// {yes, says, rule, source, note}, null where the page was made without the model's table.
function modelSays(asked, run) {
  const table = ask.answers[asked.holder];
  if (!table) return null;
  const asksForPort = [asked.holderAsks, asked.newcomerAsks].some((mix) => ["reuseport", "both"].includes(mix));
  if (run.epochs.reuseport === false && asksForPort) {
    return {
      yes: null,
      says: "this kernel has no SO_REUSEPORT: setsockopt() fails with ENOPROTOOPT before anybody binds",
      rule: "option_unknown",
      source: "setsockopt(2) ENOPROTOOPT; commit c617f398edd4",
    };
  }
  if (!ask.addresses[asked.at].includes(asked.to)) {
    const [says, rule, source] = ask.words.apart || ["no local address belongs to both", "addresses_apart", ""];
    return { yes: true, says, rule, source };
  }
  const column = ask.mixes.indexOf(asked.newcomerAsks) + (asked.owner === "another" ? ask.mixes.length : 0);
  const [yes, word] = table[ask.mixes.indexOf(asked.holderAsks)][column].split(" ");
  const [says, rule, source] = ask.words[word] || [word, "", ""];
  const mapped = [asked.at, asked.to].every((address) => address.startsWith("::ffff:"));
  const note =
    mapped && asked.holder !== "udp bound" && run.epochs.mapped_wildcard_missed && asked.at === "::ffff:0.0.0.0"
      ? "This kernel overlooks ::ffff:0.0.0.0 (epoch mapped_wildcard_missed): it may let the newcomer in all the same."
      : "";
  return { yes: yes === "yes", says, rule, source, note };
}

// What the kernel said to the newcomer's bind(): {text, yes, why, one}.
function kernelSays(asked, run) {
  const one = caseOf(asked);
  const told = one && answerOf(run.number, one.number);
  if (!told)
    return {
      text: "not asked",
      yes: null,
      why: one ? "The run does not have this case." : "No case asks this pair of addresses.",
      one: null,
    };
  const { detail, steps, status } = told;
  if (detail.skip)
    return { text: "could not be asked", yes: null, why: `${detail.skip[0]}: ${detail.skip[1]}`, one };
  const last = steps.filter((step) => step.step.startsWith("bind b")).pop();
  const got = last ? last.got : (detail.answer || [])[0];
  const known = detail.known ? `${detail.known[0]}: ${detail.known[1]}` : "";
  if (!got)
    return { text: look(status)[2], yes: null, why: detail.ended || "The steps of this case were not kept.", one };
  return { text: got === "ok" ? "may bind" : `may not: ${got}`, yes: got === "ok", why: known, one };
}

function scenario(asked) {
  const [protocol, state] = asked.holder.split(" ");
  const owners = asked.owner === "another" ? [" owner=1001", " owner=1002"] : ["", ""];
  return [
    `a: ${protocol} ${asked.at}${FLAGS[asked.holderAsks]}${owners[0]}`,
    `b: ${protocol} ${asked.to}${FLAGS[asked.newcomerAsks]}${owners[1]}`,
    "bind a",
    ...(state === "listening" ? ["listen a"] : []),
    "bind b",
  ].join("; ");
}

const QUESTION = ["holder", "holderAsks", "at", "newcomerAsks", "to", "owner", "kernel"];

function questionForm() {
  const addresses = Object.fromEntries(Object.keys(ask.addresses).map((address) => [address, address]));
  const keys = Object.fromEntries(runs.map((run) => [run.key, `${run.key} (${run.release})`]));
  const select = (name, title, options) =>
    el(
      "label",
      {},
      title,
      " ",
      el("select", { name }, ...Object.entries(options).map(([value, text]) => el("option", { value }, text))),
    );
  const group = (title, ...children) => el("fieldset", {}, el("legend", {}, title), ...children);
  $("ask").append(
    group(
      "The holder",
      select("holder", "is", HOLDER_WORDS),
      select("at", "on", addresses),
      select("holderAsks", "asked for", MIX_WORDS),
    ),
    group(
      "The newcomer",
      select("to", "wants", addresses),
      select("newcomerAsks", "asks for", MIX_WORDS),
      select("owner", "owner is", OWNER_WORDS),
    ),
    group("The kernel", select("kernel", "is", keys)),
  );
  $("ask").elements.holderAsks.value = "reuseaddr";
  $("ask").elements.newcomerAsks.value = "reuseaddr";
  $("ask").elements.at.value = $("ask").elements.to.value = "127.0.0.1";
  $("ask").addEventListener("submit", (event) => event.preventDefault());
  $("ask").addEventListener("change", () => {
    history.replaceState(null, "", link("question", ...QUESTION.map((name) => $("ask").elements[name].value)));
    answerQuestion();
  });
  answerQuestion();
}

function verdict(who, text, yes, ...more) {
  const kind = yes === null ? "skip" : yes ? "yes" : "no";
  return el(
    "div",
    { class: `verdict ${kind}` },
    el("h3", {}, who),
    el("p", { class: "big" }, text),
    ...more.filter(Boolean).map((one) => (typeof one === "string" ? el("p", {}, one) : one)),
  );
}

function answerQuestion() {
  const asked = Object.fromEntries(QUESTION.map((name) => [name, $("ask").elements[name].value]));
  const run = runs.find((one) => one.key === asked.kernel);
  const model = modelSays(asked, run);
  const kernel = kernelSays(asked, run);
  const told = (yes) => (yes === null ? "cannot be asked" : yes ? "may bind" : "may not: EADDRINUSE");
  const parts = [
    el(
      "div",
      { class: "verdicts" },
      model
        ? verdict(
            "The model",
            told(model.yes),
            model.yes,
            `Because ${model.says}.`,
            model.rule ? el("p", { class: "note" }, el("code", {}, model.rule), ` \u2014 ${model.source}`) : "",
            model.note,
          )
        : verdict("The model", "not at hand", null, "This page was made without docs/rules.md."),
      verdict(
        `The kernel: ${run.key}`,
        kernel.text,
        kernel.yes,
        kernel.why,
        kernel.one
          ? el("p", { class: "note" }, el("a", { href: link("case", run.key, kernel.one.id) }, kernel.one.id))
          : "",
      ),
    ),
  ];
  if (model && model.yes !== null && kernel.yes !== null) {
    parts.push(
      el(
        "p",
        { class: model.yes === kernel.yes ? "note" : "note fail-text" },
        model.yes === kernel.yes ? "Model and kernel agree." : "Model and kernel disagree.",
      ),
    );
  }
  parts.push(el("h3", {}, "Ask a kernel yourself"), command(`./run_all.sh ask '${scenario(asked)}'`));
  if (kernel.one) {
    parts.push(
      el("h3", {}, "On every target"),
      el(
        "ul",
        { class: "everywhere" },
        runs.map((other) => {
          const answer = kernelSays(asked, other);
          return el(
            "li",
            { class: answer.yes === null ? "skip" : answer.yes ? "yes" : "no" },
            el("a", { href: link("case", other.key, kernel.one.id) }, other.key),
            ` ${answer.text}`,
          );
        }),
      ),
    );
  }
  $("answer").replaceChildren(...parts);
}
