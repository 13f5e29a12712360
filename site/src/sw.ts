// Keeps the page for visits without a network: every file of the build, whole and checked. Where the
// network answers it is asked first, so a new build is seen at once.

/** The files of this build and their SHA-256. build.py writes it at the head of the built sw.js. */
declare const MANIFEST: Record<string, string>;

interface Lifetime extends Event {
  waitUntil(work: Promise<unknown>): void;
}

interface Fetch extends Event {
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

/** Fetches every file, and fails unless each is what the build made. */
async function keep(): Promise<void> {
  const kept = await cache;
  for (const [path, digest] of Object.entries(MANIFEST)) {
    const response = await fetch(scope + path, { cache: "no-cache" });
    const found = await sha256(await response.clone().arrayBuffer());
    if (found !== digest) throw new Error(`${path} is not of this build.`);
    await kept.put(scope + path, response);
  }
}

/** Lets the copies of other builds go. */
async function tidy(): Promise<void> {
  const current = prefix + (await version);
  const names = (await caches.keys()).filter((name) => name.startsWith(prefix));
  await Promise.all(names.filter((name) => name !== current).map((name) => caches.delete(name)));
}

async function answer(request: Request): Promise<Response> {
  try {
    return await fetch(request);
  } catch (error) {
    const [address] = request.url.split(/[?#]/);
    const kept = await (await cache).match(address === scope ? `${scope}index.html` : address!);
    if (!kept) throw error;
    return kept;
  }
}

addEventListener("install", (event) => (event as Lifetime).waitUntil(keep()));
addEventListener("activate", (event) => (event as Lifetime).waitUntil(tidy()));
addEventListener("fetch", (event) => {
  const { request } = event as Fetch;
  if (request.method === "GET" && request.url.startsWith(scope)) {
    (event as Fetch).respondWith(answer(request));
  }
});
