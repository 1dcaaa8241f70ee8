// What the page says, in the reader's language; one catalogue for the server and the browser.

const place = document.getElementById("words");
const catalogue = place ? JSON.parse(place.textContent) : {};

export function t(key, values = {}) {
  const found = catalogue[key] ?? key;
  return found.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}
