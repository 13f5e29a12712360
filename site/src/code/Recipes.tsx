import { useSignal } from "@preact/signals";
import { overlay, recipes } from "./state";
import { diffOf, useRecipe, withRecipe } from "./edits";
import { Diff } from "../ui/Diff";

/** Worked edits: what each does, its diff, and a button that puts it into the reader's edits. */
export function Recipes({ close }: { close: () => void }) {
  const shown = useSignal("");
  return (
    <ul class="recipes stack">
      {recipes.value.map((recipe) => {
        const isShown = shown.value === recipe.name;
        const { files, problem } = isShown ? withRecipe(recipe) : { files: {}, problem: "" };
        return (
          <li key={recipe.name}>
            <h3>
              <button
                aria-expanded={isShown}
                onClick={() => (shown.value = isShown ? "" : recipe.name)}
              >
                {recipe.title}
              </button>
            </h3>
            <p>{recipe.text}</p>
            {isShown && (
              <div class="chosen stack">
                {problem ? (
                  <p class="problem">{problem}</p>
                ) : (
                  <Diff text={diffOf(overlay.value, files)} />
                )}
                <div class="row">
                  <button
                    class="primary"
                    disabled={problem !== ""}
                    onClick={() => {
                      useRecipe(recipe);
                      close();
                    }}
                  >
                    Use it
                  </button>
                  <p class="note">It goes into your edits. Nothing runs until you Apply or Run.</p>
                </div>
              </div>
            )}
          </li>
        );
      })}
    </ul>
  );
}
