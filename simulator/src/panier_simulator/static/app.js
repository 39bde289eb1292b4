// The page as a whole: who is chosen, what their phone can do, and the stream of what changes.

import * as api from "./api.js";
import * as chat from "./chat.js";
import { h, icon, initials } from "./dom.js";
import { clearInspector, inspect, watchWebhooks } from "./inspector.js";
import { closeAll, toast } from "./layers.js";
import { drawCustomers, drawNumbers, wireForm } from "./people.js";
import { attach, chooseFrom, chooseLocation } from "./sheets.js";
import * as shopping from "./shop.js";
import { currentLanguage, setLanguage, translatePage, words } from "./words.js";

const state = {
  shops: [],
  shop: null,
  number: null,
  products: new Map(),
  customers: [],
  customer: null,
  unread: new Map(),
};
const element = (id) => document.getElementById(id);

// What buttons of the chat and the shop do; every other module acts through this.
const phone = {
  chatKey: () => `${state.customer.id}/${state.number}`,
  customerName: () => state.customer.name,
  shopName: () => state.shop.name,
  product: (sku) => state.products.get(sku),
  products: () => [...state.products.values()],
  act,
  say: toast,
  press: (replyId, wamid) => act({ press: replyId, message: wamid }),
  chooseFrom: (list, wamid) => chooseFrom(list, (replyId) => phone.press(replyId, wamid)),
  askLocation: () => chooseLocation(phone),
  shareContact,
  showCatalogue: shopping.showCatalogue,
  showProduct: shopping.showProduct,
  showSections: shopping.showSections,
  showSent: shopping.showSent,
  inspect: (wamid) => {
    const message = chat.known().find((known) => known.wamid === wamid);
    chat.select(wamid);
    inspect(message);
    if (matchMedia("(max-width: 1099px)").matches) openPanel("inspector");
  },
};

async function act(action) {
  try {
    chat.put(await api.act(state.customer.id, state.number, action));
    return true;
  } catch (error) {
    toast(error.message);
    return false;
  }
}

function shareContact() {
  const { name, wa_id: waId } = state.customer;
  if (!waId) return toast(words().hidden);
  return act({
    contacts: [
      {
        name: { formatted_name: name },
        phones: [{ phone: `+${waId}`, wa_id: waId }],
        origin: "contact_request",
      },
    ],
  });
}

async function openChat() {
  closeAll();
  closePanels();
  clearInspector();
  state.unread.delete(state.customer.id);
  localStorage.setItem("customer", state.customer.id);
  localStorage.setItem("number", state.number);
  element("shop-name").textContent = state.shop.name;
  element("shop-avatar").textContent = initials(state.shop.name);
  redrawPeople();
  chat.showAll(await api.chat(state.customer.id, state.number));
  chat.stopTyping();
  shopping.countCart();
  readSoon();
}

async function chooseNumber(phoneNumberId) {
  state.shop =
    state.shops.find((shop) => shop.numbers.some((number) => number.phone_number_id === phoneNumberId)) ??
    state.shops[0];
  state.number = state.shop.numbers.some((number) => number.phone_number_id === phoneNumberId)
    ? phoneNumberId
    : state.shop.numbers[0].phone_number_id;
  state.products = new Map((await api.products(state.shop.id)).map((product) => [product.sku, product]));
  drawNumbers(state.shops, state.number, async (chosen) => {
    await chooseNumber(chosen);
    await openChat();
  });
}

function chooseCustomer(customer) {
  state.customer = customer;
  return openChat();
}

function redrawPeople() {
  drawCustomers(state.customers, state.customer, state.unread, chooseCustomer);
}

async function reloadCustomers() {
  state.customers = await api.customers();
  redrawPeople();
}

// Reading: a message that this page shows is read; the shop hears of it.
let reading;
function readSoon() {
  clearTimeout(reading);
  reading = setTimeout(() => {
    if (!document.hidden && state.customer) api.read(state.customer.id, state.number).catch(() => {});
  }, 400);
}

function follow() {
  const events = new EventSource("/api/events");
  let lost = false;
  events.onmessage = ({ data }) => receive(JSON.parse(data));
  events.onerror = () => (lost = true);
  events.onopen = async () => {
    if (lost) await openChat();
    lost = false;
  };
}

function receive(event) {
  if (event.event === "customer") return void reloadCustomers();
  if (event.event === "typing" && event.customer === state.customer?.id && event.number === state.number)
    return chat.typing(event.seconds);
  if (event.event !== "message") return undefined;
  const { message } = event;
  if (message.customer === state.customer?.id && message.number === state.number) {
    if (message.direction === "out" && message.state !== "read") {
      chat.stopTyping();
      readSoon();
    }
    return chat.put(message);
  }
  if (message.direction === "out" && message.state === "delivered") {
    state.unread.set(message.customer, (state.unread.get(message.customer) || 0) + 1);
    redrawPeople();
  }
  return undefined;
}

// Panels that slide in on small screens

function openPanel(name) {
  closePanels();
  element(name).classList.add("open");
  element(name).querySelector("button").focus();
}

function closePanels() {
  for (const panel of document.querySelectorAll(".panel")) panel.classList.remove("open");
}

function wire() {
  for (const button of document.querySelectorAll("[data-icon]")) button.prepend(icon(button.dataset.icon));
  document.querySelector(".logo").append(icon("cart"));
  for (const button of document.querySelectorAll(".close-panel")) button.onclick = closePanels;
  element("open-people").onclick = () => openPanel("people");
  element("open-inspector").onclick = () => openPanel("inspector");
  element("open-catalogue").onclick = () => shopping.showCatalogue();
  element("open-cart").onclick = () => shopping.showCart();
  element("attach").onclick = () => attach(phone);
  document.addEventListener("keydown", (event) => event.key === "Escape" && closePanels());
  document.addEventListener("visibilitychange", readSoon);
  const text = element("text");
  const grow = () => {
    text.style.height = "auto";
    text.style.height = `${Math.min(text.scrollHeight, 120)}px`;
  };
  text.addEventListener("input", grow);
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      element("composer").requestSubmit();
    }
  });
  element("composer").addEventListener("submit", async (event) => {
    event.preventDefault();
    const words = text.value.trim();
    if (!words) return;
    text.value = "";
    grow();
    if (!(await act({ text: words }))) text.value = words;
  });
  const language = element("language");
  language.value = currentLanguage();
  language.onchange = () => {
    setLanguage(language.value);
    openChat();
    watchWebhooks();
  };
  wireForm(async (customer) => {
    await reloadCustomers();
    await chooseCustomer(customer);
  });
}

async function start() {
  chat.setPhone(phone);
  shopping.setPhone(phone);
  translatePage();
  wire();
  state.shops = (await api.shops()).filter((shop) => shop.numbers.length);
  if (!state.shops.length) return toast("The shops file names no number.");
  await chooseNumber(localStorage.getItem("number"));
  state.customers = await api.customers();
  if (!state.customers.length)
    state.customers = [await api.addCustomer({ name: "Camille", wa_id: "33600000001" })];
  const former = localStorage.getItem("customer");
  await chooseCustomer(state.customers.find((customer) => customer.id === former) ?? state.customers[0]);
  follow();
  watchWebhooks();
  setInterval(() => document.hidden || watchWebhooks(), 3000);
  document.body.dataset.ready = "true";
  return undefined;
}

start().catch((error) => {
  toast(error.message);
  element("chat").replaceChildren(h("p", { class: "note" }, error.message));
});
