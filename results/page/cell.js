// An opened cell: a topic, a claim or a case on one target.
const SHOWN_OPEN = 3;

function openCell(title, run, body) {
  const dialog = $("cell");
  $("cell-title").replaceChildren(title);
  $("cell-body").replaceChildren(
    el(
      "p",
      { class: "on" },
      "on ",
      el("strong", {}, run.key),
      ` \u2014 ${run.release} ${run.machine}, ${run.started}`,
    ),
    ...body.flat(Infinity).filter(Boolean),
  );
  if (!dialog.open) dialog.showModal();
  $("cell-title").focus();
  dialog.scrollTop = 0;
}

// The dialog gives the focus back to the cell that opened it.
function closeCell() {
  if ($("cell").open) $("cell").close();
}

// The same on the other targets: each a link to its cell.
function elsewhere(run, kind, id, numbers) {
  if (runs.length < 2) return null;
  return el(
    "nav",
    { class: "elsewhere", "aria-label": "The same on other targets" },
    runs.map((other) => {
      const { counts, worst } = tally(other.number, numbers);
      return el(
        "a",
        {
          href: link(kind, other.key, id),
          class: look(worst)[1],
          "aria-current": other === run ? "true" : null,
          title: words(counts),
        },
        glyph(worst),
        ` ${other.key}`,
        el("span", { class: "hidden" }, `: ${words(counts)}`),
      );
    }),
  );
}

function claimFields(claim) {
  return [
    el("p", { class: "says" }, claim.says || "The run was kept without its claims."),
    fields(
      ["Kernels", claim.kernels],
      ["Sources", claim.sources],
      ["Documents", claim.documents.join(", ")],
      ["Catalogue", claim.rows.join(", ")],
    ),
  ];
}

function openClaim(run, claim) {
  // The worst first; those that passed stay closed.
  const ordered = claim.cases
    .map((number) => cases[number])
    .sort((one, other) => (statusOf(run.number, other.number) || 0) - (statusOf(run.number, one.number) || 0));
  const telling = ordered.filter((one) => statusOf(run.number, one.number) !== PASS);
  const open = new Set((telling.length ? telling : ordered.slice(0, 1)).slice(0, SHOWN_OPEN));
  const { counts, worst } = tally(run.number, claim.cases);
  openCell(
    [glyph(worst), ` ${claim.id}`].reduce((all, one) => {
      all.append(one);
      return all;
    }, el("span")),
    run,
    [
      claimFields(claim),
      elsewhere(run, "claim", claim.id, claim.cases),
      el("h3", {}, `Cases: ${words(counts)}`),
      ordered.map((one) => caseDetails(run, one, open.has(one))),
    ],
  );
}

function openCase(run, one) {
  const status = statusOf(run.number, one.number);
  openCell(el("span", {}, glyph(status), ` ${one.id}`), run, [
    el("p", {}, look(status)[2]),
    elsewhere(run, "case", one.id, [one.number]),
    one.claims
      .map((number) => [
        el("h3", {}, el("a", { href: link("claim", run.key, claims[number].id) }, claims[number].id)),
        claimFields(claims[number]),
      ])
      .flat(Infinity),
    caseStory(run, one),
  ]);
}

function openTopic(run, topic) {
  const numbers = cases.filter((one) => one.topic === topic).map((one) => one.number);
  const { counts, worst } = tally(run.number, numbers);
  const own = claims.filter((claim) => claim.topics.has(topic));
  openCell(el("span", {}, glyph(worst), ` ${topic}`), run, [
    el("p", {}, words(counts)),
    elsewhere(run, "topic", topic, numbers),
    el(
      "ul",
      { class: "claims" },
      own.map((claim) =>
        el(
          "li",
          {},
          glyph(tally(run.number, claim.cases).worst),
          " ",
          el("a", { href: link("claim", run.key, claim.id) }, claim.id),
          " ",
          el("span", { class: "says" }, claim.says),
        ),
      ),
    ),
  ]);
}
