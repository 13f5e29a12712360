// The panels that can stand alone, in a frame of another page: `embed.html#panel=talk&theme=dark`. After
// the panel's name come settings, which its fields then hold. Anyone may have written such an address:
// it fills in fields, and nothing of it runs by itself.

/** How many lessons there are. */
export const LESSONS = 10;

/** What a setting may be: a text, the link of a run, or a number from the first to the second, a whole
 * one if these are. */
type Kind = "text" | "link" | readonly [number, number];

interface Panel {
  title: string;
  what: string;
  /** How high a frame should be, in CSS pixels. */
  height: number;
  settings: Record<string, Kind>;
}

export const PANELS = {
  run: {
    title: "A run",
    what: "A small GPT learns Shakespeare: its loss as it falls, and what it writes.",
    height: 900,
    settings: { seed: "text", iters: "text", batchSize: "text", lr: "text", link: "link" },
  },
  talk: {
    title: "Talk",
    what: "Let a model write, turn its knobs, and see what each character was chosen from.",
    height: 760,
    settings: {
      prompt: "text",
      seed: "text",
      length: "text",
      temperature: [0.1, 2],
      topK: [1, 65_536],
      topP: [0.1, 1],
    },
  },
  inside: {
    title: "Look inside",
    what: "Where does each head look, and what would each layer say?",
    height: 900,
    settings: { prompt: "text" },
  },
  doctor: {
    title: "Doctor",
    what: "What does a loss curve look like when something is wrong, and what cures it?",
    height: 760,
    settings: { case: "text", iters: "text" },
  },
  twin: {
    title: "Twin",
    what: "Is a seed the whole run? Train two and compare the bytes.",
    height: 680,
    settings: { a: "text", b: "text", iters: "text" },
  },
  lesson: {
    title: "A lesson",
    what: "One thing to do on a run of your own, which Python checks, and one question.",
    height: 900,
    settings: { lesson: [1, LESSONS] },
  },
} as const satisfies Record<string, Panel>;

export type PanelName = keyof typeof PANELS;
export type Settings = Record<string, string>;

export const isPanel = (name: string): name is PanelName => Object.hasOwn(PANELS, name);

const THEMES = ["light", "dark"];
const MOST = 40; // characters that are quoted

const quoted = (text: string) => `“${text.length > MOST ? `${text.slice(0, MOST)}…` : text}”`;
const listed = (names: string[]) => names.join(", ");

/** What an address's fragment asks for, or what is wrong with it, in a sentence. */
export function readPanel(
  fragment: string,
):
  | { name: PanelName; settings: Settings; theme: string; problem?: never }
  | { name?: never; problem: string } {
  const { panel = "", theme = "", ...settings } = Object.fromEntries(new URLSearchParams(fragment));
  if (!isPanel(panel))
    return {
      problem: `The address asks for the panel ${quoted(panel)}; there are ${listed(Object.keys(PANELS))}.`,
    };
  if (theme && !THEMES.includes(theme))
    return { problem: `The theme is ${quoted(theme)} in the address; it can be light or dark.` };
  const kinds: Record<string, Kind> = PANELS[panel].settings;
  for (const [setting, text] of Object.entries(settings)) {
    const kind = Object.hasOwn(kinds, setting) ? kinds[setting]! : null;
    if (!kind)
      return {
        problem: `The panel ${panel} has no setting ${quoted(setting)}; it has ${listed(Object.keys(kinds))}.`,
      };
    if (kind === "text") continue;
    if (kind === "link") {
      if (/^[\w-]+$/.test(text)) continue;
      return { problem: "The link in the address is not the link of a run." };
    }
    const [least, most] = kind;
    const whole = [least, most].every(Number.isInteger);
    const value = text.trim() ? Number(text) : NaN;
    if (!(value >= least && value <= most && (!whole || Number.isInteger(value))))
      return {
        problem: `${setting} is ${quoted(text)} in the address; it goes from ${least} to ${most}${whole ? ", in whole numbers" : ""}.`,
      };
  }
  return { name: panel, settings, theme };
}

/** The fragment of a panel's address. */
export const panelFragment = (name: PanelName, settings: Settings): string =>
  new URLSearchParams({ panel: name, ...settings }).toString();

/** The line of HTML that puts a panel in another page, from the address of the full page. */
export function frameOf(page: string, name: PanelName, settings: Settings): string {
  const { title, height } = PANELS[name];
  const source = `${new URL("embed.html", page).href}#${panelFragment(name, settings)}`;
  return (
    `<iframe src="${source.replaceAll("&", "&amp;")}" title="Groundling: ${title}" width="100%" ` +
    `height="${height}" loading="lazy" style="border: 0"></iframe>`
  );
}
