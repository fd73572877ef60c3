// Topics and claims by targets.
function headRow(first) {
  const names = runs.map((run) =>
    el(
      "th",
      { scope: "col", class: "target" },
      el("span", { title: `${run.release} ${run.machine}, ${run.started}` }, run.key),
    ),
  );
  return el("thead", {}, el("tr", {}, el("th", { scope: "col", class: "first" }, first), names));
}

function cellButton(run, numbers, target, name, counted) {
  const { counts, worst } = tally(run.number, numbers);
  const [, kind] = look(worst);
  const odd = [...counts]
    .filter(([status]) => status !== PASS && status === worst)
    .reduce((sum, [, count]) => sum + count, 0);
  const changed = numbers.some((number) => run.changed.has(number));
  const number = counted && odd ? el("span", { class: "count" }, String(odd)) : "";
  // What could not be asked is never folded into what passed.
  const skipped = worst === SKIP ? 0 : counts.get(SKIP) || 0;
  const part = skipped ? el("span", { class: "part" }, `${look(SKIP)[0]}${counted ? skipped : ""}`) : "";
  const label = `${name} on ${run.key}: ${words(counts)}${changed ? "; changed since the baseline" : ""}`;
  return el(
    "button",
    {
      type: "button",
      class: `cell ${kind}${changed ? " changed" : ""}`,
      "aria-label": label,
      title: label,
      tabindex: "-1",
      "data-href": target,
      onclick: () => {
        location.hash = target;
      },
    },
    glyph(worst),
    number,
    part,
  );
}

// The arrow keys move between the cells of a table, which is one stop of the tab key.
function withArrows(table) {
  const rows = () =>
    [...table.tBodies]
      .flatMap((body) => [...body.rows])
      .filter((row) => !row.hidden)
      .map((row) => [...row.querySelectorAll("button.cell")])
      .filter((row) => row.length);
  const enter = (cell) => {
    table.querySelectorAll("button.cell[tabindex='0']").forEach((other) => {
      other.tabIndex = -1;
    });
    if (cell) cell.tabIndex = 0;
  };
  table.enter = () => {
    if (!table.querySelector("tr:not([hidden]) button.cell[tabindex='0']")) enter((rows()[0] || [])[0]);
  };
  table.addEventListener("focusin", (event) => {
    if (event.target.matches("button.cell")) enter(event.target);
  });
  table.addEventListener("keydown", (event) => {
    const all = rows();
    const row = all.findIndex((cells) => cells.includes(event.target));
    if (row < 0) return;
    const column = all[row].indexOf(event.target);
    const to = {
      ArrowUp: [row - 1, column],
      ArrowDown: [row + 1, column],
      ArrowLeft: [row, column - 1],
      ArrowRight: [row, column + 1],
      Home: [row, 0],
      End: [row, all[row].length - 1],
      PageUp: [Math.max(row - 10, 0), column],
      PageDown: [Math.min(row + 10, all.length - 1), column],
    }[event.key];
    if (!to) return;
    event.preventDefault();
    const cell = (all[to[0]] || [])[to[1]];
    if (cell) cell.focus();
  });
  table.enter();
  return table;
}

function topicsTable() {
  const body = el(
    "tbody",
    {},
    data.topics.map((topic) => {
      const numbers = cases.filter((one) => one.topic === topic).map((one) => one.number);
      return el(
        "tr",
        {},
        el(
          "th",
          { scope: "row", class: "first" },
          el("a", { href: link("claims", topic) }, topic),
          " ",
          el("small", {}, plural(numbers.length, "case")),
        ),
        runs.map((run) => el("td", {}, cellButton(run, numbers, link("topic", run.key, topic), topic, true))),
      );
    }),
  );
  const every = cases.map((one) => one.number);
  const foot = el(
    "tfoot",
    {},
    el(
      "tr",
      {},
      el("th", { scope: "row", class: "first" }, "all ", el("small", {}, plural(cases.length, "case"))),
      runs.map((run) => {
        const { counts, worst } = tally(run.number, every);
        return el(
          "td",
          {},
          el(
            "span",
            { class: `sum ${look(worst)[1]}`, title: words(counts) },
            String(counts.get(PASS) || 0),
            el("span", { class: "hidden" }, ` passed on ${run.key}: ${words(counts)}`),
          ),
        );
      }),
    ),
  );
  $("table-topics").append(
    withArrows(el("table", { role: "grid", "aria-labelledby": "title-glance" }, headRow("topic"), body, foot)),
  );
}

