// Keeps the page for visits without a network: every file of the build, whole and checked; those that
// few visits need, once they have been asked for. Where the network answers it is asked first, so a
// new build is seen at once.

/** The files of this build and their SHA-256. build.py writes it at the head of the built sw.js. */
declare const MANIFEST: Record<string, string>;

interface Lifetime extends Event {
  waitUntil(work: Promise<unknown>): void;
}

interface Fetch extends Lifetime {
  request: Request;
  respondWith(response: Promise<Response>): void;
}

const scope = new URL("./", location.href).href;
const prefix = `groundling ${scope} `;

const hex = (bytes: ArrayBuffer) =>
  Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
const sha256 = async (bytes: BufferSource) => hex(await crypto.subtle.digest("SHA-256", bytes));

const version = sha256(new TextEncoder().encode(JSON.stringify(MANIFEST)));
const cache = version.then((digest) => caches.open(prefix + digest));

const isForLater = (path: string) => path.startsWith("ruff/");

/** Keeps a file, and fails unless it is what the build made. */
async function keep(path: string, response: Response): Promise<void> {
  const found = await sha256(await response.clone().arrayBuffer());
  if (found !== MANIFEST[path]) throw new Error(`${path} is not of this build.`);
  await (await cache).put(scope + path, response);
}

/** Fetches every file that each visit needs. */
async function keepAll(): Promise<void> {
  for (const path of Object.keys(MANIFEST).filter((path) => !isForLater(path))) {
    await keep(path, await fetch(scope + path, { cache: "no-cache" }));
  }
}

/** Lets the copies of other builds go. */
async function tidy(): Promise<void> {
  const current = prefix + (await version);
  const names = (await caches.keys()).filter((name) => name.startsWith(prefix));
  await Promise.all(names.filter((name) => name !== current).map((name) => caches.delete(name)));
}

async function answer(event: Fetch): Promise<Response> {
  const { request } = event;
  const address = request.url.split(/[?#]/)[0]!;
  try {
    const response = await fetch(request);
    const path = address.slice(scope.length);
    if (isForLater(path)) event.waitUntil(keep(path, response.clone()).catch(() => {}));
    return response;
  } catch (error) {
    const kept = await (await cache).match(address === scope ? `${scope}index.html` : address);
    if (!kept) throw error;
    return kept;
  }
}

addEventListener("install", (event) => (event as Lifetime).waitUntil(keepAll()));
addEventListener("activate", (event) => (event as Lifetime).waitUntil(tidy()));
addEventListener("fetch", (event) => {
  const { request } = event as Fetch;
  if (request.method === "GET" && request.url.startsWith(scope)) {
    (event as Fetch).respondWith(answer(event as Fetch));
  }
});
