import { FileButton } from "../ui/FileButton";
import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { count, loss } from "../base/format";
import { compared, forget, opened, pages, refused, shown } from "./state";
import { send } from "../run/supervision";
import type { Inspected, PageOfBytes, Part, Slot } from "../base/protocol";
import { reader } from "../base/reading";
import { hasRun, phase } from "../run/state";
import { Head } from "../ui/Head";
import { byKey } from "../ui/keys";

const MOST_BYTES = 1 << 28;
const PAGE = 512;
const TIMES = "\u00a0×\u00a0"; // not to be broken
const COLUMNS = ["Name", "Shape", "From byte", "Mean", "Std", "Min", "Max", "Values"];
const COMPARED = ["Differ", "Largest", "RMS"];
const LABELS: Record<Slot, string> = { a: "File", b: "Compare with" };

const read: Record<Slot, ReturnType<typeof reader>> = { a: reader(), b: reader() };

/** A number to so many digits. */
function figure(value: number, digits = 4): string {
  const small = Math.abs(value) < 1e-3 || Math.abs(value) >= 1e5;
  const text = Number.isInteger(value) && !small ? String(value) : value.toPrecision(digits);
  return (value === 0 ? "0" : small ? value.toExponential(digits - 2) : text).replaceAll("-", "−");
}

async function inspect(slot: Slot, file: File): Promise<void> {
  if (file.size > MOST_BYTES) {
    refused[slot].value =
      `${file.name} has ${count(file.size)} bytes; at most ${count(MOST_BYTES)} are read here.`;
    return;
  }
  const bytes = await read[slot](file);
  if (bytes === null) return;
  if (typeof bytes === "string") refused[slot].value = bytes;
  else send({ type: "inspect", slot, name: file.name, bytes }, [bytes.buffer]);
}

/** A file's place: what is in it, and how to fill it. Files can be dropped on it. */
function Place({ slot }: { slot: Slot }) {
  const over = useSignal(false);
  const file = opened[slot].value;
  const deaf = phase.value === "booting";
  const mine = (event: DragEvent, isOver: boolean) => {
    event.preventDefault();
    event.stopPropagation(); // elsewhere on the page a drop loads the weights
    delete document.documentElement.dataset.dropping;
    over.value = isOver;
  };
  return (
    <div
      class="place"
      data-over={over.value}
      onDragOver={(event) => mine(event, true)}
      onDragLeave={() => (over.value = false)}
      onDrop={(event) => {
        mine(event, false);
        const dropped = event.dataTransfer?.files[0];
        if (dropped && !deaf) void inspect(slot, dropped);
      }}
    >
      <h3>{LABELS[slot]}</h3>
      <p class="name">
        {file ? (
          <>
            <strong>{file.name}</strong>
            <span>
              {file.kind === "state" ? "a state" : "weights"} of {file.seed || "(no seed)"},
              iteration {count(file.iter)}
            </span>
          </>
        ) : (
          <span>Drop a .bin or a .state here, or</span>
        )}
      </p>
      <p class="pick row">
        <FileButton
          accept=".bin,.state"
          disabled={deaf}
          take={([file]) => void inspect(slot, file!)}
        >
          Choose a file
          <span class="for-readers"> {slot === "a" ? "to inspect" : "to compare with"}</span>
        </FileButton>
        <button
          disabled={!hasRun.value}
          onClick={() => {
            void read[slot](null); // the file that is being read: the run has followed it
            send({ type: "inspect_run", slot });
          }}
        >
          The current run
          <span class="for-readers">{slot === "a" ? "" : " to compare with"}</span>
        </button>
        {file && (
          <button
            class="link"
            onClick={() => {
              void read[slot](null);
              forget(slot);
              send({ type: "close", slot });
            }}
          >
            Put away<span class="for-readers"> {file.name}</span>
          </button>
        )}
      </p>
      <p class="problem refused" aria-live="polite">
        {refused[slot].value}
      </p>
    </div>
  );
}

function Size({ file }: { file: Inspected }) {
  const { rows, total, note, sum } = file.explained;
  return (
    <section class="size">
      <h3>Why {count(file.size)} bytes</h3>
      <table>
        <caption class="for-readers">The parameters of the model, of what and how many</caption>
        <tbody>
          {rows.map(({ what, count: many }) => (
            <tr key={what}>
              <th scope="row">{what.replaceAll(" x ", TIMES)}</th>
              <td>{count(many)}</td>
            </tr>
          ))}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row">parameters</th>
            <td>{count(total)}</td>
          </tr>
        </tfoot>
      </table>
      <p class="sum">{sum.replaceAll(" x ", TIMES)}</p>
      <p class="note">A parameter is one float32, of four bytes. {note.replaceAll(" x ", TIMES)}</p>
    </section>
  );
}

