// Sheets from below: the rows of a list message, attachments, a place to share.

import { h, icon } from "./dom.js";
import { closeAll, closeTop, openSheet } from "./layers.js";
import { words } from "./words.js";

const PLACES = [
  { name: "Le Port", address: "12 quai du Port, 13002 Marseille", latitude: 43.2965, longitude: 5.3698 },
  {
    name: "Hôtel de Ville",
    address: "Place de l’Hôtel de Ville, 75004 Paris",
    latitude: 48.8566,
    longitude: 2.3522,
  },
  { name: "Covent Garden", address: "The Piazza, London WC2E 8RF", latitude: 51.5117, longitude: -0.124 },
];

export function chooseFrom(list, press) {
  const rows = list.action.sections.flatMap((part) => [
    part.title ? h("h3", { dir: "auto" }, part.title) : null,
    ...part.rows.map((row) =>
      h(
        "button",
        {
          class: "row",
          type: "button",
          "data-reply": row.id,
          onclick: () => {
            closeTop();
            press(row.id);
          },
        },
        h(
          "span",
          { class: "row-words" },
          h("strong", { dir: "auto" }, row.title),
          row.description ? h("small", { dir: "auto" }, row.description) : null,
        ),
        h("i", { class: "radio", "aria-hidden": "true" }),
      ),
    ),
  ]);
  openSheet(list.action.button || words().choose, ...rows.filter(Boolean));
}

export function attach(phone) {
  const tile = (name, text, action) =>
    h(
      "button",
      {
        class: "tile",
        type: "button",
        onclick: () => {
          closeTop();
          action();
        },
      },
      h("span", { class: `disc ${name}` }, icon(name)),
      text,
    );
  openSheet(
    words().attach,
    h(
      "div",
      { class: "tiles" },
      tile("place", words().location, () => chooseLocation(phone)),
      tile("picture", words().photo, () =>
        phone.act({ media: { kind: "image", caption: words().photoCaption } }),
      ),
      tile("store", words().catalogue, phone.showCatalogue),
    ),
  );
}

export function chooseLocation(phone) {
  const send = (location) => {
    closeAll();
    phone.act({ location });
  };
  const places = PLACES.map((place) =>
    h(
      "button",
      { class: "row", type: "button", onclick: () => send(place) },
      icon("place"),
      h("span", { class: "row-words" }, h("strong", {}, place.name), h("small", {}, place.address)),
    ),
  );
  const field = (name, attributes) =>
    h("label", {}, h("span", {}, words()[name]), h("input", { name, ...attributes }));
  const form = h(
    "form",
    {
      class: "own-place",
      onsubmit: (event) => {
        event.preventDefault();
        const data = new FormData(form);
        const address = data.get("address").trim();
        send({
          latitude: Number(data.get("latitude")),
          longitude: Number(data.get("longitude")),
          ...(address ? { address } : {}),
        });
      },
    },
    field("latitude", { type: "number", step: "any", min: -90, max: 90, required: true }),
    field("longitude", { type: "number", step: "any", min: -180, max: 180, required: true }),
    field("address", { maxlength: 500 }),
    h("button", { class: "primary", type: "submit" }, words().sendLocation),
  );
  openSheet(words().sendLocation, ...places, form);
}
