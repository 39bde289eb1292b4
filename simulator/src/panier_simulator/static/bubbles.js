// What a message looks like in the chat, by kind. `phone` holds what its buttons do (see app.js).
// Each renderer answers the parts of a bubble: what stands inside it, and buttons that stand below.

import { formatted, h, icon, outside, picture } from "./dom.js";
import { money, words } from "./words.js";

const paragraph = (text, name = "words") =>
  text ? h("p", { class: name, dir: "auto" }, formatted(text)) : null;

function below(name, text, action, attributes = {}) {
  return h(
    "button",
    { class: "below", type: "button", onclick: action, ...attributes },
    icon(name),
    h("span", {}, text),
  );
}

function header(part) {
  if (!part) return null;
  if (part.type === "text") return h("p", { class: "head", dir: "auto" }, part.text);
  return media(part.type, part[part.type]);
}

// A file has no picture here unless the simulator itself serves it: the page loads nothing from outside.
function media(kind, file = {}) {
  const name = file.filename || file.caption || file.link || kind;
  return h(
    "div",
    { class: "media" },
    icon("picture"),
    h("span", {}, file.filename || (file.caption ? kind : name)),
  );
}

function frame(message) {
  const { header: head, body, footer } = message;
  return [
    header(head),
    paragraph(body?.text),
    footer ? h("p", { class: "foot", dir: "auto" }, footer.text) : null,
  ];
}

function card(product, sku, lines = []) {
  return h(
    "div",
    { class: "card" },
    picture(product),
    h("div", { class: "card-words" }, h("strong", {}, product?.title || sku), ...lines),
  );
}

const price = (product) =>
  product ? h("span", { class: "price" }, money(product.price, product.currency)) : null;

const INTERACTIVE = {
  button: (message, phone) => ({
    inside: frame(message),
    below: message.action.buttons.map(({ reply }) =>
      below("reply", reply.title, () => phone.press(reply.id), { "data-reply": reply.id }),
    ),
  }),
  list: (message, phone) => ({
    inside: frame(message),
    below: [below("list", message.action.button, () => phone.chooseFrom(message))],
  }),
  cta_url: (message) => {
    const { display_text: text, url } = message.action.parameters;
    return {
      inside: frame(message),
      below: [outside(url, { class: "below" }, icon("link"), h("span", {}, text))],
    };
  },
  product: (message, phone) => {
    const sku = message.action.product_retailer_id;
    const product = phone.product(sku);
    return {
      inside: [card(product, sku, [price(product)]), ...frame(message)],
      below: [below("store", words().view, () => phone.showProduct(sku))],
      wide: true,
    };
  },
  product_list: (message, phone) => {
    const { sections } = message.action;
    const skus = sections.flatMap((section) => section.product_items.map((item) => item.product_retailer_id));
    const pictures = skus.slice(0, 4).map((sku) => picture(phone.product(sku)));
    return {
      inside: [
        h("div", { class: `strip of-${pictures.length}` }, pictures),
        h("p", { class: "head", dir: "auto" }, message.header.text),
        h("p", { class: "count" }, words().items(skus.length)),
        paragraph(message.body.text),
        message.footer ? h("p", { class: "foot" }, message.footer.text) : null,
      ],
      below: [below("store", words().viewItems, () => phone.showSections(message.header.text, sections))],
      wide: true,
    };
  },
  catalog_message: (message, phone) => {
    const sku = message.action.parameters?.thumbnail_product_retailer_id;
    const product = phone.product(sku) ?? phone.products()[0];
    const name = h("span", { class: "price" }, words().catalogue);
    return {
      inside: [
        h(
          "div",
          { class: "card" },
          picture(product),
          h("div", { class: "card-words" }, h("strong", {}, phone.shopName()), name),
        ),
        ...frame(message),
      ],
      below: [below("store", words().viewCatalogue, () => phone.showCatalogue())],
      wide: true,
    };
  },
  carousel: (message, phone) => ({ inside: frame(message), after: carousel(message.action.cards, phone) }),
  location_request_message: (message, phone) => ({
    inside: frame(message),
    below: [below("place", words().sendLocation, () => phone.askLocation())],
  }),
  contact_request: (message, phone) => ({
    inside: frame(message),
    below: [below("people", words().shareContact, () => phone.shareContact())],
  }),
  order_details: (message) => ({
    inside: [...frame(message), orderDetails(message.action.parameters)],
    wide: true,
  }),
  order_status: (message) => {
    const { reference_id: reference, order } = message.action.parameters;
    const line = `${words().order} ${reference}: ${order.status}`;
    return { inside: [h("p", { class: "head" }, line), paragraph(order.description), ...frame(message)] };
  },
  flow: (message, phone) => ({
    inside: frame(message),
    below: [below("list", message.action.parameters.flow_cta, () => phone.say(words().openFlow))],
  }),
  address_message: (message) => ({ inside: frame(message) }),
};

function carousel(cards, phone) {
  return h(
    "div",
    { class: "carousel", role: "group" },
    cards.map((entry) => {
      if (entry.type === "product") {
        const sku = entry.action.product_retailer_id;
        const product = phone.product(sku);
        return h(
          "div",
          { class: "slide" },
          card(product, sku, [price(product)]),
          below("store", words().view, () => phone.showProduct(sku)),
        );
      }
      const { display_text: text, url } = entry.action.parameters;
      return h(
        "div",
        { class: "slide" },
        header(entry.header),
        paragraph(entry.body?.text),
        outside(url, { class: "below" }, icon("link"), h("span", {}, text)),
      );
    }),
  );
}

