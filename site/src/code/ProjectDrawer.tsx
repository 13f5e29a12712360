import { FileButton } from "../ui/FileButton";
import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { address } from "../base/fragment";
import { codeLink, overlay } from "./state";
import {
  copyingCode,
  deleteProject,
  downloadZip,
  newProject,
  shareCode,
  switchTo,
  unzip,
} from "./edits";
import { flush } from "./editor";
import { current, nameProblem, names, notKept, rename } from "./projects";

/** A name to be typed, for a new project or for the one that is open. */
function Naming({ what, done }: { what: "New" | "Rename"; done: () => void }) {
  const name = useSignal(what === "Rename" ? current.peek() : "");
  const tried = useSignal(false);
  const field = useRef<HTMLInputElement>(null);
  useLayoutEffect(() => field.current?.select(), []);
  const problem = nameProblem(name.value, what === "Rename" ? current.value : "");
  return (
    <form
      class="naming"
      onSubmit={(event) => {
        event.preventDefault();
        tried.value = true;
        if (problem) return field.current?.focus();
        if (what === "New") newProject(name.value.trim(), {});
        else {
          flush();
          rename(name.value.trim(), overlay.peek());
        }
        done();
      }}
      onKeyDown={(event) => event.key === "Escape" && done()}
    >
      <label>
        <span>{what === "New" ? "Name of the new project" : "Another name for it"}</span>
        <input
          ref={field}
          value={name.value}
          maxLength={60}
          autocomplete="off"
          spellcheck={false}
          aria-invalid={tried.value && problem !== ""}
          aria-describedby="naming-problem"
          onInput={(event) => (name.value = event.currentTarget.value)}
        />
      </label>
      <button type="submit">{what === "New" ? "Make it" : "Rename it"}</button>
      <button type="button" class="link" onClick={done}>
        Cancel
      </button>
      <p class="problem" id="naming-problem">
        {tried.value && problem}
      </p>
    </form>
  );
}

/** The edits as a link, once it is there. */
function Shared() {
  const link = codeLink.value;
  const field = useRef<HTMLInputElement>(null);
  const copied = copyingCode.done;
  useLayoutEffect(() => {
    if (copied.value === false) field.current?.select();
  }, [copied.value]);
  if (!link) return null;
  if (link.problem)
    return (
      <p class="problem" aria-live="polite">
        {link.problem}{" "}
        <button type="button" class="link" onClick={downloadZip}>
          Download .zip
        </button>
      </p>
    );
  return (
    <label class="made">
      <span aria-live="polite">
        {`The link, ${address(link.text).length.toLocaleString("en")} characters`}
        {copied.value === true && ": copied"}
        {copied.value === false && ": the browser did not copy it; it is selected here"}
      </span>
      <input ref={field} readOnly value={address(link.text)} />
    </label>
  );
}

/** Which project is open, and the ways in and out. */
export function Projects() {
  const naming = useSignal<"New" | "Rename" | null>(null);
  return (
    <div class="projects">
      <div class="row">
        <span class="pick">
          <label for="project-choice">Project</label>
          <select
            id="project-choice"
            value={current.value}
            onChange={(event) => switchTo(event.currentTarget.value)}
          >
            {names.value.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </span>
        <button type="button" onClick={() => (naming.value = "New")}>
          New
        </button>
        <button type="button" onClick={() => (naming.value = "Rename")}>
          Rename
        </button>
        <button type="button" onClick={deleteProject}>
          Delete
        </button>
      </div>
      {naming.value && (
        <Naming key={naming.value} what={naming.value} done={() => (naming.value = null)} />
      )}
      <div class="row">
        <button type="button" onClick={downloadZip}>
          Download .zip
        </button>
        <FileButton accept=".zip" take={([file]) => void unzip(file!)}>
          Open project
        </FileButton>
        <button type="button" onClick={shareCode}>
          Copy link to the edits
        </button>
      </div>
      <Shared />
      <p class="note">
        {notKept.value ||
          "Your edits are kept in this browser as you type. The .zip also runs natively: unpack it, then groundling run FOLDER. Whoever opens the link reads the edits first."}
      </p>
    </div>
  );
}
