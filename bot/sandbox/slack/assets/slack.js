// The workspace as one person sees it, kept up to date by a stream of changes.
import { h, keep, picture } from "./slack-dom.js";
import { mrkdwn, formattedDate } from "./slack-mrkdwn.js";
import { blocks } from "./slack-blocks.js";
import { fields } from "./slack-controls.js";
import { confirmed, showModal } from "./slack-modal.js";

const $ = (id) => document.getElementById(id);
const place = new URLSearchParams(location.hash.slice(1));
const read = {}; // user → channel → ts of the newest message they saw
const answeredUntil = {}; // channel → ts of the newest ephemeral answer that was scrolled to
let me = place.get("user") ?? "";
let open = place.get("open") ?? "";
let tab = place.get("tab") ?? "messages";
let thread = null; // the message that is replied to, in its thread
let seen = null;
let refreshing = null;
let again = false;

async function act(name, body, button) {
  if (button) { button.disabled = true; button.classList.add("busy"); }
  const response = await fetch(`do/${name}`, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ user: me, ...body }),
  }).catch(() => null);
  const answer = response ? await response.json().catch(() => ({})) : { error: "The sandbox is not running any more." };
  if (button) { button.disabled = false; button.classList.remove("busy"); }
  const problem = answer.shown ?? answer.error;
  if (problem) toast(problem);
}

function toast(text) {
  const note = h("div", {}, text);
  $("toast").append(note);
  setTimeout(() => note.remove(), 6000);
}

// One refresh at a time; changes meanwhile cause one more. What was asked for somebody who is not looking any more is dropped.
function refresh() {
  again = true;
  refreshing ??= (async () => {
    while (again) {
      again = false;
      const asked = me;
      const response = await fetch(`seen?user=${encodeURIComponent(asked)}`).catch(() => null);
      const news = response?.ok ? await response.json().catch(() => null) : null;
      if (news && asked === me) show(news);
    }
    refreshing = null;
  })();
}

function show(news) {
  seen = news;
  if (!seen.me) return $("content").replaceChildren(h("p", { class: "empty" }, "Nobody is here yet."));
  me = seen.me;
  const direct = seen.channels.find((channel) => channel.kind === "im");
  const channel = seen.channels.find((one) => one.id === open) ?? direct;
  open = channel.id;
  if (channel !== direct) tab = "messages";
  location.replace(`#${new URLSearchParams({ user: me, open, tab })}`);
  ((read[me] ??= {}))[tab === "messages" ? open : ""] = channel.messages.at(-1)?.ts ?? "";
  sidebar(channel);
  header(channel);
  tab === "home" ? home() : messages(channel);
  showModal(seen.modals, seen, act);
}

function go(channelId, where = "messages") {
  open = channelId;
  thread = null;
  tab = where;
  document.body.classList.remove("menu-open");
  $("content").replaceChildren();
  if (where === "home") act("home", {});
  if (seen.me === me) show(seen);
}

function become(person) {
  me = person;
  open = "";
  thread = null;
  tab = "messages";
  $("content").replaceChildren();
  refresh();
}

const nameOf = (channel) => (channel.kind === "im" ? seen.app.name : channel.name);
const unread = (channel) => channel.messages.filter((message) =>
  message.ts > (read[me]?.[channel.id] ?? "") && message.user !== me).length;

const badge = (count) =>
  (count ? h("span", { class: "badge", "aria-label": `${count} unread` }, `${count}`) : null);

function sidebar(current) {
  const people = seen.people.filter((one) => !one.bot);
  const entry = (channel, icon) => h("button", {
    type: "button", class: unread(channel) ? "entry unread" : "entry",
    "aria-current": channel === current ? "page" : null, onclick: () => go(channel.id),
  }, icon, h("span", {}, nameOf(channel)), badge(unread(channel)));
  const channels = seen.channels.filter((one) => one.kind !== "im");
  const stamp = JSON.stringify([me, people, open, seen.channels.map((one) => [one.name, unread(one)])]);
  keep($("sidebar"), [{ key: "sidebar", stamp, make: () => h("div", {},
    h("h1", {}, seen.workspace, h("small", {}, "Slack sandbox on this machine")),
    h("label", { class: "who" }, "You are",
      h("select", { onchange: (event) => become(event.target.value) },
        people.map((one) => h("option", { value: one.id, selected: one.id === me },
          one.waiting ? `${one.name} · ${one.waiting} waiting` : one.name)))),
    h("h2", {}, "Apps"),
    entry(seen.channels.find((one) => one.kind === "im"), avatar(seen.app.id, "small")),
    channels.length ? h("h2", {}, "Channels") : null,
    channels.map((channel) => entry(channel, h("span", { class: "icon", "aria-hidden": "true" },
      channel.kind === "private" ? picture({ image_url: "assets/slack-lock.svg", alt_text: "" }) : "#")))) }]);
}

