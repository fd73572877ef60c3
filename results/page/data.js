// What page_data.py wrote, and the words for it.
const data = JSON.parse(document.getElementById("data").textContent);
const PASS = data.statuses.indexOf("pass");
const SKIP = data.statuses.indexOf("skip");
const KNOWN = data.statuses.indexOf("known");
// Glyph, class and word of each status; the colours are in page.css.
const LOOKS = {
  pass: ["\u2713", "pass", "passed"],
  skip: ["\u25cb", "skip", "skipped"],
  known: ["\u25c6", "known", "known deviation"],
  flaky: ["\u2248", "odd", "flaky: repeats disagree"],
  error: ["!", "odd", "could not be asked"],
  missing: ["?", "odd", "never reported"],
  timeout: ["\u29d6", "fail", "timed out"],
  crashed: ["\u2717", "fail", "crashed"],
  fail: ["\u2717", "fail", "failed"],
};
const NONE = ["\u00b7", "none", "not in this run"];

const runs = data.runs;
const claims = data.claims.map(([id, says, kernels, rows, sources, documents], number) => ({
  number,
  id,
  says,
  kernels,
  rows,
  sources,
  documents,
  cases: [],
}));
const cases = data.cases.map(([id, topic, ofClaims, place, needs, epochs], number) => {
  ofClaims.forEach((claim) => claims[claim].cases.push(number));
  return { number, id, topic: data.topics[topic], claims: ofClaims, place, needs, epochs };
});
const caseNamed = new Map(cases.map((one) => [one.id, one]));
const claimNamed = new Map(claims.map((one) => [one.id, one]));
claims.forEach((claim) => {
  claim.topics = new Set(claim.cases.map((one) => cases[one].topic));
});

// What a run is called in a link: its target, or its id where two runs are of one target.
runs.forEach((run, number) => {
  const alone = runs.filter((other) => other.target === run.target).length === 1;
  Object.assign(run, { number, key: alone ? run.target : run.id });
  run.changed = new Map(
    (run.since ? run.since.changes : [])
      .filter(([, one]) => typeof one === "number")
      .map((change) => [change[1], change]),
  );
});

// The answer of a run to a case: {status, steps, detail}, or null where the run does not have the case.
function answerOf(run, number) {
  const told = data.answers[run][number];
  if (told === null) return null;
  if (typeof told === "number") return { status: told, steps: [], left: 0, detail: {} };
  const [left, ...flat] = told[1] < 0 ? [0] : data.steps[told[1]];
  const steps = [];
  for (let at = 0; at < flat.length; at += 4) {
    const [step, wanted, got] = flat.slice(at, at + 3).map((text) => data.strings[text]);
    steps.push({ step, wanted, got, ok: Boolean(flat[at + 3]) });
  }
  return { status: told[0], steps, left, detail: told[2] < 0 ? {} : data.details[told[2]] };
}

function statusOf(run, number) {
  const told = data.answers[run][number];
  return told === null || typeof told === "number" ? told : told[0];
}

function failed(status) {
  return status !== null && status !== PASS && status !== SKIP && status !== KNOWN;
}

// How many of these cases came to what on a run; `worst` is what the cell looks like, null for none of them.
// A claim that passed where it could be asked has passed: a skip shows where nothing was asked.
function tally(run, numbers) {
  const counts = new Map();
  for (const number of numbers) {
    const status = statusOf(run, number);
    if (status !== null) counts.set(status, (counts.get(status) || 0) + 1);
  }
  const found = [...counts.keys()].sort((one, other) => one - other);
  const asked = found.filter((status) => status !== SKIP);
  const worst = asked.length ? asked[asked.length - 1] : found.length ? SKIP : null;
  return { counts, worst };
}

function look(status) {
  return status === null ? NONE : LOOKS[data.statuses[status]] || ["?", "odd", data.statuses[status]];
}

function words(counts) {
  return (
    [...counts]
      .sort((one, other) => other[0] - one[0])
      .map(([status, count]) => `${count} ${look(status)[2].split(":")[0]}`)
      .join(", ") || NONE[2]
  );
}

// What a case answered, as results/answers.py says it: two targets can be compared by it.
function said(run, number) {
  const told = answerOf(run, number);
  if (told === null) return "";
  const name = data.statuses[told.status];
  const wrong = (told.detail.answer || []).join(",") || "FAIL";
  if (told.status === SKIP) return `SKIP ${told.detail.skip ? told.detail.skip[0] : ""}`;
  return { known: `${wrong} (known)`, fail: wrong }[name] || name.toUpperCase();
}

// Not all that were asked answered alike, or the right answer follows an epoch in which the targets differ.
const disagree = cases.map((one) => {
  const asked = runs.filter((run) => ![null, SKIP].includes(statusOf(run.number, one.number)));
  if (new Set(asked.map((run) => said(run.number, one.number))).size > 1) return true;
  return one.epochs.some((epoch) => {
    const values = asked.map((run) => run.epochs[data.epochs[epoch][0]]).filter((value) => value !== undefined);
    return new Set(values).size > 1;
  });
});

// An element with attributes, listeners (on...) and children, texts among them: nothing is ever read as markup.
function el(tag, given = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

const $ = (id) => document.getElementById(id);
const link = (...parts) => "#" + parts.map(encodeURIComponent).join("/");
const plural = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

function glyph(status) {
  const [sign, name, word] = look(status);
  return el("span", { class: `glyph ${name}`, title: word, "aria-hidden": "true" }, sign);
}
