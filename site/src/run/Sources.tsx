import { isRunHere } from "../base/fragment";
import type { VoiceName } from "../base/protocol";
import { hasRun } from "./state";
import { voices } from "./voices";

const SOURCES: [VoiceName, string][] = [
  ["run", "Your run"],
  ["reference", "The reference model"],
  ["file", "The file in Talk"],
];

/** Whether a model is there to look into. */
export const isThere = (of: VoiceName) => (of === "run" ? hasRun.value : voices[of].value !== null);

interface Props {
  /** Of the group, as no other on the page. */
  name: string;
  chosen: VoiceName;
  choose: (of: VoiceName) => void;
}

/** Which model something is shown of. */
export function Sources({ name, chosen, choose }: Props) {
  return (
    <fieldset class="sources stack">
      <legend>Model</legend>
      {SOURCES.filter(([value]) => value === "reference" || isRunHere()).map(([value, label]) => (
        <label key={value}>
          <input
            type="radio"
            name={name}
            checked={chosen === value}
            disabled={value === "file" && !isThere(value)}
            onChange={() => choose(value)}
          />
          {label}
        </label>
      ))}
    </fieldset>
  );
}
