// A worker from an address has only the policy that its response's headers carry, and a static host
// sends none; a worker from a blob inherits that of who starts it.

import { here } from "./host";

/** The address of a worker that runs a script of the build under the policy here. */
export function confined(path: string): string {
  // A static import would be held against `worker-src`. What comes before our script is there to
  // take it is kept for it, and an import that fails is an error of the worker's.
  const source = `
    const early = [];
    onmessage = (event) => early.push(event);
    import(${JSON.stringify(here(path))}).then(
      () => early.forEach((event) => onmessage(event)),
      (error) => setTimeout(() => { throw error; }),
    );
  `;
  return URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
}
