// A request whose response comes line by line, each a piece of JSON.

import { Refused } from "/static/api.js";

export async function lines(path, body, onLine, signal) {
  const response = await fetch(path, { method: "POST", headers: { "x-harken": "1", "content-type": "application/json" }, body: JSON.stringify(body), credentials: "same-origin", signal });
  if (!response.ok) {
    const said = await response.json().catch(() => ({}));
    throw new Refused(response.status, typeof said.error === "string" ? said.error : `${response.status}`);
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    const several = (rest + value).split("\n");
    rest = several.pop();
    for (const line of several) if (line) onLine(JSON.parse(line));
  }
}

export async function upload(kind, bytes) {
  const response = await fetch(`/api/v1/media?kind=${kind}`, { method: "POST", headers: { "x-harken": "1", "content-type": "application/octet-stream" }, body: bytes, credentials: "same-origin" });
  const said = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, typeof said.error === "string" ? said.error : `${response.status}`);
  return said;
}
