// The page of runs in a browser: node page.js CHROMIUM PAGE FACTS.  One line of JSON for each check: its name, and
// why it failed or null.  FACTS is what selftest/python/test_page_browser.py knows of the runs.  NODE_PATH has to lead
// to playwright-core.
"use strict";
const assert = require("node:assert/strict");
const { chromium } = require("playwright-core");
const [executablePath, page, facts] = [process.argv[2], `file://${process.argv[3]}`, JSON.parse(process.argv[4])];

const VIEWS = ["glance", "claims", "compare", "question", "runs"];
const OPEN = (kind, target, id) => `#${kind}/${encodeURIComponent(target)}/${encodeURIComponent(id)}`;
const checks = {};
// The fragment changes first and the page then.
const opened = (tab) => tab.waitForFunction(() => document.getElementById("cell").open);

checks.topics_by_targets = async ({ at }) => {
  const tab = await at("");
  assert.deepEqual(await tab.locator("#table-topics thead th").allInnerTexts(), ["topic", ...facts.targets]);
  assert.equal(await tab.locator("#table-topics tbody tr").count(), facts.topics.length);
  assert.equal(
    await tab.locator("#table-topics tbody button.cell").count(),
    facts.topics.length * facts.targets.length,
  );
  const label = await tab
    .locator(`[data-href="${OPEN("topic", "other", "tcp_reuseaddr")}"]`)
    .getAttribute("aria-label");
  assert.equal(label, "tcp_reuseaddr on other: 1 failed");
  await tab.locator(`[data-href="${OPEN("topic", "other", "flag_mix")}"]`).click();
  await opened(tab);
  assert.match(await tab.locator("#cell").innerText(), /flag_mix[^]*1 failed, 575 passed/);
};

checks.a_topic_leads_to_its_claims = async ({ at, shown }) => {
  const tab = await at("");
  await tab.locator("#table-topics tbody a", { hasText: "flag_mix" }).click();
  await tab.waitForFunction(() => document.getElementById("topic").value === "flag_mix");
  assert.equal((await shown(tab)).length, 6);
};

checks.filters = async ({ at, shown }) => {
  const tab = await at("#claims");
  assert.equal((await shown(tab)).length, facts.claims);
  for (const [name, ids] of Object.entries(facts.filters)) {
    await tab.locator(`[data-filter="${name}"]`).click();
    assert.deepEqual((await shown(tab)).sort(), [...ids].sort(), name);
    assert.equal(await tab.locator("#shown").innerText(), `${ids.length} of ${facts.claims} claims`);
    assert.equal(await tab.locator(`[data-filter="${name}"]`).getAttribute("aria-pressed"), "true");
    await tab.locator(`[data-filter="${name}"]`).click();
  }
  await tab.locator('[data-filter="failing"]').click();
  await tab.locator('[data-filter="skipped"]').click();
  assert.deepEqual((await shown(tab)).sort(), [...facts.filters.failing, ...facts.filters.skipped].sort());
  assert.equal(
    (await shown(tab)).length,
    facts.claims - (await tab.locator("#table-claims tbody tr[hidden]").count()),
  );
};

checks.search = async ({ at, shown }) => {
  const tab = await at("#claims");
  await tab.locator("#search").fill("FOLLOWS epoch");
  assert.deepEqual(await shown(tab), ["claim.follows.epoch"]);
  await tab.locator("#search").fill("v4_over_mapped_both_beside_none"); // a case names its claim
  assert.equal((await shown(tab)).length, 6);
  await tab.locator("#topic").selectOption("odd");
  assert.equal((await shown(tab)).length, 0);
  assert.match(await tab.locator("#shown").innerText(), /^0 of/);
  await tab.locator("#search").fill("");
  assert.equal((await shown(tab)).length, 1);
};

