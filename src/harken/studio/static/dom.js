// Elements without HTML in strings: what people wrote stays text.

export function el(name, given = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "on") for (const [event, act] of Object.entries(value)) node.addEventListener(event, act);
    else if (key in node && key !== "list" && typeof value !== "string") node[key] = value;
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

export const byId = (id) => document.getElementById(id);

// A polite word for screen readers and eyes alike.
export function say(text, kind = "status") {
  const place = byId(kind === "error" ? "errors" : "notes");
  if (place) place.textContent = text;
  // Whoever pressed a button far below must see why nothing came of it.
  if (text && kind === "error") place?.scrollIntoView({ block: "nearest" });
}
