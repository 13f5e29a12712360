// Starts the worker under the page's policy. The Python in it may be anybody's, and with the policy
// it reaches no other origin.

import { confined } from "./confined";
import { isRunHere } from "./fragment";

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
  return confined(isRunHere() ? "worker.js" : "worker.js?alone"); // which keeps no run
}

/** Starts a worker, which opens the device of that name if it is given one. */
export const startWorker = (device: string) =>
  new Worker((address ||= confine()), { type: "module", name: device });
