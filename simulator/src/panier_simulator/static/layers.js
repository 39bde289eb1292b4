// What lies over the chat: full views (catalogue, cart) and sheets from below (lists, attachments).
// One is open at a time above the others; Escape or its close button ends it and focus goes back.

import { h, icon } from "./dom.js";
import { words } from "./words.js";

const stack = [];
const place = () => document.getElementById("layers");

export function openView(title, content, { subtitle, side } = {}) {
  const close = h(
    "button",
    { class: "round", type: "button", "aria-label": words().back, onclick: closeTop },
    icon("back"),
  );
  const heading = h(
    "div",
    { class: "who" },
    h("strong", {}, title),
    subtitle ? h("span", {}, subtitle) : null,
  );
  const bar = h("header", { class: "chatbar" }, close, heading, side);
  return open(h("section", { class: "view" }, bar, h("div", { class: "scroll" }, content)), title);
}

export function openSheet(title, ...content) {
  const close = h(
    "button",
    { class: "round plain", type: "button", "aria-label": words().close, onclick: closeTop },
    icon("close"),
  );
  const bar = h("header", {}, close, h("h2", {}, title));
  const sheet = h("section", { class: "sheet" }, bar, h("div", { class: "scroll" }, ...content));
  const shade = h("div", { class: "shade", onclick: (event) => event.target === shade && closeTop() }, sheet);
  return open(shade, title, sheet);
}

function open(element, label, dialog = element) {
  dialog.setAttribute("role", "dialog");
  dialog.setAttribute("aria-modal", "true");
  dialog.setAttribute("aria-label", label);
  document.getElementById("toast").classList.remove("shown");
  const below = stack.at(-1)?.element ?? document.getElementById("screen");
  below.inert = true;
  stack.push({ element, below, focus: document.activeElement });
  place().append(element);
  dialog.querySelector("button")?.focus({ preventScroll: true });
  return element;
}

export function closeTop() {
  const top = stack.pop();
  if (!top) return;
  top.element.remove();
  top.below.inert = false;
  if (top.focus?.isConnected) top.focus.focus({ preventScroll: true });
}

export function closeAll() {
  while (stack.length) closeTop();
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && stack.length) {
    event.preventDefault();
    closeTop();
  }
});

let hiding;
export function toast(text) {
  const element = document.getElementById("toast");
  element.textContent = text;
  element.classList.add("shown");
  clearTimeout(hiding);
  hiding = setTimeout(() => element.classList.remove("shown"), 2600);
}
