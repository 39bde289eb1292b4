// Small building blocks for the page: elements, icons, safe text. Text is only ever set as text.

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(
    ...children.flat().filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

const PATHS = {
  back: "M15 5l-7 7 7 7",
  close: "M6 6l12 12M18 6L6 18",
  store: "M4 10v9h16v-9M3 10l2-6h14l2 6a3 3 0 0 1-6 0 3 3 0 0 1-6 0 3 3 0 0 1-6 0zM9.5 19v-5h5v5",
  cart: "M3 4h2.5l2.2 11h10.6L20.5 7H6.3M9 19.5h.01M17 19.5h.01",
  clip: "M20 11.5l-8.2 8.2a5 5 0 0 1-7.1-7.1l8.7-8.7a3.4 3.4 0 0 1 4.8 4.8l-8.5 8.5a1.7 1.7 0 0 1-2.4-2.4l7.6-7.6",
  send: "M4 12l16-8-5 16-3.5-6.5z",
  code: "M8 7l-5 5 5 5M16 7l5 5-5 5",
  people:
    "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2.5 20c.5-4 3-6 6.5-6s6 2 6.5 6M16 4.5a3.5 3.5 0 0 1 0 6.5M18 14.5c2 .8 3.2 2.7 3.5 5.5",
  list: "M8 6h12M8 12h12M8 18h12M4 6h.01M4 12h.01M4 18h.01",
  reply: "M9 7l-5 5 5 5M4 12h9c4 0 7 2 7 6",
  link: "M14 4h6v6M20 4l-9 9M18 14v6H4V6h6",
  place:
    "M12 21s-7-6.2-7-11.5a7 7 0 0 1 14 0C19 14.8 12 21 12 21zM12 12a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z",
  picture: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.5 9h.01",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  tick: "M4 13l5 5L20 7",
  ticks: "M2 13l4.5 4.5L16 8M11 16l1.5 1.5L22 8",
  bubble: "M4 5h16v11H10l-5 4v-4H4z",
};

export function icon(name, label) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", `icon icon-${name}`);
  if (label) {
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", label);
  } else svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

// WhatsApp's marks for bold, italic, struck and code, and web addresses as links; all built as nodes.
const MARKS = /(```[^`]+```|\*[^*\n]+\*|_[^_\n]+_|~[^~\n]+~|https?:\/\/[^\s<>"]+)/g;
const TAGS = { "*": "strong", _: "em", "~": "s" };

export function formatted(text) {
  const nodes = [];
  let end = 0;
  for (const match of String(text).matchAll(MARKS)) {
    const [mark] = match;
    const before = text[match.index - 1];
    if (TAGS[mark[0]] && before && /[\p{L}\p{N}]/u.test(before)) continue;
    nodes.push(text.slice(end, match.index));
    end = match.index + mark.length;
    if (mark.startsWith("```")) nodes.push(h("code", {}, mark.slice(3, -3)));
    else if (TAGS[mark[0]]) nodes.push(h(TAGS[mark[0]], {}, mark.slice(1, -1)));
    else nodes.push(outside(mark, {}, mark));
  }
  nodes.push(String(text).slice(end));
  return nodes.filter((node) => node !== "");
}

// A link that leaves the page, for http and https alone.
export function outside(address, attributes, ...children) {
  const safe = /^https?:\/\//i.test(address) ? address : null;
  return h("a", { href: safe, target: "_blank", rel: "noopener noreferrer", ...attributes }, ...children);
}

export function initials(name) {
  const words = name
    .replace(/[^\p{L}\p{N} ]/gu, "")
    .trim()
    .split(/\s+/);
  return (
    [...(words[0] || "?")][0].toUpperCase() + (words.length > 1 ? [...words.at(-1)][0].toUpperCase() : "")
  );
}

export function picture(product, attributes = {}) {
  if (product?.picture) return h("img", { src: product.picture, alt: "", loading: "lazy", ...attributes });
  return h(
    "span",
    { ...attributes, class: `no-picture ${attributes.class || ""}` },
    initials(product?.title || "?"),
  );
}
