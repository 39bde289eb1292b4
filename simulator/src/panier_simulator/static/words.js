// The page's own words in English and French. What shops and customers write is shown as it is.

const WORDS = {
  en: {
    title: "Panier simulator",
    subtitle: "WhatsApp on your own machine. Nothing here leaves it.",
    customers: "Customers",
    addCustomer: "Add a customer",
    name: "Name",
    phone: "Phone number",
    phoneHint: "Leave the number empty for a customer who hides it: the shop then sees a user id only.",
    add: "Add",
    shopNumber: "The shop's number",
    tryThis: "Try this",
    try1: "Say “bonjour” or “hello” to the shop.",
    try2: "Open its catalogue, add two things to your cart and send it.",
    try3: "Press the buttons of its answers: order, choose collection, confirm.",
    try4: "Open the link to pay, then ask for “orders”.",
    language: "Language of this page",
    close: "Close",
    back: "Back",
    catalogue: "Catalogue",
    viewCatalogue: "View catalogue",
    viewItems: "View items",
    view: "View",
    cart: "Cart",
    developer: "Developer",
    chat: "Messages",
    attach: "Attach",
    message: "Message",
    send: "Send message",
    inspectHint:
      "Select a message to see its JSON: the webhook that the shop received, or its request to the Graph API.",
    online: "business account",
    typing: "typing…",
    hidden: "number hidden",
    noMessages: "Messages you send here reach the shop as signed webhooks.",
    showJson: "Show JSON",
    today: "Today",
    yesterday: "Yesterday",
    addToCart: "Add to cart",
    askAbout: "Message business",
    askDefault: "Hello, is this available?",
    soldOut: "Out of stock",
    all: "All items",
    items: (n) => (n === 1 ? "1 item" : `${n} items`),
    total: "Estimated total",
    emptyCart: "Your cart is empty.",
    browse: "Browse the catalogue",
    note: "Add a message (optional)",
    sendCart: "Send to business",
    cartSent: "Cart sent",
    viewCart: "View cart",
    sentCart: "View sent cart",
    more: "One more",
    fewer: "One fewer",
    added: (title) => `${title} added to cart`,
    choose: "Choose one",
    location: "Location",
    sendLocation: "Send location",
    latitude: "Latitude",
    longitude: "Longitude",
    address: "Address",
    photo: "Photo",
    photoCaption: "A photo from my phone",
    reviewAndPay: "Review and pay",
    order: "Order",
    openFlow: "This form is not simulated.",
    shareContact: "Share phone number",
    template: "Template",
    failed: "Not delivered",
    states: { sent: "Sent", delivered: "Delivered", read: "Read", failed: "Failed", accepted: "Accepted" },
    webhook: "Webhook message to the shop",
    request: "Request of the shop to the Graph API",
    delivered: "Webhooks taken",
    waiting: "Waiting",
    retried: "Tried again",
    failing: "Refused so far",
    doorClosed: "The shop's webhook address does not answer; messages are kept and tried again.",
    offline: "The simulator does not answer; this page tries again.",
    unsupported: "Message of a kind that this phone does not show",
    quoteProduct: "Product",
    noProducts: "This catalogue is empty.",
    copied: "Copied",
    copy: "Copy",
  },
  fr: {
    title: "Simulateur Panier",
    subtitle: "WhatsApp sur votre machine. Rien n’en sort.",
    customers: "Clients",
    addCustomer: "Ajouter un client",
    name: "Nom",
    phone: "Numéro de téléphone",
    phoneHint: "Laissez vide pour un client qui le cache : la boutique ne voit alors qu’un identifiant.",
    add: "Ajouter",
    shopNumber: "Numéro de la boutique",
    tryThis: "À essayer",
    try1: "Dites « bonjour » à la boutique.",
    try2: "Ouvrez son catalogue, mettez deux articles au panier, envoyez-le.",
    try3: "Répondez par ses boutons : commander, retirer sur place, confirmer.",
    try4: "Ouvrez le lien de paiement, puis demandez « commandes ».",
    language: "Langue de la page",
    close: "Fermer",
    back: "Retour",
    catalogue: "Catalogue",
    viewCatalogue: "Voir le catalogue",
    viewItems: "Voir les articles",
    view: "Voir",
    cart: "Panier",
    developer: "Développeur",
    chat: "Messages",
    attach: "Joindre",
    message: "Message",
    send: "Envoyer le message",
    inspectHint:
      "Choisissez un message pour voir son JSON : le webhook reçu par la boutique, ou sa requête à l’API Graph.",
    online: "compte professionnel",
    typing: "écrit…",
    hidden: "numéro caché",
    noMessages: "Vos messages arrivent à la boutique comme webhooks signés.",
    showJson: "Voir le JSON",
    today: "Aujourd’hui",
    yesterday: "Hier",
    addToCart: "Ajouter au panier",
    askAbout: "Écrire à l’entreprise",
    askDefault: "Bonjour, est-ce disponible ?",
    soldOut: "Épuisé",
    all: "Tous les articles",
    items: (n) => (n === 1 ? "1 article" : `${n} articles`),
    total: "Total estimé",
    emptyCart: "Votre panier est vide.",
    browse: "Parcourir le catalogue",
    note: "Ajouter un message (facultatif)",
    sendCart: "Envoyer à l’entreprise",
    cartSent: "Panier envoyé",
    viewCart: "Voir le panier",
    sentCart: "Voir le panier envoyé",
    more: "Un de plus",
    fewer: "Un de moins",
    added: (title) => `${title} ajouté au panier`,
    choose: "Choisissez",
    location: "Position",
    sendLocation: "Envoyer la position",
    latitude: "Latitude",
    longitude: "Longitude",
    address: "Adresse",
    photo: "Photo",
    photoCaption: "Une photo de mon téléphone",
    reviewAndPay: "Vérifier et payer",
    order: "Commande",
    openFlow: "Ce formulaire n’est pas simulé.",
    shareContact: "Partager mon numéro",
    template: "Modèle",
    failed: "Non distribué",
    states: { sent: "Envoyé", delivered: "Distribué", read: "Lu", failed: "Échec", accepted: "Accepté" },
    webhook: "Message reçu par la boutique (webhook)",
    request: "Requête de la boutique à l’API Graph",
    delivered: "Webhooks reçus",
    waiting: "En attente",
    retried: "Réessayés",
    failing: "Refusés pour l’instant",
    doorClosed: "L’adresse de webhook de la boutique ne répond pas ; les messages sont gardés et réessayés.",
    offline: "Le simulateur ne répond pas ; la page réessaie.",
    unsupported: "Message d’un genre que ce téléphone n’affiche pas",
    quoteProduct: "Article",
    noProducts: "Ce catalogue est vide.",
    copied: "Copié",
    copy: "Copier",
  },
};

let language = localStorage.getItem("language") || "en";

export const words = () => WORDS[language];
export const currentLanguage = () => language;

export function setLanguage(chosen) {
  language = WORDS[chosen] ? chosen : "en";
  localStorage.setItem("language", language);
  translatePage();
}

export function translatePage() {
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-word]"))
    element.textContent = words()[element.dataset.word];
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", words()[element.dataset.label]);
    if (element.tagName === "BUTTON") element.title = words()[element.dataset.label];
  }
  for (const element of document.querySelectorAll("[data-placeholder]")) {
    element.placeholder = words()[element.dataset.placeholder];
  }
}

export function money(amount, currency) {
  try {
    return new Intl.NumberFormat(language, { style: "currency", currency }).format(amount);
  } catch {
    return `${amount} ${currency}`;
  }
}

export const time = (seconds) =>
  new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).format(
    new Date(seconds * 1000),
  );

export function day(seconds) {
  const date = new Date(seconds * 1000);
  const age = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(date).setHours(0, 0, 0, 0)) / 86400000);
  if (age === 0) return words().today;
  if (age === 1) return words().yesterday;
  return new Intl.DateTimeFormat(language, { dateStyle: "long" }).format(date);
}
