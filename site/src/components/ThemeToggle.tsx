import { theme, type Theme } from "../theme";

const NEXT: Record<Theme, Theme> = { system: "light", light: "dark", dark: "system" };
const NAMES: Record<Theme, string> = { system: "Auto", light: "Light", dark: "Dark" };

export function ThemeToggle() {
  return (
    <button type="button" class="theme" onClick={() => (theme.value = NEXT[theme.value])}>
      <span class="for-readers">Colours: </span>
      {NAMES[theme.value]}
    </button>
  );
}