checks.a_cell_tells_everything = async ({ at }) => {
  const tab = await at("#claims");
  const target = OPEN("claim", "other", facts.failing.claim);
  await tab.locator(`#table-claims [data-href="${target}"]`).click();
  await opened(tab);
  assert.ok(tab.url().endsWith(target), tab.url());
  const text = await tab.locator("#cell").innerText();
  for (const part of [
    facts.failing.says,
    "man: socket(7)",
    "TCP-RA-001",
    facts.failing.case,
    "EADDRINUSE",
    "not as expected",
    "Told at cases/made_up.cc:17",
    "sockets at the first wrong answer",
    `./run_all.sh --kernel other ${facts.failing.case}`,
  ]) {
    assert.ok(text.includes(part), part);
  }
  const steps = await tab.locator("#cell .steps tbody tr").first().locator("td").allInnerTexts();
  assert.deepEqual(
    steps.map((cell) => cell.trim()),
    ["bind b", "EADDRINUSE", "ok \u2717 not as expected"],
  );
  await tab.goto(page + OPEN("case", "other", facts.crashing));
  await tab.waitForFunction(() => document.querySelector("#cell-body").innerText.includes("the last words"));
  assert.match(await tab.locator("#cell").innerText(), /The end of its output[^]*the last words/);
  await tab.goto(page + OPEN("case", "here", facts.nowhere));
  await tab.waitForFunction(() => document.querySelector("#cell-body").innerText.includes("no_vrf"));
  await tab.goto(page + OPEN("case", "other", facts.known));
  await tab.waitForFunction(() =>
    document.querySelector("#cell-body").innerText.includes("udp_first_match: A newcomer"),
  );
  await tab.goto(page + OPEN("case", "here", facts.admitted));
  await tab.waitForFunction(() =>
    document
      .querySelector("#cell-body")
      .innerText.includes("may not bind: the holder agreed to SO_REUSEADDR, but it listens"),
  );
};

checks.a_link_to_a_cell = async ({ at }) => {
  const tab = await at(OPEN("case", "here", facts.following));
  await opened(tab);
  assert.match(
    await tab.locator("#cell-body").innerText(),
    /reuseport: a kernel that knows SO_REUSEPORT \(true here\)/,
  );
  await tab.locator(".elsewhere a", { hasText: "old-3.8" }).click();
  await tab.waitForFunction(() => document.querySelector("#cell-body").innerText.includes("(not true here)"));
  assert.ok(tab.url().endsWith(OPEN("case", "old-3.8", facts.following)));
  await tab.goBack();
  await tab.waitForFunction(() => document.querySelector("#cell-body").innerText.includes("(true here)"));
  await tab.locator("#close").click();
  await tab.waitForFunction(() => !document.getElementById("cell").open);
  for (const [hash, said] of [
    [OPEN("case", "here", "no.such"), "There is no case no.such"],
    ["#claim/%E0%A4%A", "There is no claim"],
  ]) {
    const other = await at(hash);
    assert.ok((await other.locator("#cell").innerText()).includes(said), said);
  }
  for (const hash of ["#nonsense", "#compare/a/b", "#question/1/2", "#claims/none", "#%"]) await at(hash);
};

checks.comparison = async ({ at }) => {
  for (const [before, after, counts] of facts.pairs) {
    const tab = await at(`#compare/${before}/${after}`);
    const text = await tab.locator("#differences").innerText();
    assert.ok(
      text.includes(
        `${counts.same} cases answered alike, ${counts.different} not, ${counts.unexplained} unexplained.`,
      ),
      text,
    );
    assert.equal(await tab.locator("#differences tbody tr").count(), counts.different);
    for (const [kind, count] of Object.entries(counts.explained)) {
      assert.ok(text.includes(`${kind.replace("_", " ")}: ${count} `), `${before} ${after}: ${count} ${kind}`);
    }
    assert.ok(text.includes(`Epochs that differ: ${counts.epochs}`) || counts.epochs === 0, text);
  }
  const tab = await at("#compare/here/other");
  assert.equal(await tab.locator("#before").inputValue(), "0");
  const told = await tab.locator("#differences tr", { hasText: facts.failing.case }).innerText();
  assert.match(told, /PASS\s+success\s+unexplained/);
  await tab.locator("#swap").click();
  assert.ok(tab.url().endsWith("#compare/other/here"));
  assert.match(
    await tab.locator("#differences tr", { hasText: facts.failing.case }).innerText(),
    /success\s+PASS\s+unexplained/,
  );
  await tab.locator("#after").selectOption({ label: "other" });
  assert.match(await tab.locator("#differences").innerText(), /Choose two runs/);
  await tab.locator("#after").selectOption({ label: "old-3.8" });
  await tab.locator("#differences a", { hasText: facts.failing.case }).first().click();
  await opened(tab);
};

