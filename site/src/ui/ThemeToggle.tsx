import { theme, type Theme } from "./theme";

const NEXT: Record<Theme, Theme> = { system: "light", light: "dark", dark: "system" };
const NAMES: Record<Theme, string> = { system: "Auto", light: "Light", dark: "Dark" };

export function ThemeToggle() {
  return (
    <button class="theme" onClick={() => (theme.value = NEXT[theme.value])}>
      <svg viewBox="0 0 16 16" aria-hidden="true">
        <circle cx="8" cy="8" r="7" fill="none" stroke="currentColor" stroke-width="1.5" />
        <path d="M8 1 a7 7 0 0 1 0 14 z" fill="currentColor" />
      </svg>
      <span class="for-readers">Colours: </span>
      {NAMES[theme.value]}
    </button>
  );
}