/** What is at a byte: the header, what follows it in a state, or a tensor. */
function regionAt(file: Inspected, byte: number): { name: string; tone: string; part?: Part } {
  if (byte < PAGE) return { name: "header", tone: "header" };
  if (byte < file.start) return { name: "settings and records", tone: "header" };
  if (byte >= file.end) return { name: "vocabulary", tone: "header" };
  const part = file.parts.findLast((part) => part.byte <= byte)!;
  return { name: part.name, tone: part.group, part };
}

const lastPage = (file: Inspected) => Math.floor((file.size - 1) / PAGE);

function go(slot: Slot, page: number): void {
  const file = opened[slot].value;
  if (file) send({ type: "look", slot, page: Math.max(0, Math.min(lastPage(file), page)) });
}

/** The whole file as a strip, each tensor in its colour. Click, or move by keys. */
function Strip({ file, slot, now }: { file: Inspected; slot: Slot; now: PageOfBytes }) {
  const pressed = useRef(false);
  const last = lastPage(file);
  const seek = (event: PointerEvent & { currentTarget: HTMLElement }) => {
    const { left, width } = event.currentTarget.getBoundingClientRect();
    go(slot, Math.floor((((event.clientX - left) / width) * file.size) / PAGE));
  };
  const tensor = regionAt(file, now.at).part;
  const index = tensor ? file.parts.indexOf(tensor) : -1;
  const steps = {
    ArrowLeft: now.page - 1,
    ArrowDown: now.page - 1,
    ArrowRight: now.page + 1,
    ArrowUp: now.page + 1,
    PageUp: Math.floor((file.parts[index + 1]?.byte ?? file.size - 1) / PAGE),
    PageDown: Math.floor((file.parts[index - 1]?.byte ?? 0) / PAGE),
    Home: 0,
    End: last,
  };
  return (
    <div
      class="strip"
      role="slider"
      tabIndex={0}
      aria-label="Place in the file, in pages of 512 bytes"
      aria-valuemin={0}
      aria-valuemax={last}
      aria-valuenow={now.page}
      aria-valuetext={`byte ${count(now.at)}, ${regionAt(file, now.at).name}`}
      onKeyDown={(event) => byKey(event, steps, (page) => go(slot, page))}
      onPointerDown={(event) => {
        pressed.current = true;
        event.currentTarget.setPointerCapture(event.pointerId);
        seek(event);
      }}
      onPointerMove={(event) => pressed.current && seek(event)}
      onPointerUp={() => (pressed.current = false)}
      onPointerCancel={() => (pressed.current = false)}
    >
      <svg viewBox={`0 0 ${file.size} 10`} preserveAspectRatio="none" aria-hidden="true">
        <rect class="tone header" x={0} width={file.start} height={10} />
        {file.parts.map((part, at) => (
          <rect
            key={part.name}
            class={`tone ${part.group} ${at % 2 ? "odd" : ""}`}
            x={part.byte}
            width={4 * part.floats}
            height={10}
          >
            <title>{part.name}</title>
          </rect>
        ))}
        <rect class="tone header" x={file.end} width={file.size - file.end} height={10} />
      </svg>
      <span class="mark" style={{ left: `${(100 * now.at) / file.size}%` }} />
    </div>
  );
}

/** 512 bytes, in fours: above the digits, below what they say. */
function Hex({ file, slot, now }: { file: Inspected; slot: Slot; now: PageOfBytes }) {
  const last = lastPage(file);
  const rows: number[] = [];
  for (let at = 0; at < now.cells.length; at += 8) rows.push(at);
  const names = [...new Set(now.cells.map((_, at) => regionAt(file, now.at + 4 * at).name))];
  return (
    <section class="hex" id="hex">
      <header>
        <h3>Bytes</h3>
        <p>
          {count(now.at)} to {count(Math.min(now.at + PAGE, file.size) - 1)}: {names.join(", ")}
        </p>
        <p class="pick row">
          <button disabled={now.page === 0} onClick={() => go(slot, now.page - 1)}>
            Previous 512
          </button>
          <button disabled={now.page === last} onClick={() => go(slot, now.page + 1)}>
            Next 512
          </button>
        </p>
      </header>
      <Strip file={file} slot={slot} now={now} />
      <div class="rows" role="group" aria-label="Bytes in hexadecimal" tabIndex={0}>
        {rows.map((row) => (
          <div class="row" key={row}>
            <span class="at">{count(now.at + 4 * row)}</span>
            <div class="cells">
              {now.cells.slice(row, row + 8).map((cell, i) => {
                const at = row + i;
                const { name, tone, part } = regionAt(file, now.at + 4 * at);
                const odd = part && file.parts.indexOf(part) % 2 ? "odd" : "";
                const begins = part?.byte === now.at + 4 * at;
                return (
                  <span key={at} class={`cell tone ${tone} ${odd}`} title={name}>
                    {begins && <em>{name}</em>}
                    <code>{now.hex.slice(8 * at, 8 * at + 8).replace(/..(?=.)/g, "$& ")}</code>
                    <small>{typeof cell === "string" ? cell : figure(cell, 6)}</small>
                  </span>
                );
              })}
            </div>
          </div>
        ))}
      </div>
      <ul class="swatches">
        <li class="tone header">header</li>
        <li class="tone embedding">embeddings</li>
        <li class="tone attention">attention</li>
        <li class="tone mlp">MLP</li>
        <li class="tone norm">LayerNorm</li>
      </ul>
    </section>
  );
}

