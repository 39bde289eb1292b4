// The side panel: customers with what they have not read, the form for a new one, the shop's numbers.

import * as api from "./api.js";
import { h, initials } from "./dom.js";
import { words } from "./words.js";

export function drawCustomers(customers, chosen, unread, choose) {
  const rows = customers.map((customer) => {
    const count = unread.get(customer.id) || 0;
    const detail = customer.wa_id ? `+${customer.wa_id}` : words().hidden;
    return h(
      "li",
      {},
      h(
        "button",
        {
          type: "button",
          "aria-current": customer.id === chosen?.id ? "true" : null,
          "data-customer": customer.id,
          onclick: () => choose(customer),
        },
        h(
          "span",
          {
            class: `avatar tone-${[...customer.id].reduce((sum, letter) => sum + letter.charCodeAt(0), 0) % 6}`,
            "aria-hidden": "true",
          },
          initials(customer.name),
        ),
        h("span", { class: "row-words" }, h("strong", {}, customer.name), h("small", {}, detail)),
        count ? h("b", { class: "unread" }, String(count)) : null,
      ),
    );
  });
  document.getElementById("customers").replaceChildren(...rows);
}

export function wireForm(added) {
  const form = document.getElementById("add-form");
  const problem = document.getElementById("add-problem");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const data = new FormData(form);
    const waId = data.get("wa_id").replace(/\D/g, "");
    problem.textContent = "";
    try {
      const customer = await api.addCustomer({
        name: data.get("name").trim(),
        ...(waId ? { wa_id: waId } : {}),
      });
      form.reset();
      document.getElementById("add").open = false;
      added(customer);
    } catch (error) {
      problem.textContent = error.message;
    }
  });
}

export function drawNumbers(shops, chosen, choose) {
  const select = document.getElementById("numbers");
  const options = shops.flatMap((shop) =>
    shop.numbers.map((number) =>
      h(
        "option",
        { value: number.phone_number_id, selected: number.phone_number_id === chosen },
        `${number.display} · ${shop.name}`,
      ),
    ),
  );
  select.replaceChildren(...options);
  select.onchange = () => choose(select.value);
}
