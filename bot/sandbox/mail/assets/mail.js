"use strict";
// Mails come one by one from the event stream; the fragment of the URL (#12) names the mail that is open.

const mails = new Map();
const read = new Set();
let person = null;
let view = "html";

const $ = (id) => document.getElementById(id);

function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

const opened = () => Number(location.hash.slice(1)) || null;
const clock = (at) => new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

function button(label, current, action) {
  const node = element("button", label.className);
  node.type = "button";
  node.append(...label.parts);
  if (current) node.setAttribute("aria-current", "true");
  node.addEventListener("click", action);
  const item = element("li");
  item.append(node);
  return item;
}

function drawPeople() {
  const unread = (who) => [...mails.values()].filter((m) => !read.has(m.id) && (!who || m.to === who)).length;
  const people = [null, ...new Set([...mails.values()].map((m) => m.to))];
  $("people").replaceChildren(...people.map((who) => {
    const parts = [element("span", "who", who ?? "Everybody")];
    if (unread(who)) parts.push(element("span", "count", unread(who)));
    return button({ parts }, who === person, () => { person = who; draw(); });
  }));
  document.title = unread(null) ? `(${unread(null)}) Mailbox` : "Mailbox";
}

function drawList() {
  const shown = [...mails.values()].filter((m) => !person || m.to === person).reverse();
  $("mails").replaceChildren(...shown.map((mail) => {
    const line = element("span", "line");
    line.append(element("span", "to", mail.to), element("span", "", clock(mail.at)));
    const subject = element("span", "subject", mail.subject);
    subject.dir = "auto";
    const parts = [line, subject, element("span", "preview", mail.preview)];
    const className = read.has(mail.id) ? "" : "unread";
    return button({ parts, className }, mail.id === opened(), () => { location.hash = mail.id; });
  }));
  $("empty").hidden = shown.length > 0;
}

function draw() {
  drawPeople();
  drawList();
}

async function open() {
  const id = opened();
  $("panes").classList.toggle("reading", id !== null);
  $("reader").hidden = id === null;
  $("none").hidden = id !== null;
  if (id !== null) {
    const answer = await fetch(`messages/${id}`);
    if (!answer.ok) { location.hash = ""; return; }
    show(await answer.json());
    read.add(id);
  }
  draw();
}

function show(mail) {
  for (const field of ["subject", "from", "to"]) $(field).textContent = mail[field];
  $("at").textContent = new Date(mail.at).toLocaleString();
  $("at").dateTime = mail.at;
  $("html").srcdoc = `<base target="_blank">${mail.html}`;
  $("text").textContent = mail.text;
  $("headers").firstElementChild.replaceChildren(
    ...mail.headers.flatMap(([name, value]) => [element("dt", "", name), element("dd", "", value)]));
  document.querySelector('[data-view="html"]').hidden = !mail.html;
  choose(mail.html ? view : "text");
}

function choose(name) {
  for (const tab of document.querySelectorAll("[data-view]")) {
    tab.setAttribute("aria-pressed", String(tab.dataset.view === name));
    $(tab.dataset.view).hidden = tab.dataset.view !== name;
  }
}

for (const tab of document.querySelectorAll("[data-view]")) {
  tab.addEventListener("click", () => { view = tab.dataset.view; choose(view); });
}
$("back").addEventListener("click", () => { location.hash = ""; });
addEventListener("hashchange", open);

const events = new EventSource("events");
events.onopen = () => { $("status").textContent = "Live"; };
events.onerror = () => { $("status").textContent = "Not connected, trying again…"; };
events.onmessage = (event) => {
  const mail = JSON.parse(event.data);
  mails.set(mail.id, mail);
  draw();
};
open();
