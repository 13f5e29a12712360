import type { ComponentChildren } from "preact";
import { restart, send } from "../link";
import { loadBytes } from "../files";
import type { Missing } from "../protocol";
import { adapter, kept, loaded, notice, panel, phase, stuck } from "../state";
import * as format from "../format";

type Lack = Exclude<Missing, "">;

const LACKS: Record<Lack, { title: string; what: string; ways: string[] }> = {
  insecure: {
    title: "WebGPU needs a secure address",
    what: "This page came over plain http from another machine, and browsers give the GPU only to pages from https or from localhost.",
    ways: ["Open the page over https, or on the machine that serves it as http://localhost."],
  },
  webgpu: {
    title: "This browser offers no WebGPU",
    what: "Pages reach the GPU through WebGPU, and this browser does not have it, or has it switched off.",
    ways: [
      "Chrome or Edge: a current version on Windows, macOS, ChromeOS or Android has it. In the settings, “Use graphics acceleration when available” has to be on.",
      "Chrome or Edge on Linux: where it is not on by itself, open chrome://flags/#enable-unsafe-webgpu, choose Enabled, and relaunch.",
      "Firefox: open about:config and set dom.webgpu.enabled and javascript.options.wasm_js_promise_integration to true.",
      "Safari: it has WebGPU from version 26 on.",
    ],
  },
  jspi: {
    title: "This browser cannot suspend Python",
    what: "WebGPU is here, but the JavaScript Promise Integration for WebAssembly (JSPI), by which Python waits for the GPU, is not.",
    ways: [
      "Chrome or Edge: version 137 or newer has it.",
      "Firefox: open about:config and set javascript.options.wasm_js_promise_integration to true.",
      "Safari: a version with JSPI is needed; a current Chrome on the same machine will do.",
    ],
  },
  adapter: {
    title: "The GPU could not be used",
    what: "The browser has WebGPU, but gave no device that runs our kernels.",
    ways: [
      "Switch graphics acceleration on in the browser's settings, update the GPU's driver, and relaunch the browser.",
      "In Chrome or Edge, chrome://gpu tells what is blocked and why.",
    ],
  },
};

function Card({
  tone,
  title,
  children,
}: {
  tone: "error" | "advice" | "notice";
  title?: string;
  children: ComponentChildren;
}) {
  return (
    <section class={`panel ${tone}`} {...(title ? { "aria-label": title } : {})}>
      {title && <h2>{title}</h2>}
      {children}
    </section>
  );
}

/** What is missing for the GPU and how to get it. NumPy is open meanwhile and trains. */
function Lacking({ missing, detail }: { missing: Lack; detail: string }) {
  const { title, what, ways } = LACKS[missing];
  return (
    <Card tone="advice" title={title}>
      <p>
        {what} <strong>The model trains all the same, with NumPy on the CPU:</strong> the same
        Python and the same numbers, slower. The buttons below work as they are.
      </p>
      <details>
        <summary>How to get it</summary>
        <ul>
          {ways.map((way) => (
            <li key={way}>{way}</li>
          ))}
        </ul>
        {detail && <pre>{detail}</pre>}
      </details>
    </Card>
  );
}

export function Panels() {
  const wrong = panel.value;
  const file = loaded.value;
  const copy = kept.value;
  const missing = adapter.value?.missing;
  return (
    <div class="panels">
      {missing && <Lacking missing={missing} detail={adapter.value!.detail} />}
      {wrong && (
        <Card tone="error" title={wrong.title}>
          <p>{wrong.message}</p>
          <p>{wrong.hint}</p>
          {wrong.detail && (
            <details>
              <summary>Details</summary>
              <pre>{wrong.detail}</pre>
            </details>
          )}
          {phase.value !== "error" && (
            <button type="button" class="link" onClick={() => (panel.value = null)}>
              Close
            </button>
          )}
        </Card>
      )}
      {stuck.value && (
        <Card tone="error" title="Python takes long to stop">
          <p>
            It is alive, but the step it is in does not end. You can wait, or end Python and boot it
            again.{" "}
            {copy
              ? `The copy of the weights at iteration ${copy.iter} would be left.`
              : "The run would be lost."}
          </p>
          <button type="button" onClick={restart}>
            End Python
          </button>
        </Card>
      )}
      {notice.value && (
        <Card tone="notice">
          <p>
            {notice.value}{" "}
            {copy && phase.value === "ready" && (
              <button
                type="button"
                class="link"
                onClick={() => loadBytes(copy.name, copy.bytes.slice())}
              >
                Bring back iteration {copy.iter}
              </button>
            )}
          </p>
        </Card>
      )}
      {file && (
        <Card tone="notice">
          <p class="chip">
            <span class="file">{file.name}</span>
            <span>seed {file.seed}</span>
            <span>iteration {file.iter.toLocaleString("en")}</span>
            <span>
              {file.valLoss === null ? "never evaluated" : `val ${format.loss(file.valLoss)}`}
            </span>
          </p>
          <p>{file.note}</p>
        </Card>
      )}
    </div>
  );
}

/** Which device trains, and the choice of the other one while nothing is at stake. */
export function Device() {
  const now = adapter.value;
  const free = ["ready", "done", "error"].includes(phase.value);
  const none = now !== null && now.missing !== "" && now.missing !== "adapter";
  return (
    <>
      <div class="switch" role="group" aria-label="Device">
        {(["webgpu", "numpy"] as const).map((name) => (
          <button
            key={name}
            type="button"
            aria-pressed={now?.device === name}
            disabled={!free || now?.device === name || (name === "webgpu" && none)}
            onClick={() => send({ type: "device", name })}
          >
            {name === "webgpu" ? "WebGPU" : "NumPy"}
          </button>
        ))}
      </div>
      <p class="adapter">{now?.name ?? "Python and NumPy are on their way, then the GPU."}</p>
    </>
  );
}
