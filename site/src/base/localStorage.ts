// Small things that outlast a visit, in localStorage. A browser may have none, or refuse any one call
// (cookies blocked, a sandboxed frame, no room): nothing here throws, and the page works without.

/** The key of the reader's choice of colours. */
export const THEME = "groundling-theme";

/** What is kept under the key, or null. */
export function recall(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** Keeps the text; whether the browser did. */
export function remember(key: string, text: string): boolean {
  try {
    localStorage.setItem(key, text);
    return true;
  } catch {
    return false;
  }
}

export function drop(key: string): void {
  try {
    localStorage.removeItem(key);
  } catch {
    // then it was not kept either
  }
}

/** Every key there is. */
export function keys(): string[] {
  try {
    return Object.keys(localStorage);
  } catch {
    return [];
  }
}
