// Modals, confirmation dialogs, and what is typed into them.
import { h } from "./slack-dom.js";
import { blocks } from "./slack-blocks.js";
import { fields } from "./slack-controls.js";

let shown = null; // {id, stamp, dialog}

// Shows the topmost view of the stack, or none. `act(name, body)` tells the sandbox what the person does.
export function showModal(stack, seen, act) {
  const view = stack.at(-1);
  if (!view) return dismiss();
  const stamp = `${view.hash} ${JSON.stringify(view.errors)}`;
  if (shown?.id === view.id && shown.stamp === stamp) return;
  const before = shown?.id === view.id ? shown.dialog : null;
  const dialog = modal(view, seen, act, stack.length > 1);
  if (before) carryOver(before, dialog);
  dismiss();
  document.body.append(dialog);
  dialog.showModal();
  const first = [".wrong :is(input, textarea, select)", "[autofocus]", "input, textarea, select"];
  first.map((wanted) => dialog.querySelector(wanted)).find(Boolean)?.focus();
  shown = { id: view.id, stamp, dialog };
}

function dismiss() {
  shown?.dialog.remove();
  shown = null;
}

function modal(view, seen, act, stacked) {
  const host = {
    seen, name: view.id, errors: view.errors,
    use: (block, element, choice, button) => confirmed(element, button).then((yes) => yes && act("click", {
      view: view.id, block_id: block.block_id, action_id: element.action_id, choice, values: fields(dialog),
    }, button)),
  };
  const close = () => act("close", { view: view.id });
  const submit = view.submit ? h("button", { class: "button primary" }, view.submit.text) : null;
  const closeLabel = view.close?.text ?? (submit ? "Cancel" : "Close");
  const form = h("form", {
    novalidate: true,
    onsubmit: (event) => { event.preventDefault(); act("submit", { view: view.id, values: fields(dialog) }, submit); },
  },
  h("header", {}, h("h2", { id: `title-${view.id}` }, view.title.text),
    h("button", { type: "button", class: "quiet", "aria-label": stacked ? "Back" : "Close", onclick: close }, stacked ? "‹" : "✕")),
  h("div", { class: "content" }, blocks(view.blocks, host)),
  h("footer", {}, h("button", { type: "button", class: "button", onclick: close }, closeLabel), submit));
  const dialog = h("dialog", {
    class: "modal", "aria-labelledby": `title-${view.id}`, oncancel: (event) => { event.preventDefault(); close(); },
  }, form);
  return dialog;
}

// What was typed stays where block_id and action_id stayed, as in Slack.
function carryOver(before, after) {
  for (const field of after.querySelectorAll("[data-action]")) {
    const block = CSS.escape(field.closest("[data-block]").dataset.block);
    const old = before.querySelector(`[data-block="${block}"] [data-action="${CSS.escape(field.dataset.action)}"]`);
    if (!old || old.tagName !== field.tagName) continue;
    if (field.className === "choices") {
      const checked = new Set([...old.querySelectorAll(":checked")].map((one) => one.value));
      for (const one of field.querySelectorAll("input")) one.checked = checked.has(one.value);
    } else if (field.multiple) {
      const chosen = new Set([...old.selectedOptions].map((one) => one.value));
      for (const one of field.options) one.selected = chosen.has(one.value);
    } else field.value = old.value;
  }
}

// Asks first where the element has a `confirm` object. A promise of true or false.
export function confirmed(element, button) {
  const ask = element.confirm;
  if (!ask) return Promise.resolve(true);
  return new Promise((answer) => {
    const dialog = h("dialog", { class: "modal confirm", "aria-labelledby": "confirm-title", onclose: () => {
      dialog.remove();
      button?.focus();
      answer(dialog.returnValue === "yes");
    } },
    h("form", { method: "dialog" },
      h("header", {}, h("h2", { id: "confirm-title" }, ask.title.text)),
      h("div", { class: "content" }, h("p", {}, ask.text.text)),
      h("footer", {}, h("button", { class: "button", value: "no" }, ask.deny.text),
        h("button", { class: `button ${ask.style ?? "primary"}`, value: "yes" }, ask.confirm.text))));
    document.body.append(dialog);
    dialog.showModal();
  });
}
