// The shop on the phone: catalogue, product, cart. The cart lives on this device, one for each chat.

import { h, icon, picture } from "./dom.js";
import { closeAll, closeTop, openView, toast } from "./layers.js";
import { money, words } from "./words.js";

const MOST = 99;
let phone;
export const setPhone = (value) => (phone = value);

// The cart

const key = () => `cart/${phone.chatKey()}`;
const load = () => JSON.parse(localStorage.getItem(key()) || "{}");

function set(sku, quantity) {
  const cart = load();
  if (quantity > 0) cart[sku] = Math.min(MOST, quantity);
  else delete cart[sku];
  localStorage.setItem(key(), JSON.stringify(cart));
  countCart();
}

const lines = () =>
  Object.entries(load())
    .map(([sku, quantity]) => ({ product: phone.product(sku), quantity }))
    .filter((line) => line.product);

export function countCart() {
  const count = lines().reduce((sum, line) => sum + line.quantity, 0);
  for (const badge of document.querySelectorAll(".badge")) {
    badge.textContent = count;
    badge.hidden = !count;
  }
}

const total = (list) =>
  list.reduce((sum, line) => sum + Math.round(line.product.price * 100) * line.quantity, 0) / 100;

function cartButton() {
  const button = h(
    "button",
    { class: "round", type: "button", "aria-label": words().cart, onclick: showCart },
    icon("cart"),
    h("b", { class: "badge", hidden: true }),
  );
  queueMicrotask(countCart);
  return button;
}

function stepper(product, changed) {
  const quantity = h("output", { "aria-live": "polite" }, String(load()[product.sku] || 0));
  const step = (by) => () => {
    const value = Math.max(0, Math.min(MOST, (load()[product.sku] || 0) + by));
    set(product.sku, value);
    quantity.textContent = value;
    changed(value);
  };
  return h(
    "div",
    { class: "stepper", role: "group", "aria-label": product.title },
    h("button", { type: "button", "aria-label": words().fewer, onclick: step(-1) }, icon("minus")),
    quantity,
    h("button", { type: "button", "aria-label": words().more, onclick: step(1) }, icon("plus")),
  );
}

// The catalogue

function item(product) {
  const open = () => showProduct(product.sku);
  const side = h("div", { class: "side" });
  const draw = (quantity) => {
    if (!product.available) side.replaceChildren(h("span", { class: "sold" }, words().soldOut));
    else if (quantity > 0) side.replaceChildren(stepper(product, draw));
    else {
      side.replaceChildren(
        h(
          "button",
          {
            class: "round tinted",
            type: "button",
            "aria-label": `${words().addToCart}: ${product.title}`,
            "data-add": product.sku,
            onclick: () => {
              set(product.sku, 1);
              draw(1);
              side.querySelector("button:last-of-type").focus();
            },
          },
          icon("plus"),
        ),
      );
    }
  };
  draw(load()[product.sku] || 0);
  const name = h(
    "button",
    { class: "item-name", type: "button", onclick: open },
    h("strong", {}, product.title),
  );
  return h(
    "li",
    { class: `item${product.available ? "" : " gone"}`, "data-sku": product.sku },
    h("div", { class: "thumb", onclick: open }, picture(product)),
    h(
      "div",
      { class: "item-words" },
      name,
      h("p", {}, product.description),
      h("span", { class: "price" }, money(product.price, product.currency)),
    ),
    side,
  );
}

const section = (title, products) => [h("h3", {}, title), h("ul", { class: "items" }, products.map(item))];

export function showCatalogue() {
  const collections = new Map();
  for (const product of phone.products()) {
    const name = product.collection || words().all;
    collections.set(name, [...(collections.get(name) || []), product]);
  }
  const body = h("div", { class: "sections" });
  const tabs = h("div", { class: "tabs", role: "group", "aria-label": words().catalogue });
  const choose = (name) => {
    for (const tab of tabs.children)
      tab.setAttribute("aria-pressed", String(tab.dataset.name === (name ?? "")));
    const shown = [...collections].filter(([title]) => !name || title === name);
    body.replaceChildren(...shown.flatMap(([title, products]) => section(title, products)));
  };
  for (const name of [null, ...collections.keys()]) {
    tabs.append(
      h(
        "button",
        { type: "button", "data-name": name ?? "", onclick: () => choose(name) },
        name ?? words().all,
      ),
    );
  }
  choose(null);
  const empty = phone.products().length ? null : h("p", { class: "note" }, words().noProducts);
  openView(phone.shopName(), [tabs, body, empty], { subtitle: words().catalogue, side: cartButton() });
}

export function showSections(title, sections) {
  const content = sections.flatMap((part) => {
    const products = part.product_items
      .map((entry) => phone.product(entry.product_retailer_id))
      .filter(Boolean);
    return section(part.title || title, products);
  });
  openView(title, h("div", { class: "sections" }, content), {
    subtitle: phone.shopName(),
    side: cartButton(),
  });
}

// One product

