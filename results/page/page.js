// Which view, which cell: all of it is in the fragment, so that a link leads back to it.
const VIEWS = ["glance", "claims", "compare", "question", "runs"];

function show(view) {
  for (const name of VIEWS) $(`view-${name}`).hidden = name !== view;
  document.querySelectorAll("nav [data-view]").forEach((one) => {
    if (one.dataset.view === view) one.setAttribute("aria-current", "page");
    else one.removeAttribute("aria-current");
  });
}

const shownView = () => VIEWS.find((name) => !$(`view-${name}`).hidden) || "glance";
const runKeyed = (key) => runs.find((run) => run.key === key || run.id === key);

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch (error) {
    return part;
  }
}

const OPENERS = {
  topic: [openTopic, (id) => (data.topics.includes(id) ? id : null), "glance"],
  claim: [openClaim, (id) => claimNamed.get(id), "claims"],
  case: [openCase, (id) => caseNamed.get(id), "claims"],
};

let routed = false;
// Where the link past the head of the page leads is no view.
const PAST_HEAD = "view";

function route() {
  const [what, ...rest] = location.hash.slice(1).split("/").map(decoded);
  if (what === PAST_HEAD) return;
  if (what in OPENERS) {
    const [open, find, home] = OPENERS[what];
    const run = runKeyed(rest[0]);
    const found = find(rest.slice(1).join("/"));
    if (!routed) show(home);
    routed = true;
    if (run && found) open(run, found);
    else
      openCell("Not on this page", run || runs[0], [
        el("p", {}, `There is no ${what} ${rest.slice(1).join("/")} on ${rest[0]}.`),
      ]);
    return;
  }
  routed = true;
  closeCell();
  const view = VIEWS.includes(what) ? what : "glance";
  show(view);
  if (view === "claims" && data.topics.includes(rest[0])) {
    $("topic").value = rest[0];
    filter();
  }
  if (view === "compare" && rest.length === 2 && rest.every(runKeyed)) {
    [$("before").value, $("after").value] = rest.map((key) => String(runKeyed(key).number));
    showPair();
  }
  if (view === "question" && rest.length === QUESTION.length) {
    QUESTION.forEach((name, place) => {
      const select = $("ask").elements[name];
      if ([...select.options].some((option) => option.value === rest[place])) select.value = rest[place];
    });
    answerQuestion();
  }
}

function runsTable() {
  const head = ["target", "kernel", "answers", "exit code", "when", "asked with"];
  $("table-runs").append(
    el(
      "table",
      { class: "plain" },
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          head.map((name) => el("th", { scope: "col" }, name)),
        ),
      ),
      el(
        "tbody",
        {},
        runs.map((run) =>
          el(
            "tr",
            {},
            el("th", { scope: "row" }, run.key),
            el("td", {}, `${run.release} ${run.machine}${run.emulates ? `, as if it were ${run.emulates}` : ""}`),
            el("td", {}, run.closing, run.whole ? "" : el("em", {}, " (not all cases)")),
            el("td", {}, String(run.exit)),
            el("td", {}, `${run.started}, ${run.seconds} s, as ${run.privilege}`),
            el("td", {}, el("code", {}, run.command)),
          ),
        ),
      ),
    ),
  );
  const wrong = runs.filter((run) => run.wrong.length);
  if (wrong.length) {
    $("wrong").append(
      el("h3", {}, "Not as listed, and what the kernels complained of"),
      el(
        "ul",
        {},
        wrong.flatMap((run) =>
          run.wrong.map(([id, why, fix]) => el("li", {}, `${run.key}: `, el("code", {}, id), ` ${why} (${fix})`)),
        ),
      ),
    );
  }
  const value = (run, name) =>
    ({ true: ["\u2713", "yes"], false: ["\u2013", "no"] })[run.epochs[name]] || ["?", "not probed"];
  $("table-epochs").append(
    el(
      "table",
      { class: "plain" },
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          el("th", { scope: "col", class: "first" }, "a kernel of which it is true"),
          runs.map((run) => el("th", { scope: "col", class: "target" }, el("span", {}, run.key))),
        ),
      ),
      el(
        "tbody",
        {},
        data.epochs.map(([name, says, source]) =>
          el(
            "tr",
            {},
            el(
              "th",
              { scope: "row", class: "first" },
              el("span", { class: "id" }, name),
              el("span", { class: "says" }, `${says} (${source})`),
            ),
            runs.map((run) => {
              const [sign, text] = value(run, name);
              return el(
                "td",
                { class: "center" },
                el("span", { "aria-hidden": "true" }, sign),
                el("span", { class: "hidden" }, text),
              );
            }),
          ),
        ),
      ),
    ),
  );
}

function start() {
  const exits = runs.filter((run) => run.exit !== 0).map((run) => run.key);
  $("about").append(
    `${plural(cases.length, "case")} of ${plural(claims.length, "claim")} on ${plural(runs.length, "target")}. `,
    exits.length
      ? el("span", { class: "fail-text" }, `Not as expected on ${exits.join(", ")}.`)
      : "Every answer is as expected.",
    data.cut ? el("small", {}, ` ${data.cut}`) : "",
  );
  legend();
  topicsTable();
  claimsTable();
  comparison();
  questionForm();
  runsTable();
  $("close").addEventListener("click", () => {
    location.hash = link(shownView());
  });
  // The escape key, and a click beside the dialog.
  $("cell").addEventListener("cancel", (event) => {
    event.preventDefault();
    location.hash = link(shownView());
  });
  $("cell").addEventListener("click", (event) => {
    if (event.target === $("cell")) location.hash = link(shownView());
  });
  window.addEventListener("hashchange", route);
  route();
}

start();
