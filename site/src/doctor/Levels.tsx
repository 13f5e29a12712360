import { levels, rangeOf, showLevels } from "./state";

/** Switches the lines of the loss curve, and says of each what it means. */
export function Levels() {
  return (
    <div class="levels stack">
      <label>
        <input
          type="checkbox"
          checked={showLevels.value}
          disabled={!levels.value.length}
          onChange={(event) => (showLevels.value = event.currentTarget.checked)}
        />
        How low can it go?
      </label>
      {showLevels.value && (
        <dl>
          {levels.value.map((level) => (
            <div key={level.name} data-level={level.name}>
              <dt>
                {level.label} <b>{rangeOf(level.nats, level.to)}</b>
              </dt>
              <dd>{level.says}</dd>
            </div>
          ))}
        </dl>
      )}
    </div>
  );
}