checks.the_question = async ({ at }) => {
  const tab = await at("#question");
  const ask = async (asked) => {
    for (const [name, value] of Object.entries(asked))
      await tab.locator(`#ask [name="${name}"]`).selectOption(value);
    return tab
      .locator("#answer .verdict")
      .evaluateAll((all) => all.map((one) => one.querySelector(".big").innerText));
  };
  for (const { asked, wanted } of facts.questions) {
    assert.deepEqual(
      await ask({ ...asked, kernel: "here" }),
      wanted === "ok" ? ["may bind", "may bind"] : ["may not: EADDRINUSE", "may not: EADDRINUSE"],
      JSON.stringify(asked),
    );
  }
  const listening = {
    holder: "tcp listening",
    holderAsks: "reuseaddr",
    at: "127.0.0.1",
    newcomerAsks: "reuseaddr",
    to: "127.0.0.1",
    owner: "same",
    kernel: "other",
  };
  assert.deepEqual(await ask(listening), ["may not: EADDRINUSE", "may bind"]);
  const text = await tab.locator("#answer").innerText();
  for (const part of [
    "Because the holder agreed to SO_REUSEADDR, but it listens",
    "listener_ends_reuse",
    "Model and kernel disagree",
    facts.admitted,
    "ask 'a: tcp 127.0.0.1 reuseaddr; b: tcp 127.0.0.1 reuseaddr; bind a; listen a; bind b'",
    "On every target",
  ]) {
    assert.ok(text.includes(part), part);
  }
  assert.deepEqual(await ask({ ...listening, newcomerAsks: "reuseport", kernel: "old-3.8" }), [
    "cannot be asked",
    "could not be asked",
  ]);
  assert.deepEqual(await ask({ ...listening, to: "[::1]" }), ["may bind", "not asked"]);
  assert.match(await tab.locator("#answer").innerText(), /no local address belongs to both/);
  await ask(listening);
  const linked = await at(new URL(tab.url()).hash);
  assert.equal(await linked.locator('#ask [name="holder"]').inputValue(), "tcp listening");
  assert.match(await linked.locator("#answer").innerText(), /Model and kernel disagree/);
};

checks.runs_and_epochs = async ({ at }) => {
  const tab = await at("#runs");
  assert.equal(await tab.locator("#table-runs tbody tr").count(), facts.targets.length);
  assert.match(await tab.locator("#table-epochs").innerText(), /knows SO_REUSEPORT/);
};

checks.keyboard = async ({ at }) => {
  const tab = await at("");
  const focused = () => tab.evaluate(() => document.activeElement.dataset.href || document.activeElement.tagName);
  await tab.keyboard.press("Tab");
  assert.equal(await tab.evaluate(() => document.activeElement.className), "skip-link");
  await tab.keyboard.press("Enter");
  assert.equal(await tab.evaluate(() => document.activeElement.id), "view");
  assert.equal(await tab.locator("#view-glance").isVisible(), true);
  for (let presses = 0; presses < 5 && !(await focused()).startsWith("#topic"); presses += 1)
    await tab.keyboard.press("Tab");
  assert.equal(await focused(), OPEN("topic", facts.targets[0], facts.topics[0]));
  assert.notEqual(await tab.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), "none");
  await tab.keyboard.press("ArrowDown");
  await tab.keyboard.press("End");
  await tab.keyboard.press("ArrowRight"); // the end of the row
  const [last] = facts.targets.slice(-1);
  assert.equal(await focused(), OPEN("topic", last, facts.topics[1]));
  await tab.keyboard.press("Enter");
  await opened(tab);
  assert.equal(await tab.evaluate(() => document.activeElement.id), "cell-title");
  for (let presses = 0; presses < 30; presses += 1) {
    await tab.keyboard.press("Tab");
    assert.ok(
      await tab.evaluate(
        () => document.activeElement === document.body || document.activeElement.closest("#cell") !== null,
      ),
    );
  }
  await tab.keyboard.press("Escape");
  await tab.waitForFunction(() => !document.getElementById("cell").open);
  assert.equal(await focused(), OPEN("topic", last, facts.topics[1]));
  // A table is one stop.
  const stops = (cells) => cells.filter((cell) => cell.tabIndex === 0).length;
  assert.equal(await tab.locator("#table-topics button.cell").evaluateAll(stops), 1);
};

checks.names_for_a_screen_reader = async ({ at }) => {
  const tab = await at("");
  const wrong = await tab.evaluate(() => {
    const named = (one) =>
      one.getAttribute("aria-label") || one.innerText || one.textContent || (one.labels && one.labels.length);
    const found = [...document.querySelectorAll("button, select, input, a")]
      .filter((one) => !/[a-z0-9]/i.test(named(one) || ""))
      .map((one) => one.outerHTML);
    found.push(...[...document.querySelectorAll("th")].filter((one) => !one.scope).map((one) => one.outerHTML));
    found.push(
      ...[...document.querySelectorAll("[role=region], section, dialog, nav")]
        .filter(
          (one) => !one.getAttribute("aria-label") && !document.getElementById(one.getAttribute("aria-labelledby")),
        )
        .map((one) => one.outerHTML.slice(0, 80)),
    );
    const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
    return [...found, ...ids.filter((id, place) => ids.indexOf(id) !== place)];
  });
  assert.deepEqual(wrong, []);
};

