// Starts the worker under the page's policy. A worker from an address has only the policy that its
// response's headers carry, and a static host sends none; a worker from a blob inherits the page's.
// The Python in it may be anybody's, and with the policy it reaches no other origin.

import { here } from "./host";

/** The blob's address, once there is one. */
let address = "";

function confine(): string {
  // `worker-src 'self'` in index.html is for sw.js alone, whose address is known only here: from any
  // other address of ours the worker could start one that has no policy.
  const narrower = document.createElement("meta");
  narrower.httpEquiv = "Content-Security-Policy";
  const only = new URL("sw.js", document.baseURI).href.replace(/[;,]/g, encodeURIComponent);
  narrower.content = `worker-src blob: ${only}`;
  document.head.append(narrower);

  // A static import would be held against `worker-src` too. What comes before our script is there to
  // take it is kept for it, and an import that fails is an error of the worker's.
  const source = `
    const early = [];
    onmessage = (event) => early.push(event);
    import(${JSON.stringify(here("worker.js"))}).then(
      () => early.forEach((event) => onmessage(event)),
      (error) => setTimeout(() => { throw error; }),
    );
  `;
  return URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
}

/** Starts a worker, which opens the device of that name if it is given one. */
export const startWorker = (device: string) =>
  new Worker((address ||= confine()), { type: "module", name: device });
