// Builds elements. Text only ever becomes text nodes, so nothing in a message can become markup.

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

// A link, if the address is one a browser may open from a message; else its text.
export function link(url, ...label) {
  const safe = /^(https?|mailto|tel):/i.test(url);
  return safe ? h("a", { href: url, target: "_blank", rel: "noreferrer noopener" }, ...label) : h("span", {}, ...label);
}

export const picture = (image) => h("img", { src: image.image_url, alt: image.alt_text, loading: "lazy" });

// Replaces the children of `parent` by `wanted`, a list of {key, stamp, make}: what has the same key
// and stamp stays as it is, with its focus and whatever was typed into it.
export function keep(parent, wanted) {
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const children = wanted.map(({ key, stamp, make }) => {
    const there = old.get(key);
    if (there && there.dataset.stamp === stamp) return there;
    const child = make();
    child.dataset.key = key;
    child.dataset.stamp = stamp;
    return child;
  });
  const same = children.length === parent.children.length && children.every((child, at) => child === parent.children[at]);
  if (!same) parent.replaceChildren(...children);
}
