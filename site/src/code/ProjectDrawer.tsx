import { MAX_NAME } from "../base/protocol";
import { FileButton } from "../ui/FileButton";
import { useSignal } from "@preact/signals";
import { codeLink, overlay } from "./state";
import { deleteProject, downloadZip, newProject, shareCode, switchTo, unzip } from "./edits";
import { flush } from "./editor";
import { MadeLink } from "../ui/MadeLink";
import { NameForm } from "./NameForm";
import { current, nameProblem, names, notKept, rename } from "./projects";

/** Which project is open, and the ways in and out. */
export function Projects() {
  const naming = useSignal<"New" | "Rename" | null>(null);
  const form = { maxLength: MAX_NAME, done: () => (naming.value = null) };
  return (
    <div class="projects stack">
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
      {naming.value === "New" && (
        <NameForm
          label="Name of the new project"
          action="Make it"
          problemOf={(name) => nameProblem(name)}
          take={(name) => newProject(name, {})}
          {...form}
        />
      )}
      {naming.value === "Rename" && (
        <NameForm
          label="Another name for it"
          action="Rename it"
          initial={current.peek()}
          problemOf={(name) => nameProblem(name, current.value)}
          take={(name) => {
            flush();
            rename(name, overlay.peek());
          }}
          {...form}
        />
      )}
      <div class="row">
        <button onClick={downloadZip}>Download .zip</button>
        <FileButton accept=".zip" take={([file]) => void unzip(file!)}>
          Open project
        </FileButton>
        <button onClick={shareCode}>Copy link to the edits</button>
      </div>
      <MadeLink of={codeLink}>
        <button class="link" onClick={downloadZip}>
          Download .zip
        </button>
      </MadeLink>
      <p class="note">
        {notKept.value ||
          "Your edits are kept in this browser as you type. The .zip also runs natively: groundling run FILE.zip. Whoever opens the link reads the edits first."}
      </p>
    </div>
  );
}
