// Block Kit blocks as elements. `host` is where they stand: {seen, name, use(block, element, choice, button)}.
import { h, link, picture } from "./slack-dom.js";
import { channel, emojiNamed, formattedDate, mention, mrkdwn, person, textObject } from "./slack-mrkdwn.js";
import { control } from "./slack-controls.js";

const RENDERERS = {
  header: (block) => h("h3", {}, block.text.text),
  divider: () => h("hr"),
  section: (block, host) => h("div", { class: "body" },
    h("div", {},
      block.text ? h("div", { class: "text" }, textObject(block.text, host.seen)) : null,
      block.fields ? h("div", { class: "fields" }, block.fields.map((field) =>
        h("div", { class: "text" }, textObject(field, host.seen)))) : null),
    block.accessory ? h("div", { class: "accessory" }, control(block, block.accessory, host)) : null),
  context: (block, host) => block.elements.map((element) => element.type === "image"
    ? picture(element) : h("span", { class: "text" }, textObject(element, host.seen))),
  actions: (block, host) => block.elements.map((element) => control(block, element, host)),
  image: (block) => h("figure", {}, block.title ? h("figcaption", {}, block.title.text) : null, picture(block)),
  rich_text: (block, host) => block.elements.map((element) => richText(element, host.seen)),
  input: (block, host) => input(block, host),
  markdown: (block, host) => h("div", { class: "text" }, mrkdwn(asMrkdwn(block.text), host.seen)),
  table: (block, host) => h("div", { class: "table" }, h("table", {}, block.rows.map((row, at) =>
    h("tr", {}, row.map((cell) => h(at ? "td" : "th", {}, cell.type === "raw_text"
      ? cell.text : cell.elements.map((element) => richText(element, host.seen)))))))),
};

export const blocks = (list, host) => list.map((block) =>
  h("div", { class: `block ${block.type}`, "data-block": block.block_id }, RENDERERS[block.type](block, host)));

function input(block, host) {
  const id = `${host.name}-${block.block_id}`;
  const group = ["radio_buttons", "checkboxes"].includes(block.element.type);
  const label = [block.label.text, block.optional ? h("span", { class: "muted" }, " (optional)") : null];
  const error = host.errors?.[block.block_id];
  return h(group ? "fieldset" : "div", { class: error ? "field wrong" : "field" },
    h(group ? "legend" : "label", { for: group ? null : id }, ...label),
    control(block, block.element, host, { id, describedby: `${id}-note`, invalid: Boolean(error) }),
    h("div", { class: error ? "error" : "muted", id: `${id}-note`, role: error ? "alert" : null },
      error ?? block.hint?.text ?? ""));
}

function richText(element, seen) {
  const inside = () => element.elements.map((part) => styled(richPart(part, seen), part.style));
  switch (element.type) {
    case "rich_text_preformatted": return h("pre", {}, inside());
    case "rich_text_quote": return h("blockquote", {}, inside());
    case "rich_text_list":
      return h(element.style === "ordered" ? "ol" : "ul", { "data-indent": element.indent ?? 0, start: (element.offset ?? 0) + 1 },
        element.elements.map((item) => h("li", {}, item.elements.map((part) => styled(richPart(part, seen), part.style)))));
    default: return h("div", { class: "text" }, inside());
  }
}

function richPart(part, seen) {
  switch (part.type) {
    case "text": return part.text;
    case "link": return link(part.url, part.text ?? part.url);
    case "emoji": return emojiNamed(part.name);
    case "user": return person(part.user_id, seen);
    case "channel": return channel(part.channel_id, seen);
    case "usergroup": return mention("@group");
    case "broadcast": return mention(`@${part.range}`);
    case "date": return formattedDate(part.timestamp, part.format, seen) ?? part.fallback;
    default: return "";
  }
}

function styled(node, style = {}) {
  const tags = { bold: "b", italic: "i", strike: "s", code: "code", underline: "u" };
  return Object.entries(tags).reduce((inner, [name, tag]) => (style[name] ? h(tag, {}, inner) : inner), node);
}

const asMrkdwn = (markdown) => markdown
  .replace(/^#+ (.*)$/gm, "*$1*").replace(/\*\*(.+?)\*\*/g, "*$1*").replace(/^[-*] /gm, "• ")
  .replace(/\[([^\]]+)\]\(([^)\s]+)\)/g, "<$2|$1>");
