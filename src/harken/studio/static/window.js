// This window's name: another one for each window, and the same after a reload or when a closed one is opened again,
// so that the studio gives the items that it was holding, and not others.

const MOST = 20;

export function fresh() {
  // crypto.randomUUID is not there where a page comes by plain http.
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// A window holds a lock on its name as long as it lives. False where another window has it.
function held(name, wait) {
  return new Promise((resolve) => {
    const options = wait ? { signal: AbortSignal.timeout(wait) } : { ifAvailable: true };
    const keep = (lock) => {
      resolve(lock !== null);
      return lock === null ? undefined : new Promise(() => {});
    };
    navigator.locks.request(`harken-window-${name}`, options, keep).catch(() => resolve(false));
  });
}

export async function windowName(user) {
  if (!navigator.locks) return (sessionStorage.harkenWindow ??= fresh());
  const place = `harken-windows-${user}`;
  const known = JSON.parse(localStorage[place] ?? "[]");
  const own = sessionStorage.harkenWindow;
  // After a reload the old page may take a moment to let go. A window that was duplicated has the other's name too.
  let found = own && (await held(own, 300)) ? own : null;
  for (const name of known) found ??= name !== own && (await held(name, 0)) ? name : null;
  if (!found) {
    found = fresh();
    await held(found, 0);
  }
  localStorage[place] = JSON.stringify([found, ...known.filter((name) => name !== found)].slice(0, MOST));
  return (sessionStorage.harkenWindow = found);
}
