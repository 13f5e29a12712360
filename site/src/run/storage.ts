// The browser's storage, which autosave uses: how full it is, and that it may stay.

import { effect, signal } from "@preact/signals";
import { recall, remember } from "../base/localStorage";
import { autosaved, offer } from "./state";

const KEY = "groundling-asked-to-persist";

interface Room {
  /** Bytes of this origin, and how many it may have. */
  usage: number;
  quota: number;
  /** The browser promised not to clear it by itself. */
  persisted: boolean;
}
export const room = signal<Room | null>(null);

/** Asks that what is kept may stay; once, as some browsers put it to the reader. */
export async function askToPersist(): Promise<void> {
  try {
    if (recall(KEY) || (await navigator.storage.persisted())) return;
    remember(KEY, "yes");
    await navigator.storage.persist();
    await look();
  } catch {
    // There is no such storage here, and the page says so already.
  }
}

async function look(): Promise<void> {
  const { usage = 0, quota = 0 } = await navigator.storage.estimate();
  room.value = { usage, quota, persisted: await navigator.storage.persisted() };
}

export function watchRoom(): void {
  effect(() => {
    if (autosaved.value ?? offer.value) look().catch(() => {});
  });
}
