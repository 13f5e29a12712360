import { computed, useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { count, glyph } from "../base/format";
import { chosen, head, layers, look, position, PROMPT, prompt, refusal, weight } from "./state";
import { send } from "../run/supervision";
import { useOpening } from "../run/opening";
import type { Health, Look } from "../base/protocol";
import { isThere, Sources } from "../run/Sources";
import { inForce } from "../code/state";
import { evaluating, hasRun, phase } from "../run/state";
import { Head } from "../ui/Head";
import { byKey } from "../ui/keys";
import { useSeen } from "../ui/visibility";
import { colour, colours } from "../ui/theme";
import { loadReference, refused, voices } from "../run/voices";
import { Term } from "../ui/Term";

const percent = (share: number) => `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)}%`;

/** The model that was chosen; before that the run, and until there is one the reference. */
const source = computed(() => chosen.value ?? (hasRun.value ? "run" : "reference"));

// ---- attention -----------------------------------------------------------------------------------

/** Draws a head: a row for each position, a square for each one that it takes from. */
function draw(canvas: HTMLCanvasElement, now: Look, layer: number, of: number): void {
  const n = now.text.length;
  canvas.width = canvas.height = n;
  const context = canvas.getContext("2d")!;
  const [r, g, b] = colour("--accent")
    .match(/[\d.]+/g)!
    .map(Number);
  const image = context.createImageData(n, n);
  for (let to = 0; to < n; to++) {
    for (let from = 0; from <= to; from++) {
      const at = 4 * (to * n + from);
      image.data[at] = r!;
      image.data[at + 1] = g!;
      image.data[at + 2] = b!;
      image.data[at + 3] = 255 * Math.sqrt(weight(now, layer, of, to, from)); // small ones too
    }
  }
  context.putImageData(image, 0, 0);
}

function Map({ layer, of }: { layer: number; of: number }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useSignalEffect(() => {
    colours.value;
    if (look.value && canvas.current) draw(canvas.current, look.value, layer, of);
  });
  return <canvas ref={canvas} aria-hidden="true" />;
}

/** Every head, small: a row of them for each layer. */
function Heads({ now }: { now: Look }) {
  return (
    <div class="heads" style={{ "--heads": now.heads }}>
      {Array.from({ length: now.layers }, (_, layer) =>
        Array.from({ length: now.heads }, (_, of) => {
          const chosen = head.value.layer === layer && head.value.head === of;
          return (
            <button
              key={`${layer}.${of}`}
              aria-pressed={chosen}
              aria-label={`${layer + 1}.${of + 1}: layer ${layer + 1}, head ${of + 1}`}
              onClick={() => (head.value = { layer, head: of })}
            >
              <Map layer={layer} of={of} />
              <span>
                {layer + 1}.{of + 1}
              </span>
            </button>
          );
        }),
      )}
    </div>
  );
}

/** One head, large, with the characters on both axes. */
function Large({ now }: { now: Look }) {
  const cell = useSignal<[number, number] | null>(null);
  const n = now.text.length;
  const { layer, head: of } = head.value;
  const [to, from] = cell.value?.every((at) => at < n) ? cell.value : [n - 1, strongest()];
  function strongest(): number {
    let best = 0;
    for (let at = 1; at < n; at++) {
      if (weight(now, layer, of, n - 1, at) > weight(now, layer, of, n - 1, best)) best = at;
    }
    return best;
  }
  const set = (to: number, from: number) => {
    const row = Math.max(0, Math.min(n - 1, to));
    cell.value = [row, Math.max(0, Math.min(row, from))];
  };
  const told =
    `“${glyph(now.text[to]!)}” (${to + 1}) takes ${percent(weight(now, layer, of, to, from))} ` +
    `from “${glyph(now.text[from]!)}” (${from + 1})`;
  const characters = (on: number) =>
    now.text.map((character, at) => (
      <span key={at} data-on={at === on}>
        {glyph(character)}
      </span>
    ));
  const point = (event: PointerEvent & { currentTarget: HTMLElement }) => {
    const box = event.currentTarget.getBoundingClientRect();
    const place = (at: number, length: number) => Math.floor((n * at) / length);
    set(place(event.clientY - box.top, box.height), place(event.clientX - box.left, box.width));
  };
  const steps: Record<string, [number, number]> = {
    ArrowUp: [to - 1, from],
    ArrowDown: [to + 1, from],
    ArrowLeft: [to, from - 1],
    ArrowRight: [to, from + 1],
    Home: [to, 0],
    End: [to, to],
  };
  return (
    <div style={{ "--n": n }}>
      <p class="told">{told}</p>
      <div class="axes">
        <div class="down" aria-hidden="true">
          {characters(to)}
        </div>
        <div
          class="map"
          tabIndex={0}
          role="slider"
          aria-label={`Layer ${layer + 1}, head ${of + 1}: arrow keys read out its weights`}
          aria-valuemin={0}
          aria-valuemax={100}
          aria-valuenow={Math.round(100 * weight(now, layer, of, to, from))}
          aria-valuetext={told}
          onPointerMove={point}
          onPointerDown={point}
          onKeyDown={(event) => byKey(event, steps, (next) => set(...next))}
        >
          <Map key={`${layer}.${of}`} layer={layer} of={of} />
          <span
            class="cursor"
            style={{
              left: `${(100 * from) / n}%`,
              top: `${(100 * to) / n}%`,
              width: `${100 / n}%`,
            }}
          />
        </div>
        <div class="across" aria-hidden="true">
          {characters(from)}
        </div>
      </div>
    </div>
  );
}

// ---- the logit lens ------------------------------------------------------------------------------

const named = (layer: number) => (layer === 0 ? "embeddings" : `after layer ${layer}`);

function Guesses({ now }: { now: Look }) {
  const n = now.text.length;
  const at = Math.min(position.value ?? n - 1, n - 1);
  const box = useRef<HTMLDivElement>(null);
  const steps = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: n - 1 };
  const go = (to: number) => (position.value = Math.max(0, Math.min(n - 1, to)));
  // Brings the column into sight; the page itself does not scroll.
  useEffect(() => {
    const cell = box.current?.querySelector("[data-on=true]")?.getBoundingClientRect();
    if (!cell) return;
    const { left, right } = box.current!.getBoundingClientRect();
    box.current!.scrollLeft += Math.max(0, cell.right - right) - Math.max(0, left - cell.left);
  }, [at]);
  const next = at < n - 1 ? `“${glyph(now.text[at + 1]!)}” really follows` : "nothing follows yet";
  const told = now.guesses
    .map((row, layer) => {
      const all = row[at]!.map(([character, share]) => `${glyph(character)} ${percent(share)}`);
      return `${named(layer)}: ${all.join(", ")}`;
    })
    .join("; ");
  return (
    <div class="stack">
      <div
        class="grid scroll"
        ref={box}
        tabIndex={0}
        role="slider"
        aria-label="Guesses at each character: arrow keys read them out"
        aria-valuemin={1}
        aria-valuemax={n}
        aria-valuenow={at + 1}
        aria-valuetext={`After “${glyph(now.text[at]!)}”, ${next}. ${told}`}
        onKeyDown={(event) => byKey(event, steps, go)}
      >
        <table aria-hidden="true">
          <thead>
            <tr>
              <th>it reads</th>
              {now.text.map((character, i) => (
                <th key={i} data-on={i === at}>
                  {glyph(character)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {now.guesses.map((row, layer) => (
              <tr key={layer}>
                <th>{named(layer)}</th>
                {row.map((guess, i) => {
                  const [character, share] = guess[0]!;
                  return (
                    <td
                      key={i}
                      data-on={i === at}
                      data-right={character === now.text[i + 1]}
                      style={{ "--share": `${Math.round(100 * Math.sqrt(share))}%` }}
                      onPointerEnter={() => (position.value = i)}
                      onClick={() => (position.value = i)}
                    >
                      {glyph(character)}
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <div class="beside">
        <p class="told">
          After “{glyph(now.text[at]!)}” ({at + 1}); {next}.
        </p>
        <dl>
          {now.guesses.map((row, layer) => (
            <div key={layer}>
              <dt>{named(layer)}</dt>
              {row[at]!.map(([character, share]) => (
                <dd key={character}>
                  <b data-right={character === now.text[at + 1]}>{glyph(character)}</b>{" "}
                  {percent(share)}
                </dd>
              ))}
            </div>
          ))}
        </dl>
      </div>
    </div>
  );
}

// ---- the layers ----------------------------------------------------------------------------------

const short = (x: number | null) =>
  x === null ? "—" : x === 0 ? "0" : Math.abs(x) < 1e-3 ? x.toExponential(1) : x.toPrecision(3);

/** How long the bar of an update is: from a millionth of the weights to all of them. */
const bar = (update: number | null) =>
  update ? Math.max(0, Math.min(100, (100 * (Math.log10(update) + 6)) / 6)) : 0;

function Layers({ rows, iter }: { rows: Health[]; iter: number | null }) {
  return (
    <section class="layers stack" aria-labelledby="layers-title">
      <h3 id="layers-title">How its layers fare</h3>
      <p class="note">
        At iteration {iter}. The <Term word="gradient">gradient</Term> is that of the last step,
        after clipping. The update is how far that step moved the weights, as a share of their size:
        about a thousandth is usual while the rate is high; far less learns little, far more
        unlearns.
      </p>
      <div class="scroll" tabIndex={0} role="group" aria-label="Layers">
        <table class="figures">
          <Head titles={["Part", "Weights", "Mean", "RMS", "Norm", "Gradient", "Update"]} />
          <tbody>
            {rows.map((row) => (
              <tr key={row.name}>
                <th>{row.name}</th>
                <td>{count(row.size)}</td>
                <td>{short(row.mean)}</td>
                <td>{short(row.rms)}</td>
                <td>{short(row.norm)}</td>
                <td>{short(row.gradient)}</td>
                <td class="update" style={{ "--update": `${bar(row.update)}%` }}>
                  {short(row.update)}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

// ---- the tab -------------------------------------------------------------------------------------

/** Whose numbers these are. */
function origin({ source, iter }: Look): string {
  if (source === "run") return `Your run at iteration ${count(iter!)}.`;
  const voice = voices[source].value;
  return voice ? `${voice.name}: seed ${voice.seed}, iteration ${count(voice.iter)}.` : "";
}

/** Why there is nothing to see. */
function missing(): string {
  const of = source.value;
  if (isThere(of)) return refusal.value || "The prompt is on its way through the model.";
  if (of === "run")
    return "There is no run yet. Press Start above, and watch it learn from inside.";
  if (of === "file") return "No file is open. Open one in the Talk tab first.";
  return refused.reference.value || "The reference checkpoint is on its way (0.8 MB).";
}

export function LookInside() {
  const body = useRef<HTMLDivElement>(null);
  const seen = useSeen(body); // only then looks are taken

  useOpening(prompt, PROMPT, () => source.value);
  useSignalEffect(() => {
    const [of, text] = [source.value, prompt.value];
    if (!seen.value || !isThere(of) || ["booting", "error"].includes(phase.value)) {
      send({ type: "unlens" });
      return;
    }
    if (evaluating.value) return;
    inForce.value; // other code, or what was typed at the console, may have changed the model
    const wait = setTimeout(() => send({ type: "lens", source: of, prompt: text }), 250);
    return () => clearTimeout(wait);
  });

  useSignalEffect(() => {
    if (seen.value && source.value === "reference") void loadReference();
  });

  const now = look.value?.source === source.value ? look.value : null;
  return (
    <div class="body stack" ref={body}>
      <p class="intro">
        A prompt goes through the model, and you see what happens on the way. A run that trains is
        looked into again now and then, so seldom that it costs a fortieth of the time at most.
      </p>
      <div class="ask">
        <Sources name="lens-source" chosen={source.value} choose={(of) => (chosen.value = of)} />
        <div class="field">
          <label for="lens-prompt">Prompt</label>
          <textarea
            id="lens-prompt"
            rows={3}
            maxLength={2000}
            spellcheck={false}
            value={prompt.value}
            aria-describedby="lens-hint"
            onInput={(event) => (prompt.value = event.currentTarget.value)}
          />
          <p class="note" id="lens-hint">
            The model sees as much of its end as its context holds, by default 64 characters.
          </p>
        </div>
      </div>
      {!now && <p class="empty">{missing()}</p>}
      {now && (
        <>
          <p class="status" data-iter={now.iter ?? ""}>
            {origin(now)}
          </p>
          {now.layers > 0 && (
            <section class="attention stack" aria-labelledby="attention-title">
              <h3 id="attention-title">Where each head looks</h3>
              <p class="note">
                An <Term word="heads">attention head</Term> takes, for each character, something
                from those before it. Each row is a character that looks back, each column one that
                it can take from; the stronger, the more. Pick a head to see it large.
              </p>
              <div class="maps">
                <Heads now={now} />
                <Large now={now} />
              </div>
            </section>
          )}
          <section class="lens stack" aria-labelledby="lens-title">
            <h3 id="lens-title">What each layer would say</h3>
            {now.guesses.length ? (
              <>
                <p class="note">
                  The <Term word="lens">logit lens</Term>: what comes out if the model ends early,
                  and what is there goes straight to the last norm and the unembedding. The stronger
                  the tint, the surer; underlined guesses are right.
                </p>
                <Guesses now={now} />
              </>
            ) : (
              <p class="empty">
                This model is edited so that its layers have other parts than two norms each; the
                lens does not know where they end.
              </p>
            )}
          </section>
          {layers.value && <Layers {...layers.value} />}
        </>
      )}
    </div>
  );
}
