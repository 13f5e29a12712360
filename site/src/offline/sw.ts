// Keeps the page for visits without a network: every file of the build, by its SHA-256, so that a
// new build fetches what has changed. What is served from there is checked each time, for code in
// the page's worker can write there too. Files of the build's folder are served from there
// first; index.html and embed.html from the network, where it answers soon with what is ours.

/** The files of this build and their SHA-256. build.py writes it at the head of the built sw.js. */
declare const MANIFEST: Record<string, string>;

declare const self: ServiceWorkerGlobalScope;

const TYPES: Record<string, string> = {
  css: "text/css",
  html: "text/html; charset=utf-8",
  js: "text/javascript",
  json: "application/json",
  mjs: "text/javascript",
  svg: "image/svg+xml",
  txt: "text/plain; charset=utf-8",
  wasm: "application/wasm",
};
const PAGES = ["index.html", "embed.html"];
const PATIENCE_MS = 3000; // for the network, where there is a copy
const scope = new URL("./", location.href).href;
const store = caches.open(`groundling ${scope}`);
const keyOf = (path: string) => `${scope}sha256-${MANIFEST[path]}`;
const isForLater = (path: string) => path.includes("/ruff/"); // few visits need it

const hex = (bytes: ArrayBuffer) =>
  Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
const sha256 = async (bytes: BufferSource) => hex(await crypto.subtle.digest("SHA-256", bytes));

/** A file of the build with these bytes, if they are its own. Its headers are ours: what is kept may
 * have come with any, and so may what a host sends that does not know the type. Its address is the one
 * that is asked for, not that of the build it may have been fetched for.
 */
async function checked(path: string, bytes: ArrayBuffer): Promise<Response | null> {
  if ((await sha256(bytes)) !== MANIFEST[path]) return null;
  const type = TYPES[path.split(".").at(-1)!] ?? "application/octet-stream";
  const headers = { "content-type": type, "content-length": String(bytes.byteLength) };
  return new Response(bytes, { headers });
}

/** Whether the response that is kept differs from ours in nothing that a page would notice. */
const isAs = (found: Response, ours: Response) =>
  found.status === 200 && !found.url && `${[...found.headers]}` === `${[...ours.headers]}`;

/** The file as it is kept, if it still is what the build made. The response itself is served where it
 * can be, for with it the browser has kept the code that it compiled on an earlier visit.
 */
async function kept(path: string): Promise<Response | null> {
  try {
    const found = await (await store).match(keyOf(path));
    if (!found) return null;
    const ours = await checked(path, await found.clone().arrayBuffer());
    return ours && isAs(found, ours) ? found : ours;
  } catch {
    return null; // a storage that fails is as good as none
  }
}

/** Fetches a file of the build; past what the browser has of it, if that is something else. */
async function fetched(path: string): Promise<Response> {
  for (const cache of ["default", "reload"] as const) {
    const response = await fetch(scope + path, { cache });
    if (!response.ok) return response;
    const good = await checked(path, await response.arrayBuffer());
    if (good) return good;
  }
  return new Response(`${path} is not of this build.`, { status: 502 });
}

/** Fetches a file and keeps it. */
async function keep(path: string): Promise<void> {
  const response = await fetched(path);
  if (!response.ok) throw new Error(`${path} could not be fetched (HTTP ${response.status}).`);
  await (await store).put(keyOf(path), response);
}

/** Fetches every file that each visit needs and that no earlier build had. */
async function keepAll(): Promise<void> {
  for (const path of Object.keys(MANIFEST).filter((path) => !isForLater(path))) {
    if (!(await kept(path))) await keep(path);
  }
}

/** Deletes what this build does not have, and serves the pages that are open. */
async function takeOver(): Promise<void> {
  const ours = new Set(Object.keys(MANIFEST).map(keyOf));
  for (const name of await caches.keys()) {
    if (name.startsWith(`groundling ${scope} `)) await caches.delete(name); // of an older service worker
  }
  for (const { url } of await (await store).keys()) {
    if (!ours.has(url)) await (await store).delete(url);
  }
  await self.clients.claim();
}

/** A file of the build, from what is kept, or else from the network. */
async function file(path: string, event: FetchEvent): Promise<Response> {
  const found = await kept(path);
  if (found) return found;
  const response = await fetched(path);
  if (response.ok) {
    const copy = response.clone();
    const put = store.then((cache) => cache.put(keyOf(path), copy));
    event.waitUntil(put.catch(() => {})); // there may be no room
  }
  return response;
}

/** A page as the server has it now: of this build, or of another that its sw.js lists. */
async function newest(path: string): Promise<Response | null> {
  const response = await fetch(scope + (path === "index.html" ? "" : path), { cache: "no-cache" });
  if (!response.ok) return null;
  const bytes = await response.arrayBuffer();
  const hash = await sha256(bytes);
  if (hash !== MANIFEST[path]) {
    const script = await fetch(`${scope}sw.js`, { cache: "no-store" });
    if (!(await script.text()).includes(hash)) return null; // a network asks to log in, say
  }
  return new Response(bytes, { headers: { "content-type": TYPES.html! } });
}

async function page(path: string): Promise<Response> {
  const old = await kept(path);
  if (!old) return fetch(scope + path);
  const late = new Promise<null>((done) => setTimeout(done, PATIENCE_MS, null));
  return (await Promise.race([newest(path).catch(() => null), late])) ?? old;
}

self.addEventListener("install", (event) => event.waitUntil(keepAll()));
self.addEventListener("activate", (event) => event.waitUntil(takeOver()));
self.addEventListener("fetch", (event) => {
  const { request } = event;
  const address = request.url.split(/[?#]/)[0]!;
  if (request.method !== "GET" || !address.startsWith(scope)) return;
  const path = address.slice(scope.length) || "index.html";
  if (PAGES.includes(path)) {
    if (request.mode === "navigate") event.respondWith(page(path));
  } else if (Object.hasOwn(MANIFEST, path)) {
    event.respondWith(file(path, event));
  }
});

export {}; // a module, so that its names are its own
