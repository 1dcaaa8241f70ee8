// Talking to the studio: every request names its purpose, ends in time, and errors are words.

const PATIENCE = 20000;

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
    // A server that takes a request and says nothing must not hold up what waits behind it.
    signal: AbortSignal.timeout(PATIENCE),
  });
  const said = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, wordsOf(said) || `${response.status}`);
  dispatchEvent(new Event("reached"));
  return said;
}

function wordsOf(said) {
  if (typeof said.error === "string") return said.error;
  return Array.isArray(said.detail) ? said.detail.map((one) => one.msg).join("; ") : "";
}
