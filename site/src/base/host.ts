// The files of the build, as a host sends them. What is wrong with one is told in a sentence that
// names it, and in another that says what to do.

/** The size of each file that the worker fetches: build.py has it put in. */
declare const SIZES: Record<string, number>;

/** When no byte of any file has come for so long, the page says that the download has stalled. */
export const STALL_MS = 10_000;

/** The lock that each tab holds which may keep a run: a worker counts them by it. */
export const TAB = "groundling-tab";

const AGAIN = "Check the connection, then try again.";
const UPLOAD =
  "Try again. If it stays like this, the copy on the server is the fault: put the whole of " +
  "site/dist there anew.";
const SCRIPT_TYPE = /^\s*(?:text|application)\/(?:x-)?(?:java|ecma)script\b/i;

/** A file of the build, by its path from where the page is. */
export const here = (path: string) => new URL(path, import.meta.url).href;

/** How many bytes the worker fetches in all. */
export const allBytes = () => Object.values(SIZES).reduce((sum, size) => sum + size, 0);

/** How large the file is, where that is known. */
export const sizeOf = (path: string): number | undefined => SIZES[path];

/** Something is wrong with a file of the build. */
export class Fault extends Error {
  constructor(
    message: string,
    /** What to do about it. */
    readonly hint: string,
  ) {
    super(message);
  }
}

export const unreachable = (path: string) =>
  new Fault(`${path} could not be fetched: the server did not answer.`, AGAIN);

export const damaged = (path: string, said: string) =>
  new Fault(`${path} is damaged (${said.trim().split("\n").at(-1)}).`, UPLOAD);

/** What is wrong with an answer before its body has come, or null. */
export function faultOf(path: string, response: Response): Fault | null {
  if (response.status === 404)
    return new Fault(`${path} is missing: the server has no such file (404).`, UPLOAD);
  if (!response.ok) return new Fault(`${path}: the server answered ${response.status}.`, AGAIN);
  if (/^\s*text\/html\b/i.test(response.headers.get("content-type") ?? ""))
    return new Fault(
      `${path} did not come: the server sent a web page in its place.`,
      "A network that asks you to log in does that, and a server that has a page for every " +
        "address. Log in, or have the file put there; then try again.",
    );
  return null;
}

/** What is wrong with a body of so many bytes, or null. `ended` is false if it broke off. */
export function faultOfSize(path: string, bytes: number, ended: boolean): Fault | null {
  const size = sizeOf(path) ?? (ended ? bytes : Infinity);
  if (ended && bytes === size) return null;
  const came = bytes.toLocaleString("en");
  const expected = size.toLocaleString("en");
  if (bytes > size)
    return new Fault(`${path} is of another build: ${came} bytes came, not ${expected}.`, UPLOAD);
  const of = size < Infinity ? ` of ${expected}` : "";
  return new Fault(`${path} ends early: ${came}${of} bytes came.`, UPLOAD);
}

/** Why a script did not run, by asking for it anew; past what the browser has kept of it. */
export async function faultOfScript(path: string, error: unknown): Promise<Fault> {
  const said = error instanceof Error ? error.message : String(error);
  let bytes = 0;
  let ended = false;
  try {
    const response = await fetch(here(path), { cache: "reload" });
    const fault = faultOf(path, response);
    if (fault) return fault;
    const type = response.headers.get("content-type") ?? "";
    if (!SCRIPT_TYPE.test(type))
      return new Fault(
        `${path} came as ${type ? `“${type}”` : "a file of no type"}, and browsers run scripts only as “text/javascript”.`,
        "Set the server up to send files whose names end in .js so; then try again.",
      );
    const reader = response.body!.getReader();
    for (let read; !(read = await reader.read()).done;) bytes += read.value.byteLength;
    ended = true;
  } catch {
    if (!bytes) return unreachable(path);
  }
  return faultOfSize(path, bytes, ended) ?? damaged(path, said);
}
