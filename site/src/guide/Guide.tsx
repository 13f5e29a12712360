import { useEffect, useRef } from "preact/hooks";
import { asked, end, go, type Place, stop, STOPS } from "./state";
import { address } from "../base/fragment";
import { phase } from "../run/state";
import { focusHome } from "../ui/focus";
import { calm } from "../ui/visibility";

/** Ends the look; the focus goes on to what can be pressed first. */
function leave(): void {
  end();
  focusHome({ preventScroll: true });
}

let shownFor = 0; // the latest `asked` that the page has gone to

/** Where the first look stops: right above what it is about, and nothing when it is elsewhere. */
export function Stop({ at }: { at: Place }) {
  const index = stop.value;
  const box = useRef<HTMLElement>(null);
  const here = index !== null && STOPS[index]!.at === at;
  const turn = asked.value;
  useEffect(() => {
    if (!here || turn === shownFor) return;
    shownFor = turn;
    box.current?.scrollIntoView({ block: "center", behavior: calm() ? "auto" : "smooth" });
    box.current?.focus({ preventScroll: true });
  }, [here, turn]);
  if (!here) return null;
  const { title, text } = STOPS[index]!;
  const last = index === STOPS.length - 1;
  return (
    <aside
      class="stop"
      ref={box}
      tabIndex={-1}
      aria-label={`First look, ${index + 1} of ${STOPS.length}: ${title}`}
      data-stop={at}
      onKeyDown={(event) => event.key === "Escape" && leave()}
    >
      <p class="count">
        First look, {index + 1} of {STOPS.length}
      </p>
      <h3>{at === "start" && phase.value === "booting" ? "In a moment, press Start" : title}</h3>
      <p>{text}</p>
      <div class="ways row">
        {index > 0 && <button onClick={() => go(index - 1)}>Back</button>}
        <button class="next" onClick={() => (last ? leave() : go(index + 1))}>
          {last ? "Finish" : "Next"}
        </button>
        {last && (
          <a href={address("lesson=1")}>Take the course: ten lessons, each on your own run</a>
        )}
        {!last && (
          <button class="link" onClick={leave}>
            Skip the first look
          </button>
        )}
      </div>
    </aside>
  );
}

/** In the footer: the first look once more. */
export function Again() {
  return (
    <button class="link" onClick={() => go(0)}>
      {stop.value === null ? "Take the first look again" : "To the first look"}
    </button>
  );
}
