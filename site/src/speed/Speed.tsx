import { send } from "../run/supervision";
import type { Figures, LineCost } from "../base/protocol";
import { whole } from "../base/format";
import { beginSpeed, speed, steps } from "./state";
import { hopeless } from "../run/Device";
import { hindrance } from "../run/state";
import { Head } from "../ui/Head";
import { Term } from "../ui/Term";

const BATCH = 16;

function start(): void {
  beginSpeed();
  send({ type: "speed", batchSize: BATCH });
}

/** Three digits, in s or ms. */
const time = (seconds: number) =>
  seconds >= 1 ? `${seconds.toPrecision(3)} s` : `${(1000 * seconds).toPrecision(3)} ms`;
const ms = (seconds: number) => `${(1000 * seconds).toFixed(seconds < 0.01 ? 2 : 1)} ms`;
const giga = (value: number) => (value / 1e9).toPrecision(3);

const share = (part: number) => (part < 0.005 ? "under 1%" : `${(100 * part).toFixed(0)}%`);

/** What follows the first colon. */
const rest = (text: string) => text.slice(text.indexOf(":") + 1).trim();

/** What a second core gains, and what it costs. */
const ofCores = ({ cores, gain }: Figures) =>
  cores > 1
    ? `${gain.toPrecision(2)} times as fast as on 1; the second is as busy, and its half takes as much memory again`
    : `with a second one a step took ${(1 / gain).toPrecision(2)} times as long, so it is not used`;

/** The other devices that were measured in this visit. */
const others = (f: Figures) => [...steps.value].filter(([device]) => device !== f.device);

function Facts({ of: f }: { of: Figures }) {
  const rate = f.flops / f.step;
  const submits = f.submits === 1 ? "1 submit" : `${whole(f.submits)} submits`;
  const facts: ([string, string, string] | false)[] = [
    [
      "A step",
      time(f.step),
      `${time(f.spread[0])} to ${time(f.spread[1])}, a batch of ${f.batch_size}`,
    ],
    ["Tokens", `${whole(f.tokens_per_second)} a second`, f.model],
    [
      "Arithmetic",
      `${giga(rate)} billion operations a second`,
      `${((100 * rate) / (f.cores * f.best_flops)).toFixed(0)}% of ${giga(f.cores * f.best_flops)}, ` +
        `which this device does in ${f.cores > 1 ? "a" : "one"} large product of matrices` +
        (f.cores > 1 ? " on each core" : ""),
    ],
    ["Memory", `${giga(f.best_bytes)} GB a second`, "in a copy of 16 MiB, there and back"],
    f.submits > 0 && [
      "Python and JavaScript",
      ms(f.host),
      "of each step; the rest is the device's",
    ],
    f.floor !== null && [
      "At least",
      ms(f.floor),
      "for as many kernels with next to nothing to do: what starting them takes",
    ],
    f.gain > 0 && ["Cores", f.cores > 1 ? `${f.cores} cores` : "1 core", ofCores(f)],
    f.floor !== null && [
      "Tiles",
      f.tiles.split(":")[0]!,
      `in products of matrices: ${rest(f.tiles)}`,
    ],
    [
      "Sent",
      `${whole(f.dispatches)} dispatches`,
      f.submits
        ? `in ${submits}, with ${whole(f.bind_groups)} new bind groups and ` +
          `${whole(f.uploaded)} bytes uploaded`
        : "each of them a function that the CPU runs",
    ],
    f.waits > 0 && [
      "Awaits",
      f.waits < 0.75 ? `1 in ${whole(1 / f.waits)} steps` : "1 a step",
      "for the losses of steps before; no step waits for its own",
    ],
    ...others(f).map(([device, step]): [string, string, string] => [
      "Beside it",
      time(step),
      `a step on ${device}: ${(step / f.step).toPrecision(2)} times as long`,
    ]),
    ["First loss", time(f.first), `after Start; ${(f.memory / 1e6).toFixed(1)} MB are held`],
  ];
  return (
    <dl class="facts pairs wide">
      {facts
        .filter((fact) => fact !== false)
        .map(([name, value, note]) => (
          <div key={name}>
            <dt>{name === "Sent" ? <Term word="dispatch">{name}</Term> : name}</dt>
            <dd>
              <b>{value}</b> <span>{note}</span>
            </dd>
          </div>
        ))}
    </dl>
  );
}

/** "model.py:80 back" for people. */
const place = (line: string) => line.replaceAll(" back", " (its gradient)");

function Lines({ lines }: { lines: LineCost[] }) {
  const total = lines.reduce((sum, { seconds }) => sum + seconds, 0);
  const most = lines[0]?.seconds ?? 1;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="What each line costs">
      <table>
        <caption>
          Where a step goes, by the line of Python that asked for it. Each kernel was timed by
          itself; together they take {ms(total)}.
        </caption>
        <Head titles={["Line", "Kernels", "Time"]} />
        <tbody>
          {lines.map(({ line, text, seconds, kernels }) => (
            <tr key={line}>
              <th scope="row">
                <span class="asked">{place(line)}</span>
                {text.map((row) => (
                  <code key={row}>{row}</code>
                ))}
              </th>
              <td class="kernels">
                {Object.entries(kernels).map(([name, times]) => (
                  <span key={name}>
                    {times > 1 && `${times} × `}
                    {name}
                  </span>
                ))}
              </td>
              <td class="cost">
                <span class="bar" style={{ width: `${(100 * seconds) / most}%` }} />
                {ms(seconds)} <small>{share(seconds / total)}</small>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function status(): string {
  const now = speed.value;
  switch (now?.phase) {
    case "running":
      if (!now.figures) return "Training some steps, to time them.";
      return `Timing each kernel by itself: ${now.done} so far.`;
    case "stopped":
      return "Stopped before the end.";
    case "failed":
      return now.message;
    default:
      return "";
  }
}

/** How fast a step is here, and where its time goes. */
export function Speed() {
  const now = speed.value;
  const running = now?.phase === "running";
  const wrong = hindrance();
  return (
    <div class="body stack" data-speed={now?.phase ?? "none"}>
      <p class="intro">
        A step of training is {now?.figures ? whole(now.figures.dispatches) : "some 60"} kernels,
        one after the other. How long do they take on your device, and which lines of the Python are
        they?
      </p>
      <div class="ask">
        <button
          class={running ? "" : "primary"}
          disabled={!running && wrong !== ""}
          aria-describedby="speed-hint"
          onClick={() => (running ? send({ type: "unspeed" }) : start())}
        >
          {running ? "Stop measuring" : now ? "Measure again" : "Measure"}
        </button>
        <p class="note" id="speed-hint">
          {(!running && wrong) ||
            "It trains a model of its own for a few steps. Your run stays as it is."}
        </p>
      </div>
      <p class="status" aria-live="polite">
        {status()}
      </p>
      {running && (
        <progress
          aria-label="Measured so far"
          max={now.figures?.dispatches ?? 1}
          value={now.figures ? now.done : undefined}
        />
      )}
      {now?.figures && <Facts of={now.figures} />}
      {now?.figures && !others(now.figures).length && !hopeless() && (
        <p class="note">
          To compare the GPU and the CPU, choose the other one at the top of the page, and measure
          again.
        </p>
      )}
      {now && now.lines.length > 0 && <Lines lines={now.lines} />}
    </div>
  );
}