export function showProduct(sku) {
  const product = phone.product(sku);
  if (!product) return toast(sku);
  const actions = h("div", { class: "actions" });
  const draw = (quantity) => {
    if (!product.available) return actions.replaceChildren(h("p", { class: "sold" }, words().soldOut));
    actions.replaceChildren(
      quantity > 0
        ? stepper(product, draw)
        : h(
            "button",
            {
              class: "primary",
              type: "button",
              "data-add": sku,
              onclick: () => {
                set(sku, 1);
                draw(1);
                toast(words().added(product.title));
              },
            },
            words().addToCart,
          ),
    );
    if (quantity > 0)
      actions.append(h("button", { class: "primary", type: "button", onclick: showCart }, words().viewCart));
  };
  draw(load()[sku] || 0);
  const [first, second] = product.description.split(" · ");
  const ask = h(
    "button",
    { class: "quiet", type: "button", onclick: () => askAbout(product) },
    icon("bubble"),
    words().askAbout,
  );
  openView(
    product.title,
    h(
      "div",
      { class: "product" },
      h("div", { class: "hero" }, picture(product, { alt: product.title, loading: "eager" })),
      h(
        "div",
        { class: "product-words" },
        h("h3", {}, product.title),
        h("p", { class: "price" }, money(product.price, product.currency)),
        h("p", {}, first),
        second ? h("p", { class: "second" }, second) : null,
        actions,
        ask,
      ),
    ),
    { side: cartButton() },
  );
}

function askAbout(product) {
  const text = h("textarea", { rows: 2, maxlength: 1000, "aria-label": words().message });
  text.value = words().askDefault;
  const form = h(
    "form",
    {
      class: "question",
      onsubmit: (event) => {
        event.preventDefault();
        closeAll();
        phone.act({ product_question: { sku: product.sku, text: text.value.trim() || words().askDefault } });
      },
    },
    h(
      "div",
      { class: "card row" },
      picture(product),
      h(
        "div",
        { class: "card-words" },
        h("strong", {}, product.title),
        h("span", { class: "price" }, money(product.price, product.currency)),
      ),
    ),
    text,
    h("button", { class: "primary", type: "submit" }, words().send),
  );
  openView(words().askAbout, form, { subtitle: phone.shopName() });
}

// The cart, and one that was sent

export function showCart() {
  const body = h("div", { class: "cart" });
  const draw = () => {
    const list = lines();
    if (!list.length) {
      const browse = h(
        "button",
        {
          class: "primary",
          type: "button",
          onclick: () => {
            closeAll();
            showCatalogue();
          },
        },
        words().browse,
      );
      return body.replaceChildren(
        h("div", { class: "empty" }, icon("cart"), h("p", {}, words().emptyCart), browse),
      );
    }
    const note = h("textarea", {
      rows: 1,
      maxlength: 1000,
      placeholder: words().note,
      "aria-label": words().note,
    });
    const send = h("button", { class: "primary", type: "submit" }, words().sendCart);
    const currency = list[0].product.currency;
    const sum = h("strong", {}, money(total(list), currency));
    const changed = (value) => (value > 0 ? (sum.textContent = money(total(lines()), currency)) : draw());
    body.replaceChildren(
      h(
        "ul",
        { class: "items" },
        list.map(({ product }) =>
          h(
            "li",
            { class: "item", "data-sku": product.sku },
            h("div", { class: "thumb" }, picture(product)),
            h(
              "div",
              { class: "item-words" },
              h("strong", {}, product.title),
              h("span", { class: "price" }, money(product.price, product.currency)),
            ),
            h("div", { class: "side" }, stepper(product, changed)),
          ),
        ),
      ),
      h(
        "form",
        {
          class: "checkout",
          onsubmit: (event) => {
            event.preventDefault();
            send.disabled = true;
            sendCart(note.value.trim()).finally(() => (send.disabled = false));
          },
        },
        h("p", { class: "sum" }, h("span", {}, words().total), sum),
        note,
        send,
      ),
    );
  };
  draw();
  openView(words().cart, body, { subtitle: phone.shopName() });
}

async function sendCart(text) {
  const cart = lines().map(({ product, quantity }) => ({ sku: product.sku, quantity }));
  if (await phone.act(text ? { cart, text } : { cart })) {
    localStorage.removeItem(key());
    countCart();
    closeAll();
    toast(words().cartSent);
  }
}

export function showSent(order) {
  const rows = order.product_items.map((line) => {
    const product = phone.product(line.product_retailer_id);
    return h(
      "li",
      { class: "item" },
      h("div", { class: "thumb" }, picture(product)),
      h(
        "div",
        { class: "item-words" },
        h("strong", {}, product?.title || line.product_retailer_id),
        h("span", { class: "price" }, `${line.quantity} × ${money(line.item_price, line.currency)}`),
      ),
    );
  });
  openView(words().sentCart, h("ul", { class: "items" }, rows), { subtitle: phone.shopName() });
}

export { closeTop };
