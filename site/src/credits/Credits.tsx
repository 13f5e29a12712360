import { useComputed, useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { highlight } from "../code/highlight";
import { send } from "../run/supervision";
import type { Source } from "../base/protocol";
import { sources } from "../code/state";
import { calm, useSeen } from "../ui/visibility";
import { phase } from "../run/state";
import { asking, problem, recited } from "./state";
import { loadReference, refused, voices } from "../run/voices";

const SPEED = 28; // px a second
const HOLD_MS = 3000; // after the reader has scrolled
const CHARACTER_MS = 350;
const ENOUGH = 8; // characters in hand: with fewer, more are asked for
const SHOWN = 800; // characters of the recital that stay on view

/** What a file is: its language, its part, its length, and what its head says of it. */
function about({ path, text }: Source): { chips: string[]; says: string } {
  const lines = `${text.trimEnd().split("\n").length} lines`;
  if (path.endsWith(".wgsl")) {
    const kind = path.includes("_backward") ? "kernel, backward" : "kernel";
    const head = text.split("\n", 1)[0]!.replace(/^\/\/\s*/, "");
    return { chips: ["WGSL", kind, lines], says: head };
  }
  if (path.endsWith(".ts")) {
    const head = /^\/\/ (.*?[.:])\s/s.exec(text)?.[1]?.replaceAll("\n// ", " ") ?? "";
    return { chips: ["AssemblyScript", "kernels", lines], says: head };
  }
  const kind = path.includes("/devices/") ? "device" : "library";
  const head = /^"""(.*?)(?:\n\n|""")/s.exec(text)?.[1]?.replaceAll("\n", " ") ?? "";
  return { chips: ["Python", kind, lines], says: head };
}

/** A file's text, in colours while it is near the view: there are thousands of lines. */
function Listing({ file }: { file: Source }) {
  const box = useRef<HTMLPreElement>(null);
  const near = useSeen(box, { scrollMargin: "400px" });
  return (
    <pre ref={box}>
      {near.value
        ? highlight(file).map(([name, text], at) =>
            name ? (
              <span key={at} style={{ color: `var(--code-${name})` }}>
                {text}
              </span>
            ) : (
              text
            ),
          )
        : file.text}
    </pre>
  );
}

function Reel({ files }: { files: Source[] }) {
  return (
    <>
      {files.map((file) => {
        const { chips, says } = about(file);
        return (
          <article key={file.path} data-path={file.path}>
            <h3>{file.path}</h3>
            <ul class="chips">
              {chips.map((chip) => (
                <li key={chip} class="pill" data-chip={chip}>
                  {chip}
                </li>
              ))}
            </ul>
            {says && <p class="says">{says}</p>}
            <Listing file={file} />
          </article>
        );
      })}
      <p class="end">That is all of it.</p>
    </>
  );
}

/** The reference model goes on writing, a character at a time, for as long as the reel plays. */
function Recital({ playing }: { playing: boolean }) {
  const shown = useSignal("");
  const wanting = useComputed(
    () =>
      voices.reference.value !== null &&
      !["booting", "error"].includes(phase.value) &&
      recited.value.length < ENOUGH &&
      !problem.value,
  );

  useSignalEffect(() => {
    if (!wanting.value || asking.value) return;
    asking.value = true;
    send({ type: "recite", prompt: "\n", seed: "credits" });
  });
  useLayoutEffect(() => {
    if (!playing) return; // and what is seen to stand still does so by now
    const timer = setInterval(() => {
      const ready = recited.peek();
      const part = calm() ? ready : ready.slice(0, 1);
      if (!part) return;
      recited.value = ready.slice(part.length);
      shown.value = (shown.value + part).slice(-SHOWN);
    }, CHARACTER_MS);
    return () => clearInterval(timer);
  }, [playing]);

  return (
    <section class="recital stack" aria-labelledby="recital-title">
      <h3 id="recital-title">Meanwhile, the reference model</h3>
      <p class="said" data-length={shown.value.length}>
        {shown.value.replaceAll("\n", "↵\n")}
        <span class="caret" aria-hidden="true" />
      </p>
      <p class="note">
        {problem.value ||
          refused.reference.value ||
          (voices.reference.value
            ? "206,016 numbers, and the files above. Nothing else writes this."
            : "The reference checkpoint is on its way (0.8 MB).")}
      </p>
    </section>
  );
}

/** The files that ran, as a film ends: slowly, and for as long as one wants to look. */
export function Credits() {
  const reel = useRef<HTMLDivElement>(null);
  const playing = useSignal(!calm());
  const body = useRef<HTMLDivElement>(null);
  const seen = useSeen(body);
  const current = useSignal(0); // which file is at the top
  const files = sources.value;

  useEffect(() => void loadReference(), []);

  useSignalEffect(() => {
    if (!seen.value) return;
    const element = reel.current!;
    let [frame, before, at, heldUntil] = [0, performance.now(), element.scrollTop, 0];
    const hold = () => (heldUntil = performance.now() + HOLD_MS);
    const roll = (now: number) => {
      frame = requestAnimationFrame(roll);
      const passed = Math.min(now - before, 100); // ms; a tab that was hidden does not jump
      before = now;
      const top = [...element.querySelectorAll("article")].findLastIndex(
        (article) => article.offsetTop <= element.scrollTop + 8,
      );
      current.value = Math.max(0, top);
      if (!playing.peek() || now < heldUntil || !element.clientHeight) {
        at = element.scrollTop;
        return;
      }
      if (Math.abs(element.scrollTop - at) > 2) at = element.scrollTop; // someone else moved it
      at += (SPEED * passed) / 1000;
      element.scrollTop = at;
      if (element.scrollTop + element.clientHeight >= element.scrollHeight - 1) {
        playing.value = false;
      }
    };
    frame = requestAnimationFrame(roll);
    const events = ["wheel", "touchmove", "pointerdown", "keydown"] as const;
    for (const event of events) element.addEventListener(event, hold, { passive: true });
    return () => {
      cancelAnimationFrame(frame);
      for (const event of events) element.removeEventListener(event, hold);
    };
  });

  const skip = (by: number) => {
    const articles = reel.current!.querySelectorAll("article");
    const to = articles[Math.min(Math.max(current.value + by, 0), articles.length - 1)];
    if (to) reel.current!.scrollTop = to.offsetTop;
  };
  const toggle = () => {
    const element = reel.current!;
    if (!playing.value && element.scrollTop + element.clientHeight >= element.scrollHeight - 1) {
      element.scrollTop = 0;
    }
    playing.value = !playing.value;
  };
  const file = files[current.value];
  return (
    <div class="body stack credits-body" ref={body} data-playing={playing.value && seen.value}>
      <div class="remote">
        <button class={playing.value ? "" : "primary"} onClick={toggle}>
          {playing.value ? "Pause the credits" : "Play the credits"}
        </button>
        <button onClick={() => skip(-1)} disabled={current.value === 0}>
          Back
        </button>
        <button onClick={() => skip(1)} disabled={current.value >= files.length - 1}>
          Skip
        </button>
        <p class="note">
          {file
            ? `${current.value + 1} of ${files.length}: ${file.path}`
            : "The files appear here as soon as Python has unpacked them."}
        </p>
      </div>
      <div
        class="reel"
        ref={reel}
        tabIndex={0}
        role="region"
        aria-label="The files that ran, to read"
      >
        {useMemo(
          () => (
            <Reel files={files} />
          ),
          [files],
        )}
      </div>
      <Recital playing={playing.value && seen.value} />
    </div>
  );
}
