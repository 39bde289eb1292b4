// The conversation on the screen: bubbles in order, day marks, quotes, ticks, reactions, typing.

import { render, summary } from "./bubbles.js";
import { h, icon } from "./dom.js";
import { day, time, words } from "./words.js";

const place = () => document.getElementById("chat");
const messages = new Map(); // wamid -> {message, element}
// News may arrive out of order: a state never goes back.
const RANKS = ["accepted", "sent", "delivered", "read", "failed"];
let phone;

export const setPhone = (value) => (phone = value);
export const known = () => [...messages.values()].map((entry) => entry.message);

export function showAll(list) {
  messages.clear();
  place().replaceChildren(h("p", { class: "note" }, words().noMessages));
  for (const message of list) put(message);
  toEnd();
}

export function put(message) {
  if (message.body.type === "reaction") return react(message);
  const former = messages.get(message.wamid);
  if (former && RANKS.indexOf(message.state) < RANKS.indexOf(former.message.state)) return;
  const element = bubble(message);
  messages.set(message.wamid, { message, element });
  if (former) {
    // Only its ticks can change: the bubble stays, so that focus in it does too.
    former.element.querySelector(".meta")?.replaceWith(element.querySelector(".meta"));
    messages.set(message.wamid, { message, element: former.element });
    return;
  }
  const near = place().scrollHeight - place().scrollTop - place().clientHeight < 160;
  markDay(message);
  place().append(element);
  if (near || message.direction === "in") toEnd();
}

export function toEnd() {
  place().scrollTop = place().scrollHeight;
}

export function select(wamid) {
  for (const [id, { element }] of messages) element.classList.toggle("selected", id === wamid);
}

function markDay(message) {
  const name = day(message.at);
  const marks = place().querySelectorAll(".day");
  if (marks[marks.length - 1]?.textContent !== name) place().append(h("p", { class: "day" }, name));
}

function bubble(message) {
  const parts = render(message, phone);
  const inspect = () => phone.inspect(message.wamid);
  const show = h(
    "button",
    {
      class: "json",
      type: "button",
      "aria-label": words().showJson,
      title: words().showJson,
      onclick: inspect,
    },
    "{ }",
  );
  const inside = h(
    "div",
    { class: "inside", onclick: (event) => event.target.closest("a, button") || inspect() },
    quote(message),
    ...parts.inside.filter(Boolean),
    meta(message),
  );
  const side = message.direction === "in" ? "mine" : "theirs";
  return h(
    "article",
    {
      class: `bubble ${side}${parts.wide ? " wide" : ""}`,
      "data-wamid": message.wamid,
      "data-kind": message.kind,
    },
    h(
      "div",
      { class: "body" },
      inside,
      parts.below?.length ? h("div", { class: "belows" }, parts.below) : null,
    ),
    parts.after,
    show,
  );
}

function meta(message) {
  const at = h("time", { datetime: new Date(message.at * 1000).toISOString() }, time(message.at));
  if (message.state === "failed") return h("span", { class: "meta bad" }, words().failed, " ", at);
  const ticks =
    message.direction === "in"
      ? icon(message.state === "sent" ? "tick" : "ticks", words().states[message.state])
      : null;
  ticks?.classList.add(message.state);
  return h("span", { class: "meta" }, at, ticks);
}

function quote(message) {
  const context = message.body.context;
  if (!context) return null;
  if (context.referred_product) {
    const sku = context.referred_product.product_retailer_id;
    return h(
      "div",
      { class: "quote" },
      h("strong", {}, words().quoteProduct),
      h("span", {}, phone.product(sku)?.title || sku),
    );
  }
  const quoted = messages.get(context.id ?? context.message_id)?.message;
  if (!quoted) return null;
  const who = quoted.direction === "in" ? phone.customerName() : phone.shopName();
  return h(
    "div",
    { class: "quote" },
    h("strong", {}, who),
    h("span", { dir: "auto" }, summary(quoted) || ""),
  );
}

function react(message) {
  const { message_id: wamid, emoji } = message.body.reaction;
  const target = messages.get(wamid)?.element;
  if (!target) return;
  target.querySelector(".reaction")?.remove();
  if (emoji) target.querySelector(".body").append(h("span", { class: "reaction" }, emoji));
}

let ending;
export function typing(seconds) {
  stopTyping();
  document.getElementById("shop-status").textContent = words().typing;
  place().append(
    h(
      "article",
      { class: "bubble theirs typing", "aria-label": words().typing },
      h("div", { class: "body" }, h("i"), h("i"), h("i")),
    ),
  );
  toEnd();
  ending = setTimeout(stopTyping, seconds * 1000);
}

export function stopTyping() {
  clearTimeout(ending);
  document.getElementById("shop-status").textContent = words().online;
  place().querySelector(".typing")?.remove();
}
