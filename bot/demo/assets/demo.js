"use strict";
// Slack and the mailbox are live by themselves; this shows one of them, and asks for the workflow's news.
// It asks again and again, since each stream that stays open would take one of the browser's few connections.

const $ = (id) => document.getElementById(id);
const PANELS = ["slack", "mail", "workflow"];
const PAUSE = 500; // ms
const seen = { mail: 0, workflow: 0 };
let shown = "slack";
let known = 0;
let mails = 0;

function show(name) {
  shown = name;
  document.body.className = name;
  for (const panel of PANELS) {
    $(`tab-${panel}`).setAttribute("aria-selected", String(panel === name));
    $(`tab-${panel}`).tabIndex = panel === name ? 0 : -1;
    if (panel !== "workflow") $(panel).hidden = panel !== name;
  }
  count();
}

function count() {
  if (shown === "mail") seen.mail = mails;
  if ($("workflow").offsetParent) seen.workflow = known;
  for (const [id, fresh] of [["mails", mails - seen.mail], ["learned", known - seen.workflow]]) {
    $(id).textContent = fresh;
    $(id).hidden = !fresh;
  }
}

function item({ status, text }) {
  const node = document.createElement("li");
  node.className = status;
  node.textContent = text;
  return node;
}

async function update() {
  const answer = await fetch(`news?after=${known}`).catch(() => null);
  $("status").hidden = Boolean(answer);
  if (answer?.ok) {
    const body = await answer.json();
    $("news").prepend(...body.news.map(item).reverse());
    known += body.news.length;
    mails = body.mails;
    $("api").href = `${body.api}/docs`;
    $("curl").textContent = `curl -H "Authorization: Bearer ${body.key}" ${body.api}/v1/pending`;
    count();
  }
  setTimeout(update, PAUSE);
}

async function ask() {
  $("ask").disabled = true;
  await fetch("ask", { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" }).catch(() => null);
  $("ask").disabled = false;
}

for (const panel of PANELS) $(`tab-${panel}`).addEventListener("click", () => show(panel));
document.querySelector("[role=tablist]").addEventListener("keydown", (event) => {
  const tabs = PANELS.filter((panel) => $(`tab-${panel}`).offsetParent);
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  show(tabs[(tabs.indexOf(shown) + step + tabs.length) % tabs.length]);
  $(`tab-${shown}`).focus();
});
$("ask").addEventListener("click", ask);
show("slack");
update();
