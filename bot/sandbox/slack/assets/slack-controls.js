// Interactive elements. Each field knows its value: `fields(root)` collects them as {block_id: {action_id: value}}.
import { h, picture } from "./slack-dom.js";
import { textObject } from "./slack-mrkdwn.js";

const READERS = new WeakMap();

export function fields(root) {
  const values = {};
  for (const element of root.querySelectorAll("[data-action]")) {
    const read = READERS.get(element);
    if (read) (values[element.closest("[data-block]").dataset.block] ??= {})[element.dataset.action] = read();
  }
  return values;
}

export function control(block, element, host, field = {}) {
  const make = MAKERS[element.type] ?? typed;
  return make(block, element, host, field);
}

const MAKERS = {
  button: (block, element, host) => h("button", {
    type: "button", class: `button ${element.style ?? ""}`, "aria-label": element.accessibility_label,
    onclick: (event) => {
      if (element.url && /^https?:/.test(element.url)) window.open(element.url, "_blank", "noopener");
      host.use(block, element, undefined, event.currentTarget);
    },
  }, element.text.text),
  image: (_block, element) => picture(element),
  overflow: (block, element, host) => h("details", { class: "overflow" },
    h("summary", { class: "button", "aria-label": "More" }, "⋯"),
    h("div", { class: "menu" }, element.options.map((option) => h("button", {
      type: "button",
      onclick: (event) => {
        event.currentTarget.closest("details").open = false;
        host.use(block, element, option.value, event.currentTarget);
      },
    }, option.text.text)))),
  radio_buttons: (block, element, host, field) => choices("radio", block, element, host, field),
  checkboxes: (block, element, host, field) => choices("checkbox", block, element, host, field),
  static_select: select, multi_static_select: select, users_select: select, multi_users_select: select,
};

function known(element, block, host, action, node, read) {
  node.dataset.action = element.action_id;
  READERS.set(node, read);
  if (block.type !== "input" || block.dispatch_action) {
    node.addEventListener(action, () => { if (!isEmpty(read())) host.use(block, element, read(), node); });
  }
  return node;
}

const isEmpty = (value) => value === null || value === "" || value.length === 0;

function select(block, element, host, field) {
  const several = element.type.startsWith("multi_");
  const people = host.seen.people.filter((one) => !one.bot).map((one) => ({ value: one.id, text: { text: one.name } }));
  const initial = [element.initial_option?.value, element.initial_user, ...(element.initial_users ?? []),
    ...(element.initial_options ?? []).map((option) => option.value)];
  const entry = (option) => h("option", { value: option.value, selected: initial.includes(option.value) }, option.text.text);
  const groups = element.option_groups?.map((group) => h("optgroup", { label: group.label.text }, group.options.map(entry)));
  const node = h("select", {
    id: field.id, multiple: several, "aria-describedby": field.describedby, "aria-invalid": field.invalid || null,
    "aria-label": field.id ? null : element.placeholder?.text ?? "Choose",
  }, several ? null : h("option", { value: "" }, element.placeholder?.text ?? "Choose an option"),
  groups ?? (element.options ?? people).map(entry));
  const read = () => several ? [...node.selectedOptions].map((option) => option.value) : node.value || null;
  return known(element, block, host, "change", node, read);
}

function choices(type, block, element, host, field) {
  const initial = [element.initial_option, ...(element.initial_options ?? [])].map((option) => option?.value);
  const group = `${host.name}-${block.block_id}-${element.action_id}`;
  const node = h("div", { class: "choices", "aria-describedby": field.describedby }, element.options.map((option) =>
    h("label", {}, h("input", { type, name: group, value: option.value, checked: initial.includes(option.value) }),
      h("span", {}, textObject(option.text, host.seen),
        option.description ? h("small", { class: "muted" }, textObject(option.description, host.seen)) : null))));
  const read = () => {
    const values = [...node.querySelectorAll(":checked")].map((one) => one.value);
    return type === "radio" ? values[0] ?? null : values;
  };
  return known(element, block, host, "change", node, read);
}

const INPUT_TYPES = {
  email_text_input: "email", url_text_input: "url", datepicker: "date", timepicker: "time",
  datetimepicker: "datetime-local",
};

function typed(block, element, host, field) {
  const number = element.type === "number_input";
  const initial = element.initial_value ?? element.initial_date ?? element.initial_time ?? "";
  const node = h(element.multiline ? "textarea" : "input", {
    id: field.id, type: element.multiline ? null : INPUT_TYPES[element.type] ?? "text", rows: element.multiline ? 4 : null,
    inputmode: number ? "decimal" : null, placeholder: element.placeholder?.text, value: initial, maxlength: element.max_length,
    autofocus: element.focus_on_load, "aria-describedby": field.describedby, "aria-invalid": field.invalid || null,
  });
  const read = element.type === "datetimepicker"
    ? () => (node.value ? Math.floor(new Date(node.value).getTime() / 1000) : null) : () => node.value || null;
  return known(element, block, host, "change", node, read);
}