// WCAG's contrast of text and what is behind it, 4.5 at least.
const CONTRAST = () => {
  const light = (color) =>
    color
      .slice(0, 3)
      .map((part) => part / 255)
      .map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
      .reduce((sum, part, place) => sum + part * [0.2126, 0.7152, 0.0722][place], 0);
  const parsed = (color) => color.match(/[\d.]+/g).map(Number);
  const behind = (one) => {
    for (let at = one; at; at = at.parentElement) {
      const color = parsed(getComputedStyle(at).backgroundColor);
      if (color.length === 3 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  return [
    ...document.querySelectorAll(
      ".cell, .cell .part, .legend .glyph, .sum, small, a, .note, button:not(:disabled), h2, .says",
    ),
  ]
    .filter((one) => one.checkVisibility() && !one.closest("button:disabled"))
    .map((one) => {
      const pair = [light(parsed(getComputedStyle(one).color)), light(behind(one))].sort((low, high) => high - low);
      return [(pair[0] + 0.05) / (pair[1] + 0.05), `${one.className} ${one.innerText.slice(0, 20)}`];
    })
    .filter(([contrast]) => contrast < 4.5);
};

checks.light_and_dark = async ({ at }) => {
  const backs = [];
  for (const colorScheme of ["light", "dark"]) {
    for (const hash of ["", "#claims", "#question"]) {
      const tab = await at(hash, { colorScheme });
      assert.deepEqual(await tab.evaluate(CONTRAST), [], `${colorScheme} ${hash}`);
      if (!hash) backs.push(await tab.evaluate(() => getComputedStyle(document.body).backgroundColor));
    }
  }
  assert.deepEqual(backs, ["rgb(255, 255, 255)", "rgb(13, 17, 23)"]);
};

checks.a_phone = async ({ at }) => {
  const cells = [
    OPEN("claim", "other", facts.failing.claim),
    OPEN("case", "other", facts.crashing),
    OPEN("case", "here", facts.hostile),
    OPEN("topic", "other", "flag_mix"),
  ];
  for (const hash of [
    ...VIEWS.map((view) => `#${view}`),
    ...facts.pairs.map(([before, after]) => `#compare/${before}/${after}`),
    ...cells,
  ]) {
    const tab = await at(hash, { viewport: { width: 375, height: 700 } });
    const [width, dialog] = await tab.evaluate(() => [
      document.documentElement.scrollWidth,
      document.getElementById("cell").scrollWidth,
    ]);
    assert.ok(width <= 375 && dialog <= 375, `${hash} is ${Math.max(width, dialog)} wide`);
  }
};

checks.hostile_texts_are_texts = async ({ at }) => {
  const tab = await at(OPEN("case", "here", facts.hostile));
  assert.ok((await tab.locator("#cell-body").innerText()).includes("</script><script>window.hacked=1</script>"));
  await tab.goto(page + OPEN("case", "other", facts.failing.case));
  await tab.goto(page + "#claims");
  assert.equal(await tab.evaluate(() => window.hacked), undefined);
  assert.equal(await tab.locator("img").count(), 0);
};

async function main() {
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  const said = [];
  const requests = new Set();
  let context = null;
  const at = async (hash, options = {}) => {
    if (context) await context.close();
    context = await browser.newContext({ viewport: { width: 1300, height: 800 }, ...options });
    context.setDefaultTimeout(20000);
    const tab = await context.newPage();
    tab.on("console", (message) => said.push(message.text()));
    tab.on("pageerror", (error) => said.push(String(error.stack)));
    tab.on("request", (request) => requests.add(request.url().split("#")[0]));
    await tab.goto(page + hash);
    await tab.waitForFunction(() => document.querySelector("#table-epochs table") !== null);
    return tab;
  };
  const shown = (tab) => tab.locator("#table-claims tbody tr:not([hidden]) .id").allInnerTexts();
  const tell = (name, why) => process.stdout.write(`${JSON.stringify({ name, why })}\n`);
  for (const [name, check] of Object.entries(checks)) {
    try {
      await check({ at, shown });
      tell(name, null);
    } catch (error) {
      tell(name, String(error.stack || error));
    }
  }
  tell("nothing_on_the_console", said.length ? said.join("\n") : null);
  tell("nothing_but_the_file_is_read", requests.size === 1 ? null : [...requests].join("\n"));
  await browser.close();
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
