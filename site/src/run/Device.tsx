// The device that trains: the GPU or the CPU, and what a browser lacks where it is not the GPU.

import { choose } from "../base/connection";
import type { Missing } from "../base/protocol";
import { doing } from "./Boot";
import { Panel } from "../ui/Panel";
import { adapter, phase, progress } from "./state";

type Lack = Exclude<Missing, "">;

type Browser = "Chrome, Edge and their kin" | "Firefox" | "Safari" | "WebKitGTK";
type Ways = Record<Browser, string>;

const ACCELERATION =
  "Switch graphics acceleration on in the settings, under System, and update the GPU's driver; " +
  "chrome://gpu tells what is blocked and why.";
const ELSEWHERE = "Open the page in a current Chrome or Chromium on the same machine.";

const lacks = (): Record<Lack, { title: string; what: string; ways: Ways | string }> => ({
  insecure: {
    title: "WebGPU needs a secure address",
    what: "This page came over plain http from another machine, and browsers give the GPU only to pages from https or from this machine.",
    ways: "Open it over https, or serve it on this machine and open it at http://localhost.",
  },
  webgpu: {
    title: "This browser offers no WebGPU",
    what: "Pages reach the GPU through WebGPU, and this browser does not have it, or has it switched off.",
    ways: {
      "Chrome, Edge and their kin": navigator.userAgent.includes("Linux")
        ? "Update it. If that is not enough, open chrome://flags/#enable-unsafe-webgpu, choose Enabled, and relaunch."
        : `Update it: WebGPU came with version 113. ${ACCELERATION}`,
      Firefox:
        "Update it. If that is not enough, open about:config, set dom.webgpu.enabled to true, and restart it.",
      Safari: "Update it: WebGPU came with Safari 26.",
      WebKitGTK: `WebKit for Linux (GNOME Web, for one) has no WebGPU yet. ${ELSEWHERE}`,
    },
  },
  jspi: {
    title: "This browser cannot let Python wait for the GPU",
    what: "WebGPU is here. What is missing is JSPI, the JavaScript Promise Integration of WebAssembly, which suspends Python while the GPU works.",
    ways: {
      "Chrome, Edge and their kin": "Update it: JSPI came with version 137.",
      Firefox: "Update it: JSPI came with version 153.",
      Safari: `Update it. If that is not enough: ${ELSEWHERE}`,
      WebKitGTK: ELSEWHERE,
    },
  },
  emulated: {
    title: "The GPU here is emulated by the CPU",
    what: "This browser's WebGPU has no graphics processor behind it. It works, and the switch above chooses it, but our kernels for the CPU, in WebAssembly, are several times as fast.",
    ways: {
      "Chrome, Edge and their kin": ACCELERATION,
      Firefox: "Update the GPU's driver; about:support tells what is blocked and why.",
      Safari: "Update the system, and the GPU's driver with it.",
      WebKitGTK: ELSEWHERE,
    },
  },
  adapter: {
    title: "The GPU could not be used",
    what: "This browser has WebGPU, but gave no device that our kernels run on.",
    ways: {
      "Chrome, Edge and their kin": ACCELERATION,
      Firefox: "Update it and the GPU's driver; about:support tells what is blocked and why.",
      Safari: "Update the system, and the GPU's driver with it.",
      WebKitGTK: ELSEWHERE,
    },
  },
});

function thisBrowser(): Browser {
  const { userAgent } = navigator;
  if (/Firefox/.test(userAgent)) return "Firefox";
  if (!/Safari/.test(userAgent) || /Chrom/.test(userAgent)) return "Chrome, Edge and their kin";
  return /Linux|X11/.test(userAgent) ? "WebKitGTK" : "Safari";
}

/** What is missing for the GPU and how to get it. The CPU trains meanwhile. */
export function Lacking({ missing, detail }: { missing: Lack; detail: string }) {
  const { title, what, ways } = lacks()[missing];
  const here = thisBrowser();
  return (
    <Panel tone="advice">
      <details>
        <summary>{title}, so the CPU trains</summary>
        <p>{what}</p>
        {detail && <pre>{detail}</pre>}
        <p>{typeof ways === "string" ? ways : ways[here]}</p>
        {typeof ways !== "string" && (
          <details>
            <summary>Other browsers</summary>
            <ul>
              {Object.entries(ways)
                .filter(([browser]) => browser !== here)
                .map(([browser, way]) => (
                  <li key={browser}>
                    {browser}: {way}
                  </li>
                ))}
            </ul>
          </details>
        )}
      </details>
    </Panel>
  );
}

/** What keeps this browser from WebGPU whatever is tried, if anything does. */
export const hopeless = () => ["insecure", "webgpu", "jspi"].includes(adapter.value?.missing ?? "");

/** Which device trains, and the choice of the other one while nothing is at stake. */
export function Device() {
  const now = adapter.value;
  const free = now && ["ready", "error"].includes(phase.value);
  const { cores } = progress.value;
  return (
    <>
      <div class="switch" role="group" aria-label="Device">
        {(["webgpu", "wasm"] as const).map((name) => {
          const isNow = now !== null && (now.device === "webgpu") === (name === "webgpu");
          return (
            <button
              key={name}
              type="button"
              aria-pressed={isNow}
              disabled={!free || isNow || (name === "webgpu" && hopeless())}
              onClick={() => choose(name)}
            >
              {name === "webgpu" ? "GPU" : "CPU"}
            </button>
          );
        })}
      </div>
      <p class="adapter">
        {phase.value === "booting" ? doing() : now?.name}
        {cores > 1 && `, on ${cores} cores`}
      </p>
    </>
  );
}
