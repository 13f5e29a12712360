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
import { NameForm } from "./NameForm";
import { current, nameProblem, names, notKept, rename } from "./projects";

function NewProject({ done }: { done: () => void }) {
  return (
    <NameForm
      label="Name of the new project"
      action="Make it"
      maxLength={60}
      problemOf={(name) => nameProblem(name, "")}
      take={(name) => {
        newProject(name, {});
        done();
      }}
      done={done}
    />
  );
}

function RenameProject({ done }: { done: () => void }) {
  return (
    <NameForm
      label="Another name for it"
      action="Rename it"
      initial={current.peek()}
      maxLength={60}
      problemOf={(name) => nameProblem(name, current.value)}
      take={(name) => {
        flush();
        rename(name, overlay.peek());
        done();
      }}
      done={done}
    />
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
        <button class="link" onClick={downloadZip}>
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
        <button onClick={() => (naming.value = "New")}>New</button>
        <button onClick={() => (naming.value = "Rename")}>Rename</button>
        <button onClick={deleteProject}>Delete</button>
      </div>
      {naming.value === "New" && <NewProject done={() => (naming.value = null)} />}
      {naming.value === "Rename" && <RenameProject done={() => (naming.value = null)} />}
      <div class="row">
        <button onClick={downloadZip}>Download .zip</button>
        <FileButton accept=".zip" take={([file]) => void unzip(file!)}>
          Open project
        </FileButton>
        <button onClick={shareCode}>Copy link to the edits</button>
      </div>
      <Shared />
      <p class="note">
        {notKept.value ||
          "Your edits are kept in this browser as you type. The .zip also runs natively: unpack it, then groundling run FOLDER. Whoever opens the link reads the edits first."}
      </p>
    </div>
  );
}
