// The simulator's API as functions. Errors carry what the simulator said.

async function call(method, path, body) {
  const response = await fetch(path, {
    method,
    headers: body ? { "Content-Type": "application/json" } : {},
    body: body ? JSON.stringify(body) : undefined,
  });
  const document = await response.json().catch(() => ({}));
  if (!response.ok) {
    const detail = typeof document.detail === "string" ? document.detail : `Error ${response.status}`;
    throw new Error(detail);
  }
  return document;
}

const id = encodeURIComponent;

export const shops = () => call("GET", "/api/shops");
export const products = (shop) => call("GET", `/api/shops/${id(shop)}/products`);
export const customers = () => call("GET", "/api/customers");
export const addCustomer = (customer) => call("POST", "/api/customers", customer);
export const act = (customer, number, action) =>
  call("POST", `/api/customers/${id(customer)}/messages`, { ...action, number });
export const read = (customer, number) => call("POST", `/api/customers/${id(customer)}/read`, { number });
export const webhooks = () => call("GET", "/api/webhooks");

export async function chat(customer, number) {
  const messages = [];
  for (;;) {
    const after = messages.at(-1)?.seq ?? 0;
    const page = await call("GET", `/api/customers/${id(customer)}/chat?number=${id(number)}&after=${after}`);
    messages.push(...page);
    if (page.length < 1000) return messages;
  }
}
