// Slack's text format as nodes: https://docs.slack.dev/messaging/formatting-message-text
import { h, link } from "./slack-dom.js";

const EMOJI = {
  white_check_mark: "✅", heavy_check_mark: "✔️", x: "❌", warning: "⚠️", hourglass: "⌛", hourglass_flowing_sand: "⏳",
  bell: "🔔", tada: "🎉", eyes: "👀", lock: "🔒", rocket: "🚀", wave: "👋", no_entry: "⛔", information_source: "ℹ️",
  alarm_clock: "⏰", inbox_tray: "📥", page_facing_up: "📄", pencil2: "✏️", fast_forward: "⏩", rotating_light: "🚨",
  question: "❓", bulb: "💡", thumbsup: "👍", thumbsdown: "👎", memo: "📝", link: "🔗", speech_balloon: "💬",
};
const INLINE = new RegExp([
  /`([^`\n]+)`/, /<([^<>\n]+)>/,
  /(?<![\w*])\*(?![\s*])([^*\n]*[^\s*])\*(?![\w*])/, /(?<![\w_])_(?![\s_])([^_\n]*[^\s_])_(?![\w_])/,
  /(?<![\w~])~(?![\s~])([^~\n]*[^\s~])~(?![\w~])/, /:([a-z0-9_+-]+):/,
  /(?<![\w@])(@(?:here|channel|everyone))\b/, /(https?:\/\/[^\s<>]+)/,
].map((part) => part.source).join("|"), "g");

export const unescaped = (text) => text.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
const withEmoji = (text) => text.replace(/:([a-z0-9_+-]+):/g, (whole, name) => EMOJI[name] ?? whole);

export function textObject(object, seen) {
  if (object.type === "plain_text") return [h("span", { class: "plain" }, withEmoji(object.text))];
  return mrkdwn(object.text, seen, object.verbatim === true);
}

// `seen` is what the viewer sees: names of people and channels, and their time zone.
export function mrkdwn(text, seen, verbatim = false) {
  return text.split(/```\n?([\s\S]*?)\n?```/).flatMap((part, at) =>
    at % 2 ? [h("pre", {}, unescaped(part.replace(/<(?:[^<>|]*\|)?([^<>]*)>/g, "$1")))] : quoted(part, seen, verbatim));
}

function quoted(text, seen, verbatim) {
  const nodes = [];
  let quote = null;
  for (const [at, line] of text.split("\n").entries()) {
    const inside = /^(?:&gt;|>) ?(.*)$/.exec(line);
    if (!inside) {
      if (at && !quote) nodes.push(h("br"));
      nodes.push(...inline(line, seen, verbatim));
      quote = null;
    } else {
      if (quote) quote.append(h("br"));
      else nodes.push((quote = h("blockquote")));
      quote.append(...inline(inside[1], seen, verbatim));
    }
  }
  return nodes;
}

function inline(text, seen, verbatim) {
  const nodes = [];
  let end = 0;
  for (const match of text.matchAll(INLINE)) {
    nodes.push(unescaped(text.slice(end, match.index)), formatted(match, seen, verbatim));
    end = match.index + match[0].length;
  }
  nodes.push(unescaped(text.slice(end)));
  return nodes.filter((node) => node !== "");
}

function formatted(match, seen, verbatim) {
  const [whole, code, angle, bold, italic, strike, emoji, broadcast, url] = match;
  if (code !== undefined) return h("code", {}, unescaped(code));
  if (angle !== undefined) return special(angle, seen);
  if (bold !== undefined) return h("b", {}, ...inline(bold, seen, verbatim));
  if (italic !== undefined) return h("i", {}, ...inline(italic, seen, verbatim));
  if (strike !== undefined) return h("s", {}, ...inline(strike, seen, verbatim));
  if (emoji !== undefined) return EMOJI[emoji] ?? whole;
  if (verbatim) return unescaped(whole);
  return broadcast !== undefined ? mention(broadcast) : link(unescaped(url), unescaped(url));
}

function special(inside, seen) {
  const bar = inside.indexOf("|");
  const [target, label] = bar < 0 ? [inside, ""] : [inside.slice(0, bar), unescaped(inside.slice(bar + 1))];
  if (target.startsWith("@")) return person(target.slice(1), seen, label);
  if (target.startsWith("#")) return channel(target.slice(1), seen, label);
  if (target.startsWith("!date^")) return date(target.slice(6), label, seen);
  if (target.startsWith("!subteam^")) return mention(label || "@group");
  if (target.startsWith("!")) return mention(`@${target.slice(1)}`);
  return link(unescaped(target), label || unescaped(target));
}

export const mention = (text) => h("span", { class: "mention" }, text);
export const person = (id, seen, label) =>
  mention(`@${seen.people.find((one) => one.id === id)?.name ?? (label || id)}`);
export const channel = (id, seen, label) =>
  mention(`#${seen.channels.find((one) => one.id === id)?.name ?? (label || id)}`);
export const emojiNamed = (name) => EMOJI[name] ?? `:${name}:`;

// <!date^UNIX^{date_short_pretty} {time}^LINK|fallback> in the viewer's time zone
function date(inside, fallback, seen) {
  const [unix, format, url] = inside.split("^");
  const shown = formattedDate(Number(unix), unescaped(format ?? ""), seen) ?? fallback;
  return url ? link(unescaped(url), shown) : h("span", { title: fallback }, shown);
}

export function formattedDate(unix, format, seen) {
  const at = new Date(unix * 1000);
  if (Number.isNaN(at.getTime())) return null;
  const timeZone = seen.people.find((one) => one.id === seen.me)?.tz;
  const show = (options, day = at) => new Intl.DateTimeFormat("en", { timeZone, ...options }).format(day);
  const long = { year: "numeric", month: "long", day: "numeric" };
  const short = { ...long, month: "short" };
  const weekday = { ...long, weekday: "long" };
  const pretty = (options) => {
    const days = [[-1, "yesterday"], [0, "today"], [1, "tomorrow"]];
    const near = days.find(([offset]) => show(short, new Date(Date.now() + offset * 864e5)) === show(short));
    return near ? near[1] : show(options);
  };
  const tokens = {
    date_num: () => show({ year: "numeric", month: "2-digit", day: "2-digit" }),
    date: () => show(long), date_short: () => show(short), date_long: () => show(weekday),
    date_pretty: () => pretty(long), date_short_pretty: () => pretty(short), date_long_pretty: () => pretty(weekday),
    time: () => show({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" }),
    time_secs: () => show({ hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }),
    ago: () => ago(unix),
  };
  return format.replace(/\{(\w+)\}/g, (whole, name) => tokens[name]?.() ?? whole);
}

function ago(unix) {
  const seconds = unix - Date.now() / 1000;
  const units = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
  const [unit, size] = units.find(([, length]) => Math.abs(seconds) >= length) ?? units[3];
  return new Intl.RelativeTimeFormat("en", { numeric: "auto" }).format(Math.round(seconds / size), unit);
}
