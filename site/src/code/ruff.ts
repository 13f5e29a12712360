// ruff's formatter, in WebAssembly: 11 MB, fetched when it is first asked for.

import type * as Ruff from "@astral-sh/ruff-wasm-web";

const OPTIONS = { "line-length": 100, "indent-width": 4 }; // as pyproject.toml has it

type Workspace = Pick<Ruff.Workspace, "format">;
let loading: Promise<Workspace> | null = null;

async function load(): Promise<Workspace> {
  const here = new URL("ruff/ruff_wasm.js", import.meta.url).href;
  const ruff = (await import(here)) as typeof Ruff;
  await ruff.default();
  return new ruff.Workspace(OPTIONS, ruff.PositionEncoding.Utf16);
}

/** What formats a text, and throws where it is no Python. Rejects where ruff cannot be had. */
export async function formatter(): Promise<(text: string) => string> {
  loading ??= load();
  loading.catch(() => (loading = null)); // another time there may be a network
  const ruff = await loading;
  return (text) => ruff.format(text);
}