function legend() {
  const shown = new Set(runs.flatMap((run) => cases.map((one) => statusOf(run.number, one.number))));
  $("legend").append(
    ...[...shown]
      .filter((status) => status !== null)
      .sort((one, other) => one - other)
      .map((status) => el("span", { class: "key" }, glyph(status), ` ${look(status)[2]}`)),
    el(
      "span",
      { class: "key" },
      "The number counts the cases of that kind. ",
      "Arrow keys move between cells, Enter opens one.",
    ),
  );
}

// The claims that a filter keeps; a claim has to pass one of those that are pressed.
const FILTERS = [
  [
    "failing",
    "failing",
    (claim) => claim.cases.some((one) => runs.some((run) => failed(statusOf(run.number, one)))),
  ],
  ["disagree", "targets disagree", (claim) => claim.cases.some((one) => disagree[one])],
  [
    "changed",
    "changed since the baseline",
    (claim) => claim.cases.some((one) => runs.some((run) => run.changed.has(one))),
  ],
  [
    "skipped",
    "skipped everywhere",
    (claim) => claim.cases.every((one) => runs.every((run) => [null, SKIP].includes(statusOf(run.number, one)))),
  ],
  [
    "known",
    "known deviations",
    (claim) => claim.cases.some((one) => runs.some((run) => statusOf(run.number, one) === KNOWN)),
  ],
];

function claimsTable() {
  $("topic").append(
    el("option", { value: "" }, "all topics"),
    ...data.topics.map((topic) => el("option", { value: topic }, topic)),
  );
  document.querySelector("#filters .toggles").append(
    ...FILTERS.map(([name, title, keeps]) => {
      const count = claims.filter(keeps).length;
      const missing = name === "changed" && !runs.some((run) => run.since);
      return el(
        "button",
        {
          type: "button",
          "aria-pressed": "false",
          "data-filter": name,
          disabled: missing,
          title: missing ? "no target of this page has a baseline" : null,
          onclick: (event) => {
            const pressed = event.currentTarget.getAttribute("aria-pressed") === "true";
            event.currentTarget.setAttribute("aria-pressed", String(!pressed));
            filter();
          },
        },
        title,
        " ",
        el("small", {}, missing ? "none agreed" : String(count)),
      );
    }),
  );
  const body = el(
    "tbody",
    {},
    claims.map((claim) => {
      const row = el(
        "tr",
        {},
        el(
          "th",
          { scope: "row", class: "first" },
          el("span", { class: "id" }, claim.id),
          el("span", { class: "says" }, claim.says),
        ),
        runs.map((run) =>
          el("td", {}, cellButton(run, claim.cases, link("claim", run.key, claim.id), claim.id, false)),
        ),
      );
      claim.row = row;
      claim.text = [
        claim.id,
        claim.says,
        ...claim.sources,
        ...claim.documents,
        ...claim.rows,
        ...claim.topics,
        ...claim.cases.map((one) => cases[one].id),
      ]
        .join("\n")
        .toLowerCase();
      return row;
    }),
  );
  $("table-claims").append(
    withArrows(el("table", { role: "grid", "aria-labelledby": "title-claims" }, headRow("claim"), body)),
  );
  $("search").addEventListener("input", filter);
  $("topic").addEventListener("change", filter);
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  filter();
}

function filter() {
  const wanted = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const pressed = FILTERS.filter(
    ([name]) => document.querySelector(`[data-filter="${name}"]`).getAttribute("aria-pressed") === "true",
  );
  let shown = 0;
  for (const claim of claims) {
    const kept =
      wanted.every((word) => claim.text.includes(word)) &&
      (!$("topic").value || claim.topics.has($("topic").value)) &&
      (!pressed.length || pressed.some(([, , keeps]) => keeps(claim)));
    claim.row.hidden = !kept;
    shown += kept ? 1 : 0;
  }
  $("shown").textContent = `${shown} of ${plural(claims.length, "claim")}`;
  document.querySelector("#table-claims table").enter();
}