function Histogram({ part }: { part: Part }) {
  const most = Math.max(...part.histogram);
  const width = part.histogram.length;
  return (
    <svg
      class="histogram"
      viewBox={`0 0 ${width} 20`}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      {part.histogram.map((many, at) => (
        <rect key={at} x={at} y={20 - (20 * many) / most} width={0.9} height={(20 * many) / most} />
      ))}
    </svg>
  );
}

function Tensors({ file, slot }: { file: Inspected; slot: Slot }) {
  const whole = opened.a.value && opened.b.value ? compared.value : null;
  const apart = new Map(whole?.rows.map((row) => [row.name, row]));
  const comparing = apart.size > 0;
  return (
    <section class="tensors">
      <h3>Tensors</h3>
      {whole && (
        <p class="verdict" data-compared>
          {whole.text}
        </p>
      )}
      <div class="scroll" role="region" aria-label="Tensors" tabIndex={0}>
        <table class="figures">
          <Head titles={comparing ? [...COLUMNS, ...COMPARED] : COLUMNS} />
          <tbody>
            {file.parts.map((part, at) => {
              const row = apart.get(part.name);
              return (
                <tr key={part.name}>
                  <th scope="row">
                    <button
                      class={`link tone ${part.group} ${at % 2 ? "odd" : ""}`}
                      onClick={() => {
                        go(slot, Math.floor(part.byte / PAGE));
                        document.getElementById("hex")?.scrollIntoView({ block: "nearest" });
                      }}
                    >
                      {part.name}
                    </button>
                  </th>
                  <td>{part.shape.join(" × ")}</td>
                  <td>{count(part.byte)}</td>
                  <td>{figure(part.mean)}</td>
                  <td>{figure(part.std)}</td>
                  <td>{figure(part.min)}</td>
                  <td>{figure(part.max)}</td>
                  <td>
                    <Histogram part={part} />
                  </td>
                  {comparing && (
                    <>
                      <td>{row ? (row.count ? count(row.count) : "none") : "—"}</td>
                      <td>{row?.count ? figure(row.largest) : "—"}</td>
                      <td>{row?.count ? figure(row.rms) : "—"}</td>
                    </>
                  )}
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
      <p class="note">
        A name leads to its first bytes. Values: how they spread from the least to the greatest.
        {comparing &&
          " Differ: how many numbers are not the same bits; then the largest difference, and the root of the mean square."}
      </p>
    </section>
  );
}

/** What is in a weights file or a state file, and how two of them differ. */
export function Inspector() {
  const slot = shown.value;
  const file = opened[slot].value;
  const now = pages[slot].value;
  const both = opened.a.value !== null && opened.b.value !== null;
  return (
    <div class="body stack">
      <div class="places">
        <Place slot="a" />
        <Place slot="b" />
      </div>
      {both && (
        <div class="switch" role="group" aria-label="Which file to show">
          {(["a", "b"] as const).map((each) => (
            <button key={each} aria-pressed={slot === each} onClick={() => (shown.value = each)}>
              {each === "a" ? "First" : "Second"}: {opened[each].value!.name}
            </button>
          ))}
        </div>
      )}
      {file && now ? (
        <>
          <div class="facts">
            <section class="header">
              <h3>Header</h3>
              <pre tabIndex={0}>{file.header}</pre>
              <p class="note">
                The first 512 bytes, spaces to the end: text that any editor shows. Validation loss:{" "}
                {loss(file.valLoss)}.
              </p>
            </section>
            <Size file={file} />
          </div>
          <Tensors file={file} slot={slot} />
          <Hex file={file} slot={slot} now={now} />
        </>
      ) : (
        <p class="empty">
          Weights, 0.8 MB, are a header of 512 bytes and then nothing but numbers. A state has the
          optimizer's averages too. Files are read in this tab and sent nowhere; looking at one does
          not load it.
        </p>
      )}
    </div>
  );
}
