// Two runs beside each other.  The page holds each pair once, in the order of the runs; asked the other way round
// it is turned.
const TURNED = { fixed: "broken", broken: "fixed", added: "gone", gone: "added" };
const OF_THEMSELVES = ["not_asked", "added", "gone"];
const ORDER = ["broken", "changed", "flaky", "lost", "fixed", "not_asked", "added", "gone"];
const EXPLANATIONS = {
  broken: "worse after",
  fixed: "better after",
  changed: "another wrong answer",
  flaky: "repeats disagree",
  lost: "no longer asked",
  not_asked: "one of them cannot be asked",
  added: "only after",
  gone: "only before",
};

function pairOf(before, after) {
  const [low, high] = before < after ? [before, after] : [after, before];
  const at = low * runs.length - (low * (low + 1)) / 2 + (high - low - 1);
  const pair = data.pairs[at];
  if (before < after) return pair;
  const turn = (kind) => TURNED[kind] || kind;
  return {
    same: pair.same,
    unlike: pair.unlike,
    epochs: pair.epochs.map(([name, was, is, follow]) => [name, is, was, follow]),
    groups: pair.groups.map(([kind, why, numbers]) => [turn(kind), why, numbers]),
    others: pair.others.map(([kind, id, was, is, why]) => [turn(kind), id, is, was, why]),
  };
}

function differencesOf(before, after) {
  const pair = pairOf(before, after);
  const found = pair.others.map(([kind, id, was, is, why]) => ({ kind, id, was, is, why }));
  for (const [kind, why, steps] of pair.groups) {
    let number = 0;
    for (const step of steps) {
      number += step;
      found.push({ kind, why, id: cases[number].id, number, was: said(before, number), is: said(after, number) });
    }
  }
  found.forEach((one) => {
    one.unexplained = !one.why && !OF_THEMSELVES.includes(one.kind);
  });
  return { ...pair, found };
}

function differenceRow(one, after) {
  const name = one.number === undefined ? one.id : el("a", { href: link("case", after.key, one.id) }, one.id);
  return el(
    "tr",
    {},
    el("th", { scope: "row" }, name),
    el("td", {}, one.was || "\u2014"),
    el("td", {}, one.is || "\u2014"),
    el("td", {}, one.why || (one.unexplained ? "unexplained" : "")),
  );
}

function differenceBlock(title, list, after, open) {
  return el(
    "details",
    { open, class: "block" },
    el("summary", {}, title),
    el(
      "div",
      { class: "scroll" },
      el(
        "table",
        { class: "plain" },
        el(
          "thead",
          {},
          el(
            "tr",
            {},
            ["case", "before", "after", "why"].map((name) => el("th", { scope: "col" }, name)),
          ),
        ),
        el(
          "tbody",
          {},
          list.map((one) => differenceRow(one, after)),
        ),
      ),
    ),
  );
}

function showPair() {
  const [before, after] = [$("before"), $("after")].map((select) => runs[Number(select.value)]);
  const into = $("differences");
  if (before === after) {
    into.replaceChildren(
      el(
        "p",
        { class: "note" },
        runs.length < 2
          ? "There is one run on this page: name two with ./run_all.sh report --html FILE RUN RUN."
          : "Choose two runs.",
      ),
    );
    return;
  }
  const { same, unlike, epochs, found } = differencesOf(before.number, after.number);
  const open = found.filter((one) => one.unexplained);
  const parts = [
    el(
      "p",
      { class: "summary" },
      el("strong", {}, plural(same, "case")),
      " answered alike, ",
      el("strong", {}, String(found.length)),
      " not, ",
      el("strong", { class: open.length ? "fail-text" : "" }, `${open.length} unexplained`),
      ".",
    ),
    el("p", { class: "note" }, "./run_all.sh compare ", `${before.id} ${after.id}`),
  ];
  if (epochs.length) {
    parts.push(
      el("h3", {}, `Epochs that differ: ${epochs.length}`),
      el(
        "ul",
        {},
        epochs.map(([name, was, is, follow]) => {
          const text = data.epochs.find(([epoch]) => epoch === name);
          return el(
            "li",
            {},
            el("code", {}, name),
            ` ${was} \u2192 ${is}. `,
            text ? `A kernel that ${text[1]}. ${text[2]}.` : "",
            follow ? ` It decides what ${plural(follow, "case")} should answer.` : "",
          );
        }),
      ),
    );
  }
  if (open.length) parts.push(differenceBlock(`Unexplained: ${open.length}`, open, after, true));
  for (const kind of ORDER) {
    const list = found.filter((one) => one.kind === kind && !one.unexplained);
    if (list.length) {
      parts.push(
        differenceBlock(
          `${kind.replace("_", " ")}: ${list.length} \u2014 ${EXPLANATIONS[kind]}`,
          list,
          after,
          list.length < 30 && !OF_THEMSELVES.includes(kind),
        ),
      );
    }
  }
  if (unlike)
    parts.push(
      el(
        "p",
        { class: "note" },
        `The sweep was not asked the same in ${plural(unlike, "case")}: what it met there is not compared.`,
      ),
    );
  into.replaceChildren(...parts);
}

function comparison() {
  for (const id of ["before", "after"]) {
    $(id).append(...runs.map((run) => el("option", { value: run.number }, run.key)));
    $(id).addEventListener("change", chosenPair);
  }
  $("after").value = String(Math.min(1, runs.length - 1));
  $("swap").addEventListener("click", () => {
    [$("before").value, $("after").value] = [$("after").value, $("before").value];
    chosenPair();
  });
  showPair();
}

function chosenPair() {
  const [before, after] = [$("before"), $("after")].map((select) => runs[Number(select.value)].key);
  history.replaceState(null, "", link("compare", before, after));
  showPair();
}
