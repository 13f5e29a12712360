import { useState } from "preact/hooks";
import { CopiedLink } from "../base/clipboard";
import { page } from "../base/fragment";
import { frameOf, type PanelName, type Settings } from "../base/panels";
import { MadeLink } from "./MadeLink";

interface Props {
  panel: PanelName;
  settings: () => Settings;
}

/** Copies the line of HTML with which another page shows this panel, with its settings as they are now. */
export function CopyEmbed({ panel, settings }: Props) {
  const [line] = useState(() => new CopiedLink("embed", (text) => text));
  return (
    <>
      <button
        class="link"
        onClick={() => {
          line.begin();
          line.take({ text: frameOf(page(), panel, settings()), problem: "" });
        }}
      >
        Copy embed
      </button>
      <MadeLink of={line} />
    </>
  );
}
