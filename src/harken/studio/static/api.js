// Talking to the studio: every request names its purpose, and errors are words.

export class Refused extends Error {
  constructor(status, why) {
    super(why);
    this.status = status;
  }
}

export async function send(method, path, body) {
  const response = await fetch(path, {
    method,
    headers: { "x-harken": "1", ...(body === undefined ? {} : { "content-type": "application/json" }) },
    body: body === undefined ? undefined : JSON.stringify(body),
    credentials: "same-origin",
  });
  const said = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, wordsOf(said) || `${response.status}`);
  return said;
}

function wordsOf(said) {
  if (typeof said.error === "string") return said.error;
  return Array.isArray(said.detail) ? said.detail.map((one) => one.msg).join("; ") : "";
}
