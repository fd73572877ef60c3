// What a case on one target has to tell: the parts of an opened cell.
function fields(...pairs) {
  const kept = pairs.filter(([, value]) => value && value.length !== 0);
  return el(
    "dl",
    {},
    kept.map(([name, value]) => [
      el("dt", {}, name),
      (Array.isArray(value) ? value : [value]).map((one) => el("dd", {}, one)),
    ]),
  );
}

function command(text) {
  const copy = el("button", { type: "button", class: "copy" }, "Copy");
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      copy.textContent = "Copied";
    } catch (error) {
      getSelection().selectAllChildren(copy.previousSibling);
      copy.textContent = "Selected";
    }
  });
  return el("div", { class: "command" }, el("code", {}, text), copy);
}

function quoted(text, title) {
  return [el("h4", {}, title), el("pre", { tabindex: "0", "aria-label": title }, text)];
}

function stepsTable(told) {
  if (!told.steps.length) return null;
  const rows = told.steps.map((one) =>
    el(
      "tr",
      { class: one.ok ? "" : "wrong" },
      el("td", {}, el("code", {}, one.step)),
      el("td", {}, one.wanted),
      el("td", {}, one.got, one.ok ? "" : el("strong", {}, " \u2717 not as expected")),
    ),
  );
  const more = told.left
    ? el("p", { class: "note" }, `${plural(told.left, "step")} more: the run has them.`)
    : null;
  return [
    el("h4", {}, "Steps"),
    el(
      "div",
      { class: "scroll" },
      el(
        "table",
        { class: "steps" },
        el(
          "thead",
          {},
          el(
            "tr",
            {},
            ["step", "expected", "answer"].map((name) => el("th", { scope: "col" }, name)),
          ),
        ),
        el("tbody", {}, rows),
      ),
    ),
    more,
  ];
}

// Why: a cell of the model's table, the epochs that the answer follows, and what is known to be wrong.
function reasons(run, one, told) {
  const known = told.detail.known;
  const asked = questionOf(one.id);
  const rule = asked && modelSays(asked, run);
  return fields(
    ["Rule", rule ? [`${rule.yes ? "may bind" : "may not bind"}: ${rule.says}`, rule.source] : null],
    ["Known", known ? [`${known[0]}: ${known[1]}`, `to be changed by the ${known[2]}; ${known[3]}`] : null],
    [
      "Follows",
      one.epochs.map((number) => {
        const [name, says, source] = data.epochs[number];
        const value = { true: "true here", false: "not true here" }[run.epochs[name]] || "not probed here";
        return `${name}: a kernel that ${says} (${value}). ${source}`;
      }),
    ],
    ["Needs", one.needs.join(", ")],
  );
}

function caseStory(run, one) {
  const told = answerOf(run.number, one.number);
  if (!told) return [el("p", {}, "This run does not have the case.")];
  const { detail } = told;
  const change = run.changed.get(one.number);
  return [
    fields(
      ["Skipped", detail.skip ? [`${detail.skip[0]}: ${detail.skip[1]}`, detail.skip[2]].filter(Boolean) : null],
      ["Ended", detail.ended],
      ["Wrong answer", detail.answer ? detail.answer.join(", ") : null],
      ["Attempts", detail.attempts ? detail.attempts.join(", ") : null],
      [
        "Baseline",
        change
          ? `${change[2] || "not there"} \u2192 ${change[3] || "not there"}${change[4] ? ` (${change[4]})` : ""}`
          : null,
      ],
      [
        "Sweep met",
        Object.entries(detail.deviations || {}).map(([cause, count]) => `${cause}: ${plural(count, "answer")}`),
      ],
    ),
    reasons(run, one, told),
    stepsTable(told),
    (detail.failures || []).map(([place, message]) => quoted(message, `Told at ${place}`)),
    detail.output ? quoted(detail.output, "The end of its output") : null,
    el("h4", {}, "Ask again"),
    command(detail.again || `${run.again} ${one.id}`),
    fields(["At", one.place], ["Link", el("a", { href: link("case", run.key, one.id) }, one.id)]),
  ]
    .flat(Infinity)
    .filter(Boolean);
}

function caseDetails(run, one, open) {
  const status = statusOf(run.number, one.number);
  const made = el(
    "details",
    { class: "case", "data-case": one.id },
    el("summary", {}, glyph(status), ` ${one.id} `, el("small", {}, look(status)[2])),
  );
  const fill = () => {
    if (made.open && made.childElementCount === 1) made.append(...caseStory(run, one));
  };
  made.addEventListener("toggle", fill);
  made.open = open;
  fill();
  return made;
}
