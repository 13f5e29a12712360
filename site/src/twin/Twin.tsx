import * as format from "../base/format";
import { send } from "../run/supervision";
import { MAX_TWIN, type Verdict } from "../base/protocol";
import { adapter, hindrance, model } from "../run/state";
import { colour } from "../ui/theme";
import { beginTwin, curves, curvesVersion, itersProblem, twin, twinFields } from "./state";
import { Field } from "../ui/Field";
import { axes, fixed, Plot, type PlotOptions } from "../ui/Plot";

function start(): void {
  const seeds: [string, string] = [twinFields.a.value, twinFields.b.value];
  const iters = Number(twinFields.iters.value);
  beginTwin(seeds, iters);
  send({ type: "twin", seeds, iters });
}

function options(): PlotOptions {
  const end = () => Math.max(1, (twin.peek()?.iters ?? 40) - 1);
  return {
    padding: [8, 16, 0, 0],
    scales: { x: { time: false, range: () => [0, end()] } },
    axes: axes({
      size: 44,
      label: `loss, nats a ${model.peek().unit}`,
      incrs: [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2],
      values: fixed(2),
    }),
    series: [
      {},
      // The first lies under the second, and wide: where they agree, both are seen.
      { stroke: colour("--twin-a"), width: 7, cap: "round", points: { show: false } },
      { stroke: colour("--twin-b"), width: 2, points: { show: false } },
    ],
  };
}

/** Both losses in one plot. */
function Curves({ seeds }: { seeds: [string, string] }) {
  const [iters, a, b] = curves;
  return (
    <Plot
      label={`Both losses, in nats a ${model.value.unit}: arrow keys read them out`}
      options={options}
      data={() => curves}
      version={curvesVersion}
      points={() => iters}
      tell={(at) =>
        `iteration ${iters[at]}: ${seeds[0]} ${format.loss(a[at])}, ${seeds[1]} ${format.loss(b[at])}`
      }
      legend={(at) => [
        ["a", `A: ${seeds[0] || "(no seed)"}`, format.loss(a[at])],
        ["b", `B: ${seeds[1] || "(no seed)"}`, format.loss(b[at])],
      ]}
    />
  );
}

function Hashes({ what, seeds, pair }: { what: string; seeds: string[]; pair: [string, string] }) {
  const same = pair[0] === pair[1];
  return (
    <div class="hashes" data-same={same}>
      <h3>
        {what} <span class="pill">{same ? "the same" : "different"}</span>
      </h3>
      <dl class="pairs wide">
        {pair.map((hash, at) => (
          <div key={at}>
            <dt>
              {"AB"[at]}: {seeds[at] || "(no seed)"}
            </dt>
            <dd>{hash}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}

function Outcome({ verdict, seeds }: { verdict: Verdict; seeds: [string, string] }) {
  const [ours, others] = verdict.feeds;
  return (
    <div class="outcome stack">
      <p class="verdict">{verdict.text}</p>
      <Hashes what="The .bin files, SHA-256" seeds={seeds} pair={verdict.files} />
      <p class="row">
        {([0, 1] as const).map((which) => (
          <button key={which} onClick={() => send({ type: "twin_file", which })}>
            Save {"AB"[which]}.bin
          </button>
        ))}
      </p>
      <Hashes what="The weights in them, SHA-256" seeds={seeds} pair={verdict.weights} />
      <p class="note">
        Both files are given the same time of making. A file's header has its seed, so the weights
        are compared alone, too.
      </p>
      {ours && others && (
        <div class="feeds stack">
          <p>One seed feeds three streams of random numbers, and another seed three others:</p>
          <ol>
            {ours.map((feed) => (
              <li key={feed}>{feed}</li>
            ))}
          </ol>
          <p class="note">
            The runs are already apart at the first loss, since the weights and the first batch are.
            For {`'${seeds[1]}'`} the streams have its name.
          </p>
        </div>
      )}
      {verdict.kind === "differ" && seeds[0] === seeds[1] && (
        <p>
          One seed should make one run. This device has made two of it: it does not add in the same
          order each time.
        </p>
      )}
    </div>
  );
}

/** Where the twin stands, in a sentence. */
function status(): string {
  const now = twin.value;
  if (!now) return "";
  curvesVersion.value;
  const done = curves[0].length;
  const sofar = now.parted === null ? "no difference so far" : `apart from iter ${now.parted} on`;
  switch (now.phase) {
    case "running":
      return done
        ? `${done} of ${now.iters} iterations, ${sofar}.`
        : "Making both models; the first step prepares the kernels.";
    case "stopped":
      return `Stopped after ${done} of ${now.iters} iterations, ${sofar}. Unfinished twins get no verdict.`;
    case "failed":
      return now.message;
    case "done":
      return "";
  }
}

/** The verdict in a word, for tests and style. */
function outcome(): string {
  const now = twin.value;
  if (!now) return "none";
  return now.phase === "done" ? now.verdict!.kind : now.phase;
}

/** Two runs side by side, and whether they are the same bytes. */
export function Twin() {
  const now = twin.value;
  const running = now?.phase === "running";
  const wrong = hindrance() || itersProblem();
  const shared = {
    "aria-describedby": "twin-hint",
    onEnter: () => !running && !wrong && start(),
  };
  return (
    <div class="body stack" data-twin-verdict={outcome()}>
      <p class="intro">
        All chance in a run comes from its seed. With one seed, two runs end in the same file to the
        last byte
        {adapter.value?.device === "wasm" && ", on the CPU in any browser on any machine"}. Change a
        single character, and they are apart at the first loss.
      </p>
      <div class="ask">
        <Field id="twin-a" label="Seed A" text={twinFields.a} maxLength={100} {...shared} />
        <Field id="twin-b" label="Seed B" text={twinFields.b} maxLength={100} {...shared} />
        <Field
          id="twin-iters"
          label="Twin iterations"
          text={twinFields.iters}
          range={[1, MAX_TWIN]}
          {...shared}
        />
        <button
          class={running ? "" : "primary"}
          disabled={!running && wrong !== ""}
          aria-describedby="twin-hint"
          onClick={() => (running ? send({ type: "untwin" }) : start())}
        >
          {running ? "Stop twin" : "Run twin"}
        </button>
        <p class="note" id="twin-hint">
          {(!running && wrong) ||
            "The twins are two models of their own, in memory beside your run, which stays as it is."}
        </p>
      </div>
      {now && (
        <>
          <Curves seeds={now.seeds} />
          {running && (
            <progress aria-label="Twins so far" max={now.iters} value={curves[0].length} />
          )}
        </>
      )}
      <p class="status" aria-live="polite">
        {status()}
      </p>
      <div aria-live="polite">
        {now?.verdict && <Outcome verdict={now.verdict} seeds={now.seeds} />}
      </div>
    </div>
  );
}
