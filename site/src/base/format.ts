// Numbers and characters as people read them.

const DASH = "—";

/** A character as it can be seen; one that does not show, by its number. */
export const glyph = (character: string): string => {
  if (!/^[\p{Cc}\p{Cf}\p{Z}]$/u.test(character)) return character;
  const number = character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0");
  return { "\n": "↵", " ": "␣", "\t": "⇥" }[character] ?? `U+${number}`;
};

export const loss = (nats: number | null | undefined, digits = 4): string =>
  nats?.toFixed(digits) ?? DASH;

export const count = (n: number): string => n.toLocaleString("en");

/** Nothing trains: nothing a second. */
export const rate = (perSecond: number | null): string =>
  perSecond === null ? "0.0" : perSecond.toFixed(perSecond < 10 ? 2 : perSecond < 100 ? 1 : 0);

export const whole = (n: number | null): string => count(Math.round(n ?? 0));

export const learningRate = (lr: number | null): string => lr?.toExponential(2) ?? DASH;

/** 12.3, then 4:05, then 1:02:05. */
export function elapsed(seconds: number): string {
  if (seconds < 60) return seconds.toFixed(1);
  const [h, m, s] = [seconds / 3600, (seconds / 60) % 60, seconds % 60].map(Math.floor);
  const two = (part: number | undefined) => String(part).padStart(2, "0");
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

export function timeLeft(minutes: number): string {
  if (minutes < 1) return "less than a minute left";
  if (minutes < 90) return `about ${Math.round(minutes)} min left`;
  return `about ${Math.round(minutes / 60)} h left`;
}

export const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);

/** A large number of them: in MB or GB. */
export const bytes = (n: number): string =>
  n < 1e9 ? `${Math.round(n / 1e6)} MB` : `${(n / 1e9).toFixed(1)} GB`;