function orderDetails(parameters) {
  const amount = ({ value, offset }) => money(value / offset, parameters.currency);
  const lines = parameters.order.items.map((item) =>
    h(
      "li",
      {},
      h("span", {}, `${item.quantity} × ${item.name}`),
      h("span", {}, amount(item.sale_amount ?? item.amount)),
    ),
  );
  return h(
    "div",
    { class: "order" },
    h("p", { class: "count" }, `${words().order} ${parameters.reference_id}`),
    h("ul", {}, lines),
    h("p", { class: "sum" }, h("span", {}, words().total), h("strong", {}, amount(parameters.total_amount))),
  );
}

function location(place, side = []) {
  const point = `${Number(place.latitude).toFixed(5)}, ${Number(place.longitude).toFixed(5)}`;
  return {
    inside: [
      h("div", { class: "map", "aria-hidden": "true" }, icon("place")),
      h("p", { class: "head" }, place.name || words().location),
      paragraph(place.address),
      h("p", { class: "count" }, point),
      ...side,
    ],
    wide: true,
  };
}

function cart(order, phone) {
  const total = order.product_items.reduce((sum, item) => sum + item.item_price * item.quantity, 0);
  const count = order.product_items.reduce((sum, item) => sum + Number(item.quantity), 0);
  const first = phone.product(order.product_items[0]?.product_retailer_id);
  const lines = [
    h(
      "span",
      { class: "price" },
      `${money(total, order.product_items[0]?.currency || "EUR")} (${words().total.toLowerCase()})`,
    ),
  ];
  return {
    inside: [
      h(
        "div",
        { class: "card row" },
        picture(first),
        h("div", { class: "card-words" }, h("strong", {}, words().items(count)), ...lines),
      ),
      paragraph(order.text),
    ],
    below: [below("cart", words().sentCart, () => phone.showSent(order))],
    wide: true,
  };
}

function reply(interactive) {
  const chosen = interactive.button_reply ?? interactive.list_reply ?? {};
  return {
    inside: [
      paragraph(chosen.title ?? interactive.nfm_reply?.body ?? ""),
      chosen.description ? h("p", { class: "count" }, chosen.description) : null,
    ],
  };
}

function template(content, message, phone) {
  const parts = (content.components || []).flatMap((component) => component.parameters || []);
  const texts = parts.filter((part) => typeof part.text === "string").map((part) => part.text);
  const buttons = (content.components || [])
    .filter((component) => component.sub_type === "quick_reply")
    .flatMap((component) => component.parameters || [])
    .map((part) => String(part.payload ?? part.text));
  return {
    inside: [
      h("p", { class: "count" }, `${words().template}: ${content.name} (${content.language.code})`),
      paragraph(texts.join("\n")),
    ],
    below: buttons.map((payload) =>
      below("reply", payload, () => phone.press(payload), { "data-reply": payload }),
    ),
  };
}

// The parts of one message's bubble: {inside: nodes, below?: nodes, after?: node, wide?: bool}.
export function render(message, phone) {
  const { body } = message;
  const type = body.type || "text";
  const content = body[type] || {};
  if (message.direction === "out" && type === "interactive") {
    const draw = INTERACTIVE[content.type];
    const act = {
      ...phone,
      press: (replyId) => phone.press(replyId, message.wamid),
      chooseFrom: (list) => phone.chooseFrom(list, message.wamid),
    };
    return draw ? draw(content, act) : { inside: [paragraph(words().unsupported)] };
  }
  switch (type) {
    case "text":
      return { inside: [paragraph(content.body)] };
    case "interactive":
      return reply(content);
    case "button":
      return { inside: [paragraph(content.text)] };
    case "order":
      return cart(content, phone);
    case "location":
      return location(content);
    case "template":
      return template(content, message, { ...phone, press: (id) => phone.press(id, message.wamid) });
    case "image":
    case "video":
    case "audio":
    case "document":
    case "sticker":
      return { inside: [media(type, content), paragraph(content.caption)] };
    case "contacts":
      return {
        inside: body.contacts.map((contact) =>
          paragraph(contact.name?.formatted_name || contact.phones?.[0]?.phone || ""),
        ),
      };
    default:
      return { inside: [paragraph(`${words().unsupported} (${type})`, "count")] };
  }
}

const plain = (text) => text?.replace(/[*_~](\S[^*_~\n]*)[*_~]/g, "$1");

// One line that stands for a message where it is quoted or listed.
export function summary(message) {
  const { body } = message;
  const type = body.type || "text";
  const content = body[type] || {};
  if (type === "text") return plain(content.body);
  if (type === "order") return words().items(content.product_items.length);
  if (type === "location") return content.name || words().location;
  if (type === "interactive") {
    const chosen = content.button_reply ?? content.list_reply;
    return chosen?.title ?? plain(content.body?.text) ?? content.header?.text ?? words().view;
  }
  if (type === "template") return content.name;
  return content.caption || type;
}