function header(channel) {
  const app = channel.kind === "im";
  const button = (name, label) => h("button", {
    type: "button", role: "tab", "aria-selected": String(tab === name), onclick: () => go(channel.id, name),
  }, label);
  keep($("header"), [{ key: "header", stamp: `${channel.id} ${tab} ${channel.archived}`, make: () => h("div", {},
    h("button", {
      type: "button", class: "quiet menu-button", "aria-label": "Conversations",
      onclick: () => document.body.classList.toggle("menu-open"),
    }, "☰"),
    h("strong", {}, app ? "" : "# ", nameOf(channel)),
    channel.archived ? h("span", { class: "muted" }, "archived") : null,
    app ? h("div", { role: "tablist" }, button("home", "Home"), button("messages", "Messages")) : null) }]);
  $("composer").hidden = tab === "home" || channel.archived;
  compose(channel);
}

const firstWords = (message) => message.text.split("\n")[0].slice(0, 60);

function compose(channel) {
  const app = channel.kind === "im";
  $("thread").hidden = !thread;
  $("thread").firstElementChild.textContent = thread ? `Replying in the thread of “${firstWords(thread)}”` : "";
  $("text").placeholder = thread ? "Reply…" : `Message ${app ? "" : "#"}${nameOf(channel)}, or type /approvals`;
}

function replyTo(message, channel) {
  thread = message;
  compose(channel);
  if (message) $("text").focus();
}

function threadOf(message, channel) {
  const parent = channel.messages.find((one) => one.ts === message.thread_ts);
  return parent && parent !== message ? h("div", { class: "only" }, `↳ In the thread of “${firstWords(parent)}”`) : null;
}

const replyButton = (message, channel) => (message.ephemeral || message.thread_ts || channel.archived ? null
  : h("button", { type: "button", class: "reply", onclick: () => replyTo(message, channel) }, "Reply in thread"));

function messages(channel) {
  const scroll = $("scroll");
  const newest = channel.messages.at(-1);
  const answered = newest?.ephemeral && newest.ts > (answeredUntil[channel.id] ?? "");
  if (answered) answeredUntil[channel.id] = newest.ts;
  const atBottom = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 60;
  const follow = answered || atBottom || !$("content").children.length;
  keep($("content"), channel.messages.length ? channel.messages.map((message) => ({
    key: `${message.ts}${message.ephemeral}`, stamp: JSON.stringify(message), make: () => messageElement(message, channel),
  })) : [{ key: "empty", stamp: channel.id, make: nothing }]);
  if (follow) scroll.scrollTop = scroll.scrollHeight;
}

const nothing = () => h("p", { class: "empty" }, "Nothing here yet. Requests appear the moment they are made.");

function messageElement(message, channel) {
  const author = seen.people.find((one) => one.id === message.user);
  const at = (format) => formattedDate(Number(message.ts), format, seen);
  const where = (node) => ({ channel: channel.id, ts: message.ts, values: fields(node) });
  const host = { seen, name: message.ts, use: use(where, () => article) };
  const article = h("article", { class: message.ephemeral ? "message ephemeral" : "message" },
    avatar(message.user),
    h("div", { class: "column" },
      h("div", { class: "author" }, h("b", {}, author?.name ?? message.user),
        author?.bot ? h("span", { class: "tag" }, "APP") : null,
        h("time", { title: at("{date_long} {time_secs}") }, at("{time}"))),
      message.ephemeral ? h("div", { class: "only" }, "Only visible to you") : null,
      threadOf(message, channel),
      message.blocks ? blocks(message.blocks, host) : h("div", { class: "text" }, mrkdwn(message.text, seen, true)),
      message.edited ? h("span", { class: "muted edited" }, "(edited) ") : null,
      replyButton(message, channel)));
  return article;
}

function home() {
  const view = seen.home;
  keep($("content"), [{ key: "home", stamp: view?.hash ?? "none", make: () => {
    if (!view) return h("p", { class: "empty" }, "The app has not published a Home tab yet.");
    const host = { seen, name: view.id, use: use((node) => ({ view: view.id, values: fields(node) }), () => node) };
    const node = h("div", { class: "home" }, blocks(view.blocks, host));
    return node;
  } }]);
}

// What pressing an element does: ask where it wants a confirmation, then tell the sandbox.
const use = (where, node) => async (block, element, choice, button) => {
  if (await confirmed(element, button)) {
    await act("click", { ...where(node()), block_id: block.block_id, action_id: element.action_id, choice }, button);
  }
};

function avatar(id, size = "") {
  const author = seen.people.find((one) => one.id === id);
  const hue = [...id].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 8, 0);
  return author?.bot
    ? h("img", { class: `avatar ${size}`, src: "assets/slack.svg", alt: "" })
    : h("span", { class: `avatar ${size} hue${hue}`, "aria-hidden": "true" }, (author?.name ?? "?").charAt(0));
}

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text) return;
  $("text").value = "";
  act("say", { channel: open, text, thread: thread?.ts });
  replyTo(null, seen.channels.find((one) => one.id === open));
});
$("thread").lastElementChild.addEventListener("click", () => {
  replyTo(null, seen.channels.find((one) => one.id === open));
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") document.body.classList.remove("menu-open");
});
new EventSource("changes").addEventListener("message", refresh);
refresh();
