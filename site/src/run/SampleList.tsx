import * as format from "../base/format";
import type { Counted, Measures, Phase, Sample } from "../base/protocol";

import { phase, progress, samples, setting } from "./state";
import type { Word } from "../ui/glossary";
import { Term } from "../ui/Term";

const share = (value: number | null) => (value === null ? "—" : `${Math.round(100 * value)}%`);
const nats = (value: number | null) => (value === null ? "—" : value.toFixed(2));

/** What is measured of a sample: its name, how its numbers are told, and the word that explains. */
const ROWS: [keyof Measures, string, Word, (value: number | null) => string][] = [
  ["characters", "Characters used", "charactersUsed", share],
  ["unigram_kl", "KL, characters", "unigramKl", nats],
  ["bigram_kl", "KL, pairs", "bigramKl", nats],
  ["words", "Known words", "knownWords", share],
];

const summary = (measures: Measures) =>
  `${share(measures.characters)} of the characters, KL ${nats(measures.unigram_kl)} and ` +
  `${nats(measures.bigram_kl)}, ${share(measures.words)} known words`;

/** Line ends as people can see them. */
export const visible = (text: string) => text.replaceAll("\n", "↵");

function Written({ sample }: { sample: Pick<Sample, "text"> }) {
  return (
    <p class="written">
      <span class="given">{visible(setting.value!.prompt)}</span>
      <span class="new">{visible(sample.text)}</span>
    </p>
  );
}

function Stamp({ sample }: { sample: Sample }) {
  return (
    <p class="stamp">
      <b>Iteration {format.count(sample.iter)}</b>
      <span>val {format.loss(sample.loss)}</span>
      {sample.phase && <span class="phase pill">{sample.phase}</span>}
    </p>
  );
}

/** One measure, and where it is between an even guess, on the left, and Shakespeare's own text. */
function Meter({ row, sample }: { row: (typeof ROWS)[number]; sample: Sample }) {
  const [key, label, word, tell] = row;
  const { written, even } = setting.value!.scale;
  const value = sample.measures[key];
  const [from, to] = [even[key] ?? 0, written[key] ?? 1];
  const at = value === null ? 0 : Math.min(1, Math.max(0, (value - from) / (to - from)));
  return (
    <div class="measure" data-measure={key}>
      <dt>
        <Term word={word}>{label}</Term>
      </dt>
      <dd>
        <b>{tell(value)}</b>
        <progress aria-hidden="true" value={at} />
        <span class="ends">
          <span>{tell(from)}</span>
          <span>{tell(to)}</span>
        </span>
      </dd>
    </div>
  );
}

/** What a model writes that knows nothing but pairs, to see what the run has beyond them. */
function Counting({ counted }: { counted: Counted }) {
  return (
    <section class="counting stack" aria-label="Counting pairs">
      <p class="stamp">
        <b>Counting pairs</b>
        <span>loss {format.loss(counted.loss)}</span>
      </p>
      <Written sample={counted} />
      <p class="about">{counted.about}</p>
      <p class="note">{summary(counted.measures)}</p>
    </section>
  );
}

/** Of a run that has gone on from a file. */
const NEXT: Partial<Record<Phase, string>> = {
  training: "The next sample is on its way.",
  paused: "Resume, and the next sample comes here.",
};

/** What the run writes as it learns, the latest sample first. */
export function Samples() {
  const all = samples.value;
  const latest = all.at(-1);
  const earlier = all.slice(0, -1).reverse();
  return (
    <section class="samples stack" aria-labelledby="samples-title" data-samples={all.length}>
      <header>
        <h2 id="samples-title">What it writes</h2>
        {latest && (
          <p class="note">
            every {format.count(setting.value!.every)} iterations and at the end,{" "}
            <Term word="temperature">temperature</Term> 0.8
          </p>
        )}
      </header>
      {!latest && (
        <p class="none">
          {(progress.value.iter > 0 && NEXT[phase.value]) ||
            "Now and then the model writes 80 characters here, after the same 32 of a text it does not learn from."}
        </p>
      )}
      {latest && (
        <div class="stack">
          <Stamp sample={latest} />
          <Written sample={latest} />
          {latest.about && <p class="about">{latest.about}</p>}
          <dl class="evidence">
            {ROWS.map((row) => (
              <Meter key={row[0]} row={row} sample={latest} />
            ))}
          </dl>
          <p class="note">
            Left on each bar is what even guesses measure, right what pieces of the text itself do.
          </p>
        </div>
      )}
      {latest && <Counting counted={setting.value!.counted} />}
      {earlier.length > 0 && (
        <details class="earlier">
          <summary>
            {earlier.length === 1 ? "1 earlier sample" : `${earlier.length} earlier samples`}
          </summary>
          <ol tabIndex={0} aria-label="Earlier samples, the newest first">
            {earlier.map((sample) => (
              <li key={sample.iter}>
                <Stamp sample={sample} />
                <Written sample={sample} />
                <p class="note">{summary(sample.measures)}</p>
              </li>
            ))}
          </ol>
        </details>
      )}
    </section>
  );
}
