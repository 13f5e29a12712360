// Files that the worker sends, whole or piece by piece, so that it need not hold them whole.

import type { PieceReport } from "./protocol";
import type { Reports } from "./reports";

let pieces: PieceReport[] = [];

/** The file that the pieces make; the next ones are of another. */
export function assembled(mime = ""): Blob {
  const parts = pieces.sort((a, b) => a.at - b.at).map(({ bytes }) => bytes);
  pieces = [];
  return new Blob(parts, { type: mime });
}

/** Hands the reader a file. */
export function offer(name: string, file: Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

export const reports = {
  piece(piece) {
    if (piece.first) pieces = []; // what came before was of a file that failed on the way
    pieces.push(piece);
  },
  file({ name, mime, bytes }) {
    offer(name, bytes ? new Blob([bytes], { type: mime }) : assembled(mime));
  },
} satisfies Reports;
